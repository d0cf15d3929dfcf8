"""Which trials are the good ones, from which TPE models where it goes."""

import math
from bisect import insort
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from optuna._hypervolume.hssp import _solve_hssp
from optuna.study._multi_objective import _fast_non_domination_rank

from sweep.past import Past

MOST = 25
"""Good trials of one objective."""

Key = tuple[int, float, float, int]
"""Of two trials the lesser is the better one; the last is its place."""


def quota(finished: int, objectives: int) -> int:
    """How many of the finished trials are good: a tenth, of one objective at most MOST."""
    tenth = math.ceil(0.1 * finished)
    return tenth if objectives > 1 else min(tenth, MOST)


class Ranking:
    """The finished trials from best to worst: the complete, the pruned from the latest rung on,
    and those that break constraints from the least broken on."""

    def __init__(self, signs: Sequence[float]) -> None:
        """`signs` are 1 for each objective to be minimized and -1 for each to be maximized."""
        self._signs = signs
        self._best: list[Key] = []
        self._fronts: dict[int, list[float]] = {}
        self.finished = 0

    def add(self, place: int, past: Past) -> None:
        """A trial is complete or pruned."""
        self.finished += 1
        several = len(self._signs) > 1
        key = self._key(place, past)
        if several and key[0] == 0:
            assert past.values is not None
            values = [sign * x for sign, x in zip(self._signs, past.values, strict=True)]
            self._fronts[place] = values
        else:
            insort(self._best, key)
            if not several:
                del self._best[MOST:]  # none of the others can ever be a good one

    def good(self) -> NDArray[np.int64]:
        """The places of the good trials in their order."""
        count = quota(self.finished, len(self._signs))
        fronts = self._first_fronts(count)
        rest = [key[-1] for key in self._best[: count - len(fronts)]]
        return np.array(sorted([*fronts, *rest]), dtype=np.int64)

    def _key(self, place: int, past: Past) -> Key:
        if (broken := sum(v for v in past.violations if v > 0)) > 0:
            return 2, broken, 0.0, place
        if past.state == "complete":
            assert past.values is not None
            return 0, self._signs[0] * past.values[0], 0.0, place
        if not past.reports:
            return 1, 1.0, 0.0, place
        step = max(past.reports)
        value = self._signs[0] * past.reports[step]
        return 1, float(-step), math.inf if math.isnan(value) else value, place

    def _first_fronts(self, count: int) -> list[int]:
        """The places of so many complete trials of several objectives: front after front, and of
        the last those that dominate the most together (Ozaki et al. 2022, J. AI Research 73)."""
        places = list(self._fronts)
        if count >= len(places):
            return places
        places.sort()
        losses = np.array([self._fronts[place] for place in places])
        ranks = _fast_non_domination_rank(losses, n_below=count)
        whole = np.cumsum(np.bincount(ranks)) <= count
        last = int(whole.sum())
        chosen = np.flatnonzero(ranks < last)
        if len(chosen) < count:
            tied = np.flatnonzero(ranks == last)
            worst = losses[tied].max(axis=0)
            corner = np.maximum(1.1 * worst, 0.9 * worst)
            corner[corner == 0] = 1e-12
            more = _solve_hssp(losses[tied], tied, count - len(chosen), corner)
            chosen = np.append(chosen, more)
        return [places[i] for i in chosen]

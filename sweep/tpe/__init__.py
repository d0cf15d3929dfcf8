"""The tree-structured Parzen estimator (Bergstra et al. 2011, NeurIPS 24; Watanabe 2023,
arXiv:2304.11127): proposes where good trials are dense and others are not.

It takes the choices of Optuna's TPESampler, to the last bit, while at most KERNELS trials are not
among the good ones, in a fraction of the time: it keeps the trials as columns. Of more it hears
the nearest.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep import draws
from sweep.past import Params, Past, fitted
from sweep.space import Space, contains, distributions
from sweep.spec import StudySpec, cost_sign
from sweep.tpe.nearest import coordinates, dimensions, loss
from sweep.tpe.parzen import faded, mixture
from sweep.tpe.split import Ranking

STARTUP = 10
"""Trials that end before the first one is not drawn at random."""
CANDIDATES = 24
"""Points among which a proposal is the one that the good trials speak for most."""
KERNELS = 3000
"""Trials that speak against a point, at most: with all, a proposal would take the longer the more
there are. Of more, those are heard whose kernels say the most at one of the CANDIDATES, which is
nearly all that there is to say: most choices stay Optuna's (tests/benchmarks/regret.py)."""


class TPE:
    """The trials of a study by their places, and what it proposes from them."""

    def __init__(self, spec: StudySpec, space: Space, past: Sequence[Past]) -> None:
        self._searched = distributions(space)
        joint = sorted(name for name, entry in self._searched.items() if not entry.single())
        # As in Optuna: parameter by parameter where there are several objectives.
        self._joint = joint if len(spec.objectives) == 1 else []
        self._columns = {name: i for i, name in enumerate(self._searched)}
        self._rows = np.empty((1, len(self._searched)))
        ends = np.cumsum([0, *map(dimensions, self._searched.values())])
        self._axes = {name: range(ends[i], ends[i + 1]) for name, i in self._columns.items()}
        self._coordinates = np.zeros((ends[-1], 1), dtype=np.float32)  # of trials, in columns
        self._speaks = np.zeros(1, dtype=bool)  # whether something is learned from a trial
        self._count = 0
        signs = [cost_sign(name) for name in spec.objectives]
        self._ranking = Ranking(signs)
        self._rng = np.random.RandomState()  # seeded for each proposal: a new one takes longer
        for place, trial in enumerate(past):
            self.begin()
            params = fitted(trial.params, space, self._searched, place)
            if params is not None:
                self.settle(place, params)
                self.tell(place, trial)

    def begin(self) -> int:
        """The place of a new trial, which has no parameters yet."""
        place, room = self._count, len(self._rows)
        if place == room:
            self._rows = np.concatenate([self._rows, np.empty_like(self._rows)])
            more = np.zeros_like(self._coordinates)
            self._coordinates = np.concatenate([self._coordinates, more], axis=1)
            self._speaks = np.concatenate([self._speaks, np.zeros(room, dtype=bool)])
        self._count += 1
        return place

    def settle(self, place: int, params: Mapping[str, Any]) -> None:
        """These are the trial's parameters."""
        inner = [entry.to_internal_repr(params[name]) for name, entry in self._searched.items()]
        self._rows[place] = inner
        self._coordinates[:, place] = coordinates(self._searched.values(), inner)
        self._speaks[place] = True  # against itself while it runs: the next is to be another one

    def tell(self, place: int, past: Past) -> None:
        """A trial has ended."""
        if not self._speaks[place]:
            return  # forgotten, since it lies outside of the space as it is now
        if past.state == "failed":
            self._speaks[place] = False
        elif past.state != "running":
            self._ranking.add(place, past)

    def propose(self, place: int, seed: int) -> Params:
        """Parameters for a trial that has none yet."""
        if self._ranking.finished < STARTUP:
            return draws.random(self._searched, seed)
        self._rng.seed(seed)
        good = self._ranking.good()
        speaks = self._speaks[: self._count].copy()
        speaks[good] = False
        others = np.flatnonzero(speaks)
        found = self._sample(self._joint, good, others)
        for name, entry in self._searched.items():
            if name not in found or not contains(entry, found[name]):
                found |= self._sample([name], good, others)
        return {
            name: entry.to_external_repr(entry.to_internal_repr(found[name]))
            for name, entry in self._searched.items()
        }

    def _sample(
        self, names: Sequence[str], good: NDArray[np.int64], others: NDArray[np.int64]
    ) -> Params:
        """Values of these parameters that are likely for good trials and not for others."""
        if not names:
            return {}
        entries = [self._searched[name] for name in names]
        columns = [self._columns[name] for name in names]
        mine = self._rows[good[:, np.newaxis], columns]
        likely = mixture(entries, mine, np.ones(len(mine)), len(mine))
        points = likely.sample(self._rng, CANDIDATES)
        count, weights = len(others), faded(len(others))
        if count > KERNELS:
            kept = self._heard(names, points, others, weights)
            others, weights = others[kept], weights[kept]
        theirs = self._rows[others[:, np.newaxis], columns]
        unlikely = mixture(entries, theirs, weights, count)
        best = points[np.argmax(likely.log_density(points) - unlikely.log_density(points))]
        return {
            name: entry.to_external_repr(x)
            for name, entry, x in zip(names, entries, best.tolist(), strict=True)
        }

    def _heard(
        self,
        names: Sequence[str],
        points: NDArray[np.float64],
        others: NDArray[np.int64],
        weights: NDArray[np.float64],
    ) -> NDArray[np.int64]:
        """Which KERNELS of the others say the most at one of these points, in their order."""
        entries = [self._searched[name] for name in names]
        axes = [axis for name in names for axis in self._axes[name]]
        near = np.array([coordinates(entries, point) for point in points], dtype=np.float32)
        lost = loss(self._coordinates[axes, : self._count], near)[others] - np.log(weights)
        return np.sort(np.argpartition(lost, KERNELS)[:KERNELS])

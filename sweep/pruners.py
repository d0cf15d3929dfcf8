"""Pruners: where a trial is judged, and whether it goes on.

Each holds what it has seen in sorted lists, so that a judgement looks up two places instead of
going through all trials; but for `Promotion` the rules are those of Optuna's pruners.
"""

import math
from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Protocol
from zlib import crc32

from sweep.spec import StudySpec, cost_sign

HALVING = ("successive_halving", "promotion", "hyperband")
"""The pruners that let the best share of the trials go on, by their order at a rung."""

STARTUP_TRIALS = 5
"""Complete trials before a percentile is worth comparing with; Optuna's default."""


class Pruner(Protocol):
    """Judges trials by their values at rungs; a diverged or failed trial is not shown to it."""

    def rungs(self, number: int) -> tuple[int, ...]:
        """The epochs at which this trial is judged, the last one its end."""

    def judge(self, number: int, rung: int, value: float) -> bool:
        """Whether the trial goes on; to be asked at each of its rungs but the last."""

    def end(self, number: int, state: str, value: float | None) -> None:
        """The trial has ended as `complete`, with this value, or as `pruned` or `failed`."""


def rungs(spec: StudySpec, number: int) -> tuple[int, ...]:
    """The epochs at which a trial is judged, the last one its end.

    They are `min_epochs` times powers of `reduction_factor` (Li et al. 2020, arXiv:1810.05934,
    algorithm 2), for Hyperband from those of the trial's bracket on. Patience counts rungs, so its
    own are `min_epochs` apart. Without a pruner, and for Wilcoxon's, which judges whole replicates,
    there is only the end.
    """
    first, factor, last = spec.search.min_epochs, spec.search.reduction_factor, spec.train.epochs
    match spec.search.pruner:
        case "none" | "wilcoxon":
            return (last,)
        case "patience":
            return (*range(first, last, first), last)
        case "hyperband":
            first *= factor ** bracket(spec, number)
    found = []
    while first < last:
        found.append(first)
        first *= factor
    return (*found, last)


def bracket(spec: StudySpec, number: int) -> int:
    """The Hyperband bracket of a trial, as Optuna draws it for a study of the name "sweep".

    The shares of the brackets are those of Li et al. 2018, JMLR 18(185), algorithm 1.
    """
    factor = spec.search.reduction_factor
    count = math.floor(math.log(spec.train.epochs / spec.search.min_epochs, factor)) + 1
    shares = [math.ceil(count * factor**s / (s + 1)) for s in reversed(range(count))]
    place = crc32(f"sweep_{number}".encode()) % sum(shares)
    return next(i for i in range(count) if place < sum(shares[: i + 1]))


class Never:
    """Every trial goes on: what the others are made from.

    They hold values multiplied by `_sign`, of which the least is the best.
    """

    def __init__(self, spec: StudySpec) -> None:
        self._spec = spec
        self._sign = cost_sign(spec.objectives[0])

    def rungs(self, number: int) -> tuple[int, ...]:
        return rungs(self._spec, number)

    def judge(self, number: int, rung: int, value: float) -> bool:
        return True

    def end(self, number: int, state: str, value: float | None) -> None:
        pass


class Percentile(Never):
    """A trial goes on if its best value so far is within a percentile of the complete trials' at
    the same rung; the first few go on."""

    def __init__(self, spec: StudySpec, percentile: float) -> None:
        super().__init__(spec)
        self._percentile = percentile
        self._running: defaultdict[int, dict[int, float]] = defaultdict(dict)
        self._complete: defaultdict[int, list[float]] = defaultdict(list)

    def judge(self, number: int, rung: int, value: float) -> bool:
        values = self._running[number]
        values[rung] = self._sign * value
        rivals = self._complete[rung]
        return len(rivals) < STARTUP_TRIALS or min(values.values()) <= self._limit(rivals)

    def end(self, number: int, state: str, value: float | None) -> None:
        reached = self._running.pop(number, {})
        if state == "complete":
            for rung, its in reached.items():
                insort(self._complete[rung], its)

    def _limit(self, ordered: Sequence[float]) -> float:
        """The percentile of ordered values, between two of them by NumPy's own formula."""
        place = (len(ordered) - 1) * (self._percentile / 100)
        below = math.floor(place)
        low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
        share = place - below
        if share < 0.5:
            return low + (high - low) * share
        return high - (high - low) * (1 - share)


class Patience(Never):
    """A trial goes on until it was worse than its best for `patience` rungs in a row."""

    def __init__(self, spec: StudySpec) -> None:
        super().__init__(spec)
        self._courses: dict[int, tuple[float, int]] = {}

    def judge(self, number: int, rung: int, value: float) -> bool:
        best, worse = self._courses.get(number, (math.inf, 0))
        value *= self._sign
        self._courses[number] = (value, 0) if value <= best else (best, worse + 1)
        return self._courses[number][1] < self._spec.search.patience

    def end(self, number: int, state: str, value: float | None) -> None:
        self._courses.pop(number, None)


class SuccessiveHalving(Never):
    """A trial goes on if it is in the best 1 / reduction_factor of its rung so far, or the best.

    The stopping form of Li et al. 2020, arXiv:1810.05934, as in Optuna. Hyperband is several of
    them: the trials of one bracket are compared with each other only.
    """

    def __init__(self, spec: StudySpec) -> None:
        super().__init__(spec)
        self._reached: defaultdict[tuple[int, int], list[float]] = defaultdict(list)

    def judge(self, number: int, rung: int, value: float) -> bool:
        in_bracket = self._spec.search.pruner == "hyperband"
        rivals = self._reached[bracket(self._spec, number) if in_bracket else 0, rung]
        value *= self._sign
        insort(rivals, value)
        return value <= rivals[max(len(rivals) // self._spec.search.reduction_factor, 1) - 1]


class Wilcoxon(Never):
    """A trial goes on to its next replicate unless it is surely worse than the best trial's.

    In `judge`, `rung` is the number of its replicates that are done, and `value` the last one's.
    The signed-rank test of the pairs of replicates is that of Optuna's WilcoxonPruner.
    """

    def __init__(self, spec: StudySpec) -> None:
        super().__init__(spec)
        self._running: defaultdict[int, list[float]] = defaultdict(list)
        self._best: list[float] = []
        self._mean = math.inf

    def judge(self, number: int, rung: int, value: float) -> bool:
        values = self._running[number]
        values.append(self._sign * value)
        assert rung == len(values), f"replicate {rung} of trial {number} is judged out of turn"
        if len(values) < 2 or fmean(values) <= self._mean:
            return True
        from scipy.stats import wilcoxon  # takes as long to import as all the rest

        differences = [mine - its for mine, its in zip(values, self._best, strict=False)]
        test = wilcoxon(differences, alternative="greater", zero_method="zsplit")
        return not test.pvalue < self._spec.search.p_threshold

    def end(self, number: int, state: str, value: float | None) -> None:
        values = self._running.pop(number, [])
        if state == "complete" and value is not None and self._sign * value < self._mean:
            self._best, self._mean = values, self._sign * value


class Promotion(Never):
    """Successive halving that pauses: a trial goes on once it is in the best share of its rung.

    Li et al. 2020, arXiv:1810.05934, algorithm 2: of the n trials that have reached a rung, those
    are promoted that are among its best floor(n / reduction_factor), now or whenever they come to
    be. Some of them fall behind later ones, so that more may be promoted in all.
    """

    def __init__(self, spec: StudySpec) -> None:
        super().__init__(spec)
        self._steps = list(pairwise(rungs(spec, 0)))
        self._reached: dict[int, list[tuple[float, int]]] = {rung: [] for rung, _ in self._steps}
        self._paused: dict[int, list[tuple[float, int]]] = {rung: [] for rung, _ in self._steps}
        self._places: dict[int, tuple[int, tuple[float, int]]] = {}

    def judge(self, number: int, rung: int, value: float) -> bool:
        """False: the trial pauses, and goes on when `next_promotion` says so."""
        self.record(number, rung, value)
        return False

    def record(self, number: int, rung: int, value: float) -> None:
        """A trial has reached a rung below the last with this value, and pauses there."""
        place = (self._sign * value, number)
        insort(self._reached[rung], place)
        insort(self._paused[rung], place)
        self._places[number] = rung, place

    def next_promotion(self) -> tuple[int, int] | None:
        """The paused trial that is to go on now and the rung that it trains to, or None.

        The highest rung comes first, in it the best trial, and of equals the one begun first. What
        is returned counts as promoted.
        """
        for rung, after in reversed(self._steps):
            reached, paused = self._reached[rung], self._paused[rung]
            share = len(reached) // self._spec.search.reduction_factor
            if paused and bisect_left(reached, paused[0]) < share:
                _, number = paused.pop(0)
                del self._places[number]
                return number, after
        return None

    def end(self, number: int, state: str, value: float | None) -> None:
        """A trial that is ended while it pauses keeps its place among those that it reached."""
        if number in self._places:
            rung, place = self._places.pop(number)
            del self._paused[rung][bisect_left(self._paused[rung], place)]


PRUNERS: dict[str, Callable[[StudySpec], Pruner]] = {
    "none": Never,
    "median": lambda spec: Percentile(spec, 50.0),
    "percentile": lambda spec: Percentile(spec, spec.search.percentile),
    "patience": Patience,
    "successive_halving": SuccessiveHalving,
    "promotion": Promotion,
    "hyperband": SuccessiveHalving,
    "wilcoxon": Wilcoxon,
}


def pruner(spec: StudySpec) -> Pruner:
    """A study's pruner, which has seen nothing yet."""
    return PRUNERS[spec.search.pruner](spec)

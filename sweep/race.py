"""A race of configurations that are trained on the same seeds: who is left behind, and who is best.

After each round, a training of every leader that is left on a seed that is the same for all, those
are dropped that are clearly worse than the best: a one-sided paired t-test at the level
`RISK / ((leaders - 1) * looks)`. By the union bound over the other leaders and the looks the best
is dropped with a probability of at most RISK (Maron and Moore, Hoeffding races, 1994, with t in the
place of Hoeffding's bound, as in Birattari et al., A racing algorithm for configuring
metaheuristics, 2002). Nobody is dropped before a sign test could tell: a few equal differences, as
scores on few rows have them, would look certain to the t-test.

Folds share rows to train on, so that their differences vary together: the variance of a mean is
then 1 / (folds - 1) times that of a difference larger (Nadeau and Bengio, Inference for the
generalization error, 2003, equation 9).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil, log2, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr

from sweep.bootstrap import interval
from sweep.spec import Bounds
from sweep.verdict import mean

RISK = 0.05
"""The probability, at most, with which the best of the leaders is dropped."""

DRAWS = 10_000
"""Of the bootstrap over rounds."""

Costs = NDArray[np.float64]
Words = NDArray[np.uint64]
"""(draws, rounds) of 32 random bits each."""


class Score(NamedTuple):
    """What a retraining came to."""

    value: float | None
    """In the first objective; None if it did not come to its end."""
    measures: tuple[float, ...] = ()
    """What the constraints are about, in their order."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A leader in the race, as far as it was in it."""

    trial: int
    rounds: int
    failed: int
    """Retrainings without a score: each counts as the worst that any leader's had."""
    mean: float | None
    """None if no leader's retraining has a score."""
    standard_error: float | None
    """Of the mean; None after a single round."""
    low: float | None
    """From here to `high` the middle 95 % of the means over resampled rounds lie."""
    high: float | None
    p_best: float
    """The share of resampled races in which it has the best mean."""
    broken: int
    """Constraints that the means of what they measure do not meet."""
    dropped_after: int | None
    """The round after which it was dropped; None if it was not."""


@dataclass(slots=True)
class Race:
    """The race as a fold over its rounds: nothing but the scores decides."""

    leaders: tuple[int, ...]
    """The numbers of the trials, the best by the search first."""
    rounds: int
    maximize: bool = True
    folds: int = 1
    """That the rounds go through by turns; 1 if all have the same rows."""
    bounds: tuple[Bounds, ...] = ()
    risk: float = RISK
    left: list[int] = field(init=False)
    dropped: dict[int, int] = field(default_factory=dict)
    """The round after which a leader was dropped."""
    scores: dict[int, list[Score]] = field(init=False)
    done: int = 0

    def __post_init__(self) -> None:
        self.left = list(self.leaders)
        self.scores = {leader: [] for leader in self.leaders}

    @property
    def is_over(self) -> bool:
        return self.done == self.rounds

    @property
    def least(self) -> int:
        """The rounds before which nobody is dropped: fewer are too few for a sign test."""
        rivals = max(1, len(self.leaders) - 1)
        return self.folds * ceil(max(2.0, log2(rivals / self.risk)) / self.folds)

    @property
    def looks(self) -> range:
        """The rounds after which leaders may be dropped: after each pass through the folds."""
        return range(self.least, self.rounds, self.folds) if len(self.leaders) > 1 else range(0)

    def count(self, scores: Mapping[int, Score]) -> list[int]:
        """Count the next round, the score of each leader that is left; those it drops."""
        for leader in self.left:
            self.scores[leader].append(scores[leader])
        self.done += 1
        if self.done not in self.looks or len(self.left) == 1:
            return []
        costs = np.array([self.costs(leader) for leader in self.left])
        level = self.risk / ((len(self.leaders) - 1) * len(self.looks))
        worse = behind(costs, self.left.index(self.winner()), level, self.folds)
        gone = [leader for leader, is_worse in zip(self.left, worse, strict=True) if is_worse]
        self.dropped |= dict.fromkeys(gone, self.done)
        self.left = [leader for leader in self.left if leader not in gone]
        return gone

    def costs(self, leader: int) -> list[float]:
        """The scores of a leader, the least the best; those that are missing are the worst of all.

        Zeros if there is no score at all."""
        sign = -1.0 if self.maximize else 1.0
        known = [s.value for scores in self.scores.values() for s in scores if s.value is not None]
        worst = max((sign * value for value in known), default=0.0)
        return [worst if s.value is None else sign * s.value for s in self.scores[leader]]

    def winner(self) -> int:
        """The best that is left so far, of those with a score if there are any: the one that breaks
        the fewest constraints, then by its mean, then by the search."""

        def place(leader: int) -> tuple[bool, int, float]:
            unscored = all(score.value is None for score in self.scores[leader])
            return unscored, self.broken(leader), mean(self.costs(leader))

        return min(self.left, key=place)

    def broken(self, leader: int) -> int:
        """How many constraints the means of a leader's measures do not meet."""
        measured = [score.measures for score in self.scores[leader] if score.value is not None]
        if not measured:
            return len(self.bounds)
        means = [mean(values) for values in zip(*measured, strict=True)]
        pairs = zip(self.bounds, means, strict=True)
        return sum(bounds.violation(value) > 0 for bounds, value in pairs)

    def standings(self, seed: int) -> list[Standing]:
        """How each leader stands after the last round that was counted, in their order; `seed` is
        of the resampling of rounds, which are the same for all leaders."""
        if not self.done:
            return []
        # The raw stream of a bit generator is the same in every version of NumPy (NEP 19).
        words = np.random.PCG64(seed).random_raw((DRAWS, self.done)) >> np.uint64(32)
        chances = self._chances(words)
        return [self._standing(leader, words, chances[leader]) for leader in self.leaders]

    def _standing(self, leader: int, words: Words, chance: float) -> Standing:
        costs, sign = np.array(self.costs(leader)), -1.0 if self.maximize else 1.0
        known = any(score.value is not None for each in self.scores.values() for score in each)
        ends = interval(sign * _means(costs, words, self.folds)) if known else None
        low, high = ends or (None, None)
        return Standing(
            trial=leader,
            rounds=len(costs),
            failed=sum(score.value is None for score in self.scores[leader]),
            mean=sign * mean(costs.tolist()) if known else None,
            standard_error=_error(costs, self.folds) if known and len(costs) > 1 else None,
            low=low,
            high=high,
            p_best=chance,
            broken=self.broken(leader),
            dropped_after=self.dropped.get(leader),
        )

    def _chances(self, words: Words) -> dict[int, float]:
        """How often each is the best, of those that break fewest constraints; ties are shared.

        A leader's resampled mean is the winner's and, over the rounds that both had, their
        difference: so it is comparable though it was dropped.
        """
        least = min(map(self.broken, self.left))
        rivals = [leader for leader in self.leaders if self.broken(leader) == least]
        winner = np.array(self.costs(self.winner()))
        of_winner = _means(winner, words, self.folds)
        apart = [np.array(costs) - winner[: len(costs)] for costs in map(self.costs, rivals)]
        costs = np.array([of_winner + _means(each, words, self.folds) for each in apart])
        is_best = costs - costs.min(axis=0) <= 1e-9 * np.abs(costs).max()  # but for rounding
        shares = (is_best / is_best.sum(axis=0)).mean(axis=1)
        return dict.fromkeys(self.leaders, 0.0) | dict(zip(rivals, map(float, shares), strict=True))


def behind(costs: Costs, best: int, level: float, folds: int = 1) -> NDArray[np.bool_]:
    """Which of the rows of costs (leaders, rounds) are larger than the row `best`, by a one-sided
    paired t-test at this level."""
    differences = costs - costs[best]
    found = np.zeros(len(costs), dtype=np.bool_)
    for i, each in enumerate(differences):
        middle, error = mean(each.tolist()), _error(each, folds)
        if middle > 0:
            found[i] = error == 0 or stdtr(len(each) - 1, -middle / error) < level
    return found


def _error(values: Costs, folds: int) -> float:
    """The standard error of the mean of at least two values, one a round."""
    variance = float(values.var(ddof=1))
    return sqrt(variance * (1 / len(values) + _shared(folds)))


def _shared(folds: int) -> float:
    return 0.0 if folds == 1 else 1 / (folds - 1)


def _means(values: Costs, words: Words, folds: int) -> Costs:
    """The means (draws,) of resampled values, as far from their mean as their standard error says.

    Resampling alone would make it too small by n - 1 of n (Hesterberg, What teachers should know
    about the bootstrap, 2015, section 3.2).
    """
    n, middle = len(values), mean(values.tolist())
    if n == 1:
        return np.full(len(words), middle)
    rounds = (words[:, :n] * np.uint64(n) >> np.uint64(32)).astype(np.int64)
    drawn: Costs = values[rounds].mean(axis=1)
    scale = sqrt((1 + n * _shared(folds)) * n / (n - 1))
    return middle + scale * (drawn - middle)

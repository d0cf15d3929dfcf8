"""Learning curves of configurations that were not trained, predicted from those that were."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from scipy.stats import spearmanr
from sklearn.tree import ExtraTreeRegressor

from sweep.errors import UsageError

Floats = NDArray[np.float64]

TREES = 64
POINTS = 8
"""Epochs of a curve that are looked at, spread evenly on a log scale, beside its last."""

MOST = 500
"""Trainings that are learned from; of more, as many evenly spread."""

FEW = 10
"""Trainings without which nothing can be predicted."""

NEAREST = 5
"""Residuals that a prediction's noise is drawn from."""

CONTEXT = 3
"""Numbers of an example in front of its features: the logarithms of the epochs since and until
which it is predicted, and the level that it begins from, 0 if it has none."""

NEARLY_ALL = 0.95

INACTIVE = -0.5
"""The place of a number that a configuration does not use; those that it uses are in 0 to 1."""


@dataclass(frozen=True, slots=True)
class Training:
    """A recorded training of a trial; where patience may end it, its best value so far counts."""

    trial: int
    features: Floats
    """As `encoder` gives them."""
    values: Floats
    """(epochs,): the metric after each from the first on, all finite."""
    end: str | None = None
    """`diverged` in the epoch that follows, or `stopped` by patience after the last; None where it
    was left, or came to the last epoch of all."""

    def covers(self, epoch: int) -> bool:
        """Whether it is known what it came to after an epoch."""
        return len(self.values) >= epoch or (self.end == "stopped" and len(self.values) > 0)

    def ended(self, end: str, since: int, until: int) -> bool | None:
        """Whether it ended so after one epoch and not after another; None if that is not known."""
        epoch = len(self.values) + (self.end == "diverged")
        if self.end is not None and epoch <= until:
            return self.end == end if since < epoch else None
        return False if len(self.values) >= until else None


@dataclass(frozen=True, slots=True)
class Error:
    """How well the values of trials after the last epoch are predicted from their parameters,
    each by trees that have not seen it (Breiman 2001, Machine Learning 45)."""

    trials: int
    """That were recorded to the last epoch, over which this is measured."""
    rmse: float
    """In units of the metric."""
    spread: float
    """The standard deviation of what was predicted: the error of knowing their mean alone."""
    rank_correlation: float
    """Spearman's; NaN where all are equal."""

    @property
    def warning(self) -> str:
        """What to make of predictions that know less than the mean; nothing if they know more."""
        if self.rmse <= self.spread:
            return ""
        return (
            "That is no better than their mean: the record does not say which configurations are "
            "good, so take the costs of this replay for an estimate and its best value for none."
        )

    def __str__(self) -> str:
        return (
            f"leave-one-out RMSE {self.rmse:.3g}, rank correlation {self.rank_correlation:.2f} "
            f"over the {self.trials} trainings recorded to the last epoch, whose standard "
            f"deviation is {self.spread:.3g}"
        )


@dataclass(frozen=True, slots=True)
class Scale:
    """Values as logarithms of errors, in which learning curves are near to straight; the metric
    itself where it can be negative and has no end."""

    sign: float
    """-1 for metrics that are to be maximized, all of which end at 1."""
    floor: float
    """Added to an error, which may be 0; 0 where there is no logarithm."""

    @classmethod
    def of(cls, values: Floats, maximize: bool) -> "Scale":
        errors = 1.0 - values if maximize else values
        positive = errors[errors > 0]
        if errors.min() < -1e-9 or not len(positive):
            return cls(-1.0 if maximize else 1.0, 0.0)
        return cls(-1.0 if maximize else 1.0, float(positive.min()) / 2)

    def levels(self, values: Floats) -> Floats:
        """Of values; the least is the best."""
        if not self.floor:
            return self.sign * values
        return np.log(np.maximum(1.0 - values if self.sign < 0 else values, 0.0) + self.floor)

    def value(self, level: float) -> float:
        if not self.floor:
            return self.sign * level
        error = max(0.0, float(np.exp(min(level, 700.0))) - self.floor)
        return 1.0 - error if self.sign < 0 else error


def encoder(
    distributions: Mapping[str, BaseDistribution],
) -> Callable[[Mapping[str, Any]], Floats]:
    """From the parameters that have an effect to numbers: ranges from 0 to 1 on their scale, a
    choice as ones and zeros, and a place of its own for what has no effect."""

    def encode(params: Mapping[str, Any]) -> Floats:
        found: list[float] = []
        for name, entry in distributions.items():
            if isinstance(entry, CategoricalDistribution):
                found += [float(name in params and params[name] == c) for c in entry.choices]
            elif name not in params:
                found.append(INACTIVE)
            else:
                at: Callable[[float], float] = log if entry.log else float  # type: ignore[attr-defined]
                low, high = at(entry.low), at(entry.high)  # type: ignore[attr-defined]
                found.append((at(params[name]) - low) / (high - low))
        return np.array(found)

    return encode


class Forest:
    """Extremely randomized trees (Geurts et al. 2006, Machine Learning 63), each grown on a
    bootstrap sample of trials, so that those left out of it test it."""

    def __init__(self, x: Floats, y: Floats, trials: NDArray[np.int64], seed: int) -> None:
        x = x.astype(np.float32)
        known, places = np.unique(trials, return_inverse=True)
        random = np.random.default_rng(seed)
        self._known = known
        self._trees, drawn = [], []
        for _ in range(TREES):
            counts = np.bincount(random.integers(len(known), size=len(known)), minlength=len(known))
            weights = counts[places].astype(float)
            rows = weights > 0
            tree = ExtraTreeRegressor(min_samples_leaf=2, random_state=int(random.integers(2**31)))
            self._trees.append(tree.fit(x[rows], y[rows], sample_weight=weights[rows]).tree_)
            drawn.append(counts > 0)
        self._drawn = np.array(drawn)

    def predict(self, x: Floats) -> float:
        """Of one row (features,)."""
        row = x.astype(np.float32)[None]
        return float(np.mean([tree.predict(row)[0, 0] for tree in self._trees]))

    def left_out(self, x: Floats, trials: NDArray[np.int64]) -> Floats:
        """Of rows (rows, features), each by the trees that have not seen its trial; NaN if all
        have."""
        rows = x.astype(np.float32)
        free = ~self._drawn[:, np.searchsorted(self._known, trials)]
        found = np.array([tree.predict(rows)[:, 0] for tree in self._trees])
        with np.errstate(invalid="ignore"):
            mean: Floats = (found * free).sum(axis=0) / free.sum(axis=0)
        return mean


Example = tuple[int, Floats, float]
"""The trial, what is known and what is to be predicted."""


class Predictor:
    """A forest, and how far from it the examples are that it was not grown on.

    The noise of a prediction is that of the nearest examples, so that a region of the space in
    which the forest is wrong is wrong alike for all that is tried there: a sampler can learn it.
    """

    def __init__(self, examples: Sequence[Example], seed: int) -> None:
        trials, x, y = (np.array(part) for part in zip(*examples, strict=True))
        self.forest = Forest(x, y, trials, seed)
        predicted = self.forest.left_out(x, trials)
        known = np.isfinite(predicted)
        self._places = np.column_stack([predicted[known], x[known]])
        self._residuals = (y - predicted)[known]
        # The features have a scale of their own.
        spread = self._places[:, : 1 + CONTEXT].std(axis=0)
        self._unit = np.append(np.maximum(spread, 1e-9), np.ones(x.shape[1] - CONTEXT))

    def draw(self, row: Floats, random: np.random.Generator) -> float:
        """The prediction for a row, and the residual of one of the examples nearest to it."""
        predicted = self.forest.predict(row)
        away = (self._places - (predicted, *row)) / self._unit
        most = min(NEAREST, len(away))
        nearest = np.argpartition((away**2).sum(axis=1), most - 1)[:most]
        return predicted + float(self._residuals[nearest[random.integers(most)]])


class Surrogate:
    """Predicts a training from its configuration and the value that it has come to.

    The value after the first epochs, which nearly all trainings reached, is predicted from the
    configuration; every later one as a change from the value before. Which trainings a pruner let
    go on depends on these values alone, so that what is learned from those that did go on holds for
    the others too. From the configuration alone, all would seem as good as the pruner's favourites.
    """

    def __init__(
        self, trainings: Sequence[Training], last: int, *, maximize: bool, seed: int, name: str
    ) -> None:
        trainings = trainings[:: -(-len(trainings) // MOST) or 1]
        kept = [each for each in trainings if len(each.values)]
        whole = [each for each in kept if each.covers(last)]
        if len(whole) < FEW:
            raise UsageError(
                f"the record of study {name!r} is too thin to replay this: {len(whole)} trainings "
                f"came to their end, and it takes {FEW} to predict those that did not; run more "
                "trials (sweep extend), or replay the study as it was asked"
            )
        self.scale = Scale.of(np.concatenate([each.values for each in kept]), maximize)
        points = np.unique(np.geomspace(1, last, POINTS).round().astype(int)).tolist()
        share = {p: np.mean([each.covers(p) for each in kept]) for p in points}
        self._base = max(p for p in points if share[p] >= NEARLY_ALL or p == 1)
        early = [(0, p) for p in points if p <= self._base]
        later = list(combinations(points, 2))
        self._first = Predictor(list(self._examples(kept, early)), seed)
        self._change = Predictor(list(self._examples(kept, later)), seed + 1) if later else None
        self._ends = {
            end: _hazard(trainings, end, [(0, p) for p in points] + later, seed + 2)
            for end in ("diverged", "stopped")
            if any(each.end == end for each in trainings)
        }
        self.error = self._error(whole, last)

    def follow(
        self,
        features: Floats,
        epoch: int,
        value: float | None,
        until: int,
        random: np.random.Generator,
    ) -> tuple[int, float | None]:
        """The epoch that a training comes to on its way to `until`, earlier where patience ends
        it, and its value there, None if it diverges; from its value after `epoch`."""
        luck = random.random(2)
        known = _row(features, epoch, until, 0.0)
        risk = {end: forest.predict(known) for end, forest in self._ends.items()}
        if luck[0] < risk.get("diverged", 0.0):
            return until, None
        if luck[1] < (chance := risk.get("stopped", 0.0)):
            until = epoch + max(1, round(luck[1] / chance * (until - epoch)))
        if value is None:
            epoch = min(until, self._base)
            level = self._first.draw(_row(features, 0, epoch, 0.0), random)
        else:
            level = float(self.scale.levels(np.array([value]))[0])
        if epoch < until and self._change is not None:
            level += self._change.draw(_row(features, epoch, until, level), random)
        return until, self.scale.value(level)

    def _examples(
        self, trainings: Sequence[Training], spans: Sequence[tuple[int, int]]
    ) -> Iterator[Example]:
        """What trainings came to after each span of epochs, from 0 on; else by how much they
        changed in it."""
        for each in trainings:
            levels = self.scale.levels(each.values)
            for since, until in spans:
                if each.covers(until):
                    then, now = (
                        float(levels[min(epoch, len(levels)) - 1]) if epoch else 0.0
                        for epoch in (since, until)
                    )
                    yield each.trial, _row(each.features, since, until, then), now - then

    def _error(self, whole: Sequence[Training], last: int) -> Error:
        trials = np.array([each.trial for each in whole])
        rows = np.array([_row(each.features, 0, self._base, 0.0) for each in whole])
        levels = self._first.forest.left_out(rows, trials)
        if self._change is not None and self._base < last:
            later = zip(whole, levels, strict=True)
            rows = np.array([_row(each.features, self._base, last, at) for each, at in later])
            levels = levels + self._change.forest.left_out(rows, trials)
        known = np.isfinite(levels)
        predicted = np.array([self.scale.value(level) for level in levels[known]])
        true = np.array([each.values[-1] for each in whole])[known]
        differ = len(true) > 2 and np.ptp(true) > 0 and np.ptp(predicted) > 0
        return Error(
            trials=len(true),
            rmse=float(np.sqrt(np.mean((predicted - true) ** 2))),
            spread=float(true.std()),
            rank_correlation=float(spearmanr(predicted, true)[0]) if differ else float("nan"),
        )


def _row(features: Floats, since: int, until: int, level: float) -> Floats:
    return np.array([log(since + 1), log(until), level, *features])


def _hazard(
    trainings: Sequence[Training], end: str, spans: Sequence[tuple[int, int]], seed: int
) -> Forest:
    """The probability that a training ends so in a span of epochs."""
    examples = [
        (each.trial, _row(each.features, *span, 0.0), float(ended))
        for each in trainings
        for span in spans
        if (ended := each.ended(end, *span)) is not None
    ]
    trials, x, y = (np.array(part) for part in zip(*examples, strict=True))
    return Forest(x, y, trials, seed)

"""Parzen estimators of a space: one kernel for each trial, and one for the whole space.

A kernel is a product over the parameters (Watanabe 2023, arXiv:2304.11127, section 3.3): a normal
distribution that is truncated to the range of a number, on its scale, and a histogram of choices.
Candidates and densities are those of Optuna's `_ParzenEstimator`, but for the last bits of
densities, which here come from SciPy's `ndtr` and there from a loop over `math.erfc`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers._tpe import _truncnorm
from scipy.special import ndtr

Floats = NDArray[np.float64]
Number = FloatDistribution | IntDistribution

LATEST = 25
"""Trials whose kernels weigh as much as that of the whole space; those before weigh less."""
MOST_NARROW = 100.0
"""However many kernels there are, none is narrower than the range divided by this."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """A density over some parameters."""

    weights: Floats
    """Of the kernels, the last of which is that of the whole space: (kernels,)."""
    parts: tuple["Choices | Normals", ...]
    """What the kernels are of each parameter."""

    def sample(self, rng: np.random.RandomState, size: int) -> Floats:
        """Points of the space, as Optuna's inner representation: (size, parameters)."""
        # Draw for draw, and operation for operation, what Optuna does: the same points to the bit.
        kernels = rng.choice(len(self.weights), p=self.weights, size=size)
        points = np.empty((size, len(self.parts)))
        for i, part in enumerate(self.parts):
            if isinstance(part, Choices):
                points[:, i] = part.sample(kernels, rng.rand(size))
        numbers = {i: part for i, part in enumerate(self.parts) if isinstance(part, Normals)}
        if not numbers:
            return points
        means = np.array([part.means[part.rows[kernels]] for part in numbers.values()])
        widths = np.array([part.widths[part.rows[kernels]] for part in numbers.values()])
        ends = np.array([part.ends for part in numbers.values()])
        points[:, list(numbers)] = _truncnorm.rvs(
            (ends[:, :1] - means) / widths, (ends[:, 1:] - means) / widths, means, widths, rng
        ).T
        logs = [i for i, part in numbers.items() if part.entry.log]
        points[:, logs] = np.exp(points[:, logs])
        for i, part in numbers.items():
            if (step := part.entry.step) is not None:
                low, high = part.entry.low, part.entry.high
                points[:, i] = np.clip(
                    low + np.round((points[:, i] - low) / step) * step, low, high
                )
        return points

    def log_density(self, points: Floats) -> Floats:
        """The logarithm of the density at each of the points: (points,)."""
        logs = np.zeros((len(points), len(self.weights)))
        for x, part in zip(points.T, self.parts, strict=True):
            part.add_log_density(x, logs)
        logs += np.log(self.weights)
        most = logs.max(axis=1)
        most[np.isneginf(most)] = 0.0
        logs -= most[:, np.newaxis]
        with np.errstate(divide="ignore"):
            density: Floats = np.log(np.exp(logs, out=logs).sum(axis=1)) + most
        return density


def mixture(
    entries: Sequence[BaseDistribution], observed: Floats, weights: Floats, all_trials: int
) -> Mixture:
    """The estimator from trials, (trials, parameters), that weigh so much.

    Where they are only some of all trials, their kernels are as wide as they would be among all.
    """
    weights = np.append(weights, 1.0)
    weights /= weights.sum()
    parts = tuple(_part(entry, observed[:, i], all_trials) for i, entry in enumerate(entries))
    return Mixture(weights, parts)


def faded(count: int) -> Floats:
    """Weights of trials in their order: the older, the less, down to 1 / count (Bergstra, Yamins
    and Cox 2013, ICML 28)."""
    weights = np.ones(count)
    if count > LATEST:
        weights[:-LATEST] = np.linspace(1.0 / count, 1.0, num=count - LATEST)
    return weights


def _part(entry: BaseDistribution, observed: Floats, all_trials: int) -> "Choices | Normals":
    if isinstance(entry, CategoricalDistribution):
        return Choices.around(observed.astype(int), len(entry.choices), all_trials)
    assert isinstance(entry, Number)
    return Normals.around(observed, entry, all_trials)


@dataclass(frozen=True, slots=True)
class Choices:
    """Of each kernel the probability of each choice."""

    rows: NDArray[np.int64]
    """Each kernel's row of the table: (kernels,)."""
    table: Floats
    """A row for each choice that a trial may have had, and one for the whole space."""

    @classmethod
    def around(cls, observed: NDArray[np.int64], choices: int, all_trials: int) -> "Choices":
        """A choice counts 1, and each other 1 / kernels."""
        table = np.full((choices + 1, choices), 1.0 / (all_trials + 1))
        table[np.arange(choices), np.arange(choices)] += 1
        table /= table.sum(axis=1, keepdims=True)
        return cls(np.append(observed, choices), table)

    def sample(self, kernels: NDArray[np.int64], quantiles: Floats) -> NDArray[np.int64]:
        """A choice of each of these kernels."""
        shares = np.cumsum(self.table[self.rows[kernels]], axis=-1)
        shares[:, -1] = 1.0
        chosen: NDArray[np.int64] = np.sum(shares < quantiles[:, np.newaxis], axis=-1)
        return chosen

    def add_log_density(self, x: Floats, logs: Floats) -> None:
        """Add the logarithm of each kernel's probability of each choice: (points, kernels)."""
        logs += np.log(self.table.T)[x.astype(int)][:, self.rows]


@dataclass(frozen=True, slots=True)
class Normals:
    """The truncated normal distributions of a number: those that differ, and each kernel's one."""

    entry: Number
    means: Floats
    widths: Floats
    """Their standard deviations before they are truncated: (distributions,)."""
    rows: NDArray[np.int64]
    """Each kernel's distribution: (kernels,)."""
    ends: tuple[float, float]
    """Where they are truncated."""

    @classmethod
    def around(cls, observed: Floats, entry: Number, all_trials: int) -> "Normals":
        """As wide as it is to the farther neighbour (Bergstra et al. 2011, section 4.2), who
        would be nearer the more trials are left out."""
        half = 0.0 if entry.step is None else entry.step / 2
        low, high = ends = entry.low - half, entry.high + half
        if entry.log:
            observed = np.log(observed)
            low, high = np.log(ends[0]), np.log(ends[1])
            ends = math.log(ends[0]), math.log(ends[1])  # Optuna's, which may differ in a bit
        count = len(observed)
        # Which of equal trials is the outer one is up to the sort, in Optuna as here.
        order = np.argsort(observed)
        means = np.concatenate(([low], observed[order], [high]))
        gaps = means[1:] - means[:-1]
        if count > 1:  # the ends of the range are neighbours of a single trial only
            gaps[0] = gaps[-1] = 0.0
            gaps *= count / all_trials
        widths = np.maximum(gaps, np.concatenate((gaps[1:], [high - low])))
        narrowest = (high - low) / min(MOST_NARROW, 2.0 + all_trials)
        widths = np.minimum(np.maximum(widths, narrowest), high - low)
        means = means[1:]
        means[-1] = 0.5 * (low + high)
        # Of numbers with steps many are alike.
        differs = np.ones(count + 1, dtype=bool)
        differs[1:] = (means[1:] != means[:-1]) | (widths[1:] != widths[:-1])
        rows = np.empty(count + 1, dtype=np.int64)
        rows[-1] = count
        rows[:-1][order] = np.arange(count)
        rows = (np.cumsum(differs) - 1)[rows]
        return cls(entry, means[differs], widths[differs], rows, ends)

    def add_log_density(self, x: Floats, logs: Floats) -> None:
        """Add the logarithm of each kernel's density at each point, of a number with steps its
        probability: (points, kernels)."""
        low, high = self.ends
        inside = ndtr((high - self.means) / self.widths) - ndtr((low - self.means) / self.widths)
        if self.entry.step is None:
            x = np.log(x) if self.entry.log else x
            table = (x[:, np.newaxis] - self.means) / self.widths
            table *= table
            table *= -0.5
            table -= np.log(math.sqrt(2 * math.pi) * self.widths * inside)
            table[(x < low) | (x > high)] = -np.inf
            logs += table[:, self.rows]
            return
        values, value = np.unique(x, return_inverse=True)
        left, right = values - self.entry.step / 2, values + self.entry.step / 2
        if self.entry.log:
            left, right = np.log(left), np.log(right)
        with np.errstate(divide="ignore"):
            table = np.log(self._mass(left[:, np.newaxis], right[:, np.newaxis]) / inside)
        logs += table[value][:, self.rows]

    def _mass(self, left: Floats, right: Floats) -> Floats:
        """The probability between two ends, if nothing were truncated.

        It is taken in the lower tail, where small ones are exact: what is below 1e-300 is 0, which
        a sum with the kernel of the whole space cannot tell.
        """
        a, b = (left - self.means) / self.widths, (right - self.means) / self.widths
        upper = a + b > 0
        mass: Floats = ndtr(np.where(upper, -a, b)) - ndtr(np.where(upper, -b, a))
        return mass

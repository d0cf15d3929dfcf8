"""The rows that an estimator was given: which are held out, and how columns are standardised."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

ROWS = 16_384
"""Rows standardised and predicted at a time: prediction takes the same memory for any number."""

Units = tuple[np.ndarray, np.ndarray]
"""The mean and the scale of each column."""


class Rows(NamedTuple):
    """Checked rows; y is (rows,) labels from 0, or (rows, outputs) values."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None

    def where(self, chosen: np.ndarray | slice) -> "Rows":
        """Those that a mask (rows,) or a slice chooses."""
        weights = None if self.weights is None else self.weights[chosen]
        return Rows(self.x[chosen], self.y[chosen], weights)


def held_out(y: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """A mask (rows,) of this share of the rows, at random; of labels (rows,), the same of each."""
    count = int(fraction * len(y))
    if not 0 < count < len(y):
        raise ValueError(
            f"validation_fraction must hold out at least 1 of the {len(y)} rows and leave 1, "
            f"not {fraction}; with patience=0 none are held out"
        )
    order = np.random.default_rng(seed).permutation(len(y))
    if y.ndim == 1:
        order = order[np.argsort(y[order], kind="stable")]
    mask = np.zeros(len(y), bool)
    mask[order[((np.arange(count) + 0.5) * len(y) / count).astype(int)]] = True
    return mask


def moments(values: np.ndarray, weights: np.ndarray | None, least: float) -> Units:
    """Mean and standard deviation of each column, 1 where it varies by less than `least`."""
    if weights is None:
        weights = np.ones(len(values))
    blocks = [slice(i, i + ROWS) for i in range(0, len(values), ROWS)]

    def average(function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        sums = [(weights[b, np.newaxis] * function(values[b])).sum(axis=0) for b in blocks]
        return np.asarray(np.sum(sums, axis=0) / weights.sum())

    mean = average(lambda block: block)
    scale = np.sqrt(average(lambda block: np.square(block - mean)))
    # Not where scale is 0: by rounding, it may be a little more.
    scale[np.ptp(values, axis=0) < least] = 1
    return mean, scale


def no_units(columns: int) -> Units:
    """Those of values that stay as they are."""
    return np.zeros(columns), np.ones(columns)


def standardized(x: np.ndarray, units: Units, dtype: str) -> np.ndarray:
    """(x - mean) / scale in this dtype, (rows, columns)."""
    mean, scale = units
    scaled: np.ndarray = np.subtract(x, mean, out=np.empty(x.shape, dtype))
    scaled /= scale
    return scaled

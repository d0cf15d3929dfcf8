"""How near trials are to some points: of many, those far away have no say and can be left out."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution

from sweep.tpe.parzen import MOST_NARROW, Number

UNLIKE = 3.0
"""Another choice is as far as a number that a narrow kernel finds as improbable: by exp(-9), which
is about what a kernel of thousands has for it."""

Coordinates = NDArray[np.float32]


def dimensions(entry: BaseDistribution) -> int:
    """How many coordinates a parameter has."""
    return len(entry.choices) if isinstance(entry, CategoricalDistribution) else 1


def coordinates(entries: Iterable[BaseDistribution], point: Iterable[float]) -> list[float]:
    """Of a point in Optuna's inner representation: of a number one, in widths of the narrowest
    kernel on its scale, and of a choice one for each that it could be."""
    return [c for entry, x in zip(entries, point, strict=True) for c in _coordinates(entry, x)]


def _coordinates(entry: BaseDistribution, x: float) -> list[float]:
    if isinstance(entry, CategoricalDistribution):
        return [UNLIKE * (x == i) for i in range(len(entry.choices))]
    assert isinstance(entry, Number)
    if entry.single():
        return [0.0]
    low, high = float(entry.low), float(entry.high)
    if entry.log:
        x, low, high = math.log(x), math.log(low), math.log(high)
    return [MOST_NARROW * (x - low) / (high - low)]


def loss(trials: Coordinates, points: Coordinates) -> Coordinates:
    """About what the logarithm of each trial's kernel has lost at that of the points where it has
    lost the least, half of the squared distance: (trials,).

    Of trials, (dimensions, trials), and points, (points, dimensions).
    """
    shared = points @ trials
    shared -= (points**2).sum(axis=1, keepdims=True) / 2
    lost: Coordinates = np.einsum("ij,ij->j", trials, trials) / 2 - shared.max(axis=0)
    return lost

"""Optimizers: updates of one flat vector in place, without allocation.

An update may use the gradient as scratch space. `step` counts from 1.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple, Protocol

import numpy as np

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Update(Protocol):
    """One step: `parameters` and `moments` change in place."""

    def __call__(
        self,
        parameters: np.ndarray,
        gradient: np.ndarray,
        moments: Mapping[str, np.ndarray],
        *,
        step: int,
        learning_rate: float,
        momentum: float,
    ) -> None: ...


class Optimizer(NamedTuple):
    """An update and the names of the moments it keeps, which start at zero."""

    update: Update
    moments: tuple[str, ...] = ()


def sgd(
    parameters: np.ndarray,
    gradient: np.ndarray,
    moments: Mapping[str, np.ndarray],
    *,
    step: int,
    learning_rate: float,
    momentum: float,
) -> None:
    """p -= learning_rate g."""
    gradient *= learning_rate
    parameters -= gradient


def heavy_ball(
    parameters: np.ndarray,
    gradient: np.ndarray,
    moments: Mapping[str, np.ndarray],
    *,
    step: int,
    learning_rate: float,
    momentum: float,
) -> None:
    """v = momentum v + g, then p -= learning_rate v (Polyak 1964, in PyTorch's form)."""
    velocity = moments["velocity"]
    velocity *= momentum
    velocity += gradient
    np.multiply(velocity, learning_rate, out=gradient)
    parameters -= gradient


def adam(
    parameters: np.ndarray,
    gradient: np.ndarray,
    moments: Mapping[str, np.ndarray],
    *,
    step: int,
    learning_rate: float,
    momentum: float,
) -> None:
    """Adam with betas 0.9 and 0.999 (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1).

    The moments are kept as plain discounted sums, m / (1 - beta1) and v / (1 - beta2): two passes
    over memory fewer. The factors they lack, and the bias corrections, go into two scalars.
    """
    first, second = moments["first"], moments["second"]
    first *= BETA1
    first += gradient
    np.square(gradient, out=gradient)
    second *= BETA2
    second += gradient

    mean = (1 - BETA1) / (1 - BETA1**step)
    deviation = math.sqrt((1 - BETA2) / (1 - BETA2**step))
    np.sqrt(second, out=gradient)
    gradient += EPSILON / deviation
    np.divide(first, gradient, out=gradient)
    gradient *= learning_rate * mean / deviation
    parameters -= gradient


OPTIMIZERS = {
    "adam": Optimizer(adam, ("first", "second")),
    "momentum": Optimizer(heavy_ball, ("velocity",)),
    "sgd": Optimizer(sgd),
}

"""Losses from raw outputs, each with its gradient fused.

A loss takes raw outputs and targets, both (outputs, rows), writes the gradient of its mean with
respect to the raw outputs, and returns that mean. It may overwrite the raw outputs.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np


def softmax_cross_entropy(outputs: np.ndarray, targets: np.ndarray, gradient: np.ndarray) -> float:
    """Mean over rows of -sum_k t_k log softmax(outputs)_k, where a row's targets sum to 1."""
    outputs -= outputs.max(axis=0)
    np.multiply(outputs, targets, out=gradient)
    chosen = gradient.sum()
    # No smaller probability matters, and subnormal ones make the matrix products crawl.
    np.maximum(outputs, -50, out=outputs)
    np.exp(outputs, out=gradient)
    sums = gradient.sum(axis=0)
    gradient /= sums
    gradient -= targets
    gradient *= 1 / len(sums)
    return float(np.log(sums).sum() - chosen) / len(sums)


def sigmoid_cross_entropy(outputs: np.ndarray, targets: np.ndarray, gradient: np.ndarray) -> float:
    """Mean over rows and outputs of -t log s - (1 - t) log(1 - s), where s = sigmoid(outputs).

    Computed as max(z, 0) - z t + log(1 + exp(-|z|)), which neither overflows nor cancels.
    """
    np.absolute(outputs, out=gradient)
    np.negative(gradient, out=gradient)
    np.exp(gradient, out=gradient)
    np.log1p(gradient, out=gradient)
    gradient += np.maximum(outputs, 0)
    gradient -= outputs * targets
    loss = float(gradient.mean())
    np.multiply(outputs, 0.5, out=gradient)
    np.tanh(gradient, out=gradient)
    gradient *= 0.5
    gradient += 0.5
    gradient -= targets
    gradient *= 1 / gradient.size
    return loss


def mean_squared(outputs: np.ndarray, targets: np.ndarray, gradient: np.ndarray) -> float:
    """Mean over rows and outputs of the squared difference."""
    np.subtract(outputs, targets, out=gradient)
    np.square(gradient, out=outputs)
    gradient *= 2 / gradient.size
    return float(outputs.mean())


def softmax(outputs: np.ndarray) -> np.ndarray:
    """Probabilities of the classes (outputs, rows)."""
    powers = np.exp(outputs - outputs.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0))


def normalized_sigmoid(outputs: np.ndarray) -> np.ndarray:
    """Each class's own probability, scaled so that a row's sum to 1 (outputs, rows)."""
    # softmax of log sigmoid(z): the ratio survives where every sigmoid underflows.
    return softmax(-np.logaddexp(0, -outputs))


class Loss(NamedTuple):
    """A loss, the data it suits, and how raw outputs become probabilities."""

    function: Callable[[np.ndarray, np.ndarray, np.ndarray], float]
    """`function(outputs, targets, gradient)`, see above."""

    kind: Literal["classification", "regression"] | None = None
    """The data it suits; None is either."""

    probabilities: Callable[[np.ndarray], np.ndarray] | None = None
    """Raw outputs to probabilities, both (outputs, rows); None if it has none."""


LOSSES = {
    "mean_squared": Loss(mean_squared),
    "sigmoid_cross_entropy": Loss(sigmoid_cross_entropy, "classification", normalized_sigmoid),
    "softmax_cross_entropy": Loss(softmax_cross_entropy, "classification", softmax),
}

"""Gradients of the losses with respect to the raw outputs, under the losses' own names.

Each takes raw outputs and targets (outputs, rows), the `gradient` to write, and weights w (rows,)
or None for all 1. The raw outputs stay as they are. The loss is sum_r w_r l_r / rows, where l_r is
the mean over several outputs, of which there are `size` in all rows together.
"""

import math

import numpy as np

LEAST_LOG_VARIANCE = math.log(1e-6)
"""Of `gaussian_nll`, as in PyTorch's GaussianNLLLoss."""


LEAST_LOG_PROBABILITY = np.array(-50, np.float32)
"""Of `softmax_cross_entropy`."""


def softmax_cross_entropy(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
) -> None:
    """w_r (softmax(outputs) - t) / rows."""
    # Reductions by their ufuncs cost half of those by their methods on small arrays.
    np.subtract(outputs, np.maximum.reduce(outputs), out=gradient)
    # No smaller probability matters, and subnormal ones make the matrix products crawl.
    np.maximum(gradient, LEAST_LOG_PROBABILITY, out=gradient)
    np.exp(gradient, out=gradient)
    gradient /= np.add.reduce(gradient)
    gradient -= targets
    _scale(gradient, weights, 1 / outputs.shape[1])


def sigmoid_cross_entropy(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
) -> None:
    """w_r (sigmoid(outputs) - t) / size."""
    np.multiply(outputs, 0.5, out=gradient)
    np.tanh(gradient, out=gradient)
    gradient *= 0.5
    gradient += 0.5
    gradient -= targets
    _scale(gradient, weights, 1 / gradient.size)


def hinge(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
) -> None:
    """-w_r (2 t - 1) / size where the loss is above 0."""
    np.multiply(targets, -2, out=gradient)
    gradient += 1
    gradient *= gradient * outputs > -1
    _scale(gradient, weights, 1 / gradient.size)


def mean_squared(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
) -> None:
    """2 w_r (z - t) / size."""
    np.subtract(outputs, targets, out=gradient)
    _scale(gradient, weights, 2 / gradient.size)


def mean_absolute(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
) -> None:
    """w_r sign(z - t) / size."""
    np.sign(outputs - targets, out=gradient)
    _scale(gradient, weights, 1 / gradient.size)


def huber(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    huber_delta: float = 1.0,
) -> None:
    """w_r (z - t clipped to +/- delta) / size."""
    np.subtract(outputs, targets, out=gradient)
    np.clip(gradient, -huber_delta, huber_delta, out=gradient)
    _scale(gradient, weights, 1 / gradient.size)


def quantile(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    quantile: float = 0.5,
) -> None:
    """w_r (1[z > t] - q) / size."""
    np.greater(outputs, targets, out=gradient)
    gradient -= quantile
    _scale(gradient, weights, 1 / gradient.size)


def poisson(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
) -> None:
    """w_r (exp(z) - t) / size."""
    np.exp(outputs, out=gradient)
    gradient -= targets
    _scale(gradient, weights, 1 / gradient.size)


def gaussian_nll(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
) -> None:
    """w_r (z - t) exp(-s) / size over w_r (1 - (t - m)^2 exp(-s)) / (2 size)."""
    n = len(targets)
    errors, excess = gradient[:n], gradient[n:]
    np.subtract(outputs[:n], targets, out=errors)
    np.maximum(outputs[n:], LEAST_LOG_VARIANCE, out=excess)
    np.negative(excess, out=excess)
    np.exp(excess, out=excess)
    squares = np.square(errors)
    squares *= excess
    errors *= excess
    np.subtract(0.5, 0.5 * squares, out=excess)
    _scale(gradient, weights, 1 / targets.size)


def _scale(gradient: np.ndarray, weights: np.ndarray | None, factor: float) -> None:
    # A Python number would take 0.2 us more a call.
    gradient *= np.array(factor, gradient.dtype) if weights is None else weights * factor

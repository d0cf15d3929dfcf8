"""Losses from raw outputs, each with its gradient fused.

A loss takes raw outputs and targets (outputs, rows), and weights (rows,) or None for all 1. It
returns sum_r w_r l_r / rows, where l_r is a row's loss, writes the gradient of that with respect to
the raw outputs, and may overwrite the raw outputs. Over several outputs, l_r is their mean, except
where it says otherwise.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

LEAST_LOG_VARIANCE = math.log(1e-6)
"""Of `gaussian_nll`, as in PyTorch's GaussianNLLLoss."""


def softmax_cross_entropy(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
) -> float:
    """-sum_k t_k log softmax(outputs)_k, where a row's targets sum to 1."""
    outputs -= outputs.max(axis=0)
    np.multiply(outputs, targets, out=gradient)
    if weights is not None:
        gradient *= weights
    chosen = gradient.sum()
    # No smaller probability matters, and subnormal ones make the matrix products crawl.
    np.maximum(outputs, -50, out=outputs)
    np.exp(outputs, out=gradient)
    sums = gradient.sum(axis=0)
    gradient /= sums
    gradient -= targets
    _scale(gradient, weights, 1 / len(sums))
    logarithms = np.log(sums)
    if weights is not None:
        logarithms *= weights
    return float(logarithms.sum() - chosen) / len(sums)


def sigmoid_cross_entropy(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
) -> float:
    """-t log s - (1 - t) log(1 - s), where s = sigmoid(outputs) and t is from 0 to 1.

    Computed as max(z, 0) - z t + log(1 + exp(-|z|)), which neither overflows nor cancels. One
    output is binary classification, several are classes or labels that do not exclude each other.
    """
    np.absolute(outputs, out=gradient)
    np.negative(gradient, out=gradient)
    np.exp(gradient, out=gradient)
    np.log1p(gradient, out=gradient)
    gradient += np.maximum(outputs, 0)
    gradient -= outputs * targets
    loss = _mean(gradient, weights)
    np.multiply(outputs, 0.5, out=gradient)
    np.tanh(gradient, out=gradient)
    gradient *= 0.5
    gradient += 0.5
    gradient -= targets
    _scale(gradient, weights, 1 / gradient.size)
    return loss


def hinge(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
) -> float:
    """max(0, 1 - (2 t - 1) z) for targets 0 or 1: each class against all the others.

    Rifkin and Klautau 2004, In Defense of One-Vs-All Classification, JMLR 5, section 2.
    """
    np.multiply(targets, -2, out=gradient)
    gradient += 1
    outputs *= gradient
    outputs += 1
    gradient *= outputs > 0
    np.maximum(outputs, 0, out=outputs)
    _scale(gradient, weights, 1 / gradient.size)
    return _mean(outputs, weights)


def mean_squared(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
) -> float:
    """The squared difference; scikit-learn minimises half of it."""
    np.subtract(outputs, targets, out=gradient)
    np.square(gradient, out=outputs)
    _scale(gradient, weights, 2 / gradient.size)
    return _mean(outputs, weights)


def mean_absolute(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
) -> float:
    """The absolute difference; its derivative at zero is zero."""
    outputs -= targets
    np.sign(outputs, out=gradient)
    np.absolute(outputs, out=outputs)
    _scale(gradient, weights, 1 / gradient.size)
    return _mean(outputs, weights)


def huber(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    huber_delta: float = 1.0,
) -> float:
    """e^2 / 2 up to a difference of delta, and delta (|e| - delta / 2) beyond (Huber 1964).

    Computed as c (e - c / 2), where c is e clipped to +/- delta, which is also the derivative.
    """
    outputs -= targets
    np.clip(outputs, -huber_delta, huber_delta, out=gradient)
    outputs -= 0.5 * gradient
    outputs *= gradient
    _scale(gradient, weights, 1 / gradient.size)
    return _mean(outputs, weights)


def quantile(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    quantile: float = 0.5,
) -> float:
    """q (t - z) where t >= z, else (1 - q) (z - t): least at the q-quantile of the targets.

    The check function of Koenker and Bassett 1978, also called the pinball loss.
    """
    np.greater(outputs, targets, out=gradient)
    gradient -= quantile
    outputs -= targets
    outputs *= gradient
    _scale(gradient, weights, 1 / gradient.size)
    return _mean(outputs, weights)


def poisson(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
) -> float:
    """exp(z) - t z: the negative log-likelihood of counts t of mean exp(z), without log(t!)."""
    np.exp(outputs, out=gradient)
    outputs *= targets
    np.subtract(gradient, outputs, out=outputs)
    gradient -= targets
    _scale(gradient, weights, 1 / gradient.size)
    return _mean(outputs, weights)


def gaussian_nll(
    outputs: np.ndarray,
    targets: np.ndarray,
    gradient: np.ndarray,
    weights: np.ndarray | None = None,
) -> float:
    """(s + (t - m)^2 exp(-s)) / 2, where outputs are the means m over the log variances s.

    Outputs and gradient are (2 targets, rows). Nix and Weigend 1994, without log(2 pi) / 2.
    """
    n = len(targets)
    means, log_variances = outputs[:n], outputs[n:]
    # For the loss and both gradients, as in PyTorch: else a variance that is too small could not
    # grow again.
    np.maximum(log_variances, LEAST_LOG_VARIANCE, out=log_variances)
    errors, excess = gradient[:n], gradient[n:]
    np.subtract(means, targets, out=errors)
    np.square(errors, out=means)
    np.negative(log_variances, out=excess)
    np.exp(excess, out=excess)
    errors *= excess
    means *= excess
    log_variances += means
    np.subtract(0.5, 0.5 * means, out=excess)
    _scale(gradient, weights, 1 / targets.size)
    return _mean(log_variances, weights) / 2


def _scale(gradient: np.ndarray, weights: np.ndarray | None, factor: float) -> None:
    gradient *= factor if weights is None else weights * factor


def _mean(losses: np.ndarray, weights: np.ndarray | None) -> float:
    if weights is not None:
        losses *= weights
    return float(losses.mean())


def softmax(outputs: np.ndarray) -> np.ndarray:
    """Probabilities of the classes (outputs, rows)."""
    powers = np.exp(outputs - outputs.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0))


def normalized_sigmoid(outputs: np.ndarray) -> np.ndarray:
    """Each class's own probability, scaled so that a row's sum to 1 (outputs, rows)."""
    # softmax of log sigmoid(z): the ratio survives where every sigmoid underflows.
    return softmax(-np.logaddexp(0, -outputs))


def sigmoid(outputs: np.ndarray) -> np.ndarray:
    """Each output's own probability (outputs, rows)."""
    return np.asarray((1 + np.tanh(outputs / 2)) / 2)


def means(outputs: np.ndarray) -> np.ndarray:
    """The first half of the outputs (2 targets, rows)."""
    return outputs[: len(outputs) // 2]


class Loss(NamedTuple):
    """A loss, the data it suits, and what its raw outputs say."""

    function: Callable[..., float]
    """`function(outputs, targets, gradient, weights=None, **options)`, see above."""

    kind: Literal["classification", "regression"] | None = None
    """The data it suits; None is either."""

    probabilities: Callable[[np.ndarray], np.ndarray] | None = None
    """Raw outputs to probabilities of classes, both (outputs, rows); None if it has none."""

    values: Callable[[np.ndarray], np.ndarray] | None = None
    """Raw outputs (outputs, rows) to predicted values (targets, rows); None if they are them."""

    target_range: tuple[float, float] = (-math.inf, math.inf)
    """Least and greatest target that it is defined for."""

    options: tuple[str, ...] = ()
    """The fields of TrainConfig that it takes as keywords."""

    outputs_per_target: int = 1


LOSSES = {
    "gaussian_nll": Loss(gaussian_nll, "regression", values=means, outputs_per_target=2),
    "hinge": Loss(hinge, "classification", target_range=(0, 1)),
    "huber": Loss(huber, "regression", options=("huber_delta",)),
    "mean_absolute": Loss(mean_absolute, "regression"),
    "mean_squared": Loss(mean_squared),
    "poisson": Loss(poisson, "regression", values=np.exp, target_range=(0, math.inf)),
    "quantile": Loss(quantile, "regression", options=("quantile",)),
    "sigmoid_cross_entropy": Loss(
        sigmoid_cross_entropy, "classification", normalized_sigmoid, sigmoid, (0, 1)
    ),
    "softmax_cross_entropy": Loss(
        softmax_cross_entropy, "classification", softmax, target_range=(0, 1)
    ),
}

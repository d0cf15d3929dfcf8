"""Losses from raw outputs, each fused with what makes the outputs probabilities, and its gradient.

A loss takes raw outputs and targets (outputs, rows), and weights (rows,) or None for all 1. It
returns sum_r w_r l_r / rows, where l_r is a row's loss, and may overwrite the raw outputs. Over
several outputs, l_r is their mean, except where it says otherwise. Its gradient with respect to the
raw outputs is a function of its own, in `trainer.gradients`: a step of training needs no value.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from trainer import gradients
from trainer.gradients import LEAST_LOG_VARIANCE


def softmax_cross_entropy(
    outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """-sum_k t_k log softmax(outputs)_k, where a row's targets sum to 1."""
    outputs -= np.maximum.reduce(outputs)
    chosen = np.einsum("or,or->r", outputs, targets)
    losses = np.log(np.add.reduce(np.exp(outputs, out=outputs)))
    losses -= chosen
    return _mean(losses, weights)


def sigmoid_cross_entropy(
    outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """-t log s - (1 - t) log(1 - s), where s = sigmoid(outputs) and t is from 0 to 1.

    Computed as max(z, 0) - z t + log(1 + exp(-|z|)), which neither overflows nor cancels. One
    output is binary classification, several are classes or labels that do not exclude each other.
    """
    losses = np.absolute(outputs)
    np.negative(losses, out=losses)
    np.exp(losses, out=losses)
    np.log1p(losses, out=losses)
    losses += np.maximum(outputs, 0)
    outputs *= targets
    losses -= outputs
    return _mean(losses, weights)


def hinge(outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> float:
    """max(0, 1 - (2 t - 1) z) for targets 0 or 1: each class against all the others.

    Rifkin and Klautau 2004, In Defense of One-Vs-All Classification, JMLR 5, section 2.
    """
    outputs *= 1 - 2 * targets
    outputs += 1
    np.maximum(outputs, 0, out=outputs)
    return _mean(outputs, weights)


def mean_squared(
    outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """The squared difference; scikit-learn minimises half of it."""
    outputs -= targets
    np.square(outputs, out=outputs)
    return _mean(outputs, weights)


def mean_absolute(
    outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """The absolute difference; its derivative at zero is zero."""
    outputs -= targets
    np.absolute(outputs, out=outputs)
    return _mean(outputs, weights)


def huber(
    outputs: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    huber_delta: float = 1.0,
) -> float:
    """e^2 / 2 up to a difference of delta, and delta (|e| - delta / 2) beyond (Huber 1964).

    Computed as c (e - c / 2), where c is e clipped to +/- delta, which is also the derivative.
    """
    outputs -= targets
    clipped = np.clip(outputs, -huber_delta, huber_delta)
    outputs -= 0.5 * clipped
    outputs *= clipped
    return _mean(outputs, weights)


def quantile(
    outputs: np.ndarray,
    targets: np.ndarray,
    weights: np.ndarray | None = None,
    *,
    quantile: float = 0.5,
) -> float:
    """q (t - z) where t >= z, else (1 - q) (z - t): least at the q-quantile of the targets.

    The check function of Koenker and Bassett 1978, also called the pinball loss.
    """
    outputs -= targets
    outputs *= (outputs > 0) - outputs.dtype.type(quantile)
    return _mean(outputs, weights)


def poisson(outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None) -> float:
    """exp(z) - t z: the negative log-likelihood of counts t of mean exp(z), without log(t!)."""
    losses = np.exp(outputs)
    outputs *= targets
    losses -= outputs
    return _mean(losses, weights)


def gaussian_nll(
    outputs: np.ndarray, targets: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """(s + (t - m)^2 exp(-s)) / 2, where outputs are the means m over the log variances s.

    Outputs are (2 targets, rows). Nix and Weigend 1994, without log(2 pi) / 2.
    """
    means, log_variances = outputs[: len(targets)], outputs[len(targets) :]
    # For the loss and both gradients, as in PyTorch: else a variance that is too small could not
    # grow again.
    np.maximum(log_variances, LEAST_LOG_VARIANCE, out=log_variances)
    means -= targets
    np.square(means, out=means)
    means *= np.exp(-log_variances)
    log_variances += means
    return _mean(log_variances, weights) / 2


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
    """`function(outputs, targets, weights=None, **options)`, see above."""

    gradient: Callable[..., None]
    """`gradient(outputs, targets, gradient, weights=None, **options)` writes into `gradient`."""

    kinds: tuple[str, ...]
    """The data it suits: "classification", "multilabel" or "regression"."""

    probabilities: Callable[[np.ndarray], np.ndarray] | None = None
    """Raw outputs to probabilities of classes, both (outputs, rows); None if it has none."""

    values: Callable[[np.ndarray], np.ndarray] | None = None
    """Raw outputs (outputs, rows) to predicted values (targets, rows); None if they are them."""

    target_range: tuple[float, float] = (-math.inf, math.inf)
    """Least and greatest target that it is defined for."""

    options: tuple[str, ...] = ()
    """The fields of TrainConfig that it takes as keywords."""

    outputs_per_target: int = 1

    log_density: bool = False
    """Whether it is minus the logarithm of a density or count, of which only differences mean
    anything: 0 is no end, and 1 is one nat."""


LOSSES = {
    "gaussian_nll": Loss(
        gaussian_nll,
        gradients.gaussian_nll,
        ("regression",),
        values=means,
        outputs_per_target=2,
        log_density=True,
    ),
    "hinge": Loss(hinge, gradients.hinge, ("classification",), target_range=(0, 1)),
    "huber": Loss(huber, gradients.huber, ("regression",), options=("huber_delta",)),
    "mean_absolute": Loss(mean_absolute, gradients.mean_absolute, ("regression",)),
    "mean_squared": Loss(mean_squared, gradients.mean_squared, ("classification", "regression")),
    "poisson": Loss(
        poisson,
        gradients.poisson,
        ("regression",),
        values=np.exp,
        target_range=(0, math.inf),
        log_density=True,
    ),
    "quantile": Loss(quantile, gradients.quantile, ("regression",), options=("quantile",)),
    "sigmoid_cross_entropy": Loss(
        sigmoid_cross_entropy,
        gradients.sigmoid_cross_entropy,
        ("classification", "multilabel"),
        normalized_sigmoid,
        sigmoid,
        (0, 1),
    ),
    "softmax_cross_entropy": Loss(
        softmax_cross_entropy,
        gradients.softmax_cross_entropy,
        ("classification",),
        softmax,
        target_range=(0, 1),
    ),
}

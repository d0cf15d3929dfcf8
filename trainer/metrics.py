"""Metrics of a validation set: predictions (rows, outputs) against the targets of the data.

Predictions are class probabilities where the loss gives them, and raw outputs elsewhere. Targets
are labels (rows,) in classification and values (rows, outputs) in regression. Everything is
computed in float64; with several outputs, a metric is the mean of each output's.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np


def accuracy(predictions: np.ndarray, labels: np.ndarray) -> float:
    """Share of the rows whose largest prediction is at the label."""
    return float((predictions.argmax(axis=1) == labels).mean())


def log_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of -log of the probability given to the label, clipped at the dtype's epsilon."""
    epsilon = np.finfo(probabilities.dtype).eps
    chosen = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.clip(chosen, epsilon, 1)).mean())


def rmse(predictions: np.ndarray, values: np.ndarray) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(_squared_errors(predictions, values).mean(axis=0)).mean())


def mae(predictions: np.ndarray, values: np.ndarray) -> float:
    """Mean absolute error."""
    return float(np.absolute(np.subtract(predictions, values, dtype=np.float64)).mean())


def r2(predictions: np.ndarray, values: np.ndarray) -> float:
    """1 - squared error / variance of the targets; constant targets score 1 if exact, else 0."""
    errors = _squared_errors(predictions, values).sum(axis=0)
    spread = _squared_errors(values, values.mean(axis=0, dtype=np.float64)).sum(axis=0)
    ratio = np.divide(errors, spread, out=(errors > 0).astype(np.float64), where=spread > 0)
    return float((1 - ratio).mean())


def _squared_errors(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.square(np.subtract(a, b, dtype=np.float64)))


class Metric(NamedTuple):
    """A metric, which way is better, and the data it suits."""

    function: Callable[[np.ndarray, np.ndarray], float] | None
    """`function(predictions, targets)`; None is the validation loss itself."""

    direction: Literal["maximize", "minimize"]

    kind: Literal["classification", "regression"] | None = None
    """The data it suits; None is either."""

    needs_probabilities: bool = False


METRICS = {
    "accuracy": Metric(accuracy, "maximize", "classification"),
    "log_loss": Metric(log_loss, "minimize", "classification", needs_probabilities=True),
    "loss": Metric(None, "minimize"),
    "mae": Metric(mae, "minimize", "regression"),
    "r2": Metric(r2, "maximize", "regression"),
    "rmse": Metric(rmse, "minimize", "regression"),
}

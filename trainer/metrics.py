"""The table of metrics of a validation set, by scikit-learn's names for their scores.

A metric compares what a network says of rows with their targets. With more than one output, a
metric of values is the mean of each output's.
"""

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from trainer import classification as of_classes
from trainer import regression as of_values

CLASSES, INDICATORS, VALUES = ("classification",), ("multilabel",), ("regression",)
LABELS = CLASSES + INDICATORS


class Metric(NamedTuple):
    """A metric, which way is better, and the data it suits."""

    function: Callable[[np.ndarray, np.ndarray], float] | None
    """`function(response, targets)`; None is the validation loss itself."""

    direction: Literal["maximize", "minimize"]

    kinds: tuple[str, ...]
    """The data it suits: "classification", "multilabel" or "regression"."""

    response_method: Literal["predict", "decision_function", "predict_proba"] = "predict"
    """What it takes, as of scikit-learn's scorers: labels or values, scores that rank the rows, or
    probabilities."""

    for_many: str | None = None
    """The metric to use with more than two classes, for one of class 1 against class 0."""

    every_class: bool = False
    """Whether it is NaN on rows without some class, or all of which have, or lack, some label."""

    from_zero: bool = False
    """Whether it would change if predictions and targets were shifted alike."""

    above: float = -math.inf
    """What targets must be above."""

    @property
    def needs_probabilities(self) -> bool:
        return self.response_method == "predict_proba"


METRICS = {
    "accuracy": Metric(of_classes.accuracy, "maximize", LABELS),
    "average_precision": Metric(
        of_classes.average_precision,
        "maximize",
        LABELS,
        "decision_function",
        for_many="roc_auc_ovr",
    ),
    "balanced_accuracy": Metric(of_classes.balanced_accuracy, "maximize", CLASSES),
    "brier_score": Metric(of_classes.brier_score, "minimize", CLASSES, "predict_proba"),
    "explained_variance": Metric(of_values.explained_variance, "maximize", VALUES),
    "f1": Metric(of_classes.f1, "maximize", CLASSES, for_many="f1_macro"),
    "f1_macro": Metric(of_classes.f1_macro, "maximize", LABELS),
    "f1_micro": Metric(of_classes.f1_micro, "maximize", LABELS),
    "f1_samples": Metric(of_classes.f1_samples, "maximize", INDICATORS),
    "f1_weighted": Metric(of_classes.f1_weighted, "maximize", LABELS),
    "hamming_loss": Metric(of_classes.hamming_loss, "minimize", INDICATORS),
    "log_loss": Metric(of_classes.log_loss, "minimize", LABELS, "predict_proba"),
    "loss": Metric(None, "minimize", LABELS + VALUES),
    "mae": Metric(of_values.mae, "minimize", VALUES),
    "mape": Metric(of_values.mape, "minimize", VALUES, from_zero=True),
    "matthews_corrcoef": Metric(of_classes.matthews_corrcoef, "maximize", CLASSES),
    "max_error": Metric(of_values.max_error, "minimize", VALUES),
    "median_absolute_error": Metric(of_values.median_absolute_error, "minimize", VALUES),
    "mse": Metric(of_values.mse, "minimize", VALUES),
    "precision": Metric(of_classes.precision, "maximize", CLASSES, for_many="precision_macro"),
    "precision_macro": Metric(of_classes.precision_macro, "maximize", LABELS),
    "r2": Metric(of_values.r2, "maximize", VALUES),
    "recall": Metric(of_classes.recall, "maximize", CLASSES, for_many="recall_macro"),
    "recall_macro": Metric(of_classes.recall_macro, "maximize", LABELS),
    "rmse": Metric(of_values.rmse, "minimize", VALUES),
    "rmsle": Metric(of_values.rmsle, "minimize", VALUES, from_zero=True, above=-1),
    "roc_auc": Metric(
        of_classes.roc_auc,
        "maximize",
        LABELS,
        "decision_function",
        for_many="roc_auc_ovr",
        every_class=True,
    ),
    "roc_auc_ovr": Metric(
        of_classes.roc_auc_ovr, "maximize", CLASSES, "predict_proba", every_class=True
    ),
}

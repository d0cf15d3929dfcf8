"""Metrics of classes and of multilabel targets, as scikit-learn defines them.

Of classes, predictions and targets are labels (rows,), and a label that no row has in either is
left out of a mean; of multilabel targets, both are (rows, labels) of 0 and 1, and every label
counts. What is divided by zero is 0. Scores (rows,) of two classes, or (rows, labels), rank the
rows: any numbers that are higher where class 1, or the label, is more likely. All is in float64.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Counts(NamedTuple):
    """Of each label, (labels,)."""

    right: np.ndarray
    """Rows that have it and were predicted to."""

    predicted: np.ndarray
    true: np.ndarray

    @classmethod
    def of(cls, predictions: np.ndarray, targets: np.ndarray, axis: int = 0) -> "Counts":
        """Along an axis of indicators (rows, labels), or of the classes that some row has."""
        if targets.ndim == 2:
            pairs = (predictions * targets, predictions, targets)
            return cls(*(each.sum(axis=axis, dtype=np.float64) for each in pairs))
        parts = (targets[predictions == targets], predictions, targets)
        most = max(int(predictions.max()), int(targets.max())) + 1
        right, predicted, true = (np.bincount(part, minlength=most) for part in parts)
        found = predicted + true > 0
        return cls(right[found], predicted[found], true[found])

    @property
    def precision(self) -> np.ndarray:
        """Share of the rows predicted to have a label that have it."""
        return _ratio(self.right, self.predicted)

    @property
    def recall(self) -> np.ndarray:
        """Share of the rows that have a label that were predicted to."""
        return _ratio(self.right, self.true)

    @property
    def f1(self) -> np.ndarray:
        """Harmonic mean of the two."""
        return _ratio(2 * self.right, self.predicted + self.true)


def accuracy(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Share of the rows whose label is predicted, or all of whose labels are."""
    right = predictions == targets
    return float((right if right.ndim == 1 else right.all(axis=1)).mean())


def balanced_accuracy(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Mean recall of the classes that the targets have."""
    counts = Counts.of(predictions, targets)
    return float(counts.recall[counts.true > 0].mean())


def precision(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Of class 1, of two classes."""
    return float(_of_class_1(predictions, targets).precision[0])


def recall(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Of class 1, of two classes."""
    return float(_of_class_1(predictions, targets).recall[0])


def f1(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Of class 1, of two classes."""
    return float(_of_class_1(predictions, targets).f1[0])


def precision_macro(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Mean over the labels."""
    return float(Counts.of(predictions, targets).precision.mean())


def recall_macro(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Mean over the labels."""
    return float(Counts.of(predictions, targets).recall.mean())


def f1_macro(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Mean over the labels."""
    return float(Counts.of(predictions, targets).f1.mean())


def f1_micro(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Of the counts summed over the labels; the accuracy, where each row has one."""
    sums = Counts(*(np.atleast_1d(count.sum()) for count in Counts.of(predictions, targets)))
    return float(sums.f1[0])


def f1_weighted(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Mean over the labels, each weighted by the rows that have it."""
    counts = Counts.of(predictions, targets)
    return float(_ratio(counts.f1 @ counts.true, counts.true.sum()))


def f1_samples(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Mean over the rows of indicators (rows, labels)."""
    return float(Counts.of(predictions, targets, axis=1).f1.mean())


def hamming_loss(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Share of the indicators (rows, labels) that are predicted wrong."""
    return float((predictions != targets).mean())


def matthews_corrcoef(predictions: np.ndarray, targets: np.ndarray) -> float:
    """Correlation of predicted and true classes; 0 where either are all of one class."""
    right, predicted, true = (count.astype(np.float64) for count in Counts.of(predictions, targets))
    rows = len(targets)
    both = right.sum() * rows - predicted @ true
    each = (rows * rows - predicted @ predicted) * (rows * rows - true @ true)
    return float(_ratio(both, np.sqrt(each)))


def log_loss(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Mean of -log of the probability given to what is true, clipped at the dtype's epsilon.

    Of multilabel targets, the mean of each label's own, where scikit-learn would expect
    probabilities that sum to 1 in a row.
    """
    epsilon = np.finfo(probabilities.dtype).eps
    if targets.ndim == 1:
        chosen = probabilities[np.arange(len(targets)), targets]
    else:
        chosen = np.where(targets, probabilities, 1 - probabilities)
    return float(-np.log(np.clip(chosen.astype(np.float64), epsilon, 1)).mean())


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean squared error of the probabilities, summed over the classes; half of it for two."""
    errors = probabilities.astype(np.float64)
    errors[np.arange(len(labels)), labels] -= 1
    total = float(np.square(errors).sum(axis=1).mean())
    return total / 2 if errors.shape[1] == 2 else total


def roc_auc(scores: np.ndarray, targets: np.ndarray) -> float:
    """Area under the receiver operating characteristic, a mean over labels.

    NaN where targets are all 0 or all 1.
    """
    return _mean_of_columns(_area, scores, targets)


def roc_auc_ovr(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean of the areas of each class against the others; NaN where one has no row, or all."""
    return _mean_of_columns(_area, probabilities, _one_hot(labels, probabilities.shape[1]))


def average_precision(scores: np.ndarray, targets: np.ndarray) -> float:
    """Mean over the true rows of the precision at their score, a mean over labels.

    0 where no target is 1.
    """
    return _mean_of_columns(_average_precision, scores, targets)


def _area(scores: np.ndarray, positive: np.ndarray) -> float:
    """The share of pairs, one of each kind, that are in order; equal scores count half.

    Mann and Whitney's U, see Hanley and McNeil 1982.
    """
    low, high = np.sort(scores[~positive]), np.sort(scores[positive])
    if not (len(low) and len(high)):
        return float("nan")
    below = sum(int(np.searchsorted(low, high, side).sum()) for side in ("left", "right"))
    return below / (2 * len(low) * len(high))


def _average_precision(scores: np.ndarray, positive: np.ndarray) -> float:
    every, high = np.sort(scores), np.sort(scores[positive])
    if not len(high):
        return 0.0
    right = len(high) - np.searchsorted(high, high)
    predicted = len(every) - np.searchsorted(every, high)
    return float((right / predicted).mean())


def _mean_of_columns(
    metric: Callable[[np.ndarray, np.ndarray], float], scores: np.ndarray, targets: np.ndarray
) -> float:
    columns = (each.reshape(len(targets), -1).T for each in (scores, targets != 0))
    return float(np.mean([metric(*column) for column in zip(*columns, strict=True)]))


def _one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    return np.asarray(labels[:, np.newaxis] == np.arange(classes))


def _of_class_1(predictions: np.ndarray, targets: np.ndarray) -> Counts:
    return Counts.of(predictions[:, np.newaxis], targets[:, np.newaxis])


def _ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a / b, and 0 where b is."""
    return np.asarray(np.divide(a, b, out=np.zeros(np.shape(b)), where=np.asarray(b) != 0))

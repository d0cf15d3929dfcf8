"""The trainer as scikit-learn estimators.

Inputs, and the targets of a regression, are shifted and scaled to mean 0 and variance 1 over the
rows that are trained on; predictions are in the data's own units.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils import column_or_1d, compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target

from trainer.dataset import Dataset, Split
from trainer.losses import LOSSES
from trainer.mlp import MLP
from trainer.prediction import to_labels, to_scores
from trainer.rows import Rows, Units, moments

EVERYWHERE = (-math.inf, math.inf)


def _gives_probabilities(model: MLP) -> bool:
    return model.loss in LOSSES and LOSSES[model.loss].probabilities is not None


@dataclass(kw_only=True, eq=False, repr=False)
class MLPClassifier(ClassifierMixin, MLP):  # type: ignore[misc]
    """A multilayer perceptron that classifies; its parameters are the fields of TrainConfig.

    Labels are of any kind that NumPy sorts; with the loss "sigmoid_cross_entropy", y may also be
    (rows, labels) of 0 and 1, each on its own.
    `class_weight` maps labels to weights, or is "balanced" for weights by which all classes count
    the same; `standardize` is of the inputs.
    Fitted: `classes_`, `history_` (a record an epoch), `diagnosis_`, `config_`, `state_`.
    """

    class_weight: Mapping[Any, float] | str | None = None

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train one more epoch, on these rows; the first call needs all the `classes`.

        The first call's rows set how the inputs are standardised and embedded.
        """
        if classes is None and not hasattr(self, "state_"):
            raise ValueError("classes must hold every label in the first call of partial_fit")
        if self.class_weight == "balanced":
            raise ValueError(
                "class_weight 'balanced' needs all the rows, which partial_fit has not; give it a "
                "mapping from labels to weights"
            )
        return self._partial_fit(X, y, sample_weight, classes)

    def predict(self, X: Any) -> np.ndarray:
        """The label of each row, (rows,), or which labels it has, (rows, labels), as y was."""
        outputs = self._outputs(X)
        labels = to_labels(self.config_, outputs, self._indicators())
        return labels if self._indicators() else np.asarray(self.classes_[labels])

    def decision_function(self, X: Any) -> np.ndarray:
        """Raw outputs (rows, classes); of two classes, the second's less the first's, (rows,).

        Where each class has a probability of its own, its logarithm stands for the raw output.
        """
        outputs = self._outputs(X)
        return to_scores(self.config_, outputs, self._indicators())

    @available_if(_gives_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities (rows, classes) in the order of `classes_`; not every loss gives them."""
        return self._predictions(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = self.loss == "sigmoid_cross_entropy"
        return tags

    def _indicators(self) -> bool:
        return self.target_ndim_ == 2

    def _encoded(self, rows: Rows, reset: bool, classes: Any) -> Rows:
        check_classification_targets(rows.y)
        many = self.loss == "sigmoid_cross_entropy"
        if many and type_of_target(rows.y) == "multilabel-indicator":
            return self._encoded_indicators(rows, reset)
        y = column_or_1d(rows.y, warn=True)
        if reset:
            self.target_ndim_ = 1
            self.classes_ = np.unique(y if classes is None else classes)
            self.n_outputs_ = len(self.classes_)
        if self.n_outputs_ < 2:
            raise ValueError(f"y must hold at least 2 classes, not 1 class, {self.classes_[0]!r}")
        codes = np.searchsorted(self.classes_, y).clip(max=self.n_outputs_ - 1)
        if (unknown := self.classes_[codes] != y).any():
            raise ValueError(f"y must hold labels of {self.classes_}, not {y[unknown][0]!r}")
        return rows._replace(y=codes)

    def _encoded_indicators(self, rows: Rows, reset: bool) -> Rows:
        if reset:
            self.target_ndim_, self.n_outputs_ = 2, rows.y.shape[1]
            self.classes_ = np.arange(self.n_outputs_)
        return rows._replace(y=rows.y.astype(np.float64))

    def _weighed(self, rows: Rows) -> Rows:
        if self.class_weight is None:
            return rows
        if self._indicators():
            raise ValueError(
                f"class_weight must be None where a row has several labels, not "
                f"{self.class_weight!r}; use sample_weight"
            )
        factors = compute_class_weight(
            self.class_weight,
            classes=self.classes_,
            y=self.classes_[rows.y],
            sample_weight=rows.weights,
        )[rows.y]
        return rows._replace(weights=factors if rows.weights is None else factors * rows.weights)

    def _dataset(self, rows: Rows, judged: Rows) -> Dataset:
        train, validation = (Split(self._inputs(r.x, self.dtype), r.y) for r in (rows, judged))
        many = self._indicators()
        n_classes = None if many else self.n_outputs_
        return Dataset(
            train, validation, n_classes=n_classes, multilabel=many, weights=rows.weights
        )


@dataclass(kw_only=True, eq=False, repr=False)
class MLPRegressor(RegressorMixin, MLP):  # type: ignore[misc]
    """A multilayer perceptron that predicts values; its parameters are the fields of TrainConfig.

    `standardize` is of the inputs and of the targets, except for counts (loss "poisson").
    Fitted: `history_` (a record an epoch), `diagnosis_`, `config_`, `state_`.
    """

    loss: str = "mean_squared"
    metric: str = "r2"

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train one more epoch, on these rows; the first call's set the units and the embedding."""
        return self._partial_fit(X, y, sample_weight)

    def predict(self, X: Any) -> np.ndarray:
        """Values in the targets' units, (rows,) or (rows, outputs) as y was."""
        values = np.asarray(self._predictions(X) * self.target_scale_ + self.target_mean_)
        return values if self.target_ndim_ == 2 else values[:, 0]

    def _encoded(self, rows: Rows, reset: bool, classes: Any) -> Rows:
        if reset:
            self.target_ndim_ = rows.y.ndim
        y = rows.y.reshape(len(rows.y), -1).astype(np.float64)
        if reset:
            self.n_outputs_ = y.shape[1]
        if y.shape[1] != self.n_outputs_:
            raise ValueError(f"y must have {self.n_outputs_} outputs, not {y.shape[1]}")
        return rows._replace(y=y)

    def _learn_units(self, rows: Rows) -> None:
        super()._learn_units(rows)
        # Shifting would leave the range of counts and the like.
        standardize = self.standardize and LOSSES[self.loss].target_range == EVERYWHERE
        self.target_mean_, self.target_scale_ = moments(rows.y, rows.weights, standardize)

    def _output_units(self) -> Units:
        return self.target_mean_, self.target_scale_

    def _dataset(self, rows: Rows, judged: Rows) -> Dataset:
        mean, scale = self._output_units()
        train, validation = (
            Split(self._inputs(r.x, self.dtype), (r.y - mean) / scale) for r in (rows, judged)
        )
        return Dataset(
            train, validation, target_scale=scale, target_mean=mean, weights=rows.weights
        )

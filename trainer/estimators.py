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
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from trainer import inputs
from trainer.config import TrainConfig
from trainer.dataset import Dataset, Split
from trainer.losses import LOSSES
from trainer.mlp import MLP
from trainer.modelfile import plain
from trainer.prediction import to_labels, to_scores
from trainer.rows import Rows, Units, moments, no_units

EVERYWHERE = (-math.inf, math.inf)

SEVERAL_LABELS = "sigmoid_cross_entropy"
"""The loss of rows that have several labels, each a column of 0 and 1."""


def _gives_probabilities(model: MLP) -> bool:
    return any(model.loss == name and loss.probabilities for name, loss in LOSSES.items())


@dataclass(kw_only=True, eq=False, repr=False)
class MLPClassifier(ClassifierMixin, MLP):  # type: ignore[misc]
    """A multilayer perceptron that classifies; its parameters are the fields of TrainConfig.

    Labels are of any kind that NumPy sorts; with the loss "sigmoid_cross_entropy", y may also be
    (rows, labels) of 0 and 1, each on its own.
    `class_weight` maps labels to weights, 1 where it has none, or is "balanced" for weights by
    which all classes count the same; `standardize` is of the inputs.
    Fitted: `classes_`, `history_` (a record an epoch), `diagnosis_`, `config_`, `state_`.
    """

    class_weight: Mapping[Any, float] | str | None = None

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train one more epoch, on these rows; the first call needs all the `classes`.

        The first call's rows set how the inputs are standardised and embedded. Raises ValueError
        where a later call has other `classes`.
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
        tags.classifier_tags.multi_label = self.loss == SEVERAL_LABELS
        return tags

    def _indicators(self) -> bool:
        return self.target_ndim_ == 2

    def _encoded(self, config: TrainConfig, rows: Rows, reset: bool, classes: Any) -> Rows:
        several = rows.y.ndim == 2 and rows.y.shape[1] > 1
        if not reset and several != self._indicators():
            before = "columns of 0 and 1" if self._indicators() else "labels, (rows,)"
            raise ValueError(f"y must be {before}, as the first rows had, not {rows.y.shape}")
        if several and config.loss != SEVERAL_LABELS:
            raise ValueError(
                f"y must be a 1d array of labels, not of shape {rows.y.shape}; where a row has "
                "several labels, each a column of 0 and 1, "
                f"use loss={SEVERAL_LABELS!r}"
            )
        if several:
            return self._encoded_indicators(rows, reset, classes)
        check_classification_targets(rows.y)
        y = column_or_1d(rows.y, warn=True)
        if reset:
            self.target_ndim_ = 1
            self.classes_ = np.unique(y if classes is None else classes)
            self.n_outputs_ = len(self.classes_)
        self._check_classes(classes)
        if self.n_outputs_ < 2:
            raise ValueError(
                f"y must hold at least 2 classes, not 1 class, {inputs.listed(self.classes_)}"
            )
        codes = np.searchsorted(self.classes_, y).clip(max=self.n_outputs_ - 1)
        if (unknown := self.classes_[codes] != y).any():
            raise ValueError(
                f"y must hold labels of {inputs.listed(self.classes_)}, "
                f"not {plain(y[unknown][0])!r}"
            )
        return rows._replace(y=codes)

    def _encoded_indicators(self, rows: Rows, reset: bool, classes: Any) -> Rows:
        if (wrong := ~np.isin(rows.y, (0, 1))).any():
            raise ValueError(
                f"y must be columns of 0 and 1 where a row has several labels, "
                f"not {plain(rows.y[wrong][0])!r}"
            )
        if reset:
            self.target_ndim_, self.n_outputs_ = 2, rows.y.shape[1]
            self.classes_ = np.arange(self.n_outputs_)
        self._check_classes(classes)
        if rows.y.shape[1] != self.n_outputs_:
            raise ValueError(f"y must have {self.n_outputs_} columns, not {rows.y.shape[1]}")
        return rows._replace(y=rows.y.astype(np.float64))

    def _check_classes(self, classes: Any) -> None:
        if classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"classes must be those that the first rows came with, "
                f"{inputs.listed(self.classes_)}, not {inputs.listed(np.unique(classes))}"
            )

    def _weighed(self, rows: Rows) -> Rows:
        if self.class_weight is None:
            return rows
        if self._indicators():
            raise ValueError(
                f"class_weight must be None where a row has several labels, not "
                f"{self.class_weight!r}; use sample_weight"
            )
        factors = inputs.class_weights(self.class_weight, self.classes_, rows.y, rows.weights)
        own = factors[rows.y]
        return rows._replace(weights=own if rows.weights is None else own * rows.weights)

    def _dataset(self, config: TrainConfig, rows: Rows, judged: Rows) -> Dataset:
        train, validation = (Split(self._inputs(r.x, config.dtype), r.y) for r in (rows, judged))
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

    def _encoded(self, config: TrainConfig, rows: Rows, reset: bool, classes: Any) -> Rows:
        if reset:
            self.target_ndim_ = rows.y.ndim
        y = inputs.numbers("y", rows.y).reshape(len(rows.y), -1)
        if reset:
            self.n_outputs_ = y.shape[1]
        if y.shape[1] != self.n_outputs_:
            raise ValueError(f"y must have {self.n_outputs_} outputs, not {y.shape[1]}")
        inputs.check_range("y", y, "float64" if self._shifts(config) else config.dtype)
        return rows._replace(y=y)

    def _learn_units(self, config: TrainConfig, rows: Rows) -> None:
        super()._learn_units(config, rows)
        units = no_units(self.n_outputs_)
        if self._shifts(config):
            inputs.check_spread("y", rows.y, "float64")
            units = moments(rows.y, rows.weights, inputs.LEAST["float64"])
        self.target_mean_, self.target_scale_ = units

    def _shifts(self, config: TrainConfig) -> bool:
        # Shifting would leave the range of counts and the like.
        return self.standardize and LOSSES[config.loss].target_range == EVERYWHERE

    def _output_units(self) -> Units:
        return self.target_mean_, self.target_scale_

    def _dataset(self, config: TrainConfig, rows: Rows, judged: Rows) -> Dataset:
        mean, scale = self._output_units()
        train, validation = (
            Split(self._inputs(r.x, config.dtype), (r.y - mean) / scale) for r in (rows, judged)
        )
        return Dataset(
            train, validation, target_scale=scale, target_mean=mean, weights=rows.weights
        )

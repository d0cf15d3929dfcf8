"""The trainer as scikit-learn estimators; the only module here that imports scikit-learn.

Inputs, and the targets of a regression, are shifted and scaled to mean 0 and variance 1 over the
rows that are trained on; predictions are in the data's own units.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state, column_or_1d, compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from trainer import modelfile, onnx, understanding
from trainer.config import TrainConfig
from trainer.dataset import Dataset, Split
from trainer.diagnosis import diagnose
from trainer.losses import LOSSES
from trainer.network import Network
from trainer.prediction import build_network, to_predictions
from trainer.state import TrainState
from trainer.training import EpochRecord, initial_state, run

ROWS = 16_384
"""Rows standardised and predicted at a time: prediction takes the same memory for any number."""

JUDGED = 1024
"""Training rows that each epoch is judged on where none are held out, at most."""

EVERYWHERE = (-math.inf, math.inf)


class Rows(NamedTuple):
    """Checked rows; y is (rows,) labels from 0, or (rows, outputs) values."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None

    def where(self, chosen: np.ndarray | slice) -> "Rows":
        """Those that a mask (rows,) or a slice chooses."""
        weights = None if self.weights is None else self.weights[chosen]
        return Rows(self.x[chosen], self.y[chosen], weights)


@dataclass(kw_only=True, eq=False, repr=False)
class _MLP(BaseEstimator):  # type: ignore[misc]
    """What the classifier and the regressor share: a parameter for each field of TrainConfig."""

    neurons: Sequence[int] = (100,)
    activation: str | Sequence[str] = "relu"
    norm: str = "none"
    loss: str = "softmax_cross_entropy"
    huber_delta: float = 1.0
    quantile: float = 0.5
    label_smoothing: float = 0.0
    metric: str = "accuracy"
    optimizer: str = "adam"
    momentum: float = 0.9
    beta1: float | None = None
    beta2: float | None = None
    learning_rate: float = 1e-3
    schedule: str = "constant"
    decay: float = 0.1
    drops: int = 2
    restarts: int = 3
    warmup: float = 0.0
    plateau: int = 0
    plateau_factor: float = 0.1
    initializer: str = "auto"
    batch_size: int | str = 32
    l1: float = 0.0
    l2: float = 0.0
    weight_decay: float = 0.0
    dropout: float = 0.0
    input_dropout: float = 0.0
    max_norm: float = 0.0
    clip_norm: float = 0.0
    clip_value: float = 0.0
    ema: float = 0.0
    patience: int = 0
    epochs: int = 200
    dtype: str = "float32"
    record_layers: bool = False

    standardize: bool = True
    """Whether to shift and scale to mean 0 and variance 1."""

    validation_fraction: float = 0.1
    """Share of the rows that fit holds out to stop by, where `patience` is set."""

    random_state: int | np.random.RandomState | None = None
    """Decides the initial weights, the order of the rows, and which are held out."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train afresh for `epochs`, or less where `patience` stops it.

        X (rows, features); y (rows,) or, in regression, (rows, outputs); sample_weight (rows,), 0
        or above. With `patience`, `validation_fraction` of the rows are held out to stop by.
        Raises ValueError where the training diverges.
        """
        rows = self._rows(X, y, sample_weight, reset=True)
        config = self._config()
        self._begin()
        if not config.patience:
            return self._train(config, rows)
        held_out = self._held_out(rows.y)
        return self._train(config, rows.where(~held_out), held_out=rows.where(held_out))

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        state: TrainState | None = getattr(self, "state_", None)
        rows = self._rows(X, y, sample_weight, reset=state is None, classes=classes)
        config = self._config()
        if state is None:
            self._begin()
        elif not config.ema:
            # What early stopping kept for going on is not of a training without it.
            state = replace(state, current=None)
        until = 1 if state is None else state.epoch + 1
        config = replace(config, epochs=max(config.epochs, until), patience=0)
        return self._train(config, rows, state, until)

    def _config(self) -> TrainConfig:
        names = {field.name for field in fields(TrainConfig)} - {"class_weight"}
        return TrainConfig(**{name: modelfile.plain(getattr(self, name)) for name in names})

    def _begin(self) -> None:
        self.seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.history_: list[EpochRecord] = []

    def _train(
        self,
        config: TrainConfig,
        rows: Rows,
        state: TrainState | None = None,
        until: int | None = None,
        held_out: Rows | None = None,
    ) -> Self:
        if isinstance(config.batch_size, int):
            config = replace(config, batch_size=min(config.batch_size, len(rows.x)))
        rows = self._weighed(rows)
        if state is None:
            self._learn_units(rows)
        judged = held_out or rows.where(slice(None, None, -(-len(rows.x) // JUDGED)))
        dataset = self._dataset(rows, judged)
        # Not left to `run`: the first rows of a partial_fit may be of one class.
        state = state or initial_state(config, dataset, self.seed_)
        records, self.state_ = run(config, dataset, self.seed_, state, until)
        self.config_, self.n_rows_ = config, len(rows.x)
        self.history_ = self.history_ + records
        # Not of a part: the baseline would take longer than the epoch.
        whole = dataset if until is None else None
        self.diagnosis_ = diagnose(config, self.history_, self.state_, whole)
        if self.state_.diverged:
            raise ValueError(self.diagnosis_.text)
        return self

    def _rows(self, X: Any, y: Any, sample_weight: Any, reset: bool, classes: Any = None) -> Rows:
        """Checked and encoded, without the rows whose weight is 0."""
        x, y = validate_data(
            self, X, y, reset=reset, multi_output=True, dtype=(np.float64, np.float32)
        )
        if sample_weight is None:
            return self._encoded(Rows(x, y, None), reset, classes)
        weights = _check_sample_weight(sample_weight, x, dtype=np.float64)
        kept = weights > 0
        if (weights < 0).any() or not kept.any():
            raise ValueError(
                f"sample_weight must be 0 or above, and above 0 in some row; the least is "
                f"{weights.min()} and the greatest {weights.max()}"
            )
        return self._encoded(Rows(x, y, weights).where(kept), reset, classes)

    def _encoded(self, rows: Rows, reset: bool, classes: Any) -> Rows:
        """With labels from 0, or values (rows, outputs)."""
        raise NotImplementedError

    def _weighed(self, rows: Rows) -> Rows:
        """With the weights of their classes."""
        return rows

    def _held_out(self, y: np.ndarray) -> np.ndarray:
        """A mask of the rows to judge by: in classification, of each class its share."""
        count = int(self.validation_fraction * len(y))
        if not 0 < count < len(y):
            raise ValueError(
                f"validation_fraction must hold out at least 1 of the {len(y)} rows and leave 1, "
                f"not {self.validation_fraction!r}; with patience=0 none are held out"
            )
        order = np.random.default_rng(self.seed_).permutation(len(y))
        if y.ndim == 1:
            order = order[np.argsort(y[order], kind="stable")]
        mask = np.zeros(len(y), bool)
        mask[order[((np.arange(count) + 0.5) * len(y) / count).astype(int)]] = True
        return mask

    def _learn_units(self, rows: Rows) -> None:
        self.input_mean_, self.input_scale_ = _moments(rows.x, rows.weights, self.standardize)

    def _dataset(self, rows: Rows, judged: Rows) -> Dataset:
        raise NotImplementedError

    def _output_units(self) -> tuple[np.ndarray, np.ndarray] | None:
        return None

    def _indicators(self) -> bool:
        """Whether targets are columns of 0 and 1."""
        return False

    def _inputs(self, x: np.ndarray, dtype: str) -> np.ndarray:
        scaled: np.ndarray = np.subtract(x, self.input_mean_, out=np.empty(x.shape, dtype))
        scaled /= self.input_scale_
        return scaled

    def _checked(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        x = validate_data(self, X, reset=False, dtype=(np.float64, np.float32))
        return np.asarray(x)

    def _outputs(self, X: Any) -> np.ndarray:
        """The network's raw outputs (rows, outputs)."""
        x = self._checked(X)
        network = self._network()
        with np.errstate(all="ignore"):
            parts = [
                network.outputs(self._inputs(x[i : i + ROWS], "float64"))
                for i in range(0, len(x), ROWS)
            ]
        return np.concatenate(parts)

    def _predictions(self, X: Any) -> np.ndarray:
        """Probabilities, or values in the network's units: (rows, outputs)."""
        outputs = self._outputs(X)
        with np.errstate(all="ignore"):
            return to_predictions(self.config_, outputs, values=self._indicators())

    def _network(self) -> Network:
        # In float32, the other rows given would show in the seventh digit of a row's outputs.
        parameters = self.state_.parameters.astype(np.float64)
        return build_network(self.config_, parameters, self.n_features_in_, self.n_outputs_)

    def summary(self) -> understanding.Summary:
        """Layers, shapes, parameters and floating-point operations an epoch."""
        check_is_fitted(self)
        return understanding.summary(
            self.config_, self.n_features_in_, self.n_outputs_, self.n_rows_
        )

    def input_gradient(self, X: Any) -> np.ndarray:
        """How far each raw output moves with each input, (rows, outputs, features).

        An output is a logit in classification; in regression it is in the target's standardised
        units.
        """
        x = self._checked(X)
        slopes = self._network().input_gradient(self._inputs(x, "float64"))
        return np.asarray(slopes / self.input_scale_)

    def feature_significance(
        self, X: Any, y: Any, repeats: int = 5, seed: int = 0
    ) -> list[understanding.Significance]:
        """How much each feature matters on these rows; `pandas.DataFrame` takes it as it is."""
        check_is_fitted(self)
        rows = self._rows(X, y, None, reset=False)
        dataset = self._dataset(rows, rows.where(slice(1)))
        return understanding.feature_significance(
            self.config_,
            self.state_.parameters,
            dataset,
            dataset.train,
            names=getattr(self, "feature_names_in_", None),
            repeats=repeats,
            seed=seed,
        )

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the network as an ONNX model of rows in the data's units; see `trainer.onnx`."""
        check_is_fitted(self)
        onnx.to_onnx(
            path,
            self.config_,
            self.state_.parameters,
            self.n_features_in_,
            self.n_outputs_,
            input_units=(self.input_mean_, self.input_scale_),
            output_units=self._output_units(),
            indicators=self._indicators(),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to an archive without pickle; `load` reads it.

        Raises TypeError where a parameter or a label is of a kind that cannot be written.
        """
        check_is_fitted(self)
        fitted = {name: value for name, value in vars(self).items() if name.endswith("_")}
        modelfile.write(path, type(self).__name__, self.get_params(), fitted)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The estimator saved at `path`; ArchiveError if it is damaged or of another kind."""
        parameters, fitted = modelfile.read(path, cls.__name__)
        model = cls(**parameters)
        for name, value in fitted.items():
            setattr(model, name, value)
        return model


def _gives_probabilities(model: "_MLP") -> bool:
    return model.loss in LOSSES and LOSSES[model.loss].probabilities is not None


@dataclass(kw_only=True, eq=False, repr=False)
class MLPClassifier(ClassifierMixin, _MLP):  # type: ignore[misc]
    """A multilayer perceptron that classifies; its parameters are the fields of TrainConfig.

    Labels are of any kind that NumPy sorts; with the loss "sigmoid_cross_entropy" and a metric of
    values, such as "loss", y may also be (rows, labels) of 0 and 1, each on its own.
    `class_weight` maps labels to weights, or is "balanced" for weights by which all classes count
    the same; `standardize` is of the inputs.
    Fitted: `classes_`, `history_` (a record an epoch), `diagnosis_`, `config_`, `state_`.
    """

    class_weight: Mapping[Any, float] | str | None = None

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train one more epoch, on these rows; the first call needs all the `classes`.

        The first call's rows set how the inputs are standardised.
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
        predictions = self._predictions(X)
        if self._indicators():
            return (predictions > 0.5).astype(int)
        return np.asarray(self.classes_[predictions.argmax(axis=1)])

    def decision_function(self, X: Any) -> np.ndarray:
        """Raw outputs (rows, classes); of two classes, the second's less the first's, (rows,).

        Where each class has a probability of its own, its logarithm stands for the raw output.
        """
        outputs = self._outputs(X)
        if self._indicators():
            return outputs
        if self.loss == "sigmoid_cross_entropy":
            outputs = -np.logaddexp(0, -outputs)
        return outputs[:, 1] - outputs[:, 0] if self.n_outputs_ == 2 else outputs

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
        n_classes = None if self._indicators() else self.n_outputs_
        return Dataset(train, validation, n_classes=n_classes, weights=rows.weights)


@dataclass(kw_only=True, eq=False, repr=False)
class MLPRegressor(RegressorMixin, _MLP):  # type: ignore[misc]
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
        """Train one more epoch, on these rows; the first call's set the units."""
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
        self.target_mean_, self.target_scale_ = _moments(rows.y, rows.weights, standardize)

    def _output_units(self) -> tuple[np.ndarray, np.ndarray]:
        return self.target_mean_, self.target_scale_

    def _dataset(self, rows: Rows, judged: Rows) -> Dataset:
        mean, scale = self._output_units()
        train, validation = (
            Split(self._inputs(r.x, self.dtype), (r.y - mean) / scale) for r in (rows, judged)
        )
        return Dataset(train, validation, target_scale=scale, weights=rows.weights)


def _moments(
    values: np.ndarray, weights: np.ndarray | None, standardize: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each column; 0 and 1 if not to standardize."""
    columns = values.shape[1]
    if not standardize:
        return np.zeros(columns), np.ones(columns)
    if weights is None:
        weights = np.ones(len(values))
    blocks = [slice(i, i + ROWS) for i in range(0, len(values), ROWS)]

    def average(function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        sums = [(weights[b, np.newaxis] * function(values[b])).sum(axis=0) for b in blocks]
        return np.asarray(np.sum(sums, axis=0) / weights.sum())

    mean = average(lambda block: block)
    scale = np.sqrt(average(lambda block: np.square(block - mean)))
    # Not where scale is 0: by rounding, it may be a little more.
    scale[np.ptp(values, axis=0) == 0] = 1
    return mean, scale

"""The rows a network learns from and is judged on."""

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from trainer.arguments import check_numbers, check_type, described
from trainer.config import TrainConfig
from trainer.losses import LOSSES
from trainer.metrics import METRICS

_SHARES = "sigmoid_cross_entropy"
"""The loss of several labels a row, which also takes values from 0 to 1 of a regression."""


class Split(NamedTuple):
    """Features and targets of some rows."""

    x: np.ndarray
    """(rows, features) of real numbers."""

    y: np.ndarray
    """(rows,) of integer labels, (rows, labels) of 0 and 1, or (rows, outputs) of real numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Rows to train on, to choose by, and to test with; never changed, and free to be read-only.

    Raises ValueError, naming the array, where they do not fit each other.
    """

    train: Split
    validation: Split
    test: Split | None = None
    n_classes: int | None = None
    """Labels are 0 to n_classes - 1, of two 1 is the positive one; None is no classification."""
    multilabel: bool = False
    """Whether y holds indicators (rows, labels): 1 where a row has a label, and 0 where not."""
    target_scale: np.ndarray | None = None
    """(outputs,) how much of the data's own unit a difference of 1 in y is, if y was standardised;
    the metrics of a regression are given in the data's units."""
    weights: np.ndarray | None = None
    """(train rows,) how much each training row counts, at least 0; None is all alike."""
    target_mean: np.ndarray | None = None
    """(outputs,) what 0 in y is in the data's own unit, for the metrics that depend on it."""

    def __post_init__(self) -> None:
        if self.n_classes is not None and (type(self.n_classes) is not int or self.n_classes < 2):
            raise ValueError(
                f"n_classes must be an integer of at least 2, or None for regression, "
                f"not {self.n_classes!r}"
            )
        if self.multilabel and self.n_classes is not None:
            raise ValueError(f"n_classes must be None for multilabel data, not {self.n_classes}")
        for name in ("train", "validation", "test"):
            self._check_split(name)
        for name in ("target_scale", "target_mean"):
            if (units := getattr(self, name)) is not None:
                self._check_units(name, units)
        if self.weights is not None:
            _check_weights(self.weights, len(self.train.x))

    def _check_units(self, name: str, units: np.ndarray) -> None:
        if self.kind != "regression":
            raise ValueError(f"{name} must be None for {self.kind} data: only values have units")
        if not isinstance(units, np.ndarray) or units.dtype.kind not in "fiu":
            raise ValueError(f"{name} must be an array of real numbers, not {described(units)}")
        if units.shape != (self.n_outputs,):
            raise ValueError(
                f"{name} must have shape ({self.n_outputs},), one number an output, "
                f"not {units.shape}"
            )
        scales = name == "target_scale"
        if not np.isfinite(units).all() or (scales and units.min() <= 0):
            allowed = "finite and above 0" if scales else "finite"
            raise ValueError(f"{name} must be {allowed}, not {units.tolist()}")

    def _check_split(self, name: str) -> None:
        split = getattr(self, name)
        if split is None and name == "test":
            return
        check_type(name, split, Split)
        check_numbers(f"{name}.x", split.x, "features")
        if self.n_classes is not None:
            _check_labels(f"{name}.y", split.y, self.n_classes)
        else:
            check_numbers(f"{name}.y", split.y, "labels" if self.multilabel else "outputs")
        if self.multilabel:
            _check_indicators(f"{name}.y", split.y)
        if len(split.x) != len(split.y):
            raise ValueError(f"{name}.x has {len(split.x)} rows and {name}.y has {len(split.y)}")
        for part in ("x", "y"):
            width, expected = (getattr(s, part).shape[1:] for s in (split, self.train))
            if width != expected:
                raise ValueError(
                    f"{name}.{part} has {width[0]} columns and train.{part} has {expected[0]}"
                )

    @property
    def kind(self) -> Literal["classification", "multilabel", "regression"]:
        """What the targets are, in the words of LOSSES and METRICS."""
        if self.n_classes is not None:
            return "classification"
        return "multilabel" if self.multilabel else "regression"

    @property
    def n_inputs(self) -> int:
        """Features of a row."""
        return int(self.train.x.shape[1])

    @property
    def n_outputs(self) -> int:
        """Outputs of a network for it: one a class, or one a column of y."""
        return int(self.train.y.shape[1]) if self.n_classes is None else self.n_classes

    def judged(self) -> list[tuple[str, Split]]:
        """The splits that metrics are of, and their names."""
        return [
            (name, getattr(self, name)) for name in ("validation", "test") if getattr(self, name)
        ]

    def without_test(self) -> "Dataset":
        """The same without the test rows, for those who must not see them."""
        return dataclasses.replace(self, test=None)


def check_fit(config: TrainConfig, dataset: Dataset) -> None:
    """Raise ValueError if the configuration does not suit the kind, number or range of the data."""
    kind = dataset.kind
    losses = [name for name, loss in LOSSES.items() if kind in loss.kinds]
    if kind == "regression":
        losses.append(_SHARES)
    if config.loss not in losses:
        hint = ""
        if kind == "regression" and np.isin(dataset.train.y, (0, 1)).all():
            hint = f"; columns of 0 and 1, each a label, are multilabel data, with loss {_SHARES!r}"
        raise ValueError(_unsuited("loss", config.loss, kind, losses) + hint)
    check_metric(config.metric, dataset)
    if config.patience:
        check_defined(config.metric, dataset)
    if dataset.n_classes is None:
        needed = "labels" if kind == "regression" else "one label a row"
        for name, on in (
            ("class_weight", config.class_weight != "none"),
            ("label_smoothing", config.label_smoothing and config.loss != _SHARES),
        ):
            if on:
                raise ValueError(
                    f"{name} {getattr(config, name)!r} needs {needed}, which {kind} data has "
                    "not; leave it out"
                )
    _check_batches(config, len(dataset.train.x))
    for name, split in (("train", dataset.train), ("validation", dataset.validation)):
        _check_range(f"{name}.x", split.x, config.dtype)
        if dataset.n_classes is None:
            _check_range(f"{name}.y", split.y, config.dtype)
            _check_targets(f"{name}.y", split.y, config.loss)


def check_metric(name: str, dataset: Dataset) -> None:
    """Raise ValueError if a metric does not suit the kind, classes or targets of the data."""
    metric, kind, classes = METRICS[name], dataset.kind, dataset.n_classes or 2
    if kind not in metric.kinds:
        suited = [
            name
            for name, other in METRICS.items()
            if kind in other.kinds and (classes == 2 or other.for_many is None)
        ]
        raise ValueError(_unsuited("metric", name, kind, suited))
    if classes > 2 and metric.for_many is not None:
        raise ValueError(
            f"metric {name!r} is for two classes, and the data has {classes}; "
            f"use {metric.for_many!r}"
        )
    if metric.from_zero and dataset.target_scale is not None and dataset.target_mean is None:
        raise ValueError(f"metric {name!r} needs target_mean beside target_scale")
    for part, split in dataset.judged() if metric.above > -math.inf else ():
        least = float(in_units(dataset, split.y, from_zero=True).min())
        if least <= metric.above:
            raise ValueError(
                f"metric {name!r} needs targets above {metric.above:g}; {part}.y has {least:g}: "
                "use another metric"
            )


def check_defined(name: str, dataset: Dataset) -> None:
    """Raise ValueError if a metric would be NaN on the validation or test rows, whatever is
    predicted, as some class or label is not there or is in every row."""
    for part, split in dataset.judged() if METRICS[name].every_class else ():
        if dataset.n_classes is None:
            alike = np.flatnonzero((split.y == split.y[0]).all(axis=0))
        else:
            alike = np.setdiff1d(np.arange(dataset.n_classes), split.y)
        if len(alike):
            raise ValueError(
                f"metric {name!r} needs rows with and without each label, and {part}.y has only "
                f"one kind for label {alike[0]}; use more rows, or another metric"
            )


def in_units(dataset: Dataset, y: np.ndarray, from_zero: bool) -> np.ndarray:
    """Values (rows, outputs) in the data's own unit, shifted only if the zero matters."""
    if dataset.target_scale is not None:
        y = y * dataset.target_scale
    if from_zero and dataset.target_mean is not None:
        y = y + dataset.target_mean
    return y


def check_classes(dataset: Dataset) -> None:
    """Raise ValueError if all training rows have the same labels: there is nothing to learn."""
    y = dataset.train.y
    if dataset.kind == "regression" or (y != y[0]).any():
        return
    if dataset.kind == "classification":
        raise ValueError(f"train.y must hold at least 2 classes, not only label {y[0]}")
    raise ValueError("train.y must hold rows of different labels, not the same in every row")


def _unsuited(field: str, value: str, kind: str, suited: Iterable[str]) -> str:
    allowed = ", ".join(sorted(suited))
    return f"{field} {value!r} does not suit {kind} data; use one of {allowed}"


def _check_batches(config: TrainConfig, rows: int) -> None:
    batch = config.batch_size
    if isinstance(batch, int) and batch > rows:
        raise ValueError(
            f'batch_size must be at most the {rows} training rows, or "full", not {batch}'
        )
    if config.norm == "batch" and rows == 1:
        raise ValueError("norm 'batch' needs at least 2 training rows, as 1 has no variance")


def _check_range(name: str, array: np.ndarray, dtype: str) -> None:
    # Nothing that is no larger than float32 can overflow there.
    if array.dtype.kind != "f" or array.dtype.itemsize <= 4:
        return
    limit, largest = float(np.finfo(dtype).max), float(max(array.max(), -array.min()))
    if largest > limit:
        raise ValueError(
            f"{name} must be within +/- {limit:.3g} to be {dtype}, not {largest:.3g}: scale it"
        )


def _check_targets(name: str, y: np.ndarray, loss: str) -> None:
    low, high = LOSSES[loss].target_range
    for value in (y.min(), y.max()):
        if not low <= value <= high:
            raise ValueError(
                f"{name} must be from {low:g} to {high:g} for loss {loss!r}, not {value}"
            )


def encode(y: np.ndarray, targets: np.ndarray, smoothing: float = 0.0) -> None:
    """Write labels (rows,) one-hot, or values (rows, outputs), into targets (outputs, rows).

    Smoothing t is t (1 - smoothing) + smoothing / classes (Szegedy et al. 2016, arXiv:1512.00567,
    section 7), where an indicator, a value of 0 or 1, is one of two classes.
    """
    if y.ndim == 1:
        share = smoothing / len(targets)
        targets[...] = share
        targets[y, np.arange(len(y))] = 1 - smoothing + share
    else:
        targets[...] = y.T
        if smoothing:
            targets *= 1 - smoothing
            targets += smoothing / 2


def row_weights(config: TrainConfig, dataset: Dataset) -> np.ndarray | None:
    """(train rows,) weights of mean 1, those of the classes included; None if all are alike."""
    weights = dataset.weights
    if config.class_weight == "balanced":
        labels = dataset.train.y
        balance = 1 / np.bincount(labels)[labels]
        weights = balance if weights is None else balance * weights
    return None if weights is None else weights * (len(weights) / weights.sum())


def _check_indicators(name: str, array: np.ndarray) -> None:
    if (wrong := (array != 0) & (array != 1)).any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"{name} must hold 0 and 1 alone, as the data is multilabel; row {row}, column "
            f"{column} is {array[row, column]}"
        )


def _check_labels(name: str, array: np.ndarray, n_classes: int) -> None:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be an array of integer labels, not {described(array)}")
    if array.ndim != 1 or not len(array):
        several = "; where rows have several labels, each a column of 0 and 1, leave out n_classes"
        raise ValueError(
            f"{name} must have shape (rows,), at least one, not {array.shape}"
            f"{f'{several}, set multilabel and use loss {_SHARES!r}' if array.ndim == 2 else ''}"
        )
    for label in (array.min(), array.max()):
        if not 0 <= label < n_classes:
            raise ValueError(f"{name} must hold labels 0 to {n_classes - 1}, not {label}")


def _check_weights(weights: np.ndarray, rows: int) -> None:
    if not isinstance(weights, np.ndarray) or weights.dtype.kind not in "fiub":
        raise ValueError(f"weights must be an array of real numbers, not {described(weights)}")
    if weights.shape != (rows,):
        raise ValueError(
            f"weights must have shape ({rows},), one a training row, not {weights.shape}"
        )
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.max() > 0):
        worst = weights[~(np.isfinite(weights) & (weights >= 0))]
        found = worst[0] if len(worst) else "all 0"
        raise ValueError(f"weights must be finite, 0 or above, and not all 0, not {found}")

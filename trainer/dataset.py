"""The rows a network learns from and is judged on."""

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from trainer.arguments import check_numbers, check_type, described
from trainer.config import TrainConfig
from trainer.losses import LOSSES
from trainer.metrics import METRICS

_INDICATORS = "sigmoid_cross_entropy"
"""The loss of labels that also takes columns of 0 and 1, each with a label of its own."""


class Split(NamedTuple):
    """Features and targets of some rows."""

    x: np.ndarray
    """(rows, features) of real numbers."""

    y: np.ndarray
    """(rows,) of integer labels, or (rows, outputs) of real numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Rows to train on, to choose by, and to test with; never changed, and free to be read-only.

    Raises ValueError, naming the array, where they do not fit each other.
    """

    train: Split
    validation: Split
    test: Split | None = None
    n_classes: int | None = None
    """Labels are 0 to n_classes - 1; None is regression."""
    target_scale: np.ndarray | None = None
    """(outputs,) how much of the data's own unit a difference of 1 in y is, if y was standardised;
    the metrics of a regression are given in the data's units."""
    weights: np.ndarray | None = None
    """(train rows,) how much each training row counts, at least 0; None is all alike."""

    def __post_init__(self) -> None:
        if self.n_classes is not None and (type(self.n_classes) is not int or self.n_classes < 2):
            raise ValueError(
                f"n_classes must be an integer of at least 2, or None for regression, "
                f"not {self.n_classes!r}"
            )
        for name in ("train", "validation", "test"):
            self._check_split(name)
        if self.target_scale is not None:
            _check_scale(self.target_scale, self.n_outputs)
        if self.weights is not None:
            _check_weights(self.weights, len(self.train.x))

    def _check_split(self, name: str) -> None:
        split = getattr(self, name)
        if split is None and name == "test":
            return
        check_type(name, split, Split)
        check_numbers(f"{name}.x", split.x, "features")
        if self.n_classes is None:
            check_numbers(f"{name}.y", split.y, "outputs")
        else:
            _check_labels(f"{name}.y", split.y, self.n_classes)
        if len(split.x) != len(split.y):
            raise ValueError(f"{name}.x has {len(split.x)} rows and {name}.y has {len(split.y)}")
        for part in ("x", "y"):
            width, expected = (getattr(s, part).shape[1:] for s in (split, self.train))
            if width != expected:
                raise ValueError(
                    f"{name}.{part} has {width[0]} columns and train.{part} has {expected[0]}"
                )

    @property
    def n_inputs(self) -> int:
        """Features of a row."""
        return int(self.train.x.shape[1])

    @property
    def n_outputs(self) -> int:
        """Outputs of a network for it: one a class, or one a column of y."""
        return int(self.train.y.shape[1]) if self.n_classes is None else self.n_classes

    def without_test(self) -> "Dataset":
        """The same without the test rows, for those who must not see them."""
        return dataclasses.replace(self, test=None)


def check_fit(config: TrainConfig, dataset: Dataset) -> None:
    """Raise ValueError if the configuration does not suit the kind, number or range of the data."""
    kind = "regression" if dataset.n_classes is None else "classification"
    losses = [name for name, loss in LOSSES.items() if loss.kind in (kind, None)]
    metrics = [name for name, metric in METRICS.items() if metric.kind in (kind, None)]
    if dataset.n_classes is None:
        losses.append(_INDICATORS)
    for name, value, suited in (
        ("loss", config.loss, losses),
        ("metric", config.metric, metrics),
    ):
        if value not in suited:
            allowed = ", ".join(sorted(suited))
            hint = ""
            if name == "loss" and kind == "regression" and np.isin(dataset.train.y, (0, 1)).all():
                hint = f"; that of columns of 0 and 1, each a label, is {_INDICATORS}"
            raise ValueError(
                f"{name} {value!r} does not suit {kind} data; use one of {allowed}{hint}"
            )
    if dataset.n_classes is None:
        for name, on in (
            ("class_weight", config.class_weight != "none"),
            ("label_smoothing", config.label_smoothing and config.loss != _INDICATORS),
        ):
            if on:
                raise ValueError(
                    f"{name} {getattr(config, name)!r} needs labels, which regression data has "
                    "not; leave it out"
                )
    _check_batches(config, len(dataset.train.x))
    for name, split in (("train", dataset.train), ("validation", dataset.validation)):
        _check_range(f"{name}.x", split.x, config.dtype)
        if dataset.n_classes is None:
            _check_range(f"{name}.y", split.y, config.dtype)
            _check_targets(f"{name}.y", split.y, config.loss)


def check_classes(dataset: Dataset) -> None:
    """Raise ValueError if all training rows have one label: there is nothing to learn."""
    if dataset.n_classes is not None and (dataset.train.y == dataset.train.y[0]).all():
        raise ValueError(
            f"train.y must hold at least 2 classes, not only label {dataset.train.y[0]}"
        )


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


def _check_labels(name: str, array: np.ndarray, n_classes: int) -> None:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be an array of integer labels, not {described(array)}")
    if array.ndim != 1 or not len(array):
        several = "; where rows have several labels, each a column of 0 and 1, leave out n_classes"
        raise ValueError(
            f"{name} must have shape (rows,), at least one, not {array.shape}"
            f"{f'{several} and use loss {_INDICATORS!r}' if array.ndim == 2 else ''}"
        )
    for label in (array.min(), array.max()):
        if not 0 <= label < n_classes:
            raise ValueError(f"{name} must hold labels 0 to {n_classes - 1}, not {label}")


def _check_scale(scale: np.ndarray, outputs: int) -> None:
    if not isinstance(scale, np.ndarray) or scale.dtype.kind not in "fiu":
        raise ValueError(f"target_scale must be an array of real numbers, not {described(scale)}")
    if scale.shape != (outputs,):
        raise ValueError(
            f"target_scale must have shape ({outputs},), one number an output, not {scale.shape}"
        )
    if not (np.isfinite(scale) & (scale > 0)).all():
        raise ValueError(f"target_scale must be finite and above 0, not {scale.tolist()}")


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

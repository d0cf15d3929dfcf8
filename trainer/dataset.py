"""The rows a network learns from and is judged on."""

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from trainer.config import TrainConfig
from trainer.losses import LOSSES
from trainer.metrics import METRICS


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

    def __post_init__(self) -> None:
        if self.n_classes is not None and (type(self.n_classes) is not int or self.n_classes < 2):
            raise ValueError(
                f"n_classes must be an integer of at least 2, or None for regression, "
                f"not {self.n_classes!r}"
            )
        for name, split in (
            ("train", self.train),
            ("validation", self.validation),
            ("test", self.test),
        ):
            if split is not None:
                _check_numbers(f"{name}.x", split.x, "features")
                if self.n_classes is None:
                    _check_numbers(f"{name}.y", split.y, "outputs")
                else:
                    _check_labels(f"{name}.y", split.y, self.n_classes)
                if len(split.x) != len(split.y):
                    raise ValueError(
                        f"{name}.x has {len(split.x)} rows and {name}.y has {len(split.y)}"
                    )
                for part in ("x", "y"):
                    width, expected = (getattr(s, part).shape[1:] for s in (split, self.train))
                    if width != expected:
                        raise ValueError(
                            f"{name}.{part} has {width[0]} columns and train.{part} has "
                            f"{expected[0]}"
                        )

        if self.target_scale is not None and self.target_scale.shape != (self.n_outputs,):
            raise ValueError(
                f"target_scale must have shape ({self.n_outputs},), one number an output, "
                f"not {self.target_scale.shape}"
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
    """Raise ValueError if the loss or the metric does not suit the kind of data."""
    kind = "regression" if dataset.n_classes is None else "classification"
    for name, value, table in (
        ("loss", config.loss, LOSSES),
        ("metric", config.metric, METRICS),
    ):
        suited = sorted(key for key, entry in table.items() if entry.kind in (kind, None))
        if value not in suited:
            raise ValueError(
                f"{name} {value!r} does not suit {kind} data; use one of {', '.join(suited)}"
            )


def encode(y: np.ndarray, targets: np.ndarray) -> None:
    """Write labels (rows,) one-hot, or values (rows, outputs), into targets (outputs, rows)."""
    if y.ndim == 1:
        targets[...] = 0
        targets[y, np.arange(len(y))] = 1
    else:
        targets[...] = y.T


def _check_numbers(name: str, array: np.ndarray, columns: str) -> None:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must be an array of real numbers, not {_describe(array)}")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{name} must have shape (rows, {columns}), at least one of each, not {array.shape}"
        )
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(
            f"{name} must be finite; row {row}, column {column} is {array[row, column]}: "
            "fill it or drop the row"
        )


def _check_labels(name: str, array: np.ndarray, n_classes: int) -> None:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iu":
        raise ValueError(f"{name} must be an array of integer labels, not {_describe(array)}")
    if array.ndim != 1 or not len(array):
        raise ValueError(f"{name} must have shape (rows,), at least one, not {array.shape}")
    for label in (array.min(), array.max()):
        if not 0 <= label < n_classes:
            raise ValueError(f"{name} must hold labels 0 to {n_classes - 1}, not {label}")


def _describe(value: object) -> str:
    dtype = getattr(value, "dtype", None)
    return f"of dtype {dtype}" if dtype is not None else type(value).__name__

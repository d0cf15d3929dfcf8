"""Real data as a Dataset, and the Preprocessing that takes new raw rows the same way."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

from sweep.errors import StudyFileError
from sweep.spec import DataSpec, StudySpec
from trainer import Dataset, Split

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Preprocessing:
    """What was learnt from the training rows, and what it takes to read new ones.

    Regression targets are standardised too: a network's outputs start near 0, and Adam moves them
    by about the learning rate a step, which would never reach the hundreds.
    """

    features: NDArray[np.str_]  # (n_features,)
    mean: Floats  # (n_features,)
    scale: Floats  # (n_features,), 1 where a column is constant
    classes: NDArray[Any] | None  # (n_classes,) the label of each class; None for regression
    target_mean: Floats  # (n_outputs,), empty for classification
    target_scale: Floats  # (n_outputs,), empty for classification

    def transform(self, x: ArrayLike) -> NDArray[np.float32]:
        """Raw rows as the network takes them (rows, n_features); ValueError on another width."""
        rows = np.asarray(x, dtype=np.float64)
        width = len(self.features)
        if rows.ndim != 2 or rows.shape[1] != width:
            names = ", ".join(self.features[:5]) + (", ..." if width > 5 else "")
            raise ValueError(f"x has the shape {rows.shape}, not (rows, {width}): {names}")
        return np.ascontiguousarray((rows - self.mean) / self.scale, dtype=np.float32)

    def labels(self, indices: ArrayLike) -> NDArray[Any]:
        """The labels of class indices (rows,), as the data has them."""
        if self.classes is None:
            raise ValueError("a regression has no class labels: see Preprocessing.targets")
        return np.asarray(self.classes[np.asarray(indices)])

    def targets(self, outputs: ArrayLike) -> Floats:
        """A regression's outputs (rows, n_outputs) in the units of the data."""
        return np.asarray(outputs, dtype=np.float64) * self.target_scale + self.target_mean

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The fields as plain arrays, which an .npz holds without pickle."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: array for name, array in named.items() if array is not None}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Preprocessing":
        """The Preprocessing that `to_arrays` wrote."""
        named: dict[str, Any] = {"classes": None, **arrays}
        return cls(**named)


class Table(NamedTuple):
    """Raw rows, before any is set aside."""

    x: Floats  # (rows, n_features)
    y: NDArray[Any]  # (rows,) class indices, or (rows, n_outputs) numbers
    features: NDArray[np.str_]
    classes: NDArray[Any] | None


def load_parts(spec: StudySpec) -> list[tuple[Dataset, Preprocessing]]:
    """What a study trains on: one dataset, or one for each fold."""
    if spec.search.resample == "folds":
        return load_folds(spec.data, spec.search.replicates)
    return [load(spec.data)]


def load(data: DataSpec) -> tuple[Dataset, Preprocessing]:
    """The rows that a study asks about, shared out and scaled, and how; StudyFileError if unfit."""
    table = _table(SKLEARN[data.source]())
    return _share_out(data, table, *split(data, len(table.x), _labels(table)))


def load_folds(data: DataSpec, count: int) -> list[tuple[Dataset, Preprocessing]]:
    """The rows that are not for testing in `count` folds, each the validation rows of one dataset.

    Every dataset is scaled by its own training rows, and all have the same test rows.
    """
    table = _table(SKLEARN[data.source]())
    rows = len(table.x)
    order = _order(data, rows, _labels(table))
    n_test = _test_rows(data, rows)
    test, rest = np.sort(order[:n_test]), order[n_test:]
    # By turns, so that every fold has its share of each class.
    parts = [np.sort(rest[fold::count]) for fold in range(count)]
    if not all(map(len, parts)):
        raise StudyFileError(
            f"search.replicates = {count}: {data.source} has {len(rest)} rows outside of the test "
            "rows, too few for so many folds"
        )
    datasets = []
    for validation in parts:
        train = np.setdiff1d(rest, validation)
        _check_classes(data, table, train)
        datasets.append(_share_out(data, table, train, validation, test))
    return datasets


def _labels(table: Table) -> Indices | None:
    return None if table.classes is None else table.y


def _share_out(
    data: DataSpec, table: Table, train: Indices, validation: Indices, test: Indices
) -> tuple[Dataset, Preprocessing]:
    preprocessing = _fit(data, table, train)

    def part(rows: Indices) -> Split:
        y = table.y[rows]
        if table.classes is None:
            standard = (y - preprocessing.target_mean) / preprocessing.target_scale
            y = standard.astype(np.float32)
        return Split(preprocessing.transform(table.x[rows]), y)

    try:
        dataset = Dataset(
            train=part(train),
            validation=part(validation),
            test=part(test) if len(test) else None,
            n_classes=None if table.classes is None else len(table.classes),
            target_scale=preprocessing.target_scale if table.classes is None else None,
            target_mean=preprocessing.target_mean if table.classes is None else None,
        )
    except ValueError as error:
        raise StudyFileError(f'data.source = "{data.source}": {error}') from None
    return dataset, preprocessing


def split(
    data: DataSpec, rows: int, labels: Indices | None = None
) -> tuple[Indices, Indices, Indices]:
    """The indices of the training, validation and test rows, each in the order of the data.

    Every class of `labels` (rows,) is shared out in the same proportions. StudyFileError if there
    is no training row, or none of some class.
    """
    n_test = _test_rows(data, rows)
    n_validation = max(1, round(rows * data.validation))
    order = _order(data, rows, labels)
    test, validation, train = np.split(order, [n_test, n_test + n_validation])
    missing = 0 if labels is None else len(np.setdiff1d(labels, labels[train]))
    if missing or not len(train):
        raise StudyFileError(
            f"data.validation = {data.validation} and data.test = {data.test}: of {rows} rows they "
            "leave none to train on, or none of some class; make them smaller"
        )
    return np.sort(train), np.sort(validation), np.sort(test)


def _test_rows(data: DataSpec, rows: int) -> int:
    return max(1, round(rows * data.test)) if data.test else 0


def _order(data: DataSpec, rows: int, labels: Indices | None) -> Indices:
    """An order of the rows in which every stretch has its share of each class."""
    # The raw stream of a bit generator is the same in every version of NumPy (NEP 19).
    order = np.argsort(np.random.PCG64(data.seed).random_raw(rows), kind="stable")
    labels = np.zeros(rows, dtype=np.int64) if labels is None else labels
    # Each class is spread evenly over the order, and ends in the last rows, which are for training.
    place = np.empty(rows)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
        place[members[-1]] = 1
    return order[np.argsort(place[order], kind="stable")]


def _check_classes(data: DataSpec, table: Table, train: Indices) -> None:
    if table.classes is not None and len(np.setdiff1d(table.y, table.y[train])):
        raise StudyFileError(
            f"search.replicates: {data.source} has a class with too few rows for so many folds; "
            "make it smaller"
        )


def _table(bunch: Any) -> Table:
    classes = bunch.get("target_names")
    return Table(
        x=np.ascontiguousarray(bunch.data, dtype=np.float64),
        y=np.asarray(bunch.target, np.int64) if classes is not None else bunch.target[:, None],
        features=np.asarray(bunch.feature_names, dtype=np.str_),
        classes=classes,
    )


def _fit(data: DataSpec, table: Table, train: Indices) -> Preprocessing:
    standard = data.scaling == "standard"
    targets = table.y[:, None][:, :0] if table.classes is not None else table.y
    mean, scale = _moments(table.x[train], standard)
    target_mean, target_scale = _moments(targets[train], standard)
    return Preprocessing(table.features, mean, scale, table.classes, target_mean, target_scale)


def _moments(x: Floats, standard: bool) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column; 0 and 1 if it is not to be scaled."""
    if not standard:
        return np.zeros(x.shape[1]), np.ones(x.shape[1])
    return x.mean(axis=0), np.where(np.ptp(x, axis=0) > 0, x.std(axis=0), 1.0)


def fingerprint(*datasets: Dataset) -> str:
    """SHA-256 over the shapes, types and bytes of every array, in hexadecimal."""
    digest = hashlib.sha256()
    for dataset in datasets:
        digest.update(repr(dataset.n_classes).encode())
        for name in ("train", "validation", "test"):
            for array in getattr(dataset, name) or ():
                digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


SKLEARN: dict[str, Callable[[], Any]] = {
    "sklearn:breast_cancer": load_breast_cancer,
    "sklearn:diabetes": load_diabetes,
    "sklearn:digits": load_digits,
    "sklearn:iris": load_iris,
    "sklearn:wine": load_wine,
}

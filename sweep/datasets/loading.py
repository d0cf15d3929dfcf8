"""A study's rows: read, shared out, and transformed by what the training rows showed."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweep.datasets import files, splits
from sweep.datasets.columns import Column, describe
from sweep.datasets.fetch import name_of
from sweep.datasets.files import Raw
from sweep.datasets.preprocessing import Preprocessing
from sweep.datasets.problems import DataProblem, listed, shown
from sweep.datasets.splits import PARTS, Parts
from sweep.datasets.targets import Target
from sweep.datasets.task import Task, find_task
from sweep.datasets.values import Odd, date_format, numbers, texts
from sweep.dataspec import KINDS, SOURCES, DataSpec
from sweep.spec import StudySpec
from trainer import Dataset, Split

Indices = NDArray[np.int64]


class Loaded(NamedTuple):
    """What a study trains on."""

    parts: list[tuple[Dataset, Preprocessing]]
    """One dataset, or one for each fold."""
    notes: tuple[str, ...]
    """What its user should know of the data, a line each."""


def load(data: DataSpec) -> tuple[Dataset, Preprocessing]:
    """The rows that a study asks about, shared out and scaled, and how; StudyFileError if unfit."""
    return _load(data, None).parts[0]


def load_folds(data: DataSpec, count: int) -> list[tuple[Dataset, Preprocessing]]:
    """The rows that are not for testing in `count` folds, each the validation rows of one dataset.

    Every dataset is scaled by its own training rows, and all have the same test rows.
    """
    return _load(data, count).parts


def load_parts(spec: StudySpec) -> list[tuple[Dataset, Preprocessing]]:
    """What a study trains on: one dataset, or one for each fold."""
    return load_study(spec).parts


def load_study(spec: StudySpec) -> Loaded:
    """What a study trains on, and what its user should know of it."""
    return _load(spec.data, spec.search.replicates if spec.search.resample == "folds" else None)


def fingerprint(*datasets: Dataset) -> str:
    """SHA-256 over the shapes, types and bytes of every array, in hexadecimal."""
    digest = hashlib.sha256()
    for dataset in datasets:
        digest.update(repr("multilabel" if dataset.multilabel else dataset.n_classes).encode())
        for name in ("train", "validation", "test"):
            for array in getattr(dataset, name) or ():
                digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        if dataset.weights is not None:
            digest.update(b"weights")
            digest.update(np.ascontiguousarray(dataset.weights).data)
    return digest.hexdigest()


def _load(data: DataSpec, count: int | None) -> Loaded:
    raw = _with_labels(files.read(data))
    with _told(data, raw):
        task = _task(data, raw)
        rows, labels, by = len(raw.frame), _labels(task, raw), _by(data, raw)
        if count is None:
            found = [splits.split(data, rows, labels, by)]
        else:
            found = splits.folds(data, count, rows, labels, by)
        weights = _weights(data, raw)
        columns = _describe(data, raw)
        parts = [_share_out(data, raw, task, columns, each, weights) for each in found]
    return Loaded(parts, (*raw.notes, *_notes(task, columns)))


def _with_labels(raw: Raw) -> Raw:
    """The same with labels for class indices."""
    if raw.classes is None:
        return raw
    labels = {name: raw.classes[raw.frame[name].to_numpy()] for name in raw.target}
    return replace(raw, frame=raw.frame.assign(**labels))


def _task(data: DataSpec, raw: Raw) -> Task:
    """The task, its classes in the order of their indices: of two, the positive one is the last."""
    task = find_task(raw.frame, raw.target, data.known_task)
    classes = task.classes if raw.classes is None else raw.classes
    if data.positive is not None:
        known = [] if classes is None else classes.tolist()
        if len(known) != 2 or data.positive not in map(str, known):
            raise DataProblem(
                f"data.positive = {shown(data.positive)}: must be one of two classes, and the "
                f"target has {listed(tuple(map(str, known))) or 'none'}"
            )
        classes = np.array(sorted(known, key=lambda label: str(label) == data.positive))
    return replace(task, classes=classes)


def _labels(task: Task, raw: Raw) -> Indices | None:
    if task.classes is None:
        return None
    target = Target.fit(task.task, task.classes, raw.frame[list(raw.target)], "none")
    return np.asarray(target.encode(raw.frame))


def _by(data: DataSpec, raw: Raw) -> NDArray[Any] | None:
    """The group, the time or the part of each row."""
    if data.by is None:
        return None
    column = raw.frame[data.by]
    if column.isna().any():
        needed = f'a value, which data.split = "{data.split}" needs in every row'
        raise Odd(column, int(column.isna().to_numpy().argmax()), needed)
    return _BY[str(data.split)](column)


def _groups(column: "pd.Series[Any]") -> NDArray[Any]:
    return texts(column)[0]


def _times(column: "pd.Series[Any]") -> NDArray[Any]:
    form = date_format(column)
    return numbers(column, "numeric") if form is None else numbers(column, "date", form)


def _marks(column: "pd.Series[Any]") -> NDArray[Any]:
    codes, different = texts(column)
    words = np.array([text.lower() for text in different])
    if len(unknown := np.flatnonzero(~np.isin(words[codes], PARTS))):
        raise Odd(column, int(unknown[0]), f"one of {', '.join(PARTS)}")
    return words[codes]


_BY: dict[str, Callable[["pd.Series[Any]"], NDArray[Any]]] = {
    "grouped": _groups,
    "time": _times,
    "column": _marks,
}


def _weights(data: DataSpec, raw: Raw) -> NDArray[np.float64] | None:
    if data.weight is None:
        return None
    column = raw.frame[data.weight]
    weights = numbers(column, "numeric")
    if len(bad := np.flatnonzero(~(weights >= 0))):
        raise Odd(column, int(bad[0]), "a weight: a number of at least 0")
    return weights


def _describe(data: DataSpec, raw: Raw) -> tuple[Column, ...]:
    """What the columns are; those of scikit-learn's sets are numbers.

    All rows say what kind of values a column holds. What is learned of the values, such as means
    and categories, is learned from the training rows alone.
    """
    others = (data.weight, None if data.split == "time" else data.by)
    apart = {*raw.target, *(name for name in others if name is not None)}
    names = [name for name in raw.frame.columns if name not in apart]
    if data.source not in SOURCES:
        columns = describe(raw.frame, apart, data.columns)
    else:
        kinds = dict.fromkeys(names, "numeric") | data.columns
        columns = tuple(Column(name, kinds[name], "", 0, 0) for name in names)
    if all(column.kind == "drop" for column in columns):
        why = "; ".join(f"{column.name}: {column.reason}" for column in columns[:5])
        raise DataProblem(
            f"there is no column to predict {listed(raw.target)} by"
            f"{f' ({why})' if why else ''}; data.columns can say that one is to be kept"
        )
    return columns


def _share_out(
    data: DataSpec,
    raw: Raw,
    task: Task,
    columns: tuple[Column, ...],
    rows: Parts,
    weights: NDArray[np.float64] | None,
) -> tuple[Dataset, Preprocessing]:
    scaling = data.target_scaling or ("none" if data.scaling == "none" else "standard")
    train = raw.frame.iloc[rows.train]
    target = Target.fit(task.task, task.classes, train[list(raw.target)], scaling)
    preprocessing = Preprocessing.fit(data, columns, train, target)
    del train
    y = target.encode(raw.frame)

    def part(chosen: Indices) -> Split:
        return Split(preprocessing.transform(raw.frame, chosen), y[chosen])

    try:
        dataset = Dataset(
            train=part(rows.train),
            validation=part(rows.validation),
            test=part(rows.test) if len(rows.test) else None,
            n_classes=None if task.classes is None else len(task.classes),
            multilabel=task.task == "multilabel",
            target_scale=target.scale,
            target_mean=target.mean,
            weights=None if weights is None else weights[rows.train],
        )
    except Odd:
        raise
    except ValueError as error:
        raise DataProblem(str(error)) from None
    return dataset, preprocessing


def _notes(task: Task, columns: tuple[Column, ...]) -> Iterator[str]:
    dropped = [f"{each.name} ({each.reason})" for each in columns if each.kind == "drop"]
    if dropped:
        yield f"not learned from: {listed(tuple(dropped))}"
    if not task.is_imbalanced:
        return
    share = min(task.shares)
    if task.classes is None:
        yield f"a target is 1 in {_percent(share)} of the rows: accuracy hides whether it is found"
    else:
        rare = task.classes[task.shares.index(share)]
        yield (
            f"only {_percent(share)} of the rows are of class {rare}: accuracy hides whether it is "
            'found; balanced_accuracy does not, and class_weight = "balanced" may help'
        )


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"


@contextmanager
def _told(data: DataSpec, raw: Raw) -> Iterator[None]:
    """Problems of the table are told with its name, and those of a value with its place."""
    try:
        yield
    except Odd as odd:
        raise DataProblem(
            f"{raw.where(odd.row)}: column {shown(odd.column)} holds {odd.text}, which is not "
            f"{odd.needed}; mend it, or say what the column is in data.columns: {', '.join(KINDS)}"
        ) from None
    except DataProblem as problem:
        what = f"{name_of(data.source)}: {problem.what}"
        raise DataProblem(what, problem.mend, problem.advice) from None

"""Which rows are for training, for validation and for testing; the same on every machine."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sweep.errors import StudyFileError
from sweep.spec import DataSpec

Indices = NDArray[np.int64]
Labels = Indices | None
"""(rows,) the class of each row; None for data without classes."""
By = NDArray[Any] | None
"""(rows,) the group, the time or the part of each row, where the rows are split by a column."""

PARTS = ("train", "validation", "test")


class Parts(NamedTuple):
    """The indices of the rows of each part, in the order of the data."""

    train: Indices
    validation: Indices
    test: Indices


def split(data: DataSpec, rows: int, labels: Labels = None, by: By = None) -> Parts:
    """The rows of each part; StudyFileError if one has none, or none of some class is to train on.

    stratified: every part has its share of each class. grouped: the rows of a group are in one
    part. time: the latest are for testing, those before them for validation, and rows of one time
    stay together. column: as `by` says.
    """
    way = way_of(data, labels is not None)
    parts = Parts(*map(np.sort, _SPLITS[way](data, rows, labels, by)))
    missing = 0 if labels is None else len(np.setdiff1d(labels, labels[parts.train]))
    needed = [*parts[:2], *([parts.test] if data.test and way != "column" else [])]
    if missing or not all(map(len, needed)):
        raise StudyFileError(_too_little(data, way, rows))
    return parts


def folds(
    data: DataSpec, count: int, rows: int, labels: Labels = None, by: By = None
) -> list[Parts]:
    """The rows that are not for testing in `count` folds, each the validation rows of one split.

    Of a split by time, each fold is trained on what came before it, and the latest is the first:
    its model, which is kept, has the most rows to learn from.
    """
    way = way_of(data, labels is not None)
    found = [Parts(*map(np.sort, parts)) for parts in _FOLDS[way](data, count, rows, labels, by)]
    if not all(len(part) for parts in found for part in parts[:2]):
        raise StudyFileError(
            f"search.replicates = {count}: {data.source} has {rows - len(found[0].test)} rows "
            f"outside of the test rows, too few{_UNITS.get(way, '')} for so many folds; make it "
            "smaller"
        )
    for parts in found:
        if labels is not None and len(np.setdiff1d(labels, labels[parts.train])):
            raise StudyFileError(
                f"search.replicates = {count}: {data.source} has a class with too few rows for so "
                "many folds; make it smaller"
            )
    return found


def way_of(data: DataSpec, has_classes: bool) -> str:
    """How the rows are split: as the study file says, else by class where there are classes."""
    return data.split or ("stratified" if has_classes else "random")


def _too_little(data: DataSpec, way: str, rows: int) -> str:
    if way == "column":
        return (
            f'data.by = "{data.by}": of {rows} rows it leaves none to train on or to validate by, '
            "or none of some class to train on; mark more of them as train"
        )
    return (
        f"data.validation = {data.validation} and data.test = {data.test}: of {rows} rows"
        f"{_UNITS.get(way, '')} they leave none to train on, or none of some class; make them "
        "smaller"
    )


_UNITS = {"grouped": " and their groups", "time": " and their times"}


def _shares(data: DataSpec, rows: int) -> tuple[int, int]:
    """How many rows are for testing and for validation."""
    return (
        max(1, round(rows * data.test)) if data.test else 0,
        max(1, round(rows * data.validation)),
    )


def _random(data: DataSpec, rows: int, labels: Labels, by: By) -> Parts:
    return _in_turn(data, rows, None)


def _stratified(data: DataSpec, rows: int, labels: Labels, by: By) -> Parts:
    return _in_turn(data, rows, labels)


def _in_turn(data: DataSpec, rows: int, labels: Labels) -> Parts:
    n_test, n_validation = _shares(data, rows)
    order = _order(data, rows, labels)
    test, validation, train = np.split(order, [n_test, n_test + n_validation])
    return Parts(train, validation, test)


def _order(data: DataSpec, rows: int, labels: Labels) -> Indices:
    """An order of the rows in which every stretch has its share of each class."""
    order = _shuffled(data, rows)
    labels = np.zeros(rows, dtype=np.int64) if labels is None else labels
    # Each class is spread evenly over the order, and ends in the last rows, which are for training.
    place = np.empty(rows)
    by_class = order[np.argsort(labels[order], kind="stable")]
    for members in np.split(by_class, np.cumsum(np.bincount(labels))[:-1]):
        if len(members):
            place[members] = (np.arange(len(members)) + 0.5) / len(members)
            place[members[-1]] = 1
    return order[np.argsort(place[order], kind="stable")]


def _shuffled(data: DataSpec, count: int) -> Indices:
    # The raw stream of a bit generator is the same in every version of NumPy (NEP 19).
    return np.argsort(np.random.PCG64(data.seed).random_raw(count), kind="stable")


def _grouped(data: DataSpec, rows: int, labels: Labels, by: By) -> Parts:
    """Groups at random: to the test rows while they fit there, then to validation, else train."""
    group, sizes = _units(by)
    missing = dict(zip(("test", "validation"), _shares(data, rows), strict=True))
    part = np.full(len(sizes), "train", dtype="U10")
    for number in _shuffled(data, len(sizes)).tolist():
        for name, count in missing.items():
            if sizes[number] <= 2 * count:
                part[number] = name
                missing[name] -= int(sizes[number])
                break
    # A part that nothing fitted into takes a group from that which has the most.
    for name in PARTS:
        if name not in part and (name != "test" or data.test):
            spare = np.flatnonzero(part == max(PARTS, key=lambda each: (part == each).sum()))
            order = spare[np.argsort(sizes[spare], kind="stable")]
            part[order[-1 if name == "train" else 0]] = name
    return Parts(*(np.flatnonzero(part[group] == name) for name in PARTS))


def _by_time(data: DataSpec, rows: int, labels: Labels, by: By) -> Parts:
    moment, sizes = _units(by)
    n_test, n_validation = _shares(data, rows)
    # Rows from the latest on; a moment belongs where the middle of its rows is.
    middle = np.cumsum(sizes[::-1])[::-1] - sizes / 2
    last = len(sizes)
    first_test = last
    if n_test:
        first_test = max(2, min(int((middle >= n_test).sum()), last - 1))
    first = max(1, min(int((middle >= n_test + n_validation).sum()), first_test - 1))
    part = np.digitize(moment, [first, first_test])
    return Parts(*(np.flatnonzero(part == number) for number in range(3)))


def _by_column(data: DataSpec, rows: int, labels: Labels, by: By) -> Parts:
    """Where no row is marked for validation, those for training are shared out at random."""
    train, validation, test = (np.flatnonzero(by == part) for part in PARTS)
    if not len(validation):
        order = train[_order(data, len(train), None if labels is None else labels[train])]
        count = max(1, round(len(train) * data.validation))
        validation, train = order[:count], order[count:]
    return Parts(train, validation, test)


def _units(by: By) -> tuple[Indices, Indices]:
    """The group or moment of each row, by its place among all, and how many rows each has."""
    assert by is not None
    _, unit, sizes = np.unique(by, return_inverse=True, return_counts=True)
    return unit, sizes


def _random_folds(data: DataSpec, count: int, rows: int, labels: Labels, by: By) -> list[Parts]:
    return _stratified_folds(data, count, rows, None, by)


def _stratified_folds(data: DataSpec, count: int, rows: int, labels: Labels, by: By) -> list[Parts]:
    n_test, _ = _shares(data, rows)
    order = _order(data, rows, labels)
    # By turns, so that every fold has its share of each class.
    rest = order[n_test:]
    return _around([rest[fold::count] for fold in range(count)], order[:n_test])


def _grouped_folds(data: DataSpec, count: int, rows: int, labels: Labels, by: By) -> list[Parts]:
    train, validation, test = _grouped(data, rows, labels, by)
    rest = np.sort(np.concatenate([train, validation]))
    group, sizes = _units(None if by is None else by[rest])
    # The largest groups first, each to the fold that has the fewest rows.
    order = _shuffled(data, len(sizes))
    fold, filled = np.empty(len(sizes), np.int64), [0] * count
    for number in order[np.argsort(-sizes[order], kind="stable")].tolist():
        fold[number] = least = filled.index(min(filled))
        filled[least] += int(sizes[number])
    return _around([rest[fold[group] == number] for number in range(count)], test)


def _time_folds(data: DataSpec, count: int, rows: int, labels: Labels, by: By) -> list[Parts]:
    train, validation, test = _by_time(data, rows, labels, by)
    rest = np.concatenate([train, validation])
    moment, sizes = _units(None if by is None else by[rest])
    middle = np.cumsum(sizes) - sizes / 2
    block = (middle * (count + 1) / len(rest)).astype(np.int64)[moment]
    return [Parts(rest[block < i], rest[block == i], test) for i in range(count, 0, -1)]


def _column_folds(data: DataSpec, count: int, rows: int, labels: Labels, by: By) -> list[Parts]:
    train, validation, test = _by_column(data, rows, labels, by)
    rest = np.sort(np.concatenate([train, validation]))
    order = rest[_order(data, len(rest), None if labels is None else labels[rest])]
    return _around([order[fold::count] for fold in range(count)], test)


def _around(validations: list[Indices], test: Indices) -> list[Parts]:
    """Each fold once for validation, and the others for training."""
    return [
        Parts(np.concatenate(validations[:i] + validations[i + 1 :]), validation, test)
        for i, validation in enumerate(validations)
    ]


_SPLITS: dict[str, Callable[[DataSpec, int, Labels, By], Parts]] = {
    "random": _random,
    "stratified": _stratified,
    "grouped": _grouped,
    "time": _by_time,
    "column": _by_column,
}

_FOLDS: dict[str, Callable[[DataSpec, int, int, Labels, By], list[Parts]]] = {
    "random": _random_folds,
    "stratified": _stratified_folds,
    "grouped": _grouped_folds,
    "time": _time_folds,
    "column": _column_folds,
}

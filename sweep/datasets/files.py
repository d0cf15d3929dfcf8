"""The table that a study is about, from a file, a URL or scikit-learn: read, and fit to learn from.

A frame has texts for column names, and columns of numbers, texts (pandas' `str`), truths or times;
what is missing is NaN or NaT. Its index is the row's number in the source, from 0.
"""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweep.datasets import bundled, delimited, typed
from sweep.datasets.delimited import Dialect
from sweep.datasets.fetch import name_of, opened, unpacked_size
from sweep.datasets.formats import TEXT, MixedColumn, format_of
from sweep.datasets.memory import available, check_room
from sweep.datasets.problems import DataProblem, listed, shown
from sweep.dataspec import SOURCES, DataSpec, is_url
from sweep.entries import did_you_mean

Where = Callable[[int], str]


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """A table as it was read, but for the rows that lack a target."""

    frame: pd.DataFrame
    """Features, targets and all other columns."""

    target: tuple[str, ...]
    """The columns to predict."""

    classes: NDArray[Any] | None
    """What the class indices of one of scikit-learn's sets stand for; None elsewhere."""

    notes: tuple[str, ...]
    """What a user should know of the reading."""

    where: Where
    """Where a row of the frame's index is, such as "houses.csv, line 17"."""


def read(data: DataSpec) -> Raw:
    """The table of a study; DataProblem if it cannot be learned from."""
    if data.source in SOURCES:
        rows, classes = bundled.whole(data.source)
        _check_known(rows, data, (bundled.TARGET,), data.source)
        return Raw(rows, (bundled.TARGET,), classes, (), partial(_row, data.source))
    name, where = name_of(data.source), partial(place, data)
    frame = whole(data)
    target = data.target or _usual_target(frame, name)
    _check_known(frame, data, target, name)
    _check_finite(frame, data, where)
    frame, notes = _with_target(frame, target, name)
    return Raw(frame, target, None, notes, where)


def whole(data: DataSpec) -> pd.DataFrame:
    """All columns of a file, whatever the target is; DataProblem if it cannot be read."""
    name, form = name_of(data.source), format_of(data.source)
    with opened(data.source) as file:
        check_room(name, form.needed(file, unpacked_size(file)), available())
        file.seek(0)
        try:
            frame = form.whole(file, name, dialect_of(data), partial(_tolerance, data))
        except MixedColumn as error:
            raise _mixed(data, name, error) from None
        except MemoryError:
            raise DataProblem(f"{name}: there is too little memory to read it") from None
    if frame.empty:
        raise DataProblem(f"{name} has a header and no rows: there is nothing to learn from")
    return frame


def blocks(
    source: str | BinaryIO, data: DataSpec, otherwise: str | None = None
) -> Iterator[pd.DataFrame]:
    """The rows of a file, or of an open CSV file, a block at a time, whatever its columns.

    Types are found within each block; columns that data.columns does not name are of the kind
    `otherwise`. Infinite numbers and odd values are left in it: whoever knows what a column should
    hold judges them.
    """
    start = 0
    for frame in _blocks(source, data, otherwise):
        frame.index = pd.RangeIndex(start, start + len(frame))
        start += len(frame)
        yield frame


def dialect_of(data: DataSpec) -> Dialect:
    """How the text files of a study are written."""
    return Dialect(data.delimiter, data.charset, data.decimal)


def _blocks(
    source: str | BinaryIO, data: DataSpec, otherwise: str | None
) -> Iterator[pd.DataFrame]:
    def tolerance(column: str) -> float | None:
        return None if data.columns.get(column, otherwise) == "categorical" else 2.0

    dialect = dialect_of(data)
    if isinstance(source, str):
        form = format_of(source)
        with opened(source) as file:
            yield from form.blocks(file, name_of(source), dialect, tolerance)
    else:
        with tempfile.TemporaryFile() as copy:  # a pipe can be read once only
            shutil.copyfileobj(source, copy, 1 << 20)
            yield from TEXT.blocks(copy, "the input", dialect, tolerance)


def _tolerance(data: DataSpec, column: str) -> float | None:
    """The share of numbers in a column from which on its other texts are mistakes."""
    kind = data.columns.get(column)
    if kind == "categorical":
        return None
    if kind == "numeric" or (column in data.target and data.task in ("regression", "multilabel")):
        return 0.0
    is_labels = column in data.target and data.task == "classification"
    return 2.0 if kind is not None or is_labels else typed.MOSTLY


def _usual_target(frame: pd.DataFrame, name: str) -> tuple[str, ...]:
    """y, or the columns of y."""
    found = tuple(c for c in frame.columns if re.fullmatch(r"y|y_[0-9]+", c))
    if not found:
        raise DataProblem(
            f"{name} has no array y: name the column to predict as data.target; there are "
            f"{listed(tuple(frame.columns))}"
        )
    return found


def _check_known(frame: pd.DataFrame, data: DataSpec, target: tuple[str, ...], name: str) -> None:
    """DataProblem if the study file names a column that is not there."""
    named = [("target", column) for column in target]
    named += [(key, column) for key in ("by", "weight") if (column := getattr(data, key))]
    named += [("columns", column) for column in data.columns]
    known = tuple(frame.columns)
    for key, column in named:
        if column not in known:
            raise DataProblem(
                f"{name} has no column {shown(column)} (data.{key}); there are {listed(known)}"
                f"{did_you_mean(column, known)}"
            )


def _check_finite(frame: pd.DataFrame, data: DataSpec, where: Where) -> None:
    for column in frame.columns:
        values = frame[column]
        if values.dtype.kind != "f" or data.columns.get(column) == "drop":
            continue
        if len(found := np.flatnonzero(np.isinf(values.to_numpy()))):
            raise DataProblem(
                f"{where(int(found[0]))}: column {shown(column)} holds an infinite number; mend "
                "the value, or leave it empty if it is missing"
                + (f" (and so do {len(found) - 1} more rows)" if len(found) > 1 else "")
            )


def _with_target(
    frame: pd.DataFrame, target: tuple[str, ...], name: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The rows that have every target, and what to say of the others."""
    lacking = frame[list(target)].isna()
    for column in target:
        if lacking[column].all():
            raise DataProblem(f"{name}: the target {shown(column)} is missing in every row")
    has_all = ~lacking.any(axis=1).to_numpy()
    if has_all.all():
        return frame, ()
    if not has_all.any():
        raise DataProblem(f"{name}: no row has all of the targets {listed(target)}")
    count = len(frame) - int(has_all.sum())
    note = f"{count} of {len(frame)} rows lack {listed(target)} and are left out"
    frame = frame[has_all]
    # Whole numbers with gaps were read as 1.0, 2.0: without them, they are labels 1, 2 again.
    whole = {c: "int64" for c in target if _is_whole(frame[c])}
    return frame.astype(whole), (note,)


def _is_whole(values: pd.Series) -> bool:
    if values.dtype.kind != "f":
        return False
    return bool((values == values.round()).all() and values.abs().max() < 2**53)


def _mixed(data: DataSpec, name: str, error: MixedColumn) -> DataProblem:
    """What to do about a text among numbers."""
    odd, column = error.mixed, error.column
    text = f"{place(data, odd.row)}: column {shown(column)} holds {shown(odd.value)}"
    if re.fullmatch(r"[+-]?[0-9]*,[0-9]+", str(odd.value)) and data.decimal == ".":
        if delimiter_of(data) == ",":
            return DataProblem(f"{text}; write numbers without commas")
        return DataProblem(
            text,
            {"decimal": ","},
            '; if a comma is the decimal point, let data.decimal be "," '
            "(--set 'data.decimal=\",\"')",
        )
    if column in data.target or data.columns.get(column) == "numeric":
        return DataProblem(
            f"{text}, which is no number; mend the value, or leave it empty if it is missing"
        )
    key, kinds = f"data.columns.{_key(column)}", '"categorical", or "drop"'
    return DataProblem(
        f"{text} where {odd.share:.1%} of the values are numbers",
        advice="; mend the value, leave it empty if it is missing, or say what the column is: "
        f"{key} = {kinds} (--set '{key}=\"categorical\"')",
    )


def _key(column: str) -> str:
    return column if re.fullmatch(r"[A-Za-z0-9_-]+", column) else shown(column)


def delimiter_of(data: DataSpec) -> str | None:
    """What cuts the cells of a text file; None for files of other kinds."""
    if format_of(data.source) is not TEXT or data.delimiter is not None:
        return data.delimiter
    with opened(data.source) as file:
        return delimited.layout(file, name_of(data.source), dialect_of(data)).delimiter


def _row(name: str, row: int) -> str:
    return f"{name}, row {row + 1}"


def place(data: DataSpec, row: int) -> str:
    """Where a row is, by its number from 0: in a text file on this machine, its line."""
    name = name_of(data.source)
    if is_url(data.source) or format_of(data.source) is not TEXT:
        return _row(name, row)
    with opened(data.source) as file:
        found = delimited.layout(file, name, dialect_of(data))
        line = delimited.line_of(file, dialect_of(data), found.delimiter, row + 2)
    return _row(name, row) if line is None else f"{name}, line {line}"

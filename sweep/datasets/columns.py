"""What the columns of a table are, and which of them say nothing."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sweep.datasets.problems import DataProblem, shown
from sweep.datasets.values import WORDS, date_format, numbers

FEW = 20
"""Rows below which no column is taken for an identifier: in so few, any may differ."""
IDENTIFIERS = ("id", "uid", "uuid", "guid", "index", "rowid", "row_id", "unnamed_1", "unnamed: 0")
"""Names of columns that number the rows; and those that end in "_id"."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that is no target: what it is taken for, and why."""

    name: str
    kind: str
    """numeric, boolean, categorical, date, or drop: it is not learned from."""

    reason: str
    missing: int
    """Rows without a value."""

    distinct: int
    """How many different values there are."""

    format: str = ""
    """How a text column's dates are written, one of `values.FORMATS`; "" elsewhere."""


def describe(
    frame: pd.DataFrame, apart: Collection[str], overrides: Mapping[str, str]
) -> tuple[Column, ...]:
    """Every column but those `apart`, in the order of the table.

    `overrides` gives kinds by name. DataProblem if one does not suit its column; values.Odd, with
    the value, if some value does not.
    """
    features = [name for name in frame.columns if name not in apart]
    found: list[Column] = []
    alike: dict[tuple[object, ...], list[str]] = {}
    for name in features:
        values = frame[name]
        column = _of(values, overrides.get(name))
        if column.kind != "drop" and name not in overrides:
            group = alike.setdefault(_key(values, column), [])
            same = next((other for other in group if frame[other].equals(values)), None)
            if same is not None:
                reason = f"the same as {shown(same)} in every row"
                column = Column(name, "drop", reason, column.missing, column.distinct)
            else:
                group.append(name)
        found.append(column)
    return tuple(found)


def _key(values: "pd.Series[object]", column: Column) -> tuple[object, ...]:
    """Alike for columns that are the same."""
    return str(values.dtype), column.missing, column.distinct, repr(values.iloc[:50].tolist())


def _of(values: "pd.Series[object]", given: str | None) -> Column:
    name, missing, distinct = str(values.name), int(values.isna().sum()), int(values.nunique())
    if given is not None:
        kind, reason, form = given, "as data.columns says", _check(values, given)
    else:
        kind, reason, form = _find(values, missing, distinct)
    return Column(name, kind, reason, missing, distinct, form)


def _check(values: "pd.Series[object]", kind: str) -> str:
    """The format of a column whose kind was given, if it is one of dates; see `describe`."""
    key = f"data.columns.{values.name} = {shown(kind)}"
    if kind == "drop":
        return ""
    if values.isna().all():
        raise DataProblem(f"{key}: the column has no value in any row; leave it out")
    form = ""
    if kind == "date":
        form = date_format(values) or ""
        if not form:
            first = values.dropna().iloc[0]
            raise DataProblem(
                f"{key}: its values, such as {shown(first)}, are not all dates written in one way; "
                "write them like 2024-01-31"
            )
    if kind != "categorical":
        if kind == "numeric" and values.dtype.kind == "M":
            raise DataProblem(f'{key}: the column holds times; let it be "date"')
        numbers(values, kind, form)
    return form


def _find(values: "pd.Series[object]", missing: int, distinct: int) -> tuple[str, str, str]:
    """The kind of a column, why, and the format of its dates."""
    rows = len(values)
    if missing == rows:
        return "drop", "it has no value in any row", ""
    if distinct == 1 and not missing:
        return "drop", f"every value is {shown(values.iloc[0])}", ""
    if values.dtype.kind == "M":
        return "date", "times", date_format(values) or ""
    if values.dtype.kind == "b":
        return "boolean", "true or false", ""
    if values.dtype.kind in "iuf":
        return _find_number(values, missing, distinct)
    return _find_text(values, missing, distinct)


def _find_number(values: "pd.Series[object]", missing: int, distinct: int) -> tuple[str, str, str]:
    rows, low, high = len(values), values.min(), values.max()
    if distinct == 2 and (low, high) == (0, 1):
        return "boolean", "0 or 1", ""
    if values.dtype.kind != "f" and distinct == rows >= FEW and not missing:
        if int(high) - int(low) == rows - 1:
            return "drop", f"it numbers the rows, {low} to {high}: an identifier", ""
        if _is_identifier(str(values.name)):
            return "drop", f"all {rows} values are different: an identifier", ""
    return "numeric", f"numbers from {low:g} to {high:g}", ""


def _find_text(values: "pd.Series[object]", missing: int, distinct: int) -> tuple[str, str, str]:
    present = len(values) - missing
    # Two words in two spellings each, say.
    if distinct <= 8:
        words = {str(value).lower() for value in values.dropna().unique()}
        if words <= WORDS.keys() and {WORDS[word] for word in words} == {0.0, 1.0}:
            return "boolean", " or ".join(sorted(words)), ""
    if form := date_format(values):
        return "date", f"dates written as {shown(values.dropna().iloc[0])}", form
    if present >= FEW and 2 * distinct > present:
        if distinct == present:
            return "drop", f"all {distinct} texts are different: an identifier, or free text", ""
        return "drop", f"{distinct} different texts in {present} rows: names, or free text", ""
    return "categorical", f"{distinct} different texts", ""


def _is_identifier(name: str) -> bool:
    return name.lower() in IDENTIFIERS or name.lower().endswith("_id") or name.endswith("Id")


def inputs(columns: Collection[Column], max_categories: int) -> int:
    """About how many inputs of a network the columns become."""
    widths = {"numeric": 1, "boolean": 1, "date": 6, "drop": 0}
    return int(
        np.sum(
            [
                widths.get(column.kind, min(column.distinct, max_categories))
                + bool(column.missing and column.kind != "drop")
                for column in columns
            ]
        )
    )

"""Columns of a table as numbers or as texts: how a value is read, in training and ever after."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), 1.0),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), 0.0),
}
"""What a boolean column may say, in capitals or not."""

FORMATS = (
    "ISO8601",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%m/%d/%Y",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
    "%d-%m-%Y",
    "%d %b %Y",
    "%b %d, %Y",
)
"""How dates may be written; a column that two of them fit is taken to be in the first."""

DAY = np.timedelta64(1, "D")


class Odd(ValueError):
    """A value that is not of its column's kind; `row` is its place in the table's index."""

    def __init__(self, column: "pd.Series[Any]", position: int, needed: str) -> None:
        value = column.iloc[position]
        text = (
            "nothing" if pd.isna(value) else f'"{value}"' if isinstance(value, str) else f"{value}"
        )
        self.text = text if len(text) <= 60 else text[:57] + "..."
        self.column, self.row, self.needed = str(column.name), column.index[position], needed
        super().__init__(f"column {self.column!r}, row {self.row}: {self.text} is not {needed}")


def numbers(column: "pd.Series[Any]", kind: str, form: str = "") -> Floats:
    """A column of kind numeric, boolean or date as numbers (rows,), NaN where they are missing.

    A date is days since 1970, read in `form`, one of FORMATS. Raises Odd for the first value that
    is of another kind, or infinite.
    """
    found = _READERS[kind](column, form)
    given = column.notna().to_numpy()
    bad = np.isinf(found) | (np.isnan(found) & given)
    if bad.any():
        position = int(bad.argmax())
        raise Odd(column, position, _NEEDED[kind].format(date=_example(form)))
    return found


def texts(column: "pd.Series[Any]") -> tuple[NDArray[np.int64], list[str]]:
    """A column as categories: where each value is in the list of different texts.

    What is missing is the empty text. Whole numbers are written without a point.
    """
    codes, values = pd.factorize(column, use_na_sentinel=True)
    found = ["" if pd.isna(value) else _text(value) for value in values]
    if (codes < 0).any():
        codes, found = np.where(codes < 0, len(found), codes), [*found, ""]
    return codes, found


def date_format(column: "pd.Series[Any]") -> str | None:
    """The first of FORMATS that reads every text of a column; None if there is none."""
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return FORMATS[0]
    different = column.dropna().unique()
    if not len(different) or not all(isinstance(value, str) for value in different[:100]):
        return None
    for form in FORMATS:
        # A few first: most columns are no dates.
        if all(not np.isnan(_days(pd.Series(part), form)).any() for part in _growing(different)):
            return form
    return None


def _growing(values: Any) -> list[Any]:
    return [values[:10], values]


def _number(column: "pd.Series[Any]", form: str) -> Floats:
    if pd.api.types.is_numeric_dtype(column.dtype):  # and truths
        return np.asarray(column.to_numpy(np.float64, na_value=np.nan))
    numbers = pd.to_numeric(column.astype(object), errors="coerce")
    return np.asarray(numbers.to_numpy(np.float64))


def _truth(column: "pd.Series[Any]", form: str) -> Floats:
    codes, different = texts(column)
    values = np.array([WORDS.get(text.lower(), np.nan) for text in different], np.float64)
    return values[codes] if len(values) else np.empty(0)


def _days(column: "pd.Series[Any]", form: str) -> Floats:
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return _since_1970(column)
    codes, different = texts(column)
    dates = pd.to_datetime(
        pd.Series(different, dtype=object), format=form, errors="coerce", utc=True
    )
    return _since_1970(dates)[codes]


def _example(form: str) -> str:
    """A date as it is written in one of FORMATS."""
    return datetime(2024, 1, 31).strftime("%Y-%m-%d" if form in ("", "ISO8601") else form)


def _since_1970(dates: "pd.Series[Any]") -> Floats:
    if dates.dt.tz is not None:
        dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
    moments = dates.to_numpy("datetime64[us]")
    days: Floats = (moments - np.datetime64(0, "us")) / DAY
    return days


def _text(value: Any) -> str:
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


_READERS: dict[str, Callable[["pd.Series[Any]", str], Floats]] = {
    "numeric": _number,
    "boolean": _truth,
    "date": _days,
}

_NEEDED = {
    "numeric": "a finite number",
    "boolean": "true or false (yes, no, t, f, y, n, on, off, 1 or 0 are understood)",
    "date": "a date such as {date}",
}

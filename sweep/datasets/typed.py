"""Columns of Arrow tables as pandas has them: numbers, texts, truths or times, and nothing else."""

from contextlib import suppress

import pandas as pd
import pyarrow as pa
from pyarrow import compute
from pyarrow import types as kinds

from sweep.datasets.problems import shown

MISSING = (
    *("", "?", "-", "--", ".", "NA", "N/A", "na", "n/a", "<NA>", "#NA", "#N/A", "#NULL!"),
    *("NaN", "nan", "-NaN", "-nan", "NULL", "Null", "null", "None"),
)
"""The texts that stand for no value, as pandas has them, and those of older archives."""
MOSTLY = 0.9
"""The share of numbers among texts from which on the rest are taken for mistakes."""
NUMBER = r"[+-]?(?:(?:[0-9]+[.]?[0-9]*|[.][0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan)"


class Mixed(ValueError):
    """A value that is not of its column's kind."""

    def __init__(self, row: int, value: object, share: float) -> None:
        super().__init__(f"{shown(value)} among numbers")
        self.row = row
        self.value = value
        self.share = share


def series(column: pa.ChunkedArray, decimal: str = ".", mostly: float | None = MOSTLY) -> pd.Series:
    """A column as pandas has it.

    Texts that are all numbers become numbers. Mixed if the share of numbers among them is at least
    `mostly`, but not 1; TypeError for lists and other nested values. Without `mostly`, texts stay
    texts: "01" is not 1.
    """
    kind = column.type
    if kinds.is_dictionary(kind):
        return series(column.cast(kind.value_type), decimal, mostly)
    if kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind):
        return _from_texts(column.cast(pa.large_string()), decimal, mostly)
    if (
        kinds.is_null(kind)
        or kinds.is_decimal(kind)
        or (kinds.is_boolean(kind) and column.null_count)
    ):
        column = column.cast(pa.float64(), safe=False)
    elif kinds.is_float16(kind):
        column = column.cast(pa.float32())
    elif kinds.is_timestamp(kind) or kinds.is_date(kind):
        column = column.cast(pa.timestamp("us"), safe=False)
    elif kinds.is_time(kind):
        column = column.cast(pa.large_string())
    elif kinds.is_duration(kind):
        column = compute.divide(
            column.cast(pa.duration("us")).cast(pa.int64()).cast(pa.float64()), 1e6
        )
    elif not (kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind)):
        raise TypeError(str(kind))
    return column.to_pandas().rename(None)


def _from_texts(column: pa.ChunkedArray, decimal: str, mostly: float | None) -> pd.Series:
    if mostly is not None and decimal == "." and (numbers := _numbers(column)) is not None:
        return numbers
    texts = compute.utf8_trim_whitespace(column)
    is_missing = compute.is_in(texts, value_set=pa.array(MISSING, pa.large_string()))
    texts = compute.if_else(is_missing, pa.scalar(None, pa.large_string()), texts)
    if mostly is None:
        return pd.Series(texts.to_pandas(), dtype="str")
    plain = compute.replace_substring(texts, ",", ".") if decimal == "," else texts
    if (numbers := _numbers(plain)) is not None:
        return numbers
    odd = _first_odd(texts, plain)
    if odd is not None and odd.share >= mostly:
        raise odd
    return pd.Series(texts.to_pandas(), dtype="str")


def _numbers(texts: pa.ChunkedArray) -> pd.Series | None:
    """The texts as numbers; None if one is not."""
    try:
        numbers = compute.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        return None
    with suppress(pa.ArrowInvalid):
        numbers = compute.cast(texts, pa.int64())
    return numbers.to_pandas()


def _first_odd(texts: pa.ChunkedArray, plain: pa.ChunkedArray) -> Mixed | None:
    """The first that is no number, if there is one."""
    mask = compute.match_substring_regex(plain, f"^{NUMBER}$", ignore_case=True)
    if (row := compute.index(mask, False).as_py()) < 0:
        return None
    # One with a decimal comma is meant to be a number, too.
    meant = compute.match_substring_regex(texts, f"^{NUMBER.replace('[.]', '[.,]')}$")
    return Mixed(row, texts[row].as_py(), compute.mean(meant).as_py())

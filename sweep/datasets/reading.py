"""A table's columns as numbers, each by its kind; what is missing is NaN until it is filled."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweep.datasets.categories import Categories
from sweep.datasets.columns import Column
from sweep.datasets.values import Floats, numbers, texts

CYCLES = {"month": 12, "weekday": 7, "hour": 24}
"""What of a date comes round again, and how many there are."""
IN_WORDS = "words"
"""The form of a boolean column that holds texts; one of numbers or truths has none."""


@dataclass(frozen=True, slots=True)
class Input:
    """A raw column and its kind; of a date also its format, and which cycles it goes through; of
    a boolean, whether it is written in WORDS."""

    name: str
    kind: str
    form: str = ""
    cycles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """How the columns of a table are read, as the training rows showed it.

    Measured columns are those that become one number: numbers, dates as days, ordinal categories,
    which are scaled, and then booleans.
    """

    inputs: tuple[Input, ...]
    """In the order of the table, those that are dropped included."""
    encoding: str
    """Of categories: one_hot or ordinal."""
    categories: Mapping[str, Categories]
    """Of each categorical column."""

    @classmethod
    def of(
        cls, columns: Iterable[Column], train: pd.DataFrame, encoding: str, most: int
    ) -> "Reading":
        """From what the columns are, in the order of the table, and the training rows.

        Of a column of categories, at most so many have a place of their own.
        """
        inputs = tuple(_input(column, train) for column in columns)
        categories = {
            each.name: Categories.of(_counts(train[each.name]), most)
            for each in inputs
            if each.kind == "categorical"
        }
        return cls(inputs, encoding, categories)

    @property
    def needed(self) -> list[str]:
        """The columns that are read."""
        return [each.name for each in self.inputs if each.kind != "drop"]

    @property
    def scaled(self) -> list[Input]:
        """The measured columns that are scaled."""
        ordinal = self._of("categorical") if self.encoding == "ordinal" else []
        return self._of("numeric") + self._of("date") + ordinal

    @property
    def measured(self) -> list[Input]:
        """The columns of `matrix`."""
        return self.scaled + self._of("boolean")

    @property
    def cycled(self) -> list[tuple[str, str]]:
        """The names of the columns of `cycles`, each with that of its date."""
        return [
            (f"{each.name}, {part} of {cycle}", each.name)
            for each in self._of("date")
            for cycle in each.cycles
            for part in ("sine", "cosine")
        ]

    @property
    def indicated(self) -> list[tuple[str, str]]:
        """The names of the columns of `one_hot`, each with that of its raw column."""
        return [
            (f"{each} = {name}", each)
            for each in self.indicating
            for name in self.categories[each].names
        ]

    @property
    def indicating(self) -> list[str]:
        """The raw columns that `one_hot` is of."""
        return list(self.categories) if self.encoding == "one_hot" else []

    def measure(self, each: Input, frame: pd.DataFrame) -> Floats:
        """One measured column (rows,); values.Odd where a value is of another kind."""
        column = frame[each.name]
        if each.kind != "categorical":
            return numbers(column, each.kind, each.form)
        codes, different = texts(column)
        return self.categories[each.name].ordinal(different)[codes]

    def matrix(self, frame: pd.DataFrame) -> Floats:
        """(rows, measured) numbers, NaN where they are missing."""
        return _stack([self.measure(each, frame) for each in self.measured], len(frame))

    def cycles(self, frame: pd.DataFrame) -> Floats:
        """(rows, cycled) sines and cosines, 0 where the date is missing."""
        columns = [
            part(angle)
            for each in self._of("date")
            for angle in _angles(numbers(frame[each.name], "date", each.form), each.cycles)
            for part in (np.sin, np.cos)
        ]
        return np.nan_to_num(_stack(columns, len(frame)))

    def one_hot(self, frame: pd.DataFrame) -> Iterator[NDArray[np.float32]]:
        """(rows, names) of each categorical column: 1 for its category."""
        for each in self.indicating:
            codes, different = texts(frame[each])
            yield self.categories[each].one_hot(different)[codes]

    def unseen(self, frame: pd.DataFrame) -> dict[str, int]:
        """How many rows have a category that training had not, of each column that has any."""
        found = {}
        for name, categories in self.categories.items():
            codes, different = texts(frame[name])
            found[name] = int(categories.lack(different)[codes].sum())
        return {name: count for name, count in found.items() if count}

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as plain arrays."""
        arrays = {
            "columns": np.array([each.name for each in self.inputs], np.str_),
            "kinds": np.array([each.kind for each in self.inputs], np.str_),
            "forms": np.array([each.form for each in self.inputs], np.str_),
            "cycles": np.array([" ".join(each.cycles) for each in self.inputs], np.str_),
            "encoding": np.array(self.encoding),
        }
        for number, categories in enumerate(self.categories.values()):
            arrays[f"common.{number}"] = categories.common
            arrays[f"rare.{number}"] = categories.rare
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Reading":
        """The Reading that `to_arrays` wrote."""
        described = (arrays[name].tolist() for name in ("columns", "kinds", "forms", "cycles"))
        inputs = tuple(
            Input(name, kind, form, tuple(cycles.split()))
            for name, kind, form, cycles in zip(*described, strict=True)
        )
        categorical = [each.name for each in inputs if each.kind == "categorical"]
        categories = {
            name: Categories(arrays[f"common.{number}"], arrays[f"rare.{number}"])
            for number, name in enumerate(categorical)
        }
        return cls(inputs, str(arrays["encoding"]), categories)

    def _of(self, kind: str) -> list[Input]:
        return [each for each in self.inputs if each.kind == kind]


def _input(column: Column, train: pd.DataFrame) -> Input:
    if column.kind == "boolean" and pd.api.types.is_string_dtype(train[column.name].dtype):
        return Input(column.name, column.kind, IN_WORDS)
    if column.kind != "date":
        return Input(column.name, column.kind)
    days = numbers(train[column.name], "date", column.format)
    days = days[~np.isnan(days)]
    # Without times of day there is no hour.
    cycles = tuple(CYCLES) if (days != np.floor(days)).any() else ("month", "weekday")
    return Input(column.name, column.kind, column.format, cycles)


def _counts(column: "pd.Series[Any]") -> Iterable[tuple[str, int]]:
    codes, different = texts(column)
    return zip(different, np.bincount(codes, minlength=len(different)).tolist(), strict=True)


def _angles(days: Floats, cycles: tuple[str, ...]) -> Iterator[Floats]:
    """Where each date is in its cycles, in radians; NaN where it is missing."""
    whole = np.floor(days)
    known = ~np.isnan(days)
    months = np.full(len(days), np.nan)
    dates = whole[known].astype("datetime64[D]")
    months[known] = dates.astype("datetime64[M]").astype(np.int64) % 12
    place = {"month": months, "weekday": (whole + 3) % 7, "hour": (days - whole) * 24}
    for cycle in cycles:
        yield 2 * np.pi * place[cycle] / CYCLES[cycle]


def _stack(columns: list[Floats], rows: int) -> Floats:
    return np.column_stack(columns) if columns else np.empty((rows, 0))

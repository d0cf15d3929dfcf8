"""Raw rows as a network takes them: read, filled, encoded and scaled as the training rows were."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sweep.datasets.columns import Column
from sweep.datasets.measures import Measures
from sweep.datasets.reading import Reading
from sweep.datasets.targets import Target
from sweep.spec import DataSpec

BLOCK_ROWS = 65_536
"""Rows transformed at a time: a large table has no second copy in float64."""


@dataclass(frozen=True, slots=True, eq=False)
class Preprocessing:
    """What was learned from the training rows, and what it takes to read new ones.

    A network's inputs are, in this order: numbers, dates as days, and ordinal categories, all
    scaled; booleans; for each of these that lacked a value in training a column that says where
    (the value itself is the median); month, weekday and hour of dates as points on a circle; and
    a column for each category.
    """

    reading: Reading
    measures: Measures
    target: Target

    @classmethod
    def fit(
        cls, data: DataSpec, columns: Sequence[Column], train: pd.DataFrame, target: Target
    ) -> "Preprocessing":
        """From the training rows and what their columns are, those that are dropped included;
        values.Odd where a value is of another kind."""
        reading = Reading.of(columns, train, data.encoding, data.max_categories)
        measures = Measures.fit(
            data.scaling,
            len(reading.scaled),
            columns=lambda: (reading.measure(each, train) for each in reading.measured),
            blocks=lambda: map(reading.matrix, _blocks(train)),
        )
        return cls(reading, measures, target)

    @property
    def features(self) -> list[str]:
        """The names of a network's inputs."""
        return [name for name, _ in self._features]

    @property
    def origins(self) -> list[str]:
        """The raw column that each of a network's inputs is made of."""
        return [column for _, column in self._features]

    @property
    def _features(self) -> list[tuple[str, str]]:
        measured = [
            (f"{each.name}, days" if each.kind == "date" else each.name, each.name)
            for each in self.reading.measured
        ]
        gaps = zip(self.reading.measured, self.measures.gaps, strict=True)
        missing = [(f"{each.name} is missing", each.name) for each, gap in gaps if gap]
        return measured + missing + self.reading.cycled + self.reading.indicated

    def frame(self, x: pd.DataFrame | ArrayLike) -> pd.DataFrame:
        """Raw rows as a table of the columns that are read; ValueError if any are missing.

        Those of a frame, or of an Arrow table such as Polars's, are found by name. Those of an
        array (rows, columns) are the features of the data in its order, those that are dropped
        included.
        """
        if not isinstance(x, pd.DataFrame):
            if not hasattr(x, "__arrow_c_stream__"):
                return self._named(np.asarray(x))
            x = pd.DataFrame.from_arrow(x)
        needed = self.reading.needed
        if missing := [name for name in needed if name not in x.columns]:
            names = ", ".join(map(repr, missing[:12])) + (", ..." if len(missing) > 12 else "")
            raise ValueError(
                f"x lacks the column{'s' * (len(missing) > 1)} {names}, which the model needs"
            )
        chosen = x[needed]
        if not chosen.columns.is_unique:
            name = chosen.columns[chosen.columns.duplicated()][0]
            raise ValueError(f"x has the column {name!r} more than once")
        return chosen

    def transform(
        self, x: pd.DataFrame | ArrayLike, rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Raw rows, or those of them at these positions, as (rows, features).

        ValueError as `frame`, values.Odd where a value is of another kind than its column was in
        training.
        """
        frame = self.frame(x)
        count = len(frame) if rows is None else len(rows)
        out = np.empty((count, len(self.features)), np.float32)
        start = 0
        for block in _blocks(frame, rows):
            self._write(block, out[start : start + len(block)])
            start += len(block)
        return out

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as plain arrays, which an .npz holds without pickle."""
        return self.reading.to_arrays() | self.measures.to_arrays() | self.target.to_arrays()

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Preprocessing":
        """The Preprocessing that `to_arrays` wrote."""
        return cls(
            Reading.from_arrays(arrays), Measures.from_arrays(arrays), Target.from_arrays(arrays)
        )

    def _named(self, x: NDArray[Any]) -> pd.DataFrame:
        names = [each.name for each in self.reading.inputs]
        width = len(names)
        if x.ndim != 2 or x.shape[1] != width:
            some = ", ".join(names[:5]) + (", ..." if width > 5 else "")
            raise ValueError(f"x has the shape {x.shape}, not (rows, {width}): {some}")
        return pd.DataFrame(x, columns=names, copy=False)[self.reading.needed]

    def _write(self, block: pd.DataFrame, out: NDArray[np.float32]) -> None:
        first = 0
        for part in self._parts(block):
            with np.errstate(over="ignore"):
                out[:, first : first + part.shape[1]] = part
            first += part.shape[1]
        if not np.isfinite(out).all():
            row, column = np.argwhere(~np.isfinite(out))[0]
            raise ValueError(
                f"column {self.features[column]!r}, row {block.index[row]}: the number is too "
                "large to be learned from; divide the column by a power of ten"
            )

    def _parts(self, block: pd.DataFrame) -> Iterator[NDArray[Any]]:
        yield self.measures.transform(self.reading.matrix(block))
        yield self.reading.cycles(block)
        yield from self.reading.one_hot(block)


def _blocks(frame: pd.DataFrame, rows: NDArray[np.int64] | None = None) -> Iterator[pd.DataFrame]:
    count = len(frame) if rows is None else len(rows)
    for start in range(0, count, BLOCK_ROWS):
        block = slice(start, start + BLOCK_ROWS)
        yield frame.iloc[block if rows is None else rows[block]]

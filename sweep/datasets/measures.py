"""Numbers of a table, with gaps, as numbers that a network learns from: filled and scaled."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.datasets.scaling import Scaler
from sweep.datasets.values import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Measures:
    """What was learned from the training rows of columns of numbers, the first of them scaled."""

    medians: Floats
    """(columns,) what stands for a missing number."""
    gaps: NDArray[np.bool_]
    """(columns,) which had missing numbers in training: a column more says where."""
    scaler: Scaler
    """Of the first columns."""

    @classmethod
    def fit(
        cls,
        scaling: str,
        n_scaled: int,
        columns: Callable[[], Iterator[Floats]],
        blocks: Callable[[], Iterator[Floats]],
    ) -> "Measures":
        """From a table (rows, columns) with NaN, which is given column by column and in blocks of
        rows, so that no one needs to hold all of it."""
        medians, gaps = [], []
        for column in columns():
            missing = np.isnan(column)
            medians.append(0.0 if missing.all() else float(np.median(column[~missing])))
            gaps.append(bool(missing.any()))
        fitted = cls(np.array(medians), np.array(gaps, bool), Scaler("none", n_scaled, {}))
        scaler = Scaler.fit(
            scaling,
            n_scaled,
            blocks=(fitted._filled(block)[:, :n_scaled] for block in blocks()),
            columns=(
                np.where(np.isnan(column), median, column)
                for column, median, _ in zip(columns(), medians, range(n_scaled), strict=False)
            ),
        )
        return cls(fitted.medians, fitted.gaps, scaler)

    def transform(self, x: Floats) -> Floats:
        """(rows, columns) with NaN to (rows, columns and those that say where NaN was)."""
        n_scaled = self.scaler.width
        filled = self._filled(x)
        missing = np.isnan(x[:, self.gaps]).astype(np.float64)
        return np.hstack(
            [self.scaler.transform(filled[:, :n_scaled]), filled[:, n_scaled:], missing]
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """All of it as plain arrays."""
        return {"medians": self.medians, "gaps": self.gaps} | self.scaler.to_arrays("scaling")

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Measures":
        """The Measures that `to_arrays` wrote."""
        scaler = Scaler.from_arrays(arrays, "scaling")
        return cls(arrays["medians"], arrays["gaps"], scaler)

    def _filled(self, x: Floats) -> Floats:
        return np.where(np.isnan(x), self.medians, x)

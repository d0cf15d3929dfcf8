"""Numeric embeddings: every numeric column becomes several features in front of the first layer.

Both are fixed once they are fitted, on training rows only. Trained further, they would share the
first layer's weights anyway: a linear map of an embedding is a linear map of the concatenation.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A transformation of the columns of x, held in named arrays."""

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything it knows, for an archive."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The embedding that `to_arrays` described."""
        return cls(**arrays)


@dataclass(frozen=True, slots=True, eq=False)
class PiecewiseLinear(Embedding):
    """Where in each of a column's bins a value lies: 0 below, 1 above, linear within.

    The first bin is open below and the last above, so that no value out of the training range is
    lost (Gorishniy et al. 2022, arXiv:2203.05556, equation 1, with the bins of section 3.2.1). A
    column of two values, such as one of a one-hot encoding, has one bin: it stays one feature.
    """

    column: np.ndarray
    """(features,) the column of x that each feature sees."""

    start: np.ndarray
    """(features,) the lower edge of its bin."""

    width: np.ndarray
    """(features,) of its bin."""

    bottom: np.ndarray
    """(features,) 0, or minus infinity in a column's first bin."""

    top: np.ndarray
    """(features,) 1, or infinity in a column's last bin."""

    @classmethod
    def fit(cls, x: np.ndarray, bins: int = 32) -> Self:
        """Bins between quantiles of x (rows, columns): at most `bins`, fewer where they coincide.

        Raises ValueError if bins is not a positive integer or x is not finite.
        """
        x = _numbers(x)
        if type(bins) is not int or bins < 1:
            raise ValueError(f"bins must be a positive integer, not {bins!r}")
        # Between values, as is usual, two values would have more than two quantiles.
        quantiles = np.quantile(x, np.linspace(0, 1, bins + 1), axis=0, method="nearest")
        edges = [np.unique(column) for column in quantiles.T]
        # A constant column has no bin; one of width 1 keeps it, at zero.
        edges = [np.append(e, e + 1) if len(e) == 1 else e for e in edges]
        counts = np.array([len(e) - 1 for e in edges])
        last = counts.cumsum() - 1
        bottom, top = np.zeros(counts.sum()), np.ones(counts.sum())
        bottom[last - counts + 1] = -np.inf
        top[last] = np.inf
        return cls(
            column=np.repeat(np.arange(len(counts)), counts),
            start=np.concatenate([e[:-1] for e in edges]),
            width=np.concatenate([np.diff(e) for e in edges]),
            bottom=bottom,
            top=top,
        )

    def transform(self, x: np.ndarray) -> np.ndarray:
        """(rows, columns) -> (rows, features), float32 if x is and float64 otherwise."""
        features = _numbers(x, columns=int(self.column[-1]) + 1)[:, self.column]
        features -= self.start
        features /= self.width
        np.clip(features, self.bottom, self.top, out=features)
        return features.astype(_dtype(x), copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class Periodic(Embedding):
    """Each standardised column z, with sin(2 pi c z) and cos(2 pi c z) for random frequencies c.

    Gorishniy et al. 2022, arXiv:2203.05556, equation 2, with c ~ N(0, sigma^2) left as drawn. The
    column itself stays among the features (as in Holzmueller et al. 2024, arXiv:2407.04491), and
    a column of at most two values, such as one of a one-hot encoding, stays alone.
    """

    mean: np.ndarray
    """(columns,) of the training rows."""

    scale: np.ndarray
    """(columns,) standard deviation of the training rows, 1 where they are constant."""

    column: np.ndarray
    """(waves,) the column of x that each pair of features sees."""

    frequency: np.ndarray
    """(waves,) in cycles a standard deviation."""

    @classmethod
    def fit(cls, x: np.ndarray, waves: int = 16, sigma: float = 0.1, seed: int = 0) -> Self:
        """`waves` random frequencies for every column of x (rows, columns) of three values or more.

        Raises ValueError if waves is not a positive integer, sigma is not above 0, or x is not
        finite.
        """
        x = _numbers(x)
        if type(waves) is not int or waves < 1:
            raise ValueError(f"waves must be a positive integer, not {waves!r}")
        if not (math.isfinite(sigma) and sigma > 0):
            raise ValueError(f"sigma must be a finite number above 0, not {sigma!r}")
        scale = x.std(axis=0)
        waving = [j for j, column in enumerate(x.T) if len(np.unique(column)) > 2]
        column = np.repeat(np.array(waving, dtype=np.int64), waves)
        return cls(
            mean=x.mean(axis=0),
            scale=np.where(scale > 0, scale, 1),
            column=column,
            frequency=np.random.default_rng(seed).normal(0, sigma, len(column)),
        )

    def transform(self, x: np.ndarray) -> np.ndarray:
        """(rows, columns) -> (rows, columns + 2 waves), float32 if x is and float64 otherwise."""
        z = (_numbers(x, columns=len(self.mean)) - self.mean) / self.scale
        angles = z[:, self.column]
        angles *= 2 * math.pi * self.frequency
        columns, waves = z.shape[1], angles.shape[1]
        features = np.empty((len(z), columns + 2 * waves), _dtype(x))
        features[:, :columns] = z
        np.sin(angles, out=features[:, columns : columns + waves], casting="same_kind")
        np.cos(angles, out=features[:, columns + waves :], casting="same_kind")
        return features


def _dtype(x: np.ndarray) -> type[np.floating]:
    return np.float32 if x.dtype == np.float32 else np.float64


def _numbers(x: np.ndarray, columns: int | None = None) -> np.ndarray:
    """x in float64; ValueError if it is not a matrix of finite numbers, or of other columns."""
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "fiub":
        raise ValueError(f"x must be an array of real numbers, not {getattr(x, 'dtype', type(x))}")
    if x.ndim != 2 or 0 in x.shape or columns not in (None, x.shape[1]):
        raise ValueError(f"x must have shape (rows, {columns or 'columns'}), not {x.shape}")
    if not np.isfinite(x).all():
        row, column = np.argwhere(~np.isfinite(x))[0]
        raise ValueError(
            f"x must be finite; row {row}, column {column} is {x[row, column]}: "
            "fill it or drop the row"
        )
    return x.astype(np.float64)


EMBEDDINGS: Mapping[str, type[PiecewiseLinear | Periodic]] = {
    "periodic": Periodic,
    "piecewise_linear": PiecewiseLinear,
}

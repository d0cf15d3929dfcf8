"""Numeric embeddings: every numeric column becomes several features in front of the first layer.

Both are fixed once they are fitted, on training rows only. Trained further, they would share the
first layer's weights anyway: a linear map of an embedding is a linear map of the concatenation.
As a field of TrainConfig, `embedding` is fitted when training begins and kept in the TrainState.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Self

import numpy as np

from trainer.arguments import check_numbers

Seed = int | np.random.SeedSequence


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """A transformation of the columns of x, held in named arrays."""

    name: ClassVar[str]
    """In EMBEDDINGS."""

    options: ClassVar[tuple[str, ...]]
    """The fields of TrainConfig that `fit` takes as keywords."""

    sizes: ClassVar[tuple[str, ...]]
    """Those of them that the number of features depends on."""

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Everything it knows, for an archive."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """The embedding that `to_arrays` described."""
        return cls(**arrays)


@dataclass(frozen=True, slots=True, eq=False)
class PiecewiseLinear(_Fitted):
    """Where in each of a column's bins a value lies: 0 below, 1 above, linear within.

    The first bin is open below and the last above, so that no value out of the training range is
    lost (Gorishniy et al. 2022, arXiv:2203.05556, equation 1, with the bins of section 3.2.1). A
    column of two values, such as one of a one-hot encoding, has one bin: it stays one feature.
    """

    name: ClassVar = "piecewise_linear"
    options: ClassVar = ("bins",)
    sizes: ClassVar = ("bins",)

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
    def fit(cls, x: np.ndarray, bins: int = 32, seed: Seed = 0) -> Self:
        """Bins between quantiles of x (rows, columns): at most `bins`, fewer where they coincide.

        Nothing is random here: a seed is taken so that all embeddings are fitted alike. Raises
        ValueError if bins is not a positive integer or x is not finite.
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

    @property
    def n_columns(self) -> int:
        """Columns of x."""
        return int(self.column[-1]) + 1

    @property
    def n_features(self) -> int:
        """What they become."""
        return len(self.column)

    def transform(self, x: np.ndarray) -> np.ndarray:
        """(rows, columns) -> (rows, features), float32 if x is and float64 otherwise."""
        features = self._places(x)
        np.clip(features, self.bottom, self.top, out=features)
        return features.astype(_dtype(x), copy=False)

    def pull_back(self, x: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        """Slopes along the features (rows, outputs, features), at these rows, to slopes along the
        columns (rows, outputs, columns); at an edge, to those above it."""
        places = self._places(x)
        within = (self.bottom <= places) & (places < self.top)
        slopes = slopes * (within / self.width)[:, np.newaxis]
        starts = np.flatnonzero(self.bottom < 0)
        return np.asarray(np.add.reduceat(slopes, starts, axis=2))

    def _places(self, x: np.ndarray) -> np.ndarray:
        """Where values lie against their bins, 0 at the start and 1 at the end."""
        # Not by an index, which would lay out columns one after another: batches gather rows.
        places = _numbers(x, self.n_columns).take(self.column, axis=1)
        places -= self.start
        places /= self.width
        return places


@dataclass(frozen=True, slots=True, eq=False)
class Periodic(_Fitted):
    """Each standardised column z, with sin(2 pi c z) and cos(2 pi c z) for random frequencies c.

    Gorishniy et al. 2022, arXiv:2203.05556, equation 2, with c ~ N(0, sigma^2) left as drawn. The
    column itself stays among the features (as in Holzmueller et al. 2024, arXiv:2407.04491), and
    a column of at most two values, such as one of a one-hot encoding, stays alone. The paper trains
    the frequencies, with a further layer for each column; neither is done here.
    """

    name: ClassVar = "periodic"
    options: ClassVar = ("frequencies", "frequency_scale")
    sizes: ClassVar = ("frequencies",)

    mean: np.ndarray
    """(columns,) of the training rows."""

    scale: np.ndarray
    """(columns,) standard deviation of the training rows, 1 where they are constant."""

    column: np.ndarray
    """(frequencies,) the column of x that each pair of features sees."""

    frequency: np.ndarray
    """(frequencies,) in cycles a standard deviation."""

    @classmethod
    def fit(
        cls,
        x: np.ndarray,
        frequencies: int = 16,
        frequency_scale: float = 0.1,
        seed: Seed = 0,
    ) -> Self:
        """So many random frequencies for each column of x (rows, columns) of three values or more.

        Raises ValueError if frequencies is not a positive integer, frequency_scale is not above 0,
        or x is not finite.
        """
        x = _numbers(x)
        if type(frequencies) is not int or frequencies < 1:
            raise ValueError(f"frequencies must be a positive integer, not {frequencies!r}")
        if not (math.isfinite(frequency_scale) and frequency_scale > 0):
            raise ValueError(
                f"frequency_scale must be a finite number above 0, not {frequency_scale!r}"
            )
        waving = [j for j, column in enumerate(x.T) if len(np.unique(column)) > 2]
        column = np.repeat(np.array(waving, dtype=np.int64), frequencies)
        return cls(
            mean=x.mean(axis=0),
            # Not where the deviation is 0: by rounding, that of a constant may be a little more.
            scale=np.where(np.ptp(x, axis=0) > 0, x.std(axis=0), 1),
            column=column,
            frequency=np.random.default_rng(seed).normal(0, frequency_scale, len(column)),
        )

    @property
    def n_columns(self) -> int:
        """Columns of x."""
        return len(self.mean)

    @property
    def n_features(self) -> int:
        """What they become."""
        return len(self.mean) + 2 * len(self.column)

    def transform(self, x: np.ndarray) -> np.ndarray:
        """(rows, columns) -> (rows, features): the columns, their sines, their cosines; float32 if
        x is and float64 otherwise."""
        z, angles = self._angles(x)
        columns, waves = z.shape[1], angles.shape[1]
        features = np.empty((len(z), self.n_features), _dtype(x))
        features[:, :columns] = z
        np.sin(angles, out=features[:, columns : columns + waves], casting="same_kind")
        np.cos(angles, out=features[:, columns + waves :], casting="same_kind")
        return features

    def pull_back(self, x: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        """Slopes along the features (rows, outputs, features), at these rows, to slopes along the
        columns (rows, outputs, columns)."""
        _, angles = self._angles(x)
        columns, waves = self.n_columns, angles.shape[1]
        along, sines, cosines = np.split(slopes, [columns, columns + waves], axis=2)
        angles = angles[:, np.newaxis]
        waving = 2 * math.pi * self.frequency * (np.cos(angles) * sines - np.sin(angles) * cosines)
        slopes = along.astype(np.float64)
        for wave, column in enumerate(self.column):
            slopes[:, :, column] += waving[:, :, wave]
        return np.asarray(slopes / self.scale)

    def _angles(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The standardised columns, and 2 pi c z of each wave."""
        z = (_numbers(x, self.n_columns) - self.mean) / self.scale
        return z, z[:, self.column] * (2 * math.pi * self.frequency)


def _dtype(x: np.ndarray) -> type[np.floating]:
    return np.float32 if x.dtype == np.float32 else np.float64


def _numbers(x: np.ndarray, columns: int | None = None) -> np.ndarray:
    """x in float64; ValueError if it is not a matrix of finite numbers, or of other columns."""
    check_numbers("x", x, "columns")
    if columns not in (None, x.shape[1]):
        raise ValueError(f"x must have shape (rows, {columns}), not {x.shape}")
    return x.astype(np.float64)


Embedding = PiecewiseLinear | Periodic

EMBEDDINGS: Mapping[str, type[Embedding]] = {
    kind.name: kind for kind in (Periodic, PiecewiseLinear)
}


def to_arrays(embedding: Embedding | None) -> dict[str, np.ndarray]:
    """An embedding as named arrays, for an archive of other things too; none if there is none."""
    if embedding is None:
        return {}
    named = {f"embedding.{name}": array for name, array in embedding.to_arrays().items()}
    return {"embedding": np.array(embedding.name)} | named


def from_arrays(arrays: Mapping[str, np.ndarray]) -> Embedding | None:
    """The embedding that `to_arrays` described, if there was one, whatever else is there."""
    if "embedding" not in arrays:
        return None
    prefix = "embedding."
    named = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
    return EMBEDDINGS[str(arrays["embedding"])].from_arrays(named)

"""scikit-learn's scalers, fitted a part of the table at a time and kept as plain arrays."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import QuantileTransformer, RobustScaler, StandardScaler

Floats = NDArray[np.float64]

QUANTILES = 1000
"""At most so many of each column, as in scikit-learn."""


class _Kind(NamedTuple):
    make: Callable[[int], Any]
    """The transformer for a number of rows to fit it to."""
    fitted: tuple[str, ...]
    """Its public attributes that transform and inverse_transform use."""


_KINDS = {
    "standard": _Kind(lambda rows: StandardScaler(), ("mean_", "scale_")),
    "robust": _Kind(lambda rows: RobustScaler(), ("center_", "scale_")),
    "quantile": _Kind(
        lambda rows: QuantileTransformer(
            n_quantiles=min(rows, QUANTILES), subsample=None, output_distribution="normal"
        ),
        ("quantiles_", "references_"),
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Scaler:
    """A fitted scaler of so many columns; of the kind none, it leaves them as they are."""

    kind: str
    width: int
    arrays: Mapping[str, Floats]
    """The fitted attributes, the last axis being that of the columns; but for `references_`."""

    @classmethod
    def fit(
        cls,
        kind: str,
        width: int,
        blocks: Iterable[Floats],
        columns: Iterable[Floats],
    ) -> "Scaler":
        """Fit to a table that is given in blocks of rows or in columns, whichever it takes."""
        if kind == "none" or not width:
            return cls(kind, width, {})
        make, names = _KINDS[kind]
        if kind == "standard":
            scaler = make(QUANTILES)
            for block in blocks:
                scaler.partial_fit(block)
            return cls(kind, width, {name: getattr(scaler, name) for name in names})
        fitted = [make(len(column)).fit(column[:, None]) for column in columns]
        arrays = {}
        for name in names:
            found = [getattr(scaler, name) for scaler in fitted]
            arrays[name] = found[0] if name == "references_" else np.concatenate(found, axis=-1)
        return cls(kind, width, arrays)

    def transform(self, x: Floats) -> Floats:
        """Columns (rows, width) as they were fitted to be."""
        return x if not self.arrays or not len(x) else np.asarray(self._made().transform(x))

    def inverse(self, x: Floats) -> Floats:
        """The columns that `transform` was given."""
        return x if not self.arrays or not len(x) else np.asarray(self._made().inverse_transform(x))

    def to_arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """All of it by names that begin with this one."""
        head = {name: np.array(self.kind), f"{name}.width": np.array(self.width)}
        return head | {f"{name}.{key}": array for key, array in self.arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], name: str) -> "Scaler":
        """The Scaler that `to_arrays` wrote."""
        kind, width = str(arrays[name]), int(arrays[f"{name}.width"])
        fitted = _KINDS[kind].fitted if kind != "none" and width else ()
        return cls(kind, width, {key: arrays[f"{name}.{key}"] for key in fitted})

    def _made(self) -> Any:
        scaler = _KINDS[self.kind].make(QUANTILES)
        for name, array in self.arrays.items():
            setattr(scaler, name, array)
        scaler.n_features_in_ = self.width
        return scaler

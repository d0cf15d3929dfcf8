"""What is to be predicted: from a table's columns to the trainer's y, and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from sweep.datasets.scaling import Scaler
from sweep.datasets.values import Floats, Odd, numbers, texts


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """The columns to predict, and how a network's outputs are read."""

    task: str
    names: tuple[str, ...]
    classes: NDArray[Any] | None
    """(n_classes,) the label of each class, of a classification."""
    scaler: Scaler
    """Of a regression's columns: outputs begin near 0, and Adam moves them by about the learning
    rate a step, which would never reach the hundreds."""

    @classmethod
    def fit(
        cls, task: str, classes: NDArray[Any] | None, train: pd.DataFrame, scaling: str
    ) -> "Target":
        """From the target's columns of the training rows; Odd where a value is no number."""
        names = tuple(map(str, train.columns))
        if task != "regression":
            return cls(task, names, classes, Scaler("none", len(names), {}))
        values = _matrix(train, "numeric")
        scaler = Scaler.fit(scaling, len(names), [values], values.T)
        return cls(task, names, classes, scaler)

    @property
    def n_outputs(self) -> int:
        """One a class, or one a column."""
        return len(self.names) if self.classes is None else len(self.classes)

    @property
    def scale(self) -> Floats | None:
        """(columns,) how much of the data's own unit a difference of 1 in y is, if it has one."""
        if self.task != "regression":
            return None
        return self.scaler.arrays.get("scale_", np.ones(len(self.names)))

    @property
    def mean(self) -> Floats | None:
        """(columns,) what 0 in y is in the data's own unit; None as of `scale`."""
        if self.scale is None:
            return None
        return self.scaler.arrays.get("mean_", np.zeros(len(self.names)))

    def encode(self, frame: pd.DataFrame) -> NDArray[Any]:
        """Labels (rows,) from 0, or (rows, columns); Odd for an unknown label or no number."""
        if self.classes is not None:
            return self._indices(frame[self.names[0]])
        kind = "boolean" if self.task == "multilabel" else "numeric"
        values = self.scaler.transform(_matrix(frame[list(self.names)], kind))
        return np.ascontiguousarray(values, dtype=np.float32)

    def labels(self, indices: ArrayLike) -> NDArray[Any]:
        """The labels of class indices (rows,), as the data has them."""
        if self.classes is None:
            raise ValueError(f"a {self.task} has no class labels")
        return np.asarray(self.classes[np.asarray(indices)])

    def values(self, outputs: ArrayLike) -> Floats:
        """A regression's outputs (rows, columns) in the units of the data."""
        return self.scaler.inverse(np.array(outputs, dtype=np.float64))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The fields as plain arrays."""
        arrays = {"task": np.array(self.task), "target": np.array(self.names)}
        if self.classes is not None:
            arrays["classes"] = self.classes
        return arrays | self.scaler.to_arrays("target_scaling")

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "Target":
        """The Target that `to_arrays` wrote."""
        return cls(
            task=str(arrays["task"]),
            names=tuple(arrays["target"].tolist()),
            classes=arrays.get("classes"),
            scaler=Scaler.from_arrays(arrays, "target_scaling"),
        )

    def _indices(self, column: "pd.Series[Any]") -> NDArray[np.int64]:
        assert self.classes is not None
        # By their texts, since a reader may take labels for numbers, and whole ones for real ones.
        known = {text: index for index, text in enumerate(texts(pd.Series(self.classes))[1])}
        codes, different = texts(column)
        found = [known.get(text, -1) for text in different]
        indices = np.array(found, dtype=np.int64)[codes]
        if (indices < 0).any():
            some = ", ".join(list(known)[:12]) + (", ..." if len(known) > 12 else "")
            raise Odd(column, int((indices < 0).argmax()), f"one of the classes {some}")
        return indices


def _matrix(frame: pd.DataFrame, kind: str) -> Floats:
    columns = []
    for name in frame.columns:
        columns.append(numbers(frame[name], kind))
        if np.isnan(columns[-1]).any():
            raise Odd(frame[name], int(np.isnan(columns[-1]).argmax()), "a value")
    return np.column_stack(columns)

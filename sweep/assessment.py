"""Whether what a model says comes true: confusion of labels, calibration of probabilities."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

Floats = NDArray[np.float64]

LEVELS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99])
"""Of the intervals whose coverage is looked at."""


def confusion(
    y: NDArray[np.int64], predicted: NDArray[np.int64], classes: NDArray[Any]
) -> pd.DataFrame:
    """How many rows of each class (rows of the frame) are taken for which (columns)."""
    counts = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(counts, (y, predicted), 1)
    true, found = (pd.Index(classes.tolist(), name=name) for name in ("true", "predicted"))
    return pd.DataFrame(counts, true, found)


def label_confusion(
    y: NDArray[Any], predicted: NDArray[Any], labels: tuple[str, ...]
) -> pd.DataFrame:
    """A row for each of several labels, y and predictions (rows, labels) of 0 and 1."""
    has, told = y > 0.5, predicted > 0.5
    counts = {
        "true_negative": ~has & ~told,
        "false_positive": ~has & told,
        "false_negative": has & ~told,
        "true_positive": has & told,
    }
    index = pd.Index(labels, name="label")
    return pd.DataFrame({name: each.sum(axis=0) for name, each in counts.items()}, index)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Whether shares that a model predicts are those that are observed."""

    table: pd.DataFrame
    """A row for each bin of rows whose predicted share is alike: `rows`, their mean `predicted`
    share, the `observed` one, and its binomial `standard_error`."""

    error: float
    """Mean distance of predicted and observed shares, weighted by rows: of probabilities, the
    expected calibration error (Guo et al. 2017, arXiv:1706.04599, equation 3)."""

    largest: float
    """The largest distance: the maximum calibration error (equation 4)."""

    rows: int

    of: str
    """What is predicted, in words."""

    def __repr__(self) -> str:
        return f"{self._head}\n{self.table.to_string(float_format='{:.4f}'.format)}"

    def _repr_html_(self) -> str:
        return f"<p>{self._head}</p>{self.table.to_html(float_format='{:.4f}'.format)}"

    @property
    def _head(self) -> str:
        return (
            f"calibration of {self.of}, {self.rows} rows: expected error {self.error:.4f}, "
            f"largest {self.largest:.4f}"
        )


def of_classes(y: NDArray[np.int64], probabilities: Floats, bins: int) -> Calibration:
    """Of the probability (rows, classes) of the class that is predicted, which is the likeliest."""
    chosen = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(len(y)), chosen]
    return _made(_binned(confidence, chosen == y, bins), len(y), "the predicted class")


def of_labels(
    y: NDArray[Any], probabilities: Floats, labels: tuple[str, ...], bins: int
) -> Calibration:
    """Of the probability of each label (rows, labels)."""
    tables = {
        label: _binned(probabilities[:, j], y[:, j] > 0.5, bins) for j, label in enumerate(labels)
    }
    return _made(pd.concat(tables, names=["label", "bin"]), len(y), "each label")


def of_intervals(
    y: Floats, mean: Floats, deviation: Floats, targets: tuple[str, ...]
) -> Calibration:
    """Of the intervals around the mean in which a normal distribution has a given share, all
    (rows, targets)."""
    distance = np.absolute(y - mean) / deviation
    within = distance[..., np.newaxis] <= ndtri((1 + LEVELS) / 2)
    tables = {
        target: pd.DataFrame(
            {"rows": len(y), "predicted": LEVELS, "observed": within[:, j].mean(axis=0)},
            index=[f"{level:.0%}" for level in LEVELS],
        )
        for j, target in enumerate(targets)
    }
    table = pd.concat(tables, names=["target", "interval"])
    return _made(_with_error(table), len(y), "intervals around the values")


def of_quantile(
    y: Floats, predicted: Floats, quantile: float, targets: tuple[str, ...]
) -> Calibration:
    """Of the share of values (rows, targets) up to a predicted quantile."""
    table = pd.DataFrame(
        {"rows": len(y), "predicted": quantile, "observed": (y <= predicted).mean(axis=0)},
        index=pd.Index(targets, name="target"),
    )
    return _made(_with_error(table), len(y), "the quantile")


def _binned(share: Floats, is_so: NDArray[np.bool_], bins: int) -> pd.DataFrame:
    """Bins of one width, each with its upper end, those without rows left out."""
    edges = np.linspace(0, 1, bins + 1)
    place = np.searchsorted(edges[1:-1], share)
    rows = np.bincount(place, minlength=bins)
    table = pd.DataFrame(
        {
            "rows": rows,
            "predicted": np.bincount(place, share, bins) / np.maximum(rows, 1),
            "observed": np.bincount(place, is_so, bins) / np.maximum(rows, 1),
        },
        index=pd.Index([f"{a:.3g} to {b:.3g}" for a, b in pairwise(edges)], name="bin"),
    )
    return _with_error(table[rows > 0])


def _with_error(table: pd.DataFrame) -> pd.DataFrame:
    spread = np.sqrt(table["observed"] * (1 - table["observed"]) / table["rows"])
    return table.assign(standard_error=spread)


def _made(table: pd.DataFrame, rows: int, of: str) -> Calibration:
    gaps = (table["predicted"] - table["observed"]).abs()
    error = float(np.average(gaps, weights=table["rows"]))
    return Calibration(table, error, float(gaps.max()), rows, of)

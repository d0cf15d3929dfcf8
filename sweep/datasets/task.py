"""What is to be learned: found from the target, or given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweep.datasets.problems import DataProblem, listed, shown
from sweep.datasets.values import Odd, numbers

MOST_CLASSES = 20
"""Different whole numbers that are still taken for classes; texts are classes however many."""
ROWS_A_CLASS = 5
"""On average, from which on whole numbers are taken for classes."""
HEAVY = 0.2
"""Of the share that all classes would have alike: a class below it is rare."""


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """What a target asks for, and why it is thought so."""

    task: str
    """classification, multilabel or regression."""

    classes: NDArray[Any] | None
    """(n_classes,) in order, of the labels' own type; None but for classification."""

    reason: str
    shares: tuple[float, ...]
    """Of the rows: those of each class, or those in which each label is 1; () for regression."""

    @property
    def is_imbalanced(self) -> bool:
        """Whether some class is so rare that a network may do well and never see it."""
        least = min(self.shares, default=1.0)
        even = 0.5 if self.task == "multilabel" else 1 / max(1, len(self.shares))
        return least < HEAVY * even


def find_task(frame: pd.DataFrame, target: Sequence[str], given: str | None) -> Task:
    """What the target columns ask for; DataProblem if they cannot be learned, or not as `given`."""
    for name in target:
        if frame[name].nunique() < 2:
            raise DataProblem(
                f"the target {shown(name)} has one value only, {shown(frame[name].iloc[0])}, in "
                f"all {len(frame)} rows: there is nothing to learn; name another column"
            )
        if frame[name].dtype.kind == "M":
            raise DataProblem(
                f"the target {shown(name)} holds times; give it as a number, such as days"
            )
    task, reason = (given, "as data.task says") if given else _find(frame, target)
    return _TASKS[task](frame, target, reason)


def _find(frame: pd.DataFrame, target: Sequence[str]) -> tuple[str, str]:
    columns = [frame[name] for name in target]
    if len(columns) > 1:
        if all(_is_indicator(column) for column in columns):
            return "multilabel", f"{len(columns)} columns of two values, no or yes"
        return "regression", f"{len(columns)} columns of numbers"
    values = columns[0]
    distinct = values.nunique()
    if values.dtype.kind == "b":
        return "classification", "true or false"
    if values.dtype.kind not in "iuf":
        return "classification", f"{distinct} different texts"
    whole = bool((values == values.round()).all())
    few = distinct <= min(MOST_CLASSES, max(2, len(values) // ROWS_A_CLASS))
    if whole and few:
        return "classification", f"{distinct} different whole numbers"
    kind = "whole numbers" if whole else "numbers"
    return "regression", f"{distinct} different {kind} from {values.min():g} to {values.max():g}"


def _is_indicator(values: "pd.Series[Any]") -> bool:
    try:
        numbers(values, "boolean")
    except Odd:
        return False
    return True


def _classification(frame: pd.DataFrame, target: Sequence[str], reason: str) -> Task:
    if len(target) > 1:
        raise DataProblem(
            f"classification has one target, and there are {len(target)}: {listed(tuple(target))}; "
            'several columns of 0 and 1 are "multilabel"'
        )
    labels = _labels(frame[target[0]])
    counts = labels.value_counts()
    if 2 * len(counts) > len(labels) >= MOST_CLASSES:
        raise DataProblem(
            f"the target {shown(target[0])} has {len(counts)} different values in {len(labels)} "
            "rows, too many to be classes; name another column, or mend values that should be "
            "numbers"
        )
    classes = np.array(sorted(counts.index))
    shares = tuple(float(counts[label] / len(labels)) for label in classes.tolist())
    return Task("classification", classes, reason, shares)


def _labels(values: "pd.Series[Any]") -> "pd.Series[Any]":
    return values if values.dtype.kind in "biuf" else values.astype(object).astype(str)


def _multilabel(frame: pd.DataFrame, target: Sequence[str], reason: str) -> Task:
    if len(target) == 1:
        raise DataProblem(
            "multilabel needs several targets, each of 0 and 1, and there is one; for one column "
            'use "classification"'
        )
    shares = []
    for name in target:
        try:
            shares.append(float(numbers(frame[name], "boolean").mean()))
        except Odd as odd:
            raise DataProblem(
                f"the target {shown(name)} holds {odd.text}; for multilabel each must hold 0 and 1"
            ) from None
    return Task("multilabel", None, reason, tuple(shares))


def _regression(frame: pd.DataFrame, target: Sequence[str], reason: str) -> Task:
    for name in target:
        try:
            numbers(frame[name], "numeric")
        except Odd as odd:
            raise DataProblem(
                f"the target {shown(name)} holds {odd.text}, which is no number: for regression "
                "every value must be one"
            ) from None
    return Task("regression", None, reason, ())


_TASKS = {
    "classification": _classification,
    "multilabel": _multilabel,
    "regression": _regression,
}

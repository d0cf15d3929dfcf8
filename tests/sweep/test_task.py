"""What a target asks for."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.datasets.task import find_task
from sweep.errors import StudyFileError

ROWS = 60
SPREAD = np.random.default_rng(0).normal(size=ROWS)


def frame(*columns):
    return pd.DataFrame({f"y{i}": column for i, column in enumerate(columns)})


def task_of(table, given=None):
    return find_task(table, tuple(table.columns), given)


def texts(*values):
    return pd.Series([*values] * (ROWS // len(values)), dtype="str")


FOUND = {
    "texts": (frame(texts("b", "a", "c")), "classification", "3 different texts"),
    "truths": (frame([True, False] * 30), "classification", "true or false"),
    "0 and 1": (frame([0, 1] * 30), "classification", "2 different whole numbers"),
    "1.0 and 2.0": (frame([1.0, 2.0] * 30), "classification", "2 different whole numbers"),
    "digits": (frame([*range(10)] * 6), "classification", "10 different whole numbers"),
    "many whole numbers": (frame(range(ROWS)), "regression", "60 different whole numbers"),
    "13 of 60": (frame([*range(12)] * 4 + [12] * 12), "regression", "13 different whole numbers"),
    "numbers": (frame(SPREAD), "regression", "60 different numbers from -2.3"),
    "two halves": (frame([0.5, 1.5] * 30), "regression", "2 different numbers from 0.5 to 1.5"),
    "several": (frame(SPREAD, SPREAD**2), "regression", "2 columns of numbers"),
    "labels": (frame([0, 1] * 30, [True, False] * 30), "multilabel", "2 columns of two values"),
    "labels in words": (frame([0, 1] * 30, texts("yes", "no")), "multilabel", "no or yes"),
}


@pytest.mark.parametrize("case", FOUND)
def test_tasks(case):
    """Each kind of target, and in words why."""
    table, task, reason = FOUND[case]
    found = task_of(table)
    assert found.task == task
    assert reason in found.reason
    assert (found.classes is None) == (task != "classification")
    assert (
        len(found.shares)
        == {
            "classification": table["y0"].nunique(),
            "multilabel": len(table.columns),
            "regression": 0,
        }[task]
    )


GIVEN = {
    "classes as numbers": (frame([*range(10)] * 6), "regression"),
    "numbers as classes": (frame([0.5, 1.5] * 30), "classification"),
    "truths as numbers": (frame([True, False] * 30), "regression"),
    "labels as numbers": (frame([0, 1] * 30, [1, 0] * 30), "regression"),
}


@pytest.mark.parametrize("case", GIVEN)
def test_given_tasks(case):
    """The study file's word counts."""
    table, given = GIVEN[case]
    found = task_of(table, given)
    assert (found.task, found.reason) == (given, "as data.task says")


REFUSED = {
    "one value": (frame([3] * ROWS), None, '"y0" has one value only, "3", in all 60 rows'),
    "one of two": (frame(SPREAD, [3] * ROWS), None, '"y1" has one value only'),
    "times": (frame(pd.to_datetime(texts("2024-01-31", "2023-01-31"))), None, '"y0" holds times'),
    "names": (frame([f"n{i}" for i in range(ROWS)]), None, "60 different values in 60 rows"),
    "numbers as classes": (frame(SPREAD), "classification", "60 different values in 60 rows"),
    "several classes": (frame([0, 1] * 30, [1, 0] * 30), "classification", 'are "multilabel"'),
    "one label": (frame([0, 1] * 30), "multilabel", 'for one column use "classification"'),
    "labels beyond 0 and 1": (frame([0, 1] * 30, [0, 2] * 30), "multilabel", '"y1" holds 2'),
    "texts as numbers": (frame(texts("1", "low")), "regression", '"y0" holds "low", .*no number'),
    "texts among targets": (frame(SPREAD, texts("a", "b")), None, '"y1" holds "a"'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_targets(case):
    """A target that cannot be learned is refused by name, with the value."""
    table, given, message = REFUSED[case]
    with pytest.raises(StudyFileError, match=message):
        task_of(table, given)


@given(
    st.lists(st.sampled_from(["a", "b", "ä", ""]), min_size=2, max_size=40)
    | st.lists(st.integers(-2, 2), min_size=2, max_size=40)
    | st.lists(st.booleans(), min_size=2, max_size=40)
)
@settings(deadline=None)
def test_classes_are_the_labels(labels):
    """Classes are the sorted labels, of their own type."""
    table = frame(labels)
    if len(set(labels)) < 2:
        return
    found = task_of(table, "classification")
    assert found.classes.tolist() == sorted(set(labels))
    assert found.shares == tuple(labels.count(c) / len(labels) for c in sorted(set(labels)))


@pytest.mark.parametrize(
    ("counts", "imbalanced"),
    [((50, 50), False), ((85, 15), False), ((91, 9), True), ((30, 30, 30, 10), False),
     ((49, 48, 3), True), ((10,) * 10, False)],
)  # fmt: skip
def test_imbalance(counts, imbalanced):
    """A class of less than a fifth of its even share is rare."""
    labels = np.repeat(np.arange(len(counts)), counts)
    assert task_of(frame(labels), "classification").is_imbalanced == imbalanced


def test_imbalance_of_labels():
    """A label that is hardly ever 1 is rare; a regression has no classes."""
    rare = [1] * 5 + [0] * 55
    assert task_of(frame([0, 1] * 30, rare)).is_imbalanced
    assert not task_of(frame([0, 1] * 30, [1, 0] * 30)).is_imbalanced
    assert not task_of(frame(SPREAD)).is_imbalanced

"""What columns are found to be, and which say nothing."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.datasets.columns import Column, describe, inputs
from sweep.datasets.values import Odd
from sweep.dataspec import KINDS
from sweep.errors import StudyFileError

ROWS = 40
NUMBERS = np.random.default_rng(0).normal(size=ROWS)


def texts(*values):
    return pd.Series([*values] * (ROWS // len(values)), dtype="str")


def found(values, name="c", **overrides):
    frame = pd.DataFrame({name: values})
    return describe(frame, (), overrides)[0]


KIND_OF = {
    "real numbers": (NUMBERS, "numeric", "numbers from -2.3"),
    "whole numbers": ([*range(10)] * 4, "numeric", "numbers from 0 to 9"),
    "two numbers": ([1, 2] * 20, "numeric", "numbers from 1 to 2"),
    "0 and 1": ([0, 1] * 20, "boolean", "0 or 1"),
    "0, 1 and gaps": ([0, 1, None, 1] * 10, "boolean", "0 or 1"),
    "truths": ([True, False] * 20, "boolean", "true or false"),
    "yes and no": (texts("yes", "no", "No", None), "boolean", "no or yes"),
    "true and false": (texts("True", "FALSE"), "boolean", "false or true"),
    "only yes, and gaps": (texts("yes", None), "categorical", "1 different texts"),
    "texts": (texts("a", "b", "c", "d"), "categorical", "4 different texts"),
    "dates": (texts("2024-01-31", "2023-05-01"), "date", 'written as "2024-01-31"'),
    "German dates": (texts("31.1.2024", "1.5.2023", None, None), "date", '"31.1.2024"'),
    "times": (pd.to_datetime(texts("2024-01-31", "2023-05-01")), "date", "times"),
    "nothing": ([None] * ROWS, "drop", "no value in any row"),
    "one number": ([7] * ROWS, "drop", 'every value is "7"'),
    "one text": (texts("x"), "drop", 'every value is "x"'),
    "one number and gaps": ([7, None] * 20, "numeric", "numbers from 7 to 7"),
    "row numbers": (range(1, ROWS + 1), "drop", "it numbers the rows, 1 to 40"),
    "shuffled": (np.random.default_rng(0).permutation(ROWS), "drop", "it numbers the rows"),
    "different texts": ([f"n{i}" for i in range(ROWS)], "drop", "all 40 texts are different"),
    "nearly": (["n0"] + [f"n{i}" for i in range(ROWS - 1)], "drop", "39 different texts in 40"),
    "different whole numbers": (np.arange(ROWS) ** 2, "numeric", "numbers from 0 to 1521"),
}


@pytest.mark.parametrize("case", KIND_OF)
def test_kinds(case):
    """Each kind of column, and in words why."""
    values, kind, reason = KIND_OF[case]
    column = found(values)
    assert column.kind == kind
    assert reason in column.reason
    series = pd.Series(values)
    assert (column.missing, column.distinct) == (series.isna().sum(), series.nunique())
    assert bool(column.format) == (kind == "date")


@pytest.mark.parametrize("name", ["id", "ID", "user_id", "PassengerId", "Unnamed: 0"])
def test_identifiers_by_name(name):
    """Whole numbers that never come twice are an identifier if they are called so."""
    assert found(np.arange(ROWS) * 7, name).kind == "drop"
    assert found([*range(ROWS // 2)] * 2, name).kind == "numeric"
    assert found(NUMBERS, name).kind == "numeric"


def test_few_rows_have_no_identifiers():
    """In few rows all values may differ, and say something."""
    frame = pd.DataFrame({"n": range(19), "t": [f"n{i}" for i in range(19)]})
    assert [column.kind for column in describe(frame, (), {})] == ["numeric", "categorical"]


def test_the_same_column_twice():
    """The second of two columns that are the same in every row is dropped, however large."""
    frame = pd.DataFrame({"a": NUMBERS, "b": NUMBERS, "c": NUMBERS + (np.arange(ROWS) == 39)})
    frame["d"] = frame["b"]
    kinds = {column.name: (column.kind, column.reason) for column in describe(frame, (), {})}
    assert kinds["b"] == kinds["d"] == ("drop", 'the same as "a" in every row')
    assert kinds["a"][0] == kinds["c"][0] == "numeric"
    assert describe(frame, (), {"d": "numeric"})[3].kind == "numeric"


def test_columns_apart():
    """The target and its like are described by others."""
    frame = pd.DataFrame({"a": NUMBERS, "y": NUMBERS, "w": NUMBERS})
    assert [column.name for column in describe(frame, ("y", "w"), {})] == ["a"]


OVERRIDES = {
    "numbers as categories": ([1, 2, 3, 4] * 10, "categorical", True),
    "row numbers as numbers": (range(ROWS), "numeric", True),
    "a constant": ([7] * ROWS, "numeric", True),
    "dates": (texts("2024-01-31", "2023-05-01"), "date", True),
    "dates as categories": (texts("2024-01-31", "2023-05-01"), "categorical", True),
    "anything dropped": (texts("a", None), "drop", True),
    "nothing dropped": ([None] * ROWS, "drop", True),
    "yes and no as truths": (texts("y", "n", None, "Y"), "boolean", True),
    "nothing as numbers": ([None] * ROWS, "numeric", "no value in any row; leave it out"),
    "texts as dates": (texts("a", "b"), "date", 'such as "a", are not all dates'),
    "times as numbers": (pd.to_datetime(texts("2024-01-31")), "numeric", 'let it be "date"'),
    "texts as numbers": (texts("1", "b"), "numeric", Odd),
    "numbers as truths": ([0, 1, 2, 1] * 10, "boolean", Odd),
}


@pytest.mark.parametrize("case", OVERRIDES)
def test_overrides(case):
    """A kind that the study file gives is taken, or refused with a value that does not suit it."""
    values, kind, allowed = OVERRIDES[case]
    if allowed is True:
        column = found(values, c=kind)
        assert (column.kind, column.reason) == (kind, "as data.columns says")
        assert bool(column.format) == (kind == "date")
    elif isinstance(allowed, str):
        with pytest.raises(StudyFileError, match=f'^data.columns.c = "{kind}": .*{allowed}'):
            found(values, c=kind)
    else:
        with pytest.raises(allowed):
            found(values, c=kind)


def test_inputs():
    """About how many a network has: one a category, and one where values are missing."""
    columns = [
        Column("a", "numeric", "", 0, 40),
        Column("b", "numeric", "", 3, 40),
        Column("c", "categorical", "", 0, 5),
        Column("d", "categorical", "", 0, 500),
        Column("e", "drop", "", 3, 1),
    ]
    assert inputs(columns, max_categories=10) == 1 + 2 + 5 + 10


values = st.sampled_from(
    [
        st.floats(allow_infinity=False, width=32) | st.none(),
        st.integers(-3, 3),
        st.booleans(),
        st.text(max_size=3) | st.none(),
        st.just("x"),
    ]
)


@given(st.data())
@settings(deadline=None)
def test_any_table(data):
    """Every column gets a kind and a reason, and nothing that varies alone is lost as constant."""
    rows = data.draw(st.integers(1, 30))
    names = data.draw(
        st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=4, unique=True)
    )
    frame = pd.DataFrame(index=range(rows))
    for name in names:
        cells = data.draw(st.lists(data.draw(values), min_size=rows, max_size=rows))
        is_text = any(isinstance(cell, str) for cell in cells)
        frame[name] = pd.Series(cells, dtype="str" if is_text else None)
        if frame[name].dtype == object:
            frame[name] = frame[name].astype(float)
    columns = describe(frame, (), {})
    assert [column.name for column in columns] == names
    for column in columns:
        assert column.kind in KINDS
        assert column.reason
        if column.kind not in ("drop", "categorical"):
            assert column.missing < rows
        if column.reason.startswith("every value is"):
            assert frame[column.name].nunique(dropna=False) == 1

"""What is proposed for a table, why, and that it is a study file whatever the table is."""

import re
import tomllib
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep import datasets, space, studyfile
from sweep.cli.found import summary
from sweep.commented import toml
from sweep.cost import Shape
from sweep.datasets.columns import Column
from sweep.datasets.survey import Survey, likely_targets, survey
from sweep.datasets.task import Task
from sweep.dataspec import DataSpec
from sweep.errors import StudyFileError
from sweep.proposal import SIZES, cautions, decided, proposal
from sweep.spec import METRICS, suited
from tests.sweep.tables import frames, table

NUMBERS = Task("regression", None, "100 different numbers from 1 to 2", ())


def classes(*shares):
    labels = np.array([f"c{i}" for i in range(len(shares))])
    return Task("classification", labels, f"{len(shares)} different texts", shares)


def labels(*shares):
    return Task("multilabel", None, f"{len(shares)} columns", shares)


FOUND = Survey(
    data=DataSpec(source="t.csv", target="y"),
    rows=1000,
    columns=(
        Column("size", "numeric", "numbers from 0 to 9", 0, 100),
        Column("when", "date", "dates", 3, 50, "ISO8601"),
        Column("id", "drop", "it numbers the rows", 0, 1000),
    ),
    task=NUMBERS,
    far=(),
    marks=None,
    marked={},
    notes=(),
)


WIDE = tuple(Column(f"c{i}", "numeric", "numbers from 0 to 9", 0, 100) for i in range(64))
TEXTS = (Column("colour", "categorical", "3 different texts", 0, 3),)
TWO = DataSpec(source="t.csv", target=("y", "z"))


def values(found, cpus=2):
    """What a proposal decides, by table and key."""
    return tomllib.loads(proposal(found, "s", "t.csv", cpus))


CASES = {
    "regression": ({}, {"data.task": "regression", "space.loss": "mean_squared"}),
    "metric of numbers": ({}, {"train.metric": "rmse", "space.class_weight": None}),
    "even classes": (
        {"task": classes(0.5, 0.3, 0.2)},
        {"train.metric": "accuracy", "space.loss": "softmax_cross_entropy", "data.positive": None},
    ),
    "a rare class of two": (
        {"task": classes(0.05, 0.95)},
        {
            "train.metric": "average_precision",
            "data.positive": "c0",
            "space.class_weight": ["none", "balanced"],
        },
    ),
    "very few of a class": (
        {"task": classes(0.99, 0.01)},
        {"train.metric": "balanced_accuracy", "data.positive": "c1"},
    ),
    "a rare class of three": (
        {"task": classes(0.6, 0.38, 0.02)},
        {"train.metric": "balanced_accuracy", "data.positive": None},
    ),
    "labels": ({"data": TWO, "task": labels(0.5, 0.3)}, {"train.metric": "f1_micro"}),
    "rare labels": (
        {"data": TWO, "task": labels(0.5, 0.05)},
        {"train.metric": "f1_macro", "space.class_weight": None},
    ),
    "far values": ({"far": ("size",)}, {"data.scaling": "quantile"}),
    "no far values": ({}, {"data.scaling": "standard", "data.split": None}),
    "marks": (
        {"marks": "part", "marked": {"train": 600, "test": 400}},
        {"data.split": "column", "data.by": "part", "data.validation": 0.2, "data.test": None},
    ),
    "all marks": (
        {"marks": "part", "marked": {"train": 600, "validation": 200, "test": 200}},
        {"data.split": "column", "data.validation": None, "data.test": None},
    ),
    "few rows": ({"rows": 300}, {"search.replicates": 5, "search.resample": "folds"}),
    "few rows of a class": (
        {"rows": 300, "task": classes(0.95, 0.05)},
        {"search.replicates": None},
    ),
    "hardly any rows": ({"rows": 20}, {"space.batch_size": "full"}),
    "many rows": ({"rows": 200_000}, {"data.validation": 0.1, "search.replicates": None}),
    "rows enough to average": ({"rows": 10_000}, {"space.ema": 0.99}),
    "too few rows to average": ({"rows": 8_000}, {"space.ema": None}),
    "numbers by their bins": ({}, {"space.embedding": ["none", "piecewise_linear"]}),
    "too few rows for bins": ({"rows": 300}, {"space.embedding": None, "space.bins": None}),
    "too many rows for bins": ({"rows": 2_000_000}, {"space.embedding": None}),
    "too many columns for bins": ({"columns": WIDE}, {"space.embedding": None}),
    "no numbers": ({"columns": FOUND.columns[2:] + TEXTS}, {"space.embedding": None}),
    "how it is written": (
        {"data": DataSpec(source="t.csv", target="y", charset="cp1252", decimal=",")},
        {"data.charset": "cp1252", "data.decimal": ",", "data.delimiter": None},
    ),
    "several targets": (
        {"data": TWO},
        {"data.target": ["y", "z"]},
    ),
    "a set of scikit-learn's": (
        {"data": DataSpec(source="sklearn:iris"), "task": classes(0.3, 0.3, 0.4)},
        {"data.target": None, "data.task": None},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_decisions(case, tmp_path):
    """What is found decides the keys of the study file, which is one."""
    changes, expected = CASES[case]
    found = replace(FOUND, **changes)
    text = proposal(found, "s", found.data.source, 2)
    tables = tomllib.loads(text)
    for key, value in expected.items():
        section, name = key.split(".")
        assert tables[section].get(name) == value, key
    (tmp_path / "study.toml").write_text(text)
    spec = studyfile.load(tmp_path)
    assert spec.train.metric in suited(spec.task, METRICS)


@pytest.mark.parametrize("cpus", [1, 2, 64])
def test_workers_are_twice_the_cpus(cpus):
    """The number is written out, with why it matters."""
    text = proposal(FOUND, "s", "t.csv", cpus)
    assert tomllib.loads(text)["search"]["workers"] == 2 * cpus
    assert f"twice the {cpus} CPUs" in text
    assert "part of the question" in text.replace("\n# ", " ")


def test_more_rows_larger_batches_and_networks():
    """Batches, networks and the cost of an epoch grow with the rows; epochs and trials fall."""
    rows = [size.rows for size in SIZES[:-1]] + [10**7]
    found = [values(replace(FOUND, rows=int(count))) for count in rows]
    for less, more in pairwise(found):
        for key in ("neurons", "batch_size"):
            low, high = (each["space"][key] for each in (less, more))
            if isinstance(low, dict):
                assert low["high"] <= high["high"]
        assert less["train"]["epochs"] >= more["train"]["epochs"]
        assert less["search"]["trials"] >= more["search"]["trials"]


def test_every_line_says_why():
    """A beginner finds a reason at each decision, and how to say what a column is."""
    found = replace(FOUND, task=classes(0.05, 0.95), far=("size",))
    text = proposal(found, "s", "t.csv", 2)
    for choices in decided(found, "t.csv", 2).values():
        for choice in choices:
            assert f"\n{choice.key} = " in text
            assert choice.why == "" or choice.why.split(":")[0] in text.replace("\n# ", " ")
    for part in (
        "#   numeric: size",
        '#   not learned from: "id", as it numbers the rows',
        '# columns = { id = "categorical" }',
        '# split = "time"\n# by = "when"',
    ):
        assert part in text
    assert max(map(len, text.splitlines())) <= 100
    changed = text.replace("# columns = { id", "columns = { id").replace("# split", "split")
    tables = tomllib.loads(changed.replace("# by", "by"))
    assert tables["data"]["columns"] == {"id": "categorical"}
    assert tables["data"]["by"] == "when"


def test_summary():
    """What was found and decided, in lines."""
    found = replace(
        FOUND, task=classes(0.05, 0.95), notes=("2 of 1002 rows lack y and are left out",)
    )
    text = "\n".join(summary(found, 600.0, 2))
    for part in (
        "t.csv: 1000 rows, 3 columns",
        "numeric      1: size",
        'dropped      "id": it numbers the rows',
        'missing      values of 1 columns, most in "when" (0.3 % of the rows)',
        "imbalance    the rarest class is 5 % of the rows",
        "note         2 of 1002 rows lack y",
        'metric       "average_precision": only 5 %',
        "time         about 5 min for 60 trials on the 2 CPUs",
    ):
        assert part in text, text


@pytest.mark.parametrize(
    ("rows", "shares", "said"),
    [
        (
            400,
            (0.9825, 0.0175),
            'class "c1" has 7 rows, about 1 for validation and 1 for testing: ',
        ),
        (400, (0.5, 0.4975, 0.0025), 'class "c2" has a single row: it can be learned or judged'),
        (10_000, (0.95, 0.05), "500 rows, about 100 for validation and 100 for testing"),
        (400, (0.6, 0.4), ""),
    ],
)
def test_rare_classes(rows, shares, said):
    """How many of them judge, and whether that is chance, is told."""
    (*notes,) = cautions(replace(FOUND, rows=rows, task=classes(*shares)))
    assert len(notes) == bool(said)
    assert said in "".join(notes)
    assert ("mostly chance" in "".join(notes)) == said.startswith('class "c1" has 7')


def test_marks_are_columns_of_the_file():
    """The column that says which rows are for what is counted with the others."""
    found = replace(FOUND, marks="part", marked={"train": 600, "test": 400})
    assert "t.csv: 1000 rows, 4 columns" in next(summary(found, 1.0, 2))


def test_groups(tmp_path):
    """A column that says whom a row is about has a hint, which can be taken at its word."""
    whom = np.arange(200) % 40
    frame = table(200).assign(customer_id=1000 + whom, user=whom / 3, patient=np.arange(200) + 7)
    found, _ = written(tmp_path, frame, target="price")
    assert found.groups == ("customer_id",)
    file = tmp_path / "study.toml"
    text = file.read_text()
    assert '# split = "grouped"\n# by = "customer_id"' in text
    for line in ('split = "grouped"', 'by = "customer_id"'):
        text = text.replace(f"# {line}", line)
    file.write_text(text)
    dataset, preprocessing = datasets.load(studyfile.load(tmp_path).data)
    assert "customer_id" not in preprocessing.features
    assert dataset.n_inputs == len(preprocessing.features)


def test_folds_are_not_for_times():
    """Where folds are proposed, the hint at times says to leave them out."""
    text = proposal(replace(FOUND, rows=300), "s", "t.csv", 2).replace("\n# ", " ")
    assert "take replicates and resample out of [search]: split" in text
    assert "take replicates" not in proposal(FOUND, "s", "t.csv", 2)


names = st.text(min_size=1, max_size=8).filter(lambda name: name.strip() == name)


@given(names, names, st.text(max_size=12))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_names(tmp_path, column, target, reason):
    """Whatever columns are called and hold, the text is TOML and says the same."""
    data = DataSpec(source="t.csv", target=(target,))
    columns = (Column(column, "date", reason, 0, 2), Column("x", "drop", reason, 0, 1))
    text = proposal(replace(FOUND, data=data, columns=columns), "s", f"../{column}.csv", 2)
    tables = tomllib.loads(text)
    assert tables["data"]["target"] == target
    assert tables["data"]["source"] == f"../{column}.csv"
    assert tables["search"]["trials"] == 60


def written(folder, frame, name="t.csv", target="y"):
    """The study file that is proposed for a table, loaded."""
    file = folder / name
    getattr(frame, "to_parquet" if name.endswith("parquet") else "to_csv")(file, index=False)
    targets = (target,) if isinstance(target, str) else target
    found = survey(DataSpec(source=str(file), target=targets))
    (folder / "study.toml").write_text(proposal(found, "s", name, 2))
    return found, studyfile.load(folder)


targets = st.sampled_from(
    [
        st.integers(0, 1),
        st.integers(0, 60),
        st.floats(-1e3, 1e3, allow_subnormal=False),
        st.sampled_from(["no", "yes"]),
        st.sampled_from(["a", "b", "ä;,", None]),
    ]
)


REFUSALS = (
    "one value only|missing in every row|no row has"  # of the target
    "|leave none to train on|no column to predict|too large to be learned from"
)


@contextmanager
def refused():
    """Keeps the words of an error for people."""
    words = []
    try:
        yield words
    except StudyFileError as error:
        words.append(str(error))


@given(frames(), st.data(), st.sampled_from(["t.csv", "t.parquet"]))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_proposed_can_be_run(tmp_path, drawn, data, name):
    """Any table is refused in words, or has a study file that loads, and whose data load."""
    frame, _ = drawn
    cells = data.draw(st.lists(data.draw(targets), min_size=len(frame), max_size=len(frame)))
    frame = frame.assign(y=cells)
    with refused() as refusal:
        found, spec = written(tmp_path, frame, name)
        parts = datasets.load_parts(spec)
    if refusal:
        assert re.search(REFUSALS, refusal[0])
        return
    for dataset, _ in parts:
        space.check_data(spec, dataset)
    assert spec.task == found.task.task
    assert Shape.of(parts[0][0]).train_rows <= len(frame)


def test_a_file_in_another_charset(tmp_path):
    """The charset and the decimal point are found, told, and written down."""
    frame = table(100)
    text = frame.to_csv(index=False, sep=";", decimal=",").replace("red", "röt")
    (tmp_path / "t.csv").write_bytes(text.encode("cp1252"))
    found = survey(DataSpec(source=str(tmp_path / "t.csv"), target="price"))
    assert found.notes == ('it is read with charset = "cp1252"', 'it is read with decimal = ","')
    (tmp_path / "study.toml").write_text(proposal(found, "s", "t.csv", 2))
    spec = studyfile.load(tmp_path)
    assert (spec.data.charset, spec.data.decimal) == ("cp1252", ",")
    dataset, _ = datasets.load(spec.data)
    assert dataset.n_inputs >= 5


def test_marks_are_found(tmp_path):
    """A column of the words train and test is what the rows are split by."""
    frame = table(100)
    frame["part"] = ["Train"] * 80 + ["Test"] * 20
    found, spec = written(tmp_path, frame, target="price")
    assert (found.marks, found.marked) == ("part", {"train": 80, "test": 20})
    dataset, _ = datasets.load(spec.data)
    assert (len(dataset.train.x), len(dataset.validation.x), len(dataset.test.x)) == (64, 16, 20)


def test_far_values(tmp_path):
    """A column with values far from the others is scaled by ranks; one that is mostly 0 is not."""
    frame = table(400)
    frame["income"] = np.exp(np.random.default_rng(0).normal(0, 2.5, 400))
    frame["gain"] = np.where(np.arange(400) % 100 == 0, 1e6, 0)
    found, spec = written(tmp_path, frame, target="price")
    assert found.far == ("income",)
    assert spec.data.scaling == "quantile"


def test_likely_targets(tmp_path):
    """By its name, or as the last column."""
    frame = pd.DataFrame({"Class": [1], "x": [2], "z": [3]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = likely_targets(DataSpec(source=str(tmp_path / "t.csv")))
    assert found == (("Class", "x", "z"), ("Class", "z"))


@given(st.floats(allow_nan=False) | st.text() | st.booleans())
def test_values_are_read_as_they_were(value):
    """Small numbers too, of which advice tells the winner's; round ones are written short."""
    assert tomllib.loads(f"x = {toml(value)}") == {"x": value}
    assert toml(3e-4) == "3e-4"

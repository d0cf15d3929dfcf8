"""From a table to a study file, as a user meets it, and what such a study is worth."""

import json
import os
import re
import tomllib

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from typer.testing import CliRunner

from sweep import studyfile
from sweep.cli.app import app
from sweep.errors import StudyFileError, UsageError
from tests.sweep.studies import finish
from tests.sweep.tables import table


@pytest.fixture
def init(tmp_path, monkeypatch):
    """Run `sweep init` with these arguments in an empty folder; errors for people are raised."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        result = CliRunner().invoke(app, ["init", *map(str, arguments)])
        if isinstance(result.exception, UsageError | StudyFileError):
            raise result.exception
        return result

    return run


@pytest.fixture
def houses(tmp_path):
    """A table in the folder."""
    table(300).to_csv(tmp_path / "houses.csv", index=False)


@pytest.mark.usefixtures("houses")
def test_init(init, tmp_path):
    """It writes a study file beside nothing else, says what it decided, and what comes next."""
    done = init("houses.csv", "--target", "price")
    assert done.exit_code == 0, done.output
    assert sorted(os.listdir(tmp_path)) == ["houses", "houses.csv"]
    assert os.listdir(tmp_path / "houses") == ["study.toml"]
    for part in (
        "houses.csv: 300 rows, 10 columns",
        'task         "regression"',
        'metric       "rmse"',
        "workers",
        "time         about",
        "houses/study.toml is written. Next: sweep run houses/study.toml",
    ):
        assert part in done.stdout
    spec = studyfile.load(tmp_path / "houses")
    assert (spec.name, spec.data.target) == ("houses", ("price",))
    assert tomllib.loads((tmp_path / "houses" / "study.toml").read_text())["data"]["source"] == (
        "../houses.csv"
    )


@pytest.mark.usefixtures("houses")
def test_options(init, tmp_path):
    """The name, the folder, the task and several targets are taken as given."""
    given = ["--name", "rents", "--output", "a/b", "--target", "price", "--target", "rent"]
    assert init("houses.csv", *given, "--task", "regression").exit_code == 0
    spec = studyfile.load(tmp_path / "a" / "b")
    assert (spec.name, spec.data.target, spec.task) == ("rents", ("price", "rent"), "regression")
    assert spec.data.source == str(tmp_path / "houses.csv")


@pytest.mark.usefixtures("houses")
def test_json(init):
    """The same as one JSON object."""
    found = json.loads(init("houses.csv", "--target", "dear", "--json").stdout)
    assert found["schema"] == "sweep.init/1"
    assert found["file"] == "houses/study.toml"
    assert (found["rows"], found["task"]) == (300, "classification")
    kinds = {column["name"]: column["kind"] for column in found["columns"]}
    assert kinds["built"] == "date"
    assert found["seconds"] > 0
    reasons = {(each["table"], each["key"]): each["why"] for each in found["decided"]}
    assert "classes are even enough" in reasons["train", "metric"]


@pytest.mark.usefixtures("houses")
def test_nothing_is_overwritten(init, tmp_path):
    """A study file that is there stays, unless --force says otherwise."""
    file = tmp_path / "houses" / "study.toml"
    file.parent.mkdir()
    file.write_text("mine")
    with pytest.raises(UsageError, match=r"houses/study.toml is there already: .*--force"):
        init("houses.csv", "--target", "price")
    assert file.read_text() == "mine"
    assert init("houses.csv", "--target", "price", "--force").exit_code == 0
    assert studyfile.load(file).name == "houses"


def test_set(init, tmp_path):
    """Keys of [data] are used to read the table, and written into the study file."""
    frame = table(300).assign(street=lambda f: pd.factorize(f["street"])[0])
    frame.to_csv(tmp_path / "t.csv", index=False, sep="^")
    with pytest.raises(
        StudyFileError, match=r"""name it as data.delimiter \(--set 'data.del.*\^"'"""
    ):
        init("t.csv", "--target", "price")
    given = ['data.delimiter="^"', 'data.columns={ street = "categorical" }', "data.test=0.1"]
    done = init("t.csv", "--target", "price", *(part for text in given for part in ("--set", text)))
    assert done.exit_code == 0, done.output
    data = studyfile.load(tmp_path / "t").data
    assert (data.delimiter, data.columns, data.test) == ("^", {"street": "categorical"}, 0.1)
    kinds = re.search(r"categorical +\d+: (.*)", done.stdout)[1].split(", ")
    assert "street" in kinds


def test_what_is_advised_can_be_done(init, tmp_path):
    """The advice for a text among numbers is an option of this very command."""
    frame = table(100).astype({"size": object})
    frame.loc[3, "size"] = "large"
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(StudyFileError, match="mend the value") as error:
        init("t.csv", "--target", "price")
    advised = re.search(r"--set '(.*)'\)$", str(error.value))[1]
    assert init("t.csv", "--target", "price", "--set", advised).exit_code == 0
    assert studyfile.load(tmp_path / "t").data.columns == {"size": "categorical"}


@pytest.mark.usefixtures("houses")
def test_a_split_by_time(init, tmp_path):
    """One that is asked for is proposed without folds, of which the first learn from little."""
    by_time = ["--set", 'data.split="time"', "--set", 'data.by="built"']
    assert init("houses.csv", "--target", "price", *by_time).exit_code == 0
    spec = studyfile.load(tmp_path / "houses")
    assert (spec.data.split, spec.data.by, spec.search.replicates) == ("time", "built", 1)


REFUSED = {
    "a key of another table": (
        ["houses.csv", "--target", "price", "--set", "search.trials=3"],
        r"--set search: keys of \[data\] are taken here",
    ),
    "an unfit value": (
        ["houses.csv", "--target", "price", "--set", "data.decimal=3"],
        "data.decimal = 3: must be a text",
    ),
    "an unfit kind": (
        ["houses.csv", "--target", "price", "--set", 'data.columns.size="boolean"'],
        'houses.csv, line 3: column "size" holds .* not true or false',
    ),
    "another source": (
        ["houses.csv", "--target", "price", "--set", 'data.source="x.csv"'],
        "--set data.source: the table is named first",
    ),
    "a split without its column": (
        ["houses.csv", "--target", "price", "--set", 'data.split="time"'],
        "data.by: is missing",
    ),
    "no target": (
        ["houses.csv"],
        r"houses.csv: which column .*--target\.\n  columns: size, .*\n  likely: price, quiet\n"
        r"  such as: sweep init houses.csv --target price$",
    ),
    "unknown target": (["houses.csv", "--target", "prise"], 'no column "prise".* mean "price"'),
    "no file": (["house.csv", "--target", "price"], r"house.csv: .*did you mean houses.csv\?"),
    "unfit task": (["houses.csv", "--target", "street", "--task", "regression"], "is no number"),
    "unknown task": (
        ["houses.csv", "--target", "price", "--task", "guess"],
        "task 'guess' must be",
    ),
    "unknown set": (["sklearn:iriss"], 'table .sklearn:iriss. .* did you mean "sklearn:iris"'),
    "set with a target": (["sklearn:iris", "--target", "x"], "has its own; leave it out"),
    "name": (["houses.csv", "--target", "price", "--name", "a/b"], 'name = "a/b": must be 1 to 64'),
    "no ending": (["houses", "--target", "price"], "must be a file such as"),
    "a target twice": (["houses.csv", "--target", "x", "--target", "x"], "named once"),
    "a folder that is a file": (
        ["houses.csv", "--target", "price", "--output", "houses.csv"],
        "houses.csv/study.toml cannot be written",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.usefixtures("houses")
def test_refusals(init, tmp_path, case):
    """A mistake is told in words, with exit status 2, and nothing is written."""
    arguments, message = REFUSED[case]
    with pytest.raises((UsageError, StudyFileError)) as error:
        init(*arguments)
    assert re.search(message, str(error.value)), str(error.value)
    assert error.value.exit_code == 2
    assert os.listdir(tmp_path) == ["houses.csv"]


@pytest.mark.parametrize(
    ("source", "folder", "name"),
    [
        ("sklearn:digits", "digits", "digits"),
        ("My Houses (2024).csv.gz", "My Houses (2024)", "My-Houses-2024-"),
        ("_.csv", "_", "study"),
    ],
)
def test_names(init, tmp_path, source, folder, name):
    """A study is called like its folder, as far as a study may be, and that like the table."""
    target = []
    if ":" not in source:
        table(60).to_csv(tmp_path / source, index=False)
        target = ["--target", "price"]
    assert init(source, *target).exit_code == 0
    assert studyfile.load(tmp_path / folder).name == name


SETS = {
    "breast_cancer": (load_breast_cancer, 0.93),
    "wine": (load_wine, 0.9),
    "diabetes": (load_diabetes, 64.0),
}
"""With what the test rows are to show: an accuracy, or an error (predicting the mean has 75)."""


@pytest.mark.parametrize("name", SETS)
def test_a_proposed_study_is_worth_running(init, tmp_path, name):
    """A few trials of what is proposed for a table in a file find a good network."""
    loader, expected = SETS[name]
    bunch = loader(as_frame=True)
    frame = bunch.frame
    if "target_names" in bunch:
        frame["target"] = np.asarray(bunch.target_names)[bunch.target]
    pd.DataFrame(frame).to_csv(tmp_path / f"{name}.csv", index=False)
    assert init(f"{name}.csv", "--target", "target").exit_code == 0
    spec = studyfile.load(tmp_path / name)
    spec = spec.model_copy(update={"search": spec.search.model_copy(update={"trials": 8})})
    study = finish(spec, tmp_path / "runs" / "sweep.db")
    score = study.best.test
    assert score <= expected if spec.task == "regression" else score >= expected

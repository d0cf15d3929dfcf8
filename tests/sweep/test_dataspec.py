"""The [data] table: what it may say together, and what is told to mend."""

import pytest

from sweep import studyfile
from sweep.dataspec import DataSpec, is_url, name_of
from sweep.errors import StudyFileError

FILE = {"source": "x.csv", "target": "y"}
IRIS = {"source": "sklearn:iris"}

REFUSED = {
    "no target": ({"source": "x.csv"}, "data.target: is missing; name the column to predict"),
    "target of a set": ({**IRIS, "target": "y"}, "data.target: sklearn:iris has its own; leave"),
    "task of a set": ({**IRIS, "task": "regression"}, "data.task: sklearn:iris has its own"),
    "delimiter of a set": ({**IRIS, "delimiter": ";"}, "data.delimiter: sklearn:iris has its own"),
    "no file": ({"source": "digits"}, 'data.source = "digits": must be a file .*"sklearn:digits"?'),
    "target twice": ({**FILE, "target": ["y", "y"]}, "data.target: each column must be named once"),
    "empty name": ({**FILE, "target": ""}, r"data.target\[0\] = \"\""),
    "weight is target": ({**FILE, "weight": "y"}, 'data.weight = "y": is the target'),
    "by is target": ({**FILE, "split": "time", "by": "y"}, 'data.by = "y": is the target'),
    "weight is by": (
        {**FILE, "split": "grouped", "by": "g", "weight": "g"},
        'data.weight = "g": is data.by as well',
    ),
    "comma twice": ({**FILE, "delimiter": ",", "decimal": ","}, "data.decimal: cannot both be"),
    "long delimiter": ({**FILE, "delimiter": "::"}, 'data.delimiter = "::": must be one character'),
    "charset": ({**FILE, "charset": "hex"}, 'data.charset = "hex": is no charset'),
    "no by": ({**FILE, "split": "time"}, 'data.by: is missing; data.split = "time" needs the col'),
    "by alone": (
        {**FILE, "by": "g"},
        'data.by = "g": is for data.split = one of "grouped", "time"',
    ),
    "shares": ({**IRIS, "validation": 0.5, "test": 0.5}, "must be below 1 together"),
    "one label": ({**FILE, "task": "multilabel"}, "needs several columns in data.target"),
    "two classes": (
        {**FILE, "target": ["a", "b"], "task": "classification"},
        'has one column as target; for several columns of 0 and 1 use "multilabel"',
    ),
    "scaled classes": ({**IRIS, "target_scaling": "standard"}, "only targets of a regression have"),
    "positive number": (
        {"source": "sklearn:diabetes", "positive": "1"},
        'data.positive = "1": only one of two classes can be it',
    ),
    "stratified numbers": (
        {**FILE, "task": "regression", "split": "stratified"},
        'data.split = "stratified": is for classes',
    ),
    "a kind": ({**FILE, "columns": {"a": "number"}}, 'data.columns.a = "number": must be one of'),
    "most": ({**FILE, "max_categories": 1}, "data.max_categories = 1: must be at least 2"),
}


def study(**given):
    return studyfile.from_json({"name": "x", "data": given})


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    """Keys that do not go together are told by name, with what to do."""
    given, message = REFUSED[case]
    with pytest.raises(StudyFileError, match=message):
        study(**given)


def test_the_task_may_be_found_later():
    """Losses and metrics of any kind of data are taken until it is known."""
    assert study(**FILE).task is None
    assert study(**FILE, task="classification").task == "classification"
    for metric, loss in (("r2", "mean_squared"), ("f1_samples", "sigmoid_cross_entropy")):
        record = {"name": "x", "data": FILE, "train": {"metric": metric}, "space": {"loss": loss}}
        assert studyfile.from_json(record).train.metric == metric
        record["data"] = {**FILE, "task": "classification"}
        with pytest.raises(StudyFileError, match=f'"{metric}": does not suit classification'):
            studyfile.from_json(record)


def test_one_target_or_several():
    """A name is a list of one."""
    assert DataSpec(source="x.csv", target="y").target == ("y",)
    assert study(source="x.csv", target=["a", "b"]).data.target == ("a", "b")
    assert study(source="x.npz").data.target == ()


def test_paths_are_from_the_file(tmp_path, monkeypatch):
    """A path is seen from the study file, whatever folder the study is run in; a URL is left."""
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "study.toml"
    for source, expected in {
        "../x.csv": str(tmp_path / "x.csv"),
        str(tmp_path / "y.csv"): str(tmp_path / "y.csv"),
        "https://example.org/x.csv": "https://example.org/x.csv",
    }.items():
        file.write_text(f'[data]\nsource = "{source}"\ntarget = "y"\n')
        assert studyfile.load(file).data.source == expected
    monkeypatch.chdir(tmp_path)
    assert DataSpec(source=str(tmp_path / "y.csv"), target="y").name == "y.csv"


def test_names_without_secrets():
    """What is shown of a URL has no password and no token."""
    url = "https://user:secret@example.org:8443/x.csv?token=secret#secret"
    assert is_url(url)
    assert name_of(url) == "https://example.org:8443/x.csv"

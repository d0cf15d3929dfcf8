"""`sweep predict`: tables of any length and format in, predictions out."""

import io
import os
import re
import sys
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from sweep import datasets, studyfile
from sweep.cli import main
from sweep.datasets import Odd, delimited, files
from sweep.datasets.values import FORMATS, numbers
from sweep.dataspec import DataSpec
from sweep.predictions import Seen, kinds, predict
from sweep.results import load
from tests.sweep.studies import finish, write
from tests.sweep.tables import FEATURES, table

STUDY = """
name = "homes"

[data]
source = "homes.csv"
target = {target}

[space]
loss = "{loss}"
optimizer = "adam"
learning_rate = 0.02
neurons = [8, 16]

[train]
epochs = 6
metric = "{metric}"

[search]
trials = 3
workers = 2
sampler = "random"
pruner = "none"
"""

KINDS = {
    "price": ('"price"', "mean_squared", "r2"),
    "dear": ('"dear"', "softmax_cross_entropy", "accuracy"),
    "labels": ('["sunny", "quiet"]', "sigmoid_cross_entropy", "hamming_loss"),
}


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """A finished study of each kind of target, in a folder of its own."""
    folders = {}
    for kind, (target, loss, metric) in KINDS.items():
        folder = folders[kind] = tmp_path_factory.mktemp(kind)
        names = [name.strip('[]" ') for name in target.split(",")]
        frame = table()[[*FEATURES, *names]].assign(id=[f"{i:04}" for i in range(200)])
        frame.to_csv(folder / "homes.csv", index=False)
        text = STUDY.format(target=target, loss=loss, metric=metric)
        finish(studyfile.load(write(folder, text)), folder / "runs" / "sweep.db")
    return folders


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run(studies, monkeypatch, capsys):
    """Run `sweep predict homes` in the folder of a kind's study."""

    def predict(kind, *arguments, stdin=""):
        monkeypatch.chdir(studies[kind])
        monkeypatch.delenv("SWEEP_STORE", raising=False)
        monkeypatch.setattr(sys, "argv", ["sweep", "predict", "homes", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(ended.value.code or 0, *capsys.readouterr())

    return predict


def model_of(folder):
    return load("homes", folder / "runs" / "sweep.db").best.model


def test_from_file_to_file(run, studies, tmp_path):
    """Every row in its order, what the model does not read as it was written, and the score."""
    new = table(50, seed=3).assign(id=[f"00{i}" for i in range(50)])
    new = new[["price", *reversed(FEATURES), "id"]]
    new.to_csv(tmp_path / "new.csv", index=False)
    done = run("price", "--input", tmp_path / "new.csv", "--output", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert sorted(os.listdir(tmp_path)) == ["new.csv", "out.csv"]
    out = pd.read_csv(tmp_path / "out.csv", dtype={"id": str})
    assert list(out.columns) == ["price", "id", "prediction"]
    assert out["id"].tolist() == new["id"].tolist()
    expected = model_of(studies["price"]).predict(new)
    np.testing.assert_allclose(out["prediction"], expected, rtol=1e-6)
    residual = ((new["price"] - expected) ** 2).sum()
    r2 = 1 - residual / ((new["price"] - new["price"].mean()) ** 2).sum()
    assert f"r2 of the 50 rows with a target: {r2:.4f}" in done.stderr


@pytest.mark.parametrize("ending", ["parquet", "feather", "tsv", "csv.gz"])
def test_any_format(run, studies, tmp_path, ending):
    """Files of any format are read, and Parquet is written, to the same predictions."""
    new, file = table(40, seed=4)[FEATURES], tmp_path / f"new.{ending}"
    if ending in ("parquet", "feather"):
        getattr(new, f"to_{ending}")(file)
    else:
        new.to_csv(file, index=False, sep="\t" if ending == "tsv" else ",")
    done = run("dear", "--input", file, "--output", tmp_path / "out.parquet", "--probabilities")
    assert done.returncode == 0, done.stderr
    out = pd.read_parquet(tmp_path / "out.parquet")
    assert list(out.columns) == ["prediction", "probability_no", "probability_yes"]
    model = model_of(studies["dear"])
    assert out["prediction"].tolist() == model.predict(new).tolist()
    np.testing.assert_allclose(out.iloc[:, 1:], model.predict_proba(new), rtol=1e-5)
    assert "rows with a target" not in done.stderr


def test_stdin_to_stdout(run, studies):
    """- reads CSV from stdin; without --output, CSV goes to stdout and the rest to stderr."""
    new = table(20, seed=5)[[*FEATURES, "sunny", "quiet"]]
    done = run("labels", "--input", "-", "--probabilities", stdin=new.to_csv(index=False))
    assert done.returncode == 0, done.stderr
    out = pd.read_csv(io.StringIO(done.stdout))
    names = [
        f"{part}_{name}" for part in ("prediction", "probability") for name in ("sunny", "quiet")
    ]
    assert list(out.columns) == ["sunny", "quiet", *names]
    predicted = model_of(studies["labels"]).predict(new)
    assert (out[names[:2]] == predicted).all(axis=None)
    loss = (predicted != new[["sunny", "quiet"]].to_numpy()).mean()
    assert f"hamming_loss of the 20 rows with a target: {loss:.4f}" in done.stderr


def test_what_is_odd_is_told(run, tmp_path):
    """Unseen categories are counted, formulas guarded, missing targets left out of the score."""
    new = table(30, seed=6)
    new.loc[:4, "street"] = "elsewhere"
    new.loc[3:9, "dear"] = None
    new["id"] = ["=1+2", "-5", "@x", "+49 30", *["plain"] * 26]
    new.to_csv(tmp_path / "new.csv", index=False)
    done = run("dear", "--input", tmp_path / "new.csv")
    assert done.returncode == 0, done.stderr
    assert 'in 5 of them column "street" holds a category that training had not' in done.stderr
    assert "accuracy of the 23 rows with a target" in done.stderr
    out = pd.read_csv(io.StringIO(done.stdout), dtype=str)
    assert out["id"][:5].tolist() == ["'=1+2", "-5", "'@x", "'+49 30", "plain"]


def test_a_target_that_the_model_does_not_know(run, tmp_path):
    """Predictions are made all the same, without a score, and it says why."""
    new = table(10).assign(dear="perhaps")
    new.to_csv(tmp_path / "new.csv", index=False)
    done = run("dear", "--input", tmp_path / "new.csv")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 11
    assert "no score: the target in column 'dear', row 0: \"perhaps\" is not one of" in done.stderr


def test_any_trial(run, studies, tmp_path):
    """Another trial than the winner is trained again; its score is the one on record."""
    study = load("homes", studies["price"] / "runs" / "sweep.db")
    other = next(n for n in study.trials["number"] if n != study.best.number)
    file = studies["price"] / "homes.csv"
    done = run("price", "--input", file, "--trial", other, "--output", tmp_path / "out.csv")
    assert done.returncode == 0, done.stderr
    assert f"training trial {other} again" in done.stderr
    dataset, _ = datasets.load(study.spec.data)
    value = study.trials.set_index("number").loc[other, "value"]
    assert study.trial(int(other)).model.evaluate(dataset, dataset.validation) == value


@pytest.mark.parametrize(
    ("change", "arguments", "status", "message"),
    [
        (None, ["--input", "nowhere.csv"], 2, "nowhere.csv"),
        (None, ["--input", "{new}", "--trial", "9999"], 2, "has no trial 9999"),
        (None, ["--input", "{new}", "--output", "out.txt"], 2, "must end in .csv or .parquet"),
        (None, ["--input", "{new}", "--output", "no/such/out.csv"], 2, "cannot write no/such"),
        (None, ["--input", "{new}", "--probabilities"], 2, "--probabilities: a regression gives"),
        (None, ["--input", "{new}", "--store", "other.db"], 3, "no store at other.db"),
        ({"street": None}, ["--input", "{new}"], 2, "new.csv lacks the column 'street', which"),
        ({"size": "x"}, ["--input", "{new}"], 2, '.csv, line 4: column "size" holds "x", which'),
        ({"built": "soon"}, ["--input", "{new}"], 2, '.csv, line 4: column "built" holds "soon"'),
        ({"prediction": "1"}, ["--input", "{new}"], 2, "new.csv has a column 'prediction' already"),
    ],
)
def test_mistakes(run, tmp_path, change, arguments, status, message):
    """Each is one line that says what to do, leaves no file, and has its exit status."""
    new = table(8).astype(object)
    for column, value in (change or {}).items():
        if value is None:
            new = new.drop(columns=column)
        else:
            new[column] = new.get(column, "0")
            new.loc[2, column] = value
    new.to_csv(tmp_path / "new.csv", index=False)
    given = [argument.format(new=tmp_path / "new.csv") for argument in arguments]
    if "--output" not in given:
        given += ["--output", str(tmp_path / "out.csv")]
    done = run("price", *given)
    assert done.returncode == status, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == ["new.csv"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("kind", KINDS)
def test_no_rows(run, tmp_path, kind, ending):
    """A table of no rows has a table of no predictions, with the columns of any other."""
    (tmp_path / "new.csv").write_text(f"{','.join([*FEATURES, 'id', 'price', 'dear'])}\n")
    out = tmp_path / f"out.{ending}"
    done = run(kind, "--input", tmp_path / "new.csv", "--output", out)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("0 rows predicted")
    names = ["prediction_sunny", "prediction_quiet"] if kind == "labels" else ["prediction"]
    found = getattr(pd, f"read_{ending}")(out)
    assert list(found.columns) == ["id", "price", "dear", *names]
    assert len(found) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_targets_that_are_all_missing(run, tmp_path, kind):
    """Columns for the targets without a value in them give no score, and no error."""
    new = table(5, seed=2).assign(price=None, dear=None, sunny=None, quiet=None)
    new.to_csv(tmp_path / "new.csv", index=False)
    done = run(kind, "--input", tmp_path / "new.csv")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 6
    assert "rows with a target" not in done.stderr


@pytest.mark.parametrize("link", [None, "symlink_to", "hardlink_to"])
@pytest.mark.parametrize("read", ["input", "data"])
def test_what_is_read_is_never_written(run, studies, tmp_path, read, link):
    """An output that is the input or the study's data, by whatever name, is refused."""
    new = tmp_path / "new.csv"
    table(8).to_csv(new, index=False)
    file = {"input": new, "data": studies["price"] / "homes.csv"}[read]
    before, output = file.read_bytes(), file
    if link is not None:
        output = tmp_path / "other.csv"
        getattr(output, link)(file)
    done = run("price", "--input", new, "--output", output)
    assert done.returncode == 2
    what = {"input": "the input", "data": "the study's data"}[read]
    assert f"{output.name}: is {what}; give another file" in done.stderr
    assert file.read_bytes() == output.read_bytes() == before


def test_an_export_writes_over_nothing_that_the_study_needs(studies, monkeypatch, capsys):
    """Its data stays as it was."""
    data = studies["price"] / "homes.csv"
    before = data.read_bytes()
    monkeypatch.chdir(studies["price"])
    monkeypatch.delenv("SWEEP_STORE", raising=False)
    monkeypatch.setattr(sys, "argv", ["sweep", "export", "homes", "--to", str(data)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "homes.csv: is the study's data; give another file" in capsys.readouterr().err
    assert data.read_bytes() == before


def test_the_store_is_never_written(run, studies, tmp_path):
    """Not even one that is called like a table."""
    store = tmp_path / "store.csv"
    store.write_bytes((studies["price"] / "runs" / "sweep.db").read_bytes())
    table(8).to_csv(tmp_path / "new.csv", index=False)
    done = run("price", "--store", store, "--input", tmp_path / "new.csv", "--output", store)
    assert done.returncode == 2
    assert "store.csv: is the store" in done.stderr
    assert load("homes", store).name == "homes"


def test_an_error_leaves_what_was_there(run, tmp_path, monkeypatch):
    """An output is replaced when all rows are predicted, and stays as it was until then."""
    new, out = tmp_path / "new.csv", tmp_path / "out.csv"
    table(300)[FEATURES].to_csv(new, index=False)
    lines = new.read_text().splitlines()
    lines[-1] = lines[1].replace(lines[1].split(",")[FEATURES.index("size")], "huge", 1)
    new.write_text("\n".join(lines))
    out.write_text("mine")
    monkeypatch.setattr(delimited, "BLOCK", 4096)
    done = run("price", "--input", new, "--output", out)
    assert done.returncode == 2, done.stderr
    assert out.read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["new.csv", "out.csv"]


@pytest.mark.parametrize("form", ["%d.%m.%Y", "%m/%d/%Y", "%Y-%m-%d"])
def test_dates_as_in_training(form):
    """A date that is written another way is told how dates were written in training."""
    said = pd.Series(["1st of May"], name="built")
    with pytest.raises(Odd, match=re.escape(f"a date such as {datetime(2024, 1, 31):{form}}")):
        numbers(said, "date", form if form in FORMATS else "ISO8601")


def test_a_file_that_is_no_text(run, tmp_path):
    """It is told how the study's file is written, and of no key that predict does not take."""
    (tmp_path / "new.csv").write_bytes(bytes(range(256)) * 9)
    done = run("price", "--input", tmp_path / "new.csv")
    assert done.returncode == 2
    assert "byte 0x80 is not utf-8 text; write it as the study's file is: charset utf-8" in (
        done.stderr
    )
    assert "data.charset" not in done.stderr


@pytest.mark.parametrize("text", ["", "size,floor\n"])
def test_no_table(run, text):
    """An input that is empty or lacks columns is a mistake."""
    done = run("price", "--input", "-", stdin=text)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_blocks_of_a_large_file(studies, tmp_path, monkeypatch):
    """A file is read, predicted and scored in blocks, to the same table as at once."""
    model, new = model_of(studies["price"]), table(300, seed=8)
    new.to_csv(tmp_path / "new.csv", index=False)
    data = DataSpec(source=str(tmp_path / "new.csv"), target=("price",), columns=kinds(model))
    seen = Seen()
    monkeypatch.setattr(delimited, "BLOCK", 4096)
    parts = list(predict(model, files.blocks(data.source, data, "categorical"), seen))
    assert len(parts) > 3
    out = pd.concat(parts)
    assert out.index.tolist() == list(range(300))
    np.testing.assert_allclose(out["prediction"], model.predict(new), rtol=1e-6)
    expected = model.score_of(model.outputs(new), model.preprocessing.target.encode(new))
    assert np.isclose(seen.score(model), expected)

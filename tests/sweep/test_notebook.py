"""`sweep notebook`: for each kind of study a notebook that runs, and says what the record says."""

import json
import re

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient
from typer.testing import CliRunner

from sweep import studyfile
from sweep.cli.app import app
from sweep.notebook import cells_of, written
from sweep.results import load
from sweep.store import Store
from tests.sweep.studies import SMALL, finish, small, write

SPACE = """
[space]
neurons = { low = 2, high = 16 }
learning_rate = { low = 1e-3, high = 1e-1, log = true }
patience = 3
"""

KINDS = {
    "classes": f"""
name = "classes"
data.source = "sklearn:iris"
train.epochs = 3
search.trials = 12
{SPACE}""",
    "numbers": f"""
name = "numbers"
data.source = "sklearn:diabetes"
train.epochs = 3
train.metric = "rmse"
search.trials = 8
search.replicates = 3
search.pruner = "none"
{SPACE}loss = "mean_squared"
""",
    "labels": f"""
name = "labels"
data.source = "weather.csv"
data.target = ["sunny", "quiet"]
train.epochs = 3
train.metric = "f1_macro"
search.trials = 6
{SPACE}loss = "sigmoid_cross_entropy"
""",
    "objectives": f"""
name = "objectives"
data.source = "sklearn:iris"
train.epochs = 3
search.trials = 12
search.pruner = "none"
search.objectives = ["accuracy", "parameters"]
search.constraints.log_loss.high = 5.0
{SPACE}""",
    "failing": """
name = "failing"
data.source = "sklearn:diabetes"
train.epochs = 3
train.metric = "rmse"
search.trials = 20
search.pruner = "none"
search.sampler = "random"
[space]
loss = "mean_squared"
optimizer = "sgd"
learning_rate = { low = 1e-2, high = 1e6, log = true }
""",
    "own": """
name = "own"
data.source = "sklearn:iris"
train.epochs = 3
train.function = "tests.sweep.trainers:linear"
search.trials = 4
[space]
rate = { low = 1e-3, high = 1e-1, log = true }
""",
}


def asked(kind, folder):
    """The question of one kind of study, with its data."""
    random = np.random.default_rng(0)
    table = pd.DataFrame(random.normal(size=(120, 3)), columns=["wind", "cloud", "rain"])
    table["sunny"] = (table["cloud"] < 0).astype(int)
    table["quiet"] = (table["wind"] + table["rain"] < 0).astype(int)
    table.to_csv(folder / "weather.csv", index=False)
    return studyfile.load(write(folder, KINDS[kind]))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The study of a kind, its notebook's outputs by section, and the notebook, made once each."""
    known = {}

    def make(kind):
        if kind not in known:
            folder = tmp_path_factory.mktemp(kind)
            study = finish(asked(kind, folder), folder / "sweep.db", allow_code=True)
            known[kind] = (study, *executed(study, folder))
        return known[kind]

    return make


def executed(study, folder):
    """What the cells of each section print and show, as text, and the notebook."""
    file = folder / "study.ipynb"
    line = ["notebook", study.name, "--to", str(file), "--store", str(study.place)]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    NotebookClient(notebook, resources={"metadata": {"path": folder}}, timeout=120).execute()
    sections, title = {}, ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (head := re.search(r"^#+ (.*)", cell.source, re.M)):
            title = head[1]
        for output in cell.get("outputs", []):
            shown = output.get("text", "") + output.get("data", {}).get("text/plain", "")
            sections[title] = sections.get(title, "") + shown
    return sections, notebook


def figures(notebook):
    """The titles of its figures."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output.get("data", {}).get("application/vnd.plotly.v1+json") for output in outputs]
    return [each["layout"].get("title", {}).get("text", "") for each in shown if each]


@pytest.mark.parametrize("kind", KINDS)
def test_the_winner_of_every_kind(made, kind):
    """Each notebook runs, and its winner, fingerprint and advice are those of the study."""
    study, sections, _ = made(kind)
    best = study.best
    assert f"trial {best.number}: validation" in sections["The winner"]
    assert f"{best.value:.4f}" in sections["The winner"]
    if best.test is not None:
        assert f"{best.test:.4f}" in sections["The winner"]
    assert study.fingerprint in sections["The same again"]
    for each in study.advice():
        assert each.text in sections["What to do next"]
        assert all(command in sections["What to do next"] for command in each.commands)


@pytest.mark.parametrize(
    ("kind", "has", "lacks"),
    [
        ("classes", {"Training", "What mattered"}, {"Several objectives", "Failures"}),
        ("numbers", {"Noise"}, {"Several objectives", "Failures"}),
        ("labels", {"Training"}, {"Several objectives"}),
        ("objectives", {"Several objectives"}, {"Failures"}),
        ("failing", {"Failures"}, {"Several objectives"}),
        ("own", {"Training"}, {"Failures", "Several objectives"}),
    ],
)
def test_the_sections_that_apply(made, kind, has, lacks):
    """A section is there if the study has something to say in it."""
    _, _, notebook = made(kind)
    titles = set(re.findall(r"^## (.*)", "\n".join(c.source for c in notebook.cells), re.M))
    assert has <= titles
    assert not lacks & titles


def test_classes_are_counted(made):
    """The right rows are those on the diagonal, as the model's predictions have it."""
    study, sections, notebook = made("classes")
    model = study.best.model
    rows = model.rows.held_out("validation")
    right = int((model._labels(rows.x) == rows.y).sum())
    assert f"{right} of {len(rows.y)} right" in sections["The winner"]
    assert "calibration of the predicted class" in sections["The winner"]
    assert len(figures(notebook)) >= 4


def test_values_are_compared_in_their_units(made):
    """The error that it prints is that of the predictions for the validation rows."""
    study, sections, _ = made("numbers")
    model = study.best.model
    rows = model.rows.held_out("validation")
    target = model.preprocessing.target
    errors = model.decide(model.raw(rows.x)).ravel() - target.values(rows.y).ravel()
    rmse = float(np.sqrt(np.mean(errors**2)))
    assert f"on the {len(rows.y)} validation rows: {rmse:.4g}" in sections["The winner"]
    assert study.noise().text in sections["Noise"]


def test_labels_have_their_tables(made):
    """Of several labels, how often each is rightly and wrongly found."""
    _, sections, _ = made("labels")
    assert all(name in sections["The winner"] for name in ("sunny", "quiet", "true_positive"))
    assert "calibration of each label" in sections["The winner"]


def test_the_front_is_shown(made):
    """Each trial of the front is in the table, the best in the first objective on top."""
    study, sections, notebook = made("objectives")
    front = study.pareto.sort_values("values_accuracy", ascending=False)
    rows = re.findall(r"^\d+ +(\d+) ", sections["Several objectives"], re.M)
    assert sorted(map(int, rows)) == sorted(front["number"])
    assert any("Pareto" in title for title in figures(notebook))


def test_failures_are_counted(made):
    """The trials that diverged are as many as in the record."""
    study, sections, _ = made("failing")
    diverged = int((study.trials["outcome"] == "diverged").sum())
    assert diverged > 0
    assert re.search(rf"diverged.* {diverged}$", sections["Failures"], re.M)


def test_a_trainer_of_ones_own_has_no_model(made):
    """Neither verdicts nor significance are asked of what nothing is known of."""
    _, _, notebook = made("own")
    source = "\n".join(cell.source for cell in notebook.cells)
    assert "tests.sweep.trainers:linear" in source
    assert "model" not in "\n".join(c.source for c in notebook.cells if c.cell_type == "code")


def test_a_study_that_has_only_begun(tmp_path):
    """Without a trial, it runs, and says that nothing is there yet."""
    spec = studyfile.to_json(small(tmp_path))
    with Store(tmp_path / "s.db") as store:
        store.release(store.claim("small", spec, "data", "0"), "stopped")
    sections, notebook = executed(load("small", tmp_path / "s.db"), tmp_path)
    assert "No trial has come to its end yet" in "\n".join(c.source for c in notebook.cells)
    assert "The winner" not in sections
    assert figures(notebook) == []


def test_only_pruned_trials(tmp_path):
    """All diverge: there is no winner, and the failures are told."""
    text = SMALL.replace("low = 1e-4, high = 1.0", "low = 1e30, high = 1e35")
    text = text.replace('["sgd", "momentum", "adam"]', '"sgd"').replace("trials = 24", "trials = 4")
    text = text.replace('activation = ["relu", "tanh", "signum"]', 'activation = "relu"')
    study = finish(studyfile.load(write(tmp_path, text)), tmp_path / "s.db")
    assert "complete" not in study.counts
    sections, _ = executed(study, tmp_path)
    assert "diverged" in sections["Failures"]


def test_the_same_study_gives_the_same_file(made):
    """To the last byte, and without outputs."""
    study, _, _ = made("classes")
    text = written(cells_of(study))
    assert text == written(cells_of(load(study.name, study.place)))
    cells = json.loads(text)["cells"]
    assert not any(cell.get("outputs") for cell in cells)
    ids = [cell["id"] for cell in cells]
    assert len(set(ids)) == len(ids)


def test_a_notebook_is_not_written_over(made, tmp_path, monkeypatch):
    """Unless it is said; nor is anything that the study needs, nor under another ending."""
    study, _, _ = made("classes")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SWEEP_STORE", str(study.place))
    run = CliRunner().invoke
    assert run(app, ["notebook", "classes"]).exit_code == 0
    text = (tmp_path / "classes.ipynb").read_text()
    first = next(cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code")
    assert f'sweep.load("classes", "{study.place}")' in "".join(first["source"])
    (tmp_path / "classes.ipynb").write_text("mine")
    refused = run(app, ["notebook", "classes"])
    assert "is there already: write over it with --force" in str(refused.exception)
    assert (tmp_path / "classes.ipynb").read_text() == "mine"
    done = run(app, ["notebook", "classes", "--force", "--json"])
    assert json.loads(done.output)["cells"] == len(json.loads(text)["cells"])
    assert (tmp_path / "classes.ipynb").read_text() == text
    other = run(app, ["notebook", "classes", "--to", "x.html"])
    assert "must end in .ipynb" in str(other.exception)
    assert run(app, ["notebook", "none"]).exit_code != 0

"""Every notebook of the repository, run from top to bottom against a real study."""

import math
import re
from itertools import pairwise
from pathlib import Path
from statistics import median

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from sweep import studyfile
from tests.sweep.studies import finish

STUDIES = Path(__file__).parents[1] / "studies"
TRIALS = 140


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The digits study, with fewer and shorter trials."""
    record = studyfile.to_json(studyfile.load(STUDIES / "digits"))
    record["search"]["trials"] = TRIALS
    record["train"]["epochs"] = 9
    path = tmp_path_factory.mktemp("digits") / "sweep.db"
    return finish(studyfile.from_json(record), path)


def run(path, store, monkeypatch):
    """The cells' outputs as text, for a notebook run in its own folder."""
    monkeypatch.setenv("SWEEP_STORE", str(store))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, resources={"metadata": {"path": path.parent}}, timeout=120).execute()
    return {
        cell.source: "".join(
            output.get("text", "") + output.get("data", {}).get("text/plain", "")
            for output in cell.outputs
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    }, notebook


def test_the_digits_notebook_tells_what_the_record_says(digits, monkeypatch):
    """Winner, scores, mistakes, noise and fingerprint are the study's; the figures are there."""
    outputs, notebook = run(STUDIES / "digits" / "analysis.ipynb", digits.place, monkeypatch)
    text = "\n".join(outputs.values())
    best = digits.best
    assert f"trial {best.number}: validation {best.value:.4f}, test {best.test:.4f}" in text
    assert digits.fingerprint in text
    assert f"{len(digits.epochs)} epochs trained of {TRIALS * 9}" in text
    rows = best.model.rows.held_out("test")
    wrong = int((best.model.decide(best.model.raw(rows.x)) != rows.y).sum())
    assert f"{wrong} of {len(rows.y)} wrong" in text
    assert digits.noise().text in text
    assert all(each.text in text for each in digits.advice())
    assert f"({TRIALS} complete) and {TRIALS * 9:,} epochs" in text, "replayed without a pruner"
    assert count_figures(notebook) == 7


@pytest.mark.slow
def test_whether_a_network_beats_a_linear_model(tmp_path, monkeypatch):
    """The notebook's scores of both are those that the record, and least squares by hand, have."""
    study = finish(studyfile.load(STUDIES / "diabetes"), tmp_path / "sweep.db")
    path = STUDIES / "diabetes" / "analysis.ipynb"
    outputs, notebook = run(path, study.place, monkeypatch)
    text = "\n".join(outputs.values())
    assert count_figures(notebook) == 5
    table = next(shown for shown in outputs.values() if "test RMSE" in shown)
    scores = {
        name: [float(n) for n in re.search(rf"^{name} +(.*)$", table, re.M)[1].split()]
        for name in ("network", "ridge", "mean", "network - ridge")
    }
    assert scores["network"][0] == pytest.approx(study.best.test, abs=0.006)
    assert scores["network"][1:] == pytest.approx(study.best.interval, rel=0.03)

    rows, preprocessing = study.best.model.rows.first
    alpha = float(re.search(r"alpha ([\d.]+): RMSE", text)[1])
    units = preprocessing.target.values
    train, test = (units(part.y).ravel() for part in (rows.train, rows.test))
    x = rows.train.x.astype(float)
    around = x.mean(axis=0)
    gram = (x - around).T @ (x - around) + alpha * np.eye(x.shape[1])
    weights = np.linalg.solve(gram, (x - around).T @ (train - train.mean()))
    predicted = (rows.test.x - around) @ weights + train.mean()
    ridge = np.sqrt(np.mean((predicted - test) ** 2))
    assert scores["ridge"][0] == pytest.approx(ridge, abs=0.02)
    assert scores["mean"][0] == pytest.approx(
        np.sqrt(np.mean((train.mean() - test) ** 2)), abs=0.01
    )
    difference, low, high = scores["network - ridge"]
    assert low < difference < high
    assert difference == pytest.approx(scores["network"][0] - scores["ridge"][0], abs=0.011)
    assert scores["ridge"][0] < scores["mean"][0] - 10, "the measurements say something"
    verdict = "better" if high < 0 else "worse" if low > 0 else "neither better nor worse"
    assert f"the network is {verdict}" in text
    assert study.noise().text in text


def count_figures(notebook):
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("application/vnd.plotly.v1+json" in output.get("data", {}) for output in outputs)


def answer(name, folder, monkeypatch):
    """A study run in full, its epochs and verdicts with the parameters, its notebook's text."""
    study = finish(studyfile.load(STUDIES / name), folder / "sweep.db")
    outputs, notebook = run(STUDIES / name / "analysis.ipynb", study.place, monkeypatch)
    assert count_figures(notebook) == 4
    params = study.trials.filter(regex="^number$|^params_")
    epochs = study.epochs.merge(params, left_on="trial", right_on="number")
    verdicts = study.diagnoses.merge(params, left_on="trial", right_on="number")
    return study, epochs, verdicts, "\n".join(outputs.values())


def epochs_until(loss, epochs, *params):
    """For each value of the parameters, in order, the epochs that each training needs to a loss."""
    needed = {}
    for (*values, _), curve in epochs.groupby([*params, "replicate"]):
        reached = curve["epoch"][curve["validation_loss"] <= loss]
        key = values[0] if len(values) == 1 else tuple(values)
        needed.setdefault(key, []).append(reached.min() if len(reached) else math.inf)
    return needed


def words(values):
    return ", ".join(f"{value:g}" for value in values)


@pytest.mark.slow
def test_the_learning_rate_decides_how_fast_and_whether_training_converges(tmp_path, monkeypatch):
    """Too small delays, too large never converges; the notebook has the study's numbers."""
    study, epochs, verdicts, text = answer("learning-rate", tmp_path, monkeypatch)
    needed = epochs_until(0.3, epochs, "params_learning_rate")
    found = verdicts.groupby("params_learning_rate")["verdict"].unique().map(set).to_dict()
    reaching = [0.01, 0.03, 0.1, 0.3]
    assert len(needed) == 11
    assert {len(each) for each in needed.values()} == {5}
    for slower, faster in pairwise(reaching):
        assert max(needed[faster]) < min(needed[slower]), "even with bad luck and with good"
        assert median(needed[faster]) <= median(needed[slower]) / 2
    for rate in (1e-4, 3e-4, 1e-3, 3e-3):
        assert set(needed[rate]) == {math.inf}
        assert found[rate] == {"still improving"}
    for rate in (3.0, 10.0):
        assert set(needed[rate]) == {math.inf}
        assert found[rate] == {"diverged"}
        assert epochs["epoch"][epochs["params_learning_rate"] == rate].max() <= 10
    best = study.best
    assert best.params["learning_rate"] in (0.03, 0.1, 0.3)
    times = words(median(needed[rate]) for rate in reaching if rate <= best.params["learning_rate"])
    assert f"it takes {times} epochs to a validation loss of 0.3" in text
    assert (
        "At 0.0001, 0.0003, 0.001, 0.003 it takes more than 100. Of these 20 trainings\n20" in text
    )
    assert "At 3, 10 all 5 trainings diverged" in text
    assert f"the loss in the end is {best.value:.3f} ± {best.standard_error:.3f}" in text


@pytest.mark.slow
def test_the_batch_size_trades_time_for_convergence(tmp_path, monkeypatch):
    """Small ones take many steps, large ones learn less; the notebook has the study's numbers."""
    study, epochs, verdicts, text = answer("batch-size", tmp_path, monkeypatch)
    trials = study.trials
    batches = [1, 4, 16, 64, 256, 1079]
    same = trials[trials["params_learning_rate"] == 0.03].set_index("params_batch_size")
    # By the formula; the seconds of a machine that does something else too would prove nothing.
    assert all(same["predicted_cost"][a] > same["predicted_cost"][b] for a, b in pairwise(batches))
    assert same["predicted_cost"][1] > 10 * same["predicted_cost"][64]
    sound = epochs.dropna(subset="validation_loss")
    seconds = sound.groupby("params_batch_size")["seconds"].quantile(0.1)
    assert f"An epoch takes {words((1000 * seconds).round(1))} ms" in text

    failed = verdicts["verdict"].isin(["diverged", "stuck"])
    assert verdicts["params_learning_rate"][~failed].max() < 10
    assert verdicts["params_learning_rate"][failed].min() == 0.1
    assert set(
        verdicts["params_batch_size"][failed & (verdicts["params_learning_rate"] == 0.1)]
    ) == {1}
    assert all(same["value"][b] > 1.5 * same["value"][a] for a, b in pairwise(batches[2:]))
    assert same["value"][16] > same["value"][[1, 4]].max()
    assert f"the loss after 20 epochs is {words(same['value'][batches].round(2))}" in text

    own = trials.loc[trials.groupby("params_batch_size")["value"].idxmin()]
    own = own.set_index("params_batch_size")
    assert own["params_learning_rate"].is_monotonic_increasing
    assert own["params_learning_rate"][256] >= 10 * own["params_learning_rate"][1]
    assert own["value"][1079] > 1.25 * own["value"].drop(1079).max()
    assert f"own best rate, {words(own['params_learning_rate'])}, it is" in text

    needed = epochs_until(0.3, epochs, "params_batch_size", "params_learning_rate")
    quickest = {
        batch: min(median(each) for (b, _), each in needed.items() if b == batch)
        for batch in batches
    }
    assert quickest[1079] > 5 * quickest[64]
    assert f"it takes {words(quickest.values())} epochs with {words(batches)} rows" in text


@pytest.mark.parametrize("path", list(STUDIES.rglob("*.ipynb")), ids=lambda path: path.parent.name)
def test_notebooks_are_stored_without_outputs(path):
    """Outputs are made by running; in git they would only differ."""
    cells = nbformat.read(path, as_version=4).cells
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)

"""One trial of a finished study: what the record says of it, and its model."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.metrics import confusion_matrix

import sweep
from sweep import datasets, studyfile
from sweep.errors import SweepError, UsageError
from sweep.results import load
from sweep.trial import Trial
from tests.sweep.studies import events, finish, small
from trainer import Verdict


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A small one, finished."""
    folder = tmp_path_factory.mktemp("study")
    return finish(small(folder), folder / "runs" / "sweep.db")


def test_every_trial_is_its_row_of_the_table(study):
    """Numbers, states, values and parameters; the curves are those of the epochs."""
    for _, row in study.trials.iterrows():
        trial = study.trial(int(row["number"]))
        assert (trial.state, trial.outcome) == (row["state"], row["outcome"])
        assert trial.value == row["value"] or (trial.value is None and np.isnan(row["value"]))
        assert trial.seconds == row["seconds"]
        for name, value in trial.params.items():
            assert row[f"params_{name}"] == value
        assert trial.config.learning_rate == row["params_learning_rate"]
        expected = study.epochs.query("trial == @trial.number").reset_index(drop=True)
        pd.testing.assert_frame_equal(trial.epochs.reset_index(drop=True), expected)
        assert len(trial.attempts) == (study.attempts["trial"] == trial.number).sum() > 0
        assert set(trial.attempts["trial"]) == {trial.number}


def test_the_verdict_is_the_study_s(study):
    """Each trial's is that in the table of all."""
    for _, row in study.diagnoses.iterrows():
        diagnosis = study.trial(int(row["trial"])).diagnosis
        assert (diagnosis.verdict, diagnosis.text) == (Verdict(row["verdict"]), row["text"])


def test_the_best_is_a_trial(study):
    """The winner is the same view, and has the test score besides; no other trial has."""
    best = study.best
    assert isinstance(best, Trial)
    assert best == study.trial(best.number)
    assert best.test is not None
    assert best.interval[0] <= best.test <= best.interval[1]
    others = [study.trial(n) for n in study.trials["number"] if n != best.number]
    assert all(trial.test is None and not trial.file.is_file() for trial in others)
    assert f"{best.value:.4f}, test accuracy {best.test:.4f}" in repr(best)


def test_any_trial_trains_again(study):
    """The model of one that was pruned scores what it scored; and knows its study's rows."""
    pruned = study.trials.query("state == 'PRUNED' and epochs > 0").iloc[0]
    model = study.trial(int(pruned["number"])).model
    dataset, _ = datasets.load(study.spec.data)
    assert model.evaluate(dataset, dataset.validation) == pruned["value"]
    assert np.trace(model.confusion()) / len(dataset.validation.y) == pytest.approx(pruned["value"])


def test_held_out_rows(study):
    """Without rows, a model is asked about its study's own: for validation, or for testing."""
    model, iris = study.best.model, load_iris()
    parts = datasets.split(study.spec.data, 150, iris.target)
    for on, rows in (("validation", parts.validation), ("test", parts.test)):
        predicted = model.predict(iris.data[rows])
        expected = confusion_matrix(iris.target_names[iris.target[rows]], predicted)
        assert (model.confusion(on=on).to_numpy() == expected).all()
    assert np.trace(model.confusion(on="test")) / len(parts.test) == study.best.test
    found = model.feature_significance(
        iris.data[parts.validation], iris.target_names[iris.target[parts.validation]]
    )
    pd.testing.assert_frame_equal(found, model.feature_significance())
    with pytest.raises(UsageError, match='on must be "validation" or "test"'):
        model.confusion(on="train")


def test_rows_that_have_changed(tmp_path):
    """A model of other rows than there are now is not asked about these; it predicts as before."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=90), "y": np.tile(["a", "b", "b"], 30)})
    frame.to_csv(tmp_path / "x.csv", index=False)
    record = studyfile.to_json(small(tmp_path, trials=2))
    record["data"] |= {"source": str(tmp_path / "x.csv"), "target": ["y"], "test": 0.0}
    study = finish(studyfile.from_json(record), tmp_path / "sweep.db")
    with pytest.raises(UsageError, match="has no test rows"):
        study.best.model.confusion(on="test")
    frame.assign(x=frame["x"] ** 2).to_csv(tmp_path / "x.csv", index=False)
    model = study.best.model
    assert len(model.predict(frame)) == 90
    with pytest.raises(SweepError, match="are not those that 'small' began with"):
        model.confusion()
    study.best.file.unlink()
    with pytest.raises(SweepError, match="are not those that 'small' began with"):
        _ = study.best.model


def test_a_file_that_is_lost_or_damaged(tmp_path):
    """Lost weights are trained again, to the same bits; damaged ones are told."""
    study = finish(small(tmp_path, trials=3), tmp_path / "sweep.db")
    kept = study.best.model.parameters
    study.best.file.write_bytes(b"PK")
    with pytest.raises(SweepError, match=r"cannot be read.*sweep run"):
        _ = study.best.model
    study.best.file.unlink()
    assert study.best.model.parameters.tobytes() == kept.tobytes()


def test_a_trial_that_is_not_there(study):
    """It is told, and where the trials are listed."""
    for number in (24, -1, "0"):
        with pytest.raises(UsageError, match=r"no trial .*sweep show lists them"):
            study.trial(number)


def test_trials_without_an_epoch(tmp_path):
    """One that has only begun has no model and no verdict, and says so."""
    running = events(small(tmp_path), tmp_path / "sweep.db")
    next(running)
    while not len((study := load("small", tmp_path / "sweep.db")).trials):
        next(running)
    trial = study.trial(0)
    assert trial.state == "RUNNING"
    for ask in ("model", "diagnosis"):
        with pytest.raises(UsageError, match="trial 0 is RUNNING without an epoch"):
            getattr(trial, ask)
    assert len(trial.epochs) == 0
    assert repr(trial).startswith("<Trial 0 of 'small': RUNNING; ")
    running.close()


def test_trials_of_ones_own_trainer(tmp_path):
    """They have no model, configuration or verdict here, and say so."""
    record = studyfile.to_json(small(tmp_path, trials=2))
    record["space"] = {"rate": [0.1, 0.2]}
    record["train"]["function"] = "tests.sweep.trainers:plain"
    own = finish(studyfile.from_json(record), tmp_path / "own.db", allow_code=True).trial(0)
    for ask in ("model", "config", "diagnosis"):
        with pytest.raises(UsageError, match=r"trains with tests\.sweep\.trainers:plain"):
            getattr(own, ask)
    assert len(own.epochs) > 0
    assert "rate=" in repr(own)


def test_it_shows_itself(study):
    """One line, and a small page with the parameters."""
    for number in study.trials["number"]:
        trial = study.trial(int(number))
        assert repr(trial).startswith(f"<Trial {number} of 'small': {trial.state}")
        assert "\n" not in repr(trial)
        page = trial._repr_html_()
        assert all(name in page for name in trial.params)


def test_names_are_escaped(study):
    """A value that looks like a tag is none in the page."""
    trial = study.trial(0)
    row = {**trial.row}
    shown = Trial(**{**vars(trial), "params": {"x": "<script>"}, "row": row})
    assert "<script>" not in shown._repr_html_()
    assert "&lt;script&gt;" in shown._repr_html_()


def test_a_model_is_saved_and_loaded_by_name(study, tmp_path):
    """`sweep.load_model` gives what predicts the same, without the study's rows."""
    study.best.model.save(tmp_path / "m.npz")
    again, iris = sweep.load_model(tmp_path / "m.npz"), load_iris()
    assert (again.predict(iris.data) == study.best.model.predict(iris.data)).all()
    assert again.rows is None

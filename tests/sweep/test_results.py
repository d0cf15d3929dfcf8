"""Tables, the Optuna study and the model of a finished study."""

import subprocess
import sys

import numpy as np
import optuna
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris

import sweep
from sweep import studyfile
from sweep.diagnoses import diagnoses
from sweep.errors import StudyNotFound, SweepError, UsageError
from sweep.loop import Opened
from sweep.results import load
from sweep.sinks import guarded, sink
from sweep.space import train_config
from tests.sweep.studies import events, finish, small
from trainer import EpochRecord, Verdict, diagnose


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    return finish(small(folder), folder / "runs" / "sweep.db")


def test_trials_have_the_columns_of_optuna_and_ours(study):
    """Names, order and types of the columns; Optuna's come first and under its names."""
    optunas = [c for c in study.optuna_study.trials_dataframe().columns if "attrs" not in c]
    types = study.trials.dtypes.astype(str).to_dict()
    params = {
        "params_layers": "Int64",
        "params_neurons_1": "Int64",
        "params_neurons_2": "Int64",
        "params_activation": "str",
        "params_optimizer": "str",
        "params_batch_size": "Int64",
        "params_learning_rate": "float64",
    }
    assert set(optunas) <= set(types)
    assert types == {
        "number": "int64",
        "value": "float64",
        "datetime_start": "datetime64[us, UTC]",
        "datetime_complete": "datetime64[us, UTC]",
        "duration": "timedelta64[us]",
        **params,
        "state": "str",
        "outcome": "str",
        "epochs": "int64",
        "seed": "int64",
        "seconds": "float64",
        "predicted_cost": "float64",
        "attempts": "int64",
        "node": "str",
        "error": "str",
    }


def test_widths_of_layers_that_are_not_there_are_missing(study):
    """A trial has as many widths as layers, in the table and in the Optuna study."""
    trials = study.trials
    assert set(trials["params_layers"]) == {0, 1, 2}
    for layer in (1, 2):
        assert (trials[f"params_neurons_{layer}"].isna() == (trials["params_layers"] < layer)).all()
    for trial in study.optuna_study.trials:
        widths = [name for name in trial.params if name.startswith("neurons_")]
        assert len(widths) == trial.params["layers"]


def test_epochs_are_the_learning_curves(study):
    """One row for each epoch that a trial completed; the last one's metric is the trial's value."""
    trials, epochs = study.trials, study.epochs
    assert (epochs.groupby("trial").size() == trials["epochs"]).all()
    assert not epochs.duplicated(["trial", "replicate", "epoch"]).any()
    last = epochs.groupby("trial").last()["validation_metric"]
    kept = trials["outcome"] != "diverged"
    assert (last[kept] == trials.loc[kept, "value"]).all()
    assert np.isclose(epochs.groupby("trial")["seconds"].sum(), trials["seconds"]).all()


def test_the_optuna_study_says_the_same(study):
    """States, values, curves and the best trial agree with the tables."""
    rebuilt, trials = study.optuna_study, study.trials
    assert rebuilt.direction == optuna.study.StudyDirection.MAXIMIZE
    assert [trial.state.name for trial in rebuilt.trials] == list(trials["state"])
    assert rebuilt.best_trial.number == study.best.number
    assert rebuilt.best_value == study.best.value
    assert rebuilt.best_params == study.best.params
    best = rebuilt.best_trial.intermediate_values
    curve = study.epochs.query("trial == @study.best.number")
    assert best == dict(zip(curve["epoch"], curve["validation_metric"], strict=True))


def test_the_best_model_reads_raw_rows(study):
    """Labels as the data has them, probabilities that agree, and an error on another width."""
    iris = load_iris()
    model = study.best.model
    names = iris.target_names[iris.target]
    assert (model.predict(iris.data) == names).mean() > 0.9
    probabilities = model.predict_proba(iris.data)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert (iris.target_names[probabilities.argmax(axis=1)] == model.predict(iris.data)).all()
    with pytest.raises(ValueError, match=r"x has the shape \(1, 3\).*sepal length"):
        model.predict([[1, 2, 3]])


def test_a_regression_is_in_the_units_of_the_data(tmp_path):
    """Value, test score and predictions of a regression are those of the raw targets."""
    record = studyfile.to_json(small(tmp_path, trials=12))
    record["data"]["source"] = "sklearn:diabetes"
    record["space"] |= {"loss": "mean_squared", "activation": "tanh", "batch_size": 32}
    record["space"] |= {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}}
    record["train"] |= {"metric": "rmse", "epochs": 27}
    study = finish(studyfile.from_json(record), tmp_path / "sweep.db")
    diabetes = load_diabetes()
    predicted = study.best.model.predict(diabetes.data)
    error = np.sqrt(np.mean((predicted - diabetes.target) ** 2))
    assert 40 < study.best.value < 70, "the targets' standard deviation is 77"
    assert 40 < study.best.test < 70
    assert study.direction == "minimize"
    assert study.best.value == study.trials["value"].min()
    assert 40 < error < 70


def test_the_summary_is_json_with_what_matters(study):
    """The keys that scripts rely on."""
    summary = study.summary()
    assert summary["name"] == "small"
    assert summary["state"] == "complete"
    assert sum(summary["trials"].values()) == 24
    assert summary["best"]["number"] == study.best.number
    assert summary["best"].keys() == {
        *("number", "value", "standard_error", "params", "test", "test_interval", "violations"),
        "file",
    }
    assert summary["importances"] == study.importances == {}, "of 15 complete trials"
    assert summary["advice"] == [advice.record() for advice in study.advice()] != []
    assert len(summary["fingerprint"]) == 64


@pytest.mark.parametrize("name", ["trials.parquet", "trials.csv"])
def test_tables_are_written_and_read_back(study, tmp_path, name):
    """Parquet keeps every type; CSV keeps every value."""
    trials, file = study.trials, tmp_path / name
    with sink(file) as write:
        write(trials)
    if file.suffix == ".parquet":
        pd.testing.assert_frame_equal(pd.read_parquet(file), trials)
    else:
        read = pd.read_csv(file)
        assert list(read.columns) == list(trials.columns)
        assert (read["value"].dropna() == trials["value"].dropna()).all()


def test_tables_of_other_kinds_are_refused(study, tmp_path):
    """The error says which endings there are, and which folder is missing."""
    for name, told in (
        ("trials.xlsx", r"trials.xlsx.*\.csv or \.parquet"),
        ("missing/trials.csv", "cannot write"),
    ):
        with pytest.raises(UsageError, match=told), sink(tmp_path / name) as write:
            write(study.trials)


def test_a_running_study_can_be_read(tmp_path):
    """Before any trial is complete there are tables, and no best trial."""
    running = events(small(tmp_path), tmp_path / "sweep.db")
    assert isinstance(next(running), Opened)
    study = load("small", tmp_path / "sweep.db")
    assert study.state == "running"
    assert len(study.trials) == len(study.epochs) == 0
    assert study.trials.dtypes["value"] == "float64"
    with pytest.raises(SweepError, match="no complete trial yet"):
        _ = study.best
    running.close()


def test_a_study_that_is_not_there_is_an_error(study, tmp_path):
    """Neither a missing store nor a missing study is a traceback of SQLAlchemy's."""
    with pytest.raises(StudyNotFound, match="no store"):
        sweep.load("small", tmp_path / "none.db")
    with pytest.raises(StudyNotFound, match="there: small"):
        sweep.load("large", study.place)


def test_importing_sweep_is_cheap():
    """`import sweep` brings in neither Ray, Optuna, pandas nor NumPy until they are used."""
    code = "import sys, sweep; print(*{'ray', 'optuna', 'pandas', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_training_has_the_verdict_of_the_trainer(tmp_path):
    """Its epochs on record get the verdict that they got in memory; bad rates show as such."""
    record = studyfile.to_json(small(tmp_path, pruner="none", replicates=2))
    expected = {1e-9: "stuck", 0.1: "still improving", 1e9: "diverged"}
    rates = list(expected)
    record["space"] = {"neurons": 8, "optimizer": "sgd", "batch_size": 8, "learning_rate": rates}
    record["search"]["sampler"] = "grid"
    record["train"]["epochs"] = 12
    study = finish(studyfile.from_json(record), tmp_path / "sweep.db")
    found = study.diagnoses.set_index(["trial", "replicate"])
    rate_of = study.trials.set_index("number")["params_learning_rate"]
    curves = study.epochs.set_index(["trial", "replicate"])
    assert len(rate_of) == 3
    assert [*found.index] == [(trial, replicate) for trial in rate_of.index for replicate in (0, 1)]
    for (trial, replicate), row in found.iterrows():
        assert row["verdict"] == expected[rate_of[trial]]
        config = train_config(study.spec, {"learning_rate": rate_of[trial]})
        records = [EpochRecord(**e) for e in curves.loc[[(trial, replicate)]].to_dict("records")]
        diagnosis = diagnose(config, records)
        assert (row["verdict"], row["text"]) == (diagnosis.verdict, diagnosis.text)
        known = row.drop(["verdict", "text", "epochs"]).dropna().to_dict()
        numbers = {n: x for n, x in diagnosis.numbers.items() if n not in ("epoch", "epochs")}
        assert (row["epochs"], known) == (len(records), numbers)


@pytest.mark.parametrize("seed", range(5))
def test_all_verdicts_are_those_of_one_training_alone(tmp_path, seed):
    """Of random curves, whatever their lengths, losses, replicates and gaps are."""
    rng = np.random.default_rng(seed)
    record = studyfile.to_json(small(tmp_path))
    record["data"]["source"], record["train"]["metric"] = "sklearn:diabetes", "rmse"
    losses = ["mean_squared", "gaussian_nll"]
    record["space"] = {"neurons": 8, "learning_rate": [0.01, 0.1], "loss": losses}
    spec = studyfile.from_json(record)
    trials, curves = [], {}
    for number in range(60):
        params = {"loss": str(rng.choice(losses)), "learning_rate": 0.01}
        trials.append({"number": number, "params": params})
        for replicate in range(rng.integers(0, 3)):
            length = int(rng.choice([1, 2, 3, 7, 20, 27, 43]))
            t, tail = np.arange(length), rng.choice([0.0, 0.05])
            falling = rng.uniform(0, 3) * np.exp(-t / rng.uniform(1, 60))
            pair = falling + rng.normal(0, rng.choice([1e-4, 0.05]), (2, length))
            pair += 0.5 + np.outer([rng.integers(0, 2), 1], tail * t)
            pair[rng.random(pair.shape) < 0.003] = np.nan
            curves[number, replicate] = [
                EpochRecord(int(i) + 1, 0.01, a.item(), b.item(), 0.5, 1.0, 0.1)
                for i, a, b in zip(t, *pair, strict=True)
            ]
    rows = [(*key, each) for key, records in curves.items() for each in records]
    columns = {name: np.array([getattr(row[2], name) for row in rows]) for name in MEASURED}
    columns |= {name: np.array([row[i] for row in rows]) for i, name in enumerate(KEY)}
    found = list(diagnoses(spec, trials, columns))
    assert [(row["trial"], row["replicate"]) for row in found] == [*curves]
    assert len({row["verdict"] for row in found}) == len(Verdict)
    for row, (key, records) in zip(found, curves.items(), strict=True):
        alone = diagnose(train_config(spec, trials[key[0]]["params"]), records)
        numbers = {**alone.numbers, "epochs": len(records)}
        assert row == dict(zip(KEY, key, strict=True)) | numbers | {
            "verdict": alone.verdict, "text": alone.text,
        }  # fmt: skip


KEY = ("trial", "replicate")
MEASURED = ("epoch", "train_loss", "validation_loss")


def test_a_trainer_of_ones_own_gets_no_verdict(tmp_path):
    """Its losses need not be known; the error says so, and where its curves are."""
    record = studyfile.to_json(small(tmp_path, trials=1))
    record["space"] = {"rate": [0.1, 0.2]}
    record["train"]["function"] = "tests.sweep.trainers:plain"
    study = finish(studyfile.from_json(record), tmp_path / "sweep.db", allow_code=True)
    with pytest.raises(UsageError, match=r"tests\.sweep\.trainers:plain.*study\.epochs"):
        _ = study.diagnoses


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+2", "'=1+2"),
        ("@sum(a)", "'@sum(a)"),
        ("-cmd", "'-cmd"),
        (" +x", "' +x"),
        ("\tx", "'\tx"),
        ("-5", "-5"),
        ("+1e3", "+1e3"),
        ("a=b", "a=b"),
        ("", ""),
        (-5, -5),
    ],
)
def test_cells_that_a_spreadsheet_would_compute(cell, written):
    """They and such names get an apostrophe; numbers, other texts and gaps stay as they are."""
    frame = pd.DataFrame({"x": [cell, None, "y"]}, dtype=object)
    found = guarded(frame)["x"]
    assert found[[0, 2]].tolist() == [written, "y"]
    assert pd.isna(found[1])
    assert guarded(pd.DataFrame({"=x": [1]})).columns.tolist() == ["'=x"]

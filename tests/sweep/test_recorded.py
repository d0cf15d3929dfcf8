"""The record as tables: what is in them, of which types, while a study runs and after."""

import gc
import hashlib
import json
import re
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal, assert_series_equal
from sqlalchemy import Engine
from sqlalchemy.event import listen, remove
from typer.testing import CliRunner

import sweep
from sweep import fingerprint, studyfile
from sweep.cli.app import app
from sweep.errors import UsageError
from sweep.ledger import ledger
from sweep.loop import Opened
from sweep.overview import overview
from sweep.report import report
from sweep.results import load
from sweep.space import active, actives, distributions
from sweep.spacespec import SpaceSpec
from sweep.store import Batch, Store
from tests.sweep.random_studies import NAME
from tests.sweep.records import attempt, by_columns, claim, epoch, event, trial
from tests.sweep.simulation import Simulation
from tests.sweep.studies import SMALL, events, finish, small

DOCS = (Path(__file__).parents[2] / "docs" / "results.md").read_text()
TABLES = ("trials", "failures", "epochs", "segments", "attempts", "events", "diagnoses", "pareto")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Small, with trials that are pruned and some that diverge."""
    folder = tmp_path_factory.mktemp("study")
    record = studyfile.to_json(small(folder))
    record["data"]["source"] = "sklearn:diabetes"
    record["space"] |= {"loss": "mean_squared", "activation": ["relu", "tanh"]}
    record["space"]["learning_rate"] = {"low": 1e-3, "high": 1e3, "log": True}
    record["train"]["metric"] = "rmse"
    return finish(studyfile.from_json(record), folder / "sweep.db")


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    """With several objectives, a constraint and replicates."""
    folder = tmp_path_factory.mktemp("rich")
    record = studyfile.to_json(small(folder, trials=12, replicates=2, pruner="none"))
    record["search"] |= {"objectives": ["accuracy", "parameters"]}
    record["search"] |= {"constraints": {"parameters": {"high": 100}}}
    return finish(studyfile.from_json(record), folder / "sweep.db")


def types(frame):
    return frame.dtypes.astype(str).to_dict()


def tables(study):
    """Every table, and those that are made of it."""
    found = {name: getattr(study, name) for name in TABLES}
    return found | {"top": study.top(3), "ledger": study.ledger.trials}


def test_types_do_not_depend_on_how_far_a_study_is(tmp_path):
    """An empty study, one that runs and a finished one have the same columns of the same types."""
    spec, place = small(tmp_path), tmp_path / "sweep.db"
    going = events(spec, place)
    assert isinstance(next(going), Opened)
    study = load("small", place)
    empty = {name: types(frame) for name, frame in tables(study).items()}
    assert len(study.trials) == len(study.segments) == len(study.failures) == 0
    while study.segments["decision"].isna().all():
        next(going)
    assert study.state == "running"
    assert study.trials["state"].eq("RUNNING").any()
    running = {name: types(frame) for name, frame in tables(study).items()}
    for _ in going:
        pass
    assert study.state == "complete"
    assert empty == running == {name: types(frame) for name, frame in tables(study).items()}


def documented(title):
    """The columns of a table in docs/results.md, and their types."""
    (part,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", DOCS, re.M | re.S)
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", part, re.M))


@pytest.mark.parametrize(
    "name",
    [
        "trials",
        "failures",
        "epochs",
        "segments",
        "attempts",
        "events",
        "diagnoses",
        "ledger.trials",
    ],
)
@pytest.mark.parametrize("kind", ["study", "rich"])
def test_the_documentation_has_every_column(request, kind, name):
    """docs/results.md names each column of each table with its type, in this order, no other."""
    found = request.getfixturevalue(kind)
    for part in name.split("."):
        found = getattr(found, part)
    said = documented(f"study.{name}")
    told = {re.sub(r"^(params|values|violation)_.*", r"\1_*", column): column for column in found}
    optional = {"standard_error", "values_*", "violation_*"} if kind == "study" else set()
    assert [name for name in said if name not in optional] == list(told)
    for column, of in told.items():
        assert str(found[of].dtype) in said[column].split(" or ")


def test_the_columns_are_those_of_optuna(study, rich):
    """What Optuna's table of trials has as well has the same values."""
    for each, names in ((study, ["value"]), (rich, [])):
        theirs, ours = each.optuna_study.trials_dataframe(), each.trials
        names += ["number", "state", *(n for n in theirs if n.startswith("params_"))]
        assert len(theirs) == len(ours)
        for name in names:
            assert_series_equal(theirs[name], ours[name], check_dtype=False, check_exact=True)
        for name in ("datetime_start", "datetime_complete"):
            local = ours[name].map(
                lambda time: time.to_pydatetime().astimezone().replace(tzinfo=None)
            )
            assert_series_equal(theirs[name], local, check_dtype=False)
    values = rich.optuna_study.trials_dataframe()[["values_0", "values_1"]]
    ours = rich.trials[["values_accuracy", "values_parameters"]].set_axis(values.columns, axis=1)
    assert_frame_equal(values, ours)


def test_copies_of_rebuilt_trials_are_their_own(study):
    """What a user changes in a trial of the rebuilt study changes in no other."""
    rebuilt = study.optuna_study
    mine, before = rebuilt.trials[0], repr(rebuilt.trials[0])
    assert repr(mine) == before
    mine.params["learning_rate"] = -1.0
    mine.intermediate_values[99] = 0.0
    mine.user_attrs["outcome"] = mine.values = None
    mine.distributions.clear()
    assert repr(rebuilt.trials[0]) == before != repr(mine)


def test_the_best_come_first(study, rich):
    """`top` has the columns of the trials, in the order of the winner's rule."""
    for each, order in (
        (study, study.trials[study.trials["state"] == "COMPLETE"]),
        (rich, rich.trials[rich.trials["state"] == "COMPLETE"]),
    ):
        broken = [name for name in order if name.startswith("violation_")]
        order = order.assign(broken=(order[broken] > 0).sum(axis=1))
        by = ["broken", "value", "number"]
        order = order.sort_values(by, ascending=[True, each.direction == "minimize", True])
        expected = order.drop(columns="broken").reset_index(drop=True)
        assert_frame_equal(each.top(4), expected.head(4))
        assert len(each.top(10**6)) == len(expected)
        assert each.top(1)["number"].item() == each.best.number
    with pytest.raises(UsageError, match="at least 1"):
        study.top(0)


def test_wherever_trials_are_counted_it_says_how_many_diverged(study):
    """In words, of those that were pruned: status, summary, card, report and figures."""
    pruned = study.trials["outcome"].isin(["pruned", "diverged"]).sum()
    diverged = study.trials["outcome"].eq("diverged").sum()
    assert 0 < diverged < pruned == study.counts["pruned"]
    words = f"{pruned} pruned ({diverged} of them diverged)"
    assert words in study.counted
    assert words in repr(study)
    assert words in study._repr_html_()
    assert words in report(study).html
    assert words in study.plot.history().layout.title.subtitle.text.replace("<br>", " ")
    for command in ("status", "show"):
        typed = [command, study.name, "--store", str(study.place)]
        assert words in CliRunner().invoke(app, typed).stdout


def test_failures_are_what_diverged_or_failed(study, tmp_path):
    """Those and no others; of an error the line that says most."""
    diverged = study.trials[study.trials["outcome"] == "diverged"]
    assert set(study.failures["number"]) == set(diverged["number"])
    assert study.failures["outcome"].eq("diverged").all()
    assert len(study.failures) > 0
    record = studyfile.to_json(small(tmp_path, trials=3, workers=1))
    record["space"] = {"rate": {"low": 0.1, "high": 0.2}}
    record["train"]["function"] = "tests.sweep.trainers:raises"
    with pytest.raises(sweep.errors.StudyFailed):
        finish(studyfile.from_json(record), tmp_path / "sweep.db", allow_code=True)
    failed = load("small", tmp_path / "sweep.db").failures
    assert failed["outcome"].eq("error").all()
    assert len(failed) == 3
    for text, told in zip(failed["error"], failed["gist"], strict=True):
        assert told in text.splitlines()[-1]


def test_the_ledger_knows_how_long_what_ended_early_waited(tmp_path):
    """A segment that diverged before its rung waited for its turn as any other."""
    text = SMALL.replace("high = 1.0", "high = 1e6").replace("[space]", "[space]\npatience = 2")
    study = finish(small(tmp_path, text, pruner="none"), tmp_path / "sweep.db")
    attempts, segments = study.attempts, study.segments
    keys = ["trial", "replicate", "start", "until"]
    decided = segments.merge(attempts[attempts["accepted"]][[*keys, "received"]], on=keys)
    assert (decided["epoch"] < decided["until"]).any(), "or there is nothing to see"
    waited = (decided["decided"] - decided["received"]).dt.total_seconds().clip(lower=0)
    expected = waited.groupby(decided["trial"]).sum()
    found = study.ledger.trials.set_index("trial")["waiting"]
    assert_series_equal(found, expected, check_names=False)


NOON = pd.Timestamp("2026-01-01T12:00Z")
STAMPS = ("queued", "sent", "started", "loaded", "finished", "received")


def tried(trial, start, until, *seconds, training, accepted=True):
    """An attempt with its times in seconds past noon."""
    stamps = [NOON + pd.Timedelta(seconds=s) for s in seconds]
    known = {"trial": trial, "start": start, "until": until, "training": training}
    return known | {"accepted": accepted} | dict(zip(STAMPS, stamps, strict=True))


def told(trial, epoch, seconds):
    return {"trial": trial, "epoch": epoch, "time": NOON + pd.Timedelta(seconds=seconds)}


def session(cpus, ready, ended, **recording):
    known = {"began": NOON, "ready": NOON + pd.Timedelta(seconds=ready), "cpus": cpus}
    return (
        known | {"ended": None if ended is None else NOON + pd.Timedelta(seconds=ended)} | recording
    )


def test_the_ledger_of_known_times():
    """Trial 0 loses a try, is promoted later and has two segments; 1 has one, whose clock is
    behind; 2 has none yet; 3 was decided upon before its second segment, which stays undecided."""
    attempts = pd.DataFrame(
        [
            tried(0, 0, 1, 0, 1, 3, 6, 10, 15, training=3.5, accepted=False),
            tried(0, 0, 1, 15, 16, 18, 21, 25, 30, training=3.5),
            tried(0, 1, 3, 50, 50, 52, 52, 60, 61, training=8.0),
            tried(1, 0, 3, 20, 21, 20, 22, 24, 26, training=1.0),
            tried(3, 0, 1, 0, 0, 0, 0, 1, 1, training=1.0),
            tried(3, 1, 3, 1, 1, 1, 1, 4, 4, training=2.0),
        ]
    )
    decided = [told(0, 1, 33), told(0, 1, 48), told(0, 3, 65), told(1, 3, 25), told(3, 1, 2)]
    events = pd.DataFrame([told(0, None, -1), *decided, told(None, None, 70)])
    trials = {
        "number": [0, 1, 2, 3],
        "asking": [0.5, 0.25, None, 0.0],
        "predicted_cost": [9.0, 2.0, 4.0, 9.0],
        "epochs": [3, 1, None, 1],
    }
    sessions = [
        session(2, 10, 40, recording=0.5, recording_median=0.1),
        session(4, 50, 60, recording=0.25, recording_median=0.2),
        session(4, 70, None, recording=None, recording_median=None),
    ]
    found = ledger(trials, attempts, events, sessions, 3)
    expected = {
        "asking": [0.5, 0.25, 0.0, 0.0],
        "queued": [2.0, 1.0, 0.0, 0.0],
        "starting": [6.0, 0.0, 0.0, 0.0],
        "loading": [6.0, 2.0, 0.0, 0.0],
        "training": [15.0, 1.0, 0.0, 3.0],
        "reporting": [11.0, 2.0, 0.0, 0.0],
        "waiting": [7.0, 0.0, 0.0, 1.0],
        "predicted": [9.0, 2 / 3, 0.0, 3.0],
    }
    assert list(found.trials["trial"]) == [0, 1, 2, 3]
    for part, seconds in expected.items():
        assert list(found.trials[part]) == pytest.approx(seconds), part
    assert (found.cpu_seconds, found.sessions, found.recording) == (100.0, 3, 0.75)
    assert found.recording_median is None
    assert found.share == 0.19
    assert found.parts.set_index("part").loc["training", "milliseconds"] == 4750
    ratios = [1.0, 1.5, 15 / 9]  # of those that trained
    assert found.slowness == pytest.approx(1.5)
    assert found.band == pytest.approx((1.1 / 1.5, (1.5 + 0.8 * (ratios[2] - 1.5)) / 1.5))
    assert np.isnan(ledger(trials, attempts, events, [], 3).share)


@pytest.mark.parametrize("seed", range(0, 60, 4))
def test_segments_tell_what_was_decided_on_unlucky_days(seed, tmp_path):
    """Whatever befell a study, with kills, faults, promotions and replicates: each segment that
    counted has its decision, and the last one of a trial is what became of it."""
    simulation = Simulation(seed, tmp_path)
    simulation.carry_out()
    study = load(NAME, simulation.place)
    segments, attempts = study.segments, study.attempts
    key = ["trial", "replicate", "start", "until"]
    accepted = attempts[attempts["accepted"]]
    assert sorted(segments[key].itertuples(index=False)) == sorted(
        accepted[key].itertuples(index=False)
    )
    assert segments["attempts"].sum() == attempts.merge(segments[key], on=key).shape[0]
    trials = study.trials.set_index("number").loc[segments["trial"].unique()]
    ended = segments[segments["trial"].isin(trials.index[trials["datetime_complete"].notna()])]
    assert ended["decision"].notna().all()
    within = ended["epoch"].between(ended["start"] + 1, ended["until"])
    assert (within | ended["decision"].eq("failed") | ended["cause"].ne("finished")).all()
    last = ended.sort_values(["trial", "start", "replicate"]).drop_duplicates("trial", keep="last")
    last = last.set_index("trial")
    became = {"complete": "COMPLETE", "pruned": "PRUNED", "paused": "PRUNED", "failed": "FAIL"}
    of = trials.loc[last.index]
    told = last["decision"].map(became)
    # A trial that was killed while it was paused failed without another segment.
    assert (told.eq(of["state"]) | (last["decision"].eq("paused") & of["state"].eq("FAIL"))).all()
    valued = of["state"].ne("FAIL")
    assert_series_equal(last.loc[valued, "value"], of.loc[valued, "value"], check_names=False)
    assert (study.ledger.trials["training"] >= 0).all()


@pytest.mark.parametrize("pruner", ["promotion", "successive_halving"])
def test_a_segment_has_the_value_that_was_decided_about(tmp_path, pruner):
    """It is the metric of its last epoch, also of trials that paused and were promoted later."""
    study = finish(small(tmp_path, pruner=pruner), tmp_path / "sweep.db")
    curves = study.epochs.set_index(["trial", "epoch"])["validation_metric"]
    segments = study.segments
    assert (segments["epoch"] == segments["until"]).all()
    keys = pd.MultiIndex.from_frame(segments[["trial", "until"]])
    assert segments["value"].to_list() == curves.loc[keys].to_list()
    last = segments.duplicated("trial", keep="last")
    goes_on = {"paused", "running"} if pruner == "promotion" else {"running"}
    assert set(segments.loc[last, "decision"]) <= goes_on
    assert last.any()


def test_a_table_of_studies(study, rich, tmp_path):
    """The rows of `sweep.list` are how each study stands; the one that changed last is first."""
    with Store(study.place, read_only=True) as record:
        found = overview(record, "small")
    row = sweep.list(study.place).iloc[0]
    assert row["name"] == "small"
    assert (row["trials"], row["planned"]) == (found.begun, 24)
    assert (row["best"], row["value"], row["test"]) == (found.best, found.value, found.test)
    assert {n: row[n] for n in ("complete", "pruned")} == dict(found.counts)
    assert row["created"] == found.created
    with Store(tmp_path / "sweep.db") as store:
        empty = sweep.list(store.place)
        assert len(empty) == 0
        assert types(empty) == types(sweep.list(rich.place)) == documented("sweep.list()")
        for name in ("b", "a", "c"):
            spec = {**studyfile.to_json(study.spec), "name": name}
            store.release(store.claim(name, spec, "", "0"), "stopped")
        store.claim("odd", {"name": "odd"}, "", "0")
    with pytest.warns(UserWarning, match="odd is of another release"):
        assert list(sweep.list(tmp_path / "sweep.db")["name"]) == ["c", "a", "b"]


SPACE = SpaceSpec.model_validate(
    {
        "layers": {"low": 0, "high": 2},
        "neurons": {"low": 2, "high": 8},
        "activation": ["relu", "tanh"],
        "embedding": ["none", "piecewise_linear", "periodic"],
        "bins": {"low": 2, "high": 4},
        "frequencies": {"low": 1, "high": 4},
        "optimizer": ["sgd", "momentum", "adamw", "lbfgs"],
        "momentum": {"low": 0.1, "high": 0.9},
        "weight_decay": {"low": 0.1, "high": 0.2},
        "schedule": ["constant", "step", "one_cycle", "cosine_restarts"],
        "decay": {"low": 0.1, "high": 0.5},
        "drops": {"low": 1, "high": 3},
        "restarts": {"low": 1, "high": 3},
        "plateau": [0, 3],
        "plateau_factor": {"low": 0.1, "high": 0.5},
        "batch_size": {"low": 4, "high": 64, "log": True},
        "learning_rate": {"low": 1e-4, "high": 1.0, "log": True},
    }
)


def test_the_parameters_of_many_trials_are_those_of_each():
    """Found for many at once, the parameters that have an effect are the same ones, whatever
    decides about them."""
    known = distributions(SPACE)
    choices = {
        name: getattr(of, "choices", None) or (range(3) if name == "layers" else [of.low])
        for name, of in known.items()
    }
    trials = [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]
    assert len(trials) == 2 * 3 * 3 * 4 * 4 * 2
    assert [*actives(SPACE, trials)] == [active(SPACE, params) for params in trials]


def test_columns_are_the_rows(place):
    """Read by columns the record says what it says by rows, of few trials and of all."""
    names = ["trial", "replicate", "epoch", "validation_metric", "seconds"]
    with Store(place) as store:
        lease = claim(store)
        batch = Batch(started=[trial(i) for i in range(3)])
        batch.epochs = [epoch(i, e) for i in (2, 0, 1) for e in (1, 2)]
        batch.attempts = [attempt(0, 0, 2, platform=None, started=None)]
        batch.events = [event(i, "begin", i) | {"detail": {"a": [i]}} for i in range(3)]
        store.write(lease, batch)
        for trials in (None, [2, 0], []):
            rows, found = store.epochs(lease.study, trials), None
            found = store.columns("epochs", lease.study, names, trials)
            assert found == {name: [row[name] for row in rows] for name in names}
        details = store.columns("events", lease.study, ["detail"])["detail"]
        assert details == [row["detail"] for row in store.events(lease.study)]
        assert [row["trial"] for row in store.events(lease.study, "begin")] == [0, 1, 2]
        assert store.events(lease.study, "edit") == []
    with Store(place, read_only=True) as store:
        times = store.columns("attempts", lease.study, ["queued", "started"])
        assert pd.Timestamp(str(times["queued"][0])) == pd.Timestamp("2026-01-02 03:04:05.678901")
        assert times["started"] == [None]


def test_the_fingerprint_is_that_of_the_rows(study, rich):
    """Taken of columns it is the one of the rows, as the orchestrator's tests take it."""
    for each in (study, rich):
        with Store(each.place, read_only=True) as store:
            trials, epochs = store.trials(1), store.epochs(1)
        assert each.fingerprint == of_rows(trials, epochs)
        assert each.fingerprint == fingerprint.fingerprint(trials, by_columns(epochs))


def of_rows(trials, epochs):
    """The fingerprint by rows: each as one line of JSON."""
    digest, reached = hashlib.sha256(), {trial["number"]: trial["epochs"] for trial in trials}
    decided = [epoch for epoch in epochs if epoch["epoch"] <= reached[epoch["trial"]]]
    for columns, rows in ((fingerprint.TRIALS, trials), (fingerprint.EPOCHS, decided)):
        for row in rows:
            kept = {
                name: row[name] for name in columns if row[name] or name not in fingerprint.LATER
            }
            digest.update(f"{json.dumps(kept, sort_keys=True)}\n".encode())
    return digest.hexdigest()


def test_a_study_that_is_read_once_stays_as_it_was(tmp_path):
    """While trials are added a study shows them when asked again; one that is read once does not,
    and neither knows what another one has read."""
    spec = small(tmp_path, trials=6)
    study = finish(spec, tmp_path / "sweep.db")
    once = study.read_once()
    before, hashed = (once.trials, once.counts, once.leader), study.fingerprint
    assert once.trials is before[0]
    assert once.read_once() is once
    with Store(study.place) as store:
        lease = store.claim("small", studyfile.to_json(spec), study.data_fingerprint, "0")
        store.write(lease, Batch(started=[trial(6, params=study.best.row["params"])]))
        ended = {"trial": 6, "state": "pruned", "epochs": 1}
        store.write(lease, Batch(epochs=[epoch(6, 1)], decided=[ended]))
        store.release(lease, "complete")
    assert len(study.trials) == 7
    assert study.counts["pruned"] == before[1].get("pruned", 0) + 1
    assert 6 in set(study.diagnoses["trial"]) - set(once.diagnoses["trial"])
    assert once.fingerprint == hashed != study.fingerprint
    assert_frame_equal(study.read_once().trials, study.trials)
    assert once.trials is before[0]
    assert (once.counts, once.leader) == before[1:]


def test_of_an_export_read_once_the_record_stays_open(study, tmp_path):
    """It is read also when nobody else has the export any more."""
    study.to_parquet(tmp_path / "export")
    once = load(tmp_path / "export").read_once()
    gc.collect()
    assert_frame_equal(once.trials, study.trials)


def test_what_is_shown_is_read_from_the_store_once(study):
    """Summary, card and report read the trials once, and again only with the epochs from which the
    importances of few trials are."""
    asked = []
    event_of = (Engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    listen(*event_of)
    try:
        for show in (study.summary, study._repr_html_, lambda: report(study)):
            asked.clear()
            show()
            assert sum("trials.params" in query for query in asked) == 2
            assert sum("epochs.train_loss" in query for query in asked) == 2
    finally:
        remove(*event_of)


def test_reading_does_not_stop_a_run(tmp_path):
    """While a study runs in another process all its tables can be read, at every moment whole, and
    it comes to the table that it comes to alone."""
    (tmp_path / "a").mkdir()
    alone = finish(small(tmp_path / "a", trials=40), tmp_path / "a" / "sweep.db")
    small(tmp_path, trials=40)
    place = tmp_path / "sweep.db"
    command = [sys.executable, "-m", "sweep.cli", "run", str(tmp_path / "study.toml")]
    command += ["--backend", "serial", "--store", str(place)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        while not place.exists() and child.poll() is None:
            time.sleep(0.01)
        reads = 0
        while child.poll() is None:
            try:
                study = load("small", place)
            except sweep.errors.StudyNotFound:  # it has not begun
                continue
            epochs, trials = study.epochs, study.trials.set_index("number")
            assert (epochs["epoch"] <= trials["epochs"].loc[epochs["trial"]].to_numpy()).all()
            segments = study.segments
            assert set(segments["trial"]) <= set(study.trials["number"])
            assert len(study.ledger.trials) <= len(study.trials)
            assert study.summary()["name"] == "small"
            study.to_parquet(tmp_path / "export")
            exported = load(tmp_path / "export")
            reached = exported.trials.set_index("number")["epochs"]
            for number, last in exported.epochs.groupby("trial")["epoch"].max().items():
                assert last == reached[number]
            reads += 1
        said = child.stderr.read().decode()
    assert child.returncode == 0, said
    assert reads > 0
    assert load("small", place).fingerprint == alone.fingerprint


def test_a_study_with_a_trainer_of_its_own_has_the_same_tables(tmp_path):
    """Parameters of any name, segments with their decisions, and no verdict on its training."""
    record = studyfile.to_json(small(tmp_path, SMALL, trials=4))
    record["space"] = {"rate": [0.1, 0.2]}
    record["train"]["function"] = "tests.sweep.trainers:plain"
    study = finish(studyfile.from_json(record), tmp_path / "sweep.db", allow_code=True)
    assert set(study.trials["params_rate"]) == {0.1, 0.2}
    assert study.segments["decision"].notna().all()

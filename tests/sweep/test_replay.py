"""Replays of studies with other strategies, over their recorded curves."""

import math
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sweep import control
from sweep.errors import StudyFileError, SweepError, UsageError
from sweep.results import load
from sweep.steps import Decide
from sweep.store import Store
from sweep.surrogate import Error, Scale, Surrogate, Training
from tests.sweep.studies import SMALL, events, finish, small
from tests.sweep.trainers import __name__ as TRAINERS

SAME = ["number", "state", "outcome", "value", "epochs", "seed", "predicted_cost"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replay")
    spec = small(folder, trials=60, sampler="random", pruner="successive_halving")
    return finish(spec, folder / "sweep.db")


@pytest.mark.parametrize(
    "search",
    [
        {"sampler": "tpe", "pruner": "hyperband"},
        {"sampler": "random", "pruner": "promotion"},
        {"sampler": "nsga2", "pruner": "median", "workers": 1},
        {"sampler": "random", "pruner": "wilcoxon", "replicates": 3},
        {"sampler": "tpe", "pruner": "none", "replicates": 2, "resample": "folds"},
        {"sampler": "random", "objectives": ["accuracy", "parameters"], "pruner": "none"},
    ],
)
def test_as_asked_a_replay_takes_the_recorded_decisions(tmp_path, search):
    """With nothing changed every trial has the recorded parameters, state and value."""
    text = SMALL.replace("high = 64", "high = 32")
    spec = small(tmp_path, text, **search)
    recorded = finish(spec, tmp_path / "sweep.db")
    replayed = recorded.replay()
    columns = SAME + [name for name in recorded.trials if name.startswith("params_")]
    pd.testing.assert_frame_equal(replayed.trials[columns], recorded.trials[columns])
    assert replayed.share == 1.0
    assert replayed.error is None
    assert asdict(replayed.cost) == pytest.approx(asdict(replayed.recorded))


def test_patience_and_failures_are_replayed(tmp_path):
    """Trainings that end early, or diverge, are answered as they were recorded."""
    text = SMALL.replace("[space]", "[space]\npatience = 2").replace("high = 1.0", "high = 100.0")
    recorded = finish(small(tmp_path, text, sampler="random"), tmp_path / "sweep.db")
    replayed = recorded.replay()
    pd.testing.assert_frame_equal(replayed.trials[SAME], recorded.trials[SAME])
    assert (recorded.trials["epochs"] < 9).any()


def test_a_longer_replay_begins_as_recorded(study):
    """More trials are a prefix and what follows: recorded, then predicted."""
    replayed = study.replay(trials=80)
    pd.testing.assert_frame_equal(replayed.trials[SAME][:60], study.trials[SAME])
    assert replayed.cost.trials == 80
    assert 0.0 < replayed.share < 1.0


def test_what_is_recorded_of_a_trial_is_used_as_far_as_it_goes(study):
    """Without a pruner the trials that came to their end have the values that they had."""
    replayed = study.replay(pruner="none").trials
    whole = study.trials["state"] == "COMPLETE"
    assert replayed["value"][whole].tolist() == study.trials["value"][whole].tolist()
    assert (replayed["epochs"] == 9).all()
    assert not replayed["value"][~whole].isna().any()


searches = st.fixed_dictionaries(
    {},
    optional={
        "sampler": st.sampled_from(["random", "quasi_random", "tpe"]),
        "pruner": st.sampled_from(
            ["none", "median", "patience", "successive_halving", "promotion", "hyperband"]
        ),
        "workers": st.integers(1, 40),
        "trials": st.integers(1, 70),
        "seed": st.integers(0, 2**40),
        "reduction_factor": st.integers(2, 5),
        "min_epochs": st.integers(1, 9),
    },
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(search=searches)
def test_every_replay_ends_and_adds_up(study, search):
    """Any strategy comes to an end at which every trial is decided and the costs agree."""
    replayed = study.replay(**search)
    trials, curve, cost = replayed.trials, replayed.curve, replayed.cost
    assert set(trials["state"]) <= {"COMPLETE", "PRUNED", "FAIL"}
    assert cost.trials == replayed.spec.search.trials == len(curve)
    assert cost.complete + cost.pruned + cost.failed == cost.trials
    assert cost.epochs == trials["epochs"].sum()
    assert trials["epochs"].max() <= 9
    for spent in ("seconds", "cpu_seconds", "epochs"):
        assert curve[spent].is_monotonic_increasing
    assert curve["best"].dropna().is_monotonic_increasing
    assert cost.makespan * replayed.spec.search.workers >= cost.cpu_seconds * (1 - 1e-9)
    assert (
        replayed.best is None
        or replayed.best == trials["value"][trials["state"] == "COMPLETE"].max()
    )


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(few=st.integers(1, 20), more=st.integers(1, 20), seed=st.integers(0, 5))
def test_more_workers_end_no_later(study, few, more, seed):
    """Of random trials that all go to their end, more workers train the same, in no more time."""
    a, b = (
        study.replay(sampler="random", pruner="none", workers=w, seed=seed)
        for w in (few, few + more)
    )
    assert b.cost.makespan <= a.cost.makespan * (1 + 1e-12)
    assert a.trials["value"].equals(b.trials["value"])


def test_a_replay_is_the_same_each_time(study):
    """The same question has the same answer, and another seed another."""
    a, b, c = (study.replay(pruner="none", seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(a.trials, b.trials)
    assert not a.trials["value"].equals(c.trials["value"])


def test_strategies_are_a_row_each(study):
    """Each combination has its means over seeds beside the recorded study."""
    found = study.strategies(sampler=["random", "quasi_random"], pruner=["none"], seeds=3)
    frame = found.frame.set_index("strategy")
    assert list(frame.index) == [
        "as recorded",
        "pruner = none",
        "sampler = quasi_random, pruner = none",
    ]
    mine = [study.replay(pruner="none", seed=seed) for seed in range(3)]
    bests = [each.best for each in mine]
    assert frame.loc["pruner = none", "best"] == pytest.approx(np.mean(bests))
    assert frame.loc["pruner = none", "best_error"] == pytest.approx(np.std(bests, ddof=1) / 3**0.5)
    assert frame.loc["as recorded", "epochs"] == study.trials["epochs"].sum()
    reached = sorted(
        each.curve.loc[each.curve["best"] >= study.best.value, "cpu_seconds"].min() for each in mine
    )
    expected = reached[1] if not math.isnan(reached[1]) else math.inf
    assert frame.loc["pruner = none", "to_best"] == pytest.approx(expected)
    assert len(found.plot().data) == 2
    assert "<table" in found._repr_html_()


def test_a_replay_says_what_it_is(study):
    """The text has the costs, and how far the predictions can be trusted."""
    replayed = study.replay(pruner="none")
    assert "pruner = none" in repr(replayed)
    assert "leave-one-out RMSE" in replayed.text
    assert "Every epoch is recorded." in study.replay().text
    assert "<table>" in replayed._repr_html_()
    figure = replayed.plot()
    assert figure.layout.xaxis.title.text == "seconds of training on one CPU"


@pytest.mark.parametrize(
    ("search", "error", "text"),
    [
        ({"sampler": "tpee"}, StudyFileError, 'search.sampler = "tpee".*did you mean "tpe"'),
        ({"workers": 0}, StudyFileError, "search.workers = 0: must be at least 1"),
        (
            {"min_epochs": 10},
            StudyFileError,
            "search.min_epochs = 10: must be at most train.epochs",
        ),
        ({"pruner": "wilcoxon"}, StudyFileError, "search.replicates be 2 or more"),
        ({"worker": 3}, UsageError, 'cannot change worker;.*did you mean "workers"'),
        ({"replicates": 3}, UsageError, "cannot change replicates; it can change sampler, pruner"),
    ],
)
def test_what_cannot_be_replayed_is_refused(study, search, error, text):
    """A study that a file could not ask for, and keys of which the record knows nothing."""
    with pytest.raises(error, match=text):
        study.replay(**search)


def test_strategies_are_lists(study):
    """A text is no list of samplers."""
    with pytest.raises(UsageError, match=r"sampler = 'random': must be a list here"):
        study.strategies(sampler="random")
    with pytest.raises(UsageError, match="seeds = 0"):
        study.strategies(seeds=0)


def test_a_thin_record_can_be_replayed_as_it_was_only(tmp_path):
    """Too few trainings that came to their end predict nothing, and the error says how many."""
    recorded = finish(small(tmp_path, trials=9, sampler="random"), tmp_path / "sweep.db")
    assert recorded.replay().share == 1.0
    with pytest.raises(UsageError, match=r"too thin to replay this: \d trainings .*takes 10"):
        recorded.replay(seed=1)


def test_measures_without_curves_are_refused(tmp_path):
    """A constraint on another metric is known at a trial's end only."""
    text = SMALL + "\n[search.constraints]\nlog_loss = { high = 0.5 }\n"
    recorded = finish(small(tmp_path, text), tmp_path / "sweep.db")
    with pytest.raises(UsageError, match="decided by log_loss beside accuracy"):
        recorded.replay(workers=2)


def test_predictions_that_know_nothing_say_so():
    """Where the record predicts worse than its mean, the text warns of the best value."""
    assert not Error(trials=20, rmse=0.1, spread=0.2, rank_correlation=0.5).warning
    assert "best value for none" in Error(20, rmse=0.3, spread=0.2, rank_correlation=0.1).warning


def a_curve(x, epoch, luck=0.0):
    return np.exp(-3 + 4 * (x[0] - 0.3) ** 2 + (1.0 + x[1]) / epoch**0.5 + luck)


def a_record(count, noise, seed, prune):
    """Trainings of a known function, of which the worse two thirds end at epochs 3 and 9."""
    random = np.random.default_rng(seed)
    curves = []
    for _ in range(count):
        x, luck = random.random(2), noise * random.standard_normal()
        curves.append((x, np.array([a_curve(x, e, luck) for e in range(1, 28)])))
    last = dict.fromkeys(range(count), 27)
    for rung in (3, 9) if prune else ():
        limit = np.quantile(
            [c[rung - 1] for i, (_, c) in enumerate(curves) if last[i] == 27], 1 / 3
        )
        last |= {
            i: rung for i, (_, c) in enumerate(curves) if last[i] == 27 and c[rung - 1] > limit
        }
    return [Training(i, x, c[: last[i]]) for i, (x, c) in enumerate(curves)], curves


def test_the_surrogate_finds_a_known_function():
    """Values after the last epoch of new configurations are predicted nearly as they are, and the
    error that it states is about the error that it makes."""
    trainings, _ = a_record(200, 0.05, 0, prune=False)
    surrogate = Surrogate(trainings, 27, maximize=False, seed=0, name="known")
    random = np.random.default_rng(1)
    points = random.random((100, 2))
    true = np.array([a_curve(x, 27) for x in points])
    found = [surrogate.follow(x, 0, None, 27, random)[1] for x in points]
    rmse = np.sqrt(np.mean((found - true) ** 2))
    assert rmse < 0.5 * true.std()
    assert surrogate.error.rmse < 0.35 * surrogate.error.spread
    assert surrogate.error.rank_correlation > 0.9


def test_pruned_trainings_do_not_come_out_as_good_as_the_survivors():
    """Trainings that were pruned since they were bad are predicted to end as badly as they would,
    though none of them is recorded to its end."""
    trainings, curves = a_record(300, 0.02, 0, prune=True)
    surrogate = Surrogate(trainings, 27, maximize=False, seed=0, name="known")
    random = np.random.default_rng(1)
    pruned = [i for i, each in enumerate(trainings) if len(each.values) == 3]
    true = np.array([curves[i][1][-1] for i in pruned])
    found = np.array(
        [
            surrogate.follow(trainings[i].features, 3, trainings[i].values[-1], 27, random)[1]
            for i in pruned
        ]
    )
    survivors = [each.values[-1] for each in trainings if len(each.values) == 27]
    assert abs(np.median(found / true) - 1) < 0.15
    assert np.median(found) > 2 * np.median(survivors)


def test_noise_is_as_large_as_recorded():
    """The spread of what is predicted of one configuration is that of its trainings."""
    trainings, _ = a_record(400, 0.3, 0, prune=False)
    surrogate = Surrogate(trainings, 27, maximize=False, seed=0, name="known")
    random = np.random.default_rng(1)
    points = random.random((300, 2))
    gaps = [math.log(surrogate.follow(x, 0, None, 27, random)[1] / a_curve(x, 27)) for x in points]
    assert 0.2 < np.std(gaps) < 0.5


def test_divergence_is_predicted_where_it_was_recorded():
    """Where every training diverged, those that are predicted do; elsewhere none does."""
    random = np.random.default_rng(0)
    trainings = []
    for trial in range(100):
        x = random.random(2)
        values = np.linspace(1.0, 0.5, 9)
        trainings.append(
            Training(trial, x, values[:2], "diverged") if x[0] > 0.5 else Training(trial, x, values)
        )
    surrogate = Surrogate(trainings, 9, maximize=False, seed=0, name="known")
    ends = {
        x: [surrogate.follow(np.array([x, y]), 0, None, 9, random) for y in np.linspace(0, 1, 30)]
        for x in (0.1, 0.9)
    }
    assert all(value is not None for _, value in ends[0.1])
    assert all(value is None for _, value in ends[0.9])


@given(
    st.lists(st.floats(0.0, 1.0), min_size=2, max_size=20),
    st.booleans(),
)
def test_scales_lead_back(values, maximize):
    """A level is the value that it was made of, and a better value has a lower level."""
    scale = Scale.of(np.array(values), maximize)
    levels = scale.levels(np.array(values))
    assert [scale.value(level) for level in levels] == pytest.approx(values, abs=1e-9)
    order = np.argsort(values, kind="stable")
    ordered = levels[order][::-1] if maximize else levels[order]
    assert (np.diff(ordered) >= -1e-12).all()


def test_own_trainers_are_replayed(tmp_path):
    """Of a trainer of the user's own the recorded curves are as good as of ours."""
    text = f"""
name = "own"
[data]
source = "sklearn:iris"
[space]
depth = {{ low = 1, high = 3 }}
rate = {{ low = 0.1, high = 1.0 }}
kind = ["a", "b"]
[train]
function = "{TRAINERS}:plain"
epochs = 4
[search]
trials = 30
sampler = "random"
pruner = "median"
"""
    recorded = finish(small(tmp_path, text), tmp_path / "sweep.db", allow_code=True)
    assert recorded.replay().share == 1.0
    assert recorded.replay(pruner="none", seed=5).cost.epochs == 120


def test_what_users_asked_for_is_replayed_with_nothing_changed(tmp_path, monkeypatch):
    """Edits and trials by hand come at their steps; another strategy says that it has none."""
    monkeypatch.setattr(control, "POLL", 0.0)
    path, spec = tmp_path / "sweep.db", small(tmp_path, trials=40, sampler="random")
    decided = 0
    for event in events(spec, path):
        decided += isinstance(event, Decide)
        if decided == 8:
            with Store(path) as store:
                store.request("small", "enqueue", {"params": {"layers": 0}})
                store.request("small", "edit", {"changes": {"layers": {"low": 0, "high": 1}}})
            decided += 1
    recorded = load("small", path)
    assert {"edit", "enqueue"} <= set(recorded.events["event"])
    pd.testing.assert_frame_equal(recorded.replay().trials[SAME], recorded.trials[SAME])
    other = recorded.replay(pruner="none", seed=3)
    assert "edited or tried by hand is left out" in other.text


def test_the_data_must_be_those_of_the_study(study, monkeypatch):
    """Costs follow from the rows: others are refused."""
    monkeypatch.setattr("sweep.datasets.fingerprint", lambda *parts: "other")
    with pytest.raises(SweepError, match="are not those that 'small' began with"):
        study.replay()


def test_an_exported_study_is_replayed_alike(study, tmp_path):
    """A folder of Parquet files has all that a replay takes."""
    study.to_parquet(tmp_path / "folder")
    exported = load(tmp_path / "folder")
    for search in ({}, {"pruner": "none", "seed": 1}):
        expected = study.replay(**search)
        pd.testing.assert_frame_equal(exported.replay(**search).trials, expected.trials)

"""What a study can ask for: objectives, constraints, replicates, limits, its own trainer."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from sweep import datasets, studyfile
from sweep.cost import MEASURES, Shape
from sweep.decisions import replicate_seed
from sweep.errors import StudyFileError, UsageError
from sweep.space import train_config
from sweep.steps import Trial
from sweep.store import Store
from sweep.verify import Decided, Differs, Trained, verify
from tests.sweep.studies import events, finish, small
from trainer import evaluate, run

TRAINERS = "tests.sweep.trainers"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "sweep.db"


def changed(spec, **tables):
    """A spec with other keys in its tables."""
    record = studyfile.to_json(spec)
    for table, keys in tables.items():
        record[table] = keys if table == "space" and "rate" in keys else record[table] | keys
    return studyfile.from_json(record)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The store of a small study that is complete."""
    folder = tmp_path_factory.mktemp("swept")
    finish(small(folder, sampler="random"), folder / "sweep.db")
    return folder / "sweep.db"


def checked(name, path, retrain=0, **options):
    with Store(path, read_only=True) as store:
        return list(verify(name, store, retrain, **options))


PRUNERS = ["none", "median", "percentile", "patience", "successive_halving", "promotion"]


@pytest.mark.parametrize("pruner", [*PRUNERS, "hyperband"])
@pytest.mark.parametrize("sampler", ["random", "quasi_random", "tpe", "cma_es"])
def test_every_search_repeats_and_replays(tmp_path, path, sampler, pruner):
    """A second run gives the same table, and the record's decisions come out again."""
    spec = small(tmp_path, sampler=sampler, pruner=pruner)
    study = finish(spec, path)
    assert sum(study.counts.values()) == 24
    assert study.fingerprint == finish(spec, tmp_path / "again.db").fingerprint
    (decided,) = checked("small", path)
    assert decided.trials == 24


def test_promotion_goes_on_with_paused_trials(tmp_path, path):
    """About the best third of a rung is promoted, some of it after a pause; none stays paused."""
    study = finish(small(tmp_path, trials=60, sampler="random", pruner="promotion"), path)
    decided = study.events[study.events["event"].isin(["paused", "running", "complete"])]
    reached = {rung: set(decided.loc[decided["epoch"] == rung, "trial"]) for rung in (1, 3, 9)}
    assert len(reached[1]) == 60
    assert 15 <= len(reached[3]) <= 30
    assert 3 <= len(reached[9]) <= len(reached[3]) // 2
    promoted = study.events[study.events["event"] == "running"]
    steps = study.events.groupby(["trial", "epoch"])["step"].first()
    waits = [row.step - steps[row.trial, row.epoch] for row in promoted.itertuples()]
    assert max(waits) > 0, "no trial was promoted later than it was paused"
    assert set(study.counts) == {"complete", "pruned"}
    seconds = study.epochs.groupby("trial")["seconds"].sum()
    assert study.trials.set_index("number")["seconds"].to_dict() == pytest.approx(seconds.to_dict())


def test_several_objectives_have_a_front_that_nothing_beats(tmp_path, path):
    """Values are those of the objectives; the front is that of all pairs compared."""
    options = {"sampler": "nsga2", "pruner": "none", "trials": 40}
    spec = changed(
        small(tmp_path, **options), search={"objectives": ["accuracy", "parameters", "log_loss"]}
    )
    study = finish(spec, path)
    trials = study.trials
    shape = Shape.of(datasets.load(spec.data)[0])
    rows = trials[["values_accuracy", "values_parameters", "values_log_loss"]].to_numpy()
    with Store(path, read_only=True) as store:
        recorded = store.trials(1)
    for row, values in zip(recorded, rows, strict=True):
        assert values[0] == row["value"]
        config = train_config(spec, row["params"])
        assert values[1] == MEASURES["parameters"](config, shape)
    costs = rows * [-1, 1, 1]
    front = [
        i
        for i, mine in enumerate(costs)
        if not any(np.all(other <= mine) and np.any(other < mine) for other in costs)
    ]
    assert list(study.pareto["number"]) == front
    assert study.best.number in front
    assert [d.name for d in study.optuna_study.directions] == ["MAXIMIZE", "MINIMIZE", "MINIMIZE"]
    assert len(checked("small", path, 2)) == 3


def test_the_winner_keeps_the_constraints(tmp_path, path):
    """A better trial that breaks one is not the best; its violation is in the table."""
    free = finish(small(tmp_path), tmp_path / "free.db")
    limits = {"constraints": {"parameters": {"high": 60.0}, "log_loss": {"high": 0.8}}}
    study = finish(changed(small(tmp_path), search=limits), path)
    trials = study.trials
    complete = trials[trials["state"] == "COMPLETE"]
    broken = complete[["violation_parameters", "violation_log_loss"]].sum(axis=1) > 0
    assert 0 < broken.sum() < len(complete)
    best = complete[~broken].sort_values("value", ascending=False, kind="stable").iloc[0]
    assert study.best.number == best["number"]
    assert study.best.value <= free.best.value
    assert study.best.violations == {}


def test_a_winner_that_breaks_a_constraint_says_so(tmp_path, path):
    """Where no trial meets all, the best of those that break the fewest is the nearest one."""
    limits = {"constraints": {"log_loss": {"high": 1e-9}, "parameters": {"high": 60.0}}}
    study = finish(changed(small(tmp_path), search=limits), path)
    assert study.best.violations.keys() == {"log_loss"}


@pytest.mark.parametrize("resample", ["seeds", "folds"])
@pytest.mark.parametrize("pruner", ["none", "hyperband", "wilcoxon"])
def test_replicates_are_averaged(tmp_path, path, resample, pruner):
    """A value is the mean of the replicates' last metrics, with its standard error."""
    options = {"replicates": 4, "resample": resample, "pruner": pruner, "trials": 12}
    study = finish(small(tmp_path, **options), path)
    trials, epochs = study.trials, study.epochs
    complete = trials[trials["state"] == "COMPLETE"]
    assert len(complete) > 0
    for row in complete.itertuples():
        curve = epochs[(epochs["trial"] == row.number) & (epochs["epoch"] == 9)]
        values = curve["validation_metric"]
        assert list(curve["replicate"]) == [0, 1, 2, 3]
        assert row.value == pytest.approx(values.mean(), rel=1e-12)
        assert row.standard_error == pytest.approx(values.sem(), rel=1e-9, abs=1e-12)
    spread = epochs[epochs["epoch"] == 9].groupby("trial")["validation_metric"].nunique()
    assert spread.max() > 1, "all replicates are alike"
    found = checked("small", path, 2)
    assert all(trained.differences == () for trained in found[1:])
    again = finish(small(tmp_path, **options), tmp_path / "again.db")
    assert again.fingerprint == study.fingerprint


def test_folds_share_out_every_row_once():
    """The validation rows of the folds are disjoint, and with the test rows they are all rows."""
    spec = studyfile.from_json({"name": "x", "data": {"source": "sklearn:iris"}}).data
    parts = datasets.load_folds(spec, 5)
    sizes = [len(dataset.validation.x) for dataset, _ in parts]
    tests = {dataset.test.y.tobytes() for dataset, _ in parts}
    assert sum(sizes) + len(parts[0][0].test.x) == 150
    assert max(sizes) - min(sizes) <= 1
    assert len(tests) == 1
    for dataset, _ in parts:
        assert np.allclose(dataset.train.x.mean(axis=0), 0, atol=1e-6)
        counts = np.bincount(dataset.validation.y)
        assert counts.max() - counts.min() <= 2
    with pytest.raises(StudyFileError, match="too few"):
        datasets.load_folds(spec, 1000)


def test_too_large_configurations_are_not_trained(tmp_path, path):
    """They are recorded as such, cost nothing and do not count as trials."""
    study = finish(changed(small(tmp_path), search={"max_parameters": 60}), path)
    trials = study.trials
    large = trials[trials["outcome"] == "too_large"]
    assert len(large) > 0
    assert (large["epochs"] == 0).all()
    assert len(trials) - len(large) == 24
    assert len(checked("small", path)) == 1


def test_no_configuration_is_trained_twice(tmp_path, path):
    """In a space of 6 points, 6 trials are trained, then the space is known to be exhausted."""
    space = {"layers": [0, 1], "neurons": 4, "activation": "relu", "optimizer": "adam"}
    space |= {"batch_size": 16, "learning_rate": [0.1, 0.01, 0.001]}
    spec = changed(small(tmp_path, sampler="random"), space=space)
    study = finish(spec, path)
    trained = study.trials[study.trials["outcome"] != "duplicate"]
    assert len(trained) == 6
    assert not trained.duplicated(["params_layers", "params_learning_rate"]).any()
    assert len(study.trials) < 150, "it goes on proposing what it had"
    again = finish(changed(spec, search={"repeats": True}), tmp_path / "repeats.db")
    assert len(again.trials) == 24
    assert "duplicate" not in set(again.trials["outcome"])


def test_a_grid_has_each_point_once(tmp_path, path):
    """A grid of 6 points ends after 6 trials, whatever `trials` says."""
    space = {"layers": [0, 1], "neurons": 4, "activation": "relu", "optimizer": "adam"}
    space |= {"batch_size": 16, "learning_rate": [0.1, 0.01, 0.001]}
    study = finish(changed(small(tmp_path), space=space, search={"sampler": "grid"}), path)
    points = study.trials[["params_layers", "params_learning_rate"]]
    assert len(points) == 6
    assert not points.duplicated().any()


@pytest.mark.parametrize("widths", ["each", "same", "funnel"])
def test_widths_come_in_three_forms(tmp_path, path, widths):
    """The table has the parameters of the form, and the winner's network is of that form."""
    space = {"widths": widths, "layers": {"low": 1, "high": 3}, "taper": {"low": 0.3, "high": 1.0}}
    study = finish(changed(small(tmp_path, trials=12), space=space), path)
    found = {c.removeprefix("params_") for c in study.trials.columns if c.startswith("params_")}
    expected = {
        "each": {"neurons_1", "neurons_2", "neurons_3"},
        "same": {"neurons"},
        "funnel": {"neurons", "taper"},
    }
    assert expected[widths] <= found
    neurons = study.best.model.config.neurons
    assert len(neurons) == study.best.params["layers"]
    if widths == "same":
        assert set(neurons) == {study.best.params["neurons"]}
    if widths == "funnel":
        assert list(neurons) == sorted(neurons, reverse=True)


def test_a_funnel_that_rounds_to_a_network_that_was_is_a_duplicate(tmp_path, path):
    """What a trial trains is compared, not how its parameters say it."""
    space = {"widths": "funnel", "layers": 2, "neurons": 4, "taper": [0.5, 0.55, 1.0]}
    space |= {"activation": "relu", "optimizer": "adam", "batch_size": 16, "learning_rate": 0.01}
    spec = changed(small(tmp_path, trials=3, sampler="random"), space=space)
    study = finish(spec, path)
    trained = study.trials[study.trials["outcome"] != "duplicate"]
    assert sorted(trained["params_taper"] < 1.0) == [False, True]
    assert len(checked("small", path)) == 1


def test_a_study_learns_from_another(tmp_path, path):
    """Its first proposals are not the random ones, and they stay when the other changes."""
    finish(studyfile.with_name(small(tmp_path, trials=40), "first"), path)
    spec = changed(small(tmp_path, trials=8), search={"warm_start": "first"})
    warm = finish(spec, path)
    cold = finish(small(tmp_path, trials=8), tmp_path / "cold.db")
    assert list(warm.trials["params_learning_rate"]) != list(cold.trials["params_learning_rate"])
    (event,) = warm.events[warm.events["event"] == "warm_start"]["detail"]
    assert event["study"] == "first"
    assert len(event["trials"]) > 0
    assert len(checked("small", path)) == 1


def test_a_warm_start_needs_a_study_that_fits(tmp_path, path):
    """Neither a missing study nor one of another objective will do."""
    spec = changed(small(tmp_path), search={"warm_start": "first"})
    with pytest.raises(StudyFileError, match="no such study"):
        finish(spec, path)
    with Store(path) as store:
        assert store.names() == [], "a study that cannot begin is on record"
    other = changed(small(tmp_path, trials=4), train={"metric": "log_loss"})
    finish(studyfile.with_name(other, "first"), path)
    with pytest.raises(StudyFileError, match="log_loss"):
        finish(spec, path)


def own(tmp_path, function, **search):
    """A study of a trainer in tests/sweep/trainers.py."""
    return changed(
        small(tmp_path, **search),
        space={"rate": {"low": 0.001, "high": 0.1, "log": True}},
        train={"function": f"{TRAINERS}:{function}", "epochs": 9},
    )


def test_a_trainer_of_ones_own_is_swept(tmp_path, path):
    """Its parameters are the space's, its records the curves; it must be allowed."""
    spec = own(tmp_path, "linear")
    with pytest.raises(UsageError, match=r"trainers:linear.*--allow-code"):
        finish(spec, path)
    study = finish(spec, path, allow_code=True)
    assert study.state == "complete"
    assert study.trials["params_rate"].between(0.001, 0.1).all()
    assert (study.epochs.groupby("trial").size() == study.trials["epochs"]).all()
    found = checked("small", path, 3, allow_code=True)
    assert all(trained.differences == () for trained in found[1:])
    assert finish(spec, tmp_path / "b.db", allow_code=True).fingerprint == study.fingerprint


def test_verify_finds_what_was_changed(tmp_path, path):
    """A value changed in the record is found by the decisions or by training again."""
    finish(small(tmp_path), path)
    assert isinstance(checked("small", path)[0], Decided)
    with Store(path) as store, store._database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE epochs SET train_loss = train_loss + 1e-12 WHERE trial = 0 AND epoch = 1"
        )
    found = [each for each in checked("small", path, 24) if isinstance(each, Trained)]
    assert [each.trial for each in found if each.differences] == [0]
    with Store(path) as store, store._database.writing() as connection:
        connection.exec_driver_sql("UPDATE epochs SET validation_metric = 0.123 WHERE trial = 0")
    with pytest.raises(Differs, match="decision"):
        checked("small", path)


ALTERED = [
    ("seed = seed + 1", "trial 7 is recorded with seed"),
    ("predicted_cost = predicted_cost * 1.5", "trial 7 is recorded with predicted_cost"),
    ("params = json_set(params, '$.learning_rate', 0.5)", "trial 7 .*learning_rate"),
    ("state = 'failed'", "trial 7 is recorded with state = 'failed'"),
    ("outcome = 'timeout'", "trial 7 is recorded with outcome = 'timeout'"),
    ("value = 0.5", "trial 7 is recorded with value"),
    ("\"values\" = '[0.5, 1.0]'", "trial 7 is recorded with values"),
    ("standard_error = 0.5", "trial 7 is recorded with standard_error"),
    ("constraints = '[0.0]'", "trial 7 is recorded with constraints"),
    ("epochs = epochs - 1", "trial 7 is recorded with epochs"),
]
COLUMNS = "study, state, seed, params, predicted_cost, datetime_start, epochs, seconds, attempts"
DAMAGED = [
    *((f"UPDATE trials SET {change} WHERE number = 7", answer) for change, answer in ALTERED),
    (
        f"INSERT INTO trials (number, {COLUMNS}) SELECT 99, {COLUMNS} FROM trials LIMIT 1",
        "trial 99 is on record, but no decision began it",
    ),
    ("UPDATE attempts SET accepted = 0 WHERE trial = 7", "trial 7 have no result on record"),
    ("DELETE FROM epochs WHERE trial = 7 AND epoch = 1", "trial 7 are recorded as 2 of 3"),
    (
        "INSERT INTO events (study, sequence, time, event, step) SELECT study, 9999, time, 'full', "
        "9999 FROM events LIMIT 1",
        "the study is at its end, but its record goes on",
    ),
]


@pytest.mark.parametrize(("damage", "answer"), DAMAGED)
def test_verify_finds_what_was_altered(swept, tmp_path, damage, answer):
    """What a trial's row says is what its beginning and its decisions made it, and of what these
    follow from nothing is missing."""
    place = shutil.copy(swept, tmp_path / "altered.db")
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute(damage)
    with pytest.raises(Differs, match=answer):
        checked("small", place)


def test_a_study_that_never_began_takes_the_mended_file(tmp_path, path):
    """A file that stopped a study before its first trial can be changed and run under its name."""
    mistaken = studyfile.to_json(small(tmp_path, trials=3, seed=9))
    with Store(path) as store:
        store.release(store.claim("small", mistaken, "", ""), "stopped")
    study = finish(small(tmp_path), path)
    assert study.fingerprint == finish(small(tmp_path), tmp_path / "whole.db").fingerprint


def test_the_ledger_accounts_for_the_time(tmp_path, path):
    """Every part is there and not negative, and the share of training is a share."""
    study = finish(small(tmp_path), path)
    ledger = study.ledger
    assert len(ledger.trials) == 24
    assert (ledger.trials.drop(columns="trial") >= 0).all().all()
    assert ledger.total["training"] == pytest.approx(study.trials["seconds"].sum())
    assert 0 < ledger.share < 1
    assert ledger.sessions == 1
    trials = study.trials.set_index("number")
    done = trials["predicted_cost"] * trials["epochs"] / study.spec.train.epochs
    assert ledger.trials["predicted"].to_numpy() == pytest.approx(done.to_numpy())
    ratios = np.sort(trials["seconds"] / done)
    low, high = ledger.band
    assert ledger.slowness == pytest.approx(np.median(ratios))
    assert (ledger.slowness * low, ledger.slowness * high) == pytest.approx(
        tuple(np.quantile(ratios, [0.1, 0.9]))
    )
    assert study.platforms[0]["numpy"] == np.__version__
    assert next(iter(events(small(tmp_path), path))).recorded == 24


@pytest.mark.parametrize("pruner", ["none", "hyperband", "promotion"])
def test_trials_end_early_with_their_best_epoch(tmp_path, path, pruner):
    """Under `patience` a trial's value and model are of its best epoch, wherever it ended."""
    spec = changed(
        small(tmp_path, pruner=pruner),
        space={"patience": 2},
        train={"epochs": 30, "metric": "loss"},
    )
    study = finish(spec, path)
    trials, epochs = study.trials, study.epochs
    complete = trials[trials["state"] == "COMPLETE"]
    assert complete["epochs"].min() < 30, "no training ended early"
    best = epochs.groupby("trial")["validation_metric"].min()
    assert (complete["value"].to_numpy() == best[complete["number"]].to_numpy()).all()
    dataset, _ = datasets.load(spec.data)
    assert study.best.model.evaluate(dataset, dataset.validation) == study.best.value
    assert len(checked("small", path, 2)) == 3
    assert study.fingerprint == finish(spec, tmp_path / "again.db").fingerprint


def retrained(spec, row):
    """What trainer.run and trainer.evaluate say of a trial: accuracies and log losses, by
    replicate."""
    dataset, _ = datasets.load(spec.data)
    config = train_config(spec, row["params"])
    trial = Trial(row["number"], row["params"], config, row["seed"], row["predicted_cost"])
    found = []
    for replicate in range(spec.search.replicates):
        _, state = run(
            config, dataset, replicate_seed(spec.search.seed, trial.number, trial.seed, replicate)
        )
        measured = [
            evaluate(replace(config, metric=name), state.parameters, dataset, dataset.validation)
            for name in ("accuracy", "log_loss")
        ]
        found.append([metric for _, metric in measured])
    return np.array(found)


FURTHER = [
    # the pruner, replicates, epochs without a better one until a training ends, objectives
    ("none", 1, 0, ()),
    ("none", 2, 2, ("accuracy", "log_loss")),
    ("successive_halving", 1, 2, ()),
    ("successive_halving", 3, 2, ()),
    ("promotion", 2, 2, ()),
    ("patience", 1, 1, ()),
    ("wilcoxon", 3, 0, ()),
    ("wilcoxon", 3, 2, ()),
]


@pytest.mark.parametrize(("pruner", "replicates", "patience", "objectives"), FURTHER)
def test_further_metrics_are_of_all_that_was_trained(
    tmp_path, path, pruner, replicates, patience, objectives
):
    """A complete trial's values and violations are means over its replicates, each by the state
    that it was left with, wherever it ended."""
    spec = changed(
        small(tmp_path, trials=12, pruner=pruner, replicates=replicates, sampler="random"),
        space={"patience": patience, "learning_rate": 0.1, "optimizer": "adam"},
        train={"epochs": 27},
        search={"objectives": objectives, "constraints": {"log_loss": {"low": 99.0}}},
    )
    study = finish(spec, path)
    with Store(path, read_only=True) as store:
        complete = [row for row in store.trials(1) if row["state"] == "complete"]
    assert complete
    ends = study.epochs.groupby(["trial", "replicate"])["epoch"].max()
    assert patience == 0 or ends[complete[0]["number"]].min() < 27, "no training ended early"
    for row in complete:
        accuracy, log_loss = retrained(spec, row).mean(axis=0)
        assert list(ends[row["number"]].index) == list(range(replicates))
        assert row["epochs"] == ends[row["number"]].max()
        assert row["value"] == pytest.approx(accuracy, rel=1e-12)
        assert row["constraints"] == [pytest.approx(99.0 - log_loss, rel=1e-12)]
        assert not objectives or row["values"] == pytest.approx([accuracy, log_loss], rel=1e-12)
    assert len(checked("small", path, 1)) == 2

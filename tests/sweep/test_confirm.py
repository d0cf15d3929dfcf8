"""Confirmations of real studies: the same table however they came about, and nothing else."""

import json
import shutil
import sqlite3
import threading
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sweep import datasets
from sweep.backends import Report
from sweep.backends.compute import compute
from sweep.backends.serial import SerialBackend
from sweep.confirming import Began, confirm
from sweep.decisions import replicate_seed
from sweep.errors import StudyFailed, StudyLocked, SweepError, UsageError
from sweep.leaders import Question, ask
from sweep.loop import Ended
from sweep.model import model_file
from sweep.notebook import cells_of
from sweep.orchestrator import run
from sweep.racing import Progress
from sweep.report import report
from sweep.results import load
from sweep.store import Store, artifacts
from sweep.studyfile import to_json
from sweep.telling import chance
from sweep.verdict import score
from tests.sweep.studies import SMALL, finish, small, write

ARGUMENTS = {"top": 4, "seeds": 12}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a study that is complete."""
    folder = tmp_path_factory.mktemp("finished")
    finish(small(folder), folder / "sweep.db")
    return folder


@pytest.fixture
def folder(finished, tmp_path):
    """A copy of it."""
    return shutil.copytree(finished, tmp_path / "copy")


@pytest.fixture(scope="module")
def whole(finished, tmp_path_factory):
    """The study with its confirmation, carried out without a disturbance."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("whole") / "copy")
    study = load("small", folder / "sweep.db")
    study.confirm(**ARGUMENTS, backend="serial")
    return study


def carry_out(place, start=SerialBackend, stop=None, name="small", **options):
    with Store(place) as store:
        yield from confirm(name, store, start, stop, **ARGUMENTS | options)


def same(one, two):
    """Whether two confirmations say the same, to the last bit."""
    clocks = ["seconds", "attempts", "node", "datetime_start", "datetime_complete"]
    pd.testing.assert_frame_equal(one.table, two.table, check_exact=True)
    pd.testing.assert_frame_equal(
        *(each.retrainings.drop(columns=clocks) for each in (one, two)), check_exact=True
    )
    assert one.record() == two.record()
    assert (one.model.parameters == two.model.parameters).all()
    return True


def untouched(study):
    """What a confirmation must leave as it is."""
    with Store(study.place, read_only=True) as store:
        row = store.study(study.name)
        rows = [read(row["id"]) for read in (store.events, store.attempts, store.sessions)]
    kept = ("spec", "state", "best", "test", "test_low", "test_high", "data_fingerprint")
    return study.fingerprint, study.state, rows, {name: row[name] for name in kept}


def test_what_is_confirmed(whole):
    """Each retraining is the leader's own training, on the study's rows, with a seed of its own."""
    found = whole.confirmation
    trials = whole.trials.set_index("number")
    spec, dataset = whole.spec, datasets.load(whole.spec.data)[0].without_test()
    with Store(whole.place, read_only=True) as store:
        rows = {row["number"]: row for row in store.trials(1)}
    assert found.state == "complete"
    assert len(found.retrainings) == len(found.question.leaders) * 12 == 48
    assert not set(found.question.seeds) & set(trials["seed"])
    for leader in found.question.leaders:
        mine = found.retrainings.query("trial == @leader")
        assert tuple(mine["seed"]) == found.question.seeds
        last = mine.iloc[-1]
        segment = found.question.segment(spec, leader, rows[leader]["params"], 11)
        report, _ = compute(segment, None, dataset)
        assert score(segment.config, [report]) == last["value"]
    best = trials.query("state == 'COMPLETE'")["value"].sort_values(ascending=False, kind="stable")
    assert list(found.question.values) == list(best.head(4))


def test_the_table(whole):
    """Means, errors and optimism follow from the retrainings; the winner has the best mean."""
    found = whole.confirmation
    values = found.retrainings.groupby("trial")["value"]
    table = found.table.set_index("trial")
    np.testing.assert_allclose(table["mean"], values.mean()[table.index])
    np.testing.assert_allclose(table["standard_error"], values.sem()[table.index])
    np.testing.assert_allclose(table["optimism"], table["original"] - table["mean"])
    assert ((table["low"] <= table["mean"]) & (table["mean"] <= table["high"])).all()
    assert table["p_best"].sum() == pytest.approx(1)
    assert table["mean"].idxmax() == found.winner == table.index[0]
    assert table["params_optimizer"].tolist() == [
        whole.trials.set_index("number").loc[n, "params_optimizer"] for n in table.index
    ]


def test_the_winner_is_tested_with_the_network_of_its_first_seed(whole):
    """Its test score is that of the model that is kept, and no other leader's network is."""
    found = whole.confirmation
    dataset = datasets.load(whole.spec.data)[0]
    assert found.test == found.model.evaluate(dataset, dataset.test)
    assert found.result["seed"] == found.question.seeds[0]
    assert [file.name for file in found.folder.iterdir()] == [
        model_file(found.folder, found.winner).name
    ]
    low, high = found.test_interval
    assert low <= found.test <= high
    assert found.test_standard_error >= 0


def test_backends_never_see_the_test_rows(folder):
    """What is sent out for retraining has none."""

    class Spy(SerialBackend):
        def __init__(self, datasets):
            assert all(dataset.test is None for dataset in datasets)
            super().__init__(datasets)

    assert list(carry_out(folder / "sweep.db", Spy))[-1] == Ended("complete")


def test_the_study_stays_as_it_was(folder):
    """Its fingerprint, state, sessions, winner and test score are those from before."""
    study = load("small", folder / "sweep.db")
    before, best = untouched(study), study.best
    study.confirm(**ARGUMENTS, backend="serial")
    assert untouched(study) == before
    assert study.best == best


def test_it_is_the_same_again(folder, whole):
    """Another copy of the study gives the same confirmation to the last bit; the same request
    returns it and trains nothing."""
    study = load("small", folder / "sweep.db")
    assert same(study.confirm(**ARGUMENTS, backend="serial"), whole.confirmation)
    again = list(carry_out(folder / "sweep.db", start=None))
    assert [type(event) for event in again] == [Began, Ended]
    assert len(study.confirmations) == 1


class Wide(SerialBackend):
    """As many segments at a time as a cluster takes, which come back in another order."""

    cpus = 7

    def wait(self, timeout):
        self._queue.rotate(3)
        return super().wait(timeout)


def test_cpus_decide_nothing(folder, whole):
    """What runs ahead of the race on many CPUs is no part of the result."""
    for _ in carry_out(folder / "sweep.db", Wide):
        pass
    assert same(load("small", folder / "sweep.db").confirmation, whole.confirmation)


SPREAD = SMALL.replace('name = "small"', 'name = "spread"').replace("epochs = 9", "epochs = 4")


@pytest.fixture(scope="module")
def spread(tmp_path_factory):
    """A study whose leaders differ much, so that some drop out."""
    folder = tmp_path_factory.mktemp("spread")
    finish(small(folder, SPREAD, pruner="none", trials=20, sampler="random"), folder / "sweep.db")
    return folder


def test_leaders_drop_out_alike(spread, tmp_path):
    """On one CPU and on many, leaders drop in the same rounds and the tables are the same; what
    ran ahead is on record and not counted."""
    found = []
    for start in (SerialBackend, Wide):
        folder = shutil.copytree(spread, tmp_path / start.__name__)
        options = {"name": "spread", "top": 12, "seeds": 16}
        events = list(carry_out(folder / "sweep.db", start, **options))
        found.append(load("spread", folder / "sweep.db").confirmation)
    table = found[0].table
    dropped = table["dropped_after"].notna()
    assert 0 < dropped.sum() < 12
    assert (table["rounds"] == table["dropped_after"].fillna(16)).all()
    assert len(found[0].retrainings) == table["rounds"].sum() < 12 * 16
    assert same(*found)
    gone = [trial for event in events if isinstance(event, Progress) for trial in event.gone]
    assert sorted(gone) == sorted(table.loc[dropped, "trial"])
    assert "dropped out early" in found[0].text


def test_it_is_stopped_and_gone_on_with(folder, whole):
    """Stopped after every few results it comes to the same table, and trains nothing twice."""
    place, trained = folder / "sweep.db", 0
    for _ in range(100):
        stop, last = threading.Event(), None
        for event in carry_out(place, stop=stop):
            if isinstance(event, Progress):
                last = event
                if event.trained >= 5:
                    stop.set()
        trained += last.trained
        if event == Ended("complete"):
            break
        assert load("small", place).confirmation.state == "begun"
        assert load("small", place).state == "complete"
    assert trained == 48
    assert same(load("small", place).confirmation, whole.confirmation)


def test_more_leaders_or_seeds_train_only_what_is_new(folder, whole):
    """Retrainings are the study's: another confirmation takes them from the record, and is the one
    that it would have been without the first."""
    place, study = folder / "sweep.db", load("small", folder / "sweep.db")
    study.confirm(top=2, seeds=5, backend="serial")
    *_, last, _ = carry_out(place)
    assert last.trained == 48 - 10
    assert [each.number for each in study.confirmations] == [0, 1]
    whole_again = study.confirmation
    assert whole_again.number == 1
    pd.testing.assert_frame_equal(whole_again.table, whole.confirmation.table, check_exact=True)
    assert len(study.confirmations[0].question.leaders) == 2


def test_a_study_that_is_held_is_left_alone(folder):
    """While a process runs or confirms a study, nobody else confirms or runs it."""
    place = folder / "sweep.db"
    with Store(place) as store:
        lease = store.hold("small")
        with pytest.raises(StudyLocked):
            list(carry_out(place))
        more = small(folder, trials=30)
        with pytest.raises(StudyLocked):
            list(run(more, store, SerialBackend))
        store.let_go(lease)
    assert list(carry_out(place))[-1] == Ended("complete")


def test_a_longer_study_is_confirmed_anew(folder):
    """After it was extended its leaders may be others: theirs is another confirmation, the old one
    stays, and the study is the one that was longer at once."""
    place, study = folder / "sweep.db", load("small", folder / "sweep.db")
    old = study.confirm(**ARGUMENTS, backend="serial")
    longer = small(folder, trials=48)
    finish(longer, place)
    finish(longer, folder / "at_once.db")
    study = load("small", place)
    assert study.fingerprint == load("small", folder / "at_once.db").fingerprint
    new = study.confirm(**ARGUMENTS, backend="serial")
    assert new.question.leaders != old.question.leaders
    assert [each.number for each in study.confirmations] == [0, 1]
    assert same(study.confirmations[0], old)


def test_a_stopped_study_is_confirmed_and_goes_on(tmp_path):
    """Its leaders so far are confirmed, it stays stopped, and comes to the table of a whole run."""
    place, stop, complete = tmp_path / "sweep.db", threading.Event(), 0
    with Store(place) as store:
        for event in run(small(tmp_path), store, SerialBackend, stop):
            complete += getattr(event, "state", None) == "complete" and hasattr(event, "trial")
            if complete >= 5:
                stop.set()
    study = load("small", place)
    before = untouched(study)
    assert study.state == "stopped"
    study.confirm(**ARGUMENTS, backend="serial")
    assert untouched(study) == before
    finish(small(tmp_path), place)
    finish(small(tmp_path), tmp_path / "whole.db")
    assert study.fingerprint == load("small", tmp_path / "whole.db").fingerprint


def test_on_both_databases(tmp_path, place):
    """SQLite and PostgreSQL keep the same confirmation."""
    spec = small(tmp_path, trials=12, sampler="random")
    with Store(place) as store:
        list(run(spec, store, SerialBackend))
        *_, last = confirm("small", store, SerialBackend, top=3, seeds=6)
    assert last == Ended("complete")
    found = load("small", place).confirmation
    assert found.record()["retrainings"] == 18
    assert found.table["rounds"].tolist() == [6, 6, 6]
    finish(small(tmp_path, trials=12, sampler="random"), tmp_path / "other.db")
    other = load("small", tmp_path / "other.db").confirm(3, 6, backend="serial")
    assert same(found, other)


REFUSED = [
    ({"top": 0}, "give 1 or more"),
    ({"seeds": 1}, "give 2 or more"),
    ({"folds": 1}, "give 2 or more, or leave it out"),
    ({"folds": 5}, "give a multiple of 5, such as 10 or 15"),
    ({"folds": 1000, "seeds": 1000}, "folds = 1000: sklearn:iris has"),
    ({"backend": "cloud"}, "there are ray, processes, serial"),
    ({"cpus": 2}, "cpus = 2 is for this machine's CPUs"),
    ({"backend": "processes", "cpus": 0}, "cpus = 0: give 1 or more"),
    ({"backend": "ray", "cpus": 2, "address": "auto"}, "cpus = 2 is for this machine's CPUs"),
]


@pytest.mark.parametrize(("options", "said"), REFUSED)
def test_what_is_refused(folder, options, said):
    """A request that cannot be met says so before anything is written."""
    study = load("small", folder / "sweep.db")
    with pytest.raises(UsageError, match=said):
        study.confirm(**ARGUMENTS | {"backend": "serial"} | options)
    assert study.confirmations == []
    assert study.confirm(2, 4, backend="serial").number == 0


def test_a_backend_that_does_not_start(folder):
    """Nothing is begun on record before there is what can carry it out."""

    def start(datasets):
        raise SweepError("no cluster there")

    with pytest.raises(SweepError, match="no cluster there"):
        list(carry_out(folder / "sweep.db", start))
    assert load("small", folder / "sweep.db").confirmations == []
    assert list(carry_out(folder / "sweep.db"))[-1] == Ended("complete")


READERS = {
    "repr": lambda study: repr(study) and repr(study.confirmation),
    "html": lambda study: study.confirmation._repr_html_(),
    "standings": lambda study: study.confirmation.standings == [],
    "retrainings": lambda study: study.confirmation.retrainings.empty,
    "record": lambda study: json.dumps(study.confirmation.record()),
    "summary": lambda study: json.dumps(study.summary()),
    "study's html": lambda study: study._repr_html_(),
    "advice": lambda study: study.advice(),
    "report": report,
    "notebook": cells_of,
    "text": lambda study: "no round is complete yet" in study.confirmation.text,
}


@pytest.fixture(scope="module")
def unheard(finished, tmp_path_factory):
    """A study whose confirmation was interrupted in its first round."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("unheard") / "copy")
    stop = threading.Event()
    for event in carry_out(folder / "sweep.db", stop=stop):
        if isinstance(event, Progress):
            stop.set()
    study = load("small", folder / "sweep.db")
    assert "begun, 4 leaders, 0 of 12 rounds" in repr(study.confirmation)
    return study


@pytest.mark.parametrize("reader", READERS)
def test_before_the_first_round_is_complete(unheard, reader):
    """Whoever looks sees that there is nothing to see yet."""
    assert READERS[reader](unheard)


def test_the_noise_before_the_first_round(unheard):
    """It is asked of the trials alone, which are too few here to say."""
    with pytest.raises(UsageError, match=r"too few complete trials .* sweep confirm small"):
        unheard.noise()


def test_the_table_before_the_first_round(unheard, whole):
    """It has the columns and types of every other, and no row."""
    found, filled = unheard.confirmation.table, whole.confirmation.table
    assert found.empty
    pd.testing.assert_series_equal(found.dtypes, filled.dtypes)
    command = "sweep confirm small --top 4 --seeds 12 goes on"
    assert command in unheard.confirmation.text


def test_commands_before_the_first_round(unheard, call):
    """They say that it is begun."""
    for command in ("show", "best"):
        for options in ((), ("--json",)):
            done = call(command, "small", "--store", unheard.place, *options)
            assert done.status == 0, done.err
    assert "0 of 12 rounds" in call("show", "small", "--store", unheard.place).out


def test_few_rounds_are_said_to_be_few(folder):
    """With fewer than it takes to drop anybody the probabilities are rough; with them they are
    not."""
    study = load("small", folder / "sweep.db")
    few = study.confirm(3, 4, backend="serial")
    assert few.race.least == 6
    said = "4 rounds are few: the probabilities are rough, and 6 or more tell more."
    assert said in few.text
    assert "are few" not in study.confirm(3, 6, backend="serial").text
    one = study.confirm(1, 4, backend="serial").text
    assert "probabilit" not in one


@pytest.mark.parametrize(
    ("probability", "said"),
    [
        (1.0, ">0.99"),
        (0.996, ">0.99"),
        (0.99, "0.99"),
        (0.5, "0.50"),
        (0.004, "<0.01"),
        (0, "<0.01"),
    ],
)
def test_nothing_is_certain(probability, said):
    """A probability of a finite number of draws is printed as no certainty."""
    assert chance(probability) == said


def test_without_a_complete_trial(tmp_path):
    """There is nothing to confirm."""
    with Store(tmp_path / "sweep.db") as store:
        spec = small(tmp_path)
        store.release(store.claim("small", to_json(spec), "data", "0"), "stopped")
    with pytest.raises(UsageError, match="no complete trial yet"):
        list(carry_out(tmp_path / "sweep.db"))


def test_rows_that_changed(folder, tmp_path):
    """On other rows than the study's nothing is confirmed."""
    with sqlite3.connect(folder / "sweep.db") as connection:
        connection.execute("UPDATE studies SET data_fingerprint = 'other'")
    with pytest.raises(UsageError, match="not those that 'small' began with"):
        list(carry_out(folder / "sweep.db"))


def test_folds(folder):
    """The rounds go through the folds by turns, and each leader is judged on all as often."""
    study = load("small", folder / "sweep.db")
    found = study.confirm(3, 6, folds=3, backend="serial")
    rows = found.retrainings
    assert (rows["fold"] == (rows["round"] - 1) % 3).all()
    assert rows.groupby(["trial", "fold"]).size().eq(2).all()
    parts = datasets.load_folds(study.spec.data, 3)
    with Store(study.place, read_only=True) as store:
        params = {row["number"]: row["params"] for row in store.trials(1)}
    leader = found.question.leaders[0]
    segment = found.question.segment(study.spec, leader, params[leader], 4)
    report, _ = compute(segment, None, parts[1][0])
    assert rows.query("trial == @leader and round == 5")["value"].item() == score(
        segment.config, [report]
    )
    assert found.test is not None


def test_a_study_of_folds_is_confirmed_on_them(tmp_path):
    """By default on as many, and with seeds that no replicate had."""
    spec = small(
        tmp_path, trials=6, sampler="random", pruner="none", replicates=3, resample="folds"
    )
    study = finish(spec, tmp_path / "sweep.db")
    found = study.confirm(2, 6, backend="serial")
    assert found.question.folds == 3
    used = {
        replicate_seed(0, number, seed, replicate)
        for number, seed in zip(study.trials["number"], study.trials["seed"], strict=True)
        for replicate in range(3)
    }
    assert not used & set(found.question.seeds)


def test_used_seeds_are_passed_over(finished):
    """A seed that the study has trained with is not taken again."""
    with Store(finished / "sweep.db", read_only=True) as store:
        trials = store.trials(1)
    spec = small(finished)
    free = ask(spec, trials, 3, 6)
    trials[0] = trials[0] | {"seed": free.seeds[2]}
    assert ask(spec, trials, 3, 5).seeds == (*free.seeds[:2], *free.seeds[3:])
    assert Question.from_json(json.loads(json.dumps(free.to_json()))) == free


def test_leaders_are_distinct_and_within_the_constraints(tmp_path):
    """One of several trials with the same configuration, and none that breaks a bound that another
    meets; the search's order is kept."""
    text = SMALL + 'repeats = true\npruner = "none"\nsampler = "random"\n'
    text += "constraints = { balanced_accuracy = { low = 0.8 } }\n"
    spec = small(tmp_path, text)
    study = finish(spec, tmp_path / "sweep.db")
    with Store(study.place, read_only=True) as store:
        trials = store.trials(1)
    twin = max(trials, key=lambda row: row["value"] or 0)
    found = ask(spec, [*trials, twin | {"number": 99}], 30, 4)
    assert 99 not in found.leaders
    met = {row["number"] for row in trials if row["constraints"] == [0.0]}
    assert set(found.leaders) == met
    confirmed = study.confirm(3, 4, backend="serial")
    assert confirmed.table["broken"].iloc[0] == 0
    with Store(study.place, read_only=True) as store:
        assert all(len(row["measures"]) == 1 for row in store.retrainings(1))


def test_several_objectives(tmp_path):
    """The first one is confirmed."""
    text = SMALL + 'pruner = "none"\nsampler = "random"\nobjectives = ["log_loss", "parameters"]\n'
    study = finish(small(tmp_path, text, trials=8), tmp_path / "sweep.db")
    found = study.confirm(3, 4, backend="serial")
    assert list(found.question.values) == sorted(study.trials["values_log_loss"])[:3]
    assert found.table["mean"].iloc[0] == found.table["mean"].min()
    other = text.replace('["log_loss", "parameters"]', '["parameters", "log_loss"]')
    study = finish(small(tmp_path, other, trials=8), tmp_path / "two.db")
    with pytest.raises(UsageError, match="no seed changes"):
        study.confirm(3, 4)


def failing(outcomes):
    """A backend whose retrainings fail as `outcomes` says, by trial and round from 0."""

    class Failing(SerialBackend):
        def wait(self, timeout):
            results = super().wait(timeout)
            for i, result in enumerate(results):
                key = result.segment.trial, result.segment.replicate
                if (outcome := outcomes.get(key)) is not None:
                    report = Report(outcome=outcome, error="Traceback\nOh: no")
                    results[i] = replace(result, report=report, state=None)
            return results

    return Failing


def leaders_of(folder):
    with Store(folder / "sweep.db", read_only=True) as store:
        return ask(small(folder), store.trials(1), 4, 12).leaders


def test_a_training_that_fails_is_told_and_counts_as_the_worst(folder):
    """One that diverged or ended in an error; the network that is kept is of one that did not."""
    first, second, *_ = leaders_of(folder)
    outcomes = {(leader, 0): "diverged" for leader in (first, second)} | {(second, 3): "error"}
    assert list(carry_out(folder / "sweep.db", failing(outcomes)))[-1] == Ended("complete")
    found = load("small", folder / "sweep.db").confirmation
    failed = found.table.set_index("trial")["failed"]
    assert (failed[first], failed[second]) == (1, 2)
    assert failed.sum() == 3
    assert "3 of the trainings did not come to their end" in found.text
    assert found.winner not in (first, second) or found.result["seed"] == found.question.seeds[1]


def test_a_lost_worker_is_no_score(folder, whole):
    """Its training is tried again at once, and again when the confirmation goes on."""
    first, *_ = leaders_of(folder)
    lost = failing({(first, 5): "worker_lost"})
    with pytest.raises(SweepError, match=r"be trained with seed \d+: worker_lost .*goes on"):
        list(carry_out(folder / "sweep.db", lost))
    study = load("small", folder / "sweep.db")
    assert (study.state, study.confirmation.state) == ("complete", "begun")
    assert "rounds are counted" in study.confirmation.text
    list(carry_out(folder / "sweep.db"))
    assert same(study.confirmation, whole.confirmation)


def test_code_that_is_broken_is_told_and_tried_again(folder, whole):
    """Where every first retraining ends in an error the confirmation fails, and begins anew when
    it is asked for again."""
    outcomes = {(leader, 0): "error" for leader in leaders_of(folder)}
    with pytest.raises(StudyFailed, match=r"each leader of 'small' ended in an error; .*Oh: no"):
        list(carry_out(folder / "sweep.db", failing(outcomes)))
    list(carry_out(folder / "sweep.db"))
    study = load("small", folder / "sweep.db")
    assert [each.state for each in study.confirmations] == ["failed", "complete"]
    pd.testing.assert_frame_equal(study.confirmation.table, whole.confirmation.table)


def test_a_trainer_of_ones_own(tmp_path):
    """It is confirmed without a model and a test score, once its code is allowed."""
    text = """
name = "own"
[data]
source = "sklearn:diabetes"
[space]
rate = { low = 0.01, high = 0.1 }
[train]
function = "tests.sweep.trainers:plain"
epochs = 3
metric = "rmse"
[search]
trials = 6
sampler = "random"
pruner = "none"
"""
    study = finish(small(tmp_path, text), tmp_path / "sweep.db", allow_code=True)
    with pytest.raises(UsageError, match="--allow-code"):
        study.confirm(3, 4, backend="serial")
    found = study.confirm(3, 4, backend="serial", allow_code=True)
    assert found.winner in found.question.leaders
    assert (found.test, found.test_interval) == (None, None)
    assert study.confirm(3, 4, allow_code=True).number == 0
    with pytest.raises(SweepError, match="keeps no model"):
        _ = found.model


def test_lost_weights_are_trained_again(folder, whole):
    """Without its file the winner is trained again, to the same network and test score."""
    study = load("small", folder / "sweep.db")
    found = study.confirm(**ARGUMENTS, backend="serial")
    model_file(found.folder, found.winner).unlink()
    with pytest.raises(SweepError, match="sweep confirm with the same arguments"):
        _ = study.confirmation.model
    assert same(study.confirm(**ARGUMENTS, backend="serial"), whole.confirmation)


def test_a_study_that_begins_anew_forgets(folder):
    """What is cleared takes its confirmations along."""
    study = load("small", folder / "sweep.db")
    study.confirm(2, 4, backend="serial")
    with Store(folder / "sweep.db") as store:
        lease = store.claim("small", study.spec.model_dump(mode="json"), "data", "0")
        store.clear(lease)
        store.release(lease, "stopped")
        assert store.confirmations(1) == store.retrainings(1) == []


def test_an_export_has_it_all(folder, whole):
    """A folder that the study was exported to has the confirmation and its network."""
    study = load("small", folder / "sweep.db")
    study.confirm(**ARGUMENTS, backend="serial")
    study.to_parquet(folder / "exported")
    study.to_parquet(folder / "exported")  # in the place of its own
    exported = load(folder / "exported")
    assert same(exported.confirmation, whole.confirmation)
    with pytest.raises(UsageError, match=r"only read: .*sweep\.load\('small', STORE\)"):
        exported.confirm(**ARGUMENTS, backend="cloud")


def test_it_reads_well(whole):
    """Text, HTML and repr say who won, by how much, and how lucky the search was."""
    found = whole.confirmation
    assert f"Trial {found.winner} is the best" in found.text
    assert "of that was luck" in found.text
    assert f"complete, 4 leaders, 12 of 12 rounds: trial {found.winner}" in repr(found)
    assert found._repr_html_().count("<tr") == 5
    assert json.loads(json.dumps(found.record())) == found.record()
    assert artifacts(whole.place, "small") in found.folder.parents


def test_the_command(call, tmp_path):
    """It shows a table that 80 columns hold, says how far it is, and returns what it found."""
    write(tmp_path)
    finish(small(tmp_path), tmp_path / "runs" / "sweep.db")
    asked = ("confirm", "small", "--top", "3", "--seeds", "6", "--backend", "serial")
    done = call(*asked)
    assert done.status == 0
    assert "small: 3 leaders, 6 fresh seeds, 18 trainings at most" in done.err
    assert "round 6/6, 3 leaders left" in done.err
    assert max(map(len, done.out.split("\n\n")[0].splitlines())) <= 80
    assert "3 leaders were trained over 6 fresh seeds, 18 times in all." in done.out
    again = call(*asked, "--json")
    assert json.loads(again.out)["schema"] == "sweep.confirm/1"
    assert "running on" not in again.err
    shown = call("show", "small").out
    assert "confirmed" in shown
    assert "sweep confirm small" not in shown
    assert "confirmed" in call("best", "small").out
    rows = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)\n6,3,5,2\n"
    (tmp_path / "new.csv").write_text(rows)
    predict = ("predict", "small", "--input", "new.csv", "--confirmed")
    assert call(*predict).out == "prediction\nvirginica\n"
    assert call(*predict, "--trial", "3").status == 2
    assert call("confirm", "small", "--seeds", "5", "--folds", "3").status == 2
    assert call("confirm", "other").status == 3


def test_the_next_command(call, tmp_path):
    """A complete study that is not confirmed says how it would be."""
    finish(small(tmp_path), tmp_path / "runs" / "sweep.db")
    assert "  sweep confirm small\n" in call("show", "small").out


@pytest.mark.slow
def test_on_ray(spread, tmp_path):
    """Real Ray on two CPUs gives the table of one process."""
    from sweep.backends.ray import RayBackend

    options = {"name": "spread", "top": 12, "seeds": 16}
    found = []
    for start in (SerialBackend, lambda datasets: RayBackend(datasets, cpus=2)):
        folder = shutil.copytree(spread, tmp_path / str(len(found)))
        list(carry_out(folder / "sweep.db", start, **options))
        found.append(load("spread", folder / "sweep.db").confirmation)
    assert same(*found)


def test_a_smaller_confirmation_does_not_hide_a_larger_one(tmp_path):
    """The one of the most leaders counts; of as many leaders the last."""
    study = finish(small(tmp_path, pruner="none", sampler="random", trials=8), tmp_path / "s.db")
    for top, seeds, counts in ((3, 2, 1), (2, 2, 1), (3, 3, 3)):
        study.confirm(top, seeds, backend="serial")
        assert study.confirmation is not None
        assert study.confirmation.number == study.confirmations[counts - 1].number

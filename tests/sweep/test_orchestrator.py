"""A study from its first trial to its winner, stopped, resumed and refused; in one process."""

import threading
import time

import numpy as np
import pytest

from sweep import checkpoints, datasets, orchestrator, studyfile
from sweep.backends import Report, Result
from sweep.backends.serial import SerialBackend
from sweep.dispatch import ATTEMPTS
from sweep.errors import StoreError, StudyChanged, StudyFailed, StudyLocked, SweepError
from sweep.loop import Ended, Notice, Opened, Ready
from sweep.model import Model, model_file
from sweep.results import load
from sweep.steps import Begin, Decide
from sweep.store import Store, artifacts
from tests.sweep.studies import events, finish, small, write
from tests.sweep.tables import table


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "sweep.db"


class Unreliable(SerialBackend):
    """Loses the first `losses` tries of every segment, and the states that they began from."""

    def __init__(self, datasets, losses, outcome="worker_lost"):
        super().__init__(datasets)
        self.losses, self.outcome, self.tries = losses, outcome, {}

    def wait(self, timeout):
        segment, *rest = self._queue.popleft()
        self.tries[segment] = self.tries.get(segment, 0) + 1
        if self.tries[segment] <= self.losses:
            return [Result(segment, Report(outcome=self.outcome, error="the worker died"))]
        self._queue.appendleft((segment, *rest))
        return super().wait(timeout)


class Broken(SerialBackend):
    """Every training raises, as it would with a fault in the code."""

    def wait(self, timeout):
        segment, *_ = self._queue.popleft()
        error = "Traceback (most recent call last):\nZeroDivisionError: division by zero"
        return [Result(segment, Report(outcome="error", error=error))]


def test_a_study_comes_to_a_winner_with_a_test_score(tmp_path, path):
    """All trials end, the best has a model on disk, and its test score is that of the model."""
    spec = small(tmp_path)
    study = finish(spec, path)
    best, (dataset, _) = study.best, datasets.load(spec.data)
    assert study.state == "complete"
    assert sum(study.counts.values()) == 24
    assert best.value == study.trials.loc[study.trials["state"] == "COMPLETE", "value"].max()
    assert best.test == best.model.evaluate(dataset, dataset.test)
    assert best.value == best.model.evaluate(dataset, dataset.validation)
    assert best.test > 0.8
    folder = artifacts(path, spec.name)
    assert list(folder.iterdir()) == [model_file(folder, best.number)]


def test_events_tell_the_whole_story(tmp_path, path):
    """The study opens, gets ready, begins and ends every trial, and ends."""
    story = list(events(small(tmp_path), path))
    assert isinstance(story[0], Opened)
    assert isinstance(story[1], Ready)
    assert story[-1] == Ended("complete")
    assert sum(isinstance(event, Begin) for event in story) == 24
    ends = [event for event in story if isinstance(event, Decide) and event.state != "running"]
    assert sorted(event.trial.number for event in ends) == list(range(24))


def test_what_was_shown_is_durable(tmp_path, path):
    """At the moment a decision is yielded, another reader finds it in the record."""
    for event in events(small(tmp_path, trials=6), path):
        if isinstance(event, Decide):
            trials = load("small", path).trials.set_index("number")
            assert trials.loc[event.trial.number, "epochs"] >= event.epochs


@pytest.mark.parametrize("after", [1, 7, 20, 33])
def test_a_stopped_study_goes_on_to_the_same_table(tmp_path, path, after):
    """Stopped after some decisions it is `stopped`; run again, its table is the whole run's."""
    spec = small(tmp_path)
    whole = finish(spec, tmp_path / "whole.db")
    stop, decided = threading.Event(), 0
    for event in events(spec, path, stop=stop):
        decided += isinstance(event, Decide)
        if decided == after:
            stop.set()
    stopped = load("small", path)
    assert stopped.state == "stopped"
    assert 0 < len(stopped.trials) <= 24
    resumed = finish(spec, path)
    assert resumed.state == "complete"
    assert resumed.fingerprint == whole.fingerprint
    assert resumed.best.test == whole.best.test


def test_an_abandoned_run_goes_on_to_the_same_table(tmp_path, path):
    """A run that ends in the middle by an exception of its caller leaves a study that goes on."""
    spec = small(tmp_path)
    running = events(spec, path)
    for event in running:
        if isinstance(event, Decide) and event.trial.number == 10:
            break
    running.close()
    assert load("small", path).state == "stopped"
    assert finish(spec, path).fingerprint == finish(spec, tmp_path / "whole.db").fingerprint


def test_a_complete_study_is_not_run_again(tmp_path, path):
    """Running a complete study starts no backend and changes nothing."""
    spec = small(tmp_path)
    before = finish(spec, path).fingerprint

    def start(dataset):
        raise AssertionError("a backend was started")

    assert list(events(spec, path, start))[-1] == Ended("complete")
    assert load("small", path).fingerprint == before


def test_a_winner_whose_file_is_gone_is_trained_again(tmp_path, path):
    """A study that goes on without its winner's file, or with a damaged one, makes the same."""
    spec = small(tmp_path)
    study = finish(spec, path)
    best, file = study.best, study.best.file
    parameters = best.model.parameters
    for damage in (lambda: file.unlink(), lambda: file.write_bytes(file.read_bytes()[:-99])):
        damage()
        with Store(path) as store:
            lease = store.claim("small", {}, "", "")
            store.release(lease, "stopped")
        finish(spec, path)
        assert np.array_equal(Model.load(file).parameters, parameters)


@pytest.mark.parametrize("losses", range(1, ATTEMPTS))
def test_lost_workers_cost_time_and_no_result(tmp_path, path, losses):
    """With every segment lost once or twice, the table is the same and the attempts are counted."""
    spec = small(tmp_path)
    whole = finish(spec, tmp_path / "whole.db")
    study = finish(spec, path, lambda dataset: Unreliable(dataset, losses))
    assert study.fingerprint == whole.fingerprint
    assert (study.trials["attempts"] == (losses + 1) * whole.trials["attempts"]).all()


@pytest.mark.parametrize("outcome", ["worker_lost", "out_of_memory"])
def test_a_segment_lost_too_often_ends_its_trial(tmp_path, path, outcome):
    """Past the limit a trial has failed and its outcome says why; so has a study of such trials."""
    with pytest.raises(StudyFailed, match="all 5 trials of 'small' failed"):
        finish(
            small(tmp_path, trials=5), path, lambda dataset: Unreliable(dataset, ATTEMPTS, outcome)
        )
    study = load("small", path)
    trials = study.trials
    assert set(trials["state"]) == {"FAIL"}
    assert set(trials["outcome"]) == {outcome}
    assert set(trials["attempts"]) == {ATTEMPTS}
    assert study.state == "failed"


def test_a_study_whose_first_trials_all_raise_stops_and_says_why(tmp_path, path):
    """The error shows what was raised; after it is mended the study begins anew."""
    spec = small(tmp_path)
    with pytest.raises(StudyFailed, match=r"first 3 trials.*ZeroDivisionError"):
        finish(spec, path, Broken)
    study = load("small", path)
    assert study.state == "failed"
    assert set(study.trials["outcome"].dropna()) == {"error"}
    assert finish(spec, path).fingerprint == finish(spec, tmp_path / "whole.db").fingerprint


def test_trials_that_were_refused_do_not_hide_that_all_raise(tmp_path, path):
    """Too large a network before them is no success."""
    record = studyfile.to_json(small(tmp_path, sampler="random"))
    record["search"] |= {"max_parameters": 60}
    with pytest.raises(StudyFailed, match=r"first 3 trials.*ZeroDivisionError"):
        finish(studyfile.from_json(record), path, Broken)
    trials = load("small", path).trials
    assert "too_large" in set(trials["outcome"][: trials["outcome"].eq("error").idxmax()])


def test_checkpoints_that_cannot_be_written_are_told_of_once(tmp_path, path, monkeypatch):
    """The study goes on to the same table; a file where their folder should be is what is wrong."""

    class Slow(SerialBackend):
        def wait(self, timeout):
            time.sleep(0.01)
            return super().wait(timeout)

    monkeypatch.setattr(checkpoints, "WORTH", 0.0)
    folder = artifacts(path, "small")
    folder.mkdir(parents=True)
    (folder / "checkpoints").touch()
    spec = small(tmp_path)
    notices = [e.text for e in events(spec, path, Slow) if isinstance(e, Notice)]
    (notice,) = [text for text in notices if "checkpoints cannot be written" in text]
    assert str(folder / "checkpoints") in notice
    assert load("small", path).fingerprint == finish(spec, tmp_path / "whole.db").fingerprint


def test_a_lease_is_renewed_again_when_the_store_is_back(path, monkeypatch):
    """A store that does not answer for a while costs no lease in a long segment."""
    back = threading.Event()

    class Away(Store):
        def renew(self, lease):
            if self.away:
                self.away = False
                raise StoreError("no answer")
            super().renew(lease)
            back.set()

    monkeypatch.setattr(orchestrator, "HEARTBEAT", 0.01)
    with Away(path) as store:
        store.away = True
        lease = store.claim("study", {}, "data", "0")
        with orchestrator.heartbeat(store, lease):
            assert back.wait(timeout=60)


def test_another_question_under_the_same_name_is_refused(tmp_path, path):
    """The error says what differs and offers --name; the stored study is as it was."""
    before = finish(small(tmp_path), path).fingerprint
    other = small(tmp_path, workers=5, seed=1)
    with pytest.raises(StudyChanged) as error:
        finish(other, path)
    for part in ("search.workers: 4 in the store, 5 in the file", "search.seed", "--name"):
        assert part in str(error.value)
    assert load("small", path).fingerprint == before


def test_another_name_gives_the_same_table(tmp_path, path):
    """The name is no part of the question."""
    spec = small(tmp_path)
    other = studyfile.with_name(spec, "other")
    assert finish(spec, path).fingerprint == finish(other, path).fingerprint


def test_a_running_study_is_refused_to_a_second_run(tmp_path, path):
    """While one run is in the middle, another of the same study is refused."""
    spec = small(tmp_path)
    running = events(spec, path)
    assert isinstance(next(running), Opened)
    with pytest.raises(StudyLocked, match="is being run by process"):
        next(events(spec, path))
    running.close()
    assert isinstance(next(events(spec, path)), Opened)


def test_trials_that_diverge_are_results(tmp_path, path):
    """With a rate that is far too large, trials end as diverged, and none is called failed."""
    record = studyfile.to_json(small(tmp_path))
    record["space"] |= {"learning_rate": 1e30, "optimizer": "sgd", "layers": 1}
    study = finish(studyfile.from_json(record), path)
    assert "diverged" in set(study.trials["outcome"])
    assert set(study.trials["outcome"]) <= {"diverged", "finished", "pruned"}
    diverged = study.trials["outcome"] == "diverged"
    assert set(study.trials.loc[diverged, "state"]) == {"PRUNED"}
    assert study.trials.loc[diverged, "value"].isna().all()
    assert (
        study.fingerprint == finish(studyfile.from_json(record), tmp_path / "again.db").fingerprint
    )


def test_models_of_a_deleted_record_are_not_taken_for_the_new_ones(tmp_path, path):
    """After its store is deleted, a study of another seed ends with its own winner's weights."""
    finish(small(tmp_path), path)
    path.unlink()
    study = finish(small(tmp_path, seed=5), path)
    dataset, _ = datasets.load(study.spec.data)
    assert study.best.value == study.best.model.evaluate(dataset, dataset.validation)
    assert len(list(study.best.file.parent.iterdir())) == 1


def test_stores_in_one_folder_keep_their_models_apart(tmp_path):
    """Two studies of one name in two stores of a folder each have their own winner's weights."""
    paths = [tmp_path / "a.db", tmp_path / "b.db"]
    studies = [finish(small(tmp_path, seed=seed), path) for seed, path in enumerate(paths)]
    for study in studies:
        dataset, _ = datasets.load(study.spec.data)
        assert study.best.value == study.best.model.evaluate(dataset, dataset.validation)


def test_a_complete_study_whose_weights_are_gone_gets_them_again(tmp_path, path):
    """Reading the model says what to do; running the study again does it."""
    spec = small(tmp_path)
    study = finish(spec, path)
    parameters = study.best.model.parameters
    study.best.file.unlink()
    with pytest.raises(SweepError, match="run the study again"):
        _ = study.best.model
    assert np.array_equal(finish(spec, path).best.model.parameters, parameters)
    study.best.file.write_bytes(study.best.file.read_bytes()[:-100])
    with pytest.raises(SweepError, match=r"not a whole archive.*run the study again"):
        _ = study.best.model
    assert np.array_equal(finish(spec, path).best.model.parameters, parameters)


def test_a_model_that_cannot_be_written_is_an_error_of_the_store(tmp_path, path):
    """A file where the folder of the models should be: a message, and a study that goes on."""
    spec = small(tmp_path)
    path.parent.mkdir()
    folder = artifacts(path, "small").parent
    folder.touch()
    with pytest.raises(StoreError, match="cannot write the model file"):
        finish(spec, path)
    folder.unlink()
    assert finish(spec, path).fingerprint == finish(spec, tmp_path / "whole.db").fingerprint


def test_more_workers_than_trials(tmp_path, path):
    """A number of virtual workers without end begins only the trials that there are."""
    study = finish(small(tmp_path, trials=2, workers=2_000_000_000), path)
    assert len(study.trials) == 2


def test_what_is_odd_about_the_data_is_said_first(tmp_path, path):
    """Dropped columns and rare classes are told when a study begins, and again when it goes on."""
    frame = table().assign(row=np.arange(200), dear=["yes"] * 4 + ["no"] * 196)
    frame.to_csv(tmp_path / "homes.csv", index=False)
    text = """
    [data]
    source = "homes.csv"
    target = "dear"
    [space]
    neurons = [2, 4]
    [train]
    epochs = 1
    [search]
    trials = 2
    """
    spec = studyfile.load(write(tmp_path, text))
    stop = threading.Event()
    for _ in range(2):
        stop.set()
        said = [e.text for e in events(spec, path, stop=stop) if isinstance(e, Notice)]
        assert "not learned from: row (it numbers the rows" in said[0]
        assert "only 2 % of the rows are of class yes" in said[1]


def test_rows_that_were_moved_are_the_same_rows(tmp_path, path):
    """A study goes on with its file elsewhere, and remembers where; other rows are refused."""
    text = """
    [data]
    source = "homes.csv"
    target = "dear"
    [space]
    learning_rate = { low = 0.01, high = 0.1 }
    [train]
    epochs = 1
    [search]
    trials = 1
    """
    places = [tmp_path / name / "homes" for name in ("old", "new")]
    for place in places:
        place.mkdir(parents=True)
        table().to_csv(place / "homes.csv", index=False)
    assert len(finish(studyfile.load(write(places[0], text)), path).trials) == 1
    (places[0] / "homes.csv").unlink()
    again = finish(studyfile.load(write(places[1], text.replace("trials = 1", "trials = 2"))), path)
    assert len(again.trials) == 2
    assert again.spec.data.source == str(places[1] / "homes.csv")
    table(seed=1).to_csv(places[1] / "homes.csv", index=False)
    with pytest.raises(StudyChanged, match=r"the rows of .*homes.csv: not those that the study"):
        finish(studyfile.load(write(places[1], text.replace("trials = 1", "trials = 3"))), path)


def test_machines_that_do_not_compute_alike_are_told_of_once(tmp_path, path):
    """A study that was begun with other kernels says so when the first result comes, once."""
    running = events(small(tmp_path), path)
    decided = (event for event in running if isinstance(event, Decide))
    for _ in range(8):
        next(decided)
    running.close()
    with Store(path) as store, store._database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE platforms SET description = json_set(description, '$.kernel', 'Zen')"
        )
    notices = [event.text for event in events(small(tmp_path), path) if isinstance(event, Notice)]
    (notice,) = [text for text in notices if "several sets of kernels" in text]
    assert "Zen (" in notice
    assert notice.count("(") == 2

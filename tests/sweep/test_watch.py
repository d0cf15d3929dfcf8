"""`sweep watch`: a study from its record alone."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from sweep import journal as journals
from sweep import studyfile
from sweep.backends import Beat
from sweep.cli.tally import Sign, Tally
from sweep.cli.watch import Look, looks
from sweep.journal import Journal
from sweep.results import load
from sweep.store import Batch, Store
from tests.sweep.records import claim, trial
from tests.sweep.studies import events, finish, small


def command(*arguments):
    return [sys.executable, "-m", "sweep.cli", *map(str, arguments)]


@contextmanager
def process(*arguments):
    """A command that is ended if the test fails."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command(*arguments), text=True, **pipes) as started:
        try:
            yield started
        finally:
            started.kill()


@contextmanager
def running(folder):
    """A study of so many trials that it runs on, and its store."""
    small(folder, trials=100_000)
    path = folder / "sweep.db"
    with process("run", folder, "--backend", "serial", "--store", path) as going:
        for line in going.stderr:
            if line.startswith("[20/"):
                break
        yield going, path


@pytest.mark.parametrize("pruner", ["hyperband", "promotion"])
def test_the_record_gives_the_tally_of_the_events(tmp_path, pruner):
    """At any moment of a run what is read is what was told."""
    spec, path = small(tmp_path, trials=30, pruner=pruner), tmp_path / "sweep.db"
    told = Tally(spec, "serial")
    compared = 0
    with Store(path) as store:
        for i, event in enumerate(events(spec, path)):
            told.take(event, 0.0)
            if i % 20:
                continue
            look = Look.at(store, "small")
            read = look.begin()
            ended = list(look.tell(read))
            if (read.state, read.total, {*read.running}) != (
                told.state,
                told.total,
                {*told.running},
            ):
                continue  # events are told after they are on record, several at a time
            compared += 1
            assert len(ended) == told.total
            assert read.counts == told.counts
            assert read.running == told.running
            assert read.paused.keys() == told.paused.keys()
            assert read.best == told.best
            assert read.curve[-1:] == told.curve[-1:]
            assert read.ends == told.ends
            assert (read.begun, read.refused) == (told.begun, told.refused)
            assert read.cpus == told.cpus
    assert compared > 2
    with Store(path) as store:
        (last,) = looks(store, "small")
    assert last.state == told.state == "complete"


def test_running_trials_tell_how_far_they_are(place, monkeypatch):
    """Epochs and values are written now and then, with what else is, and only if they changed."""
    monkeypatch.setattr(journals, "PROGRESS", 0.0)
    with Store(place) as store:
        lease = claim(store)
        journal = Journal(store, lease)
        beats = {3: Beat(3, 0, 1000.5, 4, 0.75, 0), 17: Beat(17, 0, 999.0, 0, None, 0)}
        journal.tell(beats)
        assert store.study("study")["progress"] is None
        journal.flush()
        assert store.study("study")["progress"] == {"3": [4, 0.75, 1000.5], "17": [0, None, 999.0]}
        written = store.study("study")["batch"]
        journal.tell(beats)
        journal.flush()
        assert store.study("study")["batch"] == written, "nothing is new"
        monkeypatch.setattr(journals, "PROGRESS", 1e9)
        journal.tell({})
        journal.flush()
        assert store.study("study")["batch"] == written, "it is too early"


def test_signs_of_life_are_read(tmp_path, place):
    """What the run wrote is what another terminal shows, while the study runs and not after."""
    spec = small(tmp_path)
    with Store(place) as store:
        lease = store.claim("small", studyfile.to_json(spec), "data", "0")
        row = trial(4, params={})
        store.write(lease, Batch(started=[row]), progress={"4": [7, 0.5, 12.0]})
        look = Look.at(store, "small")
        assert look.begin().signs == {4: Sign(7, 0.5, 12.0 + look.ahead)}
        store.release(lease, "stopped")
        assert Look.at(store, "small").begin().signs == {}


def test_a_complete_study_is_shown_at_once(tmp_path):
    """With the summary on stdout and exit status 0."""
    study = finish(small(tmp_path), tmp_path / "sweep.db")
    with process("watch", "small", "--store", tmp_path / "sweep.db") as watching:
        out, err = watching.communicate()
    assert watching.returncode == 0, err
    assert "small is complete" in out
    assert study.fingerprint in out
    assert f"[{len(study.trials)}/24] {len(study.trials)} trials ended: " in err
    with process("watch", "smal", "--store", tmp_path / "sweep.db") as watching:
        _, err = watching.communicate()
    assert watching.returncode == 3
    assert 'did you mean "small"' in err


@pytest.mark.slow
def test_a_run_is_watched_and_stopped(tmp_path):
    """Lines come as trials end; when the study is stopped, the watch ends with status 5."""
    with running(tmp_path) as (going, path), process("watch", "small", "--store", path) as watching:
        heading, summed, first, *_ = (watching.stderr.readline() for _ in range(3))
        assert heading.startswith("small: 100,000 trials")
        assert "trials ended: " in summed
        assert " after " in first
        going.send_signal(signal.SIGINT)
        out, _ = watching.communicate()
        going.communicate()
    assert watching.returncode == 5
    assert "small is stopped" in out
    assert "sweep resume small" in out


@pytest.mark.slow
def test_a_watch_ends_without_the_run_and_a_run_within_the_watch(tmp_path):
    """Ctrl-C leaves the study alone; of a run that was killed it says how to go on."""
    with running(tmp_path) as (going, path):
        with process("watch", "small", "--store", path) as watching:
            watching.stderr.readline()
            watching.send_signal(signal.SIGINT)
            _, err = watching.communicate()
        before = len(load("small", path).trials)
        assert watching.returncode == 130
        assert "small goes on; sweep stop small ends it" in err
        assert "Traceback" not in err
        deadline = time.monotonic() + 60
        while len(load("small", path).trials) == before and time.monotonic() < deadline:
            time.sleep(0.1)
        assert len(load("small", path).trials) > before
        with process("watch", "small", "--store", path) as watching:
            watching.stderr.readline()
            os.kill(going.pid, signal.SIGKILL)
            going.wait()
            out, err = watching.communicate()
    assert watching.returncode == 5
    assert "the process that ran small is gone" in err
    assert "sweep resume small" in out

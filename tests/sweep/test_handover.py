"""From processes of this machine to Ray, in the middle of a study."""

import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sweep import studyfile
from sweep.backends import UNLIMITED, Limits, Segment
from sweep.backends.handover import LARGE, Handover, is_large
from sweep.backends.head import Head
from sweep.errors import BackendError
from sweep.results import load
from tests.sweep.segments import CONFIG, curve, iris, own, undisturbed
from tests.sweep.studies import finish, small


def back(backend, count=1):
    results = []
    while len(results) < count:
        results += backend.wait(timeout=1.0)
    return results


def on_ray(backend):
    """Wait until Ray has taken over."""
    while backend._there is None:
        assert backend.wait(timeout=0.1) == []


@pytest.mark.slow
def test_a_trial_moves_from_here_to_ray():
    """A state that was reached here goes on there, to the same bits, and can be fetched."""
    with Handover((iris(),), cpus=1, alone=0.0) as backend:
        backend.submit(Segment(0, CONFIG, 7, 0, 3))
        (here,) = back(backend)
        on_ray(backend)
        backend.submit(Segment(0, CONFIG, 7, 3, 6), here.state)
        (there,) = back(backend)
        assert there.report.worker != here.report.worker
        assert curve([here.report, there.report]) == undisturbed(CONFIG)
        assert backend.fetch(here.state).epoch == 3
        assert backend.fetch(there.state).epoch == 6


@pytest.mark.slow
def test_what_runs_ends_here_and_what_waits_moves():
    """Of three trials on one CPU the first keeps it; of the others one is killed while it waits."""
    with Handover((iris(),), cpus=1, alone=0.0) as backend:
        first, second, third = (own("slow", trial=i, until=10_000, seconds=0.1) for i in range(3))
        for segment in (first, second, third):
            backend.submit(segment)
        on_ray(backend)
        backend.kill(third)
        assert [result.segment for result in back(backend)] == [third]
        (beat,) = backend.beats()
        assert beat.trial == 0
        backend.kill(first)
        while not any(beat.trial == 1 for beat in backend.beats()):
            backend.wait(timeout=0.1)
        backend.kill(second)
        assert back(backend)[0].report.outcome == "killed"


@pytest.mark.slow
def test_a_study_that_moves_has_the_table_of_one_that_does_not(tmp_path):
    """Trials begin in processes of this machine and end on Ray."""
    spec = small(tmp_path, trials=600)
    moved = finish(spec, tmp_path / "moved.db", partial(Handover, cpus=2, alone=0.0))
    assert moved.fingerprint == finish(spec, tmp_path / "serial.db").fingerprint


DIGITS = Path(__file__).parents[2] / "studies" / "digits"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Digits in one process."""
    return finish(studyfile.load(DIGITS), tmp_path_factory.mktemp("whole") / "sweep.db")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("seconds", [0.3, 7.0])
def test_a_run_that_ends_before_ray_is_there_goes_on(tmp_path, whole, number, seconds):
    """Stopped or killed before Ray is started, or while it starts: the same table in the end."""
    store = tmp_path / "sweep.db"
    run = [sys.executable, "-m", "sweep.cli", "run", str(DIGITS), "--store", str(store)]
    with subprocess.Popen(run, stderr=subprocess.PIPE, text=True) as running:
        assert any(line.startswith("running on") for line in running.stderr)
        with pytest.raises(subprocess.TimeoutExpired):
            running.wait(timeout=seconds)
        running.send_signal(number)
        running.communicate()
    study = load("digits", store)
    assert study.state == "stopped"
    subprocess.run(run, check=True, capture_output=True)
    assert study.fingerprint == whole.fingerprint


def test_a_short_study_never_starts_ray(tmp_path):
    """It is complete by then, and has the table of the serial backend."""

    class Alone(Handover):
        def close(self):
            assert self._head is None
            super().close()

    spec = small(tmp_path, trials=20)
    study = finish(spec, tmp_path / "a.db", partial(Alone, alone=1000.0))
    assert study.fingerprint == finish(spec, tmp_path / "b.db").fingerprint


def test_a_ray_that_does_not_start(tmp_path, monkeypatch):
    """The error is told, and what was computed meanwhile is on record."""
    monkeypatch.setenv("RAY_TMPDIR", "/dev/null/nowhere")
    spec = small(tmp_path, trials=100_000)
    with pytest.raises(BackendError, match="Ray at local cannot be used"):
        finish(spec, tmp_path / "a.db", partial(Handover, alone=0.5))
    assert sum(load(spec.name, tmp_path / "a.db").counts.values())


def test_a_head_that_is_closed_while_it_starts_is_gone():
    """Nobody waits for it."""
    head = Head(1)
    assert head.address() is None
    head.close()
    assert head._process.returncode == -signal.SIGKILL


def test_large_data_waits_for_ray():
    """Each process would have a copy."""
    data = iris()
    rows = len(data.train.y)
    wide = data.train._replace(x=np.zeros((rows, int(LARGE / 4 / rows) + 1), np.float32))
    assert not is_large((data,))
    assert is_large((replace(data, train=wide, validation=wide),))


SHORT, LONG = Segment(0, CONFIG, 0, 0, 1, seconds=0.01), Segment(1, CONFIG, 0, 0, 1, seconds=9.0)
UNKNOWN = Segment(2, CONFIG, 0, 0, 1)
BUNDLES = {
    "as many as there are CPUs for": ([SHORT] * 4, 4, UNLIMITED, [1, 1, 1, 1]),
    "several to each": ([SHORT] * 8, 4, UNLIMITED, [2, 2, 2, 2]),
    "no longer than a bundle": ([SHORT] * 12, 1, UNLIMITED, [5, 5, 2]),
    "no more than a bundle holds": ([replace(SHORT, seconds=0.0)] * 40, 1, UNLIMITED, [16, 16, 8]),
    "long ones alone": ([SHORT, LONG, SHORT, UNKNOWN], 1, UNLIMITED, [1, 1, 1, 1]),
    "limited ones alone": ([SHORT] * 3, 1, Limits(seconds=1.0), [1, 1, 1]),
}


@pytest.mark.parametrize("case", BUNDLES)
def test_bundles(case):
    """Neighbours travel together, each once and in order."""
    from sweep.backends.ray import _Sent, bundles

    segments, tasks, limits, sizes = BUNDLES[case]
    sent = [_Sent(s, None, limits, number=i, submitted=0.0) for i, s in enumerate(segments)]
    found = list(bundles(sent, tasks))
    assert [len(bundle) for bundle in found] == sizes
    assert [each.number for bundle in found for each in bundle] == list(range(len(segments)))

"""Faults on real Ray: the bits are those of an undisturbed run, and each cause is on record."""

import subprocess
import sys

import pytest

from sweep.backends import Limits
from sweep.checkpoints import Checkpoints
from sweep.dispatch import Dispatch
from tests.sweep.segments import CONFIG, LONG, Memory, curve, iris, own, trial, undisturbed, whole

pytestmark = pytest.mark.slow

THIRDS = (20, 40, 60)
"""Rungs of LONG: each segment lasts for seconds."""


@pytest.fixture(scope="module")
def backend():
    from sweep.backends.ray import RayBackend

    with RayBackend((iris(),), cpus=2) as backend:
        yield backend


@pytest.fixture(scope="module")
def expected():
    return undisturbed(LONG)


def all_free(backend):
    """Wait until no CPU is taken; the test's limit of time is what fails."""
    import ray

    while ray.available_resources().get("CPU", 0) < backend.cpus:
        backend.wait(timeout=0.1)


@pytest.mark.parametrize("at", [1, 2, 5])
def test_a_worker_killed_in_the_middle_of_a_segment(backend, tmp_path, at):
    """The segment is sent again, and the trial's bits are the same."""
    journal, params = Memory(), {"at": at, "mark": str(tmp_path / "mark")}
    segments = [own("struck", s.start, s.until, **params) for s in trial()]
    reports = whole(Dispatch(backend, journal), segments)
    assert curve(reports) == undisturbed(CONFIG)
    (struck,) = [segment for segment in segments if segment.start < at <= segment.until]
    assert journal.causes == {struck: ["worker_lost", "finished"]}
    assert journal.attempts[struck][0].report.error
    all_free(backend)


BAD = {
    "timeout": own("hangs", trial=9, locked=True),
    "out_of_memory": own("greedy", trial=9, bytes=2**29, at_once=False),
    "error": own("raises", trial=9),
    "diverged": own("to_infinity", trial=9),
    "killed": own("slow", trial=9, until=1000, seconds=0.1),
}

LIMITS = {"timeout": Limits(seconds=5.0), "out_of_memory": Limits(memory=200 * 2**20)}


@pytest.mark.parametrize("outcome", BAD)
def test_a_bad_trial_beside_a_good_one(backend, expected, outcome):
    """It ends once, with its outcome on record; the other's bits are the same; no CPU is taken."""
    journal, bad = Memory(), BAD[outcome]
    dispatch = Dispatch(backend, journal, limits=LIMITS.get(outcome, Limits()))
    dispatch.submit(bad, 0.0)
    good = trial(config=LONG, rungs=(20,))[0]
    (report,) = whole(dispatch, [good])
    assert curve([report]) == expected[:20]
    for _ in dispatch.ticks(bad):
        if outcome == "killed" and dispatch.beats():
            assert dispatch.kill(9)
    assert dispatch.take(bad).outcome == outcome
    assert journal.causes == {bad: [outcome]}
    all_free(backend)


@pytest.mark.parametrize("damaged", [False, True])
def test_a_checkpoint_after_a_crash(backend, expected, tmp_path, damaged):
    """The driver's successor goes on from it; one with a flipped bit is found out."""
    journal, segments = Memory(), trial(config=LONG, rungs=THIRDS)
    with Checkpoints(tmp_path) as checkpoints:
        whole(Dispatch(backend, journal, checkpoints), segments[:2])
    (file,) = tmp_path.iterdir()
    if damaged:
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    with Checkpoints(tmp_path) as checkpoints:
        reports = whole(Dispatch(backend, journal, checkpoints), segments)
    assert curve(reports) == expected
    assert journal.causes == ({segments[2]: ["checkpoint_damaged", "finished"]} if damaged else {})


def test_a_cancelled_run_leaves_no_cpu_taken(backend):
    """Ten long trials, two of them running: within seconds nothing runs."""
    journal = Memory()
    dispatch = Dispatch(backend, journal)
    segments = [own("slow", trial=number, until=1000, seconds=0.1) for number in range(10)]
    for segment in segments:
        dispatch.submit(segment, 0.0)
    ticks = dispatch.ticks(segments[0])
    while len(dispatch.beats()) < 2:
        next(ticks)
    dispatch.cancel()
    all_free(backend)
    next(ticks)
    assert not journal.attempts


QUIET = """
import os, signal, time
from sweep.backends.ray import RayBackend
from tests.sweep.segments import iris, own

with RayBackend((iris(),), cpus=1) as backend:
    backend.submit(own("slow", until=1000, seconds=0.1))
    while not backend.beats():
        backend.wait(timeout=0.1)
    os.kill(int(backend.beats()[0].worker), signal.SIGKILL)
    (result,) = backend.wait(timeout=60)
    time.sleep(3)  # Ray tells of it when it likes
print(result.report.outcome)
"""


def test_a_lost_worker_leaves_the_terminal_alone():
    """Ray's own words about it, which it sends to every driver, are not printed."""
    done = subprocess.run(
        [sys.executable, "-c", QUIET], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("worker_lost\n", "")

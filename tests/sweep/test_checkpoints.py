"""States on disk: the newest of each trial, whole or not at all, and never in anyone's way."""

import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from sweep.checkpoints import Checkpoints
from tests.sweep.segments import CONFIG, iris, trial
from trainer import run


@pytest.fixture(scope="module")
def states():
    """The states of trial 0 after epochs 1 and 3."""
    dataset = iris()
    return {until: run(CONFIG, dataset, 7, until=until)[1] for until in (1, 3)}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


def kept(folder, states, *untils):
    """Keep the states of trial 0 after these epochs, until all is written."""
    with Checkpoints(folder) as checkpoints:
        for until in untils:
            segment = replace(trial()[0], until=until)
            checkpoints.keep(segment, 100.0, lambda until=until: states[until])
    return checkpoints


def test_the_newest_state_is_read_back(folder, states):
    """To the last bit, by another process's Checkpoints, from one file."""
    kept(folder, states, 1, 3)
    state = Checkpoints(folder).load(trial()[2])
    assert state.epoch == 3
    for name, array in states[3].arrays.items():
        assert np.array_equal(state.arrays[name], array)
    assert len(list(folder.iterdir())) == 1


def test_only_the_trainings_own_state_is_used(folder, states):
    """Not that of another seed, configuration, replicate or fold, nor one of a later epoch."""
    kept(folder, states, 3)
    segment = trial()[2]
    checkpoints = Checkpoints(folder)
    assert checkpoints.load(segment) is not None
    for other in (
        {"seed": 8},
        {"config": replace(CONFIG, learning_rate=0.051)},
        {"replicate": 1},
        {"fold": 1},
        {"trial": 1},
        {"start": 1},
    ):
        assert checkpoints.load(replace(segment, **other)) is None


def test_nobody_waits_for_the_disk(folder, states):
    """While a state is being fetched others are taken and removed; then the last wish counts."""
    fetching, go_on = threading.Event(), threading.Event()

    def slowly():
        fetching.set()
        go_on.wait()
        return states[1]

    with Checkpoints(folder) as checkpoints:
        checkpoints.keep(trial(0)[0], 100.0, slowly)
        fetching.wait()
        for number in (1, 2):
            checkpoints.keep(trial(number)[0], 100.0, lambda: states[1])
        checkpoints.remove(0)
        checkpoints.remove(1)
        assert not folder.exists()
        go_on.set()
    assert [file.name for file in folder.iterdir()] == ["2-0.npz"]


def test_a_lost_state_is_not_written(folder):
    """There is nothing to write, and nothing is."""
    with Checkpoints(folder) as checkpoints:
        checkpoints.keep(trial()[0], 100.0, lambda: None)
    assert checkpoints.problem is None
    assert not folder.exists()


def test_all_can_be_cleared(folder, states):
    """A study that begins anew leaves nothing of the one before."""
    kept(folder, states, 1)
    with Checkpoints(folder) as checkpoints:
        checkpoints.clear()
    assert list(folder.iterdir()) == []


def test_a_disk_that_cannot_be_written(folder, states):
    """A file where the folder should be: the problem is kept, and nothing is raised."""
    folder.touch()
    assert isinstance(kept(folder, states, 1).problem, OSError)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_leaves_the_old_state(folder, states, monkeypatch):
    """The file that was there stays whole, and the half-written one goes."""
    kept(folder, states, 1)

    def full(descriptor):
        with open("/dev/full", "wb", buffering=0) as device:
            device.write(b"x")

    monkeypatch.setattr("os.fsync", full)
    assert kept(folder, states, 3).problem.strerror == "No space left on device"
    assert Checkpoints(folder).load(trial()[2]).epoch == 1
    assert len(list(folder.iterdir())) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from sweep.checkpoints import Checkpoints
from tests.sweep.segments import CONFIG, iris, trial
from trainer import run

step, folder = sys.argv[1], Path(sys.argv[2])
dataset = iris()
_, first = run(CONFIG, dataset, 7, until=1)
_, second = run(CONFIG, dataset, 7, until=3)
with Checkpoints(folder) as checkpoints:
    checkpoints.keep(trial()[0], 100.0, lambda: first)
checkpoints = Checkpoints(folder)
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if step == "before writing":
    Path.open = die
elif step == "written":
    os.fsync = die
elif step == "before the rename":
    Path.replace = die
else:
    rename = Path.replace
    Path.replace = lambda *names: (rename(*names), die())
checkpoints.keep(trial()[1], 100.0, lambda: second)
checkpoints.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("step", "epoch"),
    [("before writing", 1), ("written", 1), ("before the rename", 1), ("after the rename", 3)],
)
def test_a_process_killed_while_it_writes(folder, step, epoch):
    """The old state or the new one is there, whole; and nothing else after the next start."""
    killed = subprocess.run([sys.executable, "-c", KILLED, step, str(folder)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert Checkpoints(folder).load(trial()[2]).epoch == epoch
    assert len(list(folder.iterdir())) == 1

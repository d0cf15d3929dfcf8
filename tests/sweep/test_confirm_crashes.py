"""A process that confirms, killed with SIGKILL at each named point of its work, and its heir."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from sweep.backends.serial import SerialBackend
from sweep.confirming import confirm
from sweep.loop import Ended
from sweep.results import load
from tests.sweep import invariants
from tests.sweep.doom import CONFIRMING_POINTS, Crash, Doom, PerilousStore, perilous
from tests.sweep.studies import finish, small
from tests.sweep.test_confirm import SPREAD, same, untouched

ROOT = Path(__file__).parents[2]
ARGUMENTS = {"top": 8, "seeds": 12}


def drive(place, doom):
    """Confirm with a process that may die."""
    with PerilousStore(place, doom) as store:
        *_, last = confirm("spread", store, perilous(SerialBackend, doom), **ARGUMENTS)
    assert last == Ended("complete")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A study whose leaders drop out, not confirmed yet, and its undisturbed confirmation."""
    folder = tmp_path_factory.mktemp("whole")
    spec = small(folder, SPREAD, pruner="none", trials=16, sampler="random")
    finish(spec, folder / "study" / "sweep.db")
    copy = shutil.copytree(folder / "study", folder / "copy")
    found = load("spread", copy / "sweep.db").confirm(**ARGUMENTS, backend="serial")
    assert found.table["dropped_after"].notna().any()
    return folder / "study", found


def check(place, before, whole):
    """The study is as it was, and its confirmation that of the undisturbed process."""
    study = load("spread", place)
    assert untouched(study) == before
    assert same(study.confirmation, whole)
    assert len(study.confirmations) == 1
    invariants.check(place, "spread")


OFTEN = [point for point in CONFIRMING_POINTS if point.split(":")[0] in ("write", "submit", "wait")]
TIMES = [*((point, 1) for point in CONFIRMING_POINTS), *((point, 40) for point in OFTEN)]


@pytest.mark.parametrize(("point", "time"), TIMES)
def test_a_process_that_ends_loses_nothing(tmp_path, whole, point, time):
    """Ended at a point, or later where it passes there again, it is gone on with by another."""
    study, undisturbed = whole
    place = shutil.copytree(study, tmp_path / "copy") / "sweep.db"
    before = untouched(load("spread", place))
    doom = Doom(point, time)
    with pytest.raises(Crash):
        drive(place, doom)
    assert load("spread", place).state == "complete"
    freed(place)
    drive(place, Doom())
    check(place, before, undisturbed)


def freed(place):
    """This process lives: let the lease run out that it would have left behind."""
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("UPDATE studies SET lease_expires = '2000-01-01 00:00:00.000000'")


@pytest.mark.slow
@pytest.mark.parametrize("point", CONFIRMING_POINTS)
def test_a_killed_process_loses_nothing(tmp_path, whole, point):
    """Killed with SIGKILL, twice where it passes there often, another goes on at once."""
    study, undisturbed = whole
    place = shutil.copytree(study, tmp_path / "copy") / "sweep.db"
    before = untouched(load("spread", place))
    for time in (30, 20) if point in OFTEN else (1,):
        command = [
            sys.executable,
            "-m",
            "tests.sweep.test_confirm_crashes",
            place,
            point,
            str(time),
        ]
        child = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=False)
        assert child.returncode == -signal.SIGKILL, child.stderr[-2000:]
    drive(place, Doom())
    check(place, before, undisturbed)


def test_every_point_is_passed(tmp_path, whole):
    """A name that no process comes by would test nothing, and nothing is trained twice."""
    place = shutil.copytree(whole[0], tmp_path / "copy") / "sweep.db"
    doom = Doom()
    drive(place, doom)
    assert doom.passed >= set(CONFIRMING_POINTS)


def kill_this_process(point):
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    drive(Path(sys.argv[1]), Doom(sys.argv[2], int(sys.argv[3]), kill_this_process))

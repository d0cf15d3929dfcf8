"""A driver killed with SIGKILL at each named point of its work, on real training, and its heir."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from sweep import checkpoints, loop, orchestrator
from sweep.backends.serial import SerialBackend
from sweep.orchestrator import Ended, run
from sweep.store import Store
from tests.sweep import invariants
from tests.sweep.doom import POINTS, Doom, PerilousCheckpoints, PerilousStore, perilous
from tests.sweep.studies import EMBEDDED, SMALL, finish, small

ROOT = Path(__file__).parents[2]
SEARCH = {"trials": 10, "sampler": "random", "workers": 3}
TEXTS = {"small": SMALL, "embedded": EMBEDDED}


def kill_this_process(point: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def drive(folder: Path, doom: Doom, text: str = SMALL, **search: object) -> None:
    """Run the study with a driver that may die; each trial has checkpoints."""
    PerilousCheckpoints.doom = doom
    with (
        patch.object(orchestrator, "Checkpoints", PerilousCheckpoints),
        patch.object(checkpoints, "WORTH", 0.0),
        patch.object(loop, "GROUP", 0.0),  # else how often it writes depends on the clock
        PerilousStore(folder / "sweep.db", doom) as store,
    ):
        events = run(small(folder, text, **SEARCH | search), store, perilous(SerialBackend, doom))
        *_, last = events
    assert last == Ended("complete")


def killed(
    folder: Path, point: str, time: int, trials: int = SEARCH["trials"], text: str = "small"
) -> None:
    """Have a child process drive the study and be killed at a point."""
    command = [sys.executable, "-m", "tests.sweep.test_crashes"]
    arguments = [str(folder), point, str(time), str(trials), text]
    child = subprocess.run(
        [*command, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert child.returncode == -signal.SIGKILL, child.stderr[-2000:]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The table of the undisturbed run, and of the same study with more trials."""
    folder = tmp_path_factory.mktemp("whole")
    tables = {}
    for trials in (SEARCH["trials"], SEARCH["trials"] + 3):
        finish(small(folder, **SEARCH | {"trials": trials}), folder / f"{trials}.db")
        tables[trials] = invariants.table(folder / f"{trials}.db", "small")
    return tables


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_driver_loses_nothing(tmp_path, whole, point):
    """Killed at a point, twice where it passes there often, the study goes on to the same table."""
    trials = SEARCH["trials"]
    if point.startswith("roll_back"):  # what extends a study
        drive(tmp_path, Doom())
        trials += 3
    once = point.split(":")[0] in ("claim", "session", "roll_back", "release")
    for time in (1,) if once else (3, 2):
        killed(tmp_path, point, time, trials)
    extended = small(tmp_path, **SEARCH | {"trials": trials})
    with Store(tmp_path / "sweep.db") as store:
        for _ in run(extended, store, SerialBackend):
            pass
    invariants.check(tmp_path / "sweep.db", "small", like=whole[trials])
    left = sorted(path.name for path in tmp_path.rglob("*.npz*") if "checkpoints" in path.parts)
    assert left == []


@pytest.mark.slow
@pytest.mark.parametrize("point", [point for point in POINTS if point.startswith("checkpoint")])
def test_a_killed_driver_keeps_embeddings(tmp_path, point):
    """A study of embeddings goes on from the states on disk to the table of a whole run."""
    spec = small(tmp_path, EMBEDDED, **SEARCH)
    finish(spec, tmp_path / "whole.db")
    for time in (3, 2):
        killed(tmp_path, point, time, text="embedded")
    finish(spec, tmp_path / "sweep.db")
    whole = invariants.table(tmp_path / "whole.db", "small")
    invariants.check(tmp_path / "sweep.db", "small", like=whole)


def test_every_point_is_passed(tmp_path):
    """A name that no driver comes by would test nothing."""
    doom = Doom()
    drive(tmp_path, doom)
    drive(tmp_path, doom, trials=SEARCH["trials"] + 3)
    assert doom.passed >= set(POINTS) - {"checkpoint: half written"}


if __name__ == "__main__":
    place, point, time, trials, text = sys.argv[1:]
    doom = Doom(point, int(time), kill_this_process)
    drive(Path(place), doom, TEXTS[text], trials=int(trials))

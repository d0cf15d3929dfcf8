"""Whole sweeps against Ray Tune and Optuna: `python -m tests.benchmarks.sweep [ROUNDS] [WORK...]`.

Every row is the same work by every tuner, in processes of their own, in turns, on the same machine;
times are from the start of the process to the end of the last trial (or to the target), in seconds,
the median of the rounds. Ray Tune is given fewer trials where it is slow, and its seconds a trial
count. Needs the extra `bench`.
"""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from tests.benchmarks.tuners import WORKS


@dataclass(frozen=True, slots=True)
class Run:
    """What one process did, in seconds since it was started."""

    whole: float
    first: float | None
    reached: float | None
    trials: int

    @property
    def each(self) -> float:
        return self.whole / max(1, self.trials)


Figure = Callable[[Run], float | None]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    title: str
    work: str
    trials: Mapping[str, int]
    """By tuner."""
    figure: Figure
    unit: str
    seeds: int = 0
    """So many rounds with a seed each, instead of those that were asked for."""


def a_trial(run: Run) -> float | None:
    return 1000 * run.each


def whole(run: Run) -> float | None:
    return run.whole


def first(run: Run) -> float | None:
    return run.first


def reached(run: Run) -> float | None:
    return run.reached


EMPTY = {
    "sweep": 200,
    "optuna-empty-memory": 200,
    "optuna-empty-sqlite": 200,
    "optuna-empty-journal": 200,
    "tune-empty": 40,
}
DIGITS = {"sweep": 100, "optuna-sklearn": 100, "tune-sklearn": 30, "tune-torch": 30}
TARGET = {"sweep": 100, "optuna-sklearn": 100, "tune-sklearn": 100}

ROWS = (
    Row("empty trials, random", "empty-random", EMPTY, a_trial, "ms a trial"),
    Row("empty trials, TPE", "empty-tpe", EMPTY, a_trial, "ms a trial"),
    Row("digits, 20 epochs, TPE", "digits", DIGITS, a_trial, "ms a trial"),
    Row("first finished trial", "one", {"sweep": 2, "tune-sklearn": 2}, first, "s"),
    Row("a study of one trial", "one", {"sweep": 1, "tune-sklearn": 1}, whole, "s"),
    Row("digits to 97 %, ASHA", "digits-97", TARGET, reached, "s", seeds=5),
    Row("digits to 98 %, ASHA", "digits-98", TARGET, reached, "s", seeds=5),
    Row("diabetes to RMSE 54, ASHA", "diabetes", TARGET, reached, "s", seeds=5),
)


def main(rounds: int = 3, works: Sequence[str] = ()) -> None:
    """Print a line for each tuner of each row, as it is known."""
    names = ("ray", "optuna", "scikit-learn", "torch", "numpy")
    print(", ".join(f"{name} {_version(name)}" for name in names), flush=True)
    print(f"{'work':28} {'tuner':22} {'median':>9} {'least':>9} {'most':>9} {'':12} {'ratio':>7}")
    for row in ROWS:
        if works and row.work not in works:
            continue
        known: dict[str, list[float | None]] = {tuner: [] for tuner in row.trials}
        for turn in range(row.seeds or rounds):
            for tuner, trials in row.trials.items():
                found = measure(tuner, row.work, turn, trials)
                known[tuner].append(None if found is None else row.figure(found))
        own = _median(known["sweep"])
        for tuner, figures in known.items():
            print(f"{row.title:28} {tuner:22} {_line(figures, own)} {row.unit}", flush=True)


def measure(tuner: str, work: str, seed: int, trials: int) -> Run | None:
    """Run a tuner in a process of its own; None if it failed."""
    assert work in WORKS
    command = [sys.executable, "-m", "tests.benchmarks.tuners", tuner, work, str(seed), str(trials)]
    began = time.time()
    done = subprocess.run(command, capture_output=True, text=True)
    ended = time.time()
    if done.returncode:
        print(f"{tuner} failed: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    moments = found["ended"]
    return Run(
        whole=ended - began,
        first=moments[0] - began if moments else None,
        reached=None if found["reached"] is None else found["reached"] - began,
        trials=len(moments),
    )


def _median(figures: Sequence[float | None]) -> float | None:
    """Of those that were reached, if most were."""
    found = [float("inf") if figure is None else figure for figure in figures]
    middle = statistics.median(found)
    return None if middle == float("inf") else middle


def _line(figures: Sequence[float | None], own: float | None) -> str:
    found = [figure for figure in figures if figure is not None]
    middle = _median(figures)
    if middle is None or own is None:
        return f"{'-':>9} {'-':>9} {'-':>9} {f'{len(found)} of {len(figures)}':12} {'-':>7}"
    met = "" if len(found) == len(figures) else f"{len(found)} of {len(figures)}"
    shown = f"{middle:9.2f} {min(found):9.2f} {max(found):9.2f}"
    return f"{shown} {met:12} {middle / own:6.1f}x"


def _version(name: str) -> str:
    try:
        return version(name)
    except ImportError:
        return "missing"


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]), works=sys.argv[2:])

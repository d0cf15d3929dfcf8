"""Whole sweeps against Ray Tune and Optuna: `python -m tests.benchmarks.sweep [ROUNDS] [WORK...]`,
of all works or of some: `python -m tests.benchmarks.sweep --help` names them.

Every row is the same work by every tuner, in processes of their own, in turns, on the same machine;
times are from the start of the process, in seconds, and of the rounds (3) the median counts. Ray
Tune is given fewer trials where it is slow: what a trial takes is compared. In the end come
proposals (`ask`) and the driver of a large cluster (`scale`), and the README's table of it all,
after half an hour on a machine that does nothing else.
Needs the extra `bench`, and rustuna if that is to be asked.
"""

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.benchmarks import suggestions
from tests.benchmarks.tuners import WORKS


@dataclass(frozen=True, slots=True)
class Run:
    """What one process did, in seconds since it was started."""

    whole: float
    moments: tuple[float, ...]
    """When trials ended."""
    reached: float | None
    """When the target was."""


Figure = Callable[[Run], float | None]


def a_trial(run: Run) -> float:
    """Milliseconds, the start and the end included."""
    return 1000 * run.whole / len(run.moments)


def one_more(run: Run) -> float:
    """Milliseconds from the end of a trial to that of the next."""
    return 1000 * (run.moments[-1] - run.moments[0]) / (len(run.moments) - 1)


def whole(run: Run) -> float:
    return run.whole


def first(run: Run) -> float:
    return run.moments[0]


def reached(run: Run) -> float | None:
    return run.reached


@dataclass(frozen=True, slots=True)
class Row:
    """What is measured of a work by several tuners."""

    work: str
    trials: Mapping[str, int]
    """By tuner."""
    figures: Mapping[str, tuple[Figure, str]]
    """By its title, and its unit."""
    seeds: int = 0
    """So many rounds with a seed each, instead of those that were asked for."""


EMPTY = {
    "sweep": 200,
    "tune-empty": 40,
    "optuna-empty-memory": 200,
    "optuna-empty-sqlite": 200,
    "optuna-empty-journal": 200,
}
DIGITS = {"sweep": 100, "tune-sklearn": 30, "tune-torch": 30, "optuna-sklearn": 100}
TARGET = {"sweep": 300, "tune-sklearn": 300, "optuna-sklearn": 300}
"""At most: the others stop when they are there."""

NAMES = {
    "sweep": ("sweep", ""),
    "tune-empty": ("Ray Tune", ""),
    "tune-sklearn": ("Ray Tune", "scikit-learn"),
    "tune-torch": ("Ray Tune", "PyTorch"),
    "optuna-empty-memory": ("Optuna", "in memory"),
    "optuna-empty-sqlite": ("Optuna", "SQLite"),
    "optuna-empty-journal": ("Optuna", "journal"),
    "optuna-sklearn": ("Optuna", "scikit-learn"),
    "optuna": ("Optuna", "TPE"),
    "rustuna": ("Optuna", "rustuna"),
}
"""Of each tuner the column of the README's table, and what is said of it there."""
COLUMNS = ("sweep", "Ray Tune", "Optuna")

ROWS = (
    *(
        Row(
            f"empty-{sampler}",
            EMPTY,
            {
                f"trials that do nothing, {name}": (a_trial, "ms a trial"),
                f"of it without start and end, {name}": (one_more, "ms a trial"),
            },
        )
        for sampler, name in (("random", "random"), ("tpe", "TPE"))
    ),
    Row("digits", DIGITS, {"digits, 20 epochs, TPE": (a_trial, "ms a trial")}),
    Row(
        "one",
        {"sweep": 1, "tune-sklearn": 1},
        {"to the first finished trial": (first, "s"), "a study of one trial": (whole, "s")},
    ),
    Row("digits-97", TARGET, {"digits to 97 %, ASHA": (reached, "s")}, seeds=5),
    Row("digits-98", TARGET, {"digits to 98 %, ASHA": (reached, "s")}, seeds=5),
    Row("diabetes", TARGET, {"diabetes to RMSE 54, ASHA": (reached, "s")}, seeds=5),
)

Cells = dict[str, dict[str, str]]
"""Of each title what is known of each tuner."""


def main(rounds: int = 3, works: Sequence[str] = ()) -> None:
    """Print a line for each tuner of each row as it is known, and then the README's table."""
    print(_where(), flush=True)
    print(f"{'work':40} {'tuner':22} {'median':>9} {'least':>9} {'most':>9} {'':18} {'ratio':>7}")
    cells: Cells = {}
    for row in ROWS:
        if not works or row.work in works:
            _measured(row, rounds, cells)
    if not works or "ask" in works:
        for trials in suggestions.TRIALS:
            found = suggestions.measure(trials)
            _show(f"a proposal after {trials:,} trials", found, "CPU ms", cells)
    if not works or "scale" in works:
        subprocess.run([sys.executable, "-m", "tests.benchmarks.scale"], check=True)
    print()
    print("\n".join(_table(cells)))


def _measured(row: Row, rounds: int, cells: Cells) -> None:
    runs: dict[str, list[Run | None]] = {tuner: [] for tuner in row.trials}
    for turn in range(row.seeds or rounds):
        for tuner, trials in row.trials.items():
            runs[tuner].append(measure(tuner, row.work, turn, trials))
    for title, (figure, unit) in row.figures.items():
        known = {
            tuner: [None if run is None else figure(run) for run in found]
            for tuner, found in runs.items()
        }
        _show(title, known, unit, cells)


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
    return Run(
        whole=ended - began - found["reading"],
        moments=tuple(moment - began for moment in found["ended"]),
        reached=None if found["reached"] is None else found["reached"] - began,
    )


def _show(title: str, known: Mapping[str, Sequence[float | None]], unit: str, cells: Cells) -> None:
    """Print the lines of a title and keep them for the table."""
    own = _median(known["sweep"])
    for tuner, figures in known.items():
        found = [figure for figure in figures if figure is not None]
        middle = _median(figures)
        met = "" if len(found) == len(figures) else f"{len(found)} of {len(figures)}"
        if math.isinf(middle):
            shown, ratio, cell = f"{'-':>9} {'-':>9} {'-':>9}", "-", f"{met} came there"
        else:
            shown = f"{middle:9.2f} {min(found):9.2f} {max(found):9.2f}"
            ratio = f"{middle / own:.1f}x"
            cell = f"{middle:,.1f} {unit}" if tuner == "sweep" else f"{middle:,.1f} ({ratio})"
            cell += f", {met} came there" if met else ""
        print(f"{title:40} {tuner:22} {shown} {unit:10} {met:7} {ratio:>7}", flush=True)
        column, of_it = NAMES[tuner]
        row = cells.setdefault(title, {})
        row[column] = ", ".join(filter(None, [row.get(column), f"{of_it} {cell}".strip()]))


def _median(figures: Sequence[float | None]) -> float:
    """With infinity for what was not reached."""
    return statistics.median(math.inf if figure is None else figure for figure in figures)


def _table(cells: Cells) -> list[str]:
    """In Markdown."""
    lines = [f"| {_where()} | {' | '.join(COLUMNS)} |", "|---" * (1 + len(COLUMNS)) + "|"]
    for title, row in cells.items():
        lines.append(f"| {title} | {' | '.join(row.get(name, '') for name in COLUMNS)} |")
    return lines


def _where() -> str:
    """Machine, versions and date."""
    names = ("ray", "optuna", "scikit-learn", "torch", "numpy")
    versions = ", ".join(f"{name} {_version(name)}" for name in names)
    kind = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    processor = kind[0].partition(":")[2].strip() if kind else platform.machine()
    machine = f"{os.cpu_count()} CPUs ({processor}), Python {platform.python_version()}"
    return f"{machine}, {versions}, {date.today()}"


def _lines(file: str) -> list[str]:
    try:
        return Path(file).read_text().splitlines()
    except OSError:
        return []


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.benchmarks.sweep")
    works = [*(row.work for row in ROWS), "ask", "scale"]
    parser.add_argument("rounds", nargs="?", type=int, default=3, help="whose median counts: 3")
    parser.add_argument("works", nargs="*", metavar="work", help=", ".join(works))
    found = parser.parse_args()
    if unknown := [work for work in found.works if work not in works]:
        parser.error(f"no work {', '.join(unknown)}: there are {', '.join(works)}")
    return found


if __name__ == "__main__":
    arguments = _arguments()
    main(arguments.rounds, arguments.works)

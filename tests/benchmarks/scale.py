"""A study on a cluster that this machine does not have: what the driver needs for each trial.

python -m tests.benchmarks.scale [TRIALS] [WORKERS] [SAMPLER]

The simulated backend stands in for the cluster; decisions, dispatch and the SQLite store are real.
Prints, for each tenth of the trials, the CPU milliseconds a trial of this process, which simulates
the workers too, and its resident memory.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

from sweep import studyfile
from sweep.backends.simulated import SimulatedBackend
from sweep.orchestrator import run
from sweep.spec import EDITION
from sweep.steps import Decide
from sweep.store import Store


def study(trials: int, workers: int, sampler: str) -> studyfile.StudySpec:
    """Seven parameters, up to 27 epochs, successive halving; twice as many virtual workers."""
    return studyfile.from_json(
        {
            "name": "scale",
            "edition": EDITION,
            "data": {"source": "sklearn:iris"},
            "space": {
                "layers": {"low": 1, "high": 3},
                "neurons": {"low": 16, "high": 128, "log": True},
                "activation": ["relu", "tanh", "sigmoid"],
                "batch_size": {"low": 8, "high": 64, "log": True},
                "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
            },
            "train": {"epochs": 27},
            "search": {
                "trials": trials,
                "workers": 2 * workers,
                "sampler": sampler,
                "pruner": "successive_halving",
            },
        }
    )


def resident() -> float:
    """MiB of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main(trials: int = 100_000, workers: int = 1_000, sampler: str = "random") -> None:
    """Print a line for each tenth of the trials."""
    print(f"{sampler}, {trials:,} trials on {workers:,} simulated workers")
    print(f"{'trials':>8} {'CPU ms a trial':>15} {'MiB':>7}")
    spec, ended, tenth = study(trials, workers, sampler), 0, trials // 10
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "sweep.db") as store:
        began = before = time.process_time()
        for event in run(spec, store, lambda sets: SimulatedBackend(sets, workers=workers)):
            if not isinstance(event, Decide) or event.state in ("running", "paused"):
                continue
            ended += 1
            if ended % tenth == 0:
                now = time.process_time()
                each = 1000 * (now - before) / tenth
                print(f"{ended:8,} {each:15.2f} {resident():7.0f}", flush=True)
                before = now
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{time.process_time() - began:.0f} CPU seconds in all, {peak:.0f} MiB at most")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]), *sys.argv[3:])

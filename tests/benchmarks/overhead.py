"""What the orchestrator, its store and Ray add to trials of a known length.

python -m tests.benchmarks.overhead [CPUS]

Trials that do nothing, and trials that keep a CPU busy for 50 ms, 500 ms and 1 s, on a local Ray
with the default number of virtual workers. Prints trials a second, the share of the CPUs' time that
was spent inside the trials, from the first that began to the last that was decided, and the
milliseconds a trial that the driver waited for the store.
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ray

from sweep import studyfile
from sweep.backends.ray import RayBackend
from sweep.backends.segment import Report, Segment
from sweep.orchestrator import run
from sweep.spec import SearchSpec
from sweep.steps import Begin, Decide
from sweep.store import Store
from trainer import Dataset, EpochRecord, TrainState

SECONDS_OF_WORK = 20.0

STUDY = {
    "name": "overhead",
    "data": {"source": "sklearn:iris", "test": 0.0},
    "space": {
        "layers": {"low": 1, "high": 3},
        "neurons": {"low": 16, "high": 128, "log": True},
        "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
    },
    "train": {"epochs": 1},
}


def bundle(work: list[tuple[Any, ...]], _: int, milliseconds: int, *states: Any) -> list[Any]:
    """Segments that keep a CPU busy for so long each, in the place of training."""
    done = [busy(segment, milliseconds) for segment, *_ in work]
    return [[report for report, _ in done], *(state for _, state in done)]


def busy(segment: Segment, milliseconds: int) -> tuple[Report, TrainState]:
    """A segment that keeps its CPU busy for so long, and what it reports."""
    started = time.time()
    until = time.perf_counter() + milliseconds / 1000
    while time.perf_counter() < until:
        pass
    record = EpochRecord(segment.until, 0.1, 1.0, 1.0, segment.seed / 2**32, 1.0, 0.0)
    report = Report(
        (record,), worker="0", node="here", started=started, loaded=started, finished=time.time()
    )
    return report, TrainState(segment.until, 1, np.zeros(10, np.float32), {})


class Busy(RayBackend):
    """Ray, with trials of a known length in the place of training."""

    task = ray.remote(num_cpus=1, max_retries=0)(bundle)

    def __init__(self, datasets: tuple[Dataset, ...], cpus: int, milliseconds: int) -> None:
        super().__init__(datasets, cpus=cpus)
        self._datasets, self._seconds = [milliseconds], milliseconds / 1000

    def submit(self, segment: Segment, *rest: Any) -> None:
        super().submit(replace(segment, seconds=self._seconds), *rest)


def main(cpus: int = 2) -> None:
    """Print a row for each sampler and length."""
    print(
        f"{'sampler':8} {'length':>7} {'trials':>7} {'trials/s':>9} {'CPU share':>10} {'store':>9}"
    )
    for sampler, milliseconds, trials in (
        ("random", 0, 1000),
        ("tpe", 0, 300),
        ("random", 50, 400),
        ("tpe", 50, 400),
        ("random", 500, 60),
        ("tpe", 500, 60),
        ("random", 1000, 200),
        ("tpe", 1000, 200),
    ):
        rate, share, store = _measure(sampler, milliseconds, trials, cpus)
        shown = f"{share:.1%}" if milliseconds else "-"
        print(
            f"{sampler:8} {milliseconds:4} ms {trials:7} {rate:9.1f} {shown:>10} {store:6.2f} ms",
            flush=True,
        )


def _measure(sampler: str, milliseconds: int, trials: int, cpus: int) -> tuple[float, float, float]:
    search = {"trials": trials, "sampler": sampler, "pruner": "none"}
    spec = studyfile.from_json(STUDY | {"search": search})
    trained, began, ended = 0.0, None, 0.0
    warm = SearchSpec().workers  # trials that wait for Ray's worker processes to start
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "sweep.db") as store:
        for event in run(spec, store, lambda datasets: Busy(datasets, cpus, milliseconds)):
            if isinstance(event, Begin) and event.trial.number == 2 * warm:
                began = time.time()
            elif isinstance(event, Decide):
                ended = time.time()
                (report,) = event.reports
                if began is not None and report.started > began:
                    trained += report.finished - report.started
        (session,) = store.sessions(store.study(spec.name)["id"])
    assert began is not None
    share = trained / (ended - began) / cpus
    return (trials - 2 * warm) / (ended - began), share, 1000 * session["recording"] / trials


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

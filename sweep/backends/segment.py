"""The unit of work: some epochs of one trial, a pure function of what the segment names."""

import os
import socket
import time
import traceback
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, Self

from threadpoolctl import ThreadpoolController

from trainer import Dataset, EpochRecord, TrainConfig, TrainState, run


@dataclass(frozen=True, slots=True)
class Segment:
    """Epochs `start` (excluded) to `until` of one trial."""

    trial: int
    config: TrainConfig
    seed: int
    start: int
    until: int


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a segment: its records, or why there are none. Times in seconds since 1970."""

    records: tuple[EpochRecord, ...] = ()
    outcome: str = "finished"
    """`finished`, `diverged`, `error`, `worker_lost` or `out_of_memory`."""
    error: str | None = None
    worker: str | None = None
    node: str | None = None
    started: float | None = None
    finished: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """A report on its way back, with the backend's handle on the state that training reached."""

    segment: Segment
    report: Report
    state: Any = None


class Backend(Protocol):
    """Runs segments somewhere. States stay where they were computed; handles travel."""

    @property
    def cpus(self) -> int:
        """How many segments run at once."""

    def submit(self, segment: Segment, state: Any = None) -> None:
        """Run a segment from the state of this handle, or from the trial's beginning."""

    def wait(self, timeout: float) -> list[Result]:
        """Whatever has come back by now; waits at most `timeout` seconds for the first."""

    def fetch(self, state: Any) -> TrainState | None:
        """The state behind a handle; None if it was lost."""

    def close(self) -> None:
        """Drop what still runs and free the machine."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


def compute(
    segment: Segment, state: TrainState | None, dataset: Dataset
) -> tuple[Report, TrainState | None]:
    """Train one segment in this process; an exception becomes a report."""
    started = time.time()
    outcome, error = "finished", None
    records: tuple[EpochRecord, ...] = ()
    try:
        with one_thread():
            records, state = _train(segment, state, dataset)
        if state.diverged:
            outcome = "diverged"
    except MemoryError as failure:
        outcome, error, state = "out_of_memory", repr(failure), None
    except Exception:
        outcome, error, state = "error", traceback.format_exc(), None
    report = Report(
        records=records,
        outcome=outcome,
        error=error,
        worker=f"{os.getpid()}",
        node=socket.gethostname(),
        started=started,
        finished=time.time(),
    )
    return report, state


def _train(
    segment: Segment, state: TrainState | None, dataset: Dataset
) -> tuple[tuple[EpochRecord, ...], TrainState]:
    # Without the state, the epochs before the segment are trained again, to the same bits.
    records, reached = run(segment.config, dataset, segment.seed, state, segment.until)
    return tuple(record for record in records if record.epoch > segment.start), reached


def one_thread() -> AbstractContextManager[Any]:
    """BLAS on one thread: on more, the last bits of large products differ, and the CPUs of other
    segments are taken."""
    limited: AbstractContextManager[Any] = _blas().limit(limits=1)
    return limited


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()

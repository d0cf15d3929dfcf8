"""What a worker does with a segment."""

import math
import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from threadpoolctl import ThreadpoolController

from sweep.backends import function, portable
from sweep.backends.segment import UNLIMITED, Beat, Limits, Report, Segment
from trainer import Dataset, EpochRecord, evaluate, train

FIRST_BEAT, BEAT = 0.5, 0.5
"""Seconds to a segment's first sign of life and between later ones; short segments give none."""

Metrics = tuple[tuple[str, float], ...]


def compute(
    segment: Segment,
    state: Any,
    dataset: Dataset,
    limits: Limits = UNLIMITED,
    tell: Callable[[Beat], None] | None = None,
) -> tuple[Report, Any]:
    """Train one segment in this process; an exception becomes a report.

    `tell` is given signs of life, from another thread.
    """
    started = loaded = time.time()
    outcome, error, records, metrics = "finished", None, list[EpochRecord](), Metrics()
    life = _Life(segment, started)
    try:
        with one_thread(), _telling(life, limits, tell), _limited(limits.memory):
            epochs = _epochs(segment, state, dataset)
            del state  # so that training can let go of it
            loaded = time.time()
            outcome, state = _follow(epochs, segment, limits, life, records)
            if outcome == "finished":
                metrics = _measure(segment, state, dataset)
            elif outcome == "timeout":
                error = f"past its limit of wall time after epoch {life.epoch}"
    except MemoryError as failure:
        outcome, error, state, records = "out_of_memory", _needed(failure, limits), None, []
    except Exception:
        outcome, error, state, records = "error", traceback.format_exc(), None, []
    report = Report(
        records=tuple(records),
        outcome=outcome,
        error=error,
        worker=f"{os.getpid()}",
        node=socket.gethostname(),
        started=started,
        loaded=loaded,
        finished=time.time(),
        platform=portable.platform(),
        metrics=metrics,
    )
    return report, state


def _epochs(
    segment: Segment, state: Any, dataset: Dataset
) -> Generator[EpochRecord, None, tuple[Any, bool]]:
    """The segment's training; returns the state and whether it diverged.

    Without the state, the epochs before the segment are trained again, to the same bits.
    """
    if segment.function is not None:
        return function.epochs(segment, state, dataset)
    return _trained(train(segment.config, dataset, segment.seed, state, segment.until))


def _trained(epochs: Any) -> Generator[EpochRecord, None, tuple[Any, bool]]:
    state = yield from epochs
    return state, state.diverged


def _follow(
    epochs: Generator[EpochRecord, None, tuple[Any, bool]],
    segment: Segment,
    limits: Limits,
    life: "_Life",
    records: list[EpochRecord],
) -> tuple[str, Any]:
    """Train, adding the segment's records to `records`; the outcome and the state."""
    began = time.monotonic()
    while True:
        try:
            record = next(epochs)
        except StopIteration as end:
            state, diverged = end.value
            return "diverged" if diverged else "finished", state
        life.see(record)
        if record.epoch > segment.start:
            records.append(record)
        spent = time.monotonic() - began
        if limits.seconds is not None and spent > limits.seconds and record.epoch < segment.until:
            epochs.close()
            return "timeout", None


def _measure(segment: Segment, state: Any, dataset: Dataset) -> Metrics:
    """The further metrics that the segment asks for, on the validation rows."""
    configs = {name: replace(segment.config, metric=name) for name in segment.metrics}
    return tuple(
        (name, evaluate(config, state.parameters, dataset, dataset.validation, state.embedding)[1])
        for name, config in configs.items()
    )


class _Life:
    """How far a segment has come."""

    def __init__(self, segment: Segment, started: float) -> None:
        self._segment, self._started = segment, started
        self.epoch, self._value = 0, math.nan

    def see(self, record: EpochRecord) -> None:
        self.epoch, self._value = record.epoch, record.validation_metric

    def beat(self) -> Beat:
        return Beat(
            trial=self._segment.trial,
            replicate=self._segment.replicate,
            started=self._started,
            epoch=self.epoch,
            value=self._value if math.isfinite(self._value) else None,
            resident=_memory("VmRSS"),
            worker=f"{os.getpid()}",
            node=socket.gethostname(),
        )


@contextmanager
def _telling(life: _Life, limits: Limits, tell: Callable[[Beat], None] | None) -> Iterator[None]:
    if tell is None:
        yield
        return
    if limits != UNLIMITED:
        tell(life.beat())  # from this thread: code that hangs may never give another its turn
    done = threading.Event()

    def run() -> None:
        pause = FIRST_BEAT
        while not done.wait(pause):
            tell(life.beat())
            pause = BEAT

    threading.Thread(target=run, name="signs of life", daemon=True).start()
    try:
        yield
    finally:
        done.set()


@contextmanager
def _limited(memory: int | None) -> Iterator[None]:
    """Allocations beyond so many more bytes raise MemoryError.

    RLIMIT_DATA and not RLIMIT_AS: what is shared, such as Ray's object store, is not counted.
    """
    if memory is None:
        yield
        return
    import resource  # not on Windows, where there is no limit to set

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (_memory("VmData") + memory, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _needed(failure: MemoryError, limits: Limits) -> str:
    if limits.memory is None:
        return repr(failure)
    allowed = f"{limits.memory / 2**20:.0f} MiB"
    return f"the trial needs more than the {allowed} that the study allows it: {failure!r}"


def _memory(field: str) -> int:
    """Bytes of this process, by a field of /proc/self/status; 0 where there is none."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(status.split(f"{field}:")[1].split()[0]) * 1024


def one_thread() -> AbstractContextManager[Any]:
    """BLAS on one thread: on more, the last bits of large products differ, and the CPUs of other
    segments are taken."""
    limited: AbstractContextManager[Any] = _blas().limit(limits=1)
    return limited


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()

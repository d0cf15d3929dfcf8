"""Segments as Ray tasks, on this machine or on a cluster."""

import time
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

# Before Ray itself, which reads the environment that it sets.
from sweep.backends.cluster import connect, first_line  # isort: split

import ray
from ray.exceptions import ObjectLostError, OutOfMemoryError, RayError, RayTaskError

from sweep.backends.compute import compute
from sweep.backends.mailbox import Mailbox, tell
from sweep.backends.portable import portable_environment
from sweep.backends.segment import UNLIMITED, Beat, Limits, Report, Result, Segment
from trainer import Dataset, TrainState

GRACE = 2.0
"""Seconds past its limit after which a segment that does not end by itself is killed."""

NEAR = 0.8
"""A worker that died with this share of its memory limit in use died of it."""

LISTEN = 0.25
"""Seconds between two looks into the mailbox."""

REST = 0.5
"""Seconds that a loss is kept back: at once, Ray may give the next try to another dead worker."""

LONG = 1.0
"""Seconds that a segment is out before it is worth a mailbox, which is one more process."""

VERDICTS = {
    "killed": "killed on request",
    "timeout": f"hung: {GRACE:g} s past its limit of wall time it was still in the same epoch",
}
"""The outcomes that a segment is killed with, and what its report says."""


def _compute(
    segment: Segment, state: Any, dataset: Dataset, limits: Limits, number: int
) -> tuple[Report, Any]:
    return compute(segment, state, dataset, limits, partial(tell, number))


@dataclass(slots=True)
class _Sent:
    """A segment that is out."""

    number: int
    segment: Segment
    state: Any
    limits: Limits
    report_ref: "ray.ObjectRef[Any]"
    reached: "ray.ObjectRef[Any]"
    submitted: float
    first: Beat | None = None
    last: Beat | None = None
    heard: float = 0.0
    """When the first sign of life came, by this machine's clock: others may go wrong."""
    verdict: str | None = None
    """The outcome that it is being killed with."""

    def hear(self, beat: Beat, now: float) -> None:
        if self.first is None:
            self.first, self.heard = beat, now
        self.last = beat

    def overdue(self, now: float) -> bool:
        seconds = self.limits.seconds
        return seconds is not None and self.first is not None and now > self.heard + seconds + GRACE

    def without_memory(self) -> bool:
        """Whether it was at its limit of memory when it was last heard of."""
        if self.limits.memory is None or self.first is None or self.last is None:
            return False
        return self.last.resident - self.first.resident > NEAR * self.limits.memory

    def report(self, outcome: str, error: str) -> Report:
        """What is known of a segment whose worker cannot say it."""
        if self.verdict is not None:
            outcome, error = self.verdict, VERDICTS[self.verdict]
        if self.first is None:
            return Report(outcome=outcome, error=error)
        return Report(
            outcome=outcome,
            error=error,
            worker=self.first.worker,
            node=self.first.node,
            started=self.first.started,
            finished=time.time(),
        )


class RayBackend:
    """Each segment is one Ray task on one CPU; Ray's own retries are off, the dispatch counts.

    The datasets are put into Ray's object store once, and the state that a segment reached stays
    there as well: the next segment of the trial reads it where it is. With `portable`, every
    worker has the kernels of x86-64-v3.
    """

    task: Any = ray.remote(num_cpus=1, num_returns=2, max_retries=0)(_compute)

    def __init__(
        self,
        datasets: tuple[Dataset, ...],
        *,
        cpus: int | None = None,
        address: str = "local",
        portable: bool = False,
    ) -> None:
        self.cpus = connect(cpus, address, portable_environment() if portable else {})
        self._datasets = [ray.put(dataset) for dataset in datasets]
        self._running: dict[ray.ObjectRef[Any], _Sent] = {}
        self._lost: list[tuple[float, Result]] = []
        self._submitted = 0
        self._mailbox: Mailbox | None = None
        self._looked = 0.0

    def submit(self, segment: Segment, state: Any = None, limits: Limits = UNLIMITED) -> None:
        if limits != UNLIMITED:
            self._open_mailbox()
        self._submitted += 1
        dataset = self._datasets[segment.fold]
        report, reached = self.task.remote(segment, state, dataset, limits, self._submitted)
        self._running[report] = _Sent(
            self._submitted, segment, state, limits, report, reached, time.monotonic()
        )

    def wait(self, timeout: float) -> list[Result]:
        end, results = time.monotonic() + timeout, list[Result]()
        while self._running or self._lost:
            self._listen()
            left = end - time.monotonic()
            results = self._come_back(max(0.0, min(left, LISTEN)))
            if results or left <= LISTEN:
                break
        return results

    def _come_back(self, timeout: float) -> list[Result]:
        if not self._running:
            time.sleep(timeout)
        first, rest = ray.wait(list(self._running), timeout=timeout) if self._running else ([], [])
        if rest and first:
            first += ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        now = time.monotonic()
        results = []
        for sent in [self._running.pop(report) for report in first]:
            result = self._result(sent)
            if result.report.outcome == "worker_lost":
                self._lost.append((now + REST, result))
            else:
                results.append(result)
        results += [result for due, result in self._lost if due <= now]
        self._lost = [(due, result) for due, result in self._lost if due > now]
        return results

    def _result(self, sent: _Sent) -> Result:
        state = sent.state
        try:
            report: Report = ray.get(sent.report_ref)
            return Result(sent.segment, report, sent.reached)
        except OutOfMemoryError as error:
            sent.first = None  # it was the node's memory: without a start it is sent again
            report = sent.report("out_of_memory", first_line(error))
        except RayError as error:
            cause = error.cause if isinstance(error, RayTaskError) else error
            if isinstance(cause, ObjectLostError):
                report, state = sent.report("worker_lost", first_line(cause)), None
            elif isinstance(error, RayTaskError):
                report = sent.report("error", str(error))
            else:
                lost = "out_of_memory" if sent.without_memory() else "worker_lost"
                report = sent.report(lost, first_line(error))
        return Result(sent.segment, report, state)

    def beats(self) -> list[Beat]:
        return [sent.last for sent in self._running.values() if sent.last is not None]

    def _open_mailbox(self) -> Mailbox:
        if self._mailbox is None:
            self._mailbox = Mailbox()
        return self._mailbox

    def _listen(self) -> None:
        """Take what the mailbox has sent, and kill what is overdue; never wait."""
        now = time.monotonic()
        if now < self._looked + LISTEN:
            return
        self._looked = now
        running = self._running.values()
        if self._mailbox is None and all(now <= sent.submitted + LONG for sent in running):
            return
        beats = self._open_mailbox().look(frozenset(sent.number for sent in running))
        for ref, sent in self._running.items():
            if (beat := beats.get(sent.number)) is not None:
                sent.hear(beat, now)
            if sent.verdict is None and sent.overdue(now):
                self._kill(ref, "timeout")

    def kill(self, segment: Segment) -> None:
        for ref, sent in self._running.items():
            if sent.segment == segment and sent.verdict is None:
                self._kill(ref, "killed")

    def _kill(self, ref: "ray.ObjectRef[Any]", verdict: str) -> None:
        self._running[ref].verdict = verdict
        ray.cancel(ref, force=True)

    def fetch(self, state: Any) -> TrainState | None:
        try:
            fetched: TrainState | None = ray.get(state)
        except RayError:
            return None
        return fetched

    def keep(self, state: TrainState) -> Any:
        return ray.put(state)

    def close(self) -> None:
        for ref in self._running:
            ray.cancel(ref, force=True)
        self._running.clear()
        ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

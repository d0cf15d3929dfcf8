"""Segments as Ray tasks, on this machine or on a cluster."""

import logging
import os
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Self

# Before Ray is imported: it reads these once, and would talk on the user's terminal.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
# What it prints of workers that died: the reports say it.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")

import ray
from ray._private.authentication.authentication_token_setup import (
    maybe_enable_token_auth_if_token_available,
)
from ray.exceptions import ObjectLostError, OutOfMemoryError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

import sweep
import trainer
from sweep.backends.compute import compute
from sweep.backends.portable import portable_environment
from sweep.backends.segment import UNLIMITED, Beat, Limits, Report, Result, Segment
from sweep.errors import BackendError
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

MAILBOX = "sweep signs of life"


class _Mailbox:
    """Where running segments leave their signs of life: the last of each."""

    def __init__(self) -> None:
        self._beats: dict[int, Beat] = {}

    def tell(self, number: int, beat: Beat) -> None:
        self._beats[number] = beat

    def read(self, running: frozenset[int]) -> dict[int, Beat]:
        self._beats = {number: b for number, b in self._beats.items() if number in running}
        return self._beats


def _compute(
    segment: Segment, state: Any, dataset: Dataset, limits: Limits, number: int
) -> tuple[Report, Any]:
    return compute(segment, state, dataset, limits, partial(_tell, number))


def _tell(number: int, beat: Beat) -> None:
    # No mailbox yet, or no memory for it: the next one may arrive.
    with suppress(ValueError, RayError, MemoryError):
        _mailbox().tell.remote(number, beat)


@cache
def _mailbox() -> Any:
    return ray.get_actor(MAILBOX)


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
        _start(cpus, address, portable_environment() if portable else {})
        self.cpus = int(ray.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call]
        if not self.cpus:
            raise BackendError(f"the Ray cluster at {address} has no CPUs; add a node that has")
        self._datasets = [ray.put(dataset) for dataset in datasets]
        self._running: dict[ray.ObjectRef[Any], _Sent] = {}
        self._lost: list[tuple[float, Result]] = []
        self._submitted = 0
        self._mailbox: Any = None
        self._reading: ray.ObjectRef[Any] | None = None
        self._read = 0.0

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
            report = sent.report("out_of_memory", _first_line(error))
        except RayError as error:
            cause = error.cause if isinstance(error, RayTaskError) else error
            if isinstance(cause, ObjectLostError):
                report, state = sent.report("worker_lost", _first_line(cause)), None
            elif isinstance(error, RayTaskError):
                report = sent.report("error", str(error))
            else:
                lost = "out_of_memory" if sent.without_memory() else "worker_lost"
                report = sent.report(lost, _first_line(error))
        return Result(sent.segment, report, state)

    def beats(self) -> list[Beat]:
        return [sent.last for sent in self._running.values() if sent.last is not None]

    def _open_mailbox(self) -> None:
        if self._mailbox is None:
            here = NodeAffinitySchedulingStrategy(
                ray.get_runtime_context().get_node_id(), soft=True
            )
            actor = ray.remote(num_cpus=0, max_restarts=-1)(_Mailbox)
            self._mailbox = actor.options(name=MAILBOX, scheduling_strategy=here).remote()

    def _listen(self) -> None:
        """Take what the mailbox has sent, ask for more, and kill what is overdue; never wait."""
        now = time.monotonic()
        if now < self._read + LISTEN:
            return
        self._read = now
        if self._mailbox is None:
            if not any(now > sent.submitted + LONG for sent in self._running.values()):
                return
            self._open_mailbox()
        if self._reading is not None and ray.wait([self._reading], timeout=0)[0]:
            self._hear(self._reading, now)
            self._reading = None
        if self._reading is None:
            numbers = frozenset(sent.number for sent in self._running.values())
            self._reading = self._mailbox.read.remote(numbers)
        for ref, sent in self._running.items():
            if sent.verdict is None and sent.overdue(now):
                self._kill(ref, "timeout")

    def _hear(self, reading: "ray.ObjectRef[Any]", now: float) -> None:
        try:
            beats: dict[int, Beat] = ray.get(reading)
        except RayError:
            return  # its node went; Ray starts it again elsewhere
        for sent in self._running.values():
            if (beat := beats.get(sent.number)) is not None:
                if sent.first is None:
                    sent.first, sent.heard = beat, now
                sent.last = beat

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
        for reached in self._running:
            ray.cancel(reached, force=True)
        self._running.clear()
        ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _start(cpus: int | None, address: str, environment: dict[str, str]) -> None:
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    workers: dict[str, Any] = {"env_vars": environment} if environment else {}
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        if address == "local":
            ray.init("local", num_cpus=cpus, include_dashboard=False, runtime_env=workers, **quiet)
        else:
            _check_reachable(address)
            # As `ray start` does: a cluster that it began has asked for this user's token since.
            maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
            # The nodes have Ray; the code that they run comes from here, so that all run the same.
            workers["py_modules"] = [sweep, trainer]
            ray.init(address, runtime_env=workers, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        raise BackendError(
            f"Ray at {address} cannot be used: {_first_line(error)}; --address takes host:port as "
            "`ray start --head` prints it, auto for the cluster of this machine, or local to start "
            "one here; --backend serial does without Ray"
        ) from error


def _check_reachable(address: str) -> None:
    """Raises OSError or ValueError at once where Ray itself would try for minutes."""
    if address != "auto":
        host, separator, port = address.rpartition(":")
        if not separator or "/" in host or not port.isdigit():
            raise ValueError(f"{address!r} is not host:port")
        socket.create_connection((host, int(port)), timeout=5).close()


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]

"""Segments as Ray tasks, on this machine or on a cluster."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from itertools import chain
from math import ceil
from typing import Any, Self

# Before Ray itself, which reads the environment that it sets.
from sweep.backends.cluster import connect  # isort: split

import ray
from ray.exceptions import ObjectLostError, OutOfMemoryError, RayError, RayTaskError

from sweep.backends.compute import compute
from sweep.backends.mailbox import Mailbox, tell
from sweep.backends.portable import portable_environment
from sweep.backends.processes import Here
from sweep.backends.segment import UNLIMITED, Beat, Limits, Report, Result, Segment
from sweep.backends.sent import Sent
from sweep.errors import first_line
from trainer import Dataset, TrainState

LISTEN = 0.25
"""Seconds between two looks into the mailbox."""

REST = 0.5
"""Seconds that a loss is kept back: at once, Ray may give the next try to another dead worker."""

AHEAD = 2
"""Bundles for each CPU: one that runs and one to follow it."""

PROBES = 8
"""Workers, at most, that are started before there is work for them."""

LONG = 1.0
"""Seconds that a segment is out before it is worth a mailbox, which is one more process."""


Work = tuple[Segment, Limits, int, int]
"""A segment, its limits, the number of its signs of life, and which of the datasets is its own."""


def _compute(work: list[Work], datasets: int, *data: Any) -> list[Any]:
    """Train a bundle of segments; `data` are so many datasets and then the segments' states. The
    list of their reports, and then the state that each of them reached."""
    states = list(data[datasets:])
    reports, reached = [], []
    for segment, limits, number, dataset in work:
        report, state = compute(
            segment, _taken(states), data[dataset], limits, partial(tell, number)
        )
        reports.append(report)
        reached.append(state)
    return [reports, *reached]


def _taken(states: list[Any]) -> Any:
    """The next state, which only training then holds, so that it can let go of it."""
    state = states.pop(0)
    return state.state() if isinstance(state, Here) else state


def _begin() -> None:
    """Nothing, for which a worker has to have loaded this module."""


@dataclass(slots=True, eq=False)
class _Sent(Sent):
    """A segment that is out on Ray."""

    _: KW_ONLY
    number: int
    submitted: float
    reached: "ray.ObjectRef[Any] | None" = None


class RayBackend:
    """Bundles of segments are Ray tasks on one CPU; Ray's own retries are off, the dispatch counts.

    The datasets are put into Ray's object store once, and the state that a segment reached stays
    there as well: the next segment of the trial reads it where it is. With `portable`, every
    worker has the kernels of x86-64-v3.
    """

    task: Any = ray.remote(num_cpus=1, max_retries=0)(_compute)

    def __init__(
        self,
        datasets: tuple[Dataset, ...],
        *,
        cpus: int | None = None,
        address: str = "local",
        portable: bool = False,
        is_own: bool = False,
    ) -> None:
        environment = portable_environment() if portable else {}
        self.cpus = connect(cpus, address, environment, is_own=is_own)
        self._datasets = [ray.put(dataset) for dataset in datasets]
        self._unsent: list[_Sent] = []
        self._running: dict[ray.ObjectRef[Any], list[_Sent]] = {}
        """Bundles, by the reference to their reports."""
        self._done: list[Result] = []
        self._lost: list[tuple[float, Result]] = []
        self._submitted = 0
        self._mailbox: Mailbox | None = None
        self._looked = 0.0
        self._probes: list[ray.ObjectRef[Any]] = []

    def is_ready(self) -> bool:
        """Whether a worker would begin at once. The first call has workers started, or the code
        sent to them; none waits."""
        if not self._probes:
            probe = ray.remote(num_cpus=1, max_retries=0)(_begin)
            self._probes = [probe.remote() for _ in range(min(self.cpus, PROBES))]
        return bool(ray.wait(self._probes, timeout=0)[0])

    def submit(self, segment: Segment, state: Any = None, limits: Limits = UNLIMITED) -> None:
        if limits != UNLIMITED:
            self._open_mailbox()
        self._submitted += 1
        self._unsent.append(
            _Sent(segment, state, limits, number=self._submitted, submitted=time.monotonic())
        )

    def _send(self) -> None:
        """Send what was submitted, as few bundles as keep the CPUs busy."""
        tasks = max(1, AHEAD * self.cpus - len(self._running))
        for bundle in bundles(self._unsent, tasks):
            folds = sorted({sent.segment.fold for sent in bundle})
            work = [(s.segment, s.limits, s.number, folds.index(s.segment.fold)) for s in bundle]
            data = [self._datasets[fold] for fold in folds] + [sent.state for sent in bundle]
            task = self.task.options(num_returns=1 + len(bundle))
            reports, *reached = task.remote(work, len(folds), *data)
            for sent, state in zip(bundle, reached, strict=True):
                sent.reached = state
            self._running[reports] = bundle
        self._unsent.clear()

    def wait(self, timeout: float) -> list[Result]:
        self._send()
        end, results = time.monotonic() + timeout, list[Result]()
        while self._running or self._lost or self._done:
            self._listen()
            left = end - time.monotonic()
            results = self._come_back(max(0.0, min(left, LISTEN)))
            if results or left <= LISTEN:
                break
        return results

    def _come_back(self, timeout: float) -> list[Result]:
        results, self._done = self._done, []
        timeout = 0.0 if results else timeout
        if not self._running:
            time.sleep(timeout)
        first, rest = ray.wait(list(self._running), timeout=timeout) if self._running else ([], [])
        if rest and first:
            first += ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        now = time.monotonic()
        for reports in first:
            for result in self._results(reports, self._running.pop(reports)):
                if result.report.outcome == "worker_lost":
                    self._lost.append((now + REST, result))
                else:
                    results.append(result)
        results += [result for due, result in self._lost if due <= now]
        self._lost = [(due, result) for due, result in self._lost if due > now]
        return results

    def _results(self, ref: "ray.ObjectRef[Any]", bundle: list[_Sent]) -> list[Result]:
        try:
            reports: list[Report] = ray.get(ref)
        except RayError as error:
            return [self._lost_result(sent, error) for sent in bundle]
        return [
            Result(sent.segment, report, sent.reached)
            for sent, report in zip(bundle, reports, strict=True)
        ]

    def _lost_result(self, sent: _Sent, error: RayError) -> Result:
        """What comes of a segment whose task brought nothing."""
        state, cause = sent.state, error.cause if isinstance(error, RayTaskError) else error
        if isinstance(error, OutOfMemoryError):
            sent.first = None  # it was the node's memory: without a start it is sent again
            report = sent.report("out_of_memory", first_line(error))
        elif isinstance(cause, ObjectLostError):
            report, state = sent.report("worker_lost", first_line(cause)), None
        elif isinstance(error, RayTaskError):
            report = sent.report("error", str(error))
        else:
            report = sent.report(sent.lost(), first_line(error))
        return Result(sent.segment, report, state)

    def beats(self) -> list[Beat]:
        return [sent.last for sent in self._sent() if sent.last is not None]

    def _sent(self) -> Iterator[_Sent]:
        return chain.from_iterable(self._running.values())

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
        if self._mailbox is None and all(now <= sent.submitted + LONG for sent in self._sent()):
            return
        beats = self._open_mailbox().look(frozenset(sent.number for sent in self._sent()))
        for ref, bundle in self._running.items():
            for sent in bundle:
                if (beat := beats.get(sent.number)) is not None:
                    sent.hear(beat, now)
                if sent.verdict is None and sent.overdue(now):
                    self._kill(ref, sent, "timeout")

    def kill(self, segment: Segment) -> None:
        for sent in [sent for sent in self._unsent if sent.segment == segment]:
            self._unsent.remove(sent)
            self._done.append(Result(segment, Report(outcome="killed"), sent.state))
        for ref, bundle in self._running.items():
            for sent in bundle:
                # One of several is soon over, and comes back as what it becomes.
                if sent.segment == segment and sent.verdict is None and len(bundle) == 1:
                    self._kill(ref, sent, "killed")

    def _kill(self, ref: "ray.ObjectRef[Any]", sent: _Sent, verdict: str) -> None:
        sent.verdict = verdict
        ray.cancel(ref, force=True)

    def fetch(self, state: Any) -> TrainState | None:
        if isinstance(state, Here):
            return state.fetch()
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
        self._unsent.clear()
        self._running.clear()
        ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def bundles(sent: Sequence[_Sent], tasks: int) -> Iterator[list[_Sent]]:
    """Neighbours together, in `tasks` bundles or in as many more as it takes for none to be longer
    than a bundle may be. What has limits travels alone: it may be killed for them."""
    size = max(1, ceil(len(sent) / tasks))
    bundle, full = list[_Sent](), 0.0
    for each in sent:
        share = each.segment.share if each.limits == UNLIMITED else 1.0
        if bundle and (len(bundle) == size or full + share > 1):
            yield bundle
            bundle, full = [], 0.0
        bundle.append(each)
        full += share
    if bundle:
        yield bundle

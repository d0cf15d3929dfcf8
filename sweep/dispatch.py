"""Segments out to the backend and their reports back, whatever happens on the way."""

import heapq
import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Protocol

from sweep.backends import UNLIMITED, Backend, Beat, Limits, Report, Result, Segment
from sweep.checkpoints import Checkpoints
from sweep.journal import Journal
from sweep.rows import Attempt
from trainer import TrainState
from trainer.archive import ArchiveError

ATTEMPTS = 3
"""How often a segment whose worker is lost is sent out before its trial ends as `worker_lost`."""

AHEAD = 2
"""Bundles of segments at the backend for each of its CPUs: one that runs and one to follow it."""

PATIENCE = 0.2
"""Seconds to wait for a report before others get a turn: a stop is seen, the display goes on."""


class Memory(Protocol):
    """What is on record of segments."""

    def recall(self, segment: Segment) -> Report | None:
        """The report of a segment that came back before."""

    def arrived(self, segment: Segment, attempt: Attempt) -> None:
        """Something came back of a segment."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed and nothing was decided."""

    beats: Mapping[int, Beat] = field(default_factory=dict)
    """The last sign of life of each trial that runs and has given one: its epoch and the metric
    after it. Of several replicates that run, the one that is behind the others."""


@dataclass(slots=True)
class _Open:
    """A segment that was asked for and is not answered."""

    virtual_end: float
    cost: float
    queued: float
    recorded: bool
    sent: float | None = None
    attempts: int = 0
    losses: int = 0
    state: Any = None
    """A handle on the state to begin from."""


@dataclass(slots=True)
class Dispatch:
    """Answers each segment from the record, or from the backend.

    A segment is deterministic, so one whose worker was lost is simply sent again: from the state
    its trial had reached, or from the last checkpoint, or from the trial's beginning. What comes
    back is recorded when it arrives, before anyone asks for it. The backend has only as much as
    keeps it busy; the rest waits here, the earliest virtual end first.
    """

    backend: Backend
    journal: Memory
    checkpoints: Checkpoints | None = None
    limits: Limits = UNLIMITED
    """Of each trial's replicate: the wall seconds of all its epochs, and memory."""
    hold: bool = False
    """Whether nothing new goes to the backend."""
    _open: dict[Segment, _Open] = field(default_factory=dict)
    _heap: list[tuple[float, int, Segment]] = field(default_factory=list)
    _order: Iterator[int] = field(default_factory=count)
    _sent: set[Segment] = field(default_factory=set)
    _reports: dict[Segment, Report] = field(default_factory=dict)
    _states: dict[int, dict[int, tuple[int, Any]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """By trial and replicate: the end of the segment that reached it, and the handle."""
    _seconds: dict[int, dict[tuple[int, int], float]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """By trial, then replicate and end: what a segment's epochs took."""
    _killed: set[int] = field(default_factory=set)
    """Trials that go no further."""
    _beats: Mapping[int, Beat] = field(default_factory=dict)
    _listened: float = -math.inf

    def submit(self, segment: Segment, virtual_end: float, cost: float = 0.0) -> None:
        """Have a segment's report sooner or later.

        `cost` is the predicted seconds from the trial's beginning to the segment's end.
        """
        if segment in self._open or segment in self._reports:
            return
        if (recorded := self.journal.recall(segment)) is not None:
            self._accept(segment, recorded)
            return
        self._ask(segment, _Open(virtual_end, cost, time.time(), recorded=True))
        if segment.trial in self._killed:
            self._end(segment)
        self._fill()

    def compute(self, segment: Segment) -> None:
        """Have a segment computed, whether or not it is recorded, and do not record it."""
        self._ask(segment, _Open(0.0, 0.0, time.time(), recorded=False))
        self._fill()

    def is_ready(self, segment: Segment) -> bool:
        return segment in self._reports

    def starved(self, segment: Segment) -> bool:
        """Whether a segment stays unanswered for as long as `hold` is set."""
        return self.hold and segment in self._open and segment not in self._sent

    @property
    def is_stuck(self) -> bool:
        """Whether nothing runs, and what waits does so for as long as `hold` is set."""
        return self.hold and not self._sent and bool(self._open)

    def ticks(self, segment: Segment) -> Iterator[Tick]:
        """Tick until the segment's report is there."""
        while segment not in self._reports:
            self._fill()
            if self.hold and not self._sent:
                time.sleep(PATIENCE)  # a backend with nothing to do would not wait
            for result in self.backend.wait(PATIENCE):
                self._receive(result)
            self._fill()
            yield Tick(self.beats())

    def take(self, segment: Segment) -> Report:
        return self._reports.pop(segment)

    def state(self, segment: Segment) -> TrainState | None:
        """The state that a segment reached, if its trial's last one computed here, and not lost."""
        handle = self._reached(segment, segment.until)
        return None if handle is None else self.backend.fetch(handle)

    def forget(self, trial: int) -> None:
        """Let go of what a trial that has ended no longer needs."""
        self._states.pop(trial, None)
        self._seconds.pop(trial, None)
        self._killed.discard(trial)
        if self.checkpoints is not None:
            self.checkpoints.remove(trial)

    def kill(self, trial: int) -> bool:
        """End what runs or waits of a trial with the outcome `killed`; whether there was any.

        What has finished by now stays, and the trial's next segment comes back as `killed`.
        """
        doomed = [segment for segment in self._open if segment.trial == trial]
        if not doomed and all(segment.trial != trial for segment in self._reports):
            return False
        self._killed.add(trial)
        for segment in doomed:
            if segment in self._sent:
                self.backend.kill(segment)
            else:
                self._end(segment)
        return True

    def go_on(self, journal: Journal) -> None:
        """Go on with the record of an extended study: of trials that it lacks, nothing is awaited
        or known any more, and the others run on."""
        self.journal, self.hold = journal, False
        gone = {s.trial for s in (*self._open, *self._reports)} - journal.proposed.keys()
        self._open = {s: opened for s, opened in self._open.items() if s.trial not in gone}
        self._reports = {s: report for s, report in self._reports.items() if s.trial not in gone}
        self._sent &= self._open.keys()
        for trial in gone:
            self.forget(trial)

    def cancel(self) -> None:
        """End all that runs or waits and record nothing of it; nothing is asked for after this."""
        for segment in self._sent:
            self.backend.kill(segment)
        self._open.clear()
        self._sent.clear()
        self._heap.clear()

    def beats(self) -> Mapping[int, Beat]:
        """See `Tick.beats`; asked for a few times a second, however many results come."""
        if (now := time.monotonic()) >= self._listened + PATIENCE:
            self._listened = now
            beats = sorted(self.backend.beats(), key=lambda beat: -beat.epoch)
            self._beats = {beat.trial: beat for beat in beats}
        return self._beats

    def _ask(self, segment: Segment, opened: _Open) -> None:
        opened.state = self._reached(segment, segment.start)
        self._open[segment] = opened
        self._wait_in_line(segment)

    def _wait_in_line(self, segment: Segment) -> None:
        entry = (self._open[segment].virtual_end, next(self._order), segment)
        heapq.heappush(self._heap, entry)

    def _fill(self) -> None:
        while self._heap and not self.hold:
            segment = self._heap[0][-1]
            if len(self._sent) * segment.share >= AHEAD * self.backend.cpus:
                break
            heapq.heappop(self._heap)
            if segment in self._open and segment not in self._sent:  # else it was killed
                self._send(segment)

    def _send(self, segment: Segment) -> None:
        opened = self._open[segment]
        if opened.state is None:
            opened.state = self._saved(segment)
        self._sent.add(segment)
        opened.sent = time.time()
        self.backend.submit(segment, opened.state, self._left(segment, opened))

    def _reached(self, segment: Segment, epoch: int) -> Any:
        """A handle on the state of the segment's training at this epoch, if it is there."""
        until, handle = self._states[segment.trial].get(segment.replicate, (0, None))
        return handle if until == epoch else None

    def _left(self, segment: Segment, opened: _Open) -> Limits:
        """The trial's limits, less what its epochs before the segment took."""
        if self.limits.seconds is None or opened.state is None:
            return self.limits
        spent = sum(
            seconds
            for (replicate, until), seconds in self._seconds[segment.trial].items()
            if replicate == segment.replicate and until <= segment.start
        )
        return replace(self.limits, seconds=max(0.0, self.limits.seconds - spent))

    def _saved(self, segment: Segment) -> Any:
        """A handle on the last checkpoint's state, if there is one that is sound."""
        if self.checkpoints is None or not segment.start:
            return None
        try:
            state = self.checkpoints.load(segment)
        except (ArchiveError, OSError) as error:
            self.checkpoints.remove(segment.trial)
            damaged = Report(outcome="checkpoint_damaged", error=str(error))
            self._arrive(segment, damaged, accepted=False)
            return None
        return None if state is None else self.backend.keep(state)

    def _receive(self, result: Result) -> None:
        segment, report = result.segment, result.report
        if segment not in self._sent:
            return  # cancelled, or told twice
        self._sent.remove(segment)
        opened = self._open[segment]
        if may_end_otherwise(report, self.limits):
            opened.losses += 1
            if segment.trial in self._killed:
                self._end(segment)
                return
            if opened.losses < ATTEMPTS:
                self._arrive(segment, report, accepted=False)
                # The second time without the state, should that be what kills the worker.
                opened.state = result.state if opened.losses == 1 else None
                self._wait_in_line(segment)
                return
        self._arrive(segment, report, accepted=True)
        if report.outcome == "finished":
            self._states[segment.trial][segment.replicate] = segment.until, result.state
            if self.checkpoints is not None:
                backend, reached = self.backend, result.state
                self.checkpoints.keep(segment, opened.cost, lambda: backend.fetch(reached))
        else:
            self._states[segment.trial].pop(segment.replicate, None)
        self._accept(segment, report)

    def _end(self, segment: Segment) -> None:
        """Answer a segment that is not out any more, of a trial that was killed."""
        killed = Report(outcome="killed")
        self._arrive(segment, killed, accepted=True)
        self._accept(segment, killed)

    def _arrive(self, segment: Segment, report: Report, *, accepted: bool) -> None:
        opened, now = self._open[segment], time.time()
        opened.attempts += 1
        if opened.recorded:
            sent = now if opened.sent is None else opened.sent
            attempt = Attempt(opened.attempts, opened.queued, sent, now, report, accepted)
            self.journal.arrived(segment, attempt)
        opened.queued, opened.sent = now, None

    def _accept(self, segment: Segment, report: Report) -> None:
        self._open.pop(segment, None)
        self._reports[segment] = report
        spent = sum(record.seconds for record in report.records)
        self._seconds[segment.trial][segment.replicate, segment.until] = spent


def may_end_otherwise(report: Report, limits: Limits) -> bool:
    """Whether a segment that brought nothing is worth another try.

    Memory that ran out under the study's own limit would run out again. A segment that was killed
    because its node ran short of memory has told no start: elsewhere, or later, it may pass.
    """
    if report.outcome == "out_of_memory":
        return limits.memory is None or report.started is None
    return report.outcome == "worker_lost"

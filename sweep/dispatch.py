"""Segments out to the backend and their reports back, whatever happens on the way."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sweep.backends import Backend, Report, Result, Segment
from sweep.journal import Attempt, Journal
from trainer import TrainState

ATTEMPTS = 3
"""How often a segment whose worker is lost is sent out before its trial ends as `worker_lost`."""

LOST = ("worker_lost", "out_of_memory")
PATIENCE = 0.2
"""Seconds to wait for a report before others get a turn: a stop is seen, the display goes on."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed and nothing was decided."""


@dataclass(slots=True)
class Dispatch:
    """Answers each segment from the record, or from the backend.

    A segment is deterministic, so one whose worker was lost is simply sent again: from the state
    its trial had reached, and, should that be what was lost, from the trial's beginning.
    """

    backend: Backend
    journal: Journal
    attempts: dict[Segment, list[Attempt]] = field(default_factory=dict)
    _states: dict[int, Any] = field(default_factory=dict)
    _queued: dict[Segment, float] = field(default_factory=dict)
    _reports: dict[Segment, Report] = field(default_factory=dict)

    def submit(self, segment: Segment) -> None:
        """Have a segment's report sooner or later."""
        if (recorded := self.journal.recall(segment)) is not None:
            self.attempts[segment] = []
            self._reports[segment] = recorded
        else:
            self.compute(segment)

    def compute(self, segment: Segment) -> None:
        """Have a segment computed, whether or not it is recorded."""
        self.attempts[segment] = []
        self._send(segment, self._states.get(segment.trial))

    def is_ready(self, segment: Segment) -> bool:
        return segment in self._reports

    def ticks(self, segment: Segment) -> Iterator[Tick]:
        """Tick until the segment's report is there."""
        while segment not in self._reports:
            for result in self.backend.wait(PATIENCE):
                self._receive(result)
            yield Tick()

    def take(self, segment: Segment) -> Report:
        return self._reports.pop(segment)

    def state(self, segment: Segment) -> TrainState | None:
        """The state that a trial's last computed segment reached, unless it was lost."""
        handle = self._states.get(segment.trial)
        return None if handle is None else self.backend.fetch(handle)

    def forget(self, segment: Segment, *, trial_ended: bool) -> None:
        """Let go of what a decided segment no longer needs."""
        del self.attempts[segment]
        if trial_ended:
            self._states.pop(segment.trial, None)

    def _send(self, segment: Segment, state: Any) -> None:
        self._queued[segment] = time.time()
        self.backend.submit(segment, state)

    def _receive(self, result: Result) -> None:
        segment, report = result.segment, result.report
        tries = self.attempts[segment]
        tries.append(Attempt(len(tries) + 1, self._queued.pop(segment), report))
        if report.outcome in LOST and len(tries) < ATTEMPTS:
            self._send(segment, self._states.get(segment.trial) if len(tries) == 1 else None)
        else:
            self._reports[segment] = report
            self._states[segment.trial] = result.state

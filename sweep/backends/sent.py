"""A segment that is out: how far it has told that it is, and what is known when it cannot say."""

import time
from dataclasses import dataclass
from typing import Any

from sweep.backends.segment import Beat, Limits, Report, Segment

GRACE = 2.0
"""Seconds past its limit after which a segment that does not end by itself is killed."""

NEAR = 0.8
"""A worker that died with this share of its memory limit in use died of it."""

VERDICTS = {
    "killed": "killed on request",
    "timeout": f"hung: {GRACE:g} s past its limit of wall time it was still in the same epoch",
}
"""The outcomes that a segment is killed with, and what its report says."""


@dataclass(slots=True, eq=False)
class Sent:
    """A segment that is out."""

    segment: Segment
    state: Any
    limits: Limits
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

    def lost(self) -> str:
        """How it ended if its worker died: at its limit of memory when last heard of, or not."""
        if self.limits.memory is None or self.first is None or self.last is None:
            return "worker_lost"
        used = self.last.resident - self.first.resident
        return "out_of_memory" if used > NEAR * self.limits.memory else "worker_lost"

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

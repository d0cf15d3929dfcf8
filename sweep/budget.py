"""What a study may spend by the clock, which is a fact about its machines."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from sweep.spec import StudySpec
from sweep.store import Row

CLOCKED = ("wall_time", "cpu_time")
"""The budgets of a study that a clock spends."""


@dataclass(slots=True)
class Clock:
    """The wall time of a study over all of its sessions, from when their backends were ready."""

    spec: StudySpec
    before: float
    """Seconds of the earlier sessions."""
    ready: float

    @classmethod
    def start(cls, spec: StudySpec, sessions: Iterable[Row]) -> "Clock":
        """The clock of a session whose backend is ready."""
        ended = [row for row in sessions if row["ready"] and row["ended"]]
        before = sum((row["ended"] - row["ready"]).total_seconds() for row in ended)
        return cls(spec, before, time.monotonic())

    def spent(self, training: float) -> str | None:
        """The budget that is used up, if one is; `training` is in CPU seconds."""
        search, elapsed = self.spec.search, self.before + time.monotonic() - self.ready
        if search.wall_time is not None and elapsed >= search.wall_time:
            return "wall_time"
        if search.cpu_time is not None and training >= search.cpu_time:
            return "cpu_time"
        return None

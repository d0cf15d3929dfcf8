"""The steps of a study: what its fold over virtual time says and is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.backends import Report, Segment

Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trial:
    number: int
    params: Params
    config: Any
    seed: int
    predicted_cost: float


@dataclass(frozen=True, slots=True)
class Begin:
    """A virtual worker takes up a new trial."""

    trial: Trial
    virtual_time: float
    step: int


@dataclass(frozen=True, slots=True)
class Submit:
    """A segment may be computed from now on; its result is needed at `virtual_end`."""

    segment: Segment
    virtual_end: float
    cost: float
    """Predicted seconds from the trial's beginning to the segment's end."""


@dataclass(frozen=True, slots=True)
class Await:
    """The next decision needs this segment's report: send it to the generator."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class Turn:
    """Decision number `step` comes next: send the commands that take effect before it."""

    step: int


@dataclass(frozen=True, slots=True)
class Full:
    """No trial begins any more: for the first time, a virtual worker found none to take up."""

    step: int


@dataclass(frozen=True, slots=True)
class Decide:
    """What became of a trial at the end of its segments, one for each replicate.

    `state` is `running` (it goes on), `paused`, `complete`, `pruned` or `failed`; `outcome` says
    why it ended. `value` is the metric at the last epoch, a mean over replicates, and None if
    there is none; `values` are those of several objectives.
    """

    trial: Trial
    epochs: int
    """Completed and decided, of each replicate."""
    segments: tuple[Segment, ...]
    reports: tuple[Report, ...]
    state: str
    outcome: str | None
    value: float | None
    virtual_time: float
    step: int
    standard_error: float | None = None
    """Of the mean over replicates."""
    values: tuple[float, ...] | None = None
    violations: tuple[float, ...] = ()
    """How far each constraint is from being met, 0 where it is."""

    @property
    def error(self) -> str | None:
        """What an error of the training said."""
        return next((report.error for report in self.reports if report.error), None)


@dataclass(frozen=True, slots=True)
class Promote:
    """A virtual worker takes up a paused trial again, after the decision that paused it."""

    last: Decide
    virtual_time: float
    step: int


@dataclass(frozen=True, slots=True)
class Enqueue:
    """The next trial has these parameters; those left out are proposed."""

    params: Params


@dataclass(frozen=True, slots=True)
class Edit:
    """From the next trial on, the space says this."""

    changes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Close:
    """No trial begins any more."""

    reason: str


Command = Enqueue | Edit | Close
Step = Begin | Promote | Submit | Await | Turn | Full | Decide
Reply = Report | Sequence[Command] | None

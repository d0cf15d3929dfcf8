"""The unit of work: some epochs of one trial, a pure function of what the segment names."""

from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from trainer import EpochRecord, TrainState

BUNDLE, MOST = 0.05, 16
"""Seconds that a bundle of segments is predicted to last, and how many it holds at most: what
sending one costs, some milliseconds, is then little beside it."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Epochs `start` (excluded) to `until` of one trial."""

    trial: int
    config: Any
    """A TrainConfig; for a user's own function its parameters, as (name, value) pairs."""
    seed: int
    start: int
    until: int
    replicate: int = 0
    function: str | None = None
    """`package.module:name` of the user's own trainer; None is trainer.train."""
    fold: int = 0
    """Which of the backend's datasets."""
    metrics: tuple[str, ...] = ()
    """Further metrics to measure on the validation rows when the segment ends."""
    seconds: float | None = field(default=None, compare=False)
    """Predicted, from the state that it begins from."""

    @property
    def share(self) -> float:
        """How much of a bundle it makes: segments that make one together may travel together."""
        if self.seconds is None:
            return 1.0
        return min(1.0, max(1 / MOST, self.seconds / BUNDLE))


@dataclass(frozen=True, slots=True)
class Limits:
    """What a segment may use."""

    seconds: float | None = None
    """Of wall time, looked at after each epoch."""
    memory: int | None = None
    """Bytes beyond what the worker had before."""


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a segment: its records, or why there are none. Times in seconds since 1970."""

    records: tuple[EpochRecord, ...] = ()
    """Of the epochs after the segment's start; those there were, for one that met its limit."""
    outcome: str = "finished"
    """`finished`, `diverged`, `error`, `worker_lost`, `out_of_memory`, `timeout` or `killed`."""
    error: str | None = None
    worker: str | None = None
    node: str | None = None
    started: float | None = None
    loaded: float | None = None
    """When data and state were there."""
    finished: float | None = None
    platform: str | None = None
    """What decides about the last bits, as JSON: `portable.platform`."""
    metrics: tuple[tuple[str, float], ...] = ()
    """Those that the segment asked for, unless it diverged or did not get there."""


@dataclass(frozen=True, slots=True)
class Result:
    """A report on its way back, with the backend's handle on the state that training reached."""

    segment: Segment
    report: Report
    state: Any = None
    """Of a lost segment the handle that it began from, unless that was lost too."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A running segment's sign of life."""

    trial: int
    replicate: int
    started: float
    """Seconds since 1970, by the worker's clock."""
    epoch: int
    """Epochs completed."""
    value: float | None
    """The last validation metric; None before the first epoch's end."""
    resident: int
    """Bytes of the worker's memory."""
    worker: str | None = None
    node: str | None = None


class Backend(Protocol):
    """Runs segments somewhere. States stay where they were computed; handles travel."""

    @property
    def cpus(self) -> int:
        """How many segments run at once."""

    def submit(self, segment: Segment, state: Any = None, limits: Limits = UNLIMITED) -> None:
        """Run a segment from the state of this handle, or from the trial's beginning."""

    def wait(self, timeout: float) -> list[Result]:
        """Whatever has come back by now; waits at most `timeout` seconds for the first."""

    def beats(self) -> list[Beat]:
        """Of the segments that run now, as far as they have told."""

    def kill(self, segment: Segment) -> None:
        """End a segment: it comes back as `killed`, or as what it had become by then."""

    def fetch(self, state: Any) -> TrainState | None:
        """The state behind a handle; None if it was lost."""

    def keep(self, state: TrainState) -> Any:
        """A handle on a state."""

    def close(self) -> None:
        """Drop what still runs and free the machine."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

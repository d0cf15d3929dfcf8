"""Segments in this process, one after the other."""

from collections import deque
from typing import Any, Self

from sweep.backends.compute import compute
from sweep.backends.segment import UNLIMITED, Beat, Limits, Report, Result, Segment
from trainer import Dataset, TrainState


class SerialBackend:
    """The whole service without Ray: for small studies, for debugging, and as the reference that
    every other backend must equal.

    A segment that runs cannot be killed, nor ended when it hangs within an epoch; and when anyone
    asks for signs of life, none runs.
    """

    cpus = 1

    def __init__(self, datasets: tuple[Dataset, ...]) -> None:
        self._datasets = datasets
        self._queue: deque[tuple[Segment, Any, Limits]] = deque()
        self._killed: list[Result] = []

    def submit(self, segment: Segment, state: Any = None, limits: Limits = UNLIMITED) -> None:
        self._queue.append((segment, state, limits))

    def wait(self, timeout: float) -> list[Result]:
        if self._killed:
            killed, self._killed = self._killed, []
            return killed
        if not self._queue:
            return []
        segment, state, limits = self._queue.popleft()
        report, reached = compute(segment, state, self._datasets[segment.fold], limits)
        return [Result(segment, report, reached)]

    def beats(self) -> list[Beat]:
        return []

    def kill(self, segment: Segment) -> None:
        kept = deque(entry for entry in self._queue if entry[0] != segment)
        if len(kept) < len(self._queue):
            self._queue = kept
            self._killed.append(Result(segment, Report(outcome="killed")))

    def fetch(self, state: Any) -> TrainState | None:
        fetched: TrainState | None = state
        return fetched

    def keep(self, state: TrainState) -> Any:
        return state

    def close(self) -> None:
        self._queue.clear()
        self._killed.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

"""Segments in this process, one after the other."""

from collections import deque
from typing import Any, Self

from sweep.backends.segment import Result, Segment, compute
from trainer import Dataset, TrainState


class SerialBackend:
    """The whole service without Ray: for small studies, for debugging, and as the reference that
    every other backend must equal."""

    cpus = 1

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._queue: deque[tuple[Segment, TrainState | None]] = deque()

    def submit(self, segment: Segment, state: Any = None) -> None:
        self._queue.append((segment, state))

    def wait(self, timeout: float) -> list[Result]:
        if not self._queue:
            return []
        segment, state = self._queue.popleft()
        report, reached = compute(segment, state, self._dataset)
        return [Result(segment, report, reached)]

    def fetch(self, state: Any) -> TrainState | None:
        fetched: TrainState | None = state
        return fetched

    def close(self) -> None:
        self._queue.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

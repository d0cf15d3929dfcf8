"""Segments in processes of this machine until Ray is there, and on Ray from then on."""

import time
from collections import deque
from typing import TYPE_CHECKING, Any, Self

from sweep.backends.head import Head
from sweep.backends.processes import Here, ProcessBackend
from sweep.backends.segment import UNLIMITED, Beat, Limits, Report, Result, Segment
from trainer import Dataset, TrainState

if TYPE_CHECKING:
    from sweep.backends.ray import RayBackend

ALONE = 5.0
"""Seconds before a Ray of one's own is started: about what its start costs of CPU time, which a
study that is over by then is spared."""

LARGE = 1e8
"""Bytes of data of which each process cannot have a copy: Ray's workers share one."""

TURN = 0.02
"""Seconds between two looks at the other, while both compute."""


def is_large(datasets: tuple[Dataset, ...]) -> bool:
    """Whether data had better wait for Ray."""
    arrays = [array for data in datasets for array in (*data.train, *data.validation)]
    return sum(array.nbytes for array in arrays if array is not None) > LARGE


class Handover:
    """Computes from the first moment, however long Ray takes to start or to be ready.

    Once Ray is ready, what runs here ends here and all else goes there. A Ray of one's own, at
    "local", has the CPUs of this machine, and gets one for each that is no longer used here.
    BackendError where a cluster cannot be reached; `wait` raises it if Ray does not start.
    """

    def __init__(
        self,
        datasets: tuple[Dataset, ...],
        *,
        cpus: int | None = None,
        address: str = "local",
        portable: bool = False,
        alone: float = ALONE,
    ) -> None:
        self._datasets, self._cpus, self._portable = datasets, cpus, portable
        self._is_own = address == "local"
        self._head: Head | None = None
        self._connected: RayBackend | None = None if self._is_own else self._connect(address)
        self._there: RayBackend | None = None
        self._here = ProcessBackend(datasets, cpus=cpus, portable=portable)
        self._start = time.monotonic() + alone
        self._waiting: deque[tuple[Segment, Any, Limits]] = deque()
        self._killed: list[Result] = []
        self._on_ray = 0
        """Segments that are there."""

    @property
    def cpus(self) -> int:
        return (self._there or self._here).cpus

    def submit(self, segment: Segment, state: Any = None, limits: Limits = UNLIMITED) -> None:
        if self._there is None:
            self._here.submit(segment, state, limits)
        else:
            self._waiting.append((segment, state, limits))
            self._pass_on()

    def wait(self, timeout: float) -> list[Result]:
        self._come_nearer()
        if self._there is None:
            return self._here.wait(timeout)
        end = time.monotonic() + timeout
        results, self._killed = self._killed, []
        while not results:
            both = bool(self._here.out)
            results = self._here.wait(TURN if both else 0.0)
            left = end - time.monotonic()
            back = self._there.wait(0.0 if both else max(0.0, left))
            self._on_ray -= len(back)
            results += back
            self._pass_on()
            if left <= 0 or not (both or self._on_ray):
                break
        return results

    def beats(self) -> list[Beat]:
        return self._here.beats() + ([] if self._there is None else self._there.beats())

    def kill(self, segment: Segment) -> None:
        kept = deque(entry for entry in self._waiting if entry[0] != segment)
        if len(kept) < len(self._waiting):
            self._waiting = kept
            self._killed.append(Result(segment, Report(outcome="killed")))
        self._here.kill(segment)
        if self._there is not None:
            self._there.kill(segment)

    def fetch(self, state: Any) -> TrainState | None:
        if isinstance(state, Here):
            return self._here.fetch(state)
        assert self._there is not None
        return self._there.fetch(state)

    def keep(self, state: TrainState) -> Any:
        return (self._there or self._here).keep(state)

    def close(self) -> None:
        self._here.close()
        if self._connected is not None:
            self._connected.close()
        if self._head is not None:
            self._head.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self, address: str) -> "RayBackend":
        from sweep.backends.ray import RayBackend  # not before it is needed: it takes a second

        return RayBackend(
            self._datasets, address=address, portable=self._portable, is_own=self._is_own
        )

    def _come_nearer(self) -> None:
        """Start Ray, connect, and hand over, each when it is time."""
        if self._there is not None:
            return
        if self._connected is not None:
            if self._connected.is_ready():
                self._there = self._connected
                self._waiting += [(s.segment, s.state, s.limits) for s in self._here.give_back()]
                self._pass_on()
        elif self._head is not None:
            if (address := self._head.address()) is not None:
                self._connected = self._connect(address)
        elif time.monotonic() >= self._start:
            self._head = Head(self._cpus)

    def _pass_on(self) -> None:
        """Give Ray what it has CPUs for."""
        assert self._there is not None
        here = self._here.out if self._is_own else 0
        while self._waiting and (not here or self._on_ray < self._there.cpus - here):
            self._there.submit(*self._waiting.popleft())
            self._on_ray += 1

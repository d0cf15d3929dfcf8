"""Segments in worker processes of this machine, which are there in the blink of an eye."""

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, Self

from sweep.backends.compute import compute
from sweep.backends.portable import portable_environment
from sweep.backends.segment import UNLIMITED, Beat, Limits, Report, Result, Segment
from sweep.backends.sent import Sent
from sweep.cpus import usable_cpus
from trainer import Dataset, TrainState

LISTEN = 0.25
"""Seconds between two looks for segments that are overdue."""


@dataclass(frozen=True, slots=True)
class Here:
    """A handle on a state: as it was pickled, or why it could not be."""

    pickled: bytes = b""
    problem: str | None = None

    @classmethod
    def of(cls, state: Any) -> "Here":
        try:
            return cls(pickle.dumps(state, pickle.HIGHEST_PROTOCOL))
        except Exception:
            return cls(problem=traceback.format_exc())

    def state(self) -> Any:
        """TypeError if there was none that could travel."""
        if self.problem is not None:
            raise TypeError(self.problem)
        return pickle.loads(self.pickled)

    def fetch(self) -> TrainState | None:
        fetched: TrainState | None = None if self.problem is not None else self.state()
        return fetched


class ProcessBackend:
    """Each segment in one of at most `cpus` processes, which begin when there is work for them.

    A thread for each process gives it one segment after the other, so that none waits for the
    driver. Handles are states, pickled. With `portable`, every process has the kernels of
    x86-64-v3.
    """

    def __init__(
        self, datasets: tuple[Dataset, ...], *, cpus: int | None = None, portable: bool = False
    ) -> None:
        self.cpus = cpus or usable_cpus()
        # As Ray does: other libraries' threads would take the CPUs of other segments.
        one = {"OMP_NUM_THREADS": "1"} | dict(os.environ)
        self._environment = one | (portable_environment() if portable else {})
        self._datasets = pickle.dumps(datasets, pickle.HIGHEST_PROTOCOL)
        self._changed = threading.Condition()
        self._queue: deque[Sent] = deque()
        self._running: dict[Sent, _Worker] = {}
        self._results: queue.SimpleQueue[Result] = queue.SimpleQueue()
        self.out = 0
        """Segments that are queued, run, or have come back and were not waited for."""
        self._threads: list[threading.Thread] = []
        self._closed = False

    def submit(self, segment: Segment, state: Any = None, limits: Limits = UNLIMITED) -> None:
        self.out += 1
        with self._changed:
            self._queue.append(Sent(segment, state, limits))
            if len(self._queue) + len(self._running) > len(self._threads) < self.cpus:
                thread = threading.Thread(target=self._employ, name="worker", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._changed.notify()

    def wait(self, timeout: float) -> list[Result]:
        end, results = time.monotonic() + timeout, list[Result]()
        while self.out and not results:
            left = end - time.monotonic()
            with suppress(queue.Empty):
                results.append(self._results.get(timeout=max(0.0, min(left, LISTEN))))
                while True:
                    results.append(self._results.get_nowait())
            self._kill_overdue()
            if left <= LISTEN:
                break
        self.out -= len(results)
        return results

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        with self._changed:
            for sent, worker in self._running.items():
                if sent.verdict is None and sent.overdue(now):
                    sent.verdict = "timeout"
                    worker.kill()

    def beats(self) -> list[Beat]:
        with self._changed:
            return [sent.last for sent in self._running if sent.last is not None]

    def kill(self, segment: Segment) -> None:
        with self._changed:
            for sent in [sent for sent in self._queue if sent.segment == segment]:
                self._queue.remove(sent)
                sent.verdict = "killed"
                self._results.put(Result(segment, sent.report("killed", ""), sent.state))
            for sent, worker in self._running.items():
                if sent.segment == segment and sent.verdict is None:
                    sent.verdict = "killed"
                    worker.kill()

    def give_back(self) -> list[Sent]:
        """What has not begun to run, and now never will here."""
        with self._changed:
            queued = list(self._queue)
            self._queue.clear()
        self.out -= len(queued)
        return queued

    def fetch(self, state: Any) -> TrainState | None:
        fetched: TrainState | None = state.fetch()
        return fetched

    def keep(self, state: TrainState) -> Any:
        return Here.of(state)

    def close(self) -> None:
        with self._changed:
            self._closed, self.out = True, 0
            self._queue.clear()
            for worker in self._running.values():
                worker.kill()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # In a thread for each worker.

    def _employ(self) -> None:
        worker = _Worker(self._environment, self._datasets)
        while (sent := self._next(worker)) is not None:
            result = worker.train(sent)
            with self._changed:
                del self._running[sent]
                self._results.put(result)
            if sent.verdict is not None:
                worker.kill()  # if it is not, it will be
        worker.close()

    def _next(self, worker: "_Worker") -> Sent | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            if self._closed:
                return None
            sent = self._queue.popleft()
            self._running[sent] = worker
            return sent


class _Worker:
    """The driver's end of a process, and of the next one when that is gone."""

    def __init__(self, environment: dict[str, str], datasets: bytes) -> None:
        self._environment, self._datasets = environment, datasets
        self._process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        # Its own session, so that Ctrl-C is the driver's alone; the driver's path, so that it finds
        # what the driver finds and nothing else.
        program = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve; serve()"
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment,
            start_new_session=True,
        )
        _send(process, self._datasets)
        return process

    def train(self, sent: Sent) -> Result:
        """What becomes of a segment."""
        if self._process.poll() is not None:
            self.close()
            self._process = self._start()
        if sent.verdict is not None:  # since the process before was killed for it
            return Result(sent.segment, sent.report("killed", ""), sent.state)
        _send(self._process, pickle.dumps((sent.segment, sent.state, sent.limits)))
        assert self._process.stdout is not None
        try:
            while isinstance(told := pickle.load(self._process.stdout), Beat):
                sent.hear(told, time.monotonic())
        except (EOFError, OSError, pickle.UnpicklingError):
            status = self._process.wait()
            ended = f"exit status {status}" if status >= 0 else signal.Signals(-status).name
            report = sent.report(sent.lost(), f"its process ended: {ended}")
            return Result(sent.segment, report, sent.state)
        return Result(sent.segment, *told)

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()


def _send(process: "subprocess.Popen[bytes]", message: bytes) -> None:
    assert process.stdin is not None
    with suppress(OSError):  # it is gone, which is seen where an answer is read
        process.stdin.write(message)
        process.stdin.flush()


# In the process.


def serve() -> None:
    """Train what stdin asks for and tell of it on stdout, until the driver is gone."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a user's trainer prints
    datasets: tuple[Dataset, ...] = pickle.load(sys.stdin.buffer)
    asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, asked), daemon=True).start()
    telling = threading.Lock()

    def tell(message: Any) -> None:
        pickled = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with telling:
            answers.write(pickled)
            answers.flush()

    def beat(sign: Beat) -> None:
        with suppress(MemoryError):  # the next one may find room
            tell(sign)

    while True:
        segment, state, limits = asked.get()
        try:
            report, reached = compute(
                segment,
                None if state is None else state.state(),
                datasets[segment.fold],
                limits,
                beat,
            )
        except Exception:
            report, reached = Report(outcome="error", error=traceback.format_exc()), None
        tell((report, Here.of(reached)))
        del state, reached


def _listen(requests: IO[bytes], asked: "queue.SimpleQueue[Any]") -> None:
    """What the driver asks for; the process ends with the driver, whatever it trains."""
    with suppress(EOFError, OSError, pickle.UnpicklingError):
        while True:
            asked.put(pickle.load(requests))
    os._exit(0)

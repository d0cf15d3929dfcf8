"""A virtual cluster: nodes that crash, results that are lost or late, and a clock that jumps.

Nothing is trained and nobody sleeps, so that the driver, the dispatch and the store can be tried
against thousands of unlucky days, or against a thousand workers, on one core. What happens follows
from the seed alone; an event costs the logarithm of how many are to come.
"""

import heapq
import json
import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import Any, Self
from zlib import crc32

import numpy as np

from sweep.backends.segment import UNLIMITED, Beat, Limits, Report, Result, Segment
from sweep.cost import Shape, parameters, predicted_cost
from trainer import Dataset, EpochRecord, TrainConfig, TrainState

DIVERGES = 16
"""One training in so many diverges."""

NOISE = 0.3
"""The standard deviation of the logarithm of an epoch's seconds over what was predicted."""

NOTICE = 10.0
"""Seconds until a result that does not come is given up."""

PLATFORM = json.dumps({"processor": "simulated", "kernel": "none", "numpy": np.__version__})


@dataclass(slots=True)
class Clock:
    """Time that passes only when somebody waits; it can stand in for the module `time`."""

    now: float = 0.0
    """Seconds since 1970."""

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True, slots=True)
class Faults:
    """Which share of the segments that start meets each misfortune."""

    crash: float = 0.0
    """Their worker dies while they run; another takes its place."""
    memory: float = 0.0
    """Their node kills them since its memory runs short."""
    node: float = 0.0
    """Their node dies with all that runs on it and all states that it holds, and starts again."""
    silence: float = 0.0
    """Their result is lost on its way, which is noticed after `NOTICE` seconds."""
    delay: float = 0.0
    """Their result takes up to ten times as long as they ran, or, if they are killed, comes
    all the same."""
    repeat: float = 0.0
    """Their result comes twice, or, if they are killed, after it was said that they are."""
    forget: float = 0.0
    """The state that they reached is lost."""
    most: int = 2
    """Losses of a segment before it is spared: from dispatch.ATTEMPTS on they end its trial."""


NONE = Faults()


def first_state(config: Any, seed: int, size: int) -> TrainState:
    """Where a simulated training begins: `size` numbers in (-1, 1)."""
    numbers = np.random.default_rng((_hash(config), seed)).uniform(-1, 1, size)
    return TrainState(epoch=0, steps=0, parameters=numbers)


def next_state(config: Any, seed: int, state: TrainState) -> TrainState:
    """One epoch more, each number by the logistic map x -> 1 - 2 x^2.

    The map is chaotic and its operations are exact by IEEE 754: a state that is another in one bit
    is soon another altogether, on every machine alike.
    """
    epoch = state.epoch + 1
    luck = (_hash(config) ^ seed) & 0xFFFFFFFF
    return TrainState(
        epoch=epoch,
        steps=epoch,
        parameters=1.0 - 2.0 * state.parameters**2,
        diverged=luck % DIVERGES == 0 and epoch > luck // DIVERGES % 10,
    )


def record(config: Any, state: TrainState, seconds: float) -> EpochRecord:
    """The measures of the epoch that led to a state, some in (0, 1) that rise to a level."""
    if state.diverged:
        measures = (math.nan,) * 4
    else:
        level, chance = _hash(config) / 2**32, float(state.parameters[0])
        metric = level * state.epoch / (state.epoch + 2) + 0.02 * chance
        measures = (1.0 - metric, 1.1 - metric, metric, 1.0 + chance)
    return EpochRecord(state.epoch, 0.01, *measures, seconds)


def _hash(config: Any) -> int:
    return crc32(repr(config).encode())


@dataclass(frozen=True, slots=True)
class _Kept:
    """A state in the memory of a node, as long as that has not started again."""

    state: TrainState
    node: int
    life: int
    is_own: bool = False
    """Whether a user's own trainer reached it, whose states are of any kind."""


@dataclass(slots=True, eq=False)
class _Run:
    """A segment that is out."""

    segment: Segment
    state: _Kept | None
    limits: Limits
    worker: int | None = None
    """None while it waits for one, and when it is over."""
    started: float = 0.0
    epoch_seconds: float = 0.0
    is_over: bool = False


@dataclass(slots=True)
class SimulatedBackend:
    """`workers` virtual CPUs on `nodes` machines.

    A training is a formula of its configuration, seed and epoch; an epoch lasts its predicted cost
    times `pace`, give or take some noise, on `clock`. Limits of memory do nothing.
    """

    datasets: tuple[Dataset, ...]
    workers: int = 2
    nodes: int = 1
    seed: int = 0
    faults: Faults = NONE
    pace: float = 1.0
    clock: Clock = field(default_factory=Clock)
    _random: Random = field(init=False)
    _shape: Shape = field(init=False)
    _idle: list[int] = field(init=False)
    _lives: list[int] = field(init=False)
    _order: Iterator[int] = field(default_factory=count)
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _queue: deque[_Run] = field(default_factory=deque)
    _out: dict[Segment, list[_Run]] = field(default_factory=lambda: defaultdict(list))
    _running: dict[int, _Run] = field(default_factory=dict)
    _losses: dict[Segment, int] = field(default_factory=lambda: defaultdict(int))
    _arrived: list[Result] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random, self._shape = Random(self.seed), Shape.of(self.datasets[0])
        self._idle, self._lives = list(range(self.workers)), [0] * self.nodes

    @property
    def cpus(self) -> int:
        return self.workers

    @property
    def losses(self) -> int:
        """How many runs of segments brought nothing."""
        return sum(self._losses.values())

    def submit(self, segment: Segment, state: Any = None, limits: Limits = UNLIMITED) -> None:
        run = _Run(segment, state, limits)
        self._out[segment].append(run)
        self._queue.append(run)
        self._start()

    def wait(self, timeout: float) -> list[Result]:
        end = self.clock.now + timeout
        while self._events and self._events[0][0] <= (self.clock.now if self._arrived else end):
            time, _, happen = heapq.heappop(self._events)
            self.clock.now = max(self.clock.now, time)
            happen()
        if not self._arrived:
            self.clock.now = end
        arrived, self._arrived = self._arrived, []
        return arrived

    def beats(self) -> list[Beat]:
        return [self._beat(run) for run in self._running.values()]

    def kill(self, segment: Segment) -> None:
        for run in list(self._out.get(segment, ())):
            runs = run.worker is not None
            if runs and self._happens(self.faults.delay):
                continue
            if runs and self._happens(self.faults.repeat):
                late = partial(self._arrive, self._train(run))
                self._at(self.clock.now + NOTICE * self._random.random(), late)
            self._end(run, Result(segment, Report(outcome="killed")))

    def fetch(self, state: Any) -> TrainState | None:
        return state.state if self._is_there(state) and not state.is_own else None

    def keep(self, state: TrainState) -> Any:
        node = self._random.randrange(self.nodes)
        return _Kept(state, node, self._lives[node])

    def close(self) -> None:
        for rest in (self._events, self._queue, self._out, self._running, self._arrived):
            rest.clear()
        self._idle = list(range(self.workers))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What happens.

    def _happens(self, share: float) -> bool:
        return share > 0.0 and self._random.random() < share

    def _at(self, time: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), happen))

    def _start(self) -> None:
        while self._idle and self._queue:
            run = self._queue.popleft()
            if not run.is_over:  # else it was killed
                self._run(run, heapq.heappop(self._idle))

    def _run(self, run: _Run, worker: int) -> None:
        segment, now = run.segment, self.clock.now
        predicted = predicted_cost(segment.config, self._shape, 1)
        run.worker, run.started = worker, now
        run.epoch_seconds = self.pace * predicted * self._random.lognormvariate(0.0, NOISE)
        self._running[worker] = run
        if not self._is_there(run.state) and run.state is not None:
            run.state = None
            self._at(now, partial(self._lose, run))
            return
        done = 0 if run.state is None else run.state.state.epoch
        seconds = run.epoch_seconds * (segment.until - done)
        may_be_lost = self._losses[segment] < self.faults.most
        for share, lose in (
            (self.faults.crash, self._lose),
            (self.faults.memory, partial(self._lose, outcome="out_of_memory")),
            (self.faults.node, self._lose_node),
        ):
            if may_be_lost and self._happens(share):
                self._at(now + seconds * self._random.random(), partial(lose, run))
                return
        if may_be_lost and self._happens(self.faults.silence):
            self._at(now + seconds + NOTICE, partial(self._lose, run))
            return
        self._at(now + seconds, partial(self._finish, run))

    def _finish(self, run: _Run) -> None:
        if run.is_over:
            return
        result, seconds = self._train(run), self.clock.now - run.started
        delay = 10 * seconds * self._random.random() if self._happens(self.faults.delay) else 0.0
        self._end(run, result, delay)
        if self._happens(self.faults.repeat):
            again = delay + 10 * seconds * self._random.random()
            self._at(self.clock.now + again, partial(self._arrive, result))

    def _lose(self, run: _Run, outcome: str = "worker_lost") -> None:
        if run.is_over:
            return
        self._losses[run.segment] += 1
        state = run.state if self._is_there(run.state) else None
        self._end(run, Result(run.segment, Report(outcome=outcome, error="simulated"), state))

    def _lose_node(self, run: _Run) -> None:
        if run.is_over or run.worker is None:
            return
        node = run.worker % self.nodes
        self._lives[node] += 1
        for worker in range(node, self.workers, self.nodes):
            if worker in self._running:
                self._lose(self._running[worker])

    def _arrive(self, result: Result) -> None:
        self._arrived.append(result)

    def _end(self, run: _Run, result: Result, delay: float = 0.0) -> None:
        """A run is over, and its result arrives so many seconds later."""
        run.is_over = True
        self._out[run.segment].remove(run)
        if not self._out[run.segment]:
            del self._out[run.segment]
        if run.worker is not None:
            del self._running[run.worker]
            heapq.heappush(self._idle, run.worker)
        self._at(self.clock.now + delay, partial(self._arrive, result))
        self._start()

    # What a worker does.

    def _train(self, run: _Run) -> Result:
        segment, kept, limits = run.segment, run.state, run.limits
        config, seed = segment.config, segment.seed
        state = first_state(config, seed, self._size(config)) if kept is None else kept.state
        assert state.epoch <= segment.start, f"{segment} begins with epoch {state.epoch}"
        records, outcome, began = list[EpochRecord](), "finished", state.epoch
        while state.epoch < segment.until:
            state = next_state(config, seed, state)
            if state.epoch > segment.start:
                records.append(record(config, state, run.epoch_seconds))
            if state.diverged:
                outcome = "diverged"
                break
            spent = run.epoch_seconds * (state.epoch - began)
            if (
                limits.seconds is not None
                and limits.seconds < spent
                and state.epoch < segment.until
            ):
                outcome = "timeout"
                break
        return Result(segment, self._report(run, tuple(records), outcome), self._kept(run, state))

    def _report(self, run: _Run, records: tuple[EpochRecord, ...], outcome: str) -> Report:
        assert run.worker is not None
        metrics = [(name, records[-1].validation_metric) for name in run.segment.metrics]
        return Report(
            records=records,
            outcome=outcome,
            worker=f"worker-{run.worker}",
            node=f"node-{run.worker % self.nodes}",
            started=run.started,
            loaded=run.started,
            finished=self.clock.now,
            platform=PLATFORM,
            metrics=tuple(metrics) if outcome == "finished" else (),
        )

    def _kept(self, run: _Run, state: TrainState) -> _Kept:
        assert run.worker is not None
        node = run.worker % self.nodes
        is_lost = self._happens(self.faults.forget)
        life = -1 if is_lost else self._lives[node]
        return _Kept(state, node, life, run.segment.function is not None)

    def _is_there(self, kept: _Kept | None) -> bool:
        return kept is not None and kept.life == self._lives[kept.node]

    def _size(self, config: Any) -> int:
        """How many numbers a network of this configuration has."""
        return round(parameters(config, self._shape)) if isinstance(config, TrainConfig) else 1

    def _beat(self, run: _Run) -> Beat:
        done = int((self.clock.now - run.started) / run.epoch_seconds)
        begun = 0 if run.state is None else run.state.state.epoch
        epoch = min(begun + done, run.segment.until)
        return Beat(run.segment.trial, run.segment.replicate, run.started, epoch, None, 0)

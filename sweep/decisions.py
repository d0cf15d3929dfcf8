"""What a sweep decides, as a fold over virtual time.

`W` virtual workers train segments that last exactly as long as predicted. Whatever happens in
them is decided in the order in which they end *in virtual time*, so the decisions depend on the
study file and its data alone: not on how many real workers there are, how fast they are, or
whether they or the orchestrator die. What a user asks of a running study enters at a numbered
step and is recorded with it, so that a replay takes the same decisions.
"""

from collections import Counter, deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import count, pairwise
from typing import Any

import numpy as np

from sweep import space as spaces
from sweep import verdict
from sweep.backends import Report, Segment
from sweep.cost import Shape, flops, parameters, predicted_cost
from sweep.pruners import Promotion, pruner
from sweep.search import History
from sweep.spec import StudySpec
from sweep.steps import (
    Await,
    Begin,
    Close,
    Command,
    Decide,
    Edit,
    Enqueue,
    Full,
    Params,
    Promote,
    Reply,
    Step,
    Submit,
    Trial,
    Turn,
)

REFUSED_IN_A_ROW = {"duplicate": 100, "too_large": 1000}
"""A sampler that proposes nothing new so often has been through the space."""


def decisions(
    spec: StudySpec,
    shape: Shape,
    proposed: Mapping[int, Params],
    warm: Sequence[tuple[Params, Sequence[float]]] = (),
) -> Generator[Step, Reply, None]:
    """Every step of the study in order.

    Reply to each `Await` with the segment's report and to each `Turn` with commands. `proposed`
    holds parameters that earlier trials are known to have, so that a study that goes on need not
    think of them again; `warm` the trials of another study that this one learns from.
    """
    history = History(spec)
    for params, values in warm:
        history.add(params, values)
    return _Fold(spec, shape, proposed, history).steps()


@dataclass(frozen=True, slots=True)
class Stage:
    """The epochs after `start` up to `until` of some of a trial's replicates."""

    replicates: tuple[int, ...]
    start: int
    until: int


@dataclass(frozen=True, slots=True)
class _Work:
    """A stage of a trial, on one virtual worker."""

    trial: Trial
    place: int
    """Of the stage among the trial's."""
    segments: tuple[Segment, ...]
    earlier: tuple[verdict.Told, ...] = ()
    """What the stages before came to, as far as it counts for this one."""


class _Fold:
    def __init__(
        self, spec: StudySpec, shape: Shape, proposed: Mapping[int, Params], history: History
    ) -> None:
        self.spec, self.shape, self.proposed, self.history = spec, shape, proposed, history
        self.space: spaces.Space = spec.space
        self.pruner = pruner(spec)
        self.step = 0
        self.next_number = 0
        self.free = spec.search.workers
        self.begun = 0  # trials that count towards the limit: all but the refused
        self.flops = 0.0
        self.full = self.closed = False
        self.sequence = count()
        self.refused: Counter[str] = Counter()  # proposals since the last that was not
        self.pending: list[tuple[float, int, _Work]] = []
        self.queue: deque[Params] = deque()
        self.paused: dict[int, tuple[_Work, Decide]] = {}
        self.first: dict[Any, int] = {}  # the first trial of each configuration
        self.values: dict[int, tuple[float, ...]] = {}

    def steps(self) -> Generator[Step, Reply, None]:
        yield from self.fill(0.0)
        while self.pending:
            self.step += 1
            commands = yield Turn(self.step)
            assert not isinstance(commands, Report)
            for command in commands or ():
                self.apply(command)
            now, _, work = heappop(self.pending)
            reports = []
            for segment in work.segments:
                report = yield Await(segment)
                assert isinstance(report, Report)
                reports.append(report)
            yield from self.decide(work, tuple(reports), now)
            yield from self.fill(now)
        for number, (_, last) in sorted(self.paused.items()):
            self.history.tell(number, "pruned", None)
            yield replace(last, state="pruned", outcome="pruned", step=self.step + 1)

    def apply(self, command: Command) -> None:
        match command:
            case Enqueue():
                self.queue.append(command.params)
            case Edit():
                self.space = spaces.edit(self.space, command.changes)
                self.refused.clear()
            case Close():
                self.closed = True

    def fill(self, now: float) -> Iterator[Step]:
        """Give the free virtual workers something to do, as long as there is anything."""
        while self.free:
            if isinstance(self.pruner, Promotion) and (found := self.pruner.next_promotion()):
                work, last = self.paused.pop(found[0])
                yield Promote(last, now, self.step)
                yield from self.go_on(work, last.reports, now)
            elif self.may_begin():
                trial, by_hand = self.ask()
                yield Begin(trial, now, self.step)
                outcome = self.refusal(trial, by_hand)
                if outcome is None:
                    self.refused.clear()
                    yield from self.submit(trial, 0, now)
                else:
                    self.refused[outcome] += 1
                    yield self.refuse(trial, outcome, now)
            else:
                if not self.full:
                    yield Full(self.step + 1)
                self.full = True
                return

    def may_begin(self) -> bool:
        search = self.spec.search
        return (
            not self.closed
            and all(self.refused[why] < most for why, most in REFUSED_IN_A_ROW.items())
            and self.begun < search.trials
            and (search.flops is None or self.flops < search.flops)
            and not self.history.exhausted(self.space)
        )

    def ask(self) -> tuple[Trial, bool]:
        """The next trial, and whether it was enqueued by hand."""
        number = self.next_number
        self.next_number += 1
        seed, proposal = seeds(self.spec.search.seed, number)
        fixed = self.queue.popleft() if self.queue else None
        known = self.proposed.get(number)
        params = self.history.ask(number, self.space, proposal, known=known, fixed=fixed)
        spec = self.spec.model_copy(update={"space": self.space})
        config = spaces.trial_config(spec, params)
        cost = self.spec.search.replicates * predicted_cost(
            config, self.shape, self.spec.train.epochs
        )
        return Trial(number, params, config, seed, cost), fixed is not None

    def refusal(self, trial: Trial, by_hand: bool) -> str | None:
        """Why a trial is not to be trained: `too_large` or `duplicate`."""
        search = self.spec.search
        for limit, measure in ((search.max_parameters, parameters), (search.max_flops, flops)):
            if limit is not None and measure(trial.config, self.shape) > limit:
                return "too_large"
        first = self.first.setdefault(trial.config, trial.number)
        if first != trial.number and not (search.repeats or by_hand):
            return "duplicate"
        self.begun += 1
        if search.flops is not None:
            self.flops += search.replicates * flops(trial.config, self.shape)
        return None

    def refuse(self, trial: Trial, outcome: str, now: float) -> Decide:
        """What the sampler is told: of a duplicate the value, of too large a trial to keep away."""
        values = self.values.get(self.first.get(trial.config, trial.number))
        told = "pruned" if outcome == "too_large" else "complete" if values else "failed"
        self.history.tell(trial.number, told, values)
        return Decide(trial, 0, (), (), "pruned", outcome, None, now, self.step)

    def stages(self, number: int) -> tuple[Stage, ...]:
        """A trial's way: every replicate from rung to rung, or one replicate after the other."""
        replicates, epochs = self.spec.search.replicates, self.spec.train.epochs
        if self.spec.search.pruner == "wilcoxon":
            return tuple(Stage((replicate,), 0, epochs) for replicate in range(replicates))
        rungs = self.pruner.rungs(number)
        return tuple(
            Stage(tuple(range(replicates)), start, until) for start, until in pairwise((0, *rungs))
        )

    def go_on(self, work: _Work, reports: tuple[Report, ...], now: float) -> Iterator[Step]:
        """The stage after this one."""
        earlier = work.earlier
        if verdict.looks_back(self.spec, work.trial.config):
            earlier += tuple(zip(work.segments, reports, strict=True))
        yield from self.submit(work.trial, work.place + 1, now, earlier)

    def submit(
        self, trial: Trial, place: int, now: float, earlier: tuple[verdict.Told, ...] = ()
    ) -> Iterator[Step]:
        stage = self.stages(trial.number)[place]
        cost = predicted_cost(trial.config, self.shape, stage.until - stage.start)
        segments = tuple(
            self.segment(trial, stage, replicate, cost) for replicate in stage.replicates
        )
        ends = now + len(segments) * cost
        self.free -= 1
        work = _Work(trial, place, segments, earlier)
        heappush(self.pending, (ends, next(self.sequence), work))
        whole = predicted_cost(trial.config, self.shape, stage.until)
        for segment in segments:
            yield Submit(segment, ends, whole)

    def segment(self, trial: Trial, stage: Stage, replicate: int, seconds: float) -> Segment:
        spec = self.spec
        return Segment(
            trial=trial.number,
            config=trial.config,
            seed=replicate_seed(spec.search.seed, trial.number, trial.seed, replicate),
            start=stage.start,
            until=stage.until,
            replicate=replicate,
            function=spec.train.function,
            fold=replicate if spec.search.resample == "folds" else 0,
            metrics=verdict.further_metrics(spec, trial.config, stage.until),
            seconds=seconds,
        )

    def decide(self, work: _Work, reports: tuple[Report, ...], now: float) -> Iterator[Step]:
        self.free += 1
        trial, number = work.trial, work.trial.number
        is_last = work.place + 1 == len(self.stages(number))
        told = tuple(zip(work.segments, reports, strict=True))
        found = verdict.of(self.spec, self.shape, trial, work.earlier, told, is_last)
        step = Decide(trial=trial, virtual_time=now, step=self.step, **found)
        if step.state == "running":
            step = self.judge(step, work)
        if step.state in ("complete", "pruned", "failed"):
            self.end(step)
        yield step
        if step.state == "running":
            yield from self.go_on(work, reports, now)
        elif step.state == "paused":
            self.paused[number] = (work, step)

    def judge(self, step: Decide, work: _Work) -> Decide:
        """Whether a trial that could go on does."""
        number, value = step.trial.number, step.value
        assert value is not None
        rung, judged = step.epochs, value
        if self.spec.search.pruner == "wilcoxon":
            rung, judged = work.place + 1, verdict.score(step.trial.config, step.reports)
        self.history.report(number, rung, value)
        if self.pruner.judge(number, rung, judged):
            return step
        if isinstance(self.pruner, Promotion):
            return replace(step, state="paused")
        return replace(step, state="pruned", outcome="pruned")

    def end(self, step: Decide) -> None:
        """Tell the sampler and the pruner what became of a trial."""
        number = step.trial.number
        if step.state == "complete":
            assert step.value is not None
            self.values[number] = step.values or (step.value,)
        told = "diverged" if step.outcome == "diverged" else step.state
        self.history.tell(number, told, self.values.get(number), step.violations)
        self.pruner.end(number, step.state, step.value)


def seeds(study_seed: int, number: int) -> tuple[int, int]:
    """The seeds of a trial's training and of the proposal of its parameters."""
    training, proposal = np.random.SeedSequence((study_seed, number)).generate_state(2)
    return int(training), int(proposal)


def replicate_seed(study_seed: int, number: int, seed: int, replicate: int) -> int:
    """The seed of one of a trial's trainings; the first has the trial's."""
    if replicate == 0:
        return seed
    words = np.random.SeedSequence((study_seed, number, replicate)).generate_state(1)
    return int(words[0])

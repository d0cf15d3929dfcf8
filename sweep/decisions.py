"""What a sweep decides, as a fold over virtual time.

`W` virtual workers train segments that last exactly as long as predicted. Whatever happens in
them is decided in the order in which they end *in virtual time*, so the decisions depend on the
study file and its data alone: not on how many real workers there are, how fast they are, or
whether they or the orchestrator die.
"""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import isfinite
from typing import Any

import numpy as np
import optuna

from sweep import search
from sweep.backends import Report, Segment
from sweep.cost import Shape, predicted_cost
from sweep.space import distributions, train_config
from sweep.spec import StudySpec
from trainer import METRICS, TrainConfig

Params = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trial:
    number: int
    params: Params
    config: TrainConfig
    seed: int
    predicted_cost: float


@dataclass(frozen=True, slots=True)
class Begin:
    """A virtual worker takes up a new trial."""

    trial: Trial
    virtual_time: float


@dataclass(frozen=True, slots=True)
class Submit:
    """A segment may be computed from now on."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class Await:
    """The next decision needs this segment's report: send it to the generator."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class Decide:
    """What became of a trial at the end of a segment.

    `state` is `running` (it goes on), `complete`, `pruned` or `failed`; `outcome` says why it
    ended. `value` is the metric at the segment's last epoch, None if there is none.
    """

    trial: Trial
    segment: Segment
    report: Report
    state: str
    outcome: str | None
    value: float | None
    virtual_time: float

    def beats(self, other: "Decide") -> bool:
        """Whether this complete trial is better than another."""
        assert self.value is not None
        assert other.value is not None
        metric = self.trial.config.metric
        return rank(metric, self.value, self.trial.number) < rank(
            metric, other.value, other.trial.number
        )


Step = Begin | Submit | Await | Decide


def decisions(
    spec: StudySpec, shape: Shape, proposed: Mapping[int, Params]
) -> Generator[Step, Report | None, None]:
    """Every step of the study in order; reply to each `Await` with the segment's report.

    `proposed` holds parameters that earlier trials are known to have, so that a study that goes
    on need not think of them again.
    """
    study = search.optuna_study(spec, METRICS[spec.train.metric].direction)
    rungs = search.rungs(spec)
    numbers = iter(range(spec.search.trials))
    sequence = count()
    pending: list[tuple[float, int, Segment, Trial, optuna.Trial]] = []

    def submit(trial: Trial, asked: optuna.Trial, start: int, now: float) -> Iterator[Step]:
        until = next(rung for rung in rungs if rung > start)
        segment = Segment(trial.number, trial.config, trial.seed, start, until)
        ends = now + predicted_cost(trial.config, shape, until - start)
        heappush(pending, (ends, next(sequence), segment, trial, asked))
        yield Submit(segment)

    def begin(now: float) -> Iterator[Step]:
        if (number := next(numbers, None)) is not None:
            trial, asked = _ask(study, spec, shape, number, proposed.get(number))
            yield Begin(trial, now)
            yield from submit(trial, asked, 0, now)

    for _ in range(min(spec.search.workers, spec.search.trials)):
        yield from begin(0.0)
    while pending:
        now, _, segment, trial, asked = heappop(pending)
        report = yield Await(segment)
        assert report is not None
        state, outcome, value = _judge(spec, asked, segment, report)
        if state != "running":
            study.tell(asked, value if state == "complete" else None, _TOLD[state])
        yield Decide(trial, segment, report, state, outcome, value, now)
        if state == "running":
            yield from submit(trial, asked, segment.until, now)
        else:
            yield from begin(now)


def _ask(
    study: optuna.Study, spec: StudySpec, shape: Shape, number: int, known: Params | None
) -> tuple[Trial, optuna.Trial]:
    seed, sampler_seed = seeds(spec.search.seed, number)
    if known is not None:
        study.enqueue_trial(known)
    search.reseed(study.sampler, sampler_seed)
    asked = study.ask(distributions(spec.space))
    assert asked.number == number
    config = train_config(spec, asked.params)
    cost = predicted_cost(config, shape, spec.train.epochs)
    return Trial(number, asked.params, config, seed, cost), asked


def rank(metric: str, value: float, number: int) -> tuple[float, int]:
    """The place of a complete trial: the least is the best; of equals, the one begun first."""
    return (-value if METRICS[metric].direction == "maximize" else value), number


def seeds(study_seed: int, number: int) -> tuple[int, int]:
    """The seeds of a trial's training and of the proposal of its parameters."""
    training, proposal = np.random.SeedSequence((study_seed, number)).generate_state(2)
    return int(training), int(proposal)


def _judge(
    spec: StudySpec, asked: optuna.Trial, segment: Segment, report: Report
) -> tuple[str, str | None, float | None]:
    """State, outcome and value of a trial after this segment."""
    if report.outcome == "diverged":
        # Told as pruned and without a value, which Optuna's samplers rank as worst; they would
        # learn nothing from a failed trial.
        return "pruned", "diverged", None
    if report.outcome != "finished":
        return "failed", report.outcome, None
    value = report.records[-1].validation_metric
    if not isfinite(value):
        return "pruned", "diverged", None
    if segment.until == spec.train.epochs:
        return "complete", "finished", value
    asked.report(value, segment.until)
    if asked.should_prune():
        return "pruned", "pruned", value
    return "running", None, value


_TOLD = {
    "complete": optuna.trial.TrialState.COMPLETE,
    "pruned": optuna.trial.TrialState.PRUNED,
    "failed": optuna.trial.TrialState.FAIL,
}

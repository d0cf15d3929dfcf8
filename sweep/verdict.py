"""What the reports of a trial's segments amount to."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import fsum, isfinite, nan, sqrt
from typing import Any

from sweep.backends import Report, Segment
from sweep.cost import MEASURES, Shape
from sweep.spec import StudySpec, cost_sign
from sweep.steps import Decide, Trial
from trainer import TrainConfig, kept

Told = tuple[Segment, Report]


def of(
    spec: StudySpec,
    shape: Shape,
    trial: Trial,
    earlier: Sequence[Told],
    told: Sequence[Told],
    is_last: bool,
) -> dict[str, Any]:
    """The fields of a decision that follow from the reports alone.

    `told` are the segments of the stage that has ended, the trial's last if `is_last`, and
    `earlier` those of the stages before, as far as the trial `looks_back` at them.
    """
    found: dict[str, Any] = {
        "segments": tuple(segment for segment, _ in told),
        "reports": tuple(report for _, report in told),
        "epochs": max(_end(*each) for each in (*earlier, *told)),
        "value": None,
    }
    outcomes = [report.outcome for _, report in told if report.outcome != "finished"]
    if failures := [outcome for outcome in outcomes if outcome != "diverged"]:
        return found | {"state": "failed", "outcome": failures[0]}
    replicates: dict[int, list[Report]] = defaultdict(list)
    for segment, report in (*earlier, *told):
        replicates[segment.replicate].append(report)
    # Pruned and without a value: Optuna's samplers rank that as worst, and would learn nothing from
    # a failed trial.
    diverged = found | {"state": "pruned", "outcome": "diverged"}
    if outcomes:
        return diverged
    scores = [score(trial.config, reports) for reports in replicates.values()]
    if not all(map(isfinite, scores)):
        return diverged
    found |= {"value": mean(scores), "standard_error": standard_error(scores)}
    has_stopped = all(_end(segment, report) < segment.until for segment, report in told)
    if not (is_last or (has_stopped and len(replicates) == spec.search.replicates)):
        return found | {"state": "running", "outcome": None}
    known = {spec.train.metric: found["value"]} | _further([r[-1] for r in replicates.values()])
    if not all(map(isfinite, known.values())):
        return diverged
    found |= {"state": "complete", "outcome": "finished"}
    return found | _final(spec, shape, trial, known)


def _end(segment: Segment, report: Report) -> int:
    return report.records[-1].epoch if report.records else segment.start


def may_stop(config: Any) -> bool:
    """Whether a training with this configuration may end before its last epoch."""
    return isinstance(config, TrainConfig) and config.patience > 0


def looks_back(spec: StudySpec, config: Any) -> bool:
    """Whether what a trial comes to depends on its segments before the last stage: the best epoch
    may be in one of them, or other replicates."""
    return may_stop(config) or spec.search.pruner == "wilcoxon"


def score(config: Any, reports: Sequence[Report]) -> float:
    """The metric that a training has come to by these segments: of the best epoch under patience,
    else of the last."""
    if not may_stop(config):
        return reports[-1].records[-1].validation_metric
    record = kept(config, [record for report in reports for record in report.records])
    return nan if record is None else record.validation_metric


def _final(
    spec: StudySpec, shape: Shape, trial: Trial, known: Mapping[str, float]
) -> dict[str, Any]:
    """Objectives and constraints of a complete trial."""
    constraints = spec.search.constraints
    amounts = measures(tuple(constraints), trial.config, shape, known)
    pairs = zip(constraints.values(), amounts, strict=True)
    final = {"violations": tuple(bounds.violation(amount) for bounds, amount in pairs)}
    if len(spec.objectives) > 1:
        final["values"] = measures(spec.objectives, trial.config, shape, known)
    return final


def measures(
    names: Sequence[str], config: Any, shape: Shape, known: Mapping[str, float]
) -> tuple[float, ...]:
    """Objectives or constraints: what follows from the configuration, and the metrics `known`."""
    return tuple(
        MEASURES[name](config, shape) if name in MEASURES else float(known[name]) for name in names
    )


Place = tuple[int, tuple[float, ...], int]
"""The rank of a complete trial: the least is the best."""


def rank(
    spec: StudySpec, values: Sequence[float], number: int, violations: Sequence[float] = ()
) -> Place:
    """The place of a complete trial by its first objective, and of equals by the further ones.

    Those that break fewer constraints come first, and of equals the one begun first.
    """
    costs = tuple(
        cost_sign(name) * value for name, value in zip(spec.objectives, values, strict=True)
    )
    return sum(violation > 0 for violation in violations), costs, number


def place(spec: StudySpec, step: Decide) -> Place:
    """The rank of a trial that has just come to its end."""
    assert step.value is not None
    return rank(spec, step.values or (step.value,), step.trial.number, step.violations)


def further_metrics(spec: StudySpec, config: Any, until: int) -> tuple[str, ...]:
    """The metrics that objectives and constraints need beside the study's own, of a segment that
    may be the last of its training."""
    if until < spec.train.epochs and not may_stop(config):
        return ()
    named = dict.fromkeys((*spec.objectives, *spec.search.constraints))
    return tuple(name for name in named if name not in MEASURES and name != spec.train.metric)


def mean(values: Sequence[float]) -> float:
    """The mean, rounded once."""
    return fsum(values) / len(values)


def standard_error(values: Sequence[float]) -> float | None:
    """Of the mean; None for a single value."""
    if len(values) < 2:
        return None
    middle = mean(values)
    variance = fsum((value - middle) ** 2 for value in values) / (len(values) - 1)
    return sqrt(variance / len(values))


def _further(reports: Sequence[Report]) -> dict[str, float]:
    """The means of what the last segment of each replicate measured."""
    measured = [dict(report.metrics) for report in reports]
    return {name: mean([each[name] for each in measured]) for name in measured[0]}

"""What the reports of a trial's segments amount to."""

from collections.abc import Sequence
from math import fsum, isfinite, nan, sqrt
from typing import Any

from sweep.backends import Report, Segment
from sweep.cost import MEASURES, Shape
from sweep.spec import StudySpec, direction
from sweep.steps import Decide, Trial
from trainer import EpochRecord, TrainConfig, kept

Curves = dict[int, list[EpochRecord]]
"""The records so far of each replicate of a trial."""


def of(
    spec: StudySpec,
    shape: Shape,
    trial: Trial,
    segments: tuple[Segment, ...],
    reports: tuple[Report, ...],
    scores: list[float],
    curves: Curves,
    is_last: bool,
) -> dict[str, Any]:
    """The fields of a decision that follow from the reports alone.

    `scores` are those of replicates that were decided before, and get the new ones; so do
    `curves`, the records of replicates whose training may end before its last epoch.
    """
    ends = [
        r.records[-1].epoch if r.records else s.start
        for r, s in zip(reports, segments, strict=True)
    ]
    found = {"segments": segments, "reports": reports, "epochs": max(ends), "value": None}
    outcomes = [report.outcome for report in reports if report.outcome != "finished"]
    if failures := [outcome for outcome in outcomes if outcome != "diverged"]:
        return found | {"state": "failed", "outcome": failures[0]}
    judged = [
        _judged(trial.config, curves.setdefault(segment.replicate, []), report.records)
        for segment, report in zip(segments, reports, strict=True)
    ]
    scores += [nan if record is None else record.validation_metric for record in judged]
    if outcomes or not all(map(isfinite, scores)):
        # Pruned and without a value: Optuna's samplers rank that as worst, and would learn nothing
        # from a failed trial.
        return found | {"state": "pruned", "outcome": "diverged"}
    found |= {"value": mean(scores), "standard_error": standard_error(scores)}
    stopped = all(
        report.records[-1:] == () or report.records[-1].epoch < segment.until
        for segment, report in zip(segments, reports, strict=True)
    )
    if not (is_last or stopped):
        return found | {"state": "running", "outcome": None}
    return found | {"state": "complete", "outcome": "finished"} | _final(spec, shape, trial, found)


def _judged(
    config: Any, curve: list[EpochRecord], records: Sequence[EpochRecord]
) -> EpochRecord | None:
    """The record that a training is judged by: of the best epoch under patience, else the last."""
    if not (isinstance(config, TrainConfig) and config.patience):
        return records[-1]
    curve += records
    return kept(config, curve)


def _final(spec: StudySpec, shape: Shape, trial: Trial, found: dict[str, Any]) -> dict[str, Any]:
    """Objectives and constraints of a complete trial."""
    known = {spec.train.metric: found["value"]} | _further(found["reports"])

    def measured(name: str) -> float:
        return MEASURES[name](trial.config, shape) if name in MEASURES else float(known[name])

    constraints = spec.search.constraints.items()
    final = {"violations": tuple(bounds.violation(measured(name)) for name, bounds in constraints)}
    if len(spec.objectives) > 1:
        final["values"] = tuple(measured(name) for name in spec.objectives)
    return final


def rank(
    spec: StudySpec, value: float, number: int, violations: Sequence[float] = ()
) -> tuple[int, float, int]:
    """The place of a complete trial by its first objective: the least is the best.

    Those that break fewer constraints come first, and of equals the one begun first.
    """
    sign = -1 if direction(spec.objectives[0]) == "maximize" else 1
    return sum(violation > 0 for violation in violations), sign * value, number


def place(spec: StudySpec, step: Decide) -> tuple[int, float, int]:
    """The rank of a trial that has just come to its end."""
    assert step.value is not None
    value = step.values[0] if step.values else step.value
    return rank(spec, value, step.trial.number, step.violations)


def further_metrics(spec: StudySpec) -> tuple[str, ...]:
    """The metrics that objectives and constraints need beside the study's own."""
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
    names = dict.fromkeys(name for report in reports for name, _ in report.metrics)
    return {name: mean([dict(report.metrics)[name] for report in reports]) for name in names}

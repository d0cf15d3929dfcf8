"""Rows of the record from what happened, and back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import fsum, isfinite, nan
from typing import Any

from sweep.backends import Beat, Report, Segment
from sweep.steps import Decide, Trial
from sweep.store import Row
from trainer import EpochRecord

MEASURES = (
    "learning_rate",
    "train_loss",
    "validation_loss",
    "validation_metric",
    "gradient_norm",
)

Key = tuple[int, int, int, int]
"""Of a segment: its trial, replicate, start and until."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that a segment was sent out and something came back; times in seconds since 1970."""

    number: int
    queued: float
    sent: float
    received: float
    report: Report
    accepted: bool
    """Whether this is what the segment came to; else it is sent again."""


def key(of: Any) -> Key:
    """The key of a segment, or of the row of an attempt at it."""
    if isinstance(of, Segment):
        return of.trial, of.replicate, of.start, of.until
    return of["trial"], of["replicate"], of["start"], of["until"]


def attempt_row(segment: Segment, attempt: Attempt, platform: int | None) -> Row:
    """What came back of a segment."""
    report = attempt.report
    return {
        "trial": segment.trial,
        "replicate": segment.replicate,
        "start": segment.start,
        "until": segment.until,
        "attempt": attempt.number,
        "accepted": attempt.accepted,
        "worker": report.worker,
        "node": report.node,
        "platform": platform,
        "queued": time_of(attempt.queued),
        "sent": time_of(attempt.sent),
        "started": time_of(report.started),
        "loaded": time_of(report.loaded),
        "finished": time_of(report.finished),
        "received": time_of(attempt.received),
        "training": fsum(record.seconds for record in report.records),
        "metrics": {name: _finite(value) for name, value in report.metrics} or None,
        "cause": report.outcome,
        "error": report.error,
    }


def report_of(row: Row, records: tuple[EpochRecord, ...]) -> Report:
    """What `attempt_row` wrote down, with its epochs."""
    return Report(
        records=records,
        outcome=row["cause"],
        error=row["error"],
        worker=row["worker"],
        node=row["node"],
        metrics=tuple((name, _number(value)) for name, value in (row["metrics"] or {}).items()),
    )


def begun_row(trial: Trial) -> Row:
    """What a trial is when it begins."""
    return {
        "number": trial.number,
        "params": trial.params,
        "state": "running",
        "seed": trial.seed,
        "predicted_cost": trial.predicted_cost,
    }


def decided_row(step: Decide, state: str, seconds: float, attempts: int) -> Row:
    """What a trial has come to."""
    return {
        "trial": step.trial.number,
        "state": state,
        "outcome": step.outcome,
        "value": step.value,
        "values": None if step.values is None else list(step.values),
        "standard_error": step.standard_error,
        "constraints": list(step.violations) or None,
        "epochs": step.epochs,
        "seconds": seconds,
        "attempts": attempts,
        "node": next((report.node for report in step.reports if report.node), None),
        "error": step.error,
    }


def record_of(row: Row) -> EpochRecord:
    """What `epoch_row` wrote down."""
    fields: Row = {name: row[name] for name in ("epoch", "seconds")}
    for name in MEASURES:
        fields[name] = _number(row[name])
    return EpochRecord(**fields)


def epoch_row(segment: Segment, record: EpochRecord) -> Row:
    """An epoch of a segment."""
    measures = {name: _finite(getattr(record, name)) for name in MEASURES}
    return {
        "trial": segment.trial,
        "replicate": segment.replicate,
        "epoch": record.epoch,
        "seconds": record.seconds,
        **measures,
    }


def progress_row(beats: Mapping[int, Beat]) -> Row:
    """How far each running trial is: its epoch, the metric after it, when the segment started."""
    return {str(trial): [beat.epoch, beat.value, beat.started] for trial, beat in beats.items()}


def _finite(value: float) -> float | None:
    # Databases disagree about NaN and infinity; NULL says the same.
    return value if isfinite(value) else None


def _number(value: float | None) -> float:
    return nan if value is None else value


def time_of(seconds: float | None) -> datetime | None:
    """Seconds since 1970 as the record has them."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

"""The steps of a study as rows of its record, and back."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sweep.backends import Report, Segment
from sweep.decisions import Begin, Decide, Params
from sweep.errors import StudyChanged
from sweep.store import Batch, Lease, Row, Store
from trainer import EpochRecord

MEASURES = ("train_loss", "validation_loss", "validation_metric", "gradient_norm")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One time that a segment was sent out and something came back."""

    number: int
    queued: float
    report: Report


class Journal:
    """Writes what is decided, several steps to a transaction, and recalls what was decided before.

    A study that goes on takes every step again from the first; those that the record already
    holds are answered from it and not written twice.
    """

    def __init__(self, store: Store, lease: Lease) -> None:
        self._store, self._lease = store, lease
        self._batch = Batch()
        self._trials = {row["number"]: row for row in store.trials(lease.study)}
        self._records: dict[int, list[EpochRecord]] = defaultdict(list)
        for row in store.epochs(lease.study):
            self._records[row["trial"]].append(_record(row))
        self._recalled: set[Segment] = set()
        self._seconds: dict[int, float] = defaultdict(float)
        self._attempts: dict[int, int] = defaultdict(int)

    @property
    def proposed(self) -> dict[int, Params]:
        """The recorded parameters of each trial."""
        return {number: row["params"] for number, row in self._trials.items()}

    def recall(self, segment: Segment) -> Report | None:
        """The recorded report of a segment, if it was decided before."""
        if (trial := self._trials.get(segment.trial)) is None:
            return None
        report = _recorded_report(trial, self._records[segment.trial], segment)
        if report is not None:
            self._recalled.add(segment)
        return report

    def begin(self, step: Begin) -> None:
        trial = step.trial
        if trial.number in self._trials:
            return
        now = datetime.now(UTC)
        self._batch.started.append(
            {
                "number": trial.number,
                "params": trial.params,
                "state": "running",
                "seed": trial.seed,
                "predicted_cost": trial.predicted_cost,
                "datetime_start": now,
            }
        )
        self._event(now, "begin", trial.number, step.virtual_time)

    def decide(self, step: Decide, attempts: Iterable[Attempt]) -> None:
        number, segment, report = step.trial.number, step.segment, step.report
        self._seconds[number] += sum(record.seconds for record in report.records)
        done = report.records[-1].epoch if report.records else segment.start
        if segment in self._recalled:
            self._check(step, done)
            self._attempts[number] = self._trials[number]["attempts"]
            return
        for attempt in attempts:
            self._attempts[number] += 1
            self._batch.attempts.append(_attempt_row(segment, attempt))
        self._batch.epochs += [_epoch_row(number, record) for record in report.records]
        now = datetime.now(UTC)
        self._batch.decided.append(
            {
                "trial": number,
                "state": step.state,
                "outcome": step.outcome,
                "value": step.value,
                "epochs": done,
                "datetime_complete": None if step.state == "running" else now,
                "seconds": self._seconds[number],
                "attempts": self._attempts[number],
                "node": report.node,
                "error": report.error,
            }
        )
        self._event(now, step.state, number, step.virtual_time, done, step.value)

    def _check(self, step: Decide, done: int) -> None:
        """Whether what is decided now is what was decided then."""
        trial = self._trials[step.trial.number]
        recorded = trial["state"] if trial["epochs"] == done else "running"
        if step.state != recorded:
            raise StudyChanged(
                f"trial {trial['number']} is recorded as {recorded} after epoch {done}, but the "
                f"study as it runs now makes it {step.state}: the releases of sweep, Optuna or "
                "NumPy are not those that it began with; go back to them, or run the file as a "
                "new study with --name NEW_NAME"
            )

    def _event(
        self,
        time: datetime,
        event: str,
        trial: int,
        virtual_time: float,
        epoch: int | None = None,
        value: float | None = None,
    ) -> None:
        self._batch.events.append(
            {
                "time": time,
                "virtual_time": virtual_time,
                "event": event,
                "trial": trial,
                "epoch": epoch,
                "value": value,
            }
        )

    def flush(self) -> None:
        """Make durable what was decided since the last time."""
        if self._batch:
            self._store.write(self._lease, self._batch)
            self._batch = Batch()


def _recorded_report(trial: Row, records: list[EpochRecord], segment: Segment) -> Report | None:
    found = tuple(r for r in records if segment.start < r.epoch <= segment.until)
    ended_here = found[-1].epoch == trial["epochs"] if found else segment.start == trial["epochs"]
    ended = trial["state"] != "running" and ended_here
    known = {"error": trial["error"], "node": trial["node"]}
    if found and ended and trial["outcome"] == "diverged":
        return Report(found, "diverged", **known)
    if found and found[-1].epoch == segment.until:
        return Report(found, **known)
    if not found and ended and trial["outcome"] not in ("finished", "pruned"):
        return Report((), trial["outcome"], **known)
    return None


def _record(row: Row) -> EpochRecord:
    fields: Row = {name: row[name] for name in ("epoch", "learning_rate", "seconds")}
    for name in MEASURES:
        fields[name] = math.nan if row[name] is None else row[name]
    return EpochRecord(**fields)


def _epoch_row(trial: int, record: EpochRecord) -> Row:
    # Databases disagree about NaN and infinity; NULL says the same.
    measures = {name: _finite(getattr(record, name)) for name in MEASURES}
    return {
        "trial": trial,
        "epoch": record.epoch,
        "learning_rate": record.learning_rate,
        "seconds": record.seconds,
        **measures,
    }


def _attempt_row(segment: Segment, attempt: Attempt) -> Row:
    report = attempt.report
    return {
        "trial": segment.trial,
        "start": segment.start,
        "until": segment.until,
        "attempt": attempt.number,
        "worker": report.worker,
        "node": report.node,
        "queued": _time(attempt.queued),
        "started": _time(report.started),
        "finished": _time(report.finished),
        "cause": report.outcome,
        "error": report.error,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)

"""The retrainings of a study: their scores and their rows in the record."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from math import fsum, isfinite
from typing import Any

from sweep import verdict
from sweep.backends import Report, Segment
from sweep.cost import Shape
from sweep.dispatch import may_end_otherwise
from sweep.leaders import Key, key_of, score_of
from sweep.orchestrator import limits_of
from sweep.race import Score
from sweep.rows import Attempt, time_of
from sweep.spec import StudySpec
from sweep.store import Batch, Lease, Row, Store


class Retrainings:
    """Remembers what came of each retraining, and writes down what comes back.

    A fault is no score: a training whose workers were lost is not recorded, and tried again when
    the confirmation goes on.
    """

    def __init__(
        self, spec: StudySpec, shape: Shape, folds: int, store: Store, lease: Lease
    ) -> None:
        self._spec, self._shape, self._folds = spec, shape, folds
        self.limits = limits_of(spec)
        self._store, self._lease = store, lease
        self._rows = {key_of(row): row for row in store.retrainings(lease.study)}
        self._batch = Batch()
        self.trained = 0
        """That came back in this process."""

    def knows(self, key: Key) -> bool:
        return key in self._rows

    def row(self, segment: Segment) -> Row:
        """What is known of a retraining that came back."""
        return self._rows[self._key(segment)]

    def score(self, segment: Segment) -> Score:
        return score_of(self.row(segment))

    def is_fault(self, report: Report) -> bool:
        """Whether a report says something of machines, and nothing of a configuration."""
        return report.outcome == "killed" or may_end_otherwise(report, self.limits)

    def recall(self, segment: Segment) -> Report | None:
        """The outcome of a retraining that came back before, without its epochs."""
        if (row := self._rows.get(self._key(segment))) is None:
            return None
        began = row["datetime_start"]
        started = None if began is None else began.timestamp()
        return Report(outcome=row["outcome"], error=row["error"], started=started)

    def arrived(self, segment: Segment, attempt: Attempt) -> None:
        """Write down what counts."""
        if not attempt.accepted or self.is_fault(attempt.report):
            return
        trial, folds, fold, seed = key = self._key(segment)
        named = {"trial": trial, "folds": folds, "fold": fold, "seed": seed}
        self._rows[key] = named | self._columns(segment, attempt)
        self._batch.retrainings.append(self._rows[key])
        self.trained += 1

    def flush(self) -> None:
        """Make durable what came back since the last time."""
        if self._batch:
            self._store.write(self._lease, self._batch)
            self._batch = Batch()

    def _key(self, segment: Segment) -> Key:
        return segment.trial, self._folds, segment.fold, segment.seed

    def _columns(self, segment: Segment, attempt: Attempt) -> Row:
        report = attempt.report
        outcome, score = self._scored(segment, report)
        return {
            "outcome": outcome,
            "value": score.value,
            "measures": list(score.measures) or None,
            "epochs": report.records[-1].epoch if report.records else 0,
            "error": report.error,
            "seconds": fsum(record.seconds for record in report.records),
            "attempts": attempt.number,
            "node": report.node,
            "worker": report.worker,
            "platform": None if report.platform is None else json.loads(report.platform),
            "datetime_start": time_of(report.started),
            "datetime_complete": datetime.now(UTC),
        }

    def _scored(self, segment: Segment, report: Report) -> tuple[str, Score]:
        """The outcome, and the score in the first objective and of the constraints."""
        if report.outcome != "finished":
            return report.outcome, Score(None)
        metric, config = self._spec.train.metric, segment.config
        known: Mapping[str, Any] = {
            metric: verdict.score(config, [report]),
            **dict(report.metrics),
        }
        if not all(map(isfinite, known.values())):
            return "diverged", Score(None)
        names = (self._spec.objectives[0], *self._spec.search.constraints)
        value, *measures = verdict.measures(names, config, self._shape, known)
        return "finished", Score(value, tuple(measures))

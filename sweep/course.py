"""The course that a study would have taken: its fold, with segments answered from a record."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import fsum, isfinite, nan
from typing import Any

import numpy as np

from sweep import overview, verdict
from sweep.backends import Report, Segment
from sweep.cost import Shape, predicted_cost
from sweep.decisions import decisions
from sweep.rows import Key, begun_row, decided_row, key, record_of, report_of
from sweep.space import active, distributions, trial_config, widened
from sweep.spec import StudySpec, direction
from sweep.steps import Await, Begin, Close, Command, Decide, Reply, Trial, Turn
from sweep.store import Row
from sweep.surrogate import Floats, Surrogate, Training, encoder
from sweep.verdict import may_stop
from sweep.warm import Known
from trainer import EpochRecord


@dataclass(frozen=True)
class Record:
    """A study's curves: `spec` with the data's shape, and rows of its tables."""

    spec: StudySpec
    shape: Shape
    trials: Sequence[Row]
    epochs: Sequence[Row]
    """Those that have been decided about."""
    attempts: Sequence[Row]

    @cached_property
    def reports(self) -> Mapping[Key, Report]:
        """What each recorded segment came to."""
        return {
            key(row): report_of(row, tuple(self._between(*key(row))))
            for row in self.attempts
            if row["accepted"]
        }

    @cached_property
    def curves(self) -> Mapping[tuple[int, int], Sequence[EpochRecord]]:
        """The epochs of each trial and replicate."""
        found: dict[tuple[int, int], list[EpochRecord]] = defaultdict(list)
        for row in self.epochs:
            found[row["trial"], row["replicate"]].append(record_of(row))
        return found

    @cached_property
    def places(self) -> Mapping[Any, Sequence[int]]:
        """The numbers of the trials that trained each configuration."""
        found: dict[Any, list[int]] = defaultdict(list)
        for row in self.trials:
            if row["epochs"]:
                found[trial_config(self.spec, row["params"])].append(row["number"])
        return found

    @cached_property
    def seconds(self) -> float:
        """In which all epochs were trained."""
        return fsum(row["seconds"] for row in self.epochs)

    @cached_property
    def predicted(self) -> float:
        """Seconds that all epochs were predicted to take."""
        counts: dict[int, int] = defaultdict(int)
        for row in self.epochs:
            counts[row["trial"]] += 1
        whole = self.spec.train.epochs * self.spec.search.replicates
        return fsum(r["predicted_cost"] * counts[r["number"]] / whole for r in self.trials)

    @cached_property
    def features(self) -> Callable[[Mapping[str, Any]], Floats]:
        """The numbers that stand for a trial's parameters."""
        known = widened(distributions(self.spec.space), (row["params"] for row in self.trials))
        encode = encoder(known)
        return lambda params: encode(active(self.spec.space, params))

    @cached_property
    def surrogate(self) -> Surrogate:
        """For what is not recorded; UsageError if too little is."""
        return Surrogate(
            self._trainings(),
            self.spec.train.epochs,
            maximize=direction(self.spec.train.metric) == "maximize",
            seed=self.spec.search.seed,
            name=self.spec.name,
        )

    def _trainings(self) -> list[Training]:
        found = []
        for row in self.trials:
            features = self.features(row["params"])
            stops = may_stop(trial_config(self.spec, row["params"]))
            for replicate in range(self.spec.search.replicates):
                records = self.curves.get((row["number"], replicate), ())
                values = [record.validation_metric for record in records]
                diverged = not all(map(isfinite, values)) or row["outcome"] == "diverged"
                known = np.array([value for value in values if isfinite(value)])
                short = row["state"] == "complete" and len(values) < self.spec.train.epochs
                end = "diverged" if diverged else "stopped" if short and stops else None
                if stops and len(known):
                    best = np.maximum if self.sign > 0 else np.minimum
                    known = best.accumulate(known)
                if len(known) or diverged:
                    found.append(Training(row["number"], features, known, end))
        return found

    @property
    def sign(self) -> int:
        """1 if the metric is to be maximized, else -1."""
        return 1 if direction(self.spec.train.metric) == "maximize" else -1

    def _between(self, trial: int, replicate: int, start: int, until: int) -> Sequence[EpochRecord]:
        return [r for r in self.curves.get((trial, replicate), ()) if start < r.epoch <= until]


Place = tuple[int, int]
"""A trial and a replicate."""


class Answers:
    """Reports of segments in place of a backend: as recorded, as far as that goes, then predicted.

    What is predicted of a training depends on its configuration, its trial's number and the
    study's seed alone, as does what it comes to when it is trained.
    """

    def __init__(self, record: Record, spec: StudySpec) -> None:
        self._record, self._seed = record, spec.search.seed
        self._as_recorded = is_recorded(record.spec, spec)
        self._features: dict[int, Floats] = {}
        self._source: dict[int, int] = {}
        self._values: dict[Place, float] = {}
        self.recorded = 0
        """Epochs that were answered from the record; all others were predicted."""
        self.predicted = 0

    def begin(self, trial: Trial) -> None:
        """A trial begins whose segments may be asked for."""
        self._features[trial.number] = self._record.features(trial.params)
        known = self._record.places.get(trial.config, ())
        if known:
            self._source[trial.number] = trial.number if trial.number in known else known[0]

    def report(self, segment: Segment) -> Report:
        """What a segment comes to."""
        known = self._record.reports.get(key(segment)) if self._as_recorded else None
        report = known or self._recorded(segment)
        if report is None:
            report = self._predicted(segment)
            self.predicted += _end(segment, report) - segment.start
        else:
            self.recorded += _end(segment, report) - segment.start
        return report

    def _curve(self, segment: Segment) -> Sequence[EpochRecord]:
        """What is recorded of a training, if nothing was predicted of it yet."""
        if (segment.trial, segment.replicate) in self._values or segment.trial not in self._source:
            return ()
        return self._record.curves.get((self._source[segment.trial], segment.replicate), ())

    def _recorded(self, segment: Segment) -> Report | None:
        """The report of a segment that was trained to its end; None if it was not."""
        curve = self._curve(segment)
        records = tuple(r for r in curve if segment.start < r.epoch <= segment.until)
        if not records:
            return None
        if not isfinite(records[-1].validation_metric):
            return Report(records, outcome="diverged")
        row = self._record.trials[self._source[segment.trial]]
        is_whole = row["state"] == "complete" or records[-1].epoch == segment.until
        return Report(records) if is_whole else None

    def _predicted(self, segment: Segment) -> Report:
        place = segment.trial, segment.replicate
        curve = [r for r in self._curve(segment) if r.epoch <= segment.until]
        epoch, value = segment.start, self._values.get(place)
        if curve:
            epoch, value = curve[-1].epoch, self._score(segment, curve)
        words = (self._seed, segment.trial, segment.replicate, segment.start)
        until, then = self._record.surrogate.follow(
            self._features[segment.trial],
            epoch,
            value,
            segment.until,
            np.random.default_rng(np.random.SeedSequence(words)),
        )
        records = tuple(r for r in curve if r.epoch > segment.start)
        if then is None:
            return Report((*records, _epoch(until, nan)), outcome="diverged")
        is_worse = value is not None and self._record.sign * then < self._record.sign * value
        self._values[place] = value if is_worse and may_stop(segment.config) else then  # type: ignore[assignment]
        return Report((*records, _epoch(until, then)))

    def _score(self, segment: Segment, curve: Sequence[EpochRecord]) -> float:
        return verdict.score(segment.config, [Report(tuple(curve))])


@dataclass(frozen=True, slots=True)
class Course:
    """What became of every trial; seconds are virtual, and those that epochs are predicted to
    take."""

    spec: StudySpec
    trials: Sequence[Row]
    """Rows as the record has them, with `began` and `ended` in virtual seconds."""
    ends: Sequence[Row]
    """`trial`, `seconds`, `cpu_seconds`, `epochs` and `best` whenever a trial ended."""
    recorded: int
    """Epochs that were answered from the record."""
    predicted: int

    @property
    def best(self) -> Row | None:
        """The winner."""
        found = overview.complete(self.trials)
        return min(found, key=lambda row: overview.place(self.spec, row), default=None)


def is_recorded(recorded: StudySpec, spec: StudySpec) -> bool:
    """Whether a question leads to the recorded decisions, as far as either goes."""
    return spec.search.model_copy(update={"trials": recorded.search.trials}) == recorded.search


def course(
    record: Record,
    spec: StudySpec,
    warm: Known,
    commands: Mapping[int, Sequence[Command]],
    most: float | None,
) -> Course:
    """The course of a study that differs from the recorded in its [search] alone.

    `commands` take effect at their steps; no trial begins any more once `most` seconds of training
    are spent by prediction.
    """
    answers = Answers(record, spec)
    steps = decisions(spec, record.shape, {}, warm)
    rows: dict[int, Row] = {}
    ends: list[Row] = []
    now, seconds, epochs = 0.0, 0.0, 0
    best: Row | None = None
    reply: Reply = None
    while True:
        try:
            step = steps.send(reply)
        except StopIteration:
            return Course(spec, list(rows.values()), ends, answers.recorded, answers.predicted)
        reply = None
        match step:
            case Begin():
                answers.begin(step.trial)
                began = {"epochs": 0, "began": step.virtual_time}
                rows[step.trial.number] = begun_row(step.trial) | began
            case Await():
                reply = report = answers.report(step.segment)
                trained = _end(step.segment, report) - step.segment.start
                epochs += trained
                seconds += predicted_cost(step.segment.config, record.shape, trained)
            case Turn():
                spent = most is not None and seconds >= most
                reply = [*commands.get(step.step, ()), *([Close("cpu_time")] if spent else [])]
            case Decide():
                row, now = rows[step.trial.number], max(now, step.virtual_time)
                row |= decided_row(step, step.state, 0.0, 0) | {"ended": step.virtual_time}
                if step.state in overview.ENDED and step.outcome not in overview.REFUSED:
                    if step.state == "complete" and (best is None or _beats(spec, row, best)):
                        best = row
                    ends.append(
                        {
                            "trial": step.trial.number,
                            "seconds": now,
                            "cpu_seconds": seconds,
                            "epochs": epochs,
                            "best": nan if best is None else overview.first_value(best),
                        }
                    )


def _beats(spec: StudySpec, row: Row, other: Row) -> bool:
    return overview.place(spec, row) < overview.place(spec, other)


def _end(segment: Segment, report: Report) -> int:
    return report.records[-1].epoch if report.records else segment.start


def _epoch(epoch: int, value: float) -> EpochRecord:
    """An epoch of which nothing is known but what trials are judged by."""
    return EpochRecord(epoch, nan, nan, nan, value, nan, 0.0)

"""The steps of a study as rows of its record, and back."""

import json
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import fsum
from statistics import median
from typing import Any

from sweep.backends import Beat, Report, Segment
from sweep.errors import StudyChanged
from sweep.rows import (
    Attempt,
    Key,
    attempt_row,
    begun_row,
    decided_row,
    epoch_row,
    key,
    progress_row,
    record_of,
    report_of,
)
from sweep.steps import Begin, Close, Command, Decide, Edit, Enqueue, Full, Params, Promote
from sweep.store import Batch, Lease, Row, Store
from trainer import EpochRecord

COMMANDS: dict[str, type[Command]] = {"enqueue": Enqueue, "edit": Edit, "close": Close}
"""The commands that take effect at a step, by the name of their event."""

PROGRESS = 1.0
"""Seconds, at least, between two records of how far the running trials are."""

AT_ONCE = 256
"""Trials whose epochs are read together: a study that goes on recalls them about in order."""


class Journal:
    """Writes what is decided, several steps to a transaction, and recalls what was before.

    A study that goes on takes every step again from the first. The decisions that are on record
    must come out as they did then, and are not written twice; the segments that came back are
    answered from their attempts.
    """

    def __init__(self, store: Store, lease: Lease) -> None:
        self._store, self._lease = store, lease
        self._batch = Batch()
        self.proposed: dict[int, Params] = {
            r["number"]: r["params"] for r in store.trials(lease.study)
        }
        steps = [row for row in store.events(lease.study) if row["step"] is not None]
        # Apart: those of an extended study wait for a step that is yet to be decided.
        self._commands = deque(row for row in steps if row["event"] in COMMANDS)
        self._expected = deque(row for row in steps if row["event"] not in COMMANDS)
        self._accepted: dict[Key, Row] = {}
        self._tries: dict[int, int] = defaultdict(int)
        self.training = 0.0
        """Seconds in which its segments trained."""
        for row in store.attempts(lease.study):
            self._tries[row["trial"]] += 1
            self.training += row["training"] or 0.0
            if row["accepted"]:
                self._accepted[key(row)] = row
        self._records: dict[int, list[Row]] = {}
        self._seconds: dict[int, float] = defaultdict(float)
        self._paused: set[int] = set()
        self._platforms: dict[str, int] = {}
        self.kernels: set[str] = set()
        """The sets of kernels that its segments were computed with; the last bits may differ."""
        for row in store.platforms(lease.study):
            self._know(json.dumps(row["description"]), row["id"])
        events = (row["step"] for row in self._expected if row["event"] == "full")
        self.full_step = next(events, sys.maxsize)
        """From where on decisions would be others if the study were extended."""
        self.recording = 0.0
        """Seconds that this process waited for the store."""
        self._recorded: list[float] = []  # for each trial that ended, its share of a write
        self._progress: Row = {}
        self._untold: Row | None = None
        self._told = 0.0

    @property
    def is_replaying(self) -> bool:
        """Whether the next step is on record."""
        return bool(self._expected)

    # What came back.

    def recall(self, segment: Segment) -> Report | None:
        """The report of a segment that came back before."""
        row = self._accepted.get(key(segment))
        if row is None:
            return None
        return report_of(row, tuple(self.epochs(segment)))

    def epochs(self, segment: Segment) -> list[EpochRecord]:
        """What is on record of a segment's epochs."""
        if segment.trial not in self._records:
            numbers = range(segment.trial, segment.trial + AT_ONCE)
            self._records |= {number: [] for number in numbers}
            for row in self._store.epochs(self._lease.study, numbers):
                self._records[row["trial"]].append(row)
        return [
            record_of(row)
            for row in self._records[segment.trial]
            if row["replicate"] == segment.replicate
            and segment.start < row["epoch"] <= segment.until
        ]

    def arrived(self, segment: Segment, attempt: Attempt) -> None:
        """Write down a result at once: what came back need not be computed again."""
        report = attempt.report
        self._tries[segment.trial] += 1
        self.training += fsum(record.seconds for record in report.records)
        self._batch.attempts.append(attempt_row(segment, attempt, self._platform(report.platform)))
        if attempt.accepted:
            self._batch.epochs += [epoch_row(segment, record) for record in report.records]

    def _platform(self, description: str | None) -> int | None:
        if description is None:
            return None
        if description not in self._platforms:
            platform = self._know(description, len(self._platforms))
            self._batch.platforms.append(platform)
        return self._platforms[description]

    def _know(self, text: str, number: int) -> Row:
        description = json.loads(text)
        self._platforms[text] = number
        self.kernels.add(f"{description['kernel']} ({description['numpy']})")
        return {"id": number, "description": description}

    # What was decided.

    def begin(self, step: Begin, asking: float) -> None:
        """A trial began; its proposal took so many seconds."""
        trial = step.trial
        if self._note("begin", step.step, trial.number, step.virtual_time):
            times = {"asking": asking, "datetime_start": self._batch.events[-1]["time"]}
            self._batch.started.append(begun_row(trial) | times)

    def promote(self, step: Promote) -> None:
        """A paused trial goes on."""
        last = step.last
        number = last.trial.number
        self._paused.discard(number)
        if self._note("running", step.step, number, step.virtual_time, last.epochs, last.value):
            self._decided(last, "running")

    def decide(self, step: Decide) -> None:
        """A trial came to the end of its segments."""
        number = step.trial.number
        if number not in self._paused:  # those of a trial that stays paused were told before
            for report in step.reports:
                self._seconds[number] += fsum(record.seconds for record in report.records)
        if step.state == "paused":
            self._paused.add(number)
        if step.state not in ("running", "paused"):
            self._records.pop(number, None)
        if self._note(step.state, step.step, number, step.virtual_time, step.epochs, step.value):
            self._decided(step, step.state)

    def _decided(self, step: Decide, state: str) -> None:
        number = step.trial.number
        row = decided_row(step, state, self._seconds[number], self._tries[number])
        now = self._batch.events[-1]["time"]
        has_ended = state not in ("running", "paused")
        self._batch.decided.append(row | {"datetime_complete": now if has_ended else None})

    def full(self, step: Full) -> None:
        """No more trials begin; what would extend the study begins anew at this step."""
        self._note("full", step.step)
        self.full_step = step.step

    def commands(self, step: int) -> list[Command]:
        """The commands on record for this step."""
        found = []
        while self._commands and self._commands[0]["step"] == step:
            row = self._commands.popleft()
            found.append(command(row["event"], row["detail"]))
        return found

    def command(self, step: int, event: str, detail: Mapping[str, Any]) -> Command:
        """A command takes effect at this step."""
        self._event(event, step, None, detail=detail)
        return command(event, detail)

    def remark(self, event: str, trial: int | None = None, **detail: Any) -> None:
        """Something happened that decides nothing."""
        self._event(event, None, trial, detail=detail)

    def answer(self, request: int, text: str) -> None:
        """What became of a user's request."""
        self._batch.answered.append({"id": request, "answer": text})

    def _note(
        self,
        event: str,
        step: int,
        trial: int | None = None,
        virtual_time: float | None = None,
        epoch: int | None = None,
        value: float | None = None,
    ) -> bool:
        """Write an event down, or find it on record; whether it is new."""
        if not self._expected:
            self._event(event, step, trial, virtual_time, epoch, value)
            return True
        recorded = self._expected.popleft()
        then = tuple(recorded[name] for name in ("event", "step", "trial", "epoch", "value"))
        now = (event, step, trial, epoch, value)
        if then != now:
            raise StudyChanged(
                f"decision {step} is recorded as {_say(then)}, but comes out as {_say(now)}: the "
                "releases of sweep, Optuna or NumPy are not those that the study began with; go "
                "back to them, or run the file as a new study with --name NEW_NAME"
            )
        return False

    def _event(
        self,
        event: str,
        step: int | None,
        trial: int | None = None,
        virtual_time: float | None = None,
        epoch: int | None = None,
        value: float | None = None,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        self._batch.events.append(
            {
                "time": datetime.now(UTC),
                "step": step,
                "virtual_time": virtual_time,
                "event": event,
                "trial": trial,
                "epoch": epoch,
                "value": value,
                "detail": None if detail is None else dict(detail),
            }
        )

    def tell(self, beats: Mapping[int, Beat]) -> None:
        """Let others see how far running trials are, now and then: with what else is written."""
        if (now := time.monotonic()) >= self._told + PROGRESS:
            self._told = now
            if (row := progress_row(beats)) != self._progress:
                self._progress = self._untold = row

    def flush(self) -> None:
        """Make durable what was written since the last time."""
        progress = {} if self._untold is None else {"progress": self._untold}
        if self._batch or progress:
            began, ended = time.perf_counter(), sum(map(_has_ended, self._batch.decided))
            self._store.write(self._lease, self._batch, **progress)
            self._untold = None
            self._batch = Batch()
            seconds = time.perf_counter() - began
            self.recording += seconds
            if ended:
                self._recorded += [seconds / ended] * ended

    @property
    def recording_median(self) -> float | None:
        """Seconds that a trial's end waited for the store, in the median."""
        return median(self._recorded) if self._recorded else None


def command(event: str, detail: Mapping[str, Any]) -> Command:
    """The command that an event of this name and detail is."""
    make: Callable[..., Command] = COMMANDS[event]
    return make(**detail)


def _has_ended(row: Row) -> bool:
    return row["state"] not in ("running", "paused")


def _say(decision: tuple[Any, ...]) -> str:
    event, step, trial, epoch, value = decision
    parts = [f"{event} of trial {trial}" if trial is not None else event]
    parts += [f"after epoch {epoch}"] if epoch is not None else []
    parts += [f"with {value:.6g}"] if value is not None else []
    return " ".join([*parts, f"at {step}"])

"""What a study has come to: pure state, fed by the events of a run or by the rows of its record."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from math import fsum
from typing import Any

from sweep.dispatch import Tick
from sweep.errors import gist
from sweep.loop import Ended, Event, Opened, Ready
from sweep.overview import REFUSED
from sweep.spec import StudySpec
from sweep.steps import Begin, Decide, Promote
from sweep.verdict import Place, place

FINE = ("finished", "pruned", *REFUSED)
"""The outcomes of trials with which nothing is wrong."""

SETTLED = 3.0
"""Seconds before a rate is worth telling."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A trial as far as it has come."""

    number: int
    params: Mapping[str, Any]
    cost: float
    """Predicted seconds of all its epochs."""
    state: str = "running"
    outcome: str | None = None
    epochs: int = 0
    done: int = 0
    """Epochs decided, of all replicates together."""
    value: float | None = None
    objective: float | None = None
    """Of a complete trial: its value in the first objective."""
    place: Place | None = None
    """Of a complete trial: its rank, the least is the best."""
    error: str | None = None

    @property
    def has_failed(self) -> bool:
        return self.outcome is not None and self.outcome not in FINE

    @property
    def reason(self) -> str:
        """What its error said, in a line."""
        return gist(self.error or "")


@dataclass(frozen=True, slots=True)
class Sign:
    """How far a running segment is."""

    epoch: int
    value: float | None
    started: float
    """Seconds since 1970."""


KNOWN, SHARE = 5, 0.05
"""Trials that ended, or the share of the predicted work, from which on the time left is told."""

SESSION = ("backend", "cpus", "ready", "ended", "work", "trained", "signs")
"""What of a tally is this session's, whatever the study goes back to."""


@dataclass(slots=True)
class Tally:
    """What the events so far amount to."""

    spec: StudySpec
    backend: str = ""
    state: str = ""
    cpus: int = 0
    ready: float | None = None
    """When there were CPUs, in seconds since 1970."""
    running: dict[int, Standing] = field(default_factory=dict)
    paused: dict[int, Standing] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    """Of trials that ended, by their state."""
    refused: int = 0
    """Of them, those that were proposed and not trained."""
    best: Standing | None = None
    curve: list[float] = field(default_factory=list)
    """The best value in the first objective after each complete trial."""
    failures: deque[Standing] = field(default_factory=lambda: deque(maxlen=3))
    """The last ones."""
    ends: Counter[int] = field(default_factory=Counter)
    """How many trials ended after so many epochs."""
    begun: int = 0
    cost: float = 0.0
    """Predicted seconds of all epochs of the trials that began."""
    ended: int = 0
    """In this session, as `work` (predicted seconds) and `trained` (seconds) are."""
    work: float = 0.0
    trained: float = 0.0
    signs: Mapping[int, Sign] = field(default_factory=dict)

    @property
    def total(self) -> int:
        return self.counts.total()

    @property
    def whole(self) -> int:
        """The epochs of a trial that is not pruned, of all replicates together."""
        return self.spec.train.epochs * self.spec.search.replicates

    def take(self, event: Event, now: float) -> Standing | None:
        """Count an event; the trial that it ended, if any."""
        match event:
            case Opened():  # also when it is extended: its decisions are then told again
                self._restart(event.spec)
            case Ready():
                self.cpus = event.cpus
                self.ready = now if self.ready is None else self.ready
            case Begin(trial=trial):
                self.see(Standing(trial.number, trial.params, trial.predicted_cost))
            case Promote(last=last):
                self.see(replace(self.paused[last.trial.number], state="running"))
            case Decide():
                return self._decide(event)
            case Tick():
                self.signs = {
                    number: Sign(beat.epoch, beat.value, beat.started)
                    for number, beat in event.beats.items()
                }
            case Ended():
                self.state = event.state
        return None

    def _restart(self, spec: StudySpec) -> None:
        """Begin anew, but for what this session did."""
        kept = {name: getattr(self, name) for name in SESSION}
        anew = Tally(spec, state="running", **kept)
        for each in fields(self):
            setattr(self, each.name, getattr(anew, each.name))

    def _decide(self, step: Decide) -> Standing | None:
        number, complete = step.trial.number, step.state == "complete"
        before = self.running.get(number) or self.paused.get(number)
        # One that stays paused is told as pruned with reports that were told before.
        reports = () if number in self.paused else step.reports
        first = step.values[0] if step.values else step.value
        trial = Standing(
            number,
            step.trial.params,
            step.trial.predicted_cost,
            state=step.state,
            outcome=step.outcome,
            epochs=step.epochs,
            done=(before.done if before else 0) + sum(len(report.records) for report in reports),
            value=step.value,
            objective=first if complete else None,
            place=place(self.spec, step) if complete else None,
            error=step.error,
        )
        fresh = [report.records for report in reports if report.started is not None]
        seconds = fsum(record.seconds for records in fresh for record in records)
        return self.see(trial, sum(map(len, fresh)) if fresh else None, seconds)

    def see(
        self, trial: Standing, fresh: int | None = None, seconds: float = 0.0
    ) -> Standing | None:
        """A trial has come so far, by so many epochs and seconds of this session; it, if it ended.

        `fresh` is None of what an earlier session did.
        """
        number = trial.number
        if self.running.pop(number, None) is None and self.paused.pop(number, None) is None:
            self.begun += 1
            self.cost += trial.cost
        self.work += trial.cost * (fresh or 0) / self.whole
        self.trained += seconds
        if trial.state in ("running", "paused"):
            (self.running if trial.state == "running" else self.paused)[number] = trial
            return None
        self._end(trial)
        self.ended += fresh is not None
        return trial

    def _end(self, trial: Standing) -> None:
        self.counts[trial.state] += 1
        if trial.outcome in REFUSED:
            self.refused += 1
            self.begun -= 1
            self.cost -= trial.cost
            return
        self.ends[trial.done] += 1
        if trial.has_failed:
            self.failures.append(trial)
        if trial.place is not None and trial.objective is not None:
            if self.best is None or trial.place < (self.best.place or ()):
                self.best = trial
            self.curve.append(self.best.objective or 0.0)

    # What can be told of it at a moment.

    def seconds(self, now: float) -> float:
        """For which there have been CPUs in this session."""
        return 0.0 if self.ready is None else max(0.0, now - self.ready)

    def rate(self, now: float) -> float | None:
        """Trials that ended in a second of this session; None before that says anything."""
        if (seconds := self.seconds(now)) < SETTLED or not self.ended:
            return None
        return self.ended / seconds

    def share(self, now: float) -> float | None:
        """The share of the CPUs' time in this session that trained, as far as it is known."""
        if (seconds := self.seconds(now)) < SETTLED or not self.cpus:
            return None
        under_way = fsum(max(0.0, now - sign.started) for sign in self.signs.values())
        return min(1.0, (self.trained + under_way) / (self.cpus * seconds))

    def left(self, now: float) -> float | None:
        """About how many seconds until the last trial ends, at the pace of this session: what
        running trials and those not begun are predicted to cost, as far as pruning lets them."""
        ahead = fsum(
            trial.cost / self.whole * (self._epoch(trial) - trial.done)
            for trial in self.running.values()
        )
        seconds, work = self.seconds(now), self.work + ahead
        if seconds < SETTLED or not work:
            return None
        kept = [trial.done for trial in self.running.values()]
        paused = Counter(trial.done for trial in self.paused.values())
        ends = self.ends + paused
        costs = [
            trial.cost * expected_epochs(ends, kept, self.whole, trial.done)
            for trial in self.running.values()
        ]
        if missing := max(0, self.spec.search.trials - self.begun):
            mean = self.cost / max(1, self.begun)
            costs.append(missing * mean * expected_epochs(ends, kept, self.whole, 0))
        rest = max(0.0, fsum(costs) / self.whole - ahead)
        if self.ended < KNOWN and work < SHARE * (work + rest):
            return None  # the first epochs are slow, and no trial is known to be pruned yet
        left = rest * seconds / work
        search = self.spec.search
        if search.wall_time is not None:
            left = min(left, max(0.0, search.wall_time - seconds))
        if search.cpu_time is not None and self.trained:
            left = min(left, max(0.0, search.cpu_time - self.trained) * seconds / self.trained)
        return left

    def _epoch(self, trial: Standing) -> int:
        """Epochs of all replicates, those under way with them, which go side by side."""
        sign = self.signs.get(trial.number)
        epochs = 0 if sign is None else sign.epoch * self.spec.search.replicates
        return min(self.whole, max(trial.done, epochs))


def expected_epochs(
    ends: Mapping[int, int], running: Iterable[int], whole: int, done: int
) -> float:
    """How many more epochs a trial that has `done` so many may be expected to go on for.

    By the product-limit estimate (Kaplan and Meier 1958) from trials that ended, `ends` after so
    many epochs, and from those that run and went on after as many: the first trials to end are
    those that were pruned first, and to look at them alone would promise too much.
    """
    here = sorted(running)
    known = [*ends.items(), *Counter(here).items()]
    survival, expected, last = 1.0, 0.0, done
    for epoch in sorted(epoch for epoch in ends if (epoch > done or not done) and epoch < whole):
        at_risk = sum(count for reached, count in known if reached >= epoch)
        expected += survival * (epoch - last)
        survival *= 1 - ends[epoch] / at_risk
        last = epoch
    return expected + survival * (whole - last)

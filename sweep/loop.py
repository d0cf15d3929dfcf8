"""The loop: takes the decisions of a study, has its segments computed, and records both."""

import threading
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sweep.backends import Report, Segment
from sweep.budget import Clock
from sweep.control import Control
from sweep.cost import Shape, predicted_cost
from sweep.decisions import REFUSED_IN_A_ROW, decisions
from sweep.dispatch import Dispatch, Tick
from sweep.errors import BackendError, StudyFailed
from sweep.journal import Journal
from sweep.spec import StudySpec
from sweep.steps import Await, Begin, Close, Command, Decide, Full, Promote, Reply, Submit, Turn
from sweep.store import Row
from sweep.warm import Known
from sweep.winner import Winner

GROUP = 0.5
"""Seconds for which decisions may wait for others to be committed with them."""

FIRST_ERRORS = 3
"""A sweep whose first so many trials all end in `error` has a fault that more trials won't mend."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The study is this process's to run; `recorded` trials were begun before, and what became of
    those that had `ended` is told again. It is opened anew when it is extended."""

    spec: StudySpec
    recorded: int
    ended: Sequence[Row] = ()


@dataclass(frozen=True, slots=True)
class Ready:
    """The backend computes, on so many CPUs; told again when there are others."""

    cpus: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a user should know."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The study was left as `complete` or `stopped`."""

    state: str


Event = Opened | Ready | Begin | Promote | Decide | Tick | Notice | Ended


class Left(Exception):
    """The study is left before its end: as `stop`, `cancel` or `extend`."""


@dataclass(slots=True)
class Loop:
    """A study in the hands of this process."""

    spec: StudySpec
    shape: Shape
    warm: Known
    journal: Journal
    dispatch: Dispatch
    winner: Winner
    control: Control
    clock: Clock
    stop: threading.Event
    cpus: int
    """That the user knows of."""
    ended: int = 0
    failed: int = 0
    errors: int = 0
    closed: bool = False
    kernels: int = 1
    """Sets of kernels that the user knows of."""
    unsaved: bool = False
    """Whether the user knows that checkpoints cannot be written."""
    unseen: list[Event] = field(default_factory=list)
    """Taken, but not yet durable."""
    flushed: float = 0.0

    def carry_out(self) -> Generator[Event, None, str]:
        """Take every step of the study; `complete`, or why it was left before."""
        try:
            yield from self.take_steps()
            yield from self.show()
            yield from self.heed(at_once=True)  # a longer study was asked for at the last moment
            left = "complete"
        except Left as why:
            left = str(why)
        except BackendError:
            yield from self.show()  # what came back before is not lost
            raise
        yield from self.show()
        return left

    def finish(self) -> Generator[Event, None, tuple[str, dict[str, Any]]]:
        """Test the winner, which may have to be trained again for it: as `carry_out`, and what to
        record of it."""
        self.dispatch.hold = False
        testing = self.winner.test()
        try:
            while True:
                yield next(testing)
                yield from self.heed()
                self.leave_if_stopped()
        except StopIteration as end:
            return "complete", end.value
        except Left as why:
            return str(why), {}

    def take_steps(self) -> Generator[Event, None, None]:
        yield from self.heed()
        steps = decisions(self.spec, self.shape, self.journal.proposed, self.warm)
        reply: Reply = None
        while True:
            began = time.perf_counter()
            try:
                step = steps.send(reply)
            except StopIteration:
                return
            reply = None
            match step:
                case Submit():
                    self.dispatch.submit(step.segment, step.virtual_end, step.cost)
                case Await():
                    reply = yield from self.report(step.segment)
                case Turn():
                    reply = self.commands(step.step)
                case Full():
                    self.journal.full(step)
                case Begin():
                    self.journal.begin(step, time.perf_counter() - began)
                    self.unseen.append(step)
                case Promote():
                    self.journal.promote(step)
                    self.unseen.append(step)
                case Decide():
                    yield from self.decide(step)

    def report(self, segment: Segment) -> Generator[Event, None, Report]:
        """Wait for a segment's report, and heed what is asked meanwhile."""
        if not self.dispatch.is_ready(segment) and self.lasts(segment):
            yield from self.show()
        for tick in self.dispatch.ticks(segment):
            self.journal.tell(tick.beats)
            if time.monotonic() > self.flushed + GROUP:
                yield from self.show()
            yield tick
            yield from self.heed()
            yield from self.count_cpus()
            yield from self.compare_kernels()
            yield from self.look_at_checkpoints()
            if self.dispatch.starved(segment):
                self.leave_if_stopped()
        yield from self.heed()
        return self.dispatch.take(segment)

    def leave_if_stopped(self) -> None:
        if self.control.leaving == "stop" and self.dispatch.is_stuck:
            raise Left("stop")

    def count_cpus(self) -> Iterator[Event]:
        """Say so if there are others now."""
        if (cpus := self.dispatch.backend.cpus) != self.cpus:
            self.cpus = cpus
            self.control.store.session(self.control.lease, cpus=cpus)
            yield Ready(cpus)

    def compare_kernels(self) -> Iterator[Event]:
        """Say so, once, if the machines of the study do not compute alike."""
        if len(self.journal.kernels) > self.kernels:
            self.kernels = len(self.journal.kernels)
            names = ", ".join(sorted(self.journal.kernels))
            yield Notice(
                f"note: this study was computed with several sets of kernels, {names}: the last "
                "bits of a trial depend on which it met; portable = true in the study file makes "
                "all machines compute alike"
            )

    def look_at_checkpoints(self) -> Iterator[Event]:
        """Say so, once, if they cannot be written."""
        checkpoints = self.dispatch.checkpoints
        if checkpoints is not None and checkpoints.problem is not None and not self.unsaved:
            self.unsaved = True
            yield Notice(
                f"note: checkpoints cannot be written ({checkpoints.problem}): the study goes on, "
                "and what runs would begin anew if this process died; free some space, or give the "
                "store another place"
            )

    def lasts(self, segment: Segment) -> bool:
        """Whether a segment is predicted to keep what was decided waiting."""
        epochs = segment.until - segment.start
        return predicted_cost(segment.config, self.shape, epochs) > 2 * GROUP

    def heed(self, *, at_once: bool = False) -> Iterator[Event]:
        """Do what users ask for; leave if that is it."""
        if said := self.control.heed(at_once=at_once):
            yield from self.show()
            yield from map(Notice, said)
        if self.stop.is_set():
            raise Left("cancel")
        if self.control.leaving in ("cancel", "extend"):
            raise Left(self.control.leaving)

    def commands(self, step: int) -> list[Command]:
        """What takes effect at a step: as recorded, or what was asked for since the last."""
        found = self.journal.commands(step)
        if not self.journal.is_replaying:
            asked = self.control.take_commands()
            found += [self.journal.command(step, name, detail) for name, detail in asked]
            if (reason := self.clock.spent(self.journal.training)) and not self.closed:
                found.append(self.journal.command(step, "close", {"reason": reason}))
        self.closed = self.closed or any(isinstance(command, Close) for command in found)
        return found

    def decide(self, step: Decide) -> Iterator[Event]:
        self.journal.decide(step)
        self.unseen.append(step)
        self.winner.see(step)
        if step.state in ("running", "paused"):
            return
        self.dispatch.forget(step.trial.number)
        if step.outcome in REFUSED_IN_A_ROW:
            return  # it was never trained
        self.ended += 1
        self.failed += step.state == "failed"
        self.errors += step.outcome == "error"
        if self.errors == self.ended == min(FIRST_ERRORS, self.spec.search.trials):
            yield from self.show()
            last = (step.error or "").strip().splitlines()[-1:]
            raise StudyFailed(
                f"the first {self.errors} trials of {self.spec.name!r} all ended in an error, so "
                f"the sweep stopped; the last one: {''.join(last)}"
            )

    def check_success(self) -> None:
        """Raise StudyFailed if every trial that was trained failed."""
        if 0 < self.failed == self.ended:
            raise StudyFailed(
                f"all {self.ended} trials of {self.spec.name!r} failed; sweep show "
                f"{self.spec.name} says how, and the study begins anew when it is run again"
            )

    def show(self) -> Iterator[Event]:
        """Make what was taken durable, then tell of it."""
        self.journal.flush()
        self.flushed = time.monotonic()
        yield from self.unseen
        self.unseen.clear()

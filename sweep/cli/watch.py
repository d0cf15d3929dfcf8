"""`sweep watch`: what `sweep run` shows, from another terminal."""

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import typer

from sweep.cli import options
from sweep.cli.exits import INTERRUPTED, status_of

if TYPE_CHECKING:
    from rich.console import Console

    from sweep.cli.tally import Standing, Tally
    from sweep.spec import StudySpec
    from sweep.store import Row, Store

RUNNING = ("running", "paused")

PAUSE = 1.0
"""Seconds between two looks at the record, at least."""

TURN = 0.1
"""Seconds until Ctrl-C is heard, at most."""

SHARE = 0.1
"""Of its time, at most, that it reads: the record of very many trials takes longer."""


def watch(name: options.StudyName, store: options.Store = None) -> None:
    """Show a running study from another terminal, until it ends.

    It reads the record alone and disturbs nothing: Ctrl-C ends the look and not the study. The
    exit status is that of the state in which the study was left.

    Example: sweep watch digits
    """
    from rich.console import Console

    from sweep.cli.display import is_live
    from sweep.cli.summary import print_summary
    from sweep.results import load
    from sweep.store import Store, locate

    place = locate(store)
    console = Console(stderr=True, highlight=False)
    try:
        with Store(place, read_only=True) as record, _interrupts() as asked:
            last = (_live if is_live(console) else _lines)(console, looks(record, name, asked))
    except KeyboardInterrupt:
        print(f"{name} goes on; sweep stop {name} ends it", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    if last.has_died:
        print(f"the process that ran {name} is gone; what it recorded is kept", file=sys.stderr)
    study = load(name, place)
    print_summary(study)
    raise typer.Exit(status_of(last.state, study.budget))


@dataclass(frozen=True, slots=True)
class Look:
    """A study as its record has it at a moment."""

    study: "Row"
    trials: "list[Row]"
    session: "Row | None"
    """The last process that ran it."""
    state: str
    ahead: float
    """Seconds by which this machine's clock is ahead of the record's."""

    @classmethod
    def at(cls, record: "Store", name: str) -> "Look":
        from sweep.overview import state_of

        study = record.study(name)
        sessions = record.sessions(study["id"])
        return cls(
            study,
            record.trials(study["id"]),
            sessions[-1] if sessions else None,
            state_of(study),
            time.time() - study["now"].timestamp(),
        )

    @property
    def has_died(self) -> bool:
        return self.state == "stopped" and self.study["state"] in RUNNING

    def begin(self) -> "Tally":
        """A tally that has seen none of the trials yet."""
        from sweep import studyfile
        from sweep.cli.tally import Sign, Tally

        tally = Tally(studyfile.from_json(self.study["spec"]), "the backend", self.state)
        if self.session is not None and self.session["ready"] is not None:
            tally.cpus = self.session["cpus"]
            tally.ready = self._here(self.session["ready"])
        if self.state in RUNNING:
            tally.signs = {
                int(number): Sign(epoch, value, started + self.ahead)
                for number, (epoch, value, started) in (self.study["progress"] or {}).items()
            }
        return tally

    def _here(self, moment: datetime) -> float:
        return moment.timestamp() + self.ahead

    def tell(self, tally: "Tally") -> "Iterator[Standing]":
        """Let a tally see the trials, those that ended in their order; they come back."""
        ready = None if self.session is None else self.session["ready"]

        def end(row: "Row") -> tuple[bool, datetime, int]:
            ended = row["datetime_complete"]
            return ended is None, ended or row["datetime_start"], row["number"]

        for row in sorted(self.trials, key=end):
            trial = standing(tally.spec, row)
            since = row["datetime_complete"] or row["datetime_start"]
            is_new = ready is not None and since >= ready
            seconds = row["seconds"] if is_new else 0.0
            if (ended := tally.see(trial, trial.done if is_new else None, seconds)) is not None:
                yield ended


def standing(spec: "StudySpec", row: "Row") -> "Standing":
    """A trial as its row has it."""
    from sweep.cli.tally import Standing
    from sweep.overview import first_value, place

    complete = row["state"] == "complete"
    return Standing(
        row["number"],
        row["params"],
        row["predicted_cost"],
        state=row["state"],
        outcome=row["outcome"],
        epochs=row["epochs"],
        done=row["epochs"] * spec.search.replicates,
        value=row["value"],
        objective=first_value(row) if complete else None,
        place=place(spec, row) if complete else None,
        error=row["error"],
    )


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """The interrupts so far. None comes in the middle of something, where it could be swallowed or
    leave a lock behind."""
    asked: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: asked.append(number))
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def looks(record: "Store", name: str, asked: Sequence[int] = ()) -> Iterator[Look]:
    """Look at a study again and again, until it runs no more; KeyboardInterrupt when `asked`."""
    while True:
        began = time.monotonic()
        look = Look.at(record, name)
        yield look
        if look.state not in RUNNING:
            return
        until = began + max(PAUSE, (time.monotonic() - began) / SHARE)
        while time.monotonic() < until:
            if asked:
                raise KeyboardInterrupt
            time.sleep(TURN)


def _live(console: "Console", seen: Iterator[Look]) -> Look:
    from sweep.cli.display import live
    from sweep.cli.picture import picture

    look = next(seen)
    tally = _whole(look)

    def draw() -> object:
        return picture(tally, console.width, console.height - 1, time.time())

    with live(console, draw):
        for look in seen:
            tally = _whole(look)  # a new one: another thread draws
    return look


def _whole(look: Look) -> "Tally":
    tally = look.begin()
    for _ in look.tell(tally):
        pass
    return tally


def _lines(console: "Console", seen: Iterator[Look]) -> Look:
    """A line for each trial that ends from now on; those before are summed up."""
    from sweep.cli.display import Lines
    from sweep.cli.picture import headline

    lines, told = Lines(console.file.write), set[int]()
    is_first = True
    for look in seen:
        tally, now = look.begin(), time.time()
        if is_first:
            lines.write(f"{headline(tally.spec)}\n")
        for trial in look.tell(tally):
            if is_first:
                lines.left_out[trial.state] += 1
            elif trial.number not in told:
                lines.tell(tally, trial, now)
            told.add(trial.number)
        lines.sum_up(tally, now, at_once=is_first or look.state not in RUNNING)
        console.file.flush()
        is_first = False
    return look

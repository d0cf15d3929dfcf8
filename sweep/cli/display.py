"""What a running study shows: a live picture in a terminal, lines elsewhere."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live

from sweep.cli.picture import headline, number, pace, picture
from sweep.cli.tally import Standing, Tally
from sweep.loop import Event, Notice, Opened, Ready
from sweep.overview import place
from sweep.spec import StudySpec
from sweep.store import Row
from sweep.verdict import Place
from sweep.words import plural

REFRESHES = 4
"""A second."""

BURST = 200
"""Lines about trials that may come at once; then EARNED a second."""

EARNED = 2.0
"""Lines a second."""

SUMMARY = 10.0
"""Seconds between two lines that sum up the trials about which there was none."""


def display(spec: StudySpec, backend: str, events: Iterable[Event]) -> str:
    """Show the events on stderr as they come; the state in which the study was left."""
    console = Console(stderr=True, highlight=False)
    tally = Tally(spec, backend)
    (_live if is_live(console) else _lines)(console, tally, events)
    return tally.state


def is_live(console: Console) -> bool:
    """Whether the console can show a picture and replace it by the next."""
    return console.is_terminal and not console.is_dumb_terminal


def _live(console: Console, tally: Tally, events: Iterable[Event]) -> None:
    lock = threading.Lock()  # the picture is drawn in a thread of its own

    def draw() -> object:
        with lock:
            return picture(tally, console.width, console.height - 1, time.time())

    with live(console, draw):
        for event in events:
            with lock:
                tally.take(event, time.time())
            match event:
                case Ready():
                    _advise(console, tally)
                case Notice():
                    console.print(event.text, style="yellow")


def live(console: Console, draw: Callable[[], object]) -> Live:
    """A picture that is drawn again and again, and is gone at the end."""
    return Live(
        console=console,
        get_renderable=draw,  # type: ignore[arg-type]
        refresh_per_second=REFRESHES,
        transient=True,
    )


def _lines(console: Console, tally: Tally, events: Iterable[Event]) -> None:
    lines = Lines(console.file.write)
    for event in events:
        now = time.time()
        if isinstance(event, Notice):
            lines.write(f"{event.text}\n")
        elif (trial := tally.take(event, now)) is not None:
            lines.tell(tally, trial, now)
        match event:
            case Opened():
                lines.write(f"{headline(tally.spec)}\n")
                lines.know(tally.spec, event.ended)
                if event.recorded and event.recorded < tally.spec.search.trials:
                    ended = plural(len(lines.known), "trial")
                    lines.write(f"going on after trial {event.recorded - 1}, {ended} ended\n")
            case Ready():
                lines.write(f"running on {plural(event.cpus, 'CPU')}\n")
                _advise(console, tally)
        lines.sum_up(tally, now)
        console.file.flush()
    lines.sum_up(tally, time.time(), at_once=True)
    console.file.flush()


@dataclass(slots=True)
class Lines:
    """A line for each trial that ends, and for many short ones a line that sums them up.

    Two hundred lines may come at once, and two a second after that, and one for each trial that is
    the best so far: ten thousand trials in a minute are a few hundred lines, and in two hours a
    line each.
    """

    write: Callable[[str], object]
    known: dict[int, tuple[str | None, int]] = field(default_factory=dict)
    """The outcomes and epochs of the trials that a user knows of, from here or an earlier log."""
    best: Place | None = None
    """Of these trials."""
    allowed: float = BURST
    left_out: Counter[str] = field(default_factory=Counter)
    """Trials without a line since the last that summed up, by their state."""
    counted: float | None = None
    """When `allowed` was counted last, in seconds since 1970."""
    summed: float = 0.0

    def know(self, spec: StudySpec, trials: Iterable[Row]) -> None:
        """These trials had ended before."""
        for trial in trials:
            self.known[trial["number"]] = trial["outcome"], trial["epochs"]
            if trial["state"] == "complete":
                self._is_best(place(spec, trial))

    def tell(self, tally: Tally, trial: Standing, now: float) -> None:
        """Write a line about a trial that has ended, or leave it out; none if it is known to have
        ended so: one that goes on takes all decisions again."""
        end = trial.outcome, trial.epochs
        if self.known.get(trial.number) == end:
            return
        self.known[trial.number] = end
        is_best = trial.place is not None and self._is_best(trial.place)
        self._earn(now)
        if self.allowed < 1 and not is_best and tally.total < tally.spec.search.trials:
            self.summed = self.summed if self.left_out else now
            self.left_out[trial.state] += 1
            return
        self.allowed -= 1
        parts = [
            f"[{tally.total}/{tally.spec.search.trials + tally.refused}] trial {trial.number}",
            f"{trial.outcome} after {plural(trial.epochs, 'epoch')}",
        ]
        if trial.value is not None:
            parts.append(f"{tally.spec.train.metric} {number(trial.value)}")
        if trial.reason:
            parts.append(trial.reason)
        self.write(f"{' '.join(parts)}{', the best so far' if is_best else ''}\n")

    def _is_best(self, place: Place) -> bool:
        """Whether a trial is the best that is known, which it is from now on."""
        found = self.best is None or place < self.best
        self.best = place if found else self.best
        return found

    def _earn(self, now: float) -> None:
        if self.counted is not None:
            self.allowed = min(BURST, self.allowed + EARNED * max(0.0, now - self.counted))
        self.counted = now

    def sum_up(self, tally: Tally, now: float, *, at_once: bool = False) -> None:
        """Write a line about the trials without one, if it is time."""
        if not self.left_out or (now < self.summed + SUMMARY and not at_once):
            return
        self.summed = now
        counts = ", ".join(f"{count} {state}" for state, count in self.left_out.items())
        parts = [f"{self.left_out.total()} trials ended: {counts}"]
        self.left_out.clear()
        if tally.best is not None:
            best = f"best trial {tally.best.number} {tally.spec.objectives[0]}"
            parts.append(f"{best} {number(tally.best.objective)}")
        parts += filter(None, [pace(tally, now)])
        self.write(
            f"[{tally.total}/{tally.spec.search.trials + tally.refused}] {'; '.join(parts)}\n"
        )


def _advise(console: Console, tally: Tally) -> None:
    """Say so if the study cannot use the machine."""
    workers, busy = tally.spec.search.workers, max(1, tally.spec.search.workers // 2)
    if tally.cpus > busy:
        console.print(
            f"note: search.workers = {workers} keeps about {busy} of the {tally.cpus} CPUs busy; "
            f"{2 * tally.cpus} would use them all, and would be another question with another "
            "table",
            style="yellow",
        )

"""What a running study shows: a live picture in a terminal, lines elsewhere."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sweep.loop import Ended, Event, Notice, Opened, Ready
from sweep.space import active
from sweep.spec import StudySpec
from sweep.steps import Begin, Decide, Promote, Trial
from sweep.verdict import place

REFRESHES = 8
"""A second, at most."""


@dataclass(slots=True)
class Tally:
    """What the events so far amount to."""

    spec: StudySpec
    backend: str
    counts: Counter[str] = field(default_factory=Counter)
    running: dict[int, tuple[Trial, int, float | None]] = field(default_factory=dict)
    paused: int = 0
    best: Decide | None = None
    cpus: int = 0
    state: str = ""
    began: float = field(default_factory=time.monotonic)

    @property
    def ended(self) -> int:
        return self.counts.total()

    def take(self, event: Event) -> bool:
        """Count an event; whether it brought a new best trial."""
        match event:
            case Opened():  # also when it is extended: its decisions are then told again
                self.spec, self.best, self.paused = event.spec, None, 0
                self.counts.clear()
                self.running.clear()
            case Ready():
                self.cpus = event.cpus
            case Begin(trial=trial):
                self.running[trial.number] = (trial, 0, None)
            case Promote(last=last):
                self.paused -= 1
                self.running[last.trial.number] = (last.trial, last.epochs, last.value)
            case Decide(state="running", trial=trial):
                self.running[trial.number] = (trial, event.epochs, event.value)
            case Decide(state="paused", trial=trial):
                self.paused += 1
                del self.running[trial.number]
            case Decide(trial=trial):
                if self.running.pop(trial.number, None) is None:
                    self.paused -= 1
                self.counts[event.state] += 1
                return self._is_best(event)
            case Ended():
                self.state = event.state
        return False

    def _is_best(self, event: Decide) -> bool:
        if event.state != "complete":
            return False
        if self.best is None or place(self.spec, event) < place(self.spec, self.best):
            self.best = event
        return self.best is event


def display(spec: StudySpec, backend: str, events: Iterable[Event]) -> str:
    """Show the events on stderr as they come; the state in which the study was left."""
    console = Console(stderr=True, highlight=False)
    tally = Tally(spec, backend)
    show = _live if console.is_terminal and not console.is_dumb_terminal else _lines
    show(console, tally, events)
    return tally.state


def _live(console: Console, tally: Tally, events: Iterable[Event]) -> None:
    with Live(
        console=console,
        get_renderable=lambda: _picture(tally, console.width),
        refresh_per_second=REFRESHES,
        transient=True,
    ):
        for event in events:
            tally.take(event)
            if isinstance(event, Ready):
                _advise(console, tally)
            if isinstance(event, Notice):
                console.print(event.text, style="yellow")


def _lines(console: Console, tally: Tally, events: Iterable[Event]) -> None:
    say = console.file.write
    metric = tally.spec.train.metric
    for event in events:
        is_best = tally.take(event)
        match event:
            case Opened():
                say(f"{_headline(tally.spec)}\n")
                if event.recorded and event.recorded < tally.spec.search.trials:
                    say(f"going on after trial {event.recorded - 1}\n")
            case Ready():
                say(f"running on {_cpus(event.cpus)}\n")
                _advise(console, tally)
            case Notice():
                say(f"{event.text}\n")
            case Decide() if event.state not in ("running", "paused"):
                value = "" if event.value is None else f"{metric} {event.value:.4f}"
                say(
                    f"[{tally.ended}/{tally.spec.search.trials}] trial {event.trial.number} "
                    f"{event.outcome} after {event.epochs} epochs {value}"
                    f"{', the best so far' if is_best else ''}\n"
                )
        console.file.flush()


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


def _picture(tally: Tally, width: int) -> RenderableType:
    search = tally.spec.search
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(search.trials, tally.ended, width=max(10, min(40, width - 40))),
        f"{tally.ended}/{search.trials} trials",
        _duration(time.monotonic() - tally.began),
    )
    parts: list[RenderableType] = [Text(_headline(tally.spec), style="bold", overflow="ellipsis")]
    parts += [bar, _counts(tally)]
    if tally.best is not None:
        best = tally.best
        text = f"trial {best.trial.number}  {tally.spec.train.metric} {best.value:.4f}  "
        line = f"best: {text}{_params(tally.spec, best.trial)}"
        parts.append(Text(line, style="green", no_wrap=True, overflow="ellipsis"))
    parts.append(_running(tally))
    return Group(*parts)


def _counts(tally: Tally) -> Text:
    if not tally.cpus:
        return Text(f"starting {tally.backend} ...", style="yellow")
    names = {"complete": "green", "pruned": "yellow", "failed": "red"}
    counts = [(f"{tally.counts[name]} {name}  ", style) for name, style in names.items()]
    if tally.paused:
        counts.insert(0, (f"{tally.paused} paused  ", "cyan"))
    return Text.assemble((f"{len(tally.running)} running  ", "cyan"), *counts, _cpus(tally.cpus))


def _running(tally: Tally) -> Text:
    lines = Text(style="dim", no_wrap=True, overflow="ellipsis")
    epochs = tally.spec.train.epochs
    for number, (trial, epoch, value) in tally.running.items():
        shown = "      " if value is None else f"{value:.4f}"
        lines.append(
            f"  {number:>4}  epoch {epoch:>3}/{epochs}  {shown}  {_params(tally.spec, trial)}\n"
        )
    return lines


def _headline(spec: StudySpec) -> str:
    search = spec.search
    return (
        f"{spec.name}: {search.trials} trials of up to {spec.train.epochs} epochs on "
        f"{spec.data.name}, {search.sampler}, {search.pruner}"
    )


def _params(spec: StudySpec, trial: Trial) -> str:
    return " ".join(
        f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in active(spec.space, trial.params).items()
    )


def _cpus(count: int) -> str:
    return f"{count} CPU" if count == 1 else f"{count} CPUs"


def _duration(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"

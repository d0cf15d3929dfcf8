"""`sweep confirm`: the leaders of a study on fresh seeds."""

import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli import options
from sweep.cli.exits import INTERRUPTED
from sweep.cli.options import Where
from sweep.cli.report import print_json
from sweep.cli.run import How, prepare, start_backend, stopping
from sweep.words import plural

if TYPE_CHECKING:
    from sweep.confirmation import Confirmation
    from sweep.confirming import Began, Event
    from sweep.racing import Progress


def confirm(
    name: options.StudyName,
    top: Annotated[int, typer.Option(min=1, help="How many of the best trials.")] = 10,
    seeds: Annotated[int, typer.Option(min=2, help="Fresh seeds that each is trained on.")] = 20,
    folds: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="Have the trainings go through so many folds by turns; by default those of the "
            "study, if it has folds.",
            show_default=False,
        ),
    ] = None,
    store: options.Store = None,
    backend: options.Backend = Where.ray,
    cpus: options.Cpus = None,
    address: options.Address = "local",
    allow_code: options.AllowCode = False,
    take_over: options.TakeOver = False,
    json: options.Json = False,
) -> None:
    """Train the best trials again on fresh seeds, and say which is the best.

    The best of many scores is lucky. Leaders that turn out clearly worse drop out on the way; the
    winner is tested. Ctrl-C stops, and the same command goes on; nothing is trained twice.

    Example: sweep confirm digits --top 10 --seeds 20
    """
    from sweep import studyfile
    from sweep.confirming import confirm as confirming
    from sweep.results import load
    from sweep.store import Store, locate

    place = locate(store)
    with Store(place, read_only=True) as record:
        spec = studyfile.from_json(record.study(name)["spec"])
    how = How(store, backend, cpus, address, allow_code, take_over, json)
    prepare(spec, how)
    stop = threading.Event()
    with Store(place) as record, stopping(stop):
        events = confirming(
            name,
            record,
            lambda datasets: start_backend(spec, how, datasets),
            stop,
            top=top,
            seeds=seeds,
            folds=folds,
            allow_code=allow_code,
            take_over=take_over,
        )
        number, ended = _show(events, backend.value)
    if ended != "complete":
        print("what came back is on record; the same command goes on where it was", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)
    found = next(each for each in load(name, place).confirmations if each.number == number)
    if json:
        print_json("confirm", found.record())
    else:
        print_confirmation(found)


def _show(events: "Iterable[Event]", backend: str) -> tuple[int, str]:
    """Show how far it is, in a terminal in a line that is drawn again, elsewhere a line a round;
    the number of the confirmation and how it was left."""
    from rich.console import Console
    from rich.text import Text

    from sweep.cli.display import is_live, live
    from sweep.confirming import Began
    from sweep.loop import Ended, Ready
    from sweep.racing import Progress

    console = Console(stderr=True, highlight=False)
    pace = _Pace(line=f"starting {backend} ...")
    number, ended = 0, "stopped"

    def follow() -> None:
        nonlocal number, ended
        for event in events:
            match event:
                case Began():
                    number, pace.total = event.number, len(event.question.seeds)
                    console.print(_headline(event), style="bold")
                case Ready():
                    console.print(f"running on {plural(event.cpus, 'CPU')}")
                    pace.ready = time.monotonic()
                case Progress():
                    before = pace.rounds
                    pace.see(event)
                    if event.gone:
                        console.print(_dropped(event))
                    elif event.rounds > before and not is_live(console):
                        console.print(pace.line)
                case Ended():
                    ended = event.state

    if is_live(console):
        with live(console, lambda: Text(pace.line, no_wrap=True, overflow="ellipsis")):
            follow()
    else:
        follow()
    return number, ended


def _headline(began: "Began") -> str:
    """What is confirmed."""
    question = began.question
    leaders, seeds = len(question.leaders), len(question.seeds)
    on = f" on {question.folds} folds" if question.folds > 1 else ""
    return (
        f"{began.spec.name}: {plural(leaders, 'leader')}, {seeds} fresh seeds{on}, "
        f"{leaders * seeds} trainings at most"
    )


def _dropped(progress: "Progress") -> str:
    trials = "trial" if len(progress.gone) == 1 else "trials"
    gone = ", ".join(map(str, progress.gone))
    return f"round {progress.rounds}: {trials} {gone} dropped, clearly worse"


@dataclass(slots=True)
class _Pace:
    """What the line says."""

    line: str
    total: int = 0
    rounds: int = 0
    ready: float = 0.0

    def see(self, progress: "Progress") -> None:
        from sweep.cli.picture import duration

        self.rounds = progress.rounds
        left = plural(len(progress.left), "leader")
        parts = [f"round {progress.rounds}/{self.total}", f"{left} left"]
        parts.append(f"{progress.trained} trained, {progress.to_go} to go")
        if progress.trained and progress.to_go:
            seconds = (time.monotonic() - self.ready) / progress.trained * progress.to_go
            parts.append(f"about {duration(seconds)}")
        if progress.rounds:
            parts.append(f"best {progress.best}")
        self.line = ", ".join(parts)


def print_confirmation(found: "Confirmation") -> None:
    """The leaders as a table fit for 80 columns, and what it means."""
    from rich.console import Console
    from rich.table import Table

    from sweep.telling import chance

    console = Console(highlight=False)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for head in ("trial", "search", "mean", "± se", "95 % of means", "P(best)", "luck", "rounds"):
        table.add_column(head, no_wrap=True, justify="right")
    for row in found.record()["leaders"]:
        low_high = "-" if row["low"] is None else f"{_short(row['low'])} {_short(row['high'])}"
        mark = "" if row["dropped_after"] is None else " out"
        mark = f"{mark} {row['failed']} failed" if row["failed"] else mark
        table.add_row(
            str(row["trial"]),
            *(_short(row[name]) for name in ("original", "mean", "standard_error")),
            low_high,
            chance(row["p_best"]),
            _short(row["optimism"]),
            f"{row['rounds']}{mark}",
            style="bold" if row["trial"] == found.winner else None,
        )
    console.print(table)
    console.print()
    console.print(found.text, markup=False)


def _short(value: Any) -> str:
    return "-" if value is None else f"{value:.4f}" if abs(value) < 1e4 else f"{value:.4g}"

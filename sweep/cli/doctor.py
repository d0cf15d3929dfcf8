"""`sweep doctor`: whether studies can run here."""

from typing import TYPE_CHECKING

import typer

from sweep.cli import options
from sweep.cli.exits import FAILED
from sweep.cli.report import print_json

if TYPE_CHECKING:
    from sweep.doctor import Finding

COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def doctor(
    store: options.Store = None,
    address: options.Address = "local",
    json: options.Json = False,
) -> None:
    """Look at everything that a study needs, and say what to do about what is amiss.

    The installation, BLAS and its threads, CPUs and memory and their limits in a container, disk
    space, the store, clocks, and whether Ray starts and trains. Nothing is changed.

    Example: sweep doctor
    """
    from sweep.doctor import Patient, findings
    from sweep.store import locate

    seen = []
    for finding in findings(Patient(locate(store), address)):
        seen.append(finding)
        if not json:
            _print(finding)
    problems = sum(finding.state == "problem" for finding in seen)
    if json:
        lines = [
            {"what": f.what, "state": f.state, "said": f.said, "advice": f.advice} for f in seen
        ]
        print_json("doctor", {"healthy": not problems, "findings": lines})
    if problems:
        raise typer.Exit(FAILED)


def _print(finding: "Finding") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    line = Table.grid(padding=(0, 1))
    line.add_column(width=8)
    line.add_column(width=14)
    line.add_column(overflow="fold")
    state = Text(finding.state, style=COLOURS[finding.state])
    line.add_row(state, finding.what, Text(finding.said))
    if finding.advice:
        line.add_row("", "", Text(finding.advice, style="dim"))
    # Off a terminal each is one line, however long.
    width = console.width if console.is_terminal else console.measure(line).maximum
    console.print(line, width=width)

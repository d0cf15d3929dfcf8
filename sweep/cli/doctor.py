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
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    state = (f"{finding.state:<8}", COLOURS[finding.state])
    console.print(Text.assemble(state, f" {finding.what:<14} {finding.said}"))
    if finding.advice:
        console.print(Text(f"{'':<24}{finding.advice}", style="dim"))

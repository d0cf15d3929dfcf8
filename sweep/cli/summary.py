"""A study's results as text."""

from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweep.results import Best, Study


def print_summary(study: Study, file: Path | None = None) -> None:
    """The state, the winner, and what to do next."""
    console = Console(highlight=False, soft_wrap=True)
    counts = ", ".join(f"{count} {state}" for state, count in study.counts.items())
    console.print(Text(f"{study.name} is {study.state}: {counts or 'no trials yet'}", style="bold"))
    if study.state == "complete" and "complete" not in study.counts:
        outcomes = ", ".join(
            f"{n} {name}" for name, n in study.trials["outcome"].value_counts().items()
        )
        console.print(f"  no winner: no trial came to its last epoch ({outcomes})", style="red")
    rows = _winner(study, study.best) if "complete" in study.counts else []
    rows += [("fingerprint", study.fingerprint), ("store", _place(study.path))]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        console.print(f"  {name:<{width}}  {value}")
    console.print(_next(study, file), style="dim")


def _winner(study: Study, best: Best) -> list[tuple[str, str]]:
    metric = study.spec.train.metric
    rows = [
        ("best trial", str(best.number)),
        *((f"  {name}", _short(value)) for name, value in best.params.items()),
        (f"validation {metric}", f"{best.value:.4f}"),
    ]
    if best.test is not None:
        rows.append((f"test {metric}", f"{best.test:.4f}"))
    return rows


def _next(study: Study, file: Path | None) -> str:
    if study.state == "complete":
        return f"next: sweep show {study.name}, or sweep export {study.name} --to trials.parquet"
    return f"to go on: sweep run {file or 'STUDY.toml'}"


def _place(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def print_trials(study: Study) -> None:
    """A table of the trials, the best first and those without a value last."""
    trials = study.trials.sort_values(
        "value", ascending=study.direction == "minimize", na_position="last", kind="stable"
    )
    params = [name for name in trials.columns if name.startswith("params_")]
    columns = ["number", "outcome", "epochs", "value", *params, "seconds"]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        name = study.spec.train.metric if column == "value" else column.removeprefix("params_")
        table.add_column(name, no_wrap=True, justify="left" if column == "outcome" else "right")
    for row in trials[columns].itertuples(index=False):
        table.add_row(*(_short(value) for value in row))
    # A table wider than the terminal wraps there, and is whole in a pager or a file.
    width = Console(width=100_000).measure(table).maximum
    Console(highlight=False, width=width, soft_wrap=True).print(table)
    print()


def _short(value: Any) -> str:
    if pd.isna(value):
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

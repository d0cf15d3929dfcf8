"""A study's results as text."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweep.results import Best, Study
from sweep.spec import direction
from sweep.store import Location


def print_summary(study: Study, file: Path | None = None) -> None:
    """The state, the winner, and what to do next."""
    console = Console(highlight=False, soft_wrap=True)
    counts = ", ".join(f"{count} {state}" for state, count in study.counts.items())
    console.print(Text(f"{study.name} is {study.state}: {counts or 'no trials yet'}", style="bold"))
    for outcome, count in study.trials["outcome"].value_counts().items():
        if outcome in REFUSED:
            console.print(f"  {count} of them {outcome}: {REFUSED[str(outcome)]}")
    if study.state == "complete" and "complete" not in study.counts:
        outcomes = ", ".join(
            f"{n} {name}" for name, n in study.trials["outcome"].value_counts().items()
        )
        console.print(f"  no winner: no trial came to its last epoch ({outcomes})", style="red")
    rows = _winner(study, study.best) if "complete" in study.counts else []
    rows += [("fingerprint", study.fingerprint), ("store", _place(study.place))]
    if rows[0][0] == "best trial" and (broken := study.best.violations):
        by = ", ".join(f"{name} by {amount:.4g}" for name, amount in broken.items())
        console.print(f"  no trial meets the constraints; the nearest one breaks {by}", style="red")
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        console.print(f"  {name:<{width}}  {value}")
    console.print(_next(study, file), style="dim")


def _winner(study: Study, best: Best) -> list[tuple[str, str]]:
    metric = study.spec.train.metric
    rows = [
        ("best trial", str(best.number)),
        *((f"  {name}", _short(value)) for name, value in best.params.items()),
        (f"validation {metric}", f"{best.value:.4f}{_error(best)}"),
    ]
    if len(study.spec.objectives) > 1:
        objectives = ", ".join(study.spec.objectives)
        rows.append(("Pareto front", f"{len(study.pareto)} trials, by {objectives}"))
    if best.test is not None:
        rows.append((f"test {metric}", f"{best.test:.4f}"))
    return rows


def _error(best: Best) -> str:
    return "" if best.standard_error is None else f" ± {best.standard_error:.4f}"


def _next(study: Study, file: Path | None) -> str:
    if study.state == "complete":
        return f"next: sweep show {study.name}, or sweep export {study.name} --to trials.parquet"
    return f"to go on: sweep {f'run {file}' if file else f'resume {study.name}'}"


def _place(location: Location) -> str:
    here, path = Path.cwd(), location.place
    if isinstance(path, Path) and path.is_relative_to(here):
        return str(path.relative_to(here))
    return str(location)


REFUSED = {
    "duplicate": "configurations that an earlier trial had",
    "too_large": "beyond search.max_parameters or search.max_flops",
}
"""Trials that were proposed and not trained."""


def print_trials(study: Study) -> None:
    """A table of the trials, the best first and those without a value last."""
    metric, trials = study.spec.train.metric, study.trials
    refused = trials["outcome"].isin(REFUSED)
    trials = trials[~refused].sort_values(
        "value", ascending=direction(metric) == "minimize", na_position="last", kind="stable"
    )
    kept = ("standard_error", "values_", "params_", "violation_")
    columns = [
        *("number", "outcome", "epochs", "value"),
        *(name for name in trials.columns if name.startswith(kept) and name != f"values_{metric}"),
        "seconds",
    ]
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        name = metric if column == "value" else re.sub("^(params|values)_", "", column)
        table.add_column(name, no_wrap=True, justify="left" if column == "outcome" else "right")
    for row in trials[columns].itertuples(index=False):
        table.add_row(*(_short(value) for value in row))
    # A table wider than the terminal wraps there, and is whole in a pager or a file.
    width = Console(width=100_000).measure(table).maximum
    Console(highlight=False, width=width, soft_wrap=True).print(table)
    print()
    for outcome, count in study.trials.loc[refused, "outcome"].value_counts().items():
        print(f"not listed: {count} {outcome}, {REFUSED[str(outcome)]}")


def _short(value: Any) -> str:
    if pd.isna(value):
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)

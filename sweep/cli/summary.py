"""A study's results as text."""

import re
import textwrap
from pathlib import Path
from shlex import quote
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweep.advice import Advice, commands, go_on
from sweep.dataspec import SOURCES
from sweep.results import Study
from sweep.space import distributions
from sweep.spec import EDITION, direction
from sweep.store import Location, locate
from sweep.trial import Trial
from sweep.words import brief

WHY_REFUSED = {
    "duplicate": "configurations that an earlier trial had",
    "too_large": "beyond search.max_parameters or search.max_flops",
}
"""By the outcomes of trials that were proposed and not trained, `overview.REFUSED`."""


def print_summary(study: Study, file: Path | None = None) -> None:
    """The state, the winner, what is to be said of it, and what to do next."""
    console = Console(highlight=False, soft_wrap=True)
    counts, trials = study.counts, study.trials
    said = study.counted or "no trials yet"
    console.print(Text(f"{study.name} is {study.state}: {said}", style="bold"))
    for outcome, count in trials["outcome"].value_counts().items():
        if outcome in WHY_REFUSED:
            console.print(f"  {count} of them {outcome}: {WHY_REFUSED[str(outcome)]}")
    if (budget := study.budget) is not None and study.state == "complete":
        tried = int((~trials["outcome"].isin(WHY_REFUSED)).sum())
        ended = f"ended by {budget} after {tried} of {study.spec.search.trials} trials"
        console.print(f"  {ended}; to go on: {_longer(study, budget)}", markup=False)
    if study.state == "complete" and "complete" not in counts:
        outcomes = ", ".join(f"{n} {name}" for name, n in trials["outcome"].value_counts().items())
        console.print(f"  no winner: no trial came to its last epoch ({outcomes})", style="red")
    best = study.best if "complete" in counts else None
    rows = [] if best is None else _winner(study, best)
    if study.spec.edition != EDITION:
        rows.append(("edition", f"{study.spec.edition}, kept; new studies have {EDITION}"))
    so_far = "" if study.state == "complete" else " so far"
    rows += [(f"fingerprint{so_far}", study.fingerprint), ("store", _shown(study.place))]
    if best is not None and best.violations:
        by = ", ".join(f"{name} by {amount:.4g}" for name, amount in best.violations.items())
        console.print(f"  no trial meets the constraints; the nearest one breaks {by}", style="red")
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        console.print(_wrapped(console, f"  {name:<{width}}  ", value))
    found = study.advice()
    for each in found:
        console.print(_wrapped(console, "  - ", each.text))
    _print_next(console, study, found, file)


def _winner(study: Study, best: Trial) -> list[tuple[str, str]]:
    metric = study.spec.train.metric
    rows = [
        ("best trial", str(best.number)),
        *((f"  {name}", brief(value)) for name, value in best.params.items()),
        (f"validation {metric}", f"{best.value:.4f}{_error(best)}"),
    ]
    if len(study.spec.objectives) > 1:
        objectives = ", ".join(study.spec.objectives)
        rows.append(("Pareto front", f"{len(study.pareto)} trials, by {objectives}"))
    if best.test is not None:
        rows.append((f"test {metric}", f"{best.test:.4f}{_interval(best)}"))
    if (found := study.confirmation) is not None:
        rows.append(("confirmed", f"{found!r}" if found.winner is None else found.text))
    if shares := study.importances:
        texts = [f"{name} {share:.0%}" for name, share in shares.items() if share >= 0.005]
        rows.append(("what mattered", f"{', '.join(texts)} ({study.importances_basis})"))
    elif study.state == "complete" and distributions(study.spec.space):
        rows.append(("what mattered", f"not known: {study.importances_basis}"))
    if best.file.is_file():
        rows.append(("model", _shown(best.file)))
    return rows


def _error(best: Trial) -> str:
    return "" if best.standard_error is None else f" ± {best.standard_error:.4f}"


def _interval(best: Trial) -> str:
    if best.interval is None:
        return ""
    low, high = best.interval
    return f"  (95 % interval {low:.4f} to {high:.4f})"


def _wrapped(console: Console, head: str, text: str) -> Text:
    """Text behind a head: wrapped at words in a terminal, a line elsewhere."""
    width = max(len(head) + 20, console.width) if console.is_terminal else 10**6
    lines = textwrap.wrap(text, width - len(head), break_long_words=False) or [""]
    return Text(head + f"\n{' ' * len(head)}".join(lines))


def _print_next(console: Console, study: Study, found: list[Advice], file: Path | None) -> None:
    # As it is typed here: another store than the one that is found must be named.
    place = "" if study.place == locate() else f" --store {quote(_shown(study.place))}"
    name, typed = study.name, commands(found)
    if study.state == "complete":
        if typed:
            console.print("to do what it says:", style="dim")
        for command in typed:
            console.print(f"  {command}{place}", style="dim", markup=False)
        console.print("next:", style="dim")
        predict = "predict {} --input new.csv --output predictions.csv"
        offered = ["best {}", "show {}", "plot {}", "report {}", "notebook {}"]
        if "complete" in study.counts and study.confirmation is None:
            offered.append("confirm {}")
        if study.spec.data.source not in SOURCES and study.spec.train.function is None:
            offered = [predict, *offered] if "complete" in study.counts else offered
        for command in (f"sweep {each.format(name)}" for each in offered):
            if command not in typed:
                console.print(f"  {command}{place}", style="dim", markup=False)
    elif study.state in ("running", "paused"):
        console.print(f"to see it run: sweep watch {name}{place}", style="dim", markup=False)
    else:
        console.print(
            f"to go on: sweep {f'run {file}' if file else f'resume {name}'}{place}",
            style="dim",
            markup=False,
        )


def _longer(study: Study, budget: str) -> str:
    """What to type for a study that its budget ended."""
    if not (typed := go_on(study.spec, "complete", budget)):
        return f"a study of another name with a larger {budget}"
    return ", then ".join(typed)


def _shown(place: Path | Location) -> str:
    """A path as it can be typed here, or a database's URL without its password."""
    path = place.place if isinstance(place, Location) else place
    if isinstance(path, Path):
        here = Path.cwd()
        return str(path.relative_to(here) if path.is_relative_to(here) else path)
    return str(place)


def print_trials(study: Study) -> None:
    """A table of the trials, the best first and those without a value last."""
    metric, trials = study.spec.train.metric, study.trials
    refused = trials["outcome"].isin(WHY_REFUSED)
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
        table.add_row(*map(_cell, row))
    # A table wider than the terminal wraps there, and is whole in a pager or a file.
    width = Console(width=100_000).measure(table).maximum
    Console(highlight=False, width=width, soft_wrap=True).print(table)
    print()
    for outcome, count in study.trials.loc[refused, "outcome"].value_counts().items():
        print(f"not listed: {count} {outcome}, {WHY_REFUSED[str(outcome)]}")


def _cell(value: Any) -> str:
    return "-" if pd.isna(value) else brief(value)

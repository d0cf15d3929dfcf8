"""`sweep show --ledger`: where the time of a study went."""

from math import isnan

import pandas as pd
from rich.console import Console
from rich.table import Table

from sweep.ledger import MEANING, PARTS, Ledger
from sweep.results import Study
from sweep.words import plural

FEW = 10
"""Trials of which a range says nothing."""


def print_ledger(study: Study) -> None:
    """Seconds of each trial and in total, failures by cause, and the share of CPU time trained."""
    ledger = study.ledger
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("trial", *PARTS, "predicted"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in ledger.trials.itertuples(index=False):
        table.add_row(str(row[0]), *(f"{seconds:.3f}" for seconds in row[1:]))
    width = Console(width=100_000).measure(table).maximum
    console = Console(highlight=False, width=width, soft_wrap=True)
    console.print(table)
    console.print()
    trials = max(1, len(ledger.trials))
    for part, seconds in ledger.total.items():
        console.print(_line(f"{part}, {MEANING[str(part)]}", seconds, trials))
    console.print(_line("recording, waiting for the store", ledger.recording, trials))
    if ledger.recording_median is not None:
        milliseconds = 1000 * ledger.recording_median
        console.print(f"  {'  of it, in the median of trials':<40}{milliseconds:>22.2f} ms a trial")
    if not isnan(ledger.slowness):
        predicted = ledger.trials["predicted"]
        console.print(_line("predicted, for the epochs trained", predicted.sum(), trials))
        console.print(_compared(ledger))
    _print_share(console, study)
    _print_causes(console, study.attempts)
    for platform in study.platforms:
        console.print(
            f"  platform: {platform['processor']}, kernels {platform['kernel']}, "
            f"NumPy {platform['numpy']}"
        )


def _compared(ledger: Ledger) -> str:
    """What training took beside what was predicted."""
    said = f"  training took {ledger.slowness:.2f} times what was predicted in the median of trials"
    if (ledger.trials["training"] > 0).sum() < FEW:
        return said
    low, high = ledger.band
    return f"{said}; {low:.2f} to {high:.2f} times the median in the middle 80 % of them"


def _line(name: str, seconds: float, trials: int) -> str:
    return f"  {name:<40}{seconds:>10.2f} s{1000 * seconds / trials:>10.1f} ms a trial"


def _print_share(console: Console, study: Study) -> None:
    ledger = study.ledger
    if ledger.cpu_seconds:
        console.print(
            f"  {ledger.share:.1%} of {ledger.cpu_seconds:.1f} CPU seconds trained "
            f"({plural(ledger.sessions, 'session')})",
            style="bold",
        )


def _print_causes(console: Console, attempts: pd.DataFrame) -> None:
    lost = attempts[~attempts["cause"].isin(["finished"])]
    for cause, count in lost["cause"].value_counts().items():
        console.print(f"  {count} attempts ended as {cause}")

"""`sweep show` and `sweep export`: a study's results."""

import json as jsons
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli import options


def show(
    name: options.StudyName,
    store: options.Store = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object instead.")] = False,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Where the time of each trial went, instead.")
    ] = False,
) -> None:
    """Print a study's trials as a table, its state and its winner.

    Example: sweep show digits --json
    """
    from sweep.results import load

    study = load(name, store)
    if ledger:
        from sweep.cli.accounts import print_ledger

        print_ledger(study)
        return
    if json:
        print(jsons.dumps(study.summary(), indent=2, allow_nan=False))
        return
    from sweep.cli.summary import print_summary, print_trials

    print_trials(study)
    print_summary(study)


def export(
    name: options.StudyName,
    to: Annotated[Path, typer.Option(help="The file to write: .parquet or .csv.")],
    store: options.Store = None,
) -> None:
    """Write a study's trials as a table that pandas reads.

    Example: sweep export digits --to trials.parquet
    """
    from sweep.results import load
    from sweep.tables import write

    trials = load(name, store).trials
    write(trials, to)
    print(f"{len(trials)} trials written to {to}")

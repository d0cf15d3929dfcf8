"""`sweep show` and `sweep export`: a study's results."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli import options
from sweep.cli.report import print_json

if TYPE_CHECKING:
    from sweep.results import Study


def show(
    name: options.StudyName,
    store: options.Store = None,
    json: options.Json = False,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Where the time of each trial went, instead.")
    ] = False,
) -> None:
    """Print a study's trials as a table, its state and its winner.

    With --ledger, the seconds of each trial in proposing, waiting, training and reporting.

    Example: sweep show digits --json
    """
    from sweep.results import load

    study = load(name, store)
    if json:
        if ledger:
            print_json("show.ledger", _accounts(study))
        else:
            print_json("show", study.summary())
    elif ledger:
        from sweep.cli.accounts import print_ledger

        print_ledger(study)
    else:
        from sweep.cli.summary import print_summary, print_trials

        print_trials(study)
        print_summary(study)


def export(
    name: options.StudyName,
    to: Annotated[Path, typer.Option(help="The file to write: .parquet or .csv.")],
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Write a study's trials as a table that pandas, a spreadsheet or a database reads.

    One row a trial: its parameters, its value, its state, times and costs.

    Example: sweep export digits --to trials.parquet
    """
    from sweep.results import load
    from sweep.sinks import check_apart, sink

    study = load(name, store)
    trials = study.trials
    check_apart(to, study.files)
    with sink(to) as write:
        write(trials)
    if json:
        columns = {"columns": list(trials.columns)}
        print_json("export", {"name": name, "trials": len(trials), "file": str(to), **columns})
    else:
        print(f"{len(trials)} trials written to {to}")


def _accounts(study: "Study") -> dict[str, Any]:
    ledger = study.ledger
    return {
        "name": study.name,
        "trials": ledger.trials.to_dict(orient="records"),
        "total": {str(part): float(seconds) for part, seconds in ledger.total.items()},
        "recording": ledger.recording,
        "cpu_seconds": ledger.cpu_seconds,
        "share": ledger.share,
        "sessions": ledger.sessions,
        "platforms": study.platforms,
    }

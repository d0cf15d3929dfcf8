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
    to: Annotated[
        Path,
        typer.Option(help="The file to write, .parquet or .csv, or a folder for the whole record."),
    ],
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Write a study's trials as a table that pandas, a spreadsheet or a database reads, or all that
    is on record of it.

    A file has one row a trial: its parameters, its value, its state, times and costs. A folder has
    every table of the record as Parquet, and the winner's model: sweep.load reads it in Python, and
    --store in every command that looks.

    Example: sweep export digits --to trials.parquet
    """
    from sweep.errors import UsageError
    from sweep.results import load
    from sweep.sinks import ENDINGS, check_apart, sink

    is_folder = not to.suffix or to.is_dir()
    if not is_folder and to.suffix not in ENDINGS:
        raise UsageError(
            f"--to {to}: a table is written as {' or '.join(ENDINGS)}, and a folder has no ending"
        )
    study = load(name, store)
    trials = study.trials
    if is_folder:
        study.to_parquet(to)
    else:
        check_apart(to, study.files)
        with sink(to) as write:
            write(trials)
    if json:
        columns = {"columns": [] if is_folder else list(trials.columns)}
        print_json("export", {"name": name, "trials": len(trials), "file": str(to), **columns})
    elif is_folder:
        print(f"the record of {len(trials)} trials written to {to}; sweep.load({_path(to)!r})")
    else:
        print(f"{len(trials)} trials written to {to}")


def _path(folder: Path) -> str:
    """As `sweep.load` takes it for a folder."""
    return str(folder) if len(folder.parts) > 1 else f"./{folder}"


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

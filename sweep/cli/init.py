"""`sweep init`: a study file for a table, and why it is so."""

import os
import re
import shutil
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from sweep.cli import options
from sweep.cli.report import print_json

if TYPE_CHECKING:
    from sweep.dataspec import DataSpec
    from sweep.plan import Plan

PRUNED = 2.0
"""Times as many epochs as if all trials came in order, the best first: measured on a few tables."""


def init(
    table: Annotated[
        str,
        typer.Argument(help="A CSV, Parquet, Arrow or .npz file, a URL of one, or sklearn:digits."),
    ],
    target: Annotated[
        list[str] | None,
        typer.Option(help="The column to predict; once for each, if there are several."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The name of the study; by default that of the folder.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(help="classification, multilabel or regression; else found from the target."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where study.toml goes; by default a folder here."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a study.toml that is there.")
    ] = False,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="data.KEY=VALUE",
            help="A key of [data], as in 'data.delimiter=\"^\"'; can be given again.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Look at a table and write a study file for it.

    Says what the columns are taken for, what is decided and why, and about how long the study
    takes. The file is commented, and every line of it is yours to change.

    Example: sweep init houses.csv --target price
    """
    from sweep.dataspec import SOURCES, is_url
    from sweep.errors import StudyFileError, UsageError

    folder = output or Path(_stem(table))
    file = folder / "study.toml"
    if file.exists() and not force:
        raise UsageError(
            f"{file} is there already: run it with sweep run {file}, write over it with --force, "
            "or elsewhere with --output FOLDER"
        )
    local = table not in SOURCES and not is_url(table) and not table.startswith("sklearn:")
    place = str(Path(table).expanduser().absolute()) if local else table
    data = _data(place, target or [], task, changes or [])
    _check_target(table, data)

    from sweep.cli.found import record, summary
    from sweep.cpus import usable_cpus
    from sweep.datasets.survey import survey
    from sweep.proposal import proposal
    from sweep.speed import slowness

    found = survey(data)
    name = name or _study_name(folder)
    cpus = usable_cpus()
    plan = _tried(proposal(found, name, data.source, cpus))
    source = os.path.relpath(data.source, folder.absolute()) if local else table
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(proposal(found, name, source, cpus), encoding="utf-8")
    except OSError as error:
        raise StudyFileError(f"{file} cannot be written: {error.strerror}") from None
    share = min(1.0, PRUNED * plan.least)
    seconds = plan.spec.search.trials * plan.seconds * share * slowness()
    if as_json:
        found_record = record(found, source, cpus)
        print_json("init", {"file": str(file), "seconds": seconds} | found_record)
        return
    width = min(100, shutil.get_terminal_size().columns)
    for line in summary(found, seconds, cpus):
        print(textwrap.fill(line, width, subsequent_indent=" " * 15, break_on_hyphens=False))
    print(f"\n{file} is written. Next: sweep run {file}")


def _stem(table: str) -> str:
    """The name of a table without its place and its endings."""
    path = table.removeprefix("sklearn:").partition("?")[0].rstrip("/")
    return path.rpartition("/")[2].split(".")[0] or "study"


def _study_name(folder: Path) -> str:
    """The folder's name as far as a study may have it."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", folder.absolute().name).lstrip("._-")
    return name[:64] or "study"


def _data(source: str, target: list[str], task: str | None, changes: list[str]) -> "DataSpec":
    """What is known of the table so far; UsageError if it cannot be so."""
    from pydantic import ValidationError

    from sweep import studyfile
    from sweep.dataspec import DataSpec, problems
    from sweep.errors import UsageError

    try:
        data = DataSpec(source=source, target=tuple(target), task=task)
    except ValidationError as error:
        told = [
            f"{'table' if e['loc'][0] == 'source' else e['loc'][0]} {e['input']!r} "
            f"{e['msg'].removeprefix('Value error, ')}"
            for e in error.errors(include_url=False)
        ]
        raise UsageError("; ".join(told)) from None
    data = studyfile.data_with(data, changes)
    if data.source != source:
        raise UsageError("--set data.source: the table is named first, as in sweep init houses.csv")
    others = [text for text in problems(data) if not text.startswith("data.target: is missing")]
    if others:
        raise UsageError("; ".join(others))
    return data


def _check_target(table: str, data: "DataSpec") -> None:
    """UsageError that names the columns, if a file needs a target and has none."""
    from sweep.dataspec import problems
    from sweep.errors import UsageError

    if not any(problems(data)):
        return
    from sweep.datasets.survey import likely_targets

    names, likely = likely_targets(data)
    raise UsageError(
        f"{table}: which column is to be predicted? Name it with --target.\n"
        f"  columns: {', '.join(names)}\n"
        f"  likely: {', '.join(likely)}\n"
        f"  such as: sweep init {table} --target {likely[0]}"
    )


def _tried(text: str) -> "Plan":
    """What a study file amounts to; it is tried before anything is written."""
    from sweep import studyfile
    from sweep.plan import plan

    with TemporaryDirectory() as folder:
        file = Path(folder) / "study.toml"
        file.write_text(text, encoding="utf-8")
        return plan(studyfile.load(file))

"""`sweep notebook` and `sweep report`: a study as a file that explains it."""

from pathlib import Path
from typing import Annotated

import typer

from sweep.cli import options
from sweep.cli.report import print_json


def notebook(
    name: options.StudyName,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.ipynb",
            help="Where to write; NAME.ipynb by default.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a notebook that is there.")
    ] = False,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Write a notebook that analyses a study, with the sections that apply to it.

    Its cells run as they are, and say what is to be seen; it has no outputs yet.

    Example: sweep notebook digits --to studies/digits/mine.ipynb
    """
    from sweep.errors import UsageError
    from sweep.notebook import cells_of, written
    from sweep.results import load

    file = _place(to, name, ".ipynb")
    if file.exists() and not force:
        raise UsageError(
            f"{file} is there already: write over it with --force, or elsewhere with --to FILE"
        )
    study = load(name, store)
    cells = cells_of(study, _named(store))
    _write(file, written(cells), study.files)
    if json:
        print_json("notebook", {"name": name, "file": str(file), "cells": len(cells)})
    else:
        print(f"{file} is written: {len(cells)} cells. Open it with jupyter lab, or an editor")


def report(
    name: options.StudyName,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Where to write; NAME.html by default.",
            show_default=False,
        ),
    ] = None,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Write a study as one page that needs no network: winner, trials, figures, failures, advice.

    And where it ran, the whole question, and the commands that answer it again. Passwords and
    tokens in URLs are left out.

    Example: sweep report digits --to digits.html
    """
    from sweep.report import report as made
    from sweep.results import load

    file = _place(to, name, ".html")
    study = load(name, store)
    found = made(study)
    _write(file, found.html, study.files)
    if json:
        size = file.stat().st_size
        shown = {"figures": list(found.figures), "left_out": found.left_out}
        print_json("report", {"name": name, "file": str(file), "bytes": size} | shown)
    else:
        print(file)


def _place(to: Path | None, name: str, ending: str) -> Path:
    """The file to write; UsageError if its name has another ending."""
    from sweep.errors import UsageError

    file = to or Path(f"{name}{ending}")
    if file.suffix != ending:
        raise UsageError(f"--to {file}: its name must end in {ending}")
    return file


def _named(store: str | None) -> str | None:
    """The store as a notebook can name it: a file, from wherever it is run; no URL, which may have
    a password."""
    from sweep.store import locate

    place = None if store is None else locate(store).place
    return str(place.absolute()) if isinstance(place, Path) else None


def _write(file: Path, text: str, read: dict[str, str]) -> None:
    from sweep.errors import UsageError
    from sweep.sinks import check_apart

    check_apart(file, read)
    part = file.with_name(f".{file.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"cannot write {file}: {error.strerror or error}") from None

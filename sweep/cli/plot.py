"""`sweep plot`: a study's figures as files."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli import options
from sweep.cli.report import print_json


class Kind(StrEnum):
    """The plots there are; sweep.plots.PLOTS draws them, and takes seconds to import."""

    history = "history"
    curves = "curves"
    rungs = "rungs"
    importances = "importances"
    slice = "slice"
    parallel = "parallel"
    contour = "contour"
    rank = "rank"
    edf = "edf"
    timeline = "timeline"
    ledger = "ledger"
    decision_order = "decision_order"
    pareto = "pareto"


PAGES = (".html", ".png")


def plot(
    name: options.StudyName,
    kinds: Annotated[
        list[Kind] | None,
        typer.Argument(
            metavar="KIND",
            help="All that the study has by default.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where to write; NAME-plots by default. For one kind also a file.html or .png.",
            show_default=False,
        ),
    ] = None,
    png: Annotated[bool, typer.Option("--png", help="Pictures too.")] = False,
    store: options.Store = None,
    json: options.Json = False,
) -> None:
    """Write the figures of a study as pages that need no network, and index.html with all of them.

    The values in order and over each parameter, what mattered, learning curves, who survived which
    rung, where the time went, and the Pareto front of a study with several objectives.

    Example: sweep plot digits history curves --to figures --png
    """
    from sweep.errors import UsageError

    place = to or Path(f"{name}-plots")
    if to is not None and to.suffix not in ("", *PAGES) and not to.is_dir():
        raise UsageError(
            f"--to {place}: a plot is written as {' or '.join(PAGES)}, and a folder has no ending"
        )
    if place.suffix in PAGES and len(kinds or ()) != 1:
        raise UsageError(f"--to {place} is a file for one plot: name one, or give a folder")
    from sweep.gallery import write_file, write_folder  # these take a second
    from sweep.plots import PLOTS
    from sweep.results import load

    study = load(name, store)
    figures, left_out = {}, {}
    for kind in dict.fromkeys(kinds or Kind):
        try:
            figures[kind.value] = PLOTS[kind.value](study)
        except UsageError as error:
            if kinds:
                raise
            left_out[kind.value] = str(error)
    if not figures:
        raise UsageError(f"study {name!r} has nothing to plot yet: sweep status {name}")
    if place.suffix in PAGES:
        (figure,) = figures.values()
        write_file(figure, place)
        files = [place]
    else:
        title = f"{name}: {', '.join(study.spec.objectives)}"
        files = list(write_folder(figures, title, place, png=png))
    if json:
        shown = [str(file) for file in files]
        print_json("plot", {"name": name, "files": shown, "left_out": left_out})
        return
    for kind_name, reason in left_out.items():
        print(f"no {kind_name}: {reason}", file=sys.stderr)
    for file in files:
        print(file)

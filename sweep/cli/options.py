"""Options that several commands share."""

from typing import Annotated

import typer

Store = Annotated[
    str | None,
    typer.Option(
        envvar="SWEEP_STORE",
        help="The file of the record; by default the nearest runs/sweep.db upwards of here.",
        show_default=False,
    ),
]
StudyName = Annotated[str, typer.Argument(metavar="NAME", help="The name of a study.")]

"""Options that several commands share."""

from enum import StrEnum
from typing import Annotated

import typer


class Where(StrEnum):
    ray = "ray"
    serial = "serial"


Store = Annotated[
    str | None,
    typer.Option(
        envvar="SWEEP_STORE",
        help="The record: a file, or postgresql://USER@HOST/DATABASE; by default the nearest "
        "runs/sweep.db upwards of here.",
        show_default=False,
    ),
]
StudyName = Annotated[str, typer.Argument(metavar="NAME", help="The name of a study.")]
Backend = Annotated[Where, typer.Option(help="Ray tasks, or everything in this process.")]
Cpus = Annotated[
    int | None, typer.Option(min=1, help="CPUs that a local Ray uses; all by default.")
]
Address = Annotated[
    str, typer.Option(envvar="RAY_ADDRESS", help="A Ray cluster, or local to start one here.")
]
AllowCode = Annotated[
    bool, typer.Option("--allow-code", help="Run the trainer that the study file names.")
]
TakeOver = Annotated[
    bool,
    typer.Option("--take-over", help="Take the study from a process that is known to be gone."),
]

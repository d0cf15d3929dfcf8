"""Options that several commands share."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Where(StrEnum):
    ray = "ray"
    processes = "processes"
    serial = "serial"


def known_names(ctx: typer.Context, incomplete: str) -> Iterator[str]:
    """The names of studies that begin so, for the shell's completion."""
    from sweep.errors import SweepError
    from sweep.store import Store, locate

    try:
        with Store(locate(ctx.params.get("store")), read_only=True) as record:
            yield from (name for name in record.names() if name.startswith(incomplete))
    except SweepError:
        return


Store = Annotated[
    str | None,
    typer.Option(
        envvar="SWEEP_STORE",
        help="The record: a file, or postgresql://USER@HOST/DATABASE; by default the nearest "
        "runs/sweep.db upwards of here.",
        show_default=False,
    ),
]
StudyFile = Annotated[
    Path, typer.Argument(metavar="STUDY.toml", help="The study file, or the folder that it is in.")
]
StudyName = Annotated[
    str,
    typer.Argument(metavar="NAME", help="The name of a study.", autocompletion=known_names),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Another value for a key of the file, as in search.trials=50; can be given again.",
        show_default=False,
    ),
]
Backend = Annotated[
    Where,
    typer.Option(
        envvar="SWEEP_BACKEND",
        help="Ray, processes of this machine alone, or everything in this process.",
    ),
]
Cpus = Annotated[
    int | None,
    typer.Option(
        min=1,
        envvar="SWEEP_CPUS",
        help="CPUs of this machine to use; all by default.",
        show_default=False,
    ),
]
Address = Annotated[
    str,
    typer.Option(
        envvar=["SWEEP_ADDRESS", "RAY_ADDRESS"],
        help="A Ray cluster, or local to start one here.",
    ),
]
AllowCode = Annotated[
    bool, typer.Option("--allow-code", help="Run the trainer that the study file names.")
]
TakeOver = Annotated[
    bool,
    typer.Option("--take-over", help="Take the study from a process that is known to be gone."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object instead (docs/json.md).")]

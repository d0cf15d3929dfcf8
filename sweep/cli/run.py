"""`sweep run`: a study from its file to its winner."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli import options

if TYPE_CHECKING:
    from sweep.backends import Backend
    from trainer import Dataset

STOPPED = 130


class Where(StrEnum):
    ray = "ray"
    serial = "serial"


def run(
    file: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.")],
    store: options.Store = None,
    name: Annotated[
        str | None, typer.Option(help="Run the file's question as a study of this name.")
    ] = None,
    backend: Annotated[
        Where, typer.Option(help="Ray tasks, or everything in this process.")
    ] = Where.ray,
    cpus: Annotated[
        int | None, typer.Option(min=1, help="CPUs that a local Ray uses; all by default.")
    ] = None,
    address: Annotated[
        str, typer.Option(envvar="RAY_ADDRESS", help="A Ray cluster, or local to start one here.")
    ] = "local",
) -> None:
    """Run a study, or go on with it where it was.

    The result depends on the study file alone: not on the number of CPUs, nor on how often the
    run was interrupted. Ctrl-C stops after what is decided; the same command goes on.

    Example: sweep run studies/digits/study.toml
    """
    from sweep import studyfile
    from sweep.errors import StudyFileError, UsageError

    if cpus is not None and (address != "local" or backend is Where.serial):
        raise UsageError("--cpus is for a local Ray: leave it out, or --address and --backend")
    spec = studyfile.load(file)
    if name is not None:
        spec = studyfile.with_name(spec, name)

    # After the file was found to be sound: these take a second.
    from sweep import orchestrator
    from sweep.cli.display import display
    from sweep.cli.summary import print_summary
    from sweep.results import load
    from sweep.store import Store, locate

    def start(dataset: "Dataset") -> "Backend":
        if backend is Where.serial:
            from sweep.backends.serial import SerialBackend

            return SerialBackend(dataset)
        from sweep.backends.ray import RayBackend

        on_ray = RayBackend(dataset, cpus=cpus, address=address)
        listen()  # again: Ray has taken the signals
        return on_ray

    place = locate(store)
    stop = threading.Event()
    with Store(place) as record, _stopping(stop) as listen:
        try:
            ended = display(spec, backend.value, orchestrator.run(spec, record, start, stop))
        except StudyFileError as error:
            raise StudyFileError(f"{file}: {error}") from None
    print_summary(load(spec.name, place), file)
    if ended == "stopped":
        raise typer.Exit(STOPPED)


@contextmanager
def _stopping(stop: threading.Event) -> Iterator[Callable[[], None]]:
    """The first Ctrl-C (or SIGTERM) asks the study to stop; the second interrupts."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def ask(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        print("stopping; once more to stop at once", file=sys.stderr, flush=True)

    def listen() -> None:
        for number in numbers:
            signal.signal(number, ask)

    before = {number: signal.getsignal(number) for number in numbers}
    listen()
    try:
        yield listen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

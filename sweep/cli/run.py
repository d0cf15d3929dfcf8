"""`sweep run` and `sweep resume`: a study to its winner."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli import options
from sweep.cli.exits import INTERRUPTED, status_of
from sweep.cli.options import Where
from sweep.cli.report import print_json

if TYPE_CHECKING:
    from sweep.backends import Backend
    from sweep.spec import StudySpec
    from trainer import Dataset


@dataclass(frozen=True)
class How:
    """Where a study runs, which its result does not depend on."""

    store: str | None
    backend: Where
    cpus: int | None
    address: str
    allow_code: bool
    take_over: bool
    json: bool


def run(
    file: options.StudyFile,
    store: options.Store = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Run the file's question as a study of this name.",
            show_default=False,
        ),
    ] = None,
    changes: options.Set = None,
    backend: options.Backend = Where.ray,
    cpus: options.Cpus = None,
    address: options.Address = "local",
    allow_code: options.AllowCode = False,
    take_over: options.TakeOver = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be run, and run nothing.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Run a study, or go on with it where it was.

    The result depends on the study file alone: not on the number of CPUs, nor on how often the
    run was interrupted. Ctrl-C stops after what is decided; the same command goes on. More trials
    in the file than the study had extend it.

    Example: sweep run studies/digits/study.toml --set search.trials=50
    """
    from sweep import studyfile
    from sweep.errors import StudyFileError

    spec = studyfile.load(file, changes or [])
    if name is not None:
        spec = studyfile.with_name(spec, name)
    try:
        if dry_run:
            _show_plan(spec, store, json)
        else:
            how = How(store, backend, cpus, address, allow_code, take_over, json)
            same = name is None and not changes  # so that the file alone is the whole question
            _carry_out(spec, how, file if same else None)
    except StudyFileError as error:
        raise StudyFileError(f"{file}: {error}") from None


def _show_plan(spec: "StudySpec", store: str | None, json: bool) -> None:
    from sweep.plan import plan

    found = plan(spec, store)
    if json:
        print_json("run.plan", found.record())
        return
    from sweep.cli.plan import print_plan

    print_plan(found)


def resume(
    name: options.StudyName,
    store: options.Store = None,
    backend: options.Backend = Where.ray,
    cpus: options.Cpus = None,
    address: options.Address = "local",
    allow_code: options.AllowCode = False,
    take_over: options.TakeOver = False,
    json: options.Json = False,
) -> None:
    """Go on with a study that was paused or left, without its file.

    A study that a process holds in pause goes on there; any other is run from here.

    Example: sweep resume digits
    """
    from sweep import studyfile
    from sweep.cli.control import ask, is_held
    from sweep.store import Store, locate

    with Store(locate(store), read_only=True) as record:
        study = record.study(name)
        held = is_held(study)
    if study["state"] == "paused" and held:
        ask(name, store, "resume")
        return
    spec = studyfile.from_json(study["spec"])
    _carry_out(spec, How(store, backend, cpus, address, allow_code, take_over, json))


def _carry_out(spec: "StudySpec", how: How, file: Path | None = None) -> None:
    prepare(spec, how)

    # After the question was found to be sound: these take a second.
    from sweep import orchestrator
    from sweep.cli.display import display
    from sweep.store import Store, locate

    place = locate(how.store)
    stop = threading.Event()
    with Store(place) as record, stopping(stop):
        events = orchestrator.run(
            spec,
            record,
            lambda datasets: start_backend(spec, how, datasets),
            stop,
            allow_code=how.allow_code,
            take_over=how.take_over,
        )
        ended = display(spec, how.backend.value, events)

    from sweep.cli.summary import print_summary
    from sweep.results import load

    study = load(spec.name, place)
    if how.json:
        print_json("run", study.summary())
    else:
        print_summary(study, file)
    if stop.is_set() and ended == "stopped":
        raise typer.Exit(INTERRUPTED)
    if status := status_of(ended, study.budget):
        raise typer.Exit(status)


def prepare(spec: "StudySpec", how: How) -> None:
    """See that it can be computed so, and have this process fit for it."""
    from sweep.errors import UsageError

    if how.cpus is not None and (how.address != "local" or how.backend is Where.serial):
        raise UsageError(
            "--cpus (or SWEEP_CPUS) is for this machine's CPUs: leave it out, or --address and "
            "--backend serial"
        )
    if spec.portable:
        be_portable()
    if how.allow_code:
        sys.path.insert(0, str(Path.cwd()))  # the user's trainer is there, as for python -m


def start_backend(spec: "StudySpec", how: How, datasets: "tuple[Dataset, ...]") -> "Backend":
    from sweep.backends.starting import start

    return start(
        how.backend.value, datasets, cpus=how.cpus, address=how.address, portable=spec.portable
    )


def be_portable() -> None:
    """Begin this process anew with the kernels that every machine has; NumPy chooses them once."""
    from sweep.backends.portable import is_portable, portable_environment

    if not is_portable():
        environment = os.environ | portable_environment()
        os.execve(sys.executable, [sys.executable, "-m", "sweep.cli", *sys.argv[1:]], environment)


@contextmanager
def stopping(stop: threading.Event) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) asks what runs to stop; the second interrupts."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def ask(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        print("stopping; once more to stop at once", file=sys.stderr, flush=True)

    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""The `sweep` command and its exit status."""

import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sweep.cli import (
    best,
    confirm,
    control,
    doctor,
    document,
    init,
    look,
    plot,
    predict,
    run,
    show,
    validate,
    verify,
    watch,
)
from sweep.cli.exits import FAILED, INTERRUPTED, MEANING
from sweep.errors import SweepError

COMMANDS: dict[str, tuple[Callable[..., Any], ...]] = {
    "Run": (init.init, validate.validate, run.run, run.resume, confirm.confirm, predict.predict),
    "Look": (
        look.list_,
        look.status,
        watch.watch,
        show.show,
        best.best,
        plot.plot,
        document.report,
        document.notebook,
        show.export,
        verify.verify,
    ),
    "Control": (
        control.pause,
        control.stop,
        control.cancel,
        control.kill,
        control.extend,
        control.enqueue,
        control.edit,
    ),
    "Machine": (doctor.doctor,),
}


class Commands(TyperGroup):
    """The commands, with errors in our words: without those of the library that checks values."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


app = typer.Typer(
    name="sweep",
    cls=Commands,
    help="Find the best neural network for a table of data, on all the cores you have.",
    epilog=f"Exit status: {', '.join(f'{code} {text}' for code, text in MEANING.items())}.",
    no_args_is_help=True,
    rich_markup_mode="markdown",  # so that paragraphs flow
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _panel, _commands in COMMANDS.items():
    for _command in _commands:
        app.command(_command.__name__.rstrip("_"), rich_help_panel=_panel)(_command)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"sweep {version('sweep')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Say which.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run a command; a user's mistake ends with one message and no traceback."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # a name on disk may hold what no encoding has
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        try:
            app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except SweepError as error:
        print(f"sweep: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("sweep: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # who read it has seen enough
        _drop_output()
        sys.exit(FAILED)
    except OSError as error:
        _drop_output()
        where = "" if error.filename is None else f" ({error.filename})"
        print(f"sweep: {error.strerror or error}{where}", file=sys.stderr)
        sys.exit(FAILED)


def _drop_output() -> None:
    """Keep Python from trying again, at its end, to write what could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

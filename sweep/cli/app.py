"""The `sweep` command and its exit status."""

import sys
from typing import Annotated

import typer

from sweep.cli import control, init, predict, run, show, verify
from sweep.errors import SweepError

INTERRUPTED = 130

app = typer.Typer(
    name="sweep",
    help="Find the best neural network for a table of data, on all the cores you have.",
    epilog=(
        "Exit status: 0 complete, 1 failed, 2 usage or invalid file, 3 not found, 4 store "
        "unavailable or study locked, 130 interrupted."
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for command in (
    init.init,
    run.run,
    run.resume,
    show.show,
    show.export,
    predict.predict,
    verify.verify,
    control.pause,
    control.stop,
    control.cancel,
    control.kill,
    control.extend,
    control.enqueue,
    control.edit,
):
    app.command()(command)


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
    try:
        app()
    except SweepError as error:
        print(f"sweep: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("sweep: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)

"""`sweep verify`: whether a record is what its study leads to."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli import options
from sweep.cli.report import print_json
from sweep.words import plural

if TYPE_CHECKING:
    from sweep.verify import Decided, Trained


def verify(
    name: options.StudyName,
    trials: Annotated[
        int, typer.Option(min=0, help="Also train so many trials again, bit for bit.")
    ] = 0,
    store: options.Store = None,
    allow_code: options.AllowCode = False,
    json: options.Json = False,
) -> None:
    """Take every decision of a study again, and compare it with the record.

    A record that was altered, and releases or machines that compute otherwise, show in it.

    Example: sweep verify digits --trials 3
    """
    from sweep import studyfile
    from sweep.cli.run import be_portable
    from sweep.errors import SweepError
    from sweep.store import Store, locate
    from sweep.verify import Differs, Trained, verify

    if allow_code:
        sys.path.insert(0, str(Path.cwd()))
    seen: list[Decided | Trained] = []
    problem = None
    with Store(locate(store), read_only=True) as record:
        if studyfile.from_json(record.study(name)["spec"]).portable:
            be_portable()
        try:
            for found in verify(name, record, trials, allow_code=allow_code):
                seen.append(found)
                if not json:
                    print(_say(found))
        except Differs as error:
            problem = str(error)
    problem = problem or _difference(name, seen)
    again = sum(isinstance(found, Trained) for found in seen)
    if problem is None and again < trials and not json:
        print(f"{name} has no more than {plural(again, 'trial')} to train again")
    if json:
        print_json("verify", _record(name, seen, problem))
        if problem is not None:
            raise typer.Exit(1)
    elif problem is not None:
        raise SweepError(problem)


def _say(found: "Decided | Trained") -> str:
    from sweep.verify import Decided

    if isinstance(found, Decided):
        about = plural(found.trials, "trial")
        return f"{plural(found.decisions, 'decision')} about {about}: as recorded"
    said = found.differences[0] if found.differences else "the same to the last bit"
    return f"trial {found.trial}, {found.epochs} epochs trained again: {said}"


def _difference(name: str, seen: "list[Decided | Trained]") -> str | None:
    from sweep.verify import Trained

    differ = sum(isinstance(found, Trained) and bool(found.differences) for found in seen)
    if not differ:
        return None
    return (
        f"{differ} of the trials trained otherwise than recorded: sweep show {name} --ledger "
        "names the platforms that they were trained on, and this may be another"
    )


def _record(name: str, seen: "list[Decided | Trained]", problem: str | None) -> dict[str, Any]:
    from sweep.verify import Decided, Trained

    decided = next((found for found in seen if isinstance(found, Decided)), None)
    return {
        "name": name,
        "verified": problem is None,
        "problem": problem,
        "decisions": None if decided is None else decided.decisions,
        "trials": None if decided is None else decided.trials,
        "trained": [
            {"trial": found.trial, "epochs": found.epochs, "differences": found.differences}
            for found in seen
            if isinstance(found, Trained)
        ],
    }

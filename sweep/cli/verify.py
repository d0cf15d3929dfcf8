"""`sweep verify`: whether a record is what its study leads to."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from sweep.cli import options


def verify(
    name: options.StudyName,
    trials: Annotated[
        int, typer.Option(min=0, help="Also train so many trials again, bit for bit.")
    ] = 0,
    store: options.Store = None,
    allow_code: options.AllowCode = False,
) -> None:
    """Take every decision of a study again, and compare it with the record.

    Example: sweep verify digits --trials 3
    """
    from sweep import studyfile
    from sweep.cli.run import be_portable
    from sweep.errors import SweepError
    from sweep.store import Store, locate
    from sweep.verify import Decided, verify

    if allow_code:
        sys.path.insert(0, str(Path.cwd()))
    with Store(locate(store), read_only=True) as record:
        if studyfile.from_json(record.study(name)["spec"]).portable:
            be_portable()
        differ = 0
        for found in verify(name, record, trials, allow_code=allow_code):
            if isinstance(found, Decided):
                print(f"{found.decisions} decisions about {found.trials} trials: as recorded")
                continue
            said = found.differences[0] if found.differences else "the same to the last bit"
            differ += bool(found.differences)
            print(f"trial {found.trial}, {found.epochs} epochs trained again: {said}")
    if differ:
        raise SweepError(
            f"{differ} of the trials trained otherwise than recorded: sweep show {name} --ledger "
            "names the platforms that they were trained on, and this may be another"
        )

"""Commands that ask something of a study, whoever runs it and wherever."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweep.cli import options

if TYPE_CHECKING:
    from sweep.store import Row, Store

PATIENCE = 5.0
"""Seconds to wait for the answer of the process that runs the study."""

Settings = Annotated[
    list[str], typer.Argument(metavar="KEY=VALUE", help="Values as a study file writes them.")
]


def pause(name: options.StudyName, store: options.Store = None) -> None:
    """Let what runs come to its next rung and begin nothing new, until `sweep resume`.

    Example: sweep pause digits
    """
    ask(name, store, "pause")


def stop(name: options.StudyName, store: options.Store = None) -> None:
    """End the run of a study when its running segments have ended.

    Example: sweep stop digits
    """
    ask(name, store, "stop")


def cancel(name: options.StudyName, store: options.Store = None) -> None:
    """End the run of a study at once; what was not finished is trained again when it goes on.

    Example: sweep cancel digits
    """
    ask(name, store, "cancel")


def kill(
    name: options.StudyName,
    trial: Annotated[int, typer.Option(min=0, help="The trial's number.")],
    store: options.Store = None,
) -> None:
    """End one running trial as failed.

    Example: sweep kill digits --trial 17
    """
    ask(name, store, "kill", trial=trial)


def extend(
    name: options.StudyName,
    trials: Annotated[int, typer.Option(min=0, help="So many more trials.")] = 0,
    wall_time: Annotated[float, typer.Option(min=0, help="So many more seconds.")] = 0,
    cpu_time: Annotated[float, typer.Option(min=0, help="So many more CPU seconds.")] = 0,
    store: options.Store = None,
) -> None:
    """Let a study go on for longer: its table is then that of a study that was longer at once.

    Example: sweep extend digits --trials 100
    """
    from sweep import studyfile
    from sweep.errors import UsageError

    more = {"trials": trials, "wall_time": wall_time, "cpu_time": cpu_time}
    if not any(more.values()):
        raise UsageError("nothing to extend: give --trials N, --wall-time or --cpu-time")
    search = studyfile.from_json(_study(name, store)["spec"]).search
    for limit in ("wall_time", "cpu_time"):
        if more[limit] and getattr(search, limit) is None:
            raise UsageError(
                f"{name} has no limit search.{limit} that could be extended; --trials extends its "
                f"search.trials = {search.trials}"
            )
    limits = {limit: getattr(search, limit) + amount for limit, amount in more.items() if amount}
    ask(name, store, "extend", **limits)


def enqueue(name: options.StudyName, settings: Settings, store: options.Store = None) -> None:
    """Give the next trial these parameters; those left out are proposed as ever.

    Example: sweep enqueue digits learning_rate=0.01 'optimizer="adam"'
    """
    from sweep import space, studyfile

    spec = studyfile.from_json(_study(name, store)["spec"])
    params = studyfile.settings(settings)
    space.check_params(spec.space, params)
    ask(name, store, "enqueue", params=params)


def edit(name: options.StudyName, settings: Settings, store: options.Store = None) -> None:
    """Change ranges of the space, or freeze a parameter, from the next trial on.

    Example: sweep edit digits 'learning_rate={ low = 1e-3, high = 1e-2, log = true }' layers=2
    """
    from sweep import question, studyfile

    spec = studyfile.from_json(_study(name, store)["spec"])
    changes = studyfile.settings(settings)
    question.edited(spec, changes)
    ask(name, store, "edit", changes=changes)


def ask(name: str, store: str | None, request: str, **detail: Any) -> None:
    """Hand in a request, and wait for the answer if a process runs the study."""
    from sweep.errors import StudyNotFound, UsageError
    from sweep.store import Store, locate

    place = locate(store)
    with Store(place, read_only=True) as record:
        study = record.study(name)
        held = is_held(study)
        if request == "kill":
            _check_kill(record, study, detail["trial"])
    is_complete = not held and study["state"] == "complete"
    if not held and request in ("pause", "stop", "cancel", "kill", "resume"):
        if is_complete:
            raise UsageError(
                f"study {name!r} is complete: there is nothing to {request}; "
                f"sweep extend {name} --trials N makes it longer"
            )
        raise StudyNotFound(f"study {name!r} is not running; sweep resume {name} goes on with it")
    with Store(place) as record:
        number = record.request(name, request, detail)
        answer = _answer(record, name, number) if held else None
        is_extended = any(row["request"] == "extend" for row in record.pending(study["id"]))
    if answer is not None and answer.startswith("refused: "):
        raise UsageError(answer.removeprefix("refused: "))
    if answer is not None:
        print(f"{name}: {answer}")
    elif held:
        print(f"{name}: noted; it takes effect before the study's next decision")
    else:
        needs = f"sweep resume {name}"
        if is_complete and not is_extended:
            needs = f"it is complete, and needs sweep extend {name} --trials N first, then {needs}"
        print(f"{name}: noted; it takes effect when the study goes on: {needs}")


def _check_kill(record: "Store", study: "Row", trial: int) -> None:
    """UsageError if there is no such trial, or it has ended."""
    from sweep.errors import UsageError
    from sweep.overview import ENDED

    name = study["name"]
    known = {row["number"]: row["state"] for row in record.outcomes(study["id"])}
    if trial not in known:
        raise UsageError(f"study {name!r} has no trial {trial} yet; sweep watch {name} shows them")
    if known[trial] in ENDED:
        raise UsageError(f"trial {trial} of {name!r} has ended already: it is {known[trial]}")


def is_held(study: "Row") -> bool:
    """Whether a process runs a study; one that confirms it does not heed requests."""
    from sweep.store import is_free

    is_free_now = is_free(study["holder"], study["lease_expires"], study["now"])
    return study["state"] in ("running", "paused") and not is_free_now


def _answer(record: "Store", name: str, number: int) -> str | None:
    study = record.study(name)["id"]
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        request = next(row for row in record.requests(study) if row["id"] == number)
        if request["answered"] is not None:
            return str(request["answer"])
        time.sleep(0.1)
    return None


def _study(name: str, store: str | None) -> "Row":
    from sweep.store import Store, locate

    with Store(locate(store), read_only=True) as record:
        return record.study(name)

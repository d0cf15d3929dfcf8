"""`sweep list` and `sweep status`: how studies stand."""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sweep.cli import options
from sweep.cli.report import print_json

if TYPE_CHECKING:
    from sweep.overview import Overview


def list_(store: options.Store = None, json: options.Json = False) -> None:
    """Print the studies of a store, the one that changed last at the top.

    Each with its state, its trials, its best value so far and when it changed.

    Example: sweep list
    """
    from sweep.overview import Unreadable, overviews
    from sweep.store import Store, locate

    place, found = locate(store), list["Overview"]()
    with Store(place, read_only=True) as record:
        for study in overviews(record):
            if isinstance(study, Unreadable):
                print(f"sweep: {study.name} is of another release: {study.reason}", file=sys.stderr)
            else:
                found.append(study)
    if json:
        print_json("list", {"store": str(place), "studies": [_record(each) for each in found]})
    elif found:
        _print_table(found)
    else:
        print(f"no studies in {place}; run one: sweep run STUDY.toml")


def status(
    name: options.StudyName, store: options.Store = None, json: options.Json = False
) -> None:
    """Print how a study stands in a few lines, also while another process runs it.

    Its state and since when, its trials by state, the best so far, how many trials end in a
    second and about how long it goes on.

    Example: sweep status digits
    """
    from sweep.overview import overview
    from sweep.store import Store, locate

    place = locate(store)
    with Store(place, read_only=True) as record:
        found = overview(record, name)
    if json:
        print_json("status", {**_record(found), **_session(found), "store": str(place)})
    else:
        _print_lines(found)


def _record(study: "Overview") -> dict[str, Any]:
    spec = study.spec
    best = None
    if study.best is not None:
        best = {"number": study.best, "value": study.value, "test": study.test}
    return {
        "name": spec.name,
        "state": study.state,
        "objective": spec.objectives[0],
        "trials": dict(study.counts),
        "begun": study.begun,
        "planned": spec.search.trials,
        "best": best,
        "budget": study.budget,
        "edition": spec.edition,
        "asked": list(study.asked),
        "created": study.created,
        "changed": study.changed,
    }


def _session(study: "Overview") -> dict[str, Any]:
    session = study.session
    if session is not None:
        names = ("host", "pid", "cpus", "started", "ready", "ended", "end")
        session = {name: session[name] for name in names}
    return {"rate": study.rate, "seconds_left": study.left, "session": session}


def _print_table(found: "list[Overview]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("study", "state", "trials", "best", "", "changed"):
        table.add_column(column, no_wrap=True, justify="right" if column == "trials" else "left")
    for study in found:
        value = "" if study.value is None else f"{study.value:.4f}"
        table.add_row(
            study.spec.name,
            study.state,
            f"{study.begun}/{study.spec.search.trials}",
            value,
            study.spec.objectives[0],
            _ago(study.changed),
        )
    width = Console(width=100_000).measure(table).maximum
    Console(highlight=False, width=width, soft_wrap=True).print(table)


def _print_lines(study: "Overview") -> None:
    from sweep.overview import told

    spec, session = study.spec, study.session
    counts = told(study.counts, study.diverged, study.state)
    since = "" if session is None else f" since {_ago(session['ended'] or session['started'])}"
    print(f"{spec.name} is {study.state}{since}")
    print(f"  trials   {counts or 'none yet'}, of {spec.search.trials}")
    if study.best is not None:
        test = "" if study.test is None else f", test {study.test:.4f}"
        print(f"  best     trial {study.best}: {spec.objectives[0]} {study.value:.4f}{test}")
    if study.budget is not None:
        print(f"  budget   {study.budget} is spent: sweep extend {spec.name} gives it more")
    if session is not None and session["ended"] is None and study.state in ("running", "paused"):
        cpus = {None: "", 1: ", one CPU"}.get(session["cpus"], f", {session['cpus']} CPUs")
        print(f"  process  {session['pid']} on {session['host']}{cpus}")
    if study.rate and study.state == "running":
        left = "" if study.left is None else f"; about {_duration(study.left)} left"
        print(f"  rate     {study.rate:.3g} trials a second{left}")
    if study.asked:
        print(f"  asked    {', '.join(study.asked)}: when the study goes on")
    if study.state == "stopped" or (study.asked and study.state not in ("running", "paused")):
        print(f"  next     sweep resume {spec.name}")


def _ago(time: datetime) -> str:
    """A time as the clock of this machine has it."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

"""How a study stands, from its record alone and without its tables."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sweep import studyfile
from sweep.errors import StudyFileError
from sweep.spec import StudySpec
from sweep.store import Row, Store, is_free
from sweep.verdict import Place, rank

STATES = ("running", "paused", "complete", "pruned", "failed")
"""Of trials, in the order in which they are counted."""

ENDED = ("complete", "pruned", "failed")

REFUSED = ("duplicate", "too_large")
"""The outcomes of trials that were proposed and not trained; they count towards no limit."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A study in a few figures. Times are in UTC, by the clock of the store."""

    spec: StudySpec
    state: str
    """`running`, `paused`, `stopped` (also by a crash), `complete` or `failed`."""
    counts: Mapping[str, int]
    """How many trials are in each state that occurs."""
    diverged: int
    """Of those that were pruned."""
    begun: int
    """Trials that count towards `search.trials`."""
    best: int | None
    value: float | None
    """Of the best complete trial, in the first objective."""
    test: float | None
    budget: str | None
    """The key of the budget that ended the study before its trials had begun."""
    asked: tuple[str, ...]
    """Requests that wait for the study to go on, such as extend."""
    created: datetime
    changed: datetime
    session: Row | None
    """The last process that ran it."""
    rate: float | None
    """Trials that ended in a second of the last session; None before there is one."""

    @property
    def left(self) -> float | None:
        """About how many seconds a running study goes on, at the rate of its session."""
        ended = sum(self.counts.get(state, 0) for state in ENDED)
        waiting = self.begun - ended + max(0, self.spec.search.trials - self.begun)
        if self.state != "running" or not self.rate:
            return None
        return max(0, waiting) / self.rate


class Unreadable(NamedTuple):
    """A study that another release wrote otherwise, and what is wrong with it for this one."""

    name: str
    reason: str


def overview(record: Store, name: str) -> Overview:
    """How a study stands; StudyNotFound if there is none of this name."""
    row = record.study(name)
    spec = studyfile.from_json(row["spec"])
    trials = record.outcomes(row["id"])
    sessions = record.sessions(row["id"])
    best = min(complete(trials), key=lambda trial: place(spec, trial), default=None)
    value = None if best is None else first_value(best)
    return Overview(
        spec=spec,
        state=state_of(row),
        counts=counts_of(trials),
        diverged=diverged_of(trials),
        begun=len(begun(trials)),
        best=None if best is None else best["number"],
        value=value,
        test=row["test"] if best is not None and row["best"] == best["number"] else None,
        budget=spent_budget(spec, trials, record.closings(row["id"])),
        asked=tuple(request["request"] for request in record.pending(row["id"])),
        created=row["datetime_created"],
        changed=row["datetime_changed"],
        session=sessions[-1] if sessions else None,
        rate=_rate(trials, sessions[-1], row["now"]) if sessions else None,
    )


def overviews(record: Store) -> Iterator[Overview | Unreadable]:
    """How all studies of a store stand, the one that changed last first; then those that cannot be
    read, since another release wrote them otherwise."""
    found, unreadable = list[Overview](), list[Unreadable]()
    for name in record.names():
        try:
            found.append(overview(record, name))
        except StudyFileError as error:
            unreadable.append(Unreadable(name, " ".join(str(error).split())))
    yield from sorted(found, key=lambda study: study.changed, reverse=True)
    yield from unreadable


def state_of(row: Row) -> str:
    """The state of a study's row: one whose process is gone is `stopped`."""
    gone = row["state"] in ("running", "paused") and is_free(
        row["holder"], row["lease_expires"], row["now"]
    )
    return "stopped" if gone else str(row["state"])


def counts_of(trials: Sequence[Row]) -> dict[str, int]:
    """How many trials are in each state, without the states that none is in."""
    found = Counter(trial["state"] for trial in trials)
    return {state: found[state] for state in STATES if state in found}


def ended(trials: Sequence[Row]) -> list[Row]:
    """The trials that have ended."""
    return [trial for trial in trials if trial["state"] in ENDED]


def diverged_of(trials: Sequence[Row]) -> int:
    """How many trials diverged, which is a way of being pruned."""
    return sum(trial["outcome"] == "diverged" for trial in trials)


def told(counts: Mapping[str, int], diverged: int, study: str = "running") -> str:
    """How many trials are in each state, in words, and how many of the pruned diverged; no trial
    of a `study` in another state than running or paused is running."""
    words = {} if study in ("running", "paused") else {"running": "unfinished"}
    ways = {"pruned": f" ({diverged:,} of them diverged)"} if diverged else {}
    return ", ".join(
        f"{n:,} {words.get(state, state)}{ways.get(state, '')}" for state, n in counts.items()
    )


def complete(trials: Sequence[Row]) -> list[Row]:
    """The trials that came to their end."""
    return [trial for trial in trials if trial["state"] == "complete"]


def begun(trials: Sequence[Row]) -> list[Row]:
    """The trials that count towards the limits."""
    return [trial for trial in trials if trial["outcome"] not in REFUSED]


def first_value(trial: Row) -> float:
    """A complete trial's value in the first objective."""
    return float(trial["values"][0] if trial["values"] else trial["value"])


def place(spec: StudySpec, trial: Row) -> Place:
    """The rank of a complete trial: the least is the best."""
    values = trial["values"] or [trial["value"]]
    return rank(spec, values, trial["number"], trial["constraints"] or ())


def spent_budget(spec: StudySpec, trials: Sequence[Row], closings: Sequence[Row]) -> str | None:
    """The key of the budget that kept trials from beginning: wall_time, cpu_time or flops."""
    if closings:
        return f"search.{closings[-1]['detail']['reason']}"
    limited = spec.search.flops is not None and len(begun(trials)) < spec.search.trials
    # The space was exhausted if the last proposals were refused, or the grid had no more.
    exhausted = spec.search.sampler == "grid" or begun(trials[-1:]) != [*trials[-1:]]
    return "search.flops" if limited and trials and not exhausted else None


def _rate(trials: Sequence[Row], session: Row, now: Any) -> float | None:
    since, until = session["ready"], session["ended"] or now
    if since is None or until <= since:
        return None
    ended = [t for t in trials if t["datetime_complete"] and since <= t["datetime_complete"]]
    return len(ended) / float((until - since).total_seconds())

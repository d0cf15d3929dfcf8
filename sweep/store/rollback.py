"""Undoing the last decisions of a study."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, select, update

from sweep.store.batch import Row
from sweep.store.schema import attempts, epochs, events, retrainings, trials

_STATES = {"begin": "running", "promote": "running", "running": "running", "paused": "paused"}
"""What a trial is after the events that leave it alive."""

COMMANDS = ("enqueue", "edit")
"""What users asked for stays, and takes effect at the step that the study goes on from."""

_ENDS = ("complete", "pruned", "failed")

_REOPEN = update(trials).where(
    trials.c.study == bindparam("of_study"), trials.c.number == bindparam("of_trial")
)


def undo(connection: Connection, study: int, step: int, more: Collection[str]) -> None:
    """Delete the decisions of `step` and later, and make of their trials what the others say.

    That the study was closed is undone too if a budget was spent of which there is `more` now.
    """
    ours = events.c.study == study
    closings = select(events.c.sequence, events.c.detail).where(
        ours, events.c.event == "close", events.c.step < step
    )
    for sequence, detail in connection.execute(closings).all():
        if detail["reason"] in more:
            connection.execute(delete(events).where(ours, events.c.sequence == sequence))
    undone = (events.c.study == study) & (events.c.step >= step)
    touched = set(connection.scalars(select(events.c.trial).where(undone).distinct())) - {None}
    asked = undone & events.c.event.in_(COMMANDS)
    connection.execute(delete(events).where(undone, events.c.event.not_in(COMMANDS)))
    connection.execute(update(events).where(asked).values(step=step))
    last = {row.trial: row for row in connection.execute(_last_events(study))}
    if never := [{"of_study": study, "of_trial": number} for number in touched - last.keys()]:
        of_trials = [(table, "trial") for table in (epochs, attempts, retrainings)]
        for table, key in (*of_trials, (trials, "number")):
            mine = (table.c.study == bindparam("of_study"), table.c[key] == bindparam("of_trial"))
            connection.execute(delete(table).where(*mine), never)
    alive = [last[n] for n in touched & last.keys() if last[n].event in _STATES]
    if alive:
        connection.execute(_REOPEN, [_reopened(study, event) for event in alive])


def _last_events(study: int) -> Any:
    """The last event of each trial that says what became of it."""
    telling = (events.c.study == study) & events.c.event.in_([*_STATES, *_ENDS])
    latest = (
        select(func.max(events.c.sequence).label("sequence"))
        .where(telling, events.c.trial.is_not(None))
        .group_by(events.c.trial)
        .subquery()
    )
    return select(events).join(latest, events.c.sequence == latest.c.sequence).where(telling)


def _reopened(study: int, event: Any) -> Row:
    return {
        "of_study": study,
        "of_trial": event.trial,
        "state": _STATES[event.event],
        "epochs": event.epoch or 0,
        "value": event.value,
        "values": None,
        "standard_error": None,
        "constraints": None,
        "outcome": None,
        "datetime_complete": None,
        "error": None,
    }

"""What must be true of a record after anything: I1 to I8, by SQL and nothing of the store's own.

Every fault test ends with `check(place, name, ...)`. A violation names its invariant and the rows.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.dispatch import ATTEMPTS
from sweep.fingerprint import EPOCHS, TRIALS, fingerprint
from sweep.steps import Begin, Decide, Promote
from sweep.store import locate
from tests.sweep.records import by_columns

Rows = list[tuple[Any, ...]]
Table = tuple[list[dict[str, Any]], list[dict[str, Any]]]
"""The deterministic columns of a study's trials and of its decided epochs."""


@dataclass(frozen=True)
class Record:
    """A study's rows, straight from the database; `{study}` in a query is its number."""

    connection: Any
    study: int
    spec: dict[str, Any]

    def rows(self, query: str) -> Rows:
        cursor = self.connection.cursor()
        cursor.execute(query.replace("{study}", str(self.study)))
        return [tuple(row) for row in cursor.fetchall()]


def i1_trials_end_once(record: Record) -> Iterator[Rows]:
    """Numbers are gapless from 0; a trial has begun once, and ended once or not yet."""
    yield record.rows("""
        SELECT 'numbers', count(*), min(number), max(number) FROM trials WHERE study = {study}
        HAVING count(*) > 0 AND (min(number) <> 0 OR max(number) <> count(*) - 1)""")
    yield record.rows("""
        SELECT number, state, outcome, value, datetime_complete FROM trials WHERE study = {study}
        AND (state NOT IN ('running', 'paused', 'complete', 'pruned', 'failed')
            OR (state IN ('running', 'paused')) <> (outcome IS NULL)
            OR (outcome IS NULL) <> (datetime_complete IS NULL)
            OR (state = 'complete') <> (outcome IS NOT NULL AND outcome = 'finished')
            OR (state = 'complete' AND value IS NULL))""")
    yield record.rows("""
        SELECT trials.number, trials.state, begun, ended, last FROM trials LEFT JOIN (
            SELECT trial,
                sum(CASE WHEN event = 'begin' THEN 1 ELSE 0 END) AS begun,
                sum(CASE WHEN event IN ('complete', 'pruned', 'failed') THEN 1 ELSE 0 END) AS ended,
                max(CASE WHEN place = 1 THEN event END) AS last
            FROM (SELECT trial, event, row_number() OVER
                    (PARTITION BY trial ORDER BY sequence DESC) AS place
                FROM events WHERE study = {study} AND step IS NOT NULL AND trial IS NOT NULL
                ) AS told GROUP BY trial
            ) AS story ON story.trial = trials.number
        WHERE trials.study = {study} AND (begun IS NULL OR begun <> 1
            OR ended <> (CASE WHEN state IN ('running', 'paused') THEN 0 ELSE 1 END)
            OR last <> (CASE WHEN state = 'running' AND epochs = 0 THEN 'begin' ELSE state END))""")
    yield record.rows("""
        SELECT 'no such trial', event, trial FROM events WHERE study = {study} AND step IS NOT NULL
        AND trial IS NOT NULL AND trial NOT IN (SELECT number FROM trials WHERE study = {study})""")
    yield record.rows("""
        SELECT 'out of order', sequence, event, step, before FROM (
            SELECT sequence, event, step, lag(step) OVER (ORDER BY sequence) AS before
            FROM events WHERE study = {study} AND step IS NOT NULL
                AND event NOT IN ('enqueue', 'edit')) AS told
        WHERE step < before""")
    yield record.rows("""
        SELECT studies.state, holder, number, trials.state FROM studies LEFT JOIN trials
            ON trials.study = studies.id AND trials.state IN ('running', 'paused')
        WHERE studies.id = {study} AND ((studies.state = 'complete' AND number IS NOT NULL)
            OR (studies.state IN ('running', 'paused')) <> (holder IS NOT NULL))""")


def i2_one_result_each(record: Record) -> Iterator[Rows]:
    """Of each segment at most one result counts, the last; they follow on each other."""
    yield record.rows("""
        SELECT trial, replicate, start, until, count(*) FROM attempts
        WHERE study = {study} AND accepted
        GROUP BY trial, replicate, start, until HAVING count(*) > 1""")
    yield record.rows("""
        SELECT trial, replicate, start, until, 'nobody killed it' FROM attempts
        WHERE study = {study} AND accepted AND cause = 'killed' AND NOT EXISTS (
            SELECT 1 FROM events WHERE events.study = {study} AND events.event = 'kill'
            AND events.trial = attempts.trial)""")
    yield record.rows("""
        SELECT late.trial, late.replicate, late.start, late.until, late.cause
        FROM attempts AS late JOIN attempts AS counted
            ON counted.study = late.study AND counted.trial = late.trial
            AND counted.replicate = late.replicate AND counted.start = late.start
            AND counted.until = late.until AND counted.accepted AND counted.id < late.id
        WHERE late.study = {study}""")
    yield record.rows("""
        SELECT trial, replicate, start, until, before, how FROM (
            SELECT trial, replicate, start, until,
                lag(until) OVER (PARTITION BY trial, replicate ORDER BY start) AS before,
                lag(cause) OVER (PARTITION BY trial, replicate ORDER BY start) AS how
            FROM attempts WHERE study = {study} AND accepted) AS chain
        WHERE start >= until OR (before IS NULL AND start <> 0)
            OR (before IS NOT NULL AND (before <> start OR how <> 'finished'))""")


def i4_curves_are_whole(record: Record) -> Iterator[Rows]:
    """Epochs have no gap and no double, come from a result that counts, and reach what is said."""
    yield record.rows("""
        SELECT trial, replicate, count(*), count(DISTINCT epoch), min(epoch), max(epoch)
        FROM epochs WHERE study = {study} GROUP BY trial, replicate
        HAVING min(epoch) <> 1 OR max(epoch) <> count(*) OR count(DISTINCT epoch) <> count(*)""")
    yield record.rows("""
        SELECT results.trial, results.replicate, reached, allowed, last FROM (
            SELECT trial, replicate, max(until) AS allowed,
                max(CASE WHEN cause = 'finished' THEN until ELSE 0 END) AS reached
            FROM attempts WHERE study = {study} AND accepted GROUP BY trial, replicate) AS results
        LEFT JOIN (SELECT trial, replicate, max(epoch) AS last FROM epochs WHERE study = {study}
            GROUP BY trial, replicate) AS curves
            ON curves.trial = results.trial AND curves.replicate = results.replicate
        WHERE coalesce(last, 0) NOT BETWEEN reached AND allowed""")
    yield record.rows("""
        SELECT trial, replicate, epoch, 'of no result' FROM epochs WHERE study = {study}
        AND NOT EXISTS (SELECT 1 FROM attempts WHERE attempts.study = {study} AND accepted
            AND attempts.trial = epochs.trial AND attempts.replicate = epochs.replicate
            AND start < epoch AND epoch <= until)""")
    yield record.rows("""
        SELECT number, state, trials.epochs, max(epoch) FROM trials LEFT JOIN epochs
            ON epochs.study = trials.study AND epochs.trial = trials.number
        WHERE trials.study = {study} GROUP BY number, state, trials.epochs
        HAVING trials.epochs > coalesce(max(epoch), 0)""")


def i6_nothing_is_exceeded(record: Record) -> Iterator[Rows]:
    """Trials, retries, virtual workers and CPUs stay within what there is of them."""
    search = record.spec["search"]
    yield record.rows(f"""
        SELECT 'trials', count(*) FROM trials WHERE study = {{study}}
        AND (outcome IS NULL OR outcome NOT IN ('duplicate', 'too_large'))
        HAVING count(*) > {int(search["trials"])}""")
    yield record.rows(f"""
        SELECT trial, replicate, start, until, max(attempt), count(*) FROM attempts
        WHERE study = {{study}} AND cause <> 'checkpoint_damaged'
        GROUP BY trial, replicate, start, until
        HAVING count(*) > {ATTEMPTS} * (SELECT count(*) FROM sessions WHERE study = {{study}})
            OR max(attempt) > {ATTEMPTS + 1}""")
    own = record.spec["train"]["memory_limit"] is not None
    lost = "('worker_lost')" if own else "('worker_lost', 'out_of_memory')"
    yield record.rows(f"""
        SELECT trial, replicate, start, until, cause, attempt, 'given up' FROM attempts
        WHERE study = {{study}} AND accepted AND cause IN {lost} AND attempt < {ATTEMPTS}""")
    yield record.rows(f"""
        SELECT sequence, event, trial, busy FROM (
            SELECT sequence, event, trial, sum(CASE
                WHEN event = 'begin' OR (event = 'running' AND before = 'paused') THEN 1
                WHEN before = 'paused' OR event = 'running' THEN 0
                ELSE -1 END) OVER (ORDER BY sequence) AS busy
            FROM (SELECT sequence, event, trial, lag(event) OVER
                    (PARTITION BY trial ORDER BY sequence) AS before
                FROM events WHERE study = {{study}} AND trial IS NOT NULL AND step IS NOT NULL
                ) AS told) AS counted
        WHERE busy < 0 OR busy > {int(search["workers"])}""")
    yield record.rows("""
        SELECT node, worker, trial, started, before FROM (
            SELECT node, worker, trial, started, lag(finished) OVER
                (PARTITION BY node, worker ORDER BY started, finished) AS before
            FROM attempts WHERE study = {study} AND worker IS NOT NULL AND started IS NOT NULL
            ) AS taken WHERE started < before""")


def i7_one_driver_at_a_time(record: Record) -> Iterator[Rows]:
    """Sessions follow on each other, and only the last, which holds the lease, is open; one that
    confirms holds it without a session."""
    yield record.rows("""
        SELECT token, started, before FROM (
            SELECT token, started, lag(ended) OVER (ORDER BY token) AS before,
                lag(token) OVER (ORDER BY token) AS earlier
            FROM sessions WHERE study = {study}) AS order_of
        WHERE earlier IS NOT NULL AND (before IS NULL OR started < before)""")
    yield record.rows("""
        SELECT studies.token, holder, last.token, last.ended FROM studies LEFT JOIN sessions AS last
            ON last.study = studies.id
            AND last.token = (SELECT max(token) FROM sessions WHERE study = {study})
        WHERE studies.id = {study} AND (last.token IS NULL OR last.token > studies.token
            OR (last.token = studies.token AND (holder IS NULL) <> (last.ended IS NOT NULL))
            OR (last.token < studies.token AND (last.ended IS NULL OR NOT EXISTS (
                SELECT 1 FROM confirmations WHERE study = {study}))))""")


def i8_damage_is_found(record: Record) -> Iterator[Rows]:
    """A damaged checkpoint counts for nothing: its segment was computed again, or waits for it."""
    yield record.rows("""
        SELECT trial, replicate, start, until, 'counts' FROM attempts
        WHERE study = {study} AND cause = 'checkpoint_damaged' AND accepted""")
    yield record.rows("""
        SELECT trial, replicate, start, until, 'never again' FROM attempts AS damaged
        WHERE study = {study} AND cause = 'checkpoint_damaged' AND NOT EXISTS (
            SELECT 1 FROM attempts AS again WHERE again.study = {study} AND again.accepted
            AND again.trial = damaged.trial AND again.replicate = damaged.replicate
            AND again.start = damaged.start AND again.id > damaged.id)
        AND (SELECT state FROM trials WHERE study = {study} AND number = damaged.trial)
            NOT IN ('running', 'paused')""")


INVARIANTS = (
    i1_trials_end_once,
    i2_one_result_each,
    i4_curves_are_whole,
    i6_nothing_is_exceeded,
    i7_one_driver_at_a_time,
    i8_damage_is_found,
)

Told = tuple[str, int, int, int | None, float | None]


def told(event: Begin | Promote | Decide) -> Told:
    """What the record must say for as long as a study exists, once this was shown."""
    match event:
        case Begin():
            return "begin", event.step, event.trial.number, None, None
        case Promote(last=last):
            return "running", event.step, last.trial.number, last.epochs, last.value
        case Decide():
            return event.state, event.step, event.trial.number, event.epochs, event.value


def i3_what_was_shown_is_there(record: Record, shown: Iterable[Told]) -> Rows:
    """Every decision that a user was shown is on record."""
    there = set(
        record.rows("""
        SELECT event, step, trial, epoch, value FROM events
        WHERE study = {study} AND step IS NOT NULL""")
    )
    return [row for row in shown if row not in there]


def i5_the_table_is_the_same(record: Record, like: Table) -> Rows:
    """Trials and decided epochs are those of an undisturbed run, to the last bit."""
    mine = _table(record)
    differences = [
        (kind, place, name, old[name], new[name])
        for kind, olds, news in zip(("trials", "epochs"), like, mine, strict=True)
        for place, (old, new) in enumerate(zip(olds, news, strict=False))
        for name in old
        if old[name] != new[name]
    ]
    counts = [len(rows) for rows in like], [len(rows) for rows in mine]
    if counts[0] != counts[1]:
        differences.append(("counts", *counts))
    hashes = {fingerprint(trials, by_columns(epochs)) for trials, epochs in (mine, like)}
    if len(hashes) > 1 and not differences:
        differences.append(("fingerprint",))
    return differences[:5]


def table(place: Any, name: str) -> Table:
    """The deterministic part of a study's record."""
    with closing(connect(place)) as connection:
        return _table(_record(connection, name))


def violations(
    place: Any, name: str, *, shown: Iterable[Told] = (), like: Table | None = None
) -> list[str]:
    """What is wrong with the record of a study, a line for each invariant's query that says so."""
    with closing(connect(place)) as connection:
        record = _record(connection, name)
        found = [(check.__name__, rows) for check in INVARIANTS for rows in check(record) if rows]
        if rows := i3_what_was_shown_is_there(record, shown):
            found.append(("i3_what_was_shown_is_there", rows))
        if like is not None and (rows := i5_the_table_is_the_same(record, like)):
            found.append(("i5_the_table_is_the_same", rows))
        return [f"{invariant}: {rows[:5]}" for invariant, rows in found]


def check(place: Any, name: str, *, shown: Iterable[Told] = (), like: Table | None = None) -> None:
    """AssertionError if an invariant is violated.

    `place` is a path, a URL or a Location; `shown` are the decisions that were yielded, as `told`
    says them; `like` is the `table` of an undisturbed run.
    """
    found = violations(place, name, shown=shown, like=like)
    assert not found, "\n".join(found)


def connect(place: Any) -> Any:
    """A connection of the database's own driver."""
    where = locate(place).place
    if isinstance(where, Path):
        return sqlite3.connect(where)
    import psycopg

    return psycopg.connect(where.set(drivername="postgresql").render_as_string(False))


def _record(connection: Any, name: str) -> Record:
    cursor = connection.cursor()
    cursor.execute("SELECT id, name, spec FROM studies")
    study, spec = next((row[0], _json(row[2])) for row in cursor.fetchall() if row[1] == name)
    return Record(connection, study, spec)


def _table(record: Record) -> Table:
    trials = _named(record, "trials", TRIALS, "number")
    epochs = _named(record, "epochs", EPOCHS, "trial, replicate, epoch")
    decided = {trial["number"]: trial["epochs"] for trial in trials}
    return trials, [epoch for epoch in epochs if epoch["epoch"] <= decided[epoch["trial"]]]


def _named(record: Record, source: str, columns: Sequence[str], order: str) -> list[dict[str, Any]]:
    names = ", ".join(f'"{column}"' for column in columns)
    rows = record.rows(f"SELECT {names} FROM {source} WHERE study = {{study}} ORDER BY {order}")
    parsed = {"params", "values", "constraints"}
    return [
        {c: _json(x) if c in parsed else x for c, x in zip(columns, row, strict=True)}
        for row in rows
    ]


def _json(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value

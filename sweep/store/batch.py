"""What one transaction writes."""

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from sweep.store import schema

Row = dict[str, Any]


@dataclass(slots=True)
class Batch:
    """Rows without their study, which the lease names; rows of one kind have the same columns.

    `started`, `epochs`, `attempts`, `events` (numbered as they are written), `platforms` and
    `retrainings` are new rows; `decided` are columns of the trials that `trial` names; `answered`
    are the `id` of a request and its `answer`.
    """

    started: list[Row] = field(default_factory=list)
    decided: list[Row] = field(default_factory=list)
    epochs: list[Row] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    answered: list[Row] = field(default_factory=list)
    platforms: list[Row] = field(default_factory=list)
    retrainings: list[Row] = field(default_factory=list)

    def __bool__(self) -> bool:
        return any(getattr(self, rows.name) for rows in fields(self))

    def write(self, connection: Connection, study: int) -> None:
        """Write the rows in a transaction of the caller's."""
        for table, rows in (
            (schema.platforms, self.platforms),
            (schema.trials, self.started),
            (schema.attempts, self.attempts),
            (schema.events, self._numbered(connection, study)),
            (schema.retrainings, self.retrainings),
        ):
            if rows:
                connection.execute(insert(table), [{"study": study, **row} for row in rows])
        if self.epochs:
            _insert_epochs(connection, study, self.epochs)
        if self.decided:
            connection.execute(_DECIDE, [{"of_study": study, **row} for row in self.decided])
        if self.answered:
            key = {"of_study": study, "answered": datetime.now(UTC)}
            rows = [{**key, "of_id": row["id"], "answer": row["answer"]} for row in self.answered]
            connection.execute(_ANSWER, rows)

    def _numbered(self, connection: Connection, study: int) -> list[Row]:
        if not self.events:
            return []
        last = select(func.max(schema.events.c.sequence)).where(schema.events.c.study == study)
        found = connection.scalars(last).one()
        return [
            {"sequence": number, **row}
            for number, row in enumerate(self.events, 0 if found is None else found + 1)
        ]


def _insert_epochs(connection: Connection, study: int, rows: list[Row]) -> None:
    # Most of what is ever written, so past SQLAlchemy, whose handling of each value costs more than
    # the database does.
    columns = schema.epochs.c.keys()
    parameter = {"sqlite": ":{}", "postgresql": "%({})s"}[connection.dialect.name]
    values = ", ".join(parameter.format(column) for column in columns)
    statement = f"INSERT INTO epochs ({', '.join(columns)}) VALUES ({values})"
    connection.exec_driver_sql(statement, [_epoch(study, row) for row in rows])


def _epoch(study: int, row: Row) -> Row:
    known = {column: value if value is None else value + 0 for column, value in row.items()}
    return {"study": study, "replicate": 0, **known}


_DECIDE = update(schema.trials).where(
    schema.trials.c.study == bindparam("of_study"), schema.trials.c.number == bindparam("trial")
)
_ANSWER = update(schema.requests).where(
    schema.requests.c.study == bindparam("of_study"), schema.requests.c.id == bindparam("of_id")
)

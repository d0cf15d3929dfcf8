"""Reading the record of studies; anyone may, at any time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Column, ColumnElement, Connection, Select, Table, func, select, type_coerce
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.types import NullType

from sweep.entries import did_you_mean
from sweep.errors import StoreError, StudyNotFound
from sweep.store import schema
from sweep.store.batch import Row
from sweep.store.databases import connect
from sweep.store.location import Location, locate
from sweep.store.migrations import check, prepare
from sweep.store.patience import patiently

CURVE = tuple(name for name in schema.epochs.c.keys() if name != "study")  # noqa: SIM118
"""What `Reader.curves` tells of an epoch, in this order."""

_OUTCOME = (
    *("number", "state", "outcome", "value", "values", "constraints", "epochs"),
    *("predicted_cost", "seconds", "datetime_start", "datetime_complete"),
)

_SHOWN = 10  # studies that an error names

_AT_ONCE = 1000  # trials that one query names: databases limit its parameters

_BLOCK = 1000  # rows of columns that are fetched together: more would wake the garbage collector

Columns = dict[str, list[Any]]
"""Columns of a table, all of one length."""

T = TypeVar("T")


class Reader:
    """The record at a place; `Store` writes as well."""

    def __init__(self, place: Path | str | Location, *, read_only: bool = True) -> None:
        self.place = locate(place)
        with self._errors("read" if read_only else "write"):
            self._database = connect(self.place, read_only)
            try:
                (check if read_only else prepare)(self._database, self.place)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def names(self) -> list[str]:
        query = select(schema.studies.c.name).order_by("name")
        return self._read(lambda connection: list(connection.scalars(query)))

    def find(self, name: str) -> Row | None:
        """A study's row, and `now`: the time by the clock that its lease goes by."""
        now = self._database.now().label("now")
        query = select(schema.studies, now).where(schema.studies.c.name == name)
        return next(iter(self._all(query)), None)

    def study(self, name: str) -> Row:
        if (row := self.find(name)) is not None:
            return row
        known = self.names()
        shown = ", ".join(known[:_SHOWN]) or "it is empty"
        more = f" and {len(known) - _SHOWN} more (sweep list)" if len(known) > _SHOWN else ""
        raise StudyNotFound(
            f"no study {name!r} in {self.place}; there: {shown}{more}"
            f"{did_you_mean(name, tuple(known))}"
        )

    def trials(self, study: int) -> list[Row]:
        return self._rows(schema.trials, study, "number")

    def count_trials(self, study: int) -> int:
        table = schema.trials
        query = select(func.count()).select_from(table).where(table.c.study == study)
        return self._read(lambda connection: int(connection.scalars(query).one()))

    def outcomes(self, study: int) -> list[Row]:
        """What became of each trial, without its parameters: cheap for many trials."""
        table = schema.trials
        columns = (table.c[name] for name in _OUTCOME)
        return self._all(select(*columns).where(table.c.study == study).order_by(table.c.number))

    def epochs(self, study: int, trials: Sequence[int] | None = None) -> list[Row]:
        """The learning curves of these trials, or of all; few are read without the rest."""
        return self._rows(schema.epochs, study, "trial", "replicate", "epoch", trials=trials)

    def columns(
        self, table: str, study: int, names: Sequence[str], trials: Sequence[int] | None = None
    ) -> Columns:
        """These columns of a table of the record, in the order of its key, of these trials or of
        all: many rows for a fraction of the time and memory of dictionaries.

        Times are as the database has them, which numpy.datetime64 reads: naive, in UTC.
        """
        of = schema.metadata.tables[table]
        query = select(*(_plain(of.c[name]) for name in names)).where(of.c.study == study)
        queries = list(_of_trials(query.order_by(*of.primary_key), of, trials))

        def work(connection: Connection) -> Columns:
            streaming = connection.execution_options(yield_per=_BLOCK)
            found: Columns = {name: [] for name in names}
            for each in queries:
                for rows in streaming.execute(each).partitions():
                    for column, values in zip(found.values(), zip(*rows, strict=True), strict=True):
                        column.extend(values)
            return found

        return self._read(work)

    def curves(self, study: int) -> Iterator[tuple[Any, ...]]:
        """The learning curves of all trials, a tuple of `CURVE` for each epoch in the order of its
        key, without holding them in memory."""
        table = schema.epochs
        query = select(*(table.c[name] for name in CURVE)).where(table.c.study == study)
        query = query.order_by(table.c.trial, table.c.replicate, table.c.epoch)
        with self._errors("read"), self._database.reading() as connection:
            streamed = connection.execution_options(yield_per=10_000)
            for rows in streamed.execute(query).partitions():
                yield from map(tuple, rows)

    def export(self, name: str, folder: Path) -> None:
        """Write all that there is of a study, at one moment, into a folder of Parquet files."""
        from sweep.store.folder import label, replacing, write  # reading needs no pyarrow

        study, models = self.study(name), self.place.artifacts(name)

        def work(connection: Connection) -> None:
            with replacing(folder, label(study)) as part:
                write(connection, study, models, part)

        self._read(work)

    def attempts(self, study: int, trials: Sequence[int] | None = None) -> list[Row]:
        """Those of a trial are in the order in which they came back."""
        return self._rows(schema.attempts, study, "id", trials=trials)

    def events(self, study: int, kind: str | None = None) -> list[Row]:
        """What happened in order; of one kind of event, or all."""
        where = None if kind is None else schema.events.c.event == kind
        return self._rows(schema.events, study, "sequence", where=where)

    def closings(self, study: int) -> list[Row]:
        """The events after which no trial began any more, with the budget that was spent."""
        return self.events(study, "close")

    def sessions(self, study: int) -> list[Row]:
        """The processes that ran a study, one after the other."""
        return self._rows(schema.sessions, study, "token")

    def platforms(self, study: int) -> list[Row]:
        return self._rows(schema.platforms, study, "id")

    def confirmations(self, study: int) -> list[Row]:
        return self._rows(schema.confirmations, study, "number")

    def retrainings(self, study: int) -> list[Row]:
        return self._rows(schema.retrainings, study, "trial", "folds", "fold", "seed")

    def requests(self, study: int) -> list[Row]:
        return self._rows(schema.requests, study, "id")

    def pending(self, study: int) -> list[Row]:
        """The requests that nobody answered yet; cheap enough to ask twice a second."""
        unanswered = schema.requests.c.answered.is_(None)
        return self._rows(schema.requests, study, "id", where=unanswered)

    def _rows(
        self,
        table: Table,
        study: int,
        *order: str,
        where: ColumnElement[bool] | None = None,
        trials: Sequence[int] | None = None,
    ) -> list[Row]:
        query = select(table).where(table.c.study == study).order_by(*(table.c[o] for o in order))
        if where is not None:
            query = query.where(where)
        return [row for each in _of_trials(query, table, trials) for row in self._all(each)]

    def _all(self, query: Select[Any]) -> list[Row]:
        def work(connection: Connection) -> list[Row]:
            found = connection.execute(query)
            names = tuple(found.keys())
            return [dict(zip(names, row, strict=True)) for row in found]

        return self._read(work)

    def _read(self, work: Callable[[Connection], T]) -> T:
        return self._carry_out("read", self._database.reading, work)

    def _carry_out(
        self,
        verb: str,
        connected: Callable[[], AbstractContextManager[Connection]],
        work: Callable[[Connection], T],
    ) -> T:
        def once() -> T:
            with connected() as connection:
                return work(connection)

        with self._errors(verb):
            return patiently(once, self._database.may_pass, self.place)

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except (DBAPIError, OSError) as error:
            reason = str(error.orig if isinstance(error, DBAPIError) else error)
            next_step = "give another place with --store or SWEEP_STORE"
            if "is full" in reason or "No space left" in reason:
                next_step = "free some space and run the command again: nothing is lost"
            raise StoreError(
                f"cannot {verb} the store {self.place}: {' '.join(reason.split())}; {next_step}"
            ) from error


def _of_trials(
    query: Select[Any], table: Table, trials: Sequence[int] | None
) -> Iterator[Select[Any]]:
    """The query for these trials, some at a time, or for all."""
    if trials is None:
        yield query
        return
    numbers = sorted(set(trials))
    for i in range(0, len(numbers), _AT_ONCE):
        yield query.where(table.c.trial.in_(numbers[i : i + _AT_ONCE]))


def _plain(column: Column[Any]) -> ColumnElement[Any]:
    if not isinstance(column.type, schema.UTCDateTime):
        return column
    return type_coerce(column, NullType()).label(column.name)

"""What SQLite and PostgreSQL do differently; all else is written once."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote
from uuid import uuid4

from filelock import FileLock
from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    create_engine,
    event,
    func,
    literal,
    text,
    type_coerce,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool, StaticPool

from sweep.errors import StoreError, StudyNotFound
from sweep.store.lease import Holder, this_process
from sweep.store.location import Location
from sweep.store.schema import UTCDateTime

_to_json = partial(json.dumps, allow_nan=False)  # PostgreSQL takes no NaN


class Database(Protocol):
    def reading(self) -> AbstractContextManager[Connection]:
        """A context with a connection on which several reads see one state of the record."""

    def writing(self) -> AbstractContextManager[Connection]:
        """A context with a connection in a transaction that is committed at its end."""

    def set_up(self, connection: Connection) -> None:
        """Keep others from creating or migrating the tables at the same time."""

    def now(self, later: float = 0.0) -> ColumnElement[datetime]:
        """The time, `later` seconds from now, by a clock that all who use the database share."""

    def may_pass(self, error: DBAPIError) -> bool:
        """Whether the same may succeed a little later."""

    def has_left(self, connection: Connection, holder: Holder) -> bool:
        """Whether the database knows that a process is connected to it no more."""

    def close(self) -> None: ...


def connect(place: Location, read_only: bool) -> Database:
    if isinstance(place.place, Path):
        return (Exported if place.is_export else SQLite)(place.place, read_only)
    return PostgreSQL(place.place)


class SQLite:
    """A SQLite file in WAL mode.

    SQLite before 3.51.3 can corrupt a WAL file when two connections write or checkpoint at the
    same instant (sqlite.org/wal.html, the WAL-reset bug), so a lock file keeps writers apart;
    readers open the file read-only and never wait.
    """

    def __init__(self, path: Path, read_only: bool) -> None:
        self._path, self._read_only = path, read_only
        self._lock = FileLock(f"{path}.lock", timeout=60)
        if path.is_dir():
            raise StoreError(f"the store {path} is a folder; give a file, such as {path}/sweep.db")
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.is_file():
            raise StudyNotFound(
                f"no store at {path}; run a study first (sweep run STUDY.toml), or give its place "
                "with --store or SWEEP_STORE"
            )
        self._use(self._open, QueuePool)

    def _use(self, creator: Any, pool: Any) -> None:
        engine = create_engine(
            "sqlite://", creator=creator, poolclass=pool, json_serializer=_to_json
        )

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

        self._engine, self._writer = engine, engine.execution_options(begin="BEGIN IMMEDIATE")

    def _open(self) -> sqlite3.Connection:
        if self._read_only:
            return _open(self._path, _reading_mode(self._path))
        connection = _open(self._path, "rwc")
        try:
            for setting in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                connection.execute(f"PRAGMA {setting}")
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._lock, self._writer.begin() as connection:
            yield connection

    def set_up(self, connection: Connection) -> None:
        pass  # one who writes is alone

    def copy_into_memory(self) -> None:
        """Go on with a copy, which may be changed."""
        memory = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        with closing(_open(self._path, _reading_mode(self._path))) as source:
            source.backup(memory)
        self._engine.dispose()
        self._use(lambda: memory, StaticPool)

    def now(self, later: float = 0.0) -> ColumnElement[datetime]:
        return literal(datetime.now(UTC) + timedelta(seconds=later), UTCDateTime())

    def may_pass(self, error: DBAPIError) -> bool:
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

    def has_left(self, connection: Connection, holder: Holder) -> bool:
        return False  # a file does not know who has it open

    def close(self) -> None:
        self._engine.dispose()


def _open(path: Path, mode: str) -> sqlite3.Connection:
    return _connect(f"file:{quote(str(path.absolute()))}?mode={mode}")


def _connect(place: str) -> sqlite3.Connection:
    # Without isolation level, the driver begins no transactions of its own.
    return sqlite3.connect(
        place, uri=True, timeout=60, check_same_thread=False, isolation_level=None
    )


def _reading_mode(path: Path) -> str:
    # SQLite reads a WAL file only where it may write beside it, or is told that nobody writes.
    writable = os.access(path.parent, os.W_OK)
    return "ro" if writable or path.with_name(f"{path.name}-wal").exists() else "ro&immutable=1"


class Exported(SQLite):
    """A folder that an exported study was written to, read into a database in memory."""

    def __init__(self, folder: Path, read_only: bool) -> None:
        if not read_only:
            raise StoreError(
                f"{folder} is a study that was exported, which is only read; give the store that "
                "it came from with --store or SWEEP_STORE"
            )
        from sweep.store.folder import read  # databases need no pyarrow

        self._name = f"file:/{uuid4().hex}?vfs=memdb"
        self._kept = _connect(self._name)  # the database is there as long as a connection to it
        try:
            read(folder, self._kept)
        except BaseException:
            self._kept.close()
            raise
        self._use(partial(_connect, self._name), QueuePool)

    def copy_into_memory(self) -> None:
        pass  # it is one

    def close(self) -> None:
        super().close()
        self._kept.close()


_SETTINGS = (
    "SET idle_in_transaction_session_timeout = '60s'",
    "SET lock_timeout = '10s'",
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') = 'off'",
)

_CONNECTION = {  # of libpq: seconds, but the last in milliseconds
    "connect_timeout": 10,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}

_PASSING = ("08", "40", "53300", "55P03", "57P")
"""Beginnings of SQLSTATEs: connection, deadlock, too many connections, lock, shutdown."""


class PostgreSQL:
    """A PostgreSQL database, through psycopg 3.

    A connection that breaks within a transaction must not keep the study's row locked, and what
    was committed must be on disk, whatever the server's defaults are.
    """

    def __init__(self, url: URL) -> None:
        given = {key: value for key, value in _CONNECTION.items() if key not in url.query}
        self._engine = create_engine(
            url,
            isolation_level="READ COMMITTED",
            json_serializer=_to_json,
            connect_args={**given, "application_name": this_process().application_name},
        )

        @event.listens_for(self._engine, "do_connect")
        def open_one(dialect: Any, record: Any, arguments: list[Any], options: Any) -> Any:
            from sweep.store.silence import Connection as Impatient  # SQLite needs no psycopg

            return Impatient.connect(*arguments, **options)

        @event.listens_for(self._engine, "connect")
        def configure(connection: Any, _: Any) -> None:
            for setting in _SETTINGS:
                connection.execute(setting)
            connection.commit()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            yield connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    def set_up(self, connection: Connection) -> None:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('sweep'))"))

    def now(self, later: float = 0.0) -> ColumnElement[datetime]:
        clock = func.timezone("utc", func.clock_timestamp() + timedelta(seconds=later))
        return type_coerce(clock, UTCDateTime())

    def may_pass(self, error: DBAPIError) -> bool:
        state = getattr(error.orig, "sqlstate", None)
        if state is None:  # no answer at all
            return error.connection_invalidated or type(error.orig).__name__ == "OperationalError"
        return error.connection_invalidated or state.startswith(_PASSING)

    def has_left(self, connection: Connection, holder: Holder) -> bool:
        query = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
        return not connection.execute(query, {"name": holder.application_name}).scalar_one()

    def close(self) -> None:
        self._engine.dispose()

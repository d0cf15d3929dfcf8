"""The record of studies in SQLite, written by one orchestrator a study and read by anyone."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock
from sqlalchemy import (
    Connection,
    Engine,
    bindparam,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.exc import DatabaseError, IntegrityError
from sqlalchemy.pool import QueuePool

from sweep.errors import StoreError, StudyLocked, StudyNotFound
from sweep.store import lease as leases
from sweep.store import schema
from sweep.store.lease import Lease

Row = dict[str, Any]


@dataclass(slots=True)
class Batch:
    """What one transaction writes: rows without their study, which the lease names."""

    started: list[Row] = field(default_factory=list)
    decided: list[Row] = field(default_factory=list)
    epochs: list[Row] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.started or self.decided or self.epochs or self.attempts or self.events)


class Store:
    """A SQLite file in WAL mode.

    SQLite before 3.51.3 can corrupt a WAL file when two connections write or checkpoint at the
    same instant (sqlite.org/wal.html, the WAL-reset bug), so a lock file keeps writers apart;
    readers open the file read-only and never wait.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self._lock = FileLock(f"{path}.lock", timeout=60)
        if read_only:
            self._engine = _read_engine(path)
            with self.reading() as connection:
                _check_schema(connection, path)
        else:
            self._engine = self._prepare()

    def close(self) -> None:
        self._engine.dispose()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Reading.

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection on which several reads see one state of the record."""
        with self._errors("read"), self._engine.connect() as connection:
            yield connection

    def names(self) -> list[str]:
        with self.reading() as connection:
            return list(connection.scalars(select(schema.studies.c.name).order_by("name")))

    def find(self, name: str) -> Row | None:
        query = select(schema.studies).where(schema.studies.c.name == name)
        with self.reading() as connection:
            return next((dict(row) for row in connection.execute(query).mappings()), None)

    def study(self, name: str) -> Row:
        if (row := self.find(name)) is not None:
            return row
        names = ", ".join(self.names()) or "it is empty"
        raise StudyNotFound(f"no study {name!r} in {self.path}; there: {names}")

    def trials(self, study: int) -> list[Row]:
        return self._rows(schema.trials, study, "number")

    def epochs(self, study: int) -> list[Row]:
        return self._rows(schema.epochs, study, "trial", "epoch")

    def _rows(self, table: Any, study: int, *order: str) -> list[Row]:
        query = select(table).where(table.c.study == study).order_by(*(table.c[o] for o in order))
        with self.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    # Writing: the orchestrator alone.

    def claim(self, name: str, spec: Row, data_fingerprint: str, version: str) -> Lease:
        """Take the study's lease, creating the study if it is new; StudyLocked if it is held."""
        now, holder = datetime.now(UTC), leases.this_process()
        table = schema.studies
        with self._writing() as connection:
            row = connection.execute(select(table).where(table.c.name == name)).mappings().first()
            if row is None:
                new = insert(table).values(
                    name=name,
                    spec=spec,
                    data_fingerprint=data_fingerprint,
                    version=version,
                    state="running",
                    datetime_created=now,
                    datetime_changed=now,
                )
                study, token = connection.scalars(new.returning(table.c.id)).one(), 1
            elif leases.is_free(row["holder"], row["lease_expires"]):
                study, token = row["id"], row["token"] + 1
            else:
                who = leases.describe(row["holder"], row["lease_expires"])
                raise StudyLocked(
                    f"study {name!r} is being run by {who}; wait for it, or stop it there, and "
                    "run the command again"
                )
            values = {"state": "running", "holder": holder, "token": token}
            connection.execute(
                update(table)
                .where(table.c.id == study)
                .values(**values, lease_expires=leases.expiry(), datetime_changed=now)
            )
        return Lease(study, name, token, holder)

    def renew(self, lease: Lease) -> None:
        self.write(lease, Batch())

    def release(self, lease: Lease, state: str, **columns: Any) -> None:
        """Give the study back in its new state."""
        with self._writing() as connection:
            self._check(connection, lease, state=state, holder=None, lease_expires=None, **columns)

    def clear(self, lease: Lease) -> None:
        """Forget all that a study did, so that it begins anew."""
        with self._writing() as connection:
            self._check(connection, lease)
            for table in (schema.events, schema.attempts, schema.epochs, schema.trials):
                connection.execute(delete(table).where(table.c.study == lease.study))

    def write(self, lease: Lease, batch: Batch, **columns: Any) -> None:
        """Write a batch, and columns of the study, in one transaction that the token guards."""
        with self._writing() as connection:
            self._check(connection, lease, lease_expires=leases.expiry(), **columns)
            for table, rows in (
                (schema.trials, batch.started),
                (schema.epochs, batch.epochs),
                (schema.attempts, batch.attempts),
            ):
                if rows:
                    connection.execute(insert(table), [{"study": lease.study, **r} for r in rows])
            if batch.decided:
                of_study = schema.trials.c.study == lease.study
                one = update(schema.trials).where(
                    of_study, schema.trials.c.number == bindparam("trial")
                )
                connection.execute(one, batch.decided)
            if batch.events:
                connection.execute(insert(schema.events), self._numbered(connection, lease, batch))

    def _numbered(self, connection: Connection, lease: Lease, batch: Batch) -> list[Row]:
        query = select(func.coalesce(func.max(schema.events.c.sequence), -1)).where(
            schema.events.c.study == lease.study
        )
        first = connection.scalars(query).one() + 1
        return [
            {"study": lease.study, "sequence": number, **row}
            for number, row in enumerate(batch.events, first)
        ]

    def _check(self, connection: Connection, lease: Lease, **values: Any) -> None:
        table = schema.studies
        mine = (table.c.id == lease.study) & (table.c.token == lease.token)
        values["datetime_changed"] = datetime.now(UTC)
        if connection.execute(update(table).where(mine).values(**values)).rowcount != 1:
            raise StudyLocked(
                f"study {lease.name!r} was taken over by another process while this one was not "
                "heard of; nothing more was written here"
            )

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._errors("write"), self._lock, self._engine.begin() as connection:
            yield connection

    @contextmanager
    def _errors(self, verb: str) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            raise
        except (DatabaseError, OSError) as error:
            reason = error.orig if isinstance(error, DatabaseError) else error
            raise StoreError(
                f"cannot {verb} the store {self.path}: {reason}; give another place with --store "
                "or SWEEP_STORE"
            ) from error

    def _prepare(self) -> Engine:
        with self._errors("write"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock:
                engine = _write_engine(self.path)
                with engine.begin() as connection:
                    _create_tables(connection, self.path)
        return engine


def _create_tables(connection: Connection, path: Path) -> None:
    if inspect(connection).get_table_names():
        _check_schema(connection, path)
    else:
        schema.metadata.create_all(connection)
        connection.execute(insert(schema.schema_version).values(version=schema.VERSION))


def _check_schema(connection: Connection, path: Path) -> None:
    table = schema.schema_version
    if not connection.dialect.has_table(connection, table.name):
        raise StoreError(f"{path} is a database, but no store of sweep's; give another place")
    version = connection.scalars(select(table.c.version)).one()
    if version > schema.VERSION:
        raise StoreError(
            f"the store {path} was written by a later release (schema {version}, this one knows "
            f"{schema.VERSION}); upgrade with pip install --upgrade sweep"
        )


def _write_engine(path: Path) -> Engine:
    engine = create_engine("sqlite://", creator=lambda: _connect(path, "rwc"), poolclass=QueuePool)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver begins no transaction of its own
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _read_engine(path: Path) -> Engine:
    if not path.is_file():
        raise StudyNotFound(
            f"no store at {path}; run a study first (sweep run STUDY.toml), or give its place "
            "with --store or SWEEP_STORE"
        )
    # SQLite reads a WAL file only where it may write beside it, or is told that nobody writes.
    writable = os.access(path.parent, os.W_OK)
    mode = "ro" if writable or path.with_name(f"{path.name}-wal").exists() else "ro&immutable=1"
    return create_engine("sqlite://", creator=lambda: _connect(path, mode), poolclass=QueuePool)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    place = f"file:{quote(str(path.absolute()))}?mode={mode}"
    return sqlite3.connect(place, uri=True, timeout=60, check_same_thread=False)

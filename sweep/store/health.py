"""What can be found out about a store without changing it."""

import os
import sqlite3
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import URL, Connection, select, text
from sqlalchemy.exc import DBAPIError

from sweep.errors import StoreError, StudyNotFound
from sweep.store import schema
from sweep.store.databases import PostgreSQL, connect
from sweep.store.location import Location
from sweep.store.migrations import check

DURABLE = ("fsync", "full_page_writes")
"""The settings of a server without which a power cut may lose what was committed."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a store is; what is None was not found out, or does not apply."""

    exists: bool
    folder: Path | None
    """Where its files are, or would be: of a SQLite store."""
    studies: int | None = None
    unreadable: str | None = None
    unwritable: str | None = None
    journal: str | None = None
    """The mode of a SQLite file's journal on this file system."""
    skew: float | None = None
    """Seconds by which the database's clock is ahead of this machine's."""
    server: str | None = None
    """The version of a PostgreSQL server."""
    durable: bool | None = None
    """Whether a PostgreSQL server writes what it commits to disk."""


def examine(place: Location) -> Health:
    """How the store at a place is; nothing is created there, and nothing migrated."""
    return (
        _file(place, place.place) if isinstance(place.place, Path) else _server(place, place.place)
    )


def _file(place: Location, path: Path) -> Health:
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    found = Health(exists=path.exists(), folder=folder)
    if not folder.is_dir():
        return replace(found, unwritable=f"{folder} is a file")
    if found.exists:
        try:
            found = replace(found, studies=_studies(place))
        except (StoreError, StudyNotFound) as error:
            return replace(found, unreadable=str(error))
        if not os.access(path, os.W_OK):
            return replace(found, unwritable="the file may not be written by this user")
    try:
        return replace(found, journal=_journal(folder))
    except (OSError, sqlite3.Error) as error:
        return replace(found, unwritable=str(error))


def _journal(folder: Path) -> str:
    """The mode of the journal of a new file in this folder, when a store's is asked for."""
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".sweep-doctor-") as scratch,
        closing(sqlite3.connect(Path(scratch) / "try.db", isolation_level=None)) as connection,
    ):
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("CREATE TABLE try (x)")
        return str(mode)


def _server(place: Location, url: URL) -> Health:
    database = PostgreSQL(url)
    try:
        with database.reading() as connection:
            found = Health(
                exists=True,
                folder=None,
                skew=_skew(connection),
                server=_setting(connection, "server_version"),
                durable=all(_setting(connection, name) != "off" for name in DURABLE),
                unwritable=_refusal(connection),
            )
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        return Health(exists=False, folder=None, unreadable=f"cannot read {place}: {reason}")
    finally:
        database.close()
    try:
        return replace(found, studies=_studies(place))
    except StudyNotFound:
        return replace(found, exists=False)
    except StoreError as error:
        return replace(found, unreadable=str(error))


def _studies(place: Location) -> int:
    """How many studies there are; StoreError or StudyNotFound if that cannot be read."""
    database = connect(place, read_only=True)
    try:
        check(database, place)
        with database.reading() as connection:
            return len(connection.execute(select(schema.studies.c.id)).all())
    except DBAPIError as error:
        raise StoreError(f"cannot read {place}: {' '.join(str(error.orig).split())}") from None
    finally:
        database.close()


def _skew(connection: Connection) -> float:
    """The difference of the clocks, by the middle of the time that the answer took."""
    sent, began = datetime.now(UTC), time.perf_counter()
    there = connection.scalar(text("SELECT clock_timestamp()"))
    took = time.perf_counter() - began
    return float((there - sent).total_seconds() - took / 2)


def _setting(connection: Connection, name: str) -> str:
    return str(connection.scalar(text(f"SHOW {name}")))


def _refusal(connection: Connection) -> str | None:
    """Why this user cannot write to the database."""
    if connection.scalar(text("SELECT pg_is_in_recovery()")):
        return "the server is a standby, which only reads"
    allowed = "SELECT has_schema_privilege(current_schema(), 'CREATE')"
    if not connection.scalar(text(allowed)):
        return (
            "this user may not create tables in its schema: GRANT CREATE ON SCHEMA public TO USER"
        )
    return None

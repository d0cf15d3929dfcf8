"""A study's record as a folder of Parquet files, one for each table, and back.

Each file says in its metadata, as JSON under `sweep`, of which study and table it is, when the
study was created, which version of the schema it has and which release wrote it. The columns are
those of the schema: times in UTC, JSON as text. `SHA256SUMS` has the digests of all files, as the
program `sha256sum` reads them.
"""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
from pyarrow import parquet
from sqlalchemy import JSON, BigInteger, Boolean, Connection, Double, Integer, Table, select

from sweep.errors import StoreError, UsageError, first_line
from sweep.store import schema
from sweep.store.location import HEAD, MODELS

SUMS = "SHA256SUMS"

_BLOCK = 10_000  # rows that are written together

_TYPES: tuple[tuple[Any, pa.DataType], ...] = (
    (schema.UTCDateTime, pa.timestamp("us", "UTC")),
    ((schema.Real, Double), pa.float64()),
    ((Integer, BigInteger), pa.int64()),
    (Boolean, pa.bool_()),
)
"""How columns are kept; all others as text."""


@contextmanager
def replacing(folder: Path, mine: Mapping[str, Any]) -> Iterator[Path]:
    """A new folder beside this one, which takes its place at the end, whole or not at all.

    UsageError if there is anything but an earlier export of the study, whose label is `mine`, or if
    it cannot be written.
    """
    folder = folder.expanduser().resolve()
    _check_replaceable(folder, mine)
    part, old = (folder.with_name(f".{folder.name}.{uuid4().hex[:8]}") for _ in range(2))
    try:
        part.mkdir(parents=True)
        yield part
        if folder.exists():
            folder.rename(old)
        try:
            part.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
    except (OSError, pa.ArrowException) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot write {folder}: {reason}; give another folder") from error
    finally:
        for left in (part, old):
            shutil.rmtree(left, ignore_errors=True)


def _check_replaceable(folder: Path, mine: Mapping[str, Any]) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise UsageError(f"{folder} is a file; give a folder that is not there yet")
    there = {str(f.relative_to(folder)) for f in folder.rglob("*") if not f.is_dir()}
    ours, kept = set[str](), dict[str, Any]()
    with suppress(StoreError):
        if there:
            kept = _about(folder / HEAD)
            ours = {SUMS, *_sums(folder)}
    if others := sorted(there - ours):
        raise UsageError(
            f"{folder} holds what is no export of a study ({others[0]}); give a folder that is not "
            "there yet"
        )
    # Earlier releases did not write when a study was created.
    if any(kept.get(key, mine[key]) != mine[key] for key in ("study", "created")):
        since = f" of {kept['created']}" if "created" in kept else ""
        raise UsageError(
            f"{folder} holds the export of another study, {kept['study']!r}{since}; give another "
            "folder, or delete this one first"
        )


def label(study: Mapping[str, Any]) -> dict[str, Any]:
    """What the files of a study's export say of it."""
    return {
        "study": study["name"],
        "created": study["datetime_created"].isoformat(),
        "schema": schema.VERSION,
        "release": version("sweep"),
    }


def write(connection: Connection, study: Mapping[str, Any], models: Path, folder: Path) -> None:
    """The rows of a study in every table of the schema, as they are in one transaction, and its
    model files, into an empty folder."""
    said = label(study)
    for table in schema.metadata.sorted_tables:
        if table is not schema.schema_version:
            mine = schema.studies.c.id if table is schema.studies else table.c.study
            _write_table(connection, table, mine == study["id"], folder, said)
    (folder / MODELS).mkdir()
    for model in (*models.glob("trial-*.npz"), *models.glob("confirmation-*/trial-*.npz")):
        copy = folder / MODELS / model.relative_to(models)
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(model, copy)
    files = sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file())
    lines = [f"{_digest(folder / file)}  {file}\n" for file in files]
    (folder / SUMS).write_text("".join(lines))


def _write_table(
    connection: Connection, table: Table, mine: Any, folder: Path, said: dict[str, Any]
) -> None:
    fields = [pa.field(column.name, _type(column.type)) for column in table.c]
    key = [column.name for column in table.primary_key]
    kept = pa.schema(fields, {"sweep": json.dumps({**said, "table": table.name, "key": key})})
    texts = [isinstance(column.type, JSON) for column in table.c]
    query = select(table).where(mine).order_by(*table.primary_key)
    streaming = connection.execution_options(yield_per=_BLOCK)
    file = folder / f"{table.name}.parquet"
    with parquet.ParquetWriter(file, kept, compression="zstd") as writer:
        for rows in streaming.execute(query).partitions():
            columns = [
                pa.array(map(_text, values) if is_json else values, field.type)
                for values, is_json, field in zip(zip(*rows, strict=True), texts, kept, strict=True)
            ]
            writer.write_table(pa.table(columns, schema=kept))


def _type(of: Any) -> pa.DataType:
    return next((kept for kinds, kept in _TYPES if isinstance(of, kinds)), pa.string())


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value, allow_nan=False)


def read(folder: Path, memory: sqlite3.Connection) -> None:
    """Fill an empty database with the record that is in a folder; StoreError if it is damaged, or
    of a later release. One of an earlier release has that one's tables, to be migrated."""
    about = _about(folder / HEAD)
    if about["schema"] > schema.VERSION:
        raise StoreError(
            f"the folder {folder} was written by a later release (schema {about['schema']}, this "
            f"one knows {schema.VERSION}); upgrade with pip install --upgrade sweep"
        )
    sums = _sums(folder)
    for name, digest in sums.items():
        file = folder / name
        if not file.is_file():
            raise _damaged(folder, f"{name} is missing")
        if _digest(file) != digest:
            raise _damaged(folder, f"{name} is not what was written")
    for name in sums:
        if name.endswith(".parquet"):
            _fill(folder / name, memory)
    memory.execute("CREATE TABLE schema_version (version INTEGER NOT NULL PRIMARY KEY)")
    memory.execute("INSERT INTO schema_version VALUES (?)", (about["schema"],))


def _fill(file: Path, memory: sqlite3.Connection) -> None:
    about = _about(file)
    rows = parquet.read_table(file)
    # Without types, so that every value stays as it is.
    table, names, key = map(_quoted, ([about["table"]], rows.column_names, about["key"]))
    memory.execute(f"CREATE TABLE {table} ({names}, PRIMARY KEY ({key})) WITHOUT ROWID")
    insert = f"INSERT INTO {table} VALUES ({', '.join('?' * rows.num_columns)})"
    memory.execute("BEGIN")
    for block in rows.to_batches(max_chunksize=_BLOCK):
        columns = (_plain(column).to_pylist() for column in block.columns)
        memory.executemany(insert, zip(*columns, strict=True))
    memory.execute("COMMIT")


def _quoted(names: Iterable[str]) -> str:
    return ", ".join('"{}"'.format(name.replace('"', '""')) for name in names)


def _plain(column: pa.Array) -> pa.Array:
    """Times as SQLite keeps them."""
    if not pa.types.is_timestamp(column.type):
        return column
    return column.cast(pa.timestamp("us")).cast(pa.string())


def _about(file: Path) -> dict[str, Any]:
    """What a file says of itself; StoreError if it is none that `write` wrote."""
    try:
        metadata = parquet.read_metadata(file).metadata or {}
        return dict(json.loads(metadata[b"sweep"]))
    except KeyError as error:
        raise _damaged(file.parent, f"{file.name} was not written by sweep") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise _damaged(file.parent, f"{file.name}: {first_line(error)}") from error


def _sums(folder: Path) -> dict[str, str]:
    """The digest of each file, by its name."""
    try:
        lines = (folder / SUMS).read_text().splitlines()
        return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError) as error:
        raise _damaged(folder, f"{SUMS} cannot be read") from error


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _damaged(folder: Path, what: str) -> StoreError:
    return StoreError(
        f"the folder {folder} is damaged: {what}; write it again from the store (study.to_parquet, "
        "sweep export)"
    )

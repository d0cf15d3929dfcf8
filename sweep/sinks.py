"""Where tables are written a block at a time: CSV or Parquet, whole or not at all."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TextIO

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from sweep.errors import UsageError
from sweep.tables import guarded

Write = Callable[[pd.DataFrame], None]


@contextmanager
def sink(output: Path | None) -> Iterator[Write]:
    """A function that writes tables one below the other, as CSV to stdout or to a file by its
    ending, which is there when all are written; UsageError if it cannot be."""
    if output is None:
        yield _csv(sys.stdout)
        return
    if output.suffix not in _SINKS:
        raise UsageError(f"cannot write {output}: its name must end in {' or '.join(_SINKS)}")
    part = output.with_name(f".{output.name}.part")
    try:
        with _SINKS[output.suffix](part) as write:
            yield write
        part.replace(output)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)


def _csv(file: TextIO) -> Write:
    begun = False

    def write(table: pd.DataFrame) -> None:
        nonlocal begun
        guarded(table).to_csv(file, index=False, header=not begun)
        begun = True

    return write


@contextmanager
def _csv_file(path: Path) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        yield _csv(file)


@contextmanager
def _parquet_file(path: Path) -> Iterator[Write]:
    writer: parquet.ParquetWriter | None = None

    def write(table: pd.DataFrame) -> None:
        nonlocal writer
        try:
            # The types are those of the first block: gaps make other numbers of whole ones.
            schema = None if writer is None else writer.schema
            rows = pa.Table.from_pandas(table, schema, preserve_index=False)
        except pa.ArrowException as error:
            raise UsageError(
                f"a column has values of several types ({str(error).splitlines()[0]}): write .csv"
            ) from None
        if writer is None:
            writer = parquet.ParquetWriter(path, rows.schema)
        writer.write_table(rows)

    try:
        yield write
    finally:
        if writer is not None:
            writer.close()


_SINKS: dict[str, Callable[[Path], AbstractContextManager[Write]]] = {
    ".csv": _csv_file,
    ".parquet": _parquet_file,
}

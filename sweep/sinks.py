"""Where tables are written a block at a time: CSV or Parquet, whole or not at all."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TextIO

import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from sweep.errors import UsageError, first_line

Write = Callable[[pd.DataFrame], None]

FORMULA = r"^\s*[=+\-@\t\r]"
"""How a cell begins that a spreadsheet would compute, unless it is a number."""


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


def check_apart(output: Path, read: Mapping[str, str]) -> None:
    """UsageError if the output is one of the files that are read, through whatever link."""
    for what, file in read.items():
        if output.exists() and os.path.exists(file) and output.samefile(file):
            raise UsageError(f"{output}: is {what}; give another file")


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
                f"a column has values of several types ({first_line(error)}): write .csv"
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

ENDINGS = tuple(_SINKS)
"""Of the names of files that can be written."""


def guarded(table: pd.DataFrame) -> pd.DataFrame:
    """The same for a CSV file that a spreadsheet may open: texts that begin as a formula does have
    an apostrophe before them."""
    texts = [name for name in table if pd.api.types.is_string_dtype(table[name].dtype)]
    columns = {name: table[name].map(_guarded, na_action="ignore") for name in texts}
    return table.assign(**columns).rename(columns=_guarded)


def _guarded(cell: Any) -> Any:
    if not isinstance(cell, str) or not re.match(FORMULA, cell):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell

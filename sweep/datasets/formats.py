"""The kinds of files that tables come in, and how each is read."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

import pandas as pd
import pyarrow as pa
from pyarrow import ipc, parquet

from sweep.datasets import arrays, delimited, typed
from sweep.datasets.delimited import Dialect
from sweep.datasets.fetch import endings, name_of
from sweep.datasets.problems import DataProblem, shown
from sweep.datasets.typed import Mixed
from sweep.errors import first_line

Tolerance = Callable[[str], float | None]
"""For a column, the share of numbers from which on other texts in it are mistakes; see
`typed.series`."""
ROWS = 65_536
"""Of a block."""


class MixedColumn(Exception):
    """A text among the numbers of a column."""

    def __init__(self, column: str, mixed: Mixed) -> None:
        super().__init__(column)
        self.column = column
        self.mixed = mixed


class Format(NamedTuple):
    """How files of one ending are read: at once, in blocks of rows, and in how much memory."""

    whole: Callable[[BinaryIO, str, Dialect, Tolerance], pd.DataFrame]
    blocks: Callable[[BinaryIO, str, Dialect, Tolerance], Iterator[pd.DataFrame]]
    needed: Callable[[BinaryIO, int], float]
    """Bytes of memory for a file of so many, unpacked; an estimate."""


def format_of(source: str) -> Format:
    """How a file is read, by its ending; DataProblem if there is no such format."""
    name, found = name_of(source), endings(source)
    ending = found[-2] if found[-1:] == (".gz",) and len(found) > 1 else (found or ("",))[-1]
    if found[-1:] == (".gz",) and FORMATS.get(ending) not in (TEXT, None):
        raise DataProblem(f"{name}: only text files are read from .gz; unpack it")
    if ending in FORMATS:
        return FORMATS[ending]
    if ending in OTHERS:
        raise DataProblem(f"{name} is {OTHERS[ending]}, which is not read here; save it as CSV")
    told = f"the ending {shown(ending)} says" if ending else "a name without an ending says"
    raise DataProblem(
        f"{name}: {told} of no format that is read here; name a file {', '.join(FORMATS)}, "
        "or .csv.gz"
    )


def frame_of(
    name: str,
    names: Sequence[str],
    table: pa.Table,
    decimal: str = ".",
    tolerance: Tolerance = lambda column: typed.MOSTLY,
) -> pd.DataFrame:
    """An Arrow table as pandas has it; MixedColumn or DataProblem for what it cannot have."""
    check_names(name, names)
    columns = {}
    for column in names:
        try:
            columns[column] = typed.series(table.column(0), decimal, tolerance(column))
        except Mixed as mixed:
            raise MixedColumn(column, mixed) from None
        except TypeError as error:
            raise DataProblem(
                f"{name}: column {shown(column)} holds {error}; numbers, texts, truths and times "
                "can be learned from: write the file without it"
            ) from None
        table = table.remove_column(0)  # and its memory with it
    return pd.DataFrame(columns, copy=False)


def check_names(name: str, names: Sequence[str]) -> None:
    """DataProblem if two columns have one name."""
    if len(set(names)) < len(names):
        twice = next(column for i, column in enumerate(names) if column in names[:i])
        places = ", ".join(str(i) for i, column in enumerate(names, 1) if column == twice)
        raise DataProblem(
            f"{name}: the name {shown(twice)} is that of several columns ({places}); give each "
            "its own"
        )


def _text(file: BinaryIO, name: str, dialect: Dialect, tolerance: Tolerance) -> pd.DataFrame:
    names, table = delimited.whole(file, name, dialect)
    return frame_of(name, names, table, dialect.decimal, tolerance)


def _text_blocks(
    file: BinaryIO, name: str, dialect: Dialect, tolerance: Tolerance
) -> Iterator[pd.DataFrame]:
    for names, table in delimited.blocks(file, name, dialect):
        yield frame_of(name, names, table, dialect.decimal, tolerance)


@contextmanager
def _sound(name: str, kind: str) -> Iterator[None]:
    try:
        yield
    except MemoryError:
        raise DataProblem(
            f"{name} is damaged, or needs more memory than this machine has; write it again, or "
            "use a larger machine"
        ) from None
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        if isinstance(error, DataProblem):
            raise
        reason = first_line(error)[:120]
        raise DataProblem(
            f"{name} is damaged, or no {kind} file: {reason}; write it again"
        ) from None


def _parquet(file: BinaryIO, name: str, dialect: Dialect, tolerance: Tolerance) -> pd.DataFrame:
    with _sound(name, "Parquet"):
        table = parquet.ParquetFile(file).read()
        table.validate(full=True)
        return frame_of(name, table.column_names, table, ".", tolerance)


def _parquet_blocks(
    file: BinaryIO, name: str, dialect: Dialect, tolerance: Tolerance
) -> Iterator[pd.DataFrame]:
    with _sound(name, "Parquet"):
        for batch in parquet.ParquetFile(file).iter_batches(ROWS):
            table = pa.Table.from_batches([batch])
            table.validate(full=True)
            yield frame_of(name, table.column_names, table, ".", tolerance)


def _parquet_needed(file: BinaryIO, size: int) -> float:
    try:
        metadata = parquet.ParquetFile(file).metadata
        groups = (metadata.row_group(i) for i in range(metadata.num_row_groups))
        unpacked = sum(group.total_byte_size for group in groups)
        widths = [_width(kind) for kind in metadata.schema.to_arrow_schema().types]
        return float(1.3 * max(unpacked, metadata.num_rows * sum(widths)))
    except (pa.ArrowException, OSError, ValueError):
        return 0.0  # it is damaged, as reading will tell


def _width(kind: pa.DataType) -> float:
    """Bytes of a value, at least."""
    try:
        return float(kind.bit_width) / 8
    except ValueError:
        return 4.0


def _arrow(file: BinaryIO, name: str, dialect: Dialect, tolerance: Tolerance) -> pd.DataFrame:
    with _sound(name, "Arrow"):
        table = pa.Table.from_batches(list(_batches(file)))
        table.validate(full=True)
        return frame_of(name, table.column_names, table, ".", tolerance)


def _arrow_blocks(
    file: BinaryIO, name: str, dialect: Dialect, tolerance: Tolerance
) -> Iterator[pd.DataFrame]:
    with _sound(name, "Arrow"):
        for batch in _batches(file):
            table = pa.Table.from_batches([batch])
            table.validate(full=True)
            yield frame_of(name, table.column_names, table, ".", tolerance)


def _batches(file: BinaryIO) -> Iterator[pa.RecordBatch]:
    """Of a file or of a stream, the two forms of Arrow's own format."""
    file.seek(0)
    is_file = file.read(6) == b"ARROW1"
    file.seek(0)
    if is_file:
        reader = ipc.open_file(file)
        yield from (reader.get_batch(i) for i in range(reader.num_record_batches))
    else:
        yield from ipc.open_stream(file)


def _npz(file: BinaryIO, name: str, dialect: Dialect, tolerance: Tolerance) -> pd.DataFrame:
    frame = arrays.whole(file, name)
    check_names(name, list(frame.columns))
    return frame


def _npz_blocks(
    file: BinaryIO, name: str, dialect: Dialect, tolerance: Tolerance
) -> Iterator[pd.DataFrame]:
    frame = _npz(file, name, dialect, tolerance)
    yield from (frame.iloc[row : row + ROWS] for row in range(0, len(frame), ROWS))


# Of a text file: the texts, where each begins, and the numbers made of them.
TEXT = Format(_text, _text_blocks, lambda file, size: 2.5 * size)
PARQUET = Format(_parquet, _parquet_blocks, _parquet_needed)
ARROW = Format(_arrow, _arrow_blocks, lambda file, size: 1.5 * size)
NPZ = Format(_npz, _npz_blocks, lambda file, size: 1.1 * max(size, arrays.size(file)))

FORMATS = {
    ".csv": TEXT,
    ".tsv": TEXT,
    ".txt": TEXT,
    ".parquet": PARQUET,
    ".feather": ARROW,
    ".arrow": ARROW,
    ".npz": NPZ,
}
OTHERS = {
    ".xlsx": "an Excel workbook",
    ".xls": "an Excel workbook",
    ".ods": "a spreadsheet",
    ".json": "JSON",
    ".jsonl": "JSON",
    ".ndjson": "JSON",
    ".npy": "a single array",
    ".pkl": "a pickle",
    ".pickle": "a pickle",
    ".h5": "an HDF5 file",
    ".zip": "a zip archive",
}
"""What people try as well."""

"""CSV and its kin as tables of texts, cut at the delimiter that is found; no type is guessed here.

A row is what RFC 4180 calls one: quoted values may hold delimiters and line ends. Empty lines are
no rows.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import pyarrow as pa
from pyarrow import csv as arrow

from sweep.datasets.problems import DataProblem, shown
from sweep.errors import first_line
from sweep.words import plural

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
BLOCK = 1 << 24
"""Bytes parsed at a time, which a row must fit into."""
SAMPLE = 1 << 18
"""Bytes that the delimiter is found from."""


class Dialect(NamedTuple):
    """How a text file is written; no delimiter is one to be found."""

    delimiter: str | None = None
    charset: str = "utf-8"
    decimal: str = "."


class Layout(NamedTuple):
    """The header of a text file, and what parts its values."""

    names: tuple[str, ...]
    delimiter: str


def layout(file: BinaryIO, name: str, dialect: Dialect) -> Layout:
    """The columns of a text file; DataProblem if it has none, or fewer than two."""
    text = _sample(file, name, dialect.charset)
    if not text.strip():
        raise DataProblem(f"{name} is empty: a header line and rows of values are needed")
    possible = [d for d in DELIMITERS if d != dialect.decimal]
    found = max(possible, key=lambda delimiter: _evenness(text, delimiter))
    delimiter = dialect.delimiter or found
    header = next(_rows(text, delimiter), [])
    if len(header) < 2:
        raise DataProblem(
            f"{name} has one column only, {shown(header[0])}",
            advice=": " + _other(text, dialect),
        )
    names = tuple(cell.strip() or f"unnamed_{i}" for i, cell in enumerate(header, 1))
    return Layout(names, delimiter)


def whole(file: BinaryIO, name: str, dialect: Dialect) -> tuple[tuple[str, ...], pa.Table]:
    """The names of all columns, and their texts."""
    found = layout(file, name, dialect)
    file.seek(0)
    try:
        table = arrow.read_csv(file, *_options(found, dialect.charset))
    except (pa.ArrowException, UnicodeError, OverflowError) as error:
        raise _problem(file, name, dialect, found, error) from None
    return found.names, table.slice(1)


def blocks(
    file: BinaryIO, name: str, dialect: Dialect
) -> Iterator[tuple[tuple[str, ...], pa.Table]]:
    """The same in blocks of rows, of which one at a time is in memory."""
    found = layout(file, name, dialect)
    file.seek(0)
    try:
        for number, batch in enumerate(arrow.open_csv(file, *_options(found, dialect.charset))):
            yield found.names, pa.Table.from_batches([batch]).slice(0 if number else 1)
    except (pa.ArrowException, UnicodeError, OverflowError) as error:
        raise _problem(file, name, dialect, found, error) from None


def line_of(file: BinaryIO, dialect: Dialect, delimiter: str, row: int) -> int | None:
    """The line in which a row begins, both from 1, the header being row 1; None if unknown."""
    file.seek(0)
    text = io.TextIOWrapper(file, _codec(dialect.charset), errors="replace", newline="")
    line = 1
    try:
        reader = csv.reader(text, delimiter=delimiter)
        for cells in reader:
            row -= bool(cells)
            if not row:
                return line
            line = reader.line_num + 1
    except csv.Error:
        pass
    finally:
        text.detach()  # the file stays open
    return None


def _codec(charset: str) -> str:
    # A byte order mark is no part of the first name.
    return "utf-8-sig" if codecs.lookup(charset).name == "utf-8" else charset


def _sample(file: BinaryIO, name: str, charset: str) -> str:
    """The first lines; DataProblem if they are in another charset."""
    file.seek(0)
    data = file.read(SAMPLE)
    try:
        text = codecs.getincrementaldecoder(_codec(charset))().decode(data, len(data) < SAMPLE)
    except UnicodeError:
        raise _charset_problem(file, name, charset) from None
    return str(text)


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    try:
        yield from filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error:  # a value beyond csv's limit, which no table of numbers has
        return


def _evenness(text: str, delimiter: str) -> tuple[float, int]:
    """The share of the rows that are as wide as the header, and how wide."""
    widths = [len(cells) for _, cells in zip(range(100), _rows(text, delimiter), strict=False)]
    if not widths or widths[0] < 2:
        return 0.0, 0
    return sum(width == widths[0] for width in widths) / len(widths), widths[0]


def _other(text: str, dialect: Dialect) -> str:
    """What to do about a single column."""
    first = next(iter(text.split("\n")))
    counts = {d: first.count(d) for d in DELIMITERS if d != dialect.delimiter}
    best = max(counts, key=lambda delimiter: counts[delimiter])
    if counts[best]:
        return (
            f"but {DELIMITERS[best]} are in its first line; if they part the columns, let "
            f"data.delimiter be {_toml(best)} ({_setting('delimiter', best)})"
        )
    return (
        "a target and a column to predict it by are needed; if another character parts the "
        "columns than a comma, semicolon, tab or bar, name it as data.delimiter "
        f"({_setting('delimiter', '^')} is for ^)"
    )


def _setting(key: str, value: str) -> str:
    """What to type for another value of a key of [data]."""
    return f"--set 'data.{key}={_toml(value)}'"


def _toml(text: str) -> str:
    return '"\\t"' if text == "\t" else f'"{text}"'


def _options(
    found: Layout, charset: str, *, threads: bool = True
) -> tuple[arrow.ReadOptions, arrow.ParseOptions, arrow.ConvertOptions]:
    # The header is read as a row: Arrow would take the names for keys, and two may be alike.
    texts = {f"f{i}": pa.string() for i in range(len(found.names))}
    return (
        arrow.ReadOptions(
            encoding="utf8" if codecs.lookup(charset).name == "utf-8" else charset,
            block_size=BLOCK,
            use_threads=threads,
            autogenerate_column_names=True,
        ),
        arrow.ParseOptions(delimiter=found.delimiter, newlines_in_values=True),
        arrow.ConvertOptions(column_types=texts, strings_can_be_null=False),
    )


def _problem(
    file: BinaryIO, name: str, dialect: Dialect, found: Layout, error: Exception
) -> DataProblem:
    """What Arrow could not read, in our words."""
    if isinstance(error, UnicodeError) or "UTF8" in str(error):
        return _charset_problem(file, name, dialect.charset)
    file.seek(0)
    try:  # again with one thread, which counts rows
        arrow.read_csv(file, *_options(found, dialect.charset, threads=False))
    except (pa.ArrowException, UnicodeError, OverflowError) as counted:
        error = counted
    ragged = re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", str(error))
    if ragged:
        row, expected, got = map(int, ragged.groups())
        line = line_of(file, dialect, found.delimiter, row)
        where = f"line {line}" if line else f"row {row}"
        return DataProblem(
            f"{name}, {where}: {plural(got, 'value')} where the header has {expected} "
            "columns; is a value with "
            f"{DELIMITERS.get(found.delimiter, shown(found.delimiter))} in it not in quotes, or a "
            "quote not closed?"
        )
    if "straddling" in str(error):
        return DataProblem(f"{name}: a row is longer than {BLOCK >> 20} MB; is a quote not closed?")
    return DataProblem(f"{name} cannot be read as CSV: {shown(first_line(error))}")


CHARSETS = ("utf-8", "utf-16", "cp1252", "latin-1")
"""Those that are told to fit, the first that does."""


def _charset_problem(file: BinaryIO, name: str, charset: str) -> DataProblem:
    fits = next(c for c in CHARSETS if c != charset and _undecodable(file, c) is None)
    line, value = _undecodable(file, charset) or (1, 0)
    return DataProblem(
        f"{name}, line {line}: byte {value:#04x} is not {charset} text",
        {"charset": fits},
        f"; {fits} fits: save the file as UTF-8, or let data.charset be {_toml(fits)} "
        f"({_setting('charset', fits)})",
    )


def _undecodable(file: BinaryIO, charset: str) -> tuple[int, int] | None:
    """The line and the value of the first byte that the charset does not have."""
    if charset == "utf-16":
        file.seek(0)
        if file.read(2) not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return 1, 0  # almost any bytes are UTF-16 to the codec
    file.seek(0)
    decoder, line = codecs.getincrementaldecoder(_codec(charset))(), 1
    while True:
        data = file.read(SAMPLE)
        try:
            text = decoder.decode(data, final=not data)
        except UnicodeError as error:
            start = getattr(error, "start", 0)
            kept = getattr(error, "object", data)
            return line + bytes(kept[:start]).count(b"\n"), kept[start] if len(kept) > start else 0
        if not data:
            return None
        line += text.count("\n")

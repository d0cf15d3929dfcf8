"""A study file (TOML) becomes a StudySpec, or an error that names the file and each key to mend."""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from sweep.dataspec import SOURCES, is_url
from sweep.entries import Range, Table, did_you_mean
from sweep.errors import StudyFileError, UsageError
from sweep.spacespec import SpaceSpec
from sweep.spec import Bounds, DataSpec, SearchSpec, TrainSpec
from sweep.spec import StudySpec as StudySpec

NOTHING: Mapping[str, str] = MappingProxyType({})

MOST = 1_000_000
"""Bytes of a study file; something else was given if there are more."""

DATA = (".csv", ".tsv", ".parquet", ".npz", ".npy", ".feather", ".arrow", ".xlsx")
"""Endings of files that hold data."""


def load(path: str | Path, changes: Sequence[str] = ()) -> StudySpec:
    """The spec in a study file, or in a folder's `study.toml`; StudyFileError if there is none.

    `changes` are `KEY=VALUE` for keys of the file, such as `search.trials=50`.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "study.toml"
    raw = {"name": path.resolve().parent.name, **_parse(path)}
    raw = _all_changed(raw, changes)
    spec = _spec(raw, f"{path}{' with --set' if changes else ''}")
    source = spec.data.source
    if source in SOURCES or is_url(source):
        return spec
    # The file may be run from any folder, and its study resumed from another.
    found = os.path.normpath(path.resolve().parent / Path(source).expanduser())
    return spec.model_copy(update={"data": spec.data.model_copy(update={"source": found})})


def data_with(data: DataSpec, changes: Sequence[str]) -> DataSpec:
    """A `[data]` with other values for its keys, as `load` takes them; UsageError if it has none
    such."""
    raw: dict[str, Any] = {"data": data.model_dump(mode="json", exclude_unset=True)}
    for text in changes:
        raw = _changed(raw, text)
    if other := sorted(raw.keys() - {"data"}):
        raise UsageError(
            f"--set {other[0]}: keys of [data] are taken here, such as data.decimal; change the "
            "others in the study file, or with --set when it is run"
        )
    try:
        return DataSpec.model_validate(raw["data"])
    except ValidationError as error:
        found = [dict(e) | {"loc": ("data", *e["loc"])} for e in error.errors(include_url=False)]
        raise UsageError("; ".join(line for e in found for line in _lines(e))) from None


def to_json(spec: StudySpec) -> dict[str, Any]:
    """The spec as JSON values, with every default filled in: the record that the store keeps."""
    return spec.model_dump(mode="json")


def from_json(record: Mapping[str, Any]) -> StudySpec:
    """The spec that `to_json` wrote; one that names no edition is of the first."""
    return _spec({"edition": 1, **record}, "the stored spec")


def with_name(spec: StudySpec, name: str) -> StudySpec:
    """The same question under another name."""
    record = to_json(spec) | {"name": name}
    if "edition" not in spec.model_fields_set:  # a study in the store has one of its own
        del record["edition"]
    return _spec(record, "the study file under another name")


def settings(texts: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE` as a study file would have them; UsageError if it would not."""
    try:
        return tomllib.loads("\n".join(texts))
    except ValueError as error:
        raise UsageError(
            f"cannot read {' '.join(texts)}: {error}; values are written as in a study file: "
            "learning_rate=0.01 'optimizer=\"adam\"'"
        ) from None


def to_toml(spec: StudySpec, found: Mapping[str, str] = NOTHING) -> str:
    """The spec as a study file with every default written out; of a key without a value a comment
    says what was `found` for it, by its name with the table's, such as data.split, or none."""
    record = to_json(spec)
    keys = {key: value for key, value in record.items() if not isinstance(value, Mapping)}
    lines = _assignments(keys)
    for name, table in record.items():
        if isinstance(table, Mapping):
            of_table = {key: found.get(f"{name}.{key}", "none") for key in table}
            lines += ["", f"[{name}]", *_assignments(table, of_table)]
    return "\n".join(lines) + "\n"


def _assignments(table: Mapping[str, Any], found: Mapping[str, str] = NOTHING) -> list[str]:
    return [
        f"# {_bare(key)}: {found.get(key, 'none')}"
        if value is None
        else f"{_bare(key)} = {_written(value)}"
        for key, value in table.items()
    ]


def _all_changed(raw: dict[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """A file's values with all that `--set` gives; UsageError for all that cannot be read."""
    problems = []
    for text in changes:
        try:
            raw = _changed(raw, text)
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise UsageError("\n  ".join(problems))
    return raw


def _changed(raw: dict[str, Any], text: str) -> dict[str, Any]:
    """A file's values with another one for one of its keys, which `--set` names."""
    key, _, value = text.partition("=")
    try:
        path = _path(tomllib.loads(f"{key} = 0"))
        (new,) = tomllib.loads(f"value = {value}").values()
    except (ValueError, RecursionError):
        example = "--set search.trials=50, --set 'space.optimizer=\"adam\"'"
        if re.fullmatch(r"[\w.]+=[\w.:/-]+", text):  # a word without its quotes
            example = f"--set '{key}=\"{value}\"'"
        raise UsageError(
            f"cannot read --set {text}: it takes KEY=VALUE, the value as in a study file: {example}"
        ) from None
    return dict(_placed(raw, path, new))


def _path(nested: Any) -> list[str]:
    """The keys that lead to the one value of nested tables."""
    path = []
    while isinstance(nested, dict):
        ((key, nested),) = nested.items()
        path.append(key)
    return path


def _placed(table: Any, path: Sequence[str], value: Any) -> Any:
    """A table with a value at a path; what is not a table on the way becomes one."""
    if not path:
        return value
    known = dict(table) if isinstance(table, dict) else {}
    return known | {path[0]: _placed(known.get(path[0]), path[1:], value)}


def differences(stored: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """One line for each key whose value in the store is not the file's; both as `to_json` gives."""
    old, now = _flat(stored), _flat(new)
    return [
        f"{key}: {old.get(key, 'nothing')} in the store, {now.get(key, 'nothing')} in the file"
        for key in old | now
        if old.get(key) != now.get(key)
    ]


def _flat(record: Mapping[str, Any]) -> dict[str, str]:
    tables = {key: table for key, table in record.items() if isinstance(table, Mapping)}
    return {key: _toml(value) for key, value in record.items() if key not in tables} | {
        f"{name}.{key}": _toml(value)
        for name, table in tables.items()
        for key, value in table.items()
    }


def _parse(path: Path) -> dict[str, Any]:
    if path.name.lower().removesuffix(".gz").endswith(DATA):
        raise StudyFileError(
            f"{path} is a table of data, and no study file: sweep init {path} --target COLUMN "
            "writes a study file for it"
        )
    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
        if len(content) > MOST:
            raise StudyFileError(f"{path} is no study file: it has more than {MOST:,} bytes")
        text = content.decode("utf-8-sig")
    except FileNotFoundError:
        raise StudyFileError(f"{path}: there is no such file{_nearest(path)}") from None
    except OSError as error:
        raise StudyFileError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise StudyFileError(
            f"{path} is not UTF-8 text: byte {error.object[error.start]:#04x} at position "
            f"{error.start}; save it as UTF-8"
        ) from None
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise StudyFileError(f"{path} is not a study file: its lists are nested too deep") from None
    except ValueError as error:  # TOMLDecodeError, and what Python itself refuses (long integers)
        twice = str(error).startswith(("Cannot overwrite", "Cannot declare", "Duplicate"))
        yaml = path.suffix in {".yaml", ".yml"} or re.search(r"^[\w-]+:(\s|$)", text, re.MULTILINE)
        hint = (
            "; it looks like YAML: write `trials = 64` for `trials: 64`, `[search]` for `search:`"
        )
        if twice:
            hint = "; a key or a table is given twice: leave one of them out"
        said = f"{error}{hint if yaml or twice else ''}"
        raise StudyFileError(f"{path} is not valid TOML: {said}") from None


def _nearest(path: Path) -> str:
    folder = next(parent for parent in path.parents if parent.is_dir())
    found = [str(f) for depth in ("", "*/", "*/*/") for f in folder.glob(f"{depth}study.toml")]
    close = difflib.get_close_matches(str(path), sorted(found), n=1, cutoff=0.0)
    return f"; did you mean {close[0]}?" if close else ""


def _spec(raw: Mapping[str, Any], where: str) -> StudySpec:
    try:
        return StudySpec.model_validate(raw)
    except ValidationError as error:
        lines = [line for e in error.errors(include_url=False) for line in _lines(dict(e))]
        raise StudyFileError(f"{where} cannot be used:\n  " + "\n  ".join(lines)) from None


_TABLES: dict[tuple[str | int, ...], type[Table]] = {
    (): StudySpec,
    ("data",): DataSpec,
    ("space",): SpaceSpec,
    ("train",): TrainSpec,
    ("search",): SearchSpec,
}


def _lines(error: dict[str, Any]) -> list[str]:
    """A problem that pydantic found, in our words: key = value: what is allowed."""
    kind, loc, value = error["type"], error["loc"], error["input"]
    if loc[:1] == ("space",):
        loc = loc[:1] + loc[2:]  # without the name that our types give the kind of space
    if kind == "value_error" and not loc:
        return str(error["ctx"]["error"]).splitlines()
    if kind == "extra_forbidden":
        table = Bounds if loc[:2] == ("search", "constraints") else _TABLES.get(loc[:-1], Range)
        known = tuple(table.model_fields)
        homes = [
            path[0] for path, table in _TABLES.items() if path and loc[-1] in table.model_fields
        ]
        hint = f"; it belongs in [{homes[0]}]" if homes else did_you_mean(loc[-1], known)
        text = f"is no key here; allowed: {', '.join(known)}{hint}"
    elif kind == "value_error":
        text = str(error["ctx"]["error"])
    else:
        text = _MESSAGES.get(kind, error["msg"]).format(**error.get("ctx", {}))
    in_space = loc[0] == "space" and len(loc) > 2
    if in_space and loc[2] == "constant" and kind.endswith("_type"):
        text += ", a list of choices, or a range such as { low = 1, high = 3 }"
    parts = loc[:2] + loc[3:] if in_space else loc  # without pydantic's name for the entry's form
    key = "".join(f"[{p}]" if isinstance(p, int) else f".{_bare(p)}" for p in parts)[1:]
    return [f"{key}: {text}" if kind == "missing" else f"{key} = {_toml(value)}: {text}"]


def _bare(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def _toml(value: object) -> str:
    """A value as a study file writes it, shortened."""
    text = _written(value)
    return text if len(text) <= 120 else text[:117] + "..."


def _written(value: object) -> str:
    """A value as a study file writes it."""
    if isinstance(value, Mapping):
        items = (f"{_bare(k)} = {_written(v)}" for k, v in value.items() if v is not None)
        return f"{{ {', '.join(items)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower() if isinstance(value, bool) else str(value)


_MESSAGES = {
    "missing": "is missing",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be a text in quotes",
    "bool_type": "must be true or false",
    "finite_number": "must be a finite number",
    "model_type": "must be a table",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "union_tag_invalid": "must be a name or a list of names",
}

"""The `[data]` table of a study file: which rows, what their columns are, how they are split."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

from sweep.entries import Seed, Table, did_you_mean, one_of

SOURCES = {
    "sklearn:breast_cancer": "classification",
    "sklearn:diabetes": "regression",
    "sklearn:digits": "classification",
    "sklearn:iris": "classification",
    "sklearn:wine": "classification",
}
"""The sets that come with scikit-learn, and their tasks."""
TASKS = ("classification", "multilabel", "regression")
KINDS = ("numeric", "boolean", "categorical", "date", "drop")
"""What a column of a table can be taken for."""
SPLITS = ("stratified", "random", "grouped", "time", "column")
BY_COLUMN = ("grouped", "time", "column")
"""The splits that go by a column, `by`."""
SCALINGS = ("standard", "robust", "quantile", "none")
TARGET_SCALINGS = ("standard", "none")
ENCODINGS = ("one_hot", "ordinal")


def _source(source: str) -> str:
    if source in SOURCES or ("." in source and not source.startswith("sklearn:")):
        return source
    close = did_you_mean(f"sklearn:{source.removeprefix('sklearn:')}", tuple(SOURCES))
    raise ValueError(
        f"must be a file such as rows.csv, a URL, or one of {', '.join(SOURCES)}{close}"
    )


def _listed(names: object) -> object:
    return (names,) if isinstance(names, str) else names


def _delimiter(text: str) -> str:
    if len(text) != 1 or text in '\r\n"':
        raise ValueError('must be one character, such as "," or ";" or "\\t"')
    return text


def _charset(name: str) -> str:
    try:
        "".encode(name)
    except (LookupError, ValueError):
        raise ValueError(
            'is no charset that Python knows; "utf-8", "utf-16", "cp1252" and "latin-1" are the '
            "common ones"
        ) from None
    return name


Name = Annotated[str, Field(min_length=1)]
"""Of a column."""


class DataSpec(Table):
    """The rows of a study.

    `source` is a file, a URL, or one of scikit-learn's sets. `target` names the column to predict,
    or several. `columns` says what columns are where that is not found rightly. `positive` is the
    class of two that f1 and its like are about, the last in sorted order if it is not given. `by`
    is the column of groups, of times, or of the words train, validation and test. The rows that
    are for neither validation nor test are for training.
    """

    source: Annotated[str, AfterValidator(_source)]
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.2
    test: Annotated[float, Field(ge=0, lt=1)] = 0.2
    seed: Seed = 0
    split: Annotated[str, one_of(*SPLITS)] | None = None
    by: Name | None = None
    scaling: Annotated[str, one_of(*SCALINGS)] = "standard"
    target: Annotated[tuple[Name, ...], BeforeValidator(_listed), Field(strict=False)] = ()
    task: Annotated[str, one_of(*TASKS)] | None = None
    positive: str | None = None
    columns: dict[str, Annotated[str, one_of(*KINDS)]] = Field(default_factory=dict)
    weight: Name | None = None
    target_scaling: Annotated[str, one_of(*TARGET_SCALINGS)] | None = None
    encoding: Annotated[str, one_of(*ENCODINGS)] = "one_hot"
    max_categories: Annotated[int, Field(ge=2, le=10_000)] = 32
    delimiter: Annotated[str, AfterValidator(_delimiter)] | None = None
    charset: Annotated[str, AfterValidator(_charset)] = "utf-8"
    decimal: Annotated[str, one_of(".", ",")] = "."

    @property
    def name(self) -> str:
        """The source as it can be shown to anyone."""
        return name_of(self.source)

    @property
    def known_task(self) -> str | None:
        """The task as far as the study file tells it; None if it is found from the target."""
        return SOURCES.get(self.source, self.task)


def is_url(source: str) -> bool:
    """Whether a source is a URL, and no path on this machine."""
    return "://" in source


def name_of(source: str) -> str:
    """A source as it can be shown to anyone: without the passwords and tokens of a URL.

    The path of a file in this folder is shown as it is from here.
    """
    if not is_url(source):
        path = Path(source)
        return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    try:
        parts = urlsplit(source)
        place = f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
        return f"{parts.scheme}://{place}{parts.path}"
    except ValueError:
        return source.partition("://")[0] + "://..."


def problems(data: DataSpec) -> Iterator[str]:
    """What is wrong with keys of [data] together."""
    if data.source in SOURCES:
        for key in ("target", "task", "delimiter"):
            if getattr(data, key):
                yield f"data.{key}: {data.source} has its own; leave it out"
    elif not data.target and not data.source.endswith(".npz"):
        yield 'data.target: is missing; name the column to predict, such as target = "price"'
    if len(set(data.target)) < len(data.target):
        yield "data.target: each column must be named once"
    for key in ("weight", "by"):
        if getattr(data, key) in data.target:
            yield f'data.{key} = "{getattr(data, key)}": is the target; name another column'
    if data.weight is not None and data.weight == data.by:
        yield f'data.weight = "{data.weight}": is data.by as well; one column cannot be both'
    if data.delimiter is not None and data.delimiter == data.decimal:
        yield f'data.delimiter and data.decimal: cannot both be "{data.decimal}"'
    yield from _sharing(data)
    yield from _targets(data)


def _sharing(data: DataSpec) -> Iterator[str]:
    if data.split in BY_COLUMN and data.by is None:
        yield f'data.by: is missing; data.split = "{data.split}" needs {_BY[data.split]}'
    if data.by is not None and data.split not in BY_COLUMN:
        needed = ", ".join(f'"{split}"' for split in BY_COLUMN)
        yield f'data.by = "{data.by}": is for data.split = one of {needed}; give it, or not by'
    if data.validation + data.test >= 1:
        yield (
            f"data.validation = {data.validation} and data.test = {data.test}: "
            "must be below 1 together, to leave rows for training"
        )


def _targets(data: DataSpec) -> Iterator[str]:
    task = data.known_task
    if task == "multilabel" and len(data.target) == 1:
        yield 'data.task = "multilabel": needs several columns in data.target, each of 0 and 1'
    if task == "classification" and len(data.target) > 1:
        yield (
            'data.task = "classification": has one column as target; for several columns of 0 and '
            '1 use "multilabel"'
        )
    if task not in (None, "regression") and data.target_scaling not in (None, "none"):
        yield f'data.target_scaling = "{data.target_scaling}": only targets of a regression have it'
    if task not in (None, "classification") and data.positive is not None:
        yield f'data.positive = "{data.positive}": only one of two classes can be it; leave it out'
    if data.split == "stratified" and task == "regression":
        yield 'data.split = "stratified": is for classes, which a regression lacks; use "random"'


_BY = {
    "grouped": "the column whose groups stay together",
    "time": "the column of times",
    "column": "the column of the words train, validation and test",
}

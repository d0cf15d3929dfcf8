"""What is found in a table before a study of it is written: `sweep init` looks here."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from sweep.datasets import files
from sweep.datasets.columns import Column, describe
from sweep.datasets.fetch import name_of
from sweep.datasets.files import Raw
from sweep.datasets.problems import DataProblem, shown
from sweep.datasets.splits import PARTS
from sweep.datasets.task import Task, find_task
from sweep.datasets.values import Odd
from sweep.dataspec import SOURCES, DataSpec

T = TypeVar("T")

FAR = 10.0
"""Standard deviations from the mean, from which on a value is far from the others."""
LIKELY = re.compile(
    r"target|label|class|y|outcome|response|result|price|cost|income|salary|sales|survived|churn|"
    r"default|diagnosis|species|quality|score|rating|value|.*_(target|label|class)",
    re.IGNORECASE,
)
"""Names that targets often have."""

GROUPS = re.compile(
    r"(customer|client|user|member|account|patient|subject|person|participant|employee|student|"
    r"household|family|group|session|visitor|device|machine|sensor|store|shop|school|hospital|site)"
    r"s?([_ -]?(id|no|nr|num|number|key|code))?|.+[_ -]id",
    re.IGNORECASE,
)
"""Names of columns that say whom or what a row is about."""


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """A table as it was found."""

    data: DataSpec
    """What reads it."""

    rows: int
    columns: tuple[Column, ...]
    """All but the targets and those `apart`."""

    task: Task
    far: tuple[str, ...]
    """The numeric columns of many values, some far from the others."""

    marks: str | None
    """The column that says train, validation or test in every row."""

    marked: Mapping[str, int]
    """The rows that it marks as each."""

    notes: tuple[str, ...]
    """What a user should know of the reading."""

    groups: tuple[str, ...] = ()
    """The columns that are called like those whom rows are about, some in several rows."""

    @property
    def apart(self) -> tuple[str, ...]:
        """The columns that are neither targets nor to predict by."""
        return _apart(self.data, self.marks)


def survey(data: DataSpec) -> Survey:
    """What a table holds, as the target of `data` sees it; DataProblem if it cannot be learned.

    If the charset or the decimal point is another, it is read so; `Survey.data` then says so.
    """
    data, raw, notes = _mended(data, files.read)
    frame, marks = raw.frame, _marks(raw, data)
    apart = {*raw.target, *_apart(data, marks)}
    kinds = dict.fromkeys(frame.columns.difference([*apart]), "numeric")
    try:
        task = find_task(frame, raw.target, data.known_task)
    except DataProblem as problem:
        raise DataProblem(f"{name_of(data.source)}: {problem}") from None
    try:
        columns = describe(frame, apart, (kinds if data.source in SOURCES else {}) | data.columns)
    except Odd as odd:
        raise DataProblem(
            f"{raw.where(odd.row)}: column {shown(odd.column)} holds {odd.text}, which is not "
            f"{odd.needed}; mend it, or say that the column is another kind"
        ) from None
    numeric = [column.name for column in columns if column.kind == "numeric"]
    return Survey(
        data=data,
        rows=len(frame),
        columns=columns,
        task=task,
        far=tuple(name for name in numeric if _has_far_values(frame[name])),
        marks=marks,
        marked=frame[marks].str.lower().value_counts().to_dict() if marks else {},
        notes=(*notes, *raw.notes),
        groups=tuple(column.name for column in columns if _is_group(column, frame[column.name])),
    )


def likely_targets(data: DataSpec) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of a file: its columns, and those that may be meant as its target, the likeliest first."""
    _, frame, _ = _mended(data, files.whole)
    names = tuple(frame.columns)
    likely = [name for name in names if LIKELY.fullmatch(name.strip())]
    return names, tuple(dict.fromkeys([*likely, names[-1]]))


def _mended(data: DataSpec, read: Callable[[DataSpec], T]) -> tuple[DataSpec, T, tuple[str, ...]]:
    """What is read with the keys of [data] that help, these keys, and a note about each."""
    mends: dict[str, str] = {}
    while True:
        try:
            found = read(data)
        except DataProblem as problem:
            if not problem.mend or problem.mend.keys() <= mends.keys():
                raise
            mends |= problem.mend
            data = data.model_copy(update=problem.mend)
        else:
            return data, found, tuple(f'it is read with {k} = "{v}"' for k, v in mends.items())


def _apart(data: DataSpec, marks: str | None) -> tuple[str, ...]:
    names = (marks, data.weight, None if data.split == "time" else data.by)
    return tuple(dict.fromkeys(name for name in names if name is not None))


def _is_group(column: Column, values: "pd.Series[Any]") -> bool:
    """Whether a column may say whom a row is about: whole numbers or texts that come again."""
    if not GROUPS.fullmatch(column.name.strip()) or column.kind in ("boolean", "date"):
        return False
    present = values.dropna()
    if present.dtype.kind == "f" and (present != present.round()).any():
        return False
    return 2 < column.distinct < len(present)


def _marks(raw: Raw, data: DataSpec) -> str | None:
    """The first column of the words train, validation and test, two of them at least."""
    if data.split not in (None, "column"):
        return None
    names = raw.frame.columns.difference(raw.target, sort=False)
    for name in names if data.by is None else [data.by]:
        values = raw.frame[name]
        if pd.api.types.is_string_dtype(values.dtype) and not values.isna().any():
            words = {str(value).lower() for value in values.unique()[:10]}
            if "train" in words and len(words) >= 2 and words <= set(PARTS):
                return str(name)
    return None


def _has_far_values(values: "pd.Series[float]") -> bool:
    spread = values.std()
    is_far = spread > 0 and np.abs(values - values.mean()).max() > FAR * spread
    # Where most are 0, say, all others are far from it, and ranks tell no more.
    return bool(is_far and values.value_counts(normalize=True).iloc[0] < 0.5)

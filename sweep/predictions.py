"""A model's predictions for tables of any length, a block of rows at a time."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweep.datasets import Odd
from sweep.errors import UsageError
from sweep.model import Model


@dataclass(slots=True)
class Seen:
    """What is worth telling of the rows so far."""

    rows: int = 0
    unseen: Counter[str] = field(default_factory=Counter)
    """How many rows have a category that training had not, by column."""
    outputs: list[NDArray[Any]] = field(default_factory=list)
    """Of the rows that have their targets."""
    targets: list[NDArray[Any]] = field(default_factory=list)
    odd: Odd | None = None
    """A target that the model does not know, which no score can be given for."""

    def score(self, model: Model) -> float | None:
        """The study's metric of the rows that had targets; None if there are none."""
        if self.odd is not None or not self.targets:
            return None
        return model.score_of(np.concatenate(self.outputs), np.concatenate(self.targets))


def predict(
    model: Model,
    blocks: Iterable[pd.DataFrame],
    seen: Seen,
    name: str = "the input",
    *,
    probabilities: bool = False,
) -> Iterator[pd.DataFrame]:
    """The columns of each block that the model does not read, and its predictions.

    `name` is what the table is called in errors. UsageError for a table that lacks columns;
    datasets.Odd for a value of another kind than its column was in training.
    """
    if probabilities and (refusal := model.lacks_probabilities):
        raise UsageError(f"--probabilities: {refusal}")
    for block in blocks:
        try:
            outputs = model.outputs(block)
        except Odd:
            raise
        except ValueError as error:
            raise UsageError(str(error).replace("x lacks", f"{name} lacks", 1)) from None
        seen.rows += len(block)
        seen.unseen.update(model.preprocessing.reading.unseen(block))
        _compare(model, block, outputs, seen)
        yield _table(model, block, outputs, name, probabilities)


def kinds(model: Model) -> dict[str, str]:
    """What the columns that the model reads, and its targets, are to be read as."""
    target = model.preprocessing.target
    of_target = {"regression": "numeric", "multilabel": "boolean"}.get(target.task, "categorical")
    # What it does not read is passed through as it is written.
    read = model.preprocessing.reading.inputs
    columns = {each.name: each.kind for each in read if each.kind != "drop"}
    return columns | dict.fromkeys(target.names, of_target)


def _compare(model: Model, block: pd.DataFrame, outputs: NDArray[Any], seen: Seen) -> None:
    """Keep what a score is made of, if the block has the targets."""
    target = model.preprocessing.target
    names = list(target.names)
    if seen.odd is not None or not set(names) <= set(block.columns):
        return
    known = block[names].notna().all(axis=1).to_numpy()
    if not known.any():
        return
    try:
        seen.targets.append(target.encode(block[known]))
    except Odd as odd:
        seen.odd = odd
    else:
        seen.outputs.append(outputs[known])


def _table(
    model: Model, block: pd.DataFrame, outputs: NDArray[Any], name: str, probabilities: bool
) -> pd.DataFrame:
    target, read = model.preprocessing.target, set(model.preprocessing.reading.needed)
    passed = block[[each for each in block.columns if each not in read]]
    decided = model.decide(outputs)
    columns = {"prediction": decided}
    if target.task != "classification" and len(target.names) > 1:
        columns = {f"prediction_{each}": decided[:, i] for i, each in enumerate(target.names)}
    if probabilities:
        names = target.names if target.classes is None else target.classes.tolist()
        shares = model.predictions(outputs)
        columns |= {f"probability_{each}": shares[:, i] for i, each in enumerate(names)}
    if taken := [each for each in columns if each in passed.columns]:
        raise UsageError(f"{name} has a column {taken[0]!r} already; rename it")
    return passed.assign(**columns)

"""How much each raw column matters to what a network says."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweep.errors import UsageError
from sweep.predictor import Predictor
from trainer import Split
from trainer.arguments import check_integer
from trainer.understanding import GRADIENT_ROWS, integrated_gradients, permutation_losses

ROWS = 2048
"""Rows that are looked at, at most."""


def significance(
    model: Predictor, split: Split, *, repeats: int = 5, seed: int = 0
) -> pd.DataFrame:
    """A row for each raw column, the most significant first; see `Model.feature_significance`.

    The permutation is left out where `repeats` is 0, or the split has no y.
    """
    for name, number, least in (("repeats", repeats, 0), ("seed", seed, 0)):
        check_integer(name, number, least)
    if not len(split.x):
        raise UsageError("there are no rows; give some")
    count = len(split.x)
    chosen = np.linspace(0, count - 1, min(count, ROWS)).astype(np.int64)
    x, y = split.x[chosen], None if split.y is None else split.y[chosen]
    origins = model.preprocessing.origins
    names = list(dict.fromkeys(origins))
    made_of = np.equal.outer(origins, names)
    parts = _parts(model, x, made_of.astype(np.float64))
    mean = parts.mean(axis=0)
    frame = pd.DataFrame(
        {
            "significance": mean,
            "standard_error": parts.std(axis=0) / np.sqrt(len(parts)),
            "share": mean / mean.sum() if mean.any() else 0.0,
        },
        index=pd.Index(names, name="column"),
    )
    if repeats and y is not None:
        rows = Split(x, y)
        losses = permutation_losses(
            model.config,
            model.parameters,
            model.dataset(rows),
            rows,
            [np.flatnonzero(column).tolist() for column in made_of.T],
            model.embedding,
            repeats,
            seed,
        )
        frame["permutation"], frame["permutation_std"] = losses.mean(axis=1), losses.std(axis=1)
    frame.attrs["rows"] = len(x)
    return frame.sort_values("significance", ascending=False, kind="stable")


def _parts(model: Predictor, x: NDArray[Any], made_of: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each raw column moves each row's output from that of the mean row, (rows, columns).

    Of classes, the output is that of the one that is predicted, less the mean of all: what they
    have in common moves no probability. Of several outputs otherwise, it is the mean of each's.
    """
    target, baseline, found = model.preprocessing.target, x.mean(axis=0), []
    for start in range(0, len(x), GRADIENT_ROWS):
        rows = x[start : start + GRADIENT_ROWS]
        parts = integrated_gradients(
            model.config,
            model.parameters,
            rows,
            baseline,
            target.n_outputs,
            embedding=model.embedding,
        )
        parts = parts @ made_of
        if target.classes is None:
            found.append(np.absolute(parts).mean(axis=1))
        else:
            chosen = model.raw(rows).argmax(axis=1)
            own = parts[np.arange(len(rows)), chosen] - parts.mean(axis=1)
            found.append(np.absolute(own))
    return np.concatenate(found)

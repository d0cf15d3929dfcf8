"""Rows of the record as pandas tables."""

from typing import Any

import numpy as np
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from sweep.space import active, distributions
from sweep.spec import StudySpec, direction
from sweep.store import Row

STATES = {
    "running": "RUNNING",
    "paused": "RUNNING",
    "complete": "COMPLETE",
    "pruned": "PRUNED",
    "failed": "FAIL",
}
"""Our trial states and Optuna's names for them, which the tables use."""

TIME = "datetime64[us, UTC]"

_OURS = {
    "outcome": "str",
    "epochs": "int64",
    "seed": "int64",
    "seconds": "float64",
    "predicted_cost": "float64",
    "attempts": "int64",
    "node": "str",
    "error": "str",
}
_EPOCHS = {
    "trial": "int64",
    "replicate": "int64",
    "epoch": "int64",
    "learning_rate": "float64",
    "train_loss": "float64",
    "validation_loss": "float64",
    "validation_metric": "float64",
    "gradient_norm": "float64",
    "seconds": "float64",
}
_DIAGNOSES = {
    "trial": "int64",
    "replicate": "int64",
    "verdict": "str",
    "text": "str",
    "epochs": "int64",
    "train_first": "float64",
    "train_least": "float64",
    "train_least_epoch": "Int64",
    "train_end": "float64",
    "train_at_best": "float64",
    "validation_first": "float64",
    "validation_least": "float64",
    "validation_least_epoch": "Int64",
    "validation_end": "float64",
    "fall": "float64",
    "scatter": "float64",
}
_ATTEMPTS = {
    "trial": "int64",
    "replicate": "int64",
    "start": "int64",
    "until": "int64",
    "attempt": "int64",
    "accepted": "bool",
    "cause": "str",
    "worker": "str",
    "node": "str",
    "platform": "Int64",
    "queued": TIME,
    "sent": TIME,
    "started": TIME,
    "loaded": TIME,
    "finished": TIME,
    "received": TIME,
    "training": "float64",
    "error": "str",
}
_EVENTS = {
    "sequence": "int64",
    "time": TIME,
    "step": "Int64",
    "virtual_time": "float64",
    "event": "str",
    "trial": "Int64",
    "epoch": "Int64",
    "value": "float64",
    "detail": "object",
}


def trials(spec: StudySpec, rows: list[Row]) -> pd.DataFrame:
    """One row a trial: the columns of Optuna's `trials_dataframe`, then ours. Times in UTC.

    With several objectives each has a column `values_NAME`, with replicates the value has a
    `standard_error`, and each constraint has a column `violation_NAME`, 0 where it is met.
    """
    frame = pd.DataFrame(
        {
            "number": _column(rows, "number", "int64"),
            "value": _column(rows, "value", "float64"),
        }
    )
    if spec.search.replicates > 1:
        frame["standard_error"] = _column(rows, "standard_error", "float64")
    if len(spec.objectives) > 1:
        _spread(frame, "values", spec.objectives, [row["values"] for row in rows])
    frame["datetime_start"] = _column(rows, "datetime_start", TIME)
    frame["datetime_complete"] = _column(rows, "datetime_complete", TIME)
    frame["duration"] = frame["datetime_complete"] - frame["datetime_start"]
    chosen = [active(spec.space, row["params"]) for row in rows]
    for name, distribution in distributions(spec.space).items():
        values = [params.get(name) for params in chosen]
        frame[f"params_{name}"] = pd.Series(values, dtype=_dtype(distribution))
    _spread(frame, "violation", tuple(spec.search.constraints), [r["constraints"] for r in rows])
    frame["state"] = pd.Series([STATES[row["state"]] for row in rows], dtype="str")
    for name, dtype in _OURS.items():
        frame[name] = _column(rows, name, dtype)
    return frame


def epochs(rows: list[Row]) -> pd.DataFrame:
    """One row for each trial, replicate and epoch: the learning curves."""
    return _table(rows, _EPOCHS)


def diagnoses(rows: list[Row]) -> pd.DataFrame:
    """One row for each trial and replicate: the verdict on its training."""
    unknown = dict.fromkeys(_DIAGNOSES)
    return _table([unknown | row for row in rows], _DIAGNOSES)


def attempts(rows: list[Row]) -> pd.DataFrame:
    """One row for each time that a segment was sent out."""
    return _table(rows, _ATTEMPTS)


def events(rows: list[Row]) -> pd.DataFrame:
    """What was decided and asked for, in order."""
    return _table(rows, _EVENTS)


def pareto(spec: StudySpec, rows: list[Row]) -> list[Row]:
    """The complete trials within the constraints that no other beats in every objective."""
    complete = [
        row for row in rows if row["state"] == "complete" and not any(row["constraints"] or ())
    ]
    if not complete:
        return []
    signs = [-1.0 if direction(name) == "maximize" else 1.0 for name in spec.objectives]
    costs = np.array([row["values"] or [row["value"]] for row in complete]) * signs
    beaten = [
        bool(((costs <= cost).all(axis=1) & (costs < cost).any(axis=1)).any()) for cost in costs
    ]
    return [row for row, is_beaten in zip(complete, beaten, strict=True) if not is_beaten]


def _spread(
    frame: pd.DataFrame, prefix: str, names: tuple[str, ...], rows: list[list[float] | None]
) -> None:
    """A column for each of the names, of lists that some rows have."""
    for i, name in enumerate(names):
        values = [None if row is None else row[i] for row in rows]
        frame[f"{prefix}_{name}"] = pd.Series(values, dtype="float64")


def _table(rows: list[Row], columns: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame({name: _column(rows, name, dtype) for name, dtype in columns.items()})


def _column(rows: list[Row], name: str, dtype: str) -> "pd.Series[Any]":
    return pd.Series([row[name] for row in rows], dtype=dtype)


def _dtype(distribution: BaseDistribution) -> str:
    """A parameter's dtype; missing where a trial does not use it."""
    if isinstance(distribution, IntDistribution):
        return "Int64"
    if isinstance(distribution, CategoricalDistribution):
        kinds = {type(choice) for choice in distribution.choices}
        if kinds == {bool}:
            return "boolean"
        return "Int64" if kinds == {int} else "float64" if kinds <= {int, float} else "str"
    return "float64"

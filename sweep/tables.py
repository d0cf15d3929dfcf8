"""Rows of the record as pandas tables."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from sweep.errors import gist
from sweep.overview import ENDED, REFUSED, Overview, complete, place
from sweep.rebuilt import STATES
from sweep.space import actives, distributions
from sweep.spec import StudySpec, cost_sign
from sweep.store import Columns, Row

TIME = "datetime64[us, UTC]"

_NUMBERS = ("int64", "float64")  # which NumPy reads from lists in half the time

DECIDED = ("running", "paused", "complete", "pruned", "failed")
"""The events that decide about a trial at the end of a segment, each with the epoch."""

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
EPOCHS = {
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
ATTEMPTS = {
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
_SEGMENTS = {
    "trial": "int64",
    "replicate": "int64",
    "start": "int64",
    "until": "int64",
    "attempts": "int64",
    "cause": "str",
    "decision": "str",
    "epoch": "Int64",
    "value": "float64",
    "virtual_time": "float64",
    "worker": "str",
    "node": "str",
    "started": TIME,
    "finished": TIME,
    "decided": TIME,
    "training": "float64",
    "error": "str",
}
_FAILURES = {
    "number": "int64",
    "outcome": "str",
    "gist": "str",
    "epochs": "int64",
    "attempts": "int64",
    "node": "str",
    "datetime_start": TIME,
    "datetime_complete": TIME,
    "error": "str",
}
_STUDIES = {
    "name": "str",
    "state": "str",
    "trials": "int64",
    "planned": "int64",
    "complete": "int64",
    "pruned": "int64",
    "failed": "int64",
    "objective": "str",
    "best": "Int64",
    "value": "float64",
    "test": "float64",
    "budget": "str",
    "created": TIME,
    "changed": TIME,
}
EVENTS = {
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
    chosen = list(actives(spec.space, (row["params"] for row in rows)))
    for name, distribution in distributions(spec.space).items():
        values = [params.get(name) for params in chosen]
        frame[f"params_{name}"] = pd.Series(values, dtype=_dtype(distribution))
    _spread(frame, "violation", tuple(spec.search.constraints), [r["constraints"] for r in rows])
    frame["state"] = pd.Series([STATES[row["state"]] for row in rows], dtype="str")
    for name, dtype in _OURS.items():
        frame[name] = _column(rows, name, dtype)
    return frame


def epochs(columns: Columns) -> pd.DataFrame:
    """One row for each trial, replicate and epoch: the learning curves."""
    return _table(columns, EPOCHS)


def plain(column: "pd.Series[Any]") -> list[Any]:
    """The values as the record has them, None for those that are missing."""
    found: list[Any] = column.tolist()
    for i in column.isna().to_numpy().nonzero()[0]:
        found[i] = None
    return found


def diagnoses(rows: list[Row]) -> pd.DataFrame:
    """One row for each trial and replicate: the verdict on its training."""
    return _table({name: [row.get(name) for row in rows] for name in _DIAGNOSES}, _DIAGNOSES)


def attempts(columns: Columns) -> pd.DataFrame:
    """One row for each time that a segment was sent out."""
    return _table(columns, ATTEMPTS)


def events(columns: Columns) -> pd.DataFrame:
    """What was decided and asked for, in order."""
    return _table(columns, EVENTS)


def segments(spec: StudySpec, attempts: pd.DataFrame, events: pd.DataFrame) -> pd.DataFrame:
    """One row for each segment that came back: the attempt that counted, and what was then decided.

    What is decided ends a stage of the trial, whose segments are those of all replicates from rung
    to rung, or with Wilcoxon's pruner one replicate: a trial's decisions belong to its stages in
    order.
    """
    key = ["trial", "replicate", "start", "until"]
    sent = attempts.groupby(key, as_index=False).size().rename(columns={"size": "attempts"})
    came = attempts[attempts["accepted"]].merge(sent, on=key, how="left")
    order = ["trial", "start", "replicate"]
    came = came.sort_values(order, kind="stable", ignore_index=True)
    names = order if spec.search.pruner == "wilcoxon" else order[:2]
    begins = ~came.duplicated(names)
    came["stage"] = begins.astype("int64").groupby(came["trial"]).cumsum()
    decided = events.rename(columns={"event": "decision", "time": "decided"})
    decided = decided[decided["decision"].isin(DECIDED) & decided["epoch"].notna()]
    # What becomes of a paused trial is no news of its segments.
    before = decided.groupby("trial")["decision"].shift()
    decided = decided[before.ne("paused").fillna(True)]
    decided = decided.assign(trial=decided["trial"].astype("int64"))
    decided["stage"] = decided.groupby("trial").cumcount() + 1
    wanted = ["trial", "stage", "decision", "epoch", "value", "virtual_time", "decided"]
    found = came.merge(decided[wanted], on=["trial", "stage"], how="left")
    found = found.sort_values(["trial", "replicate", "start"], kind="stable", ignore_index=True)
    return found[list(_SEGMENTS)].astype(_SEGMENTS)


def failures(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that failed or diverged, each with the line of its error that says most."""
    found = trials[trials["state"].eq("FAIL") | trials["outcome"].eq("diverged")]
    found = found[~found["outcome"].isin(REFUSED)].reset_index(drop=True)
    found["gist"] = found["error"].map(gist, na_action="ignore")
    return found[list(_FAILURES)].astype(_FAILURES)


def ranked(spec: StudySpec, rows: list[Row]) -> list[Row]:
    """The complete trials, the best first."""
    return sorted(complete(rows), key=lambda row: place(spec, row))


def studies(found: Iterable[Overview]) -> pd.DataFrame:
    """One row for each study, in the order in which they come."""
    rows = [
        {
            "name": study.spec.name,
            "state": study.state,
            "trials": study.begun,
            "planned": study.spec.search.trials,
            **{state: study.counts.get(state, 0) for state in ENDED},
            "objective": study.spec.objectives[0],
            "best": study.best,
            "value": study.value,
            "test": study.test,
            "budget": study.budget,
            "created": study.created,
            "changed": study.changed,
        }
        for study in found
    ]
    return pd.DataFrame({name: _column(rows, name, dtype) for name, dtype in _STUDIES.items()})


def pareto(spec: StudySpec, rows: list[Row]) -> list[Row]:
    """The complete trials within the constraints that no other beats in every objective."""
    complete = [
        row for row in rows if row["state"] == "complete" and not any(row["constraints"] or ())
    ]
    if not complete:
        return []
    signs = [cost_sign(name) for name in spec.objectives]
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


def _table(columns: Columns, dtypes: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame({name: _series(columns[name], dtype) for name, dtype in dtypes.items()})


def _series(values: list[Any], dtype: str) -> "pd.Series[Any]":
    if dtype == TIME:
        return pd.Series(np.array(values, "datetime64[us]")).dt.tz_localize("UTC")
    return pd.Series(np.array(values, dtype) if dtype in _NUMBERS else values, dtype=dtype)


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

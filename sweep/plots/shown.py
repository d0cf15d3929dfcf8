"""What a figure shows: which trials and parameters of many, what each is, and its hover text."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweep.errors import UsageError
from sweep.overview import REFUSED
from sweep.plots.style import DARK, INK, LIGHT, MANY, MIDDLE
from sweep.recorded import Recorded
from sweep.words import brief

FEW = 2
"""Complete trials without which nothing can be compared."""

CROWD = 400
"""Trials from which on their markers are smaller."""

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "pruned": ("pruned, at its last epoch", {"color": LIGHT, "symbol": "circle", "size": 5}),
    "running": ("running or paused", {"color": MIDDLE, "symbol": "circle-open", "size": 6}),
    "broken": ("breaks a constraint", {"color": MIDDLE, "symbol": "diamond-open", "size": 7}),
    "complete": ("complete", {"color": MIDDLE, "symbol": "circle", "size": 7}),
    "failed": ("diverged or failed", {"color": INK, "symbol": "x-thin", "size": 6}),
    "best": ("best", {"color": DARK, "symbol": "star", "size": 15}),
}
"""What a trial is to a figure, in words and as a marker, in the order in which they are drawn."""


def tried(study: Recorded) -> pd.DataFrame:
    """The trials that were trained, with their `objective` (the first one) and `kind`, of KINDS."""
    trials = study.trials
    trials = trials[~trials["outcome"].isin(REFUSED)].reset_index(drop=True)
    first = study.spec.objectives[0]
    several = len(study.spec.objectives) > 1
    trials["objective"] = trials[f"values_{first}" if several else "value"]
    names = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running"}
    kind = trials["state"].map(names).astype(object)
    kind[kind.isin(["complete", "pruned"]) & trials["objective"].isna()] = "failed"
    broken = trials[[name for name in trials if name.startswith("violation_")]]
    kind[(kind == "complete") & (broken > 0).any(axis="columns")] = "broken"
    kind[trials["number"] == study.leader] = "best"
    trials["kind"] = kind
    return trials


def complete(study: Recorded, trials: pd.DataFrame, fewest: int = FEW) -> pd.DataFrame:
    """Those that came to their end; UsageError if they are fewer."""
    found = trials[trials["state"] == "COMPLETE"]
    if len(found) < fewest:
        raise UsageError(
            f"study {study.name!r} has {len(found)} complete trials, of {fewest} that it takes"
        )
    return found


def evenly(trials: pd.DataFrame, most: int, by: str = "objective") -> pd.DataFrame:
    """At most so many trials, evenly by rank from the least to the greatest, and the best one; as
    they were ordered.

    With more trials than that, the complete ones come first, for up to half of the places.
    """
    if len(trials) <= most:
        return trials
    done = trials["state"] == "COMPLETE"
    whole, rest = trials[done], trials[~done]
    places = min(len(whole), max(most // 2, most - len(rest)))
    chosen = [*_spread(whole[by], places), *_spread(rest[by], most - places)]
    return trials[trials.index.isin(chosen) | (trials["kind"] == "best")]


def _spread(values: "pd.Series[Any]", count: int) -> Sequence[Any]:
    ordered = values.sort_values(kind="stable").index
    return list(ordered[np.linspace(0, len(ordered) - 1, count).round().astype(int)])


def chosen(total: int, rows: int, noun: str = "trial") -> str:
    """What the figure says if it shows a part of the trials."""
    return f"shown: {rows:,} of {total:,} {noun}s, evenly by rank" if rows < total else ""


def hovers(study: Recorded, trials: pd.DataFrame) -> list[str]:
    """The trial, what it came to, and its parameters."""
    first = study.spec.objectives[0]
    lines = [f"<b>trial {number}</b>" for number in trials["number"]]
    columns = trials["objective"], trials["outcome"].fillna("running"), trials["epochs"]
    for i, (value, outcome, epochs) in enumerate(zip(*columns, strict=True)):
        what = "" if pd.isna(value) else f"{first} {value:.5g}, "
        lines[i] += f"<br>{what}{outcome} after epoch {epochs}"
    for name in parameters(trials):
        values = trials[f"params_{name}"]
        for i, value in enumerate(values.astype(object).where(values.notna(), None)):
            if value is not None:
                lines[i] += f"<br>{name} {brief(value)}"
    return lines


def parameters(trials: pd.DataFrame) -> list[str]:
    """The parameters that were searched and that some of the trials used, in the file's order."""
    names = [name for name in trials if name.startswith("params_")]
    return [name.removeprefix("params_") for name in names if trials[name].notna().any()]


def leading(
    study: Recorded,
    trials: pd.DataFrame,
    params: Sequence[str] | None,
    most: int,
    fewest: int = 1,
) -> tuple[list[str], str]:
    """The parameters of a figure, and what it says if these are not all: those that matter most."""
    names = named(study, trials, params, fewest)
    if params is not None or len(names) <= most:
        return names, ""
    first = [name for name in study.importances if name in names]
    which = "that matter most" if first else "that the study file names first"
    first += [name for name in names if name not in first]
    return first[:most], f"the {most} of {len(names)} parameters {which}"


def named(
    study: Recorded, trials: pd.DataFrame, params: Sequence[str] | None, fewest: int = 1
) -> list[str]:
    """The parameters that are asked for, or all; UsageError if they are few or not there."""
    known = parameters(trials)
    if params is None:
        known = [name for name in known if trials[f"params_{name}"].nunique() > 1]
    names = known if params is None else list(dict.fromkeys(params))
    if unknown := [name for name in names if name not in known]:
        raise UsageError(
            f"study {study.name!r} has no parameter {unknown[0]!r}: use some of {', '.join(known)}"
        )
    if len(names) < fewest:
        raise UsageError(
            f"study {study.name!r} has {len(names)} parameters that vary, of {fewest} that it takes"
        )
    return names


def points(
    study: Recorded, trials: pd.DataFrame, x: "pd.Series[Any]", y: "pd.Series[Any]", **options: Any
) -> list[go.Scatter]:
    """Markers, a trace for each kind of trial that occurs; x and y have the trials' index."""
    scatter = go.Scattergl if len(trials) > MANY else go.Scatter
    crowded = len(trials) > CROWD
    texts = pd.Series(hovers(study, trials), index=trials.index, dtype=object)
    found = []
    for kind, (label, marker) in KINDS.items():
        rows = trials.index[trials["kind"] == kind]
        if len(rows):
            line = {"width": 1.2, "color": "white" if kind == "best" else marker["color"]}
            size = marker["size"] if kind == "best" or not crowded else 0.6 * marker["size"]
            found.append(
                scatter(
                    x=x[rows],
                    y=y[rows],
                    name=f"best: trial {trials['number'][rows[0]]}" if kind == "best" else label,
                    mode="markers",
                    marker={
                        **marker,
                        "size": size,
                        "line": line if kind in ("best", "failed") else {"width": 0},
                    },
                    hovertext=texts[rows],
                    hovertemplate="%{hovertext}<extra></extra>",
                    legendgroup=kind,
                    **options,
                )
            )
    return found

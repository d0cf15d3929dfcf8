"""What trials came to: their values in order, and how these are distributed."""

from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from optuna.visualization import plot_edf, plot_optimization_history

from sweep.errors import UsageError
from sweep.plots.as_optuna import as_optuna, draw
from sweep.plots.clock import clock
from sweep.plots.shown import complete, points, tried
from sweep.plots.style import DARK, MIDDLE, beyond, dressed, shown_range
from sweep.recorded import Recorded

Order = Literal["trial", "time", "cost"]


def history(study: Recorded, x: Order = "trial") -> go.Figure:
    """The value of each trial in order, and the best complete one so far.

    In the order of their numbers, or of their ends over `time`, the seconds for which the study
    ran, or over `cost`, the seconds for which all trials that had ended had trained.
    """
    if x not in _ORDERS:
        raise UsageError(f"x = {x!r}: must be one of {', '.join(_ORDERS)}")
    trials = tried(study)
    complete(study, trials, 1)
    label, ordered = _ORDERS[x](study, trials)
    feasible = ordered[ordered["kind"].isin(["complete", "best"])]
    values = ordered[ordered["objective"].notna()]
    shown = shown_range(values["objective"], study.direction)
    figure = go.Figure(points(study, values, values["x"], values["objective"]))
    if len(feasible):
        optunas = as_optuna(study, feasible, feasible["objective"])
        steps = draw(plot_optimization_history, optunas).data[1]
        at = [*feasible["x"], ordered["x"].max()]
        best = [*steps.y, steps.y[-1]]
        line = {"color": DARK, "width": 2, "shape": "hv"}
        figure.add_scatter(
            x=at, y=best, name="best so far", mode="lines", line=line, hoverinfo="skip"
        )
    figure.update_xaxes(title_text=label)
    figure.update_yaxes(title_text=f"validation {study.spec.objectives[0]}", range=shown)
    return dressed(figure, study, trials, "History", beyond(values["objective"], shown))


def edf(study: Recorded) -> go.Figure:
    """The share of trials whose value is at most x: of the complete ones, and with those that were
    pruned, by their values when they were."""
    trials = tried(study)
    done = complete(study, trials)
    valued = trials[trials["objective"].notna() & (trials["state"] != "RUNNING")]
    shown = shown_range(valued["objective"], study.direction)
    groups = [("complete", done)]
    if len(valued) > len(done):
        groups.append(("complete or pruned, at the last epoch", valued))
    optunas = [
        as_optuna(study, rows[["number"]], _within(rows["objective"], shown)) for _, rows in groups
    ]
    figure = draw(plot_edf, optunas)
    looks: Any = ({"color": DARK, "width": 2.5}, {"color": MIDDLE, "width": 2, "dash": "dash"})
    for trace, (name, rows), line in zip(figure.data, groups, looks, strict=False):
        trace.update(
            name=f"{name} ({len(rows):,})",
            line={**line, "shape": "hv"},
            hovertemplate="%{y:.1%} are at most %{x:.5g}<extra></extra>",
        )
    figure.update_xaxes(title_text=f"validation {study.spec.objectives[0]}", range=shown)
    figure.update_yaxes(title_text="share of trials", tickformat=".0%", range=[0, 1.02])
    figure.update_layout(showlegend=True)
    return dressed(figure, study, trials, "Distribution", beyond(valued["objective"], shown))


def _within(values: "pd.Series[float]", shown: tuple[float, float] | None) -> "pd.Series[float]":
    """Optuna takes a hundred steps from the least to the greatest value, however far that is."""
    return values if shown is None else values.clip(*shown)


def _by_number(study: Recorded, trials: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    return "trial", trials.assign(x=trials["number"])


def _by_time(study: Recorded, trials: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    ended = _ended(trials)
    seconds = clock(study.attempts[["queued", "received"]], study.events["time"])
    return "time for which the study ran (seconds)", ended.assign(
        x=seconds(ended["datetime_complete"])
    )


def _by_cost(study: Recorded, trials: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    ended = _ended(trials)
    return "training of all trials so far (CPU seconds)", ended.assign(
        x=np.cumsum(ended["seconds"])
    )


def _ended(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[trials["datetime_complete"].notna()].sort_values(
        ["datetime_complete", "number"], kind="stable"
    )


_ORDERS = {"trial": _by_number, "time": _by_time, "cost": _by_cost}

"""Virtual against real time: when decisions were taken, and when their reports had arrived."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweep.errors import UsageError
from sweep.plots.clock import clock
from sweep.plots.shown import hovers, tried
from sweep.plots.style import DARK, INK, MANY, MIDDLE, dressed
from sweep.plots.survival import rung_of
from sweep.recorded import Recorded
from sweep.words import plural


def decision_order(study: Recorded) -> go.Figure:
    """How well virtual time imitated real time: when each decision was taken and when the report
    that it was about had arrived, over the virtual time of the decision.

    Below, for how long the driver waited for the report with all earlier decisions taken: long
    where the prediction of its cost was too low.
    """
    decided, trials = decisions(study), tried(study)
    named = len(decided) <= MANY
    texts = dict(zip(trials["number"], hovers(study, trials), strict=True)) if named else {}
    about = [
        f"{texts.get(trial, f'<b>trial {trial}</b>')}<br>decided at epoch {epoch}"
        for trial, epoch in zip(decided["trial"], decided["epoch"], strict=True)
    ]
    figure = make_subplots(
        rows=2, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.05
    )
    for trace in _moments(decided, about):
        figure.add_trace(trace, row=1, col=1)
    figure.add_trace(_waits(decided), row=2, col=1)
    figure.update_yaxes(title_text="real time (seconds)", row=1, col=1)
    figure.update_yaxes(title_text="waited<br>(seconds)", rangemode="tozero", row=2, col=1)
    figure.update_xaxes(title_text="virtual time of the decision (predicted seconds)", row=2, col=1)
    figure.update_layout(showlegend=True)
    span = decided["decided"].iloc[-1] or np.nan
    note = (
        f"{plural(len(decided), 'decision')}; a report waited {decided['report'].median():.3g} s "
        f"for its turn in the median; the driver waited {decided['driver'].sum() / span:.0%} of "
        "the time"
    )
    return dressed(figure, study, trials, "Decision order", note)


def _moments(decided: pd.DataFrame, about: list[str]) -> Iterator[go.Scatter]:
    """When reports arrived and decisions were taken, and where these would be in proportion."""
    many = len(decided) > MANY
    scatter = go.Scattergl if many else go.Scatter
    virtual, ends = decided["virtual_time"], decided.iloc[[0, -1]]
    hover = "%{hovertext}<br>virtual %{x:.4g} s, real %{y:.4g} s<extra></extra>"
    yield go.Scatter(
        x=ends["virtual_time"],
        y=ends["decided"],
        name="in proportion",
        mode="lines",
        line={"color": INK, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )
    yield scatter(
        x=virtual,
        y=decided["arrived"],
        name="report arrived",
        mode="markers",
        marker={"color": MIDDLE, "size": 4 if many else 5, "symbol": "circle"},
        hovertext=about,
        hovertemplate=hover,
    )
    yield go.Scatter(
        x=virtual,
        y=decided["decided"],
        name="decided",
        mode="lines",
        line={"color": DARK, "width": 2, "shape": "hv"},
        hovertext=about,
        hovertemplate=hover,
    )


def _waits(decided: pd.DataFrame) -> go.Scatter:
    """How long the driver waited for each report, as an upright line."""
    floor, gap = np.zeros(len(decided)), np.full(len(decided), np.nan)
    return go.Scatter(
        x=np.repeat(decided["virtual_time"], 3),
        y=np.column_stack((floor, decided["driver"], gap)).ravel(),
        name="driver waited",
        mode="lines",
        line={"color": INK, "width": 1.2},
        hoverinfo="skip",
        showlegend=False,
    )


def decisions(study: Recorded) -> pd.DataFrame:
    """The decisions about reports, in order: their `trial`, `epoch` and `virtual_time`, and in real
    seconds when the last report `arrived`, when it was `decided`, for how long the `report` waited
    for its turn, and the `driver` for the report."""
    happened, attempts = study.events, study.attempts
    # The first of each: a promotion, and the end of what stays paused, are about no new report.
    events = happened[happened["virtual_time"].notna() & happened["epoch"].notna()]
    events = events.assign(
        until=[
            rung_of(study, trial, epoch)
            for trial, epoch in zip(events["trial"], events["epoch"], strict=True)
        ],
        turn=events.groupby(["trial", "epoch"]).cumcount(),
    )
    accepted = attempts[attempts["accepted"]]
    arrivals = _arrivals(study, accepted)
    merged = events.merge(arrivals, on=["trial", "until", "turn"]).sort_values("sequence")
    if merged.empty:
        raise UsageError(f"study {study.name!r} has no decision yet")
    seconds = clock(attempts[["queued", "received"]], happened["time"])
    found = merged[["trial", "epoch", "virtual_time"]].assign(
        arrived=seconds(merged["received"]), decided=seconds(merged["time"])
    )
    before = found["decided"].shift(fill_value=0.0)
    found["report"] = (found["decided"] - found["arrived"]).clip(lower=0)
    found["driver"] = (found["arrived"] - before).clip(lower=0)
    return found.reset_index(drop=True)


def _arrivals(study: Recorded, accepted: pd.DataFrame) -> pd.DataFrame:
    """When the last report of each stage of a trial arrived."""
    key = ["trial", "until"]
    if study.spec.search.pruner == "wilcoxon":  # each replicate is a stage
        return accepted.assign(turn=accepted["replicate"])[[*key, "turn", "received"]]
    return accepted.groupby(key)["received"].max().reset_index().assign(turn=0)

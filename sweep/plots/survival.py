"""Who survived where: the trials at each rung."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweep.errors import UsageError
from sweep.plots.shown import tried
from sweep.plots.style import DARK, INK, LIGHT, MIDDLE, dressed
from sweep.pruners import bracket
from sweep.pruners import rungs as rungs_of
from sweep.recorded import Recorded

FATES: dict[str, tuple[str, dict[str, Any]]] = {
    "on": ("went on, or came to the end", {"color": DARK}),
    "paused": ("paused", {"color": MIDDLE, "pattern": {"shape": "/", "fgcolor": "white"}}),
    "stopped": ("pruned", {"color": LIGHT}),
    "failed": ("diverged or failed", {"color": "white", "pattern": {"shape": "x", "fgcolor": INK}}),
}
"""What became of a trial at a rung that it reached."""

_EVENTS = {
    "running": "on",
    "complete": "on",
    "paused": "paused",
    "pruned": "stopped",
    "failed": "failed",
}


def fates(study: Recorded, trials: pd.DataFrame) -> pd.DataFrame:
    """How many trials reached each rung, and how many of them met each of FATES.

    Columns `bracket` (0 without Hyperband), `rung` in epochs (in replicates for Wilcoxon's pruner),
    `reached` and those of FATES; a row for each bracket and rung that occurs.
    """
    events = study.events
    events = events[events["event"].isin(_EVENTS) & events["trial"].isin(trials["number"])]
    if events.empty:
        raise UsageError(f"study {study.name!r} has no trial at a rung yet")
    events = events[["trial", "epoch", "event"]].astype({"trial": int, "epoch": int})
    spec = study.spec
    if spec.search.pruner == "wilcoxon":
        events["rung"] = events.groupby("trial").cumcount() + 1
    else:
        events = events.drop_duplicates(["trial", "epoch"], keep="last")
        events["rung"] = [
            rung_of(study, t, e) for t, e in zip(events["trial"], events["epoch"], strict=True)
        ]
    several = spec.search.pruner == "hyperband"
    events["bracket"] = [bracket(spec, trial) if several else 0 for trial in events["trial"]]
    diverged = trials["number"][trials["kind"] == "failed"]
    events["fate"] = events["event"].map(_EVENTS)
    events.loc[(events["fate"] == "stopped") & events["trial"].isin(diverged), "fate"] = "failed"
    table = events.groupby(["bracket", "rung"])["fate"].value_counts().unstack(fill_value=0)
    table = table.reindex(columns=[*FATES], fill_value=0)
    table.insert(0, "reached", table.sum(axis="columns"))
    return table.reset_index().rename_axis(columns=None)


def rung_of(study: Recorded, trial: int, epoch: int) -> int:
    """The rung that a segment which ended at this epoch was on its way to."""
    return next(rung for rung in rungs_of(study.spec, trial) if rung >= epoch)


def rungs(study: Recorded) -> go.Figure:
    """Who survived where: how many trials trained up to each rung, and what became of them there.

    The share above a bar is of those that went on. For Hyperband each bracket has a panel.
    """
    trials = tried(study)
    table = fates(study, trials)
    brackets = list(table.groupby("bracket"))
    several = len(brackets) > 1
    figure = make_subplots(
        cols=len(brackets),
        shared_yaxes=True,
        horizontal_spacing=0.03,
        column_widths=[1 + len(rows) for _, rows in brackets],
    )
    met = [fate for fate in FATES if table[fate].any()]
    for column, (number, rows) in enumerate(brackets, 1):
        for trace in _bars(rows, met, in_legend=column == 1):
            figure.add_trace(trace, row=1, col=column)
        unit = "replicate" if study.spec.search.pruner == "wilcoxon" else "epoch"
        title = f"bracket {number}" if several else f"rung ({unit})"
        figure.update_xaxes(title_text=title, type="category", row=1, col=column)
    figure.update_yaxes(range=[0, 1.18 * table["reached"].max()])
    figure.update_yaxes(title_text="trials that reached it", row=1, col=1)
    figure.update_layout(barmode="stack", bargap=0.25 if len(table) > 1 else 0.7, showlegend=True)
    note = "bars: trained up to this epoch; above: how many, and which share went on"
    return dressed(figure, study, trials, "Rungs", note)


def _bars(rows: pd.DataFrame, met: list[str], *, in_legend: bool) -> Iterator[go.Bar | go.Scatter]:
    """The trials of a bracket at its rungs by their fates, and above how many and the share of
    those that went on."""
    at = [f"{rung:,}" for rung in rows["rung"]]
    for fate in met:
        label, marker = FATES[fate]
        yield go.Bar(
            x=at,
            y=rows[fate],
            name=label,
            marker={**marker, "line": {"color": INK, "width": 0.7}},
            hovertemplate=f"rung %{{x}}: %{{y:,}} {label}<extra></extra>",
            legendgroup=fate,
            showlegend=in_legend,
        )
    shares = zip(rows["reached"], rows["on"] / rows["reached"], strict=True)
    yield go.Scatter(
        x=at,
        y=rows["reached"],
        text=[f"{reached:,}<br>{share:.0%}" for reached, share in shares],
        mode="text",
        textposition="top center",
        textfont={"size": 10},
        cliponaxis=False,
        hoverinfo="skip",
        showlegend=False,
    )

"""Learning curves."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from sweep.errors import UsageError
from sweep.plots.shown import evenly, hovers, tried
from sweep.plots.style import DARK, INK, LIGHT, MIDDLE, beyond, dressed, log_ticks, shown_range
from sweep.pruners import rungs
from sweep.recorded import Recorded

ALL = 300
"""Trials up to which every curve is drawn; of more, quantiles, SAMPLE curves and the best one."""

SAMPLE = 40

MARKED = 5000
"""Epochs of all curves from which on their points are not marked."""

NAMED = 12
"""Trials that are asked for up to which each has a look of its own."""

BANDS = ((0.05, 0.95, "#eef1f4"), (0.25, 0.75, "#d5dbe2"))
"""Quantiles, the widest first."""


def curves(
    study: Recorded, trials: Sequence[int] | None = None, *, log_x: bool | None = None
) -> go.Figure:
    """The learning curve of every trial: pruned ones grey, the best one dark and on top.

    Of more than 300 trials, quantiles at each epoch of those that reached it, a sample of the
    curves, and the best one. With replicates a curve is their mean. With `trials`, those alone, the
    whole numbers of them. The epochs are on a log scale if trials are judged at rungs, unless
    `log_x` says otherwise.
    """
    every = rows = tried(study)
    if trials is not None:
        rows = rows[rows["number"].isin(trials)]
        if missing := sorted({*trials} - {*rows["number"]}):
            raise UsageError(f"study {study.name!r} has no trial {missing[0]} that was trained")
    found = study.curves(None if trials is None else [*trials])
    if found.empty:
        raise UsageError(f"study {study.name!r} has no epoch yet")
    means = found.groupby(["trial", "epoch"])["validation_metric"].mean().reset_index()
    ended = means["trial"].isin(rows["number"][rows["kind"] != "failed"])
    shown = shown_range(means["validation_metric"][ended], study.direction)
    rows = rows[rows["number"].isin(means["trial"])]
    figure = go.Figure()
    note = ""
    if trials is not None and len(rows) <= NAMED:
        _named(figure, study, rows, means)
    else:
        drawn = rows
        if len(rows) > ALL:
            _bands(figure, means)
            rest = rows[rows["kind"] != "best"]
            drawn = pd.concat([evenly(rest, SAMPLE), rows[rows["kind"] == "best"]])
            note = (
                f"bands: of all trials that reached an epoch; curves: {len(drawn)} of "
                f"{len(rows):,}, evenly by rank"
            )
        _groups(figure, study, drawn, means)
    _axes(figure, study, shown, log_x)
    note = note + "; mean of replicates" * (study.spec.search.replicates > 1)
    beyond_note = beyond(means["validation_metric"], shown, "epoch")
    return dressed(figure, study, every, "Learning curves", note.removeprefix("; "), beyond_note)


def _groups(figure: go.Figure, study: Recorded, rows: pd.DataFrame, means: pd.DataFrame) -> None:
    kinds: tuple[tuple[str, list[str], dict[str, Any]], ...] = (
        ("pruned or failed", ["pruned", "failed"], {"color": LIGHT, "width": 1}),
        ("running or paused", ["running"], {"color": MIDDLE, "width": 1, "dash": "dot"}),
        ("complete", ["complete", "broken"], {"color": MIDDLE, "width": 1.2}),
        ("best", ["best"], {"color": INK, "width": 3.5}),
    )
    for name, kind, line in kinds:
        its = rows[rows["kind"].isin(kind)]
        x, y, text = _gapped(study, its, means)
        if len(its):
            figure.add_scatter(
                x=x,
                y=y,
                hovertext=text,
                hovertemplate="epoch %{x}: %{y:.5g}<br>%{hovertext}<extra></extra>",
                name=f"best: trial {its['number'].iloc[0]}" if name == "best" else name,
                mode="lines+markers" if len(means) < MARKED or name == "best" else "lines",
                line=line,
                marker={"size": line["width"] + 2, "color": line["color"], "symbol": "circle"},
            )


def _gapped(
    study: Recorded, rows: pd.DataFrame, means: pd.DataFrame
) -> tuple[list[int | None], list[float | None], list[str]]:
    """The curves as one line with gaps: thousands of traces would stall a browser."""
    x: list[int | None] = []
    y: list[float | None] = []
    text: list[str] = []
    said = dict(zip(rows["number"], hovers(study, rows), strict=True))
    mine = means[means["trial"].isin(rows["number"])]
    for trial, curve in mine.groupby("trial"):
        x += [*curve["epoch"], None]
        y += [*curve["validation_metric"], None]
        text += [said[trial]] * (len(curve) + 1)
    return x, y, text


def _bands(figure: go.Figure, means: pd.DataFrame) -> None:
    quantiles = sorted({q for low, high, _ in BANDS for q in (low, high)} | {0.5})
    table = means.groupby("epoch")["validation_metric"].quantile(quantiles).unstack()
    for low, high, colour in BANDS:
        figure.add_scatter(
            x=[*table.index, *table.index[::-1]],
            y=[*table[low], *table[high][::-1]],
            fill="toself",
            fillcolor=colour,
            line={"width": 0},
            mode="lines",
            hoverinfo="skip",
            name=f"{low:.0%} to {high:.0%}",
        )
    figure.add_scatter(
        x=table.index,
        y=table[0.5],
        line={"color": DARK, "width": 2, "dash": "dash"},
        mode="lines",
        name="median",
        hovertemplate="epoch %{x}: median %{y:.5g}<extra></extra>",
    )


def _named(figure: go.Figure, study: Recorded, rows: pd.DataFrame, means: pd.DataFrame) -> None:
    colours, dashes = (INK, MIDDLE, "#8f99a5", DARK), ("solid", "dash", "dot")
    symbols = ("circle", "square", "diamond", "triangle-up", "cross")
    for i, number in enumerate(rows["number"]):
        x, y, text = _gapped(study, rows[rows["number"] == number], means)
        best = "best: " * (number == study.leader)
        figure.add_scatter(
            x=x[:-1],
            y=y[:-1],
            hovertext=text[:-1],
            hovertemplate="epoch %{x}: %{y:.5g}<br>%{hovertext}<extra></extra>",
            name=f"{best}trial {number}",
            mode="lines+markers",
            line={"color": colours[i % 4], "dash": dashes[i % 3], "width": 2},
            marker={"symbol": symbols[i % 5], "size": 6},
        )


def _axes(
    figure: go.Figure, study: Recorded, shown: tuple[float, float] | None, log_x: bool | None
) -> None:
    judged = rungs(study.spec, 0)
    is_log = len(judged) > 2 if log_x is None else log_x
    ticks = log_ticks(1, study.spec.train.epochs) if is_log else {"rangemode": "tozero"}
    if is_log and 2 < len(judged) < 10:
        ticks = {"type": "log", "tickvals": [1, *judged]}
    figure.update_xaxes(title_text="epoch", **ticks)
    figure.update_yaxes(title_text=f"validation {study.spec.train.metric}", range=shown)
    figure.update_layout(showlegend=True)

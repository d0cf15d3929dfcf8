"""Where the time went: the ledger, and who worked when."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweep.errors import UsageError
from sweep.ledger import MEANING, PARTS, Ledger
from sweep.plots.clock import clock
from sweep.plots.shown import hovers, tried
from sweep.plots.style import DARK, INK, LIGHT, MANY, MIDDLE, dressed
from sweep.recorded import Recorded
from sweep.words import plural

STATES: dict[str, tuple[str, dict[str, Any]]] = {
    "COMPLETE": ("complete", {"fillcolor": DARK}),
    "PRUNED": ("pruned", {"fillcolor": LIGHT}),
    "FAIL": ("failed", {"fillcolor": "white", "fillpattern": {"shape": "x", "fgcolor": INK}}),
    "RUNNING": (
        "running or paused",
        {"fillcolor": MIDDLE, "fillpattern": {"shape": "/", "fgcolor": "white"}},
    ),
}
"""What became of a segment's trial, in words and as a fill."""


def ledger(study: Recorded) -> go.Figure:
    """Where the time went: the seconds of all trials by what they were spent on, and the share of
    the cluster's CPU time in which trials trained."""
    found = study.ledger
    if found.trials.empty:
        raise UsageError(f"study {study.name!r} has no trial yet")
    total = found.total
    figure = make_subplots(rows=2, row_heights=[0.2, 0.8], vertical_spacing=0.22)
    for bar in _of_cpu_time(found) if found.cpu_seconds else ():
        figure.add_trace(bar, row=1, col=1)
    names = list(PARTS)[::-1]
    number = len(found.trials)
    bars = go.Bar(
        x=total[names],
        y=[MEANING[name] for name in names],
        orientation="h",
        marker={"color": [DARK if name == "training" else LIGHT for name in names]},
        text=[f"{total[n]:,.2f} s · {1000 * total[n] / number:,.1f} ms a trial" for n in names],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:,.3f} s<extra></extra>",
        showlegend=False,
    )
    figure.add_trace(bars, row=2, col=1)
    figure.update_xaxes(title_text="CPU time (seconds)", row=1, col=1)
    figure.update_xaxes(
        title_text="time of all trials (seconds)", range=[0, 1.6 * total.max()], row=2, col=1
    )
    figure.update_layout(barmode="stack", showlegend=bool(found.cpu_seconds))
    note = (
        f"{found.share:.1%} of {found.cpu_seconds:,.1f} CPU seconds trained in "
        f"{plural(found.sessions, 'session')}"
        if found.cpu_seconds
        else "CPU time is known once a session has ended"
    )
    return dressed(figure, study, tried(study), "Time ledger", note)


def _of_cpu_time(found: Ledger) -> Iterator[go.Bar]:
    """What the CPUs did, as parts of one bar."""
    training, loading = found.total["training"], found.total["loading"]
    rest = max(0.0, found.cpu_seconds - training - loading)
    for name, seconds, marker in (
        ("training", training, {"color": DARK}),
        ("loading", loading, {"color": MIDDLE, "pattern": {"shape": "/", "fgcolor": "white"}}),
        ("idle or other work", rest, {"color": "#e6e9ed"}),
    ):
        share = seconds / found.cpu_seconds
        yield go.Bar(
            x=[seconds],
            y=["CPU time"],
            name=name,
            orientation="h",
            marker={**marker, "line": {"color": INK, "width": 0.7}},
            text=f"{share:.1%}" if share > 0.04 else "",
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            hovertemplate=f"{name}: %{{x:,.2f}} s, {share:.1%}<extra></extra>",
        )


def timeline(study: Recorded) -> go.Figure:
    """Which worker trained which trial when, by what became of the trial.

    Pauses, in which nothing ran for a minute, are left out of the time.
    """
    trials = tried(study)
    attempts = study.attempts.dropna(subset=["worker", "started", "finished"])
    if attempts.empty:
        raise UsageError(f"study {study.name!r} has no segment that came back yet")
    seconds = clock(attempts[["started", "finished"]])
    first = attempts.groupby("worker")["started"].min().sort_values(kind="stable")
    rows = {worker: i for i, worker in enumerate(first.index, 1)}
    attempts = attempts.assign(
        begin=seconds(attempts["started"]),
        end=seconds(attempts["finished"]),
        row=attempts["worker"].map(rows),
        state=attempts["trial"].map(trials.set_index("number")["state"]),
    )
    said = dict(zip(trials["number"], hovers(study, trials), strict=True))
    figure = go.Figure()
    for state in STATES:
        mine = attempts[attempts["state"] == state]
        if len(mine):
            width = 0.5 if len(attempts) <= 200 else 0
            texts = _segments(mine, said if len(attempts) <= MANY else {})
            figure.add_traces([_outlines(mine, state, width), _hovers(mine, state, texts)])
    figure.update_xaxes(title_text="time for which the study ran (seconds)")
    step = {"dtick": 1} if len(rows) <= 16 else {}
    figure.update_yaxes(title_text="worker", range=[len(rows) + 0.5, 0.5], showgrid=False, **step)
    figure.update_layout(showlegend=True)
    if len(rows) > 24:
        figure.update_layout(height=min(1600, 200 + 12 * len(rows)))
    began = f"from {attempts['started'].min():%Y-%m-%d %H:%M:%S} UTC"
    return dressed(figure, study, trials, "Timeline", began)


def _outlines(attempts: pd.DataFrame, state: str, width: float) -> go.Scatter:
    """Segments as rectangles; they are one outline with gaps: thousands of bars would stall a
    browser."""
    begin, end, row = (attempts[n].to_numpy(dtype=float) for n in ("begin", "end", "row"))
    gap = np.full(len(attempts), np.nan)
    label, fill = STATES[state]
    return go.Scatter(
        x=np.column_stack((begin, end, end, begin, gap)).ravel(),
        y=np.column_stack((row - 0.4, row - 0.4, row + 0.4, row + 0.4, gap)).ravel(),
        mode="lines",
        line={"color": INK, "width": width},
        fill="toself",
        hoverinfo="skip",
        legendgroup=state,
        name=label,
        **fill,
    )


def _hovers(attempts: pd.DataFrame, state: str, texts: list[str]) -> go.Scatter:
    """What is said of each segment, in its middle."""
    scatter = go.Scattergl if len(attempts) > MANY else go.Scatter
    return scatter(
        x=(attempts["begin"] + attempts["end"]) / 2,
        y=attempts["row"].to_numpy(dtype=float),
        mode="markers",
        marker={"opacity": 0, "size": 8},
        hovertext=texts,
        hovertemplate="%{hovertext}<extra></extra>",
        legendgroup=state,
        showlegend=False,
    )


def _segments(attempts: pd.DataFrame, said: dict[int, str]) -> list[str]:
    return [
        f"{said.get(at.trial, f'<b>trial {at.trial}</b>')}<br>epochs {at.start + 1} to {at.until}: "
        f"{at.cause}<br>{at.end - at.begin:.3f} s from {at.started:%H:%M:%S}, {at.node}"
        for at in attempts.itertuples(index=False)
    ]

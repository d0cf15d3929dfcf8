"""Where the time went: the ledger, who worked when, and virtual against real time."""

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweep.errors import UsageError
from sweep.ledger import MEANING, PARTS
from sweep.plots.clock import clock
from sweep.plots.shown import hovers, tried
from sweep.plots.style import DARK, INK, LIGHT, MANY, MIDDLE, dressed
from sweep.plots.survival import rung_of
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
    training, loading = total["training"], total["loading"]
    if found.cpu_seconds:
        rest = max(0.0, found.cpu_seconds - training - loading)
        for name, seconds, marker in (
            ("training", training, {"color": DARK}),
            ("loading", loading, {"color": MIDDLE, "pattern": {"shape": "/", "fgcolor": "white"}}),
            ("idle or other work", rest, {"color": "#e6e9ed"}),
        ):
            share = seconds / found.cpu_seconds
            bar = go.Bar(
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
    for name, (label, fill) in STATES.items():
        mine = attempts[attempts["state"] == name]
        if mine.empty:
            continue
        # Rectangles as one outline with gaps: thousands of bars would stall a browser.
        gap = np.full(len(mine), np.nan)
        begin, end, row = (mine[n].to_numpy(dtype=float) for n in ("begin", "end", "row"))
        figure.add_scatter(
            x=np.column_stack((begin, end, end, begin, gap)).ravel(),
            y=np.column_stack((row - 0.4, row - 0.4, row + 0.4, row + 0.4, gap)).ravel(),
            mode="lines",
            line={"color": INK, "width": 0.5 if len(attempts) <= 200 else 0},
            fill="toself",
            hoverinfo="skip",
            legendgroup=name,
            name=label,
            **fill,
        )
        scatter = go.Scattergl if len(mine) > MANY else go.Scatter
        figure.add_trace(
            scatter(
                x=(begin + end) / 2,
                y=row,
                mode="markers",
                marker={"opacity": 0, "size": 8},
                hovertext=_segments(mine, said if len(attempts) <= MANY else {}),
                hovertemplate="%{hovertext}<extra></extra>",
                legendgroup=name,
                showlegend=False,
            )
        )
    figure.update_xaxes(title_text="time for which the study ran (seconds)")
    step = {"dtick": 1} if len(rows) <= 16 else {}
    figure.update_yaxes(title_text="worker", range=[len(rows) + 0.5, 0.5], showgrid=False, **step)
    figure.update_layout(showlegend=True)
    if len(rows) > 24:
        figure.update_layout(height=min(1600, 200 + 12 * len(rows)))
    began = f"from {attempts['started'].min():%Y-%m-%d %H:%M:%S} UTC"
    return dressed(figure, study, trials, "Timeline", began)


def _segments(attempts: pd.DataFrame, said: dict[int, str]) -> list[str]:
    return [
        f"{said.get(at.trial, f'<b>trial {at.trial}</b>')}<br>epochs {at.start + 1} to {at.until}: "
        f"{at.cause}<br>{at.end - at.begin:.3f} s from {at.started:%H:%M:%S}, {at.node}"
        for at in attempts.itertuples(index=False)
    ]


def decision_order(study: Recorded) -> go.Figure:
    """How well virtual time imitated real time: when each decision was taken and when the report
    that it was about had arrived, over the virtual time of the decision.

    Below, for how long the driver waited for the report with all earlier decisions taken: long
    where the prediction of its cost was too low.
    """
    decided = decisions(study)
    many = len(decided) > MANY
    trials = tried(study)
    texts = {} if many else dict(zip(trials["number"], hovers(study, trials), strict=True))
    figure = make_subplots(
        rows=2, shared_xaxes=True, row_heights=[0.72, 0.28], vertical_spacing=0.05
    )
    scatter = go.Scattergl if many else go.Scatter
    virtual = decided["virtual_time"]
    about = [
        f"{texts.get(trial, f'<b>trial {trial}</b>')}<br>decided at epoch {epoch}"
        for trial, epoch in zip(decided["trial"], decided["epoch"], strict=True)
    ]
    hover = "%{hovertext}<br>virtual %{x:.4g} s, real %{y:.4g} s<extra></extra>"
    ends = decided.iloc[[0, -1]]
    for trace in (
        go.Scatter(
            x=ends["virtual_time"],
            y=ends["decided"],
            name="in proportion",
            mode="lines",
            line={"color": INK, "width": 1, "dash": "dot"},
            hoverinfo="skip",
        ),
        scatter(
            x=virtual,
            y=decided["arrived"],
            name="report arrived",
            mode="markers",
            marker={"color": MIDDLE, "size": 4 if many else 5, "symbol": "circle"},
            hovertext=about,
            hovertemplate=hover,
        ),
        go.Scatter(
            x=virtual,
            y=decided["decided"],
            name="decided",
            mode="lines",
            line={"color": DARK, "width": 2, "shape": "hv"},
            hovertext=about,
            hovertemplate=hover,
        ),
    ):
        figure.add_trace(trace, row=1, col=1)
    waits = go.Scatter(
        x=np.repeat(virtual, 3),
        y=np.column_stack(
            (np.zeros(len(decided)), decided["driver"], np.full(len(decided), np.nan))
        ).ravel(),
        name="driver waited",
        mode="lines",
        line={"color": INK, "width": 1.2},
        hoverinfo="skip",
        showlegend=False,
    )
    figure.add_trace(waits, row=2, col=1)
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

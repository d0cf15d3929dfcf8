"""Several objectives: the Pareto front."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from sweep.errors import UsageError
from sweep.plots.panels import corner
from sweep.plots.shown import chosen, complete, evenly, points, tried
from sweep.plots.style import DARK, INK, LIGHT, dressed
from sweep.recorded import Recorded
from sweep.spec import direction
from sweep.words import plural

SHOWN = 2000
"""The most trials beside those of the front."""


def pareto(study: Recorded, objectives: Sequence[str] | None = None) -> go.Figure:
    """Every complete trial by each two of the objectives, or of those named; on top the trials that
    no other beats in every objective.

    UsageError for a study of one objective.
    """
    known = study.spec.objectives
    if len(known) < 2:
        raise UsageError(f"study {study.name!r} has one objective, {known[0]}: there is no front")
    names = known if objectives is None else tuple(dict.fromkeys(objectives))
    if len(names) < 2 or not {*names} <= {*known}:
        raise UsageError(f"objectives = {list(names)}: name two or more of {', '.join(known)}")
    trials = tried(study)
    done = complete(study, trials, 1)
    is_front = done["number"].isin(study.pareto["number"])
    front = done[is_front]
    rest = evenly(done[~is_front], SHOWN)

    def panel(x: str, y: str) -> Sequence[Any]:
        along, up = f"values_{x}", f"values_{y}"
        others = points(study, rest, rest[along], rest[up])
        for trace in others:
            if trace.legendgroup != "best":
                trace.marker.color = trace.marker.line.color = LIGHT
        steps = front.sort_values([along, up], kind="stable")
        line = go.Scatter(
            x=steps[along],
            y=steps[up],
            mode="lines",
            line={"color": INK, "width": 1, "dash": "dot"},
            hoverinfo="skip",
            showlegend=False,
        )
        best = points(study, front, front[along], front[up])
        for trace in best:
            if trace.legendgroup != "best":
                trace.update(name="not beaten in every objective", legendgroup="front")
                trace.marker.update(color=DARK, symbol="diamond", size=9)
        return [*others, *([line] if len(names) == 2 == len(known) else []), *best]

    figure = corner(names, panel, lambda name: {})
    figure.for_each_xaxis(_pointed)
    figure.for_each_yaxis(_pointed)
    figure.update_layout(showlegend=True)
    note = f"{plural(len(front), 'trial')} not beaten in every objective"
    part = chosen(len(done) - len(front), len(rest), "other trial")
    return dressed(figure, study, trials, "Pareto front", note, part)


def _pointed(axis: Any) -> None:
    """Say which way is better."""
    if name := axis.title.text:
        better = "higher" if direction(name) == "maximize" else "lower"
        axis.title.text = f"{name}<br>({better} is better)"

"""How figures look: colours that differ in lightness, and a title that says of which study."""

from math import ceil, floor, log10
from textwrap import wrap
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.io import templates

from sweep.overview import told
from sweep.recorded import Recorded
from sweep.words import plural

INK, DARK, MIDDLE, LIGHT = "#111820", "#1b3f73", "#4f86bf", "#b9c0c9"
"""From the darkest to the lightest, apart in greys and to every kind of colour sight."""

SCALE = ("#dfe4ea", "#a9c1dc", "#5b90c6", "#1f5596", "#0a1a33")
"""Of values, from the worst to the best."""

MANY = 2000
"""Points from which on a figure is drawn by the graphics card, and texts are kept short."""

LINE = 88
"""Characters of a subtitle that fit in 600 pixels."""

TEMPLATE = go.layout.Template(templates["plotly_white"])
_AXIS = {
    "automargin": True,
    "exponentformat": "none",
    "separatethousands": True,
    "gridcolor": "#e7eaee",
    "linecolor": "#8a939e",
    "showline": True,
    "ticks": "outside",
    "tickcolor": "#8a939e",
    "title": {"standoff": 8, "font": {"size": 13}},
    "zeroline": False,
}
TEMPLATE.layout.update(
    colorway=[DARK, MIDDLE, LIGHT, INK],
    font={"family": "Open Sans, DejaVu Sans, Arial, sans-serif", "size": 12, "color": INK},
    hoverlabel={"align": "left", "bgcolor": "white", "font": {"size": 12, "color": INK}},
    hovermode="closest",
    # Below the axes, where it covers nothing; both are measured from the edges of the picture.
    legend={
        "orientation": "h",
        "xref": "container",
        "x": 0.5,
        "xanchor": "center",
        "yref": "container",
        "y": 0.0,
        "yanchor": "bottom",
        "traceorder": "normal",
    },
    margin={"l": 64, "r": 24, "b": 84},
    # The first would send the figure to a server of Plotly's; and few of the others, since they lie
    # over the title where a figure is narrow.
    modebar={"remove": ["sendChartToCloud", "select", "lasso", "zoomIn", "zoomOut", "autoScale"]},
    paper_bgcolor="white",
    plot_bgcolor="white",
    title={
        "font": {"size": 17},
        "subtitle": {"font": {"size": 11, "color": "#4a5461"}},
        "x": 0.0,
        "xref": "container",
        "y": 1.0,
        "yref": "container",
        "yanchor": "top",
        "pad": {"l": 16, "t": 12},
    },
    xaxis=_AXIS,
    yaxis=_AXIS,
)


def dressed(
    figure: go.Figure, study: Recorded, trials: pd.DataFrame, title: str, *notes: str, top: int = 0
) -> go.Figure:
    """The figure with its title, and below it the study, its state and trials, and notes; with so
    many pixels more above the axes."""
    found = trials["state"].map(WORDS).value_counts(sort=False)
    counts = {word: int(found[word]) for word in WORDS.values() if word in found}
    each = told(counts, int((trials["outcome"] == "diverged").sum()))
    number = plural(len(trials), "trial")
    lines = wrap(f"{study.name} · {study.state} · {number}: {each}", LINE)
    lines += [line for note in notes if note for line in wrap(note, LINE)]
    # Anew: what Optuna's figures say of their titles would win over the template.
    figure.layout.title = {
        "text": f"{title} of {study.name}",
        "subtitle": {"text": "<br>".join(lines)},
    }
    figure.layout.legend = {}
    return figure.update_layout(template=TEMPLATE, margin={"t": 50 + 15 * len(lines) + top})


WORDS = {
    "COMPLETE": "complete",
    "PRUNED": "pruned",
    "FAIL": "failed",
    "RUNNING": "running or paused",
}
"""The states of trials, in words."""


def log_ticks(low: float, high: float) -> dict[str, Any]:
    """A log axis from `low` to `high` with ticks at powers of ten, or at 1, 2, 5, 10, ... if it is
    short."""
    if high > 50 * low:
        return {"type": "log", "dtick": ceil(log10(high / low) / 4), "exponentformat": "power"}
    first, last = floor(log10(low)), floor(log10(high))
    at = [digit * 10.0**power for power in range(first, last + 1) for digit in (1, 2, 5)]
    return {"type": "log", "tickvals": at}


def shown_range(values: Any, direction: str) -> tuple[float, float] | None:
    """The part of an axis that leaves out values far worse than nine of ten are, as diverging
    trials have; None if there are none, or all lie between 0 and 1."""
    found = np.asarray(values, dtype=float)
    found = found[np.isfinite(found)]
    if len(found) < 4 or (found.min() >= 0 and found.max() <= 1):
        return None
    sign = -1.0 if direction == "maximize" else 1.0
    costs = sign * found
    best, most = costs.min(), np.quantile(costs, 0.9)
    limit = most + 3 * (most - best)
    if costs.max() <= limit or limit == best:
        return None
    edge = costs[costs <= limit].max()
    margin = 0.06 * (edge - best)
    low, high = sorted((sign * (best - margin), sign * (edge + margin)))
    return float(low), float(high)


def beyond(values: Any, shown: tuple[float, float] | None, noun: str = "trial") -> str:
    """What the figure says of the values that its axis leaves out."""
    if shown is None:
        return ""
    found = np.asarray(values, dtype=float)
    count = int(((found < shown[0]) | (found > shown[1])).sum())
    return f"beyond the axis: {plural(count, noun)} far worse" if count else ""

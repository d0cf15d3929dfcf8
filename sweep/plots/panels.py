"""Figures of several panels: a grid of parameters, and a corner of pairs."""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import ceil
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

ROW = 190
"""Pixels that a row of panels is high if there are more than two."""

Axis = dict[str, Any]


def grid(names: Sequence[str], panel: Callable[[str], tuple[Sequence[Any], Axis]]) -> go.Figure:
    """A panel for each name, in rows, all with the same y axis; `panel` gives its traces and its x
    axis."""
    columns = min(len(names), 4)
    rows = ceil(len(names) / columns)
    figure = make_subplots(
        rows=rows,
        cols=columns,
        shared_yaxes="all",
        horizontal_spacing=0.12 / columns,
        vertical_spacing=0.44 / rows if rows > 1 else 0,
        subplot_titles=names,
    )
    for i, name in enumerate(names):
        at = {"row": i // columns + 1, "col": i % columns + 1}
        traces, axis = panel(name)
        figure.add_traces(traces, rows=at["row"], cols=at["col"])
        figure.update_xaxes(tickfont_size=10, **axis, **at)
    figure.update_annotations(font_size=11, yshift=-2)
    for i in range(len(names), rows * columns):
        figure.update_xaxes(visible=False, row=i // columns + 1, col=i % columns + 1)
        figure.update_yaxes(visible=False, row=i // columns + 1, col=i % columns + 1)
    return _framed(figure, rows)


def corner(
    names: Sequence[str],
    panel: Callable[[str, str], Sequence[Any]],
    axes: Callable[[str], Axis],
) -> go.Figure:
    """A panel for each two of the names, of which `panel` gives the traces: the first along x, the
    second along y. All panels of a column share their x axis, of a row their y axis."""
    size = len(names) - 1
    font = 13 if size == 1 else 11
    figure = make_subplots(
        rows=size,
        cols=size,
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.08 / size,
        vertical_spacing=0.08 / size,
    )
    for (column, x), (row, y) in combinations(enumerate(names), 2):
        at = {"row": row, "col": column + 1}
        figure.add_traces(panel(x, y), rows=at["row"], cols=at["col"])
        figure.update_xaxes(**axes(x), **at)
        figure.update_yaxes(**axes(y), **at)
        if row == size:
            figure.update_xaxes(title={"text": x, "font_size": font}, **at)
        if column == 0:
            figure.update_yaxes(title={"text": y, "font_size": font}, **at)
    for row in range(1, size + 1):
        for column in range(row + 1, size + 1):
            figure.update_xaxes(visible=False, row=row, col=column)
            figure.update_yaxes(visible=False, row=row, col=column)
    return _framed(figure, size)


def _framed(figure: go.Figure, rows: int) -> go.Figure:
    seen = set[str]()
    for trace in figure.data:  # an entry of the legend for each group, not for each panel
        if trace.legendgroup:
            trace.showlegend = trace.legendgroup not in seen
            seen.add(trace.legendgroup)
    if rows > 2:
        figure.update_layout(height=140 + ROW * rows)
    return figure

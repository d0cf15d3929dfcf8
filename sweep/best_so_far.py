"""The best value so far of several studies or strategies, told apart by their dashes."""

from collections.abc import Iterable
from typing import Any

import plotly.graph_objects as go

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def best_so_far(curves: Iterable[tuple[str, Any, Any]], *, title: str, x: str, y: str) -> go.Figure:
    """A line for each name, its places on the axis `x` and the best values so far."""
    figure = go.Figure()
    for i, (name, places, best) in enumerate(curves):
        line = {"dash": DASHES[i % len(DASHES)], "shape": "hv"}
        figure.add_scatter(x=places, y=best, name=name, line=line)
    return figure.update_layout(
        template="plotly_white", title=title, xaxis={"title": x}, yaxis_title=y, showlegend=True
    )

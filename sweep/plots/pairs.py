"""The values over each two of the parameters."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from optuna.visualization import plot_contour, plot_rank

from sweep.plots.as_optuna import as_optuna, draw, is_log, is_numeric
from sweep.plots.panels import corner
from sweep.plots.shown import (
    CROWD,
    chosen,
    complete,
    evenly,
    hovers,
    leading,
    parameters,
    points,
    tried,
)
from sweep.plots.style import INK, SCALE, beyond, dressed, log_ticks, shown_range
from sweep.recorded import Recorded

PAIRED = 4
"""The most parameters, unless named."""

DOTS, SPOTS = 1000, 100
"""The most trials of a panel, and those that a contour plot marks."""


def contour(study: Recorded, params: Sequence[str] | None = None) -> go.Figure:
    """The value over each two of the parameters: without `params`, of those that matter most.

    Each cell has the value of its best trial; between them it is guessed.
    """
    trials = tried(study)
    done = complete(study, trials)
    names, note = leading(study, done, params, PAIRED, fewest=2)
    shown = shown_range(done["objective"], study.direction)
    snapped = as_optuna(study, _snapped(study, done), done["objective"])
    dots = evenly(done, SPOTS)
    values = {name: _along(done, name) for name in names}

    def panel(x: str, y: str) -> Sequence[Any]:
        one = draw(plot_contour, snapped, [x, y])
        surface = one.data[0]
        found: list[Any] = []
        if surface.z is not None:
            if sorted([x, y]) != [x, y]:  # Optuna's own order
                surface.update(x=surface.y, y=surface.x, z=np.asarray(surface.z).T)
            surface.update(
                coloraxis="coloraxis", line={"width": 0.6, "color": INK}, name="", showlegend=False
            )
            found.append(surface)
        both = dots[values[x][dots.index].notna() & values[y][dots.index].notna()]
        marks = points(study, both, values[x], values[y])
        for mark in marks:
            if mark.legendgroup != "best":
                mark.marker.update(color=INK, size=3.5, line={"width": 0.8, "color": "white"})
        return [*found, *marks]

    figure = corner(names, panel, lambda name: _axis(study, done, name))
    levels = [np.ravel(each.z).astype(float) for each in figure.data if each.type == "contour"]
    figure.update_layout(coloraxis=_colour_axis(study, np.concatenate([*levels, []]), shown))
    notes = note, chosen(len(done), len(dots), "complete trial"), beyond(done["objective"], shown)
    return dressed(figure, study, trials, "Contours", *notes)


def rank(study: Recorded, params: Sequence[str] | None = None) -> go.Figure:
    """Where the better trials are over each two of the parameters: the darker, the better.

    Trials are ranked as the samplers see them: complete ones by their value, then pruned ones, of
    these the later and better ones first, then those that diverged. Without `params` over those
    that matter most.
    """
    trials = tried(study)
    complete(study, trials)
    ended = trials[~trials["state"].isin(["RUNNING", "FAIL"])]
    names, note = leading(study, ended, params, PAIRED, fewest=2)
    ended = ended.assign(better=_better(study, ended))
    rows = evenly(ended, DOTS, "better").sort_values("better", kind="stable")
    optunas = as_optuna(study, rows, rows["better"], "maximize")
    texts = pd.Series(hovers(study, rows), index=rows.index, dtype=object)
    values = {name: _along(rows, name) for name in names}

    def panel(x: str, y: str) -> Sequence[Any]:
        one = draw(plot_rank, optunas, [x, y]).data[0]
        both = rows[values[x].notna() & values[y].notna()]
        one.update(
            marker={
                "color": both["better"],
                "coloraxis": "coloraxis",
                "size": 7 if len(rows) <= CROWD else 5,
            },
            hovertext=texts[both.index],
            name="trial",
        )
        one.marker.line.update(width=0.5, color="white")
        star = both[both["kind"] == "best"]
        return [one, *points(study, star, values[x], values[y])]

    figure = corner(names, panel, lambda name: _axis(study, rows, name))
    figure.update_layout(
        coloraxis={
            "colorscale": SCALE,
            "cmin": 0.0,
            "cmax": 1.0,
            "colorbar": {
                "thickness": 12,
                "tickvals": [0, 0.25, 0.5, 0.75, 1],
                "ticktext": ["worst", "25%", "median", "75%", "best"],
            },
        }
    )
    return dressed(figure, study, trials, "Ranks", note, chosen(len(ended), len(rows)))


def _better(study: Recorded, trials: pd.DataFrame) -> "pd.Series[float]":
    """The share of the trials that each is better than, from 0 to 1."""
    sign = 1.0 if study.direction == "maximize" else -1.0
    keys = pd.DataFrame(
        {
            "complete": trials["state"] == "COMPLETE",
            "valued": trials["objective"].notna(),
            "epochs": trials["epochs"].where(trials["state"] == "PRUNED", 0),
            "value": sign * trials["objective"].fillna(0.0),
        }
    )
    order = keys.sort_values([*keys], kind="stable").index
    return pd.Series(np.linspace(0.0, 1.0, len(order)), index=order).reindex(trials.index)


def _along(trials: pd.DataFrame, name: str) -> "pd.Series[Any]":
    """A parameter's values as an axis has them: names that are no numbers as texts."""
    column = trials[f"params_{name}"]
    if is_numeric(trials, name):
        return column.astype("float64")
    return column.astype(object).where(column.notna(), None).map(str, na_action="ignore")


def _axis(study: Recorded, trials: pd.DataFrame, name: str) -> dict[str, Any]:
    """The axis of a parameter, a little wider than its values."""
    values = _along(trials, name).dropna()
    if not is_numeric(trials, name):
        labels = sorted(set(values))
        margin = {"range": [-0.4, len(labels) - 0.6]}
        return {"type": "category", "categoryorder": "array", "categoryarray": labels, **margin}
    log = is_log(study, name)
    ends = np.log10([values.min(), values.max()]) if log else (values.min(), values.max())
    margin = 0.05 * (ends[1] - ends[0])
    axis = {"range": [float(ends[0] - margin), float(ends[1] + margin)]}
    return axis | (log_ticks(values.min(), values.max()) if log else {"nticks": 4})


def _snapped(study: Recorded, trials: pd.DataFrame) -> pd.DataFrame:
    """The trials with each number in the middle of one of a few parts of its range, more of them
    the more trials there are."""
    found, cells = trials.copy(), int(np.clip(np.sqrt(len(trials)) / 2, 8, 20))
    for name in parameters(trials):
        column = trials[f"params_{name}"]
        if not is_numeric(trials, name) or column.nunique() <= cells:
            continue
        values = column.astype("float64")
        values = np.log(values) if is_log(study, name) else values
        low, wide = values.min(), (values.max() - values.min()) / cells
        cell = ((values - low) / wide).clip(upper=cells - 1).map(np.floor, na_action="ignore")
        middle = low + (cell + 0.5) * wide
        found[f"params_{name}"] = np.exp(middle) if is_log(study, name) else middle
    return found


def _colour_axis(study: Recorded, levels: Any, shown: tuple[float, float] | None) -> dict[str, Any]:
    within = levels if shown is None else np.clip(levels, *shown)
    bounds = (0.0, 1.0)
    if np.isfinite(within).any():  # a twentieth of the worst cells would make the others all alike
        worst = 0.95 if study.direction == "minimize" else 0.05
        ends = sorted((worst, 1.0 - round(worst)))
        bounds = np.nanquantile(within, ends[0]), np.nanquantile(within, ends[1])
    if bounds[1] - bounds[0] < 1e-9 * abs(bounds[1]):
        bounds = bounds[0] - 0.5, bounds[1] + 0.5
    return {
        "colorscale": SCALE,
        "reversescale": study.direction == "minimize",
        "cmin": bounds[0],
        "cmax": bounds[1],
        "colorbar": {"title": study.spec.objectives[0], "thickness": 12, "tickformat": "~g"},
    }

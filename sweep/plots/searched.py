"""What was searched: which parameters mattered, and the values over them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from optuna.visualization import plot_contour, plot_parallel_coordinate, plot_rank, plot_slice
from plotly.colors import sample_colorscale

from sweep.errors import UsageError
from sweep.plots.as_optuna import as_optuna, draw, is_log, is_numeric
from sweep.plots.panels import corner, grid
from sweep.plots.shown import CROWD, chosen, complete, evenly, hovers, parameters, points, tried
from sweep.plots.style import (
    DARK,
    INK,
    SCALE,
    beyond,
    dressed,
    log_ticks,
    shown_range,
)
from sweep.recorded import Recorded
from sweep.words import plural

BARS, PANELS, LINES, PAIRED = 20, 12, 12, 4
"""The most parameters of importances, slice, parallel, and of contour and rank, unless named."""

DOTS, STRANDS = 1000, 200
"""The most trials of a panel, and of parallel coordinates."""

SPOTS = 100
"""The most trials of a contour plot that are marked."""


def importances(study: Recorded) -> go.Figure:
    """How much each parameter matters to the value, by PED-ANOVA (Watanabe et al. 2023,
    arXiv:2304.10255)."""
    trials = tried(study)
    complete(study, trials)
    _named(study, trials, None)
    if not (shares := study.importances):
        raise UsageError(f"study {study.name!r} has no importances: {study.importances_basis}")
    names, values = [*shares][:BARS], [*shares.values()][:BARS]
    if rest := len(shares) - len(names):
        names.append(plural(rest, "other"))
        values.append(1 - sum(values))
    bars = go.Bar(
        x=values[::-1],
        y=names[::-1],
        orientation="h",
        marker={"color": DARK},
        texttemplate="%{x:.1%}",
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
    )
    figure = go.Figure(bars)
    figure.update_xaxes(title_text="share of the importance", tickformat=".0%", rangemode="tozero")
    figure.update_yaxes(title_text="parameter", dtick=1)
    return dressed(figure, study, trials, "Importances", study.importances_basis)


def slice(study: Recorded, params: Sequence[str] | None = None) -> go.Figure:
    """The value of each trial over each parameter, those that were pruned at their last epoch.

    Without `params` those that matter most, if there are many.
    """
    trials = tried(study)
    complete(study, trials)
    names, note = _most(study, trials, params, PANELS)
    ended = trials[trials["state"] != "RUNNING"]
    shown = shown_range(ended["objective"], study.direction)
    rows = evenly(ended, DOTS)
    worst = _worst(study, ended["objective"], shown)
    # What diverged has no value, and is drawn where the worst are.
    drawn = rows.assign(objective=rows["objective"].fillna(worst))
    optunas = as_optuna(study, drawn, drawn["objective"])

    def panel(name: str) -> tuple[Sequence[Any], dict[str, Any]]:
        one = draw(plot_slice, optunas, [name])
        x = pd.Series(one.data[0].x, rows.index[[*one.data[0].marker.color]], dtype=object)
        x = x.map(lambda value: value.strip("'") if isinstance(value, str) else value)
        return points(study, rows.loc[sorted(x.index)], x, drawn["objective"]), _x_axis(one)

    figure = grid(names, panel)
    objective = study.spec.objectives[0]
    figure.update_yaxes(range=shown)
    figure.for_each_yaxis(
        lambda axis: (
            axis.update(title={"text": objective, "font_size": 11})
            if axis.showticklabels is not False
            else None
        )
    )
    notes = note, chosen(len(ended), len(rows)), beyond(ended["objective"], shown)
    return dressed(figure, study, trials, "Slices", *notes, top=16)


def parallel(study: Recorded, params: Sequence[str] | None = None) -> go.Figure:
    """Every complete trial as a line through its parameters to its value, the best one on top;
    dotted if it breaks a constraint.

    Without `params` those that matter most, if there are many. A parameter that a trial did not
    use is "not used".
    """
    trials = tried(study)
    done = complete(study, trials)
    names, note = _most(study, done, params, LINES)
    shown = shown_range(done["objective"], study.direction)
    inside = done if shown is None else done[done["objective"].between(*shown)]
    rows = evenly(inside, STRANDS)
    rows = rows.sort_values("objective", ascending=study.direction == "maximize", kind="stable")
    is_best = rows["kind"] == "best"
    best_last = pd.concat([rows[~is_best], rows[is_best]])
    optunas = as_optuna(study, best_last, best_last["objective"])
    objective = study.spec.objectives[0]
    figure = draw(plot_parallel_coordinate, optunas, names, target_name=objective)
    texts = hovers(study, best_last)
    places = np.linspace(0.0, 1.0, len(texts))
    looks = zip(figure.data, texts, _colours(places), best_last["kind"], strict=False)
    for trace, text, colour, kind in looks:
        trace.update(opacity=0.75, hovertemplate=text + "<extra></extra>")
        trace.line.update(color=colour, width=1.2, dash="dot" if kind == "broken" else "solid")
        if kind == "best":
            trace.update(line={"color": INK, "width": 3.5}, opacity=1)
    bar = figure.data[-1].marker
    bar.update(colorscale=[[i / 4, colour] for i, colour in enumerate(SCALE)])
    bar.colorbar.update(title=objective, thickness=12, tickformat="~g")
    axes = enumerate(figure.layout.xaxis.ticktext[1:], start=1)  # the first is the objective's
    whole = {i for i, name in axes if pd.api.types.is_integer_dtype(done[f"params_{name}"])}
    # No trial has half a layer, though Optuna writes ticks between few of them.
    figure.layout.annotations = [
        each.update(
            text="not used" if each.text == "None" else each.text, bgcolor="rgba(255,255,255,0.7)"
        )
        for each in figure.layout.annotations
        if each.x not in whole or "." not in each.text
    ]
    figure.update_xaxes(title_text="", tickangle=-25, showline=False, ticks="")
    figure.update_yaxes(title_text="")
    figure.update_layout(showlegend=False)
    notes = (
        note,
        chosen(len(inside), len(best_last), "complete trial"),
        beyond(done["objective"], shown),
    )
    dressed(figure, study, trials, "Parallel coordinates", *notes)
    return figure.update_layout(margin={"l": 56, "b": 70})


def contour(study: Recorded, params: Sequence[str] | None = None) -> go.Figure:
    """The value over each two of the parameters: without `params`, of those that matter most.

    Each cell has the value of its best trial; between them it is guessed.
    """
    trials = tried(study)
    done = complete(study, trials)
    names, note = _most(study, done, params, PAIRED, fewest=2)
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
    names, note = _most(study, ended, params, PAIRED, fewest=2)
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


def _most(
    study: Recorded,
    trials: pd.DataFrame,
    params: Sequence[str] | None,
    most: int,
    fewest: int = 1,
) -> tuple[list[str], str]:
    """The parameters of a figure, and what it says if these are not all: those that matter most."""
    names = _named(study, trials, params, fewest)
    if params is not None or len(names) <= most:
        return names, ""
    leading = [name for name in study.importances if name in names]
    which = "that matter most" if leading else "that the study file names first"
    leading += [name for name in names if name not in leading]
    return leading[:most], f"the {most} of {len(names)} parameters {which}"


def _named(
    study: Recorded, trials: pd.DataFrame, params: Sequence[str] | None, fewest: int = 1
) -> list[str]:
    """The parameters that are asked for, or all; UsageError if they are few or not there."""
    known = parameters(trials)
    if params is None:
        known = [name for name in known if trials[f"params_{name}"].nunique() > 1]
    names = known if params is None else list(dict.fromkeys(params))
    if unknown := [name for name in names if name not in known]:
        raise UsageError(
            f"study {study.name!r} has no parameter {unknown[0]!r}: use some of {', '.join(known)}"
        )
    if len(names) < fewest:
        raise UsageError(
            f"study {study.name!r} has {len(names)} parameters that vary, of {fewest} that it takes"
        )
    return names


def _worst(study: Recorded, values: "pd.Series[float]", shown: tuple[float, float] | None) -> float:
    low, high = shown or (values.min(), values.max())
    inside = 0.04 * (high - low) if shown else 0.0
    return float(low + inside if study.direction == "maximize" else high - inside)


def _x_axis(one: go.Figure) -> dict[str, Any]:
    """The axis of a slice of Optuna's."""
    axis = one.layout.xaxis
    if axis.type == "log":
        values = np.asarray(one.data[0].x, dtype=float)
        return log_ticks(values.min(), values.max())
    if axis.type != "category":
        return {"nticks": 5}
    labels = [label.strip("'") for label in axis.categoryarray]
    return {"type": "category", "categoryorder": "array", "categoryarray": labels}


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


def _colours(places: Any) -> list[str]:
    return list(sample_colorscale(list(SCALE), places))

"""What was searched: which parameters mattered, and the values over each of them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from optuna.visualization import plot_parallel_coordinate, plot_slice
from plotly.colors import sample_colorscale

from sweep.errors import UsageError
from sweep.plots.as_optuna import as_optuna, draw
from sweep.plots.panels import grid
from sweep.plots.shown import chosen, complete, evenly, hovers, leading, named, points, tried
from sweep.plots.style import DARK, INK, SCALE, beyond, dressed, log_ticks, shown_range
from sweep.recorded import Recorded
from sweep.words import plural

BARS, PANELS, LINES = 20, 12, 12
"""The most parameters of importances, and of slice and parallel unless named."""

DOTS, STRANDS = 1000, 200
"""The most trials of a panel, and of parallel coordinates."""


def importances(study: Recorded) -> go.Figure:
    """How much each parameter matters to the value, by PED-ANOVA (Watanabe et al. 2023,
    arXiv:2304.10255)."""
    trials = tried(study)
    complete(study, trials)
    named(study, trials, None)
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
    names, note = leading(study, trials, params, PANELS)
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
    names, note = leading(study, done, params, LINES)
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
    figure.layout.annotations = _ticks(figure, done)
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


def _ticks(figure: go.Figure, trials: pd.DataFrame) -> list[go.layout.Annotation]:
    """What stands along the axes of parallel coordinates."""
    axes = enumerate(figure.layout.xaxis.ticktext[1:], start=1)  # the first is the objective's
    whole = {i for i, name in axes if pd.api.types.is_integer_dtype(trials[f"params_{name}"])}
    # No trial has half a layer, though Optuna writes ticks between few of them.
    return [
        each.update(
            text="not used" if each.text == "None" else each.text, bgcolor="rgba(255,255,255,0.7)"
        )
        for each in figure.layout.annotations
        if each.x not in whole or "." not in each.text
    ]


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


def _colours(places: Any) -> list[str]:
    return list(sample_colorscale(list(SCALE), places))

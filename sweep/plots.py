"""Figures of a study, by optuna.visualization where it has them."""

import math
import warnings
from collections.abc import Callable

import optuna
import plotly.graph_objects as go
from optuna.visualization import (
    plot_optimization_history,
    plot_parallel_coordinate,
    plot_param_importances,
)

from sweep.errors import UsageError
from sweep.results import Study

BEST, COMPLETE, PRUNED = "#1f4e9c", "#8fa8cf", "#c8c8c8"
TEMPLATE = "plotly_white"


def curves(study: Study) -> go.Figure:
    """The learning curve of every trial: pruned ones grey, the best one dark and on top."""
    state = study.trials.set_index("number")["state"]
    best = study.best.number if "complete" in study.counts else None
    figure = go.Figure()
    drawn: list[tuple[str, str, int, Callable[[int], bool]]] = [
        ("pruned or failed", PRUNED, 1, lambda trial: state[trial] != "COMPLETE"),
        ("complete", COMPLETE, 1, lambda trial: state[trial] == "COMPLETE" and trial != best),
        (f"best: trial {best}", BEST, 3, lambda trial: trial == best),
    ]
    epochs = study.epochs
    for name, colour, width, belongs in drawn:
        # One line with gaps for each group: thousands of traces would stall a browser.
        x, y, text = [], [], []
        for trial, curve in epochs[[belongs(trial) for trial in epochs["trial"]]].groupby("trial"):
            x += [*curve["epoch"], None]
            y += [*curve["validation_metric"], None]
            text += [f"trial {trial}"] * (len(curve) + 1)
        if x:
            line = {"color": colour, "width": width}
            mode = "lines+markers"
            figure.add_scatter(
                x=x, y=y, text=text, name=name, mode=mode, line=line, marker={"size": width + 2}
            )
    factor = study.spec.search.reduction_factor  # so that the ticks are at the rungs
    figure.update_layout(
        template=TEMPLATE,
        title=f"Learning curves of {study.name}",
        xaxis={
            "title": "epoch",
            "type": "log",
            "dtick": math.log10(factor),
        },
        yaxis_title=f"validation {study.spec.train.metric}",
        hovermode="closest",
    )
    return figure


def history(study: Study) -> go.Figure:
    """The value of each trial in order, and the best so far."""
    return _optuna(plot_optimization_history, study)


def importances(study: Study) -> go.Figure:
    """How much each parameter matters to the value, by PED-ANOVA (Watanabe et al. 2023,
    arXiv:2304.10255)."""
    return _optuna(plot_param_importances, study)


def parallel(study: Study) -> go.Figure:
    """Every complete trial as a line through its parameters to its value."""
    return _optuna(plot_parallel_coordinate, study)


def pareto(study: Study) -> go.Figure:
    """Every complete trial by two of the objectives, those that nothing beats on top.

    UsageError for a study of one objective.
    """
    names = study.spec.objectives
    if len(names) < 2:
        raise UsageError(f"study {study.name!r} has one objective, {names[0]}: there is no front")
    x, y = (f"values_{name}" for name in names[:2])
    trials = study.trials
    complete = trials[trials["state"] == "COMPLETE"]
    front = study.pareto.sort_values(x)
    figure = go.Figure()
    for name, rows, colour, size in (
        ("complete", complete, COMPLETE, 6),
        ("not beaten in every objective", front, BEST, 10),
    ):
        figure.add_scatter(
            x=rows[x],
            y=rows[y],
            text=[f"trial {number}" for number in rows["number"]],
            name=name,
            mode="markers",
            marker={"color": colour, "size": size},
        )
    return figure.update_layout(
        template=TEMPLATE,
        title=f"Pareto front of {study.name}",
        xaxis_title=names[0],
        yaxis_title=names[1],
        hovermode="closest",
    )


def _optuna(plot: Callable[..., go.Figure], study: Study) -> go.Figure:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        figure = plot(study.optuna_study, target_name=study.spec.train.metric)
    return figure.update_layout(template=TEMPLATE)

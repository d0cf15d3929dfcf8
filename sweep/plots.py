"""Figures of a study, by optuna.visualization where it has them."""

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import pandas as pd
import plotly.graph_objects as go
from optuna.trial import create_trial
from optuna.visualization import (
    plot_contour,
    plot_optimization_history,
    plot_parallel_coordinate,
    plot_slice,
)

from sweep.errors import UsageError
from sweep.recorded import Recorded

BEST, COMPLETE, PRUNED = "#1f4e9c", "#8fa8cf", "#c8c8c8"
TEMPLATE = "plotly_white"

CONTOURS = 4
"""Parameters of a contour plot: there is one for each two of them."""

FEW = 2
"""Complete trials without which nothing can be compared."""

STATES = {
    "COMPLETE": ("complete", "#1f4e9c"),
    "PRUNED": ("pruned", "#9aa5b1"),
    "FAIL": ("failed", "#c0392b"),
    "RUNNING": ("running or paused", "#2e8b57"),
}
"""What became of a trial, in words and in colour."""


def curves(study: Recorded) -> go.Figure:
    """The learning curve of every trial: pruned ones grey, the best one dark and on top."""
    state = study.trials.set_index("number")["state"]
    best = study.leader
    figure = go.Figure()
    drawn: list[tuple[str, str, int, Callable[[int], bool]]] = [
        ("pruned or failed", PRUNED, 1, lambda trial: state[trial] != "COMPLETE"),
        ("complete", COMPLETE, 1, lambda trial: state[trial] == "COMPLETE" and trial != best),
        (f"best: trial {best}", BEST, 3, lambda trial: trial == best),
    ]
    epochs = study.epochs
    if epochs.empty:
        raise UsageError(f"study {study.name!r} has no epoch yet")
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


def history(study: Recorded) -> go.Figure:
    """The value of each trial in order, and the best so far."""
    _complete(study, 1)
    return _optuna(plot_optimization_history, study, "Values in order")


def importances(study: Recorded) -> go.Figure:
    """How much each parameter matters to the value, by PED-ANOVA (Watanabe et al. 2023,
    arXiv:2304.10255)."""
    _parameters(study, shared=False)
    if not (shares := study.importances):
        raise UsageError(f"study {study.name!r} has no importances: {study.importances_basis}")
    names, values = list(shares)[::-1], list(shares.values())[::-1]
    figure = go.Figure(go.Bar(x=values, y=names, orientation="h", marker_color=BEST))
    return figure.update_layout(
        template=TEMPLATE,
        title=f"Importances of {study.name}",
        xaxis={"title": f"share, {study.importances_basis}", "tickformat": ".0%"},
    )


def slice(study: Recorded) -> go.Figure:
    """The values of the complete trials over each parameter."""
    return _optuna(plot_slice, study, "Slices", params=_parameters(study, shared=False))


def parallel(study: Recorded) -> go.Figure:
    """Every complete trial as a line through the parameters that all of them have to its value."""
    return _optuna(
        plot_parallel_coordinate,
        study,
        "Parallel coordinates",
        params=_parameters(study, shared=True),
    )


def contour(study: Recorded) -> go.Figure:
    """The value over each two of the parameters that matter most."""
    names = _parameters(study, shared=True, fewest=2)
    if len(names) > CONTOURS:
        with _without_warnings():
            matter = optuna.importance.get_param_importances(_first(study), params=names)
        names = list(matter)[:CONTOURS]  # in the order of what they matter
    return _optuna(plot_contour, study, "Contours", params=names)


def timeline(study: Recorded) -> go.Figure:
    """Which worker trained which trial when, by what became of the trial."""
    state = study.trials.set_index("number")["state"]
    attempts = study.attempts.dropna(subset=["worker", "started", "finished"])
    if attempts.empty:
        raise UsageError(f"study {study.name!r} has no segment that came back yet")
    first = attempts.groupby("worker")["started"].min().sort_values()
    rows = {worker: f"worker {i}" for i, worker in enumerate(first.index, 1)}
    figure = go.Figure()
    for name, (label, colour) in STATES.items():
        mine = attempts[attempts["trial"].map(state) == name]
        x, y, text = [], [], []
        for at in mine.itertuples(index=False):
            x += [at.started, at.finished, None]
            y += [rows[at.worker]] * 2 + [None]
            said = (
                f"trial {at.trial}, epochs {at.start + 1} to {at.until}: {at.cause}, on {at.node}"
            )
            text += [said] * 3
        if x:
            # One line with gaps for each group: thousands of bars would stall a browser.
            line = {"color": colour, "width": max(4, min(24, 400 // len(rows)))}
            figure.add_scatter(x=x, y=y, text=text, name=label, mode="lines", line=line)
    return figure.update_layout(
        template=TEMPLATE,
        title=f"Timeline of {study.name}",
        height=200 + min(1600, 40 * len(rows)),
        xaxis={"title": "time (UTC)", "type": "date"},
        yaxis={"type": "category", "categoryarray": list(rows.values())[::-1]},
        hovermode="closest",
    )


def pareto(study: Recorded) -> go.Figure:
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


def _optuna(
    plot: Callable[..., go.Figure], study: Recorded, title: str, **options: Any
) -> go.Figure:
    with _without_warnings():
        figure = plot(_first(study), target_name=study.spec.objectives[0], **options)
    return figure.update_layout(template=TEMPLATE, title=f"{title} of {study.name}")


def _first(study: Recorded) -> optuna.Study:
    """The study as Optuna has it; of several objectives with the first alone."""
    whole = study.optuna_study
    if len(study.spec.objectives) < 2:
        return whole
    # Not through `target`: of it PED-ANOVA would take the least values for the best.
    first = optuna.create_study(study_name=study.name, direction=study.direction)
    for trial in whole.trials:
        value = trial.values[0] if trial.values else None
        first.add_trial(
            create_trial(
                state=trial.state,
                value=value,
                params=trial.params,
                distributions=trial.distributions,
            )
        )
    return first


def _parameters(study: Recorded, *, shared: bool, fewest: int = 1) -> list[str]:
    """The parameters that some complete trial has, or all of them; UsageError if they are few."""
    complete = _complete(study, FEW).dropna(axis="columns", how="any" if shared else "all")
    names = [name.removeprefix("params_") for name in complete if name.startswith("params_")]
    if len(names) < fewest:
        raise UsageError(
            f"study {study.name!r} searched {len(names)} parameters that every complete trial has, "
            f"of {fewest} that it takes"
        )
    return names


def _complete(study: Recorded, fewest: int) -> pd.DataFrame:
    """The complete trials; UsageError if they are fewer."""
    trials = study.trials
    complete = trials[trials["state"] == "COMPLETE"]
    if len(complete) < fewest:
        raise UsageError(
            f"study {study.name!r} has {len(complete)} complete trials, of {fewest} that it takes"
        )
    return complete


@contextmanager
def _without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", ".*have less than 2 trials", UserWarning)
        yield


PLOTS: dict[str, Callable[[Recorded], go.Figure]] = {
    "history": history,
    "importances": importances,
    "slice": slice,
    "parallel": parallel,
    "contour": contour,
    "curves": curves,
    "timeline": timeline,
    "pareto": pareto,
}
"""Every figure of a study; UsageError where there is nothing that it could show."""

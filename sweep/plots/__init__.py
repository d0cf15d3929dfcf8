"""Figures of a study: those of optuna.visualization in our style, and our own."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from typing import Concatenate, ParamSpec

import plotly.graph_objects as go

from sweep.plots.fronts import pareto
from sweep.plots.learning import curves
from sweep.plots.order import decision_order
from sweep.plots.pairs import contour, rank
from sweep.plots.searched import importances, parallel, slice
from sweep.plots.seconds import ledger, timeline
from sweep.plots.survival import rungs
from sweep.plots.values import edf, history
from sweep.recorded import Recorded

__all__ = [
    "PLOTS",
    "Plots",
    "contour",
    "curves",
    "decision_order",
    "edf",
    "history",
    "importances",
    "ledger",
    "parallel",
    "pareto",
    "rank",
    "rungs",
    "slice",
    "timeline",
]

PLOTS: dict[str, Callable[[Recorded], go.Figure]] = {
    "history": history,
    "curves": curves,
    "rungs": rungs,
    "importances": importances,
    "slice": slice,
    "parallel": parallel,
    "contour": contour,
    "rank": rank,
    "edf": edf,
    "timeline": timeline,
    "ledger": ledger,
    "decision_order": decision_order,
    "pareto": pareto,
}
"""Every figure of a study; UsageError where there is nothing that it could show."""

P = ParamSpec("P")


def _method(
    plot: Callable[Concatenate[Recorded, P], go.Figure],
) -> "Callable[Concatenate[Plots, P], go.Figure]":
    def method(self: "Plots", /, *args: P.args, **kwargs: P.kwargs) -> go.Figure:
        return plot(self.study.read_once(), *args, **kwargs)

    return update_wrapper(method, plot)


@dataclass(frozen=True, slots=True)
class Plots:
    """The figures of one study: `study.plot.curves()` is `plots.curves(study)`."""

    study: Recorded

    history = _method(history)
    curves = _method(curves)
    rungs = _method(rungs)
    importances = _method(importances)
    slice = _method(slice)
    parallel = _method(parallel)
    contour = _method(contour)
    rank = _method(rank)
    edf = _method(edf)
    timeline = _method(timeline)
    ledger = _method(ledger)
    decision_order = _method(decision_order)
    pareto = _method(pareto)

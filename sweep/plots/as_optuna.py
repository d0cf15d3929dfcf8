"""Trials of a figure as a study of Optuna's, for `optuna.visualization`."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import pandas as pd
import plotly.graph_objects as go
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import create_trial

from sweep.plots.shown import parameters
from sweep.recorded import Recorded
from sweep.space import distributions
from sweep.spec import Direction


def as_optuna(
    study: Recorded,
    trials: pd.DataFrame,
    values: "pd.Series[Any]",
    direction: Direction | None = None,
) -> optuna.Study:
    """These trials in this order, each complete with its value; numbered from 0."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    found = optuna.create_study(study_name=study.name, direction=direction or study.direction)
    known = _distributions(study, trials)
    columns = {name: _plain(trials[f"params_{name}"]) for name in known}
    for i, value in enumerate(values):
        params = {name: column[i] for name, column in columns.items() if column[i] is not None}
        its = {name: known[name] for name in params}
        found.add_trial(create_trial(value=float(value), params=params, distributions=its))
    return found


def draw(plot: Callable[..., go.Figure], *arguments: Any, **options: Any) -> go.Figure:
    """A figure of optuna.visualization, without its warnings."""
    with _silent():
        return plot(*arguments, **options)


def is_log(study: Recorded, name: str) -> bool:
    """Whether a parameter was searched on a log scale."""
    found = distributions(study.spec.space).get(name)
    return isinstance(found, FloatDistribution | IntDistribution) and found.log


def is_numeric(trials: pd.DataFrame, name: str) -> bool:
    """Whether a parameter's values are numbers."""
    column = trials[f"params_{name}"]
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _distributions(study: Recorded, trials: pd.DataFrame) -> dict[str, BaseDistribution]:
    """As wide as these trials need them, whatever the ranges were when each was proposed."""
    asked = distributions(study.spec.space)
    found: dict[str, BaseDistribution] = {}
    for name in parameters(trials):
        column = trials[f"params_{name}"].dropna()
        if isinstance(asked[name], CategoricalDistribution) or not is_numeric(trials, name):
            found[name] = CategoricalDistribution(sorted(set(_plain(column)), key=_order))
        else:
            low, high = float(column.min()), float(column.max())
            found[name] = FloatDistribution(low, high, log=is_log(study, name))
    return found


def _order(value: Any) -> tuple[bool, Any]:
    return isinstance(value, str), value


def _plain(column: "pd.Series[Any]") -> list[Any]:
    """The values as Python's own, None for those that are missing."""
    values = column.astype(object).where(column.notna(), None)
    return [value.item() if hasattr(value, "item") else value for value in values]


@contextmanager
def _silent() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", ".*(have less than 2 trials|cannot co-exist)")
        yield

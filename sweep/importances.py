"""How much each parameter of a study matters to its value."""

import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean

from optuna.importance import get_param_importances
from optuna.trial import TrialState

from sweep.overview import REFUSED, complete, first_value
from sweep.rebuilt import rebuilt
from sweep.space import distributions
from sweep.spec import StudySpec, direction
from sweep.store import Row

ENOUGH = 30
"""Values before importances say anything: the method looks at the best tenth."""


@dataclass(frozen=True, slots=True)
class Basis:
    """The values that importances are computed from."""

    values: Mapping[int, float]
    """By the number of the trial; empty where there are too few."""
    text: str
    """What they are or, if they are too few, why there are none."""


def basis(spec: StudySpec, trials: Sequence[Row], epochs: Sequence[Row]) -> Basis:
    """The values of the complete trials or, where a pruner left few of them, of all trials at the
    last rung that most of them reached: `epochs` are the rows of their learning curves."""
    whole = complete(trials)
    if len(whole) >= ENOUGH:
        values = {row["number"]: first_value(row) for row in whole}
        return Basis(values, f"among {len(whole)} complete trials")
    tried = {
        row["number"]
        for row in trials
        if row["state"] in ("complete", "pruned") and row["outcome"] not in REFUSED
    }
    needed = max(ENOUGH, len(tried) / 2)
    metric = spec.objectives[0]
    if metric == spec.train.metric and len(tried) >= needed:
        for epoch in reversed(_rungs(spec)):
            values = _values_at(epoch, [row for row in epochs if row["trial"] in tried])
            if len(values) >= needed:
                return Basis(values, f"by {metric} after epoch {epoch} of {len(values)} trials")
    return Basis(
        {},
        f"too few trials: {len(whole)} complete and {len(tried)} tried, of {ENOUGH} that it takes",
    )


def _rungs(spec: StudySpec) -> list[int]:
    """The epochs at which trials are judged, all brackets together, and the last one."""
    found, last = [spec.search.min_epochs], spec.train.epochs
    while found[-1] < last:
        found.append(found[-1] * spec.search.reduction_factor)
    return [*found[:-1], last]


def _values_at(epoch: int, epochs: Sequence[Row]) -> dict[int, float]:
    """The validation metric of each trial after an epoch, the mean of its replicates."""
    found = defaultdict[int, list[float]](list)
    for row in epochs:
        value = row["validation_metric"]
        if row["epoch"] == epoch and value is not None and isfinite(value):
            found[row["trial"]].append(value)
    return {trial: fmean(values) for trial, values in found.items()}


def importances(
    spec: StudySpec, trials: Sequence[Row], epochs: Sequence[Row] = ()
) -> dict[str, float]:
    """The share of each searched parameter, together 1, the greatest first; empty where there are
    too few values (see `basis`), or nothing made a difference.

    By PED-ANOVA (Watanabe et al. 2023, arXiv:2304.10255), from values that were trained for equally
    long alone.
    """
    values = basis(spec, trials, epochs).values
    rows = [row for row in trials if row["number"] in values]
    if not rows or not distributions(spec.space):
        return {}
    measured = [(TrialState.COMPLETE, [values[row["number"]]], dict[int, float]()) for row in rows]
    study = rebuilt(spec, [direction(spec.objectives[0])], rows, measured)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parameters that few trials use
        found = get_param_importances(study)
    places = list(distributions(spec.space))
    order = sorted(found, key=lambda name: (-found[name], places.index(name)))
    return {name: float(found[name]) for name in order if found[name] > 0}

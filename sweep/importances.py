"""How much each parameter of a study matters to its value."""

import warnings
from collections.abc import Sequence

import optuna
from optuna.distributions import BaseDistribution
from optuna.importance import get_param_importances
from optuna.trial import TrialState, create_trial

from sweep.overview import first_value
from sweep.space import active, distributions, widened
from sweep.spec import StudySpec, direction
from sweep.store import Row

ENOUGH = 30
"""Complete trials before importances say anything: the method looks at the best tenth."""


def importances(spec: StudySpec, trials: Sequence[Row]) -> dict[str, float]:
    """The share of each searched parameter, together 1, the greatest first; empty where there are
    too few complete trials, or nothing made a difference.

    By PED-ANOVA (Watanabe et al. 2023, arXiv:2304.10255), from complete trials alone: those that
    were pruned were not trained for as long.
    """
    complete = [row for row in trials if row["state"] == "complete"]
    known = widened(distributions(spec.space), (row["params"] for row in complete))
    if len(complete) < ENOUGH or not known:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=direction(spec.objectives[0]))
    study.add_trials([_trial(spec, row, known) for row in complete])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parameters that few trials use
        found = get_param_importances(study)
    places = list(known)
    order = sorted(found, key=lambda name: (-found[name], places.index(name)))
    return {name: float(found[name]) for name in order if found[name] > 0}


def _trial(
    spec: StudySpec, row: Row, known: dict[str, BaseDistribution]
) -> optuna.trial.FrozenTrial:
    params = active(spec.space, row["params"])
    return create_trial(
        state=TrialState.COMPLETE,
        value=first_value(row),
        params=params,
        distributions={name: known[name] for name in params},
    )

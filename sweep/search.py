"""The sampler, the pruner and the rungs of a study, all Optuna's own."""

import warnings
from collections.abc import Callable
from typing import Literal

import optuna
from optuna.pruners import (
    BasePruner,
    HyperbandPruner,
    MedianPruner,
    NopPruner,
    SuccessiveHalvingPruner,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from sweep.spec import StudySpec


def rungs(spec: StudySpec) -> tuple[int, ...]:
    """The epochs at which a trial reports and may be pruned, the last one its end.

    They are `min_epochs` times powers of `reduction_factor` (Li et al. 2020, arXiv:1810.05934,
    algorithm 2); without a pruner there is only the end.
    """
    epoch, last = spec.search.min_epochs, spec.train.epochs
    found = []
    while spec.search.pruner != "none" and epoch < last:
        found.append(epoch)
        epoch *= spec.search.reduction_factor
    return (*found, last)


def optuna_study(spec: StudySpec, direction: Literal["minimize", "maximize"]) -> optuna.Study:
    """An empty study in memory.

    Its name is the same for all, since Optuna's Hyperband draws a trial's bracket from it, and a
    study that runs under another name must give the same table.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.create_study(
            study_name="sweep",
            direction=direction,
            sampler=SAMPLERS[spec.search.sampler](),
            pruner=PRUNERS[spec.search.pruner](spec),
        )


def reseed(sampler: BaseSampler, seed: int) -> None:
    """Make the sampler's next suggestions those of a new sampler with this seed.

    A new sampler for every trial would do the same, and lose Optuna's cache of the search space.
    """
    assert isinstance(sampler, RandomSampler | TPESampler)
    sampler._rng.rng.seed(seed)
    if isinstance(sampler, TPESampler):
        reseed(sampler._random_sampler, seed)


SAMPLERS: dict[str, Callable[[], BaseSampler]] = {
    "random": RandomSampler,
    "tpe": TPESampler,
}

PRUNERS: dict[str, Callable[[StudySpec], BasePruner]] = {
    "none": lambda spec: NopPruner(),
    "median": lambda spec: MedianPruner(n_startup_trials=5),
    "successive_halving": lambda spec: SuccessiveHalvingPruner(
        min_resource=spec.search.min_epochs, reduction_factor=spec.search.reduction_factor
    ),
    "hyperband": lambda spec: HyperbandPruner(
        min_resource=spec.search.min_epochs,
        max_resource=spec.train.epochs,
        reduction_factor=spec.search.reduction_factor,
    ),
}

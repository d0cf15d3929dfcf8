"""Optuna's other samplers, and the study in memory that they learn from."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
)
from optuna.samplers._lazy_random_state import LazyRandomState
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial
from threadpoolctl import threadpool_limits

from sweep import draws
from sweep.errors import StudyFileError
from sweep.past import Params, Past, fitted
from sweep.space import Space, contains, distributions
from sweep.spec import StudySpec, direction

STATES = {
    "running": TrialState.RUNNING,
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}
_DIRECTIONS = {"minimize": StudyDirection.MINIMIZE, "maximize": StudyDirection.MAXIMIZE}
SOURCE_TRIALS = 10
"""Complete trials from which CMA-ES can begin: it takes the best tenth."""


class Model:
    """An Optuna study in memory and its sampler; Optuna's trial numbers are places in `past`."""

    def __init__(self, spec: StudySpec, space: Space, past: Sequence[Past]) -> None:
        self._searched = distributions(space)
        known = [fitted(trial.params, space, self._searched, i) for i, trial in enumerate(past)]
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._storage = InMemoryStorage()
        self._sampler = SAMPLERS[spec.search.sampler](self._searched, known, past)
        self._study = optuna.create_study(
            storage=self._storage,
            study_name="sweep",
            directions=[_DIRECTIONS[direction(name)] for name in spec.objectives],
            sampler=self._sampler,
        )
        for number, (params, trial) in enumerate(zip(known, past, strict=True)):
            self.begin()
            if params is None:
                self.tell(number, Past({}, "failed"))
                continue
            self.settle(number, params)
            # They are the first generation of NSGA-II, which else would not see them.
            self._storage.set_trial_system_attr(
                self._trial(number)._trial_id, NSGAIISampler._get_generation_key(), 0
            )
            if trial.state != "running":
                self.tell(number, trial)

    def begin(self) -> int:
        """The number of a new trial, which has no parameters yet."""
        return self._study.ask().number

    def propose(self, number: int, seed: int) -> Params:
        """Parameters for a trial that has none yet, as `Study.ask` would propose them."""
        reseed(self._sampler, seed)
        study, trial = self._study, self._trial(number)
        # The same bits whatever the number of cores; and torch's threads would fight NumPy's.
        with threadpool_limits(1):
            joint = self._sampler.sample_relative(
                study, trial, self._sampler.infer_relative_search_space(study, trial)
            )
        found = {}
        for name, entry in self._searched.items():
            value = joint.get(name)
            if name not in joint or not contains(entry, value):
                value = self._sampler.sample_independent(study, trial, name, entry)
            found[name] = entry.to_external_repr(entry.to_internal_repr(value))
        return found

    def settle(self, number: int, params: Mapping[str, Any]) -> None:
        """These are the trial's parameters; Optuna need not have proposed them."""
        trial = self._trial(number)._trial_id
        for name, entry in self._searched.items():
            inner = entry.to_internal_repr(params[name])
            self._storage.set_trial_param(trial, name, inner, entry)

    def tell(self, number: int, past: Past) -> None:
        """A trial has ended."""
        trial = self._trial(number)
        if trial.state != TrialState.RUNNING:
            return  # forgotten, since it lies outside of the space as it is now
        for step, value in past.reports.items():
            self._storage.set_trial_intermediate_value(trial._trial_id, step, value)
        told = optuna.Trial(self._study, trial._trial_id)
        for i, violation in enumerate(past.violations):
            told.set_constraint(str(i), violation)
        # Study.tell does the same, and copies the trial several times over.
        self._storage.set_trial_state_values(trial._trial_id, STATES[past.state], past.values)

    def _trial(self, number: int) -> FrozenTrial:
        study = self._storage.get_study_id_from_name("sweep")
        return self._storage.get_trial(
            self._storage.get_trial_id_from_study_id_trial_number(study, number)
        )


def check(spec: StudySpec) -> None:
    """Raise StudyFileError if the study's sampler needs a package that is missing."""
    # Without greenlet, Optuna optimizes in another order, to other floats.
    missing = [name for name in ("torch", "greenlet") if find_spec(name) is None]
    if spec.search.sampler == "gp" and missing:
        raise StudyFileError(
            f'search.sampler = "gp": needs {" and ".join(missing)}, not installed here; use '
            "pip install 'sweep[gp]', or search with \"tpe\""
        )


def reseed(sampler: BaseSampler, seed: int) -> None:
    """Make the sampler's next suggestions those of a new sampler with this seed.

    A new sampler for every trial would do the same, and lose Optuna's cache of the search space.
    """
    for part in vars(sampler).values():
        if isinstance(part, LazyRandomState):
            part.rng.seed(seed)
        elif isinstance(part, BaseSampler):
            reseed(part, seed)
    if isinstance(sampler, GPSampler):
        # The last kernel's parameters, from which the next fit would start: a state that only
        # those samplers have that made every suggestion themselves.
        sampler._gprs_cache_list = sampler._constraints_gprs_cache_list = None


def _cma_es(
    searched: draws.Searched, known: Sequence[Params | None], past: Sequence[Past]
) -> BaseSampler:
    """From the best trials there are (Nomura et al. 2021, arXiv:2012.06932), if they are enough."""
    numbers = {
        name: entry
        for name, entry in searched.items()
        if not isinstance(entry, CategoricalDistribution)
    }
    source = [
        create_trial(
            values=trial.values,
            params={name: params[name] for name in numbers},
            distributions=numbers,
        )
        for params, trial in zip(known, past, strict=True)
        if params is not None and trial.state == "complete"
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return CmaEsSampler(
            warn_independent_sampling=False,
            source_trials=source if len(source) >= SOURCE_TRIALS else None,
        )


SAMPLERS: dict[
    str, Callable[[draws.Searched, Sequence[Params | None], Sequence[Past]], BaseSampler]
] = {
    "gp": lambda *past: GPSampler(warn_independent_sampling=False),
    "cma_es": _cma_es,
    "nsga2": lambda *past: NSGAIISampler(),
}
"""From the space, and the trials and their parameters in it when a study begins or it changes."""

REMEMBERS = ("cma_es", "nsga2")
"""Samplers that keep more of their own suggestions than the trials: a resume asks them again."""

COMPLETE_ONLY = ("gp", "cma_es", "nsga2")
"""Samplers that learn from complete trials only."""

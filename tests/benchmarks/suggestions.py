"""How long a proposal takes, by the number of trials before it.

python -m tests.benchmarks.suggestions [ASKS]

Six parameters, one objective, a third of the trials complete and the others pruned at rungs: the
median CPU milliseconds of ASKS proposals (20) of our TPE, of Optuna's, and of rustuna's if that is
installed, one of each after the other, on one thread, and how many times as long as ours Optuna's
takes, as the median over the pairs.
"""

import math
import random
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from typing import Any

import optuna
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial
from threadpoolctl import threadpool_limits

from sweep import studyfile, tpe
from sweep.past import Past
from sweep.space import distributions

TRIALS = (100, 1_000, 10_000, 100_000)
ASKS = 20
PEERS = 10_000
"""Trials up to which others are asked, too."""

SPEC = studyfile.from_json(
    {
        "name": "suggestions",
        "data": {"source": "sklearn:digits"},
        "space": {
            "neurons": {"low": 16, "high": 256, "log": True},
            "activation": ["relu", "tanh", "sigmoid"],
            "optimizer": ["sgd", "momentum", "adam"],
            "batch_size": {"low": 16, "high": 256, "log": True},
            "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
            "l2": {"low": 1e-6, "high": 1e-2, "log": True},
        },
        "search": {"trials": 1},
    }
)
ENTRIES = distributions(SPEC.space)


def history(trials: int) -> list[Past]:
    """Trials whose parameters lie anywhere and whose values have nothing to do with them."""
    rng, past = random.Random(0), []
    for i in range(trials):
        params: dict[str, Any] = {
            name: rng.choice(entry.choices)
            if isinstance(entry, optuna.distributions.CategoricalDistribution)
            else type(entry.low)(math.exp(rng.uniform(math.log(entry.low), math.log(entry.high))))
            for name, entry in ENTRIES.items()
        }
        value, reports = rng.random(), {3**k: rng.random() for k in range(i % 3)}
        complete = i % 3 == 2
        ended = "complete" if complete else "pruned"
        past.append(Past(params, ended, (value,) if complete else None, (), reports))
    return past


def ours(past: list[Past]) -> Callable[[], object]:
    model = tpe.TPE(SPEC, SPEC.space, past)
    seeds = iter(range(10**9))

    def ask() -> None:
        place = model.begin()
        model.settle(place, model.propose(place, next(seeds)))

    return ask


def optuna_s(past: list[Past]) -> Callable[[], object]:
    study = optuna.create_study(direction="maximize", sampler=TPESampler(seed=0))
    study.add_trials(
        create_trial(
            state=TrialState.COMPLETE if trial.values else TrialState.PRUNED,
            values=trial.values,
            params=dict(trial.params),
            distributions=ENTRIES,
            intermediate_values=trial.reports,
        )
        for trial in past
    )
    return partial(study.ask, ENTRIES)


def rustuna_s(past: list[Past]) -> Callable[[], object]:
    rustuna = import_module("rustuna")
    kinds = rustuna.distributions
    entries = {
        name: kinds.CategoricalDistribution(entry.choices)
        if isinstance(entry, optuna.distributions.CategoricalDistribution)
        else getattr(kinds, type(entry).__name__)(entry.low, entry.high, log=entry.log)
        for name, entry in ENTRIES.items()
    }
    study = rustuna.create_study(
        direction="maximize", sampler=rustuna.samplers.TPESampler(seed=0, multivariate=True)
    )
    for trial in past:
        state = rustuna.trial.TrialState
        study.add_trial(
            rustuna.create_trial(
                state=state.COMPLETE if trial.values else state.PRUNED,
                values=trial.values,
                params=dict(trial.params),
                distributions=entries,
                intermediate_values=trial.reports,
            )
        )

    def ask() -> None:
        trial = study.ask()
        for name, entry in ENTRIES.items():
            match entry:
                case optuna.distributions.CategoricalDistribution():
                    trial.suggest_categorical(name, entry.choices)
                case optuna.distributions.IntDistribution():
                    trial.suggest_int(name, entry.low, entry.high, log=entry.log)
                case optuna.distributions.FloatDistribution():
                    trial.suggest_float(name, entry.low, entry.high, log=entry.log)

    return ask


def measure(trials: int, asks: int = ASKS) -> dict[str, list[float]]:
    """CPU milliseconds of proposals after so many trials, by who makes them."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    past, peers = history(trials), {"optuna": optuna_s}
    if find_spec("rustuna"):
        peers["rustuna"] = rustuna_s
    asked = {"sweep": ours(past)}
    if trials <= PEERS:
        asked |= {name: make(past) for name, make in peers.items()}
    with threadpool_limits(1):
        rounds = [{name: _milliseconds(ask) for name, ask in asked.items()} for _ in range(asks)]
    return {name: [row[name] for row in rounds] for name in asked}


def main(asks: int = ASKS) -> None:
    """Print a line for each number of trials."""
    for trials in TRIALS:
        found = measure(trials, asks)
        cells = [f"{name} {median(times):.2f} ms" for name, times in found.items()]
        if "optuna" in found:
            pairs = zip(found["optuna"], found["sweep"], strict=True)
            cells.append(f"Optuna takes {median(theirs / own for theirs, own in pairs):.0f} times")
        print(f"{trials:8,} trials: {', '.join(cells)}", flush=True)


def _milliseconds(ask: Callable[[], object]) -> float:
    began = time.process_time()
    ask()
    return 1000 * (time.process_time() - began)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

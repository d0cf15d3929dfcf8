"""The tree-structured Parzen estimator: Optuna's choices, from any history in any space."""

import math
import random

import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial

from sweep import draws, studyfile, tpe
from sweep.entries import Range
from sweep.past import Past
from sweep.space import distributions

CONSTRAINTS = {"loss": {"high": 1.0}, "parameters": {"high": 100.0}}


def spec(objectives):
    return studyfile.from_json(
        {
            "name": "x",
            "data": {"source": "sklearn:iris"},
            "space": {"layers": {"low": 1, "high": 2}},
            "train": {"metric": objectives[0]},
            "search": {"pruner": "none", "sampler": "tpe", "objectives": objectives},
        }
    )


def entry(rng):
    """Any kind of range or list that a study file can have."""
    low, width = rng.uniform(-3, 3), 10 ** rng.uniform(-3, 3)
    first, many = rng.randrange(1, 50), rng.randrange(1, 10 ** rng.randrange(1, 5))
    return rng.choice(
        [
            lambda: Range[float](low=low, high=low + width),
            lambda: Range[float](low=10**low, high=10**low * (1 + width), log=True),
            lambda: Range[float](low=0.0, high=0.1 * rng.randrange(1, 40), step=0.1),
            lambda: Range[int](low=first - 25, high=first - 25 + many),
            lambda: Range[int](low=first, high=first + many, log=True),
            lambda: Range[int](low=first, high=first + 3 * many, step=3),
            lambda: tuple("abcdefgh"[: rng.randrange(2, 8)]),
        ]
    )()


def space(rng, most=8):
    made = {}
    while len(made) < rng.randint(1, most):
        try:
            made[f"p{rng.randrange(1000)}"] = entry(rng)
        except ValueError:
            continue  # high is not low and whole steps, in decimals
    return made


def near(rng, entries, params):
    """Parameters like these: some the same, some drawn anew."""
    drawn = draws.random(entries, rng.randrange(2**31))
    return {name: params[name] if rng.random() < 0.5 else drawn[name] for name in entries}


def history(rng, entries, objectives, count, constrained):
    """Trials that ended in every way, or run; many have values in common with others."""
    past = []
    for i in range(count):
        params = draws.random(entries, rng.randrange(2**31))
        if past and rng.random() < 0.7:
            params = near(rng, entries, rng.choice(past).params)
        states = ("complete", "pruned", "diverged", "failed", "running")
        (state,) = rng.choices(states, (12, 3 if objectives == 1 else 0, 1, 1, 1))
        digits = rng.choice((0, 2, 9))  # ties, too
        values = tuple(round(rng.gauss(0, 2), digits) for _ in range(objectives))
        reports = {} if objectives > 1 else {3**k: rng.gauss(0, 1) for k in range(i % 4)}
        if reports and rng.random() < 0.1:
            reports[max(reports)] = math.nan
        violations = ()
        if constrained and state != "running":
            violations = tuple(
                rng.choice((0.0, 0.0, 0.0, 1.5, math.inf, rng.random())) for _ in "ab"
            )
        if state == "diverged":
            state, reports = "pruned", {}
        past.append(
            Past(params, state, values if state == "complete" else None, violations, reports)
        )
    return past


STATES = {
    "running": TrialState.RUNNING,
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
}


def reference(entries, past, directions):
    """Optuna's study with these trials."""
    study = optuna.create_study(directions=directions)
    study.add_trials(
        create_trial(
            state=STATES[trial.state],
            values=trial.values,
            params=dict(trial.params),
            distributions=entries,
            intermediate_values=trial.reports,
            constraints={str(i): v for i, v in enumerate(trial.violations)},
        )
        for trial in past
    )
    return study


def compare(seed, most=120, asks=4):
    """Proposals from a random history and Optuna's, in pairs; more history from ask to ask."""
    rng = random.Random(seed)
    objectives = rng.choice((["accuracy"], ["log_loss"], ["accuracy", "parameters", "log_loss"]))
    if len(objectives) > 1:
        objectives = objectives[: rng.choice((2, 3))]
    directions = ["maximize" if name == "accuracy" else "minimize" for name in objectives]
    searched = space(rng)
    entries = distributions(searched)
    count = rng.randint(5, most)
    past = history(rng, entries, len(objectives), count, rng.random() < 0.3)
    model = tpe.TPE(spec(objectives), searched, past)
    study = reference(entries, past, directions)
    pairs = []
    for _ in range(asks):
        number = rng.randrange(2**32)
        study.sampler = TPESampler(seed=number)
        place = model.begin()
        params = model.propose(place, number)
        model.settle(place, params)
        pairs.append((params, study.ask(entries).params))
    return pairs


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("seed", range(60))
def test_choices_are_optuna_s(seed):
    """The same to the last bit: of floats, integers and choices, on a log scale and in steps, after
    trials that completed, were pruned, diverged, failed, broke constraints or still run."""
    for ours, optuna_s in compare(seed):
        assert ours == optuna_s

"""The tree-structured Parzen estimator: Optuna's choices, from any history in any space."""

import math
import random

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler, TPESampler
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights
from optuna.trial import TrialState, create_trial

from sweep import draws, studyfile, tpe
from sweep.entries import Range
from sweep.past import Past
from sweep.space import distributions
from sweep.tpe.parzen import faded, mixture


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
        told = values if state == "complete" else None
        past.append(Past(params, state, told, violations, reports))
    for _ in range(count // 20):  # trials of before an edit of the space, which are forgotten
        params = rng.choice(past).params | {rng.choice(list(entries)): "outside"}
        past.insert(rng.randrange(count), Past(params, "complete", (0.0,) * objectives))
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
        if "outside" not in trial.params.values()
    )
    return study


def compare(seed, most=120, asks=5):
    """Proposals from a random history and Optuna's, in pairs; one trial ends after each."""
    rng = random.Random(seed)
    objectives = ["accuracy", "parameters", "log_loss"][: rng.choice((1, 1, 1, 2, 3))]
    if objectives == ["accuracy"]:
        objectives = [rng.choice(("accuracy", "log_loss"))]
    directions = ["maximize" if name == "accuracy" else "minimize" for name in objectives]
    searched = space(rng)
    entries = distributions(searched)
    count = rng.randint(5, most)
    past = history(rng, entries, len(objectives), count, rng.random() < 0.3)
    model = tpe.TPE(spec(objectives), searched, past)
    study = reference(entries, past, directions)
    pairs, running = [], []
    for _ in range(asks):
        number = rng.randrange(2**32)
        study.sampler = TPESampler(seed=number)
        trial, place = study.ask(entries), model.begin()
        pairs.append((model.propose(place, number), trial.params))
        model.settle(place, trial.params)
        running.append((trial, place))
        trial, place = running.pop(rng.randrange(len(running)))
        values = [rng.gauss(-2, 2) for _ in objectives]
        study.tell(trial, values)
        model.tell(place, Past({}, "complete", tuple(values)))
    return pairs


@pytest.mark.parametrize("seed", range(40))
def test_choices_are_optuna_s(seed):
    """The same to the last bit: of floats, integers and choices, on a log scale and in steps, for
    one objective and several, after trials that completed, were pruned, diverged, failed, broke
    constraints, run still or are not in the space."""
    for ours, optuna_s in compare(seed):
        assert ours == optuna_s


@pytest.mark.parametrize("seed", range(20))
def test_densities_are_optuna_s(seed):
    """To 1e-9, from no trial to hundreds; the candidates to the last bit."""
    rng = random.Random(seed)
    entries = distributions(space(rng))
    count = rng.choice((0, 1, 2, 30, 700))
    past = history(rng, entries, 1, count, False) if count else []
    rows = [
        [entry.to_internal_repr(trial.params[name]) for name, entry in entries.items()]
        for trial in past
        if "outside" not in trial.params.values()
    ]
    observed = np.array(rows).reshape(len(rows), len(entries))
    ours = mixture(list(entries.values()), observed, faded(len(rows)), len(rows))
    theirs = _ParzenEstimator(
        dict(zip(entries, observed.T, strict=True)),
        entries,
        _ParzenEstimatorParameters(1.0, True, False, default_weights, True),
    )
    points = ours.sample(np.random.RandomState(seed), 50)
    named = theirs.sample(np.random.RandomState(seed), 50)
    np.testing.assert_array_equal(points, np.array(list(named.values())).T)
    drawn = [draws.random(entries, i) for i in range(50)]
    for name, entry in entries.items():
        named[name] = np.append(named[name], [entry.to_internal_repr(p[name]) for p in drawn])
    points = np.array(list(named.values())).T
    np.testing.assert_allclose(ours.log_density(points), theirs.log_pdf(named), rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_a_random_start_is_optuna_s(seed):
    """What is drawn at random is what Optuna's random sampler draws."""
    entries = distributions(space(random.Random(seed)))
    sampler = RandomSampler(seed)
    drawn = {name: sampler.sample_independent(None, None, name, e) for name, e in entries.items()}
    assert draws.random(entries, seed) == drawn


@pytest.mark.parametrize("good", [True, False])
def test_many_trials(good, monkeypatch):
    """Where there are more than KERNELS others, the latest of these speak and none before, and
    the good trials all do."""
    monkeypatch.setattr(tpe, "KERNELS", 50)
    searched = {"x": Range[float](low=0.0, high=1.0), "c": ("a", "b")}
    entries = distributions(searched)
    past = [
        Past(draws.random(entries, i), "complete", (float(i > 10) + 0.001 * i,)) for i in range(200)
    ]
    changed = draws.random(entries, 999)
    other = [*past]
    other[5 if good else 40] = Past(changed, "complete", past[5 if good else 40].values)
    models = [tpe.TPE(spec(["log_loss"]), searched, trials) for trials in (past, other)]
    ours, others = ([model.propose(200, seed) for seed in range(10)] for model in models)
    assert (ours != others) == good
    latest = tpe.TPE(spec(["log_loss"]), searched, [*past[:20], *past[150:]])
    monkeypatch.setattr(tpe.split, "quota", lambda *_: 20)
    assert [latest.propose(200, seed) for seed in range(10)] == ours

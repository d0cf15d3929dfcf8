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
from scipy.spatial.distance import cdist, pdist

from sweep import draws, studyfile, tpe
from sweep.entries import Range
from sweep.past import Past
from sweep.space import distributions
from sweep.tpe.nearest import coordinates, loss
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
            lambda: Range[float](low=0.1, high=rng.randrange(2, 40) / 10, step=0.1),
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
    past, good = [], rng.choice((0, 2, 12))
    for i in range(count):
        params = draws.random(entries, rng.randrange(2**31))
        if past and rng.random() < 0.7:
            params = near(rng, entries, rng.choice(past).params)
        states = ("complete", "pruned", "diverged", "failed", "running")
        (state,) = rng.choices(states, (good, 3 if objectives == 1 else 0, 1, 1, 1))
        digits = rng.choice((0, 2, 9))  # ties, too
        values = tuple(round(rng.gauss(0, 2), digits) for _ in range(objectives))
        reports = {} if objectives > 1 else {3**k: rng.gauss(0, 1) for k in range(i % 4)}
        if reports and rng.random() < 0.1:
            reports[max(reports)] = math.nan
        violations = ()
        if constrained and state != "running":
            violations = tuple(
                rng.choice((0.0, -2.0, 0.0, 1.5, math.inf, rng.random())) for _ in "ab"
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


def compare(seed, least=5, most=120, asks=5):
    """Proposals from a random history and Optuna's, in pairs; one trial ends after each."""
    rng = random.Random(seed)
    objectives = ["accuracy", "parameters", "log_loss"][: rng.choice((1, 1, 1, 2, 3))]
    if objectives == ["accuracy"]:
        objectives = [rng.choice(("accuracy", "log_loss"))]
    directions = ["maximize" if name == "accuracy" else "minimize" for name in objectives]
    searched = space(rng)
    entries = distributions(searched)
    count = rng.randint(least, most)
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


@pytest.mark.parametrize("seed", range(8))
def test_choices_after_many_trials_are_optuna_s(seed):
    """Of several objectives a tenth of the trials are good, however many these are."""
    for ours, optuna_s in compare(seed, least=350, most=450, asks=2):
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


MIXED = {
    "x": Range[float](low=1e-4, high=1.0, log=True),
    "y": Range[float](low=-1.0, high=1.0),
    "layers": Range[int](low=1, high=4),
    "c": ("a", "b", "c"),
}


def asked(trials, running=()):
    """A model that has proposed so many trials one after the other, and the trials; some of them
    run still, and all others were told two places late."""
    model, past = tpe.TPE(spec(["log_loss"]), MIXED, ()), []
    for i in range(trials + 2):
        if i < trials:
            place = model.begin()
            params = model.propose(place, 7 * i)
            model.settle(place, params)
            slope = abs(math.log10(params["x"]) + 2) + abs(params["layers"] - 2)
            value = slope + params["y"] ** 2 + "bca".index(params["c"])
            past.append(Past(params, "complete", (value,)))
        if i >= 2 and i - 2 not in running:
            model.tell(i - 2, past[i - 2])
    return model, [Past(t.params) if i in running else t for i, t in enumerate(past)]


def test_of_many_trials_those_speak_that_matter(monkeypatch):
    """Where there are more others than KERNELS, these are so many, and most proposals those that
    all others lead to; of the latest ones, hardly any would be."""
    model, _ = asked(400)
    proposals = [model.propose(400, seed) for seed in range(50)]
    modelled = []

    def counted(entries, observed, weights, every):
        modelled.append((len(observed), every))
        return mixture(entries, observed, weights, every)

    monkeypatch.setattr(tpe, "KERNELS", 150)
    monkeypatch.setattr(tpe, "mixture", counted)
    same = [model.propose(400, seed) == proposal for seed, proposal in enumerate(proposals)]
    assert modelled == [(25, 25), (150, 375)] * 50, "as many, as wide as among all"
    assert np.mean(same) > 0.8


def test_of_trials_alike_the_latest_speak(monkeypatch):
    """Where all others are equally far away, those are heard that weigh the most."""
    params = {"x": 0.1, "y": 0.0, "layers": 2, "c": "a"}
    past = [Past(params, "complete", (float(i),)) for i in range(200)]
    weighed = []

    def noted(entries, observed, weights, every):
        weighed.append(weights)
        return mixture(entries, observed, weights, every)

    monkeypatch.setattr(tpe, "KERNELS", 60)
    monkeypatch.setattr(tpe, "mixture", noted)
    tpe.TPE(spec(["log_loss"]), MIXED, past).propose(200, 0)
    np.testing.assert_array_equal(weighed[1], faded(180)[-60:])


def test_what_was_forgotten_stays_so():
    """A trial that ran when the space was edited, and lies outside of it, teaches nothing when it
    ends."""
    _, past = asked(40)
    outside = Past(past[0].params | {"c": "d"})
    models = [tpe.TPE(spec(["log_loss"]), MIXED, [*past, outside]) for _ in range(2)]
    models[1].tell(40, Past(outside.params, "complete", (-9.0,)))
    assert models[1].propose(41, 3) == models[0].propose(41, 3)


def test_a_model_of_many_trials_can_be_rebuilt(monkeypatch):
    """From the record, whatever the order in which the trials ended: also those that run."""
    monkeypatch.setattr(tpe, "KERNELS", 50)
    model, past = asked(200, running={100, 198})
    rebuilt = tpe.TPE(spec(["log_loss"]), MIXED, past)
    proposals = [model.propose(200, seed) for seed in range(20)]
    assert [rebuilt.propose(200, seed) for seed in range(20)] == proposals


def test_trade_offs_do_not_depend_on_which_trial_ended_first():
    """Of several objectives with ties: told in any order, the same trials are the good ones."""
    rng = random.Random(0)
    _, past = asked(60)
    for _ in range(10):
        past = [Past(t.params, "complete", (rng.randrange(4), rng.randrange(4))) for t in past]
        models = [tpe.TPE(spec(["log_loss", "parameters"]), MIXED, ()) for _ in range(2)]
        for model, order in zip(models, (range(60), rng.sample(range(60), 60)), strict=True):
            for trial in past:
                model.settle(model.begin(), trial.params)
            for place in order:
                model.tell(place, past[place])
        assert models[0].propose(60, 1) == models[1].propose(60, 1)


@pytest.mark.parametrize("seed", range(10))
def test_the_loss_of_trials(seed):
    """Half of the squared distance to the nearest point."""
    rng = np.random.default_rng(seed)
    trials, points = rng.normal(0, 10, (50, 6)), rng.normal(0, 10, (7, 6))
    expected = cdist(trials, points, "sqeuclidean").min(axis=1) / 2
    found = loss(trials.T.astype(np.float32), points.astype(np.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-3)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("kind", [float, int])
def test_coordinates_of_numbers(kind, log):
    """A range is a hundred of its narrowest kernels long, on its scale."""
    (entry,) = distributions({"p": Range[kind](low=kind(4), high=kind(9), log=log)}).values()
    middle = 6 if log else 6.5
    found = [coordinates([entry], [x])[0] for x in (4, middle, 9)]
    assert np.diff(found) == pytest.approx([50, 50])


def test_coordinates_of_choices():
    """Any two are as far apart."""
    (entry,) = distributions({"p": ("a", "b", "c")}).values()
    found = np.array([coordinates([entry], [x]) for x in range(3)])
    np.testing.assert_allclose(pdist(found, "sqeuclidean") / 2, [9, 9, 9])


def test_kernels_of_some_are_as_wide_as_among_all():
    """Every second of nineteen numbers at equal distances, and of as many choices."""
    entries = list(distributions({"x": Range[float](low=0.0, high=1.0), "c": ("a", "b")}).values())
    rows = np.column_stack([np.arange(1, 20) / 20, np.arange(19) % 2])
    every = mixture(entries, rows, np.ones(19), 19)
    some = mixture(entries, rows[1::2], np.ones(9), 19)
    inner = slice(1, -1)
    np.testing.assert_allclose(
        some.parts[0].widths[some.parts[0].rows[:-1]][inner],
        every.parts[0].widths[every.parts[0].rows[1:-1:2]][inner],
        rtol=0.1,
    )
    np.testing.assert_array_equal(some.parts[1].table, every.parts[1].table)

"""The noise of seeds, against studies whose noise is known."""

from math import sqrt

import numpy as np
import pytest

from sweep.errors import UsageError
from sweep.noise import ENOUGH, Noise, noise
from sweep.overview import place
from sweep.results import load
from sweep.spec import StudySpec
from sweep.studyfile import from_json, to_json
from tests.sweep.studies import finish, small


@pytest.fixture
def spec(tmp_path):
    return small(tmp_path)


def rows(rng, spec, count, sigma, effect=1.0):
    """Complete trials whose value is a smooth function of their parameters, and noise."""
    made = []
    for number in range(count):
        rate = float(10 ** rng.uniform(-4, 0))
        params = {
            "layers": 1,
            "neurons_1": int(rng.integers(2, 17)),
            "activation": str(rng.choice(["relu", "tanh", "signum"])),
            "optimizer": "adam",
            "batch_size": 16,
            "learning_rate": rate,
        }
        value = effect * (np.log10(rate) + 2) ** 2 / 4 + sigma * rng.normal()
        made.append(trial(number, params, value))
    return made


def trial(number, params, value, error=None):
    return {
        "number": number,
        "params": params,
        "state": "complete",
        "value": float(value),
        "values": None,
        "constraints": None,
        "standard_error": error,
    }


def with_search(spec, **changes) -> StudySpec:
    raw = to_json(spec)
    return from_json(raw | {"search": raw["search"] | changes})


def covered(estimates, sigma):
    """The share of the intervals that hold the truth."""
    return np.mean([each.low <= sigma <= each.high for each in estimates])


def leading(spec, trials, count):
    """The numbers of the best trials."""
    return [row["number"] for row in sorted(trials, key=lambda row: place(spec, row))[:count]]


def test_from_retrainings(spec):
    """The spread within leaders, whose means differ and who share their seeds."""
    rng, found = np.random.default_rng(0), []
    trials = rows(rng, spec, 30, 0.05)
    for _ in range(60):
        retrained = {
            (leader, 1, 0, seed): leader + 0.05 * rng.normal()
            for leader in leading(spec, trials, 5)
            for seed in range(8)
        }
        found.append(noise(spec, trials, retrained))
    assert {(each.source, each.degrees, each.is_bound) for each in found} == {
        ("confirmation", 35, False)
    }
    assert np.mean([each.standard_deviation for each in found]) == pytest.approx(0.05, rel=0.05)
    assert covered(found, 0.05) > 0.85


def test_from_retrainings_on_folds(spec):
    """How hard a fold is, which all share, is no noise of the seeds."""
    rng = np.random.default_rng(1)
    trials = rows(rng, spec, 10, 0.1)
    retrained = {
        (leader, 3, fold, seed): 10.0 * fold + 0.1 * rng.normal()
        for leader in leading(spec, trials, 4)
        for fold in range(3)
        for seed in range(6)
    }
    found = noise(spec, trials, retrained)
    assert found.standard_deviation == pytest.approx(0.1, rel=0.3)
    assert found.degrees == 4 * 3 * 5


def test_a_bad_leader_is_not_the_noise_of_the_best(spec):
    """One that is confirmed with all others, and moves a hundred times as much."""
    rng = np.random.default_rng(8)
    trials = rows(rng, spec, 12, 0.1)
    spread = dict.fromkeys(leading(spec, trials, 12), 0.1) | {leading(spec, trials, 12)[-1]: 10.0}
    retrained = {
        (leader, 1, 0, seed): deviation * rng.normal()
        for leader, deviation in spread.items()
        for seed in range(6)
    }
    found = noise(spec, trials, retrained)
    assert found.top == 6
    assert found.degrees == 6 * 5
    assert found.standard_deviation == pytest.approx(0.1, rel=0.3)


def test_from_replicates(spec):
    """The noise of a value is that of the mean over replicates."""
    rng, replicates = np.random.default_rng(2), 4
    study, found = with_search(spec, replicates=replicates), []
    for _ in range(60):
        trials = []
        for number, row in enumerate(rows(rng, spec, 12, 0.0)):
            values = row["value"] + 0.2 * rng.normal(size=replicates)
            error = values.std(ddof=1) / sqrt(replicates)
            trials.append(trial(number, row["params"], values.mean(), error))
        found.append(noise(study, trials, {}))
    assert {(each.source, each.degrees) for each in found} == {("replicates", 36)}
    assert np.mean([each.standard_deviation for each in found]) == pytest.approx(0.1, rel=0.05)
    assert covered(found, 0.1) > 0.85
    retrained = {(0, 1, 0, seed): 0.2 * rng.normal() for seed in range(500)}
    measured = noise(study, trials, retrained)
    assert measured.standard_deviation == pytest.approx(0.1, rel=0.1), "a mean of four varies half"


def test_from_repeats(spec):
    """Trials of the same configuration differ by their seeds alone."""
    rng = np.random.default_rng(3)
    once = rows(rng, spec, 8, 0.0)
    values = [(row, row["value"] + 0.3 * rng.normal()) for row in once for _ in range(5)]
    trials = [trial(n, row["params"], value) for n, (row, value) in enumerate(values)]
    found = noise(spec, trials, {})
    assert (found.source, found.degrees) == ("repeats", 32)
    assert found.standard_deviation == pytest.approx(0.3, rel=0.3)


@pytest.mark.parametrize("effect", [0.0, 1.0])
def test_from_neighbours(spec, effect):
    """Without anything better, pairs that are alike bound the noise from above; closely, if the
    parameters make no difference between neighbours."""
    rng, found = np.random.default_rng(4), []
    for _ in range(30):
        found.append(noise(spec, rows(rng, spec, 120, 0.1, effect), {}))
    assert {(each.source, each.degrees, each.is_bound) for each in found} == {
        ("neighbours", 30, True)
    }
    mean = np.mean([each.standard_deviation for each in found])
    assert 0.095 < mean < (0.105 if not effect else 0.14)
    assert all("or less" in each.text for each in found)


def test_many_trials_are_quick(spec):
    """Of ten thousand trials the neighbours are looked for among some."""
    found = noise(spec, rows(np.random.default_rng(5), spec, 10_000, 0.1), {})
    assert found.degrees == 250
    assert found.trials == 10_000


def test_too_few(spec):
    """Nothing is said of a handful of trials."""
    few = rows(np.random.default_rng(6), spec, 4 * ENOUGH - 1, 0.1)
    for trials, said in ((few[:2], "2 complete trials"), (few, "sweep confirm small measures it")):
        with pytest.raises(UsageError, match=said):
            noise(spec, trials, {})


def test_what_it_advises():
    """More seeds where the best differ by no more than luck, else more trials."""
    fields = {
        "low": 0.09, "high": 0.11, "degrees": 99, "source": "confirmation", "is_bound": False,
        "trials": 50, "spread": 0.5, "top": 10, "objective": "accuracy",
    }  # fmt: skip
    lucky = Noise(standard_deviation=0.1, top_spread=0.11, **fields)
    clear = Noise(standard_deviation=0.1, top_spread=0.4, **fields)
    assert lucky.share == pytest.approx(0.04)
    assert "mostly luck" in lucky.text
    assert "more trials may find better ones" in clear.text
    assert Noise(standard_deviation=0.1, top_spread=0.05, **fields).top_share == 1.0
    assert lucky.record()["share"] == lucky.share


def test_a_study_knows_its_noise(tmp_path):
    """From its neighbours before it is confirmed, from its retrainings after."""
    study = finish(small(tmp_path, pruner="none", sampler="random"), tmp_path / "sweep.db")
    assert study.noise().source == "neighbours"
    found = study.confirm(3, 4, backend="serial")
    within = found.retrainings.groupby("trial")["value"].var()
    measured = load("small", tmp_path / "sweep.db").noise()
    assert (measured.source, measured.degrees) == ("confirmation", 9)
    assert measured.standard_deviation == pytest.approx(np.sqrt(within.mean()))

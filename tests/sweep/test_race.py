"""The race, by itself: who drops out, with which risk, and what resampling says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap, ttest_rel

from sweep import race as racing
from sweep.race import Race, Score, behind
from sweep.spec import Bounds


def run(values, **options):
    """The race of these values (leaders, rounds), NaN for a training without a score."""
    race = Race(tuple(range(len(values))), len(values[0]), **options)
    while not race.is_over:
        race.count({n: score(values[n][race.done]) for n in race.left})
    return race


def score(value, *measures):
    return Score(None if np.isnan(value) else float(value), measures)


@given(st.integers(0, 10**6), st.integers(2, 12), st.integers(3, 30))
@settings(max_examples=50, deadline=None)
def test_behind_is_a_paired_t_test(seed, leaders, rounds):
    """Each leader's p-value against the best is SciPy's."""
    rng = np.random.default_rng(seed)
    costs = (
        rng.normal(size=(leaders, rounds)) + rng.normal(size=rounds) + np.arange(leaders)[:, None]
    )
    worse = behind(costs, 0, 0.01)
    for row, is_worse in zip(costs[1:], worse[1:], strict=True):
        assert is_worse == (ttest_rel(row, costs[0], alternative="greater").pvalue < 0.01)
    assert not worse[0]


NOISES = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "heavy tails": lambda rng, shape: rng.standard_t(3, size=shape),
    "lucky seeds": lambda rng, shape: rng.lognormal(0, 1, size=shape),
    "bad seeds": lambda rng, shape: -rng.lognormal(0, 1, size=shape),
    "few rows": lambda rng, shape: rng.integers(0, 2, size=shape).astype(float),
    "hard seeds": lambda rng, shape: rng.normal(size=shape) + 3 * rng.normal(size=shape[1]),
}


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(("leaders", "rounds"), [(10, 20), (3, 12)])
def test_the_best_is_dropped_with_at_most_the_stated_risk(noise, leaders, rounds):
    """Where all are as good as the best, so that it is easiest to lose."""
    rng, count, lost = np.random.default_rng(0), 100, 0
    for _ in range(count):
        values = NOISES[noise](rng, (leaders, rounds))
        lost += 0 in run(values).dropped
    assert lost / count <= racing.RISK


def test_clearly_worse_leaders_spare_work():
    """Nine that are three standard deviations behind drop out early, and the best stays."""
    rng, count, work = np.random.default_rng(1), 40, 0
    for _ in range(count):
        values = rng.normal(size=(10, 20)) - 3 * (np.arange(10) > 0)[:, None]
        race = run(values)
        assert 0 in race.left
        work += sum(map(len, race.scores.values()))
    assert work / count < 0.55 * 200


def test_nobody_is_dropped_by_a_few_equal_differences():
    """A t-test would be certain of five equal differences, which chance makes one time in 32."""
    values = np.ones((10, 20))
    values[1:] = 0.9
    race = run(values)
    assert set(race.dropped.values()) == {8}
    assert run(values[:2]).dropped == {1: 5}


def test_a_dropped_leader_has_the_interval_of_its_own_rounds():
    """It is that of a race that ended when it was dropped."""
    values = np.random.default_rng(11).normal(size=(4, 20)) - 4 * (np.arange(4) > 1)[:, None]
    whole = run(values).standings(0)[3]
    assert whole.dropped_after == whole.rounds < 20
    short = run(values[:, : whole.rounds]).standings(0)[3]
    assert (short.mean, short.standard_error) == (whole.mean, whole.standard_error)
    assert (whole.low, whole.high) == pytest.approx((short.low, short.high), abs=0.05)
    assert whole.p_best < 0.001


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_the_race_knows_nothing_of_rounds_to_come(seed):
    """Its state after a round is the same whatever would have come later."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(6, 20)) - np.arange(6)[:, None]
    other = values.copy()
    other[:, 12:] = rng.normal(size=(6, 8))
    one, two = (Race(tuple(range(6)), 20) for _ in range(2))
    for index in range(12):
        assert one.count({n: score(values[n, index]) for n in one.left}) == two.count(
            {n: score(other[n, index]) for n in two.left}
        )
    assert one == two


def test_directions_mirror_each_other():
    """To minimize costs is to maximize what they lack."""
    values = np.random.default_rng(3).normal(size=(5, 16)) - 2 * np.arange(5)[:, None]
    up, down = run(values), run(-values, maximize=False)
    assert up.dropped == down.dropped != {}
    for one, two in zip(up.standings(0), down.standings(0), strict=True):
        assert one.mean == -two.mean
        assert one.p_best == two.p_best
        assert (one.low, one.high) == pytest.approx((-two.high, -two.low))


def test_folds_share_rows():
    """Leaders drop only after whole passes, and folds make a mean less certain than seeds do."""
    values = np.random.default_rng(4).normal(size=(4, 20)) - 3 * np.arange(4)[:, None]
    seeds, folds = run(values), run(values, folds=5)
    assert set(folds.dropped.values()) <= {10, 15}
    kept = next(n for n in seeds.left if n in folds.left)
    errors = [race.standings(0)[kept].standard_error for race in (seeds, folds)]
    assert errors[1] / errors[0] == pytest.approx(np.sqrt((1 / 20 + 1 / 4) / (1 / 20)))


def test_a_training_without_a_score_is_the_worst():
    """It counts as the worst score of any leader, and cannot make a leader look better."""
    values = np.random.default_rng(5).normal(size=(3, 12))
    values[1, [2, 5]] = np.nan
    found = run(values)
    worst = np.nanmin(values)
    assert found.costs(1)[2] == found.costs(1)[5] == -worst
    standing = found.standings(0)[1]
    assert standing.failed == 2
    assert standing.mean == pytest.approx(np.nan_to_num(values[1], nan=worst).mean())
    nothing = run(np.full((2, 12), np.nan))
    assert [each.mean for each in nothing.standings(0)] == [None, None]
    values[0] = np.nan
    assert run(values).winner() != 0


def test_constraints_come_first():
    """Of leaders whose mean breaks a bound none wins while another meets it."""
    race = Race((7, 8), 4, bounds=(Bounds(high=1.0),))
    for measure in (0.5, 1.1, 0.9, 1.4):
        race.count({7: Score(0.9, (measure + 0.5,)), 8: Score(0.5, (measure,))})
    assert [race.broken(7), race.broken(8)] == [1, 0]
    assert race.winner() == 8
    assert [each.p_best for each in race.standings(0)] == [0.0, 1.0]


def test_intervals_are_those_of_the_bootstrap():
    """But for n - 1 of n, by which resampling alone is too narrow, they are SciPy's percentiles."""
    values = np.random.default_rng(6).exponential(size=(3, 20))
    for each, sample in zip(run(values).standings(1), values, strict=True):
        found = bootstrap((sample,), np.mean, method="percentile", rng=0).confidence_interval
        wider = [sample.mean() + np.sqrt(20 / 19) * (end - sample.mean()) for end in found]
        assert (each.low, each.high) == pytest.approx(wider, abs=0.02)
        assert each.mean == pytest.approx(sample.mean())
        assert each.standard_error == pytest.approx(sample.std(ddof=1) / np.sqrt(20))


def test_the_chance_to_be_best_is_that_of_the_means():
    """Of two leaders with normal differences it is the normal probability of their order."""
    rng = np.random.default_rng(7)
    first = rng.normal(size=30)
    difference = rng.normal(size=30)
    difference += 1.0 / np.sqrt(30) * difference.std(ddof=1) - difference.mean()
    one, two = run(np.array([first, first - difference])).standings(2)
    assert one.p_best == pytest.approx(0.8413, abs=0.02)  # Phi(1)
    assert one.p_best + two.p_best == pytest.approx(1)


def test_ties_are_shared():
    """Leaders with the same scores have the same chance."""
    values = np.random.default_rng(8).integers(0, 3, size=12) / 3
    assert [each.p_best for each in run(np.array([values] * 4)).standings(0)] == [0.25] * 4


def test_one_leader_needs_no_race():
    """It is trained on every seed, and is the best."""
    race = run(np.random.default_rng(9).normal(size=(1, 6)))
    assert len(race.looks) == 0
    assert [each.p_best for each in race.standings(0)] == [1.0]

"""Samplers without a memory: what they draw is in the space, and evenly so."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import kstest, qmc

from sweep.draws import grid, quasi_random, random
from sweep.entries import Range

SEARCHED = {
    "whole": IntDistribution(1, 9),
    "even": IntDistribution(2, 10, step=2),
    "width": IntDistribution(1, 300, log=True),
    "rate": FloatDistribution(1e-5, 1.0, log=True),
    "share": FloatDistribution(0.0, 0.9),
    "tenth": FloatDistribution(0.0, 0.3, step=0.1),
    "name": CategoricalDistribution(["a", "b", "c"]),
}


@settings(deadline=None)
@given(st.integers(0, 2**63 - 1), st.integers(0, 5000))
def test_quasi_random_is_in_the_space(seed, number):
    """Every value is one that the distribution has, in plain Python, and the same each time."""
    point = quasi_random(SEARCHED, seed, number)
    assert point == quasi_random(SEARCHED, seed, number)
    for name, entry in SEARCHED.items():
        assert entry._contains(entry.to_internal_repr(point[name]))
        assert type(point[name]) in (int, float, str)


def test_quasi_random_is_scipy_s_sequence():
    """The trial of a number has that point of one scrambled Sobol sequence."""
    unit = {name: FloatDistribution(0.0, 1.0) for name in "abc"}
    points = [list(quasi_random(unit, 7, number).values()) for number in range(64)]
    expected = qmc.Sobol(3, rng=np.random.default_rng(7)).random_base2(6)
    np.testing.assert_array_equal(points, expected)
    chance = [list(random(unit, number).values()) for number in range(64)]
    assert qmc.discrepancy(points) < qmc.discrepancy(chance) / 2
    assert points != [list(quasi_random(unit, 8, number).values()) for number in range(64)]


def test_values_are_even():
    """Steps and choices are equally likely, and a log scale is even in the logarithm."""
    points = [quasi_random(SEARCHED, 0, number) for number in range(1024)]
    for name, entry in SEARCHED.items():
        values = [point[name] for point in points]
        if name in ("whole", "even", "tenth", "name"):
            _, counts = np.unique(np.array(values), return_counts=True)
            assert len(counts) == {"whole": 9, "even": 5, "tenth": 4, "name": 3}[name]
            assert max(counts) - min(counts) < 30
        elif name == "rate":
            assert kstest(np.log(values) / np.log(1e-5), "uniform").pvalue > 0.5
        elif name == "share":
            assert kstest(np.array(values) / 0.9, "uniform").pvalue > 0.5
        else:
            assert set(values) >= {*range(1, 10), 300}
            assert entry.low <= min(values) <= max(values) <= entry.high


@pytest.mark.parametrize(
    ("entry", "values"),
    [
        (Range[float](low=0.0, high=0.3, step=0.1), [0.0, 0.1, 0.2, 0.3]),
        (Range[int](low=1, high=7, step=3), [1, 4, 7]),
        (Range[int](low=1, high=3, log=True), [1, 2, 3]),
        (("a", "b"), ["a", "b"]),
        ((True, False), [False, True]),
    ],
)
def test_grid_has_every_value(entry, values):
    """A grid over one parameter is its values, in an order of the seed's."""
    points = grid({"x": entry, "constant": 1}, 3)
    assert sorted(round(x, 9) if isinstance(x, float) else x for (x,) in points) == values


def test_grid_is_shuffled_by_its_seed():
    """The order is the seed's, for ever."""
    space = {"x": tuple(range(5)), "y": ("a", "b")}
    assert [x for x, _ in grid(space, 0)] != [x for x, _ in grid(space, 1)]
    first = [(3, "a"), (0, "b"), (0, "a"), (2, "b"), (1, "b")]
    assert grid(space, 0)[:5] == first

"""Schedules against values worked out by hand."""

import inspect
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer import SCHEDULES, TrainConfig


@pytest.mark.parametrize(
    ("name", "options", "factors"),
    [
        ("constant", {}, {0: 1, 0.5: 1, 0.99: 1}),
        ("cosine", {}, {0: 1, 1 / 3: 0.75, 0.5: 0.5, 2 / 3: 0.25, 1: 0}),
        ("cosine_restarts", {"restarts": 1}, {0: 1, 0.25: 0.5, 0.5: 1, 0.75: 0.5}),
        ("cosine_restarts", {"restarts": 3}, {0.125: 0.5, 0.25: 1, 0.5: 1, 0.75: 1, 0.875: 0.5}),
        ("exponential", {"decay": 0.01}, {0: 1, 0.5: 0.1, 1: 0.01}),
        ("one_cycle", {}, {0: 0.04, 0.15: 0.52, 0.3: 1, 0.65: 0.500002, 1: 4e-6}),
        ("step", {"decay": 0.01, "drops": 2}, {0: 1, 0.33: 1, 1 / 3: 0.1, 0.66: 0.1, 2 / 3: 0.01}),
        ("step", {"decay": 0.5, "drops": 1}, {0.49: 1, 0.5: 0.5, 0.99: 0.5}),
    ],
)
def test_factors(name, options, factors):
    """A schedule has the factors of its definition."""
    found = {at: SCHEDULES[name].function(at, **options) for at in factors}
    assert found == pytest.approx(factors, abs=1e-12)


@given(drops=st.integers(1, 20), each=st.integers(1, 50))
def test_drops_come_on_time(drops, each):
    """A step falls on its epoch, whatever the rounding of epoch / epochs; a restart too."""
    epochs = (drops + 1) * each
    step, restart = SCHEDULES["step"].function, SCHEDULES["cosine_restarts"].function
    for epoch in range(epochs):
        at = step(epoch / epochs, decay=0.1, drops=drops)
        assert at == pytest.approx(0.1 ** (epoch // each / drops))
        if epoch % each == 0:
            assert restart(epoch / epochs, restarts=drops) == pytest.approx(1)


@pytest.mark.parametrize("name", sorted(SCHEDULES))
@given(progress=st.floats(0, 1, exclude_max=True))
def test_bounds(name, progress):
    """With its own defaults a factor is a number from 0 to 1, above 0 before the end."""
    factor = SCHEDULES[name].function(progress)
    assert type(factor) is float
    assert 0 <= factor <= 1
    assert factor > 0 or progress > 0.999


@pytest.mark.parametrize("name", sorted(SCHEDULES))
def test_options_are_fields(name):
    """What a schedule takes, TrainConfig has, and its defaults are the schedule's own."""
    options = TrainConfig(neurons=()).options(SCHEDULES[name].options)
    keywords = inspect.signature(SCHEDULES[name].function).parameters
    assert options == {option: keywords[option].default for option in SCHEDULES[name].options}


def test_one_cycle_is_continuous():
    """At its peak one_cycle does not jump."""
    function = SCHEDULES["one_cycle"].function
    below = function(math.nextafter(0.3, 0))
    assert below == pytest.approx(function(0.3)) == pytest.approx(1)

"""Optimizers on functions with a known minimum, and by hand."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer import OPTIMIZERS, TrainConfig


def descend(name, gradient, start, steps, learning_rate, **options):
    """Parameters after some steps of an optimizer along `gradient(parameters)`."""
    parameters = np.array(start)
    optimizer = OPTIMIZERS[name]
    moments = {key: np.zeros_like(parameters) for key in optimizer.moments}
    for step in range(1, steps + 1):
        optimizer.update(
            parameters,
            np.array(gradient(parameters), dtype=parameters.dtype),
            moments,
            step=step,
            learning_rate=learning_rate,
            **options,
        )
    return parameters


def parabola(p):
    """Gradient of (p - target)^2 at (1, -2), three times as steep in the second direction."""
    return np.array([2, 6]) * (p - [1, -2])


def rosenbrock(p):
    """Gradient of (1 - a)^2 + 100 (b - a^2)^2, whose minimum is at (1, 1)."""
    a, b = p
    return np.array([-2 * (1 - a) - 400 * a * (b - a**2), 200 * (b - a**2)])


TABLE = [
    ("adadelta", parabola, (1, -2), 1000, 3.0),
    ("adagrad", parabola, (1, -2), 1000, 0.5),
    ("adam", parabola, (1, -2), 1000, 0.1),
    ("adamw", parabola, (1, -2), 1000, 0.1),
    ("amsgrad", parabola, (1, -2), 1000, 0.1),
    ("lion", parabola, (1, -2), 2000, 0.005),
    ("momentum", parabola, (1, -2), 300, 0.02),
    ("nadam", parabola, (1, -2), 1000, 0.1),
    ("nesterov", parabola, (1, -2), 300, 0.02),
    ("rmsprop", parabola, (1, -2), 2000, 0.01),
    ("sgd", parabola, (1, -2), 300, 0.1),
    ("adadelta", rosenbrock, (1, 1), 20000, 0.01),
    ("adagrad", rosenbrock, (1, 1), 20000, 0.5),
    ("adam", rosenbrock, (1, 1), 6000, 0.02),
    ("adamw", rosenbrock, (1, 1), 6000, 0.02),
    ("amsgrad", rosenbrock, (1, 1), 6000, 0.02),
    ("lion", rosenbrock, (1, 1), 20000, 0.001),
    ("momentum", rosenbrock, (1, 1), 6000, 2e-4),
    ("nadam", rosenbrock, (1, 1), 6000, 0.02),
    ("nesterov", rosenbrock, (1, 1), 6000, 2e-4),
    ("rmsprop", rosenbrock, (1, 1), 20000, 0.002),
    ("sgd", rosenbrock, (1, 1), 20000, 1e-3),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "function", "minimum", "steps", "learning_rate"),
    TABLE,
)
def test_minimises(name, function, minimum, steps, learning_rate, dtype):
    """Every optimizer finds the minimum, in either precision, and keeps the precision."""
    start = np.array([-1.0, 0.5], dtype=dtype)
    found = descend(name, function, start, steps, learning_rate)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, minimum, atol=0.02)


def test_table_is_covered():
    """The table above has every optimizer, on both functions."""
    assert sorted(row[0] for row in TABLE) == sorted([*OPTIMIZERS, *OPTIMIZERS])


GRADIENTS = [np.array([0.5, -3.0]), np.array([-0.2, 1e-9]), np.array([4.0, 0.0])]


def three_steps(name, **options):
    """Parameters from (1, 2) after three steps of 0.01 along GRADIENTS."""
    sequence = iter(GRADIENTS)
    return descend(name, lambda _: next(sequence), [1.0, 2.0], 3, 0.01, **options)


def test_adam_by_hand():
    """Three steps of Adam equal the algorithm as the paper prints it."""
    p = np.array([1.0, 2.0])
    m = v = np.zeros(2)
    for t, g in enumerate(GRADIENTS, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        p = p - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    np.testing.assert_allclose(three_steps("adam"), p, rtol=1e-14)


def test_adam_first_step():
    """Adam's first step is the learning rate, against the sign of the gradient."""
    found = descend("adam", lambda _: [100.0, -0.001], [0.0, 0.0], 1, 0.1)
    np.testing.assert_allclose(found, [-0.1, 0.1], rtol=1e-4)


def test_momentum_by_hand():
    """Under a constant gradient, momentum sums a geometric series."""
    found = descend("momentum", lambda _: [1.0], [0.0], 3, 0.1, momentum=0.5)
    assert math.isclose(found[0], -0.1 * (1 + 1.5 + 1.75))


def test_nadam_by_hand():
    """Three steps of NAdam equal Dozat's algorithm 2 with a constant mu."""
    p = np.array([1.0, 2.0])
    m = v = np.zeros(2)
    for t, g in enumerate(GRADIENTS, start=1):
        m = 0.8 * m + 0.2 * g
        v = 0.99 * v + 0.01 * g**2
        ahead = 0.8 * m / (1 - 0.8 ** (t + 1)) + 0.2 * g / (1 - 0.8**t)
        p = p - 0.01 * ahead / (np.sqrt(v / (1 - 0.99**t)) + 1e-8)
    np.testing.assert_allclose(three_steps("nadam", beta1=0.8, beta2=0.99), p, rtol=1e-14)


def test_nadam_first_step():
    """NAdam's first step is beta1 / (1 + beta1) + 1 of Adam's."""
    found = descend("nadam", lambda _: [100.0, -0.001], [0.0, 0.0], 1, 0.1)
    step = 0.1 * (0.9 / 1.9 + 1)
    np.testing.assert_allclose(found, [-step, step], rtol=1e-4)


@pytest.mark.parametrize("beta1", [0.0, 0.9])
def test_lion_by_hand(beta1):
    """Three steps of Lion equal the paper's algorithm 2."""
    p, m = np.array([1.0, 2.0]), np.zeros(2)
    for g in GRADIENTS:
        p = p - 0.01 * np.sign(beta1 * m + (1 - beta1) * g)
        m = 0.95 * m + 0.05 * g
    np.testing.assert_allclose(three_steps("lion", beta1=beta1, beta2=0.95), p, rtol=1e-14)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_no_gradient_no_step(name):
    """Where the gradient is zero from the start, as of a dead unit, parameters stay."""
    start = [1.0, -2.0, 0.0]
    np.testing.assert_array_equal(descend(name, lambda p: 0 * p, start, 5, 0.1), start)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
@given(
    size=st.integers(2, 40), split=st.floats(0, 1), seed=st.integers(0, 2**32 - 1), steps=st.just(4)
)
def test_blocks(name, size, split, seed, steps):
    """Updating a vector in two blocks gives the same bits as at once, in moments too."""
    rng = np.random.default_rng(seed)
    optimizer = OPTIMIZERS[name]
    start, gradients = rng.normal(size=size), rng.normal(size=(steps, size))
    edges = [[(0, size)], [(0, cut := int(split * size)), (cut, size)]]
    results = []
    for blocks in edges:
        parameters = start.copy()
        moments = {key: np.zeros(size) for key in optimizer.moments}
        for step, gradient in enumerate(gradients, start=1):
            for a, b in blocks:
                views = {key: moment[a:b] for key, moment in moments.items()}
                optimizer.update(
                    parameters[a:b], gradient[a:b].copy(), views, step=step, learning_rate=0.1
                )
        results.append(np.concatenate([parameters, *moments.values()]))
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_options_are_fields(name):
    """What an optimizer takes, TrainConfig has, and its defaults are the optimizer's own."""
    optimizer = OPTIMIZERS[name]
    options = TrainConfig(neurons=()).options(optimizer.options)
    keywords = inspect.signature(optimizer.update).parameters
    assert set(keywords) >= set(optimizer.options)
    assert all(keywords[option].default == value for option, value in options.items())


def test_decoupled_optimizers():
    """AdamW is Adam's update with weight decay apart, and so is Lion's."""
    assert OPTIMIZERS["adamw"].update is OPTIMIZERS["adam"].update
    assert {name for name in OPTIMIZERS if OPTIMIZERS[name].decoupled} == {"adamw", "lion"}

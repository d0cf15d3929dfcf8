"""Optimizers on functions with a known minimum, and by hand."""

import math

import numpy as np
import pytest

from trainer import OPTIMIZERS


def descend(name, gradient, start, steps, learning_rate, momentum=0.9):
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
            momentum=momentum,
        )
    return parameters


def parabola(p):
    """Gradient of (p - target)^2 at (1, -2), three times as steep in the second direction."""
    return np.array([2, 6]) * (p - [1, -2])


def rosenbrock(p):
    """Gradient of (1 - a)^2 + 100 (b - a^2)^2, whose minimum is at (1, 1)."""
    a, b = p
    return np.array([-2 * (1 - a) - 400 * a * (b - a**2), 200 * (b - a**2)])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "function", "minimum", "steps", "learning_rate"),
    [
        ("adam", parabola, (1, -2), 1000, 0.1),
        ("momentum", parabola, (1, -2), 300, 0.02),
        ("sgd", parabola, (1, -2), 300, 0.1),
        ("adam", rosenbrock, (1, 1), 6000, 0.02),
        ("momentum", rosenbrock, (1, 1), 6000, 2e-4),
        ("sgd", rosenbrock, (1, 1), 20000, 1e-3),
    ],
)
def test_minimises(name, function, minimum, steps, learning_rate, dtype):
    """Every optimizer finds the minimum, in either precision, and keeps the precision."""
    start = np.array([-1.0, 0.5], dtype=dtype)
    found = descend(name, function, start, steps, learning_rate)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, minimum, atol=0.02)


def test_table_is_covered():
    """The table above has every optimizer."""
    assert set(OPTIMIZERS) == {"adam", "momentum", "sgd"}


def test_adam_by_hand():
    """Three steps of Adam equal the algorithm as the paper prints it."""
    gradients = [np.array([0.5, -3.0]), np.array([-0.2, 1e-9]), np.array([4.0, 0.0])]
    p = np.array([1.0, 2.0])
    m = v = np.zeros(2)
    for t, g in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        p = p - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    sequence = iter(gradients)
    found = descend("adam", lambda _: next(sequence), [1.0, 2.0], 3, 0.01)
    np.testing.assert_allclose(found, p, rtol=1e-14)


def test_adam_first_step():
    """Adam's first step is the learning rate, against the sign of the gradient."""
    found = descend("adam", lambda _: [100.0, -0.001], [0.0, 0.0], 1, 0.1)
    np.testing.assert_allclose(found, [-0.1, 0.1], rtol=1e-4)


def test_momentum_by_hand():
    """Under a constant gradient, momentum sums a geometric series."""
    found = descend("momentum", lambda _: [1.0], [0.0], 3, 0.1, momentum=0.5)
    assert math.isclose(found[0], -0.1 * (1 + 1.5 + 1.75))

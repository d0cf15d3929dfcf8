"""L-BFGS against SciPy's, scikit-learn's and the textbook's."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize, rosen, rosen_der
from sklearn.linear_model import LogisticRegression

from trainer.lbfgs import MEMORY, _direction, initial_history, lbfgs


def descend(function, start, steps, history=None, first=1):
    """Loss after each step, parameters and history, of `function(p) -> (loss, gradient)`."""
    parameters, gradient = np.array(start), np.empty_like(start)
    history = initial_history(parameters.size, parameters.dtype) if history is None else history
    evaluations = []

    def evaluate():
        loss, gradient[:] = function(parameters)
        evaluations.append(loss)
        return float(loss)

    losses = [evaluate()]
    for step in range(first, first + steps):
        losses.append(lbfgs(evaluate, losses[-1], parameters, gradient, history, step=step))
        loss, slope = function(parameters)
        assert losses[-1] == loss
        np.testing.assert_array_equal(gradient, slope)
    return losses, parameters, history, evaluations


def rosenbrock(p):
    """Its value and gradient, in any number of dimensions."""
    return rosen(p), rosen_der(p)


def parabola(p):
    """(p - target)^2, a thousand times as steep in the last direction."""
    steep = np.geomspace(1, 1000, len(p)).astype(p.dtype)
    return (steep * (p - 1) ** 2).sum(), 2 * steep * (p - 1)


@pytest.mark.parametrize(
    ("function", "dimensions", "steps"),
    [(parabola, 1, 5), (parabola, 30, 250), (rosenbrock, 2, 60), (rosenbrock, 20, 250)],
)
def test_minimises(function, dimensions, steps):
    """It finds the minimum, at (1, ..., 1), and no step makes the loss larger."""
    losses, found, _, _ = descend(function, np.full(dimensions, -1.2), steps)
    np.testing.assert_allclose(found, 1, atol=1e-6)
    assert all(after <= before for before, after in pairwise(losses))


def test_float32():
    """In single precision it ends where no step lowers the loss, without a warning."""
    losses, found, _, _ = descend(parabola, np.full(10, -1.2, np.float32), 100)
    np.testing.assert_allclose(found, 1, atol=1e-3)
    assert losses[-1] == losses[-2]


def test_direction_is_that_of_bfgs():
    """The two loops equal the inverse Hessian updated as a matrix (Nocedal and Wright, 6.17)."""
    rng = np.random.default_rng(0)
    size, pairs = 6, 4
    a = rng.normal(size=(size, size))
    hessian = a @ a.T + np.eye(size)
    history = initial_history(size, np.dtype(float))
    history["s"][:pairs] = rng.normal(size=(pairs, size))
    history["y"][:pairs] = history["s"][:pairs] @ hessian
    newest_s, newest_y = history["s"][pairs - 1], history["y"][pairs - 1]
    inverse = np.eye(size) * (newest_s @ newest_y) / (newest_y @ newest_y)
    for s, y in zip(history["s"][:pairs], history["y"][:pairs], strict=True):
        side = np.eye(size) - np.outer(s, y) / (s @ y)
        inverse = side @ inverse @ side.T + np.outer(s, s) / (s @ y)
    gradient = rng.normal(size=size)
    found = _direction(gradient, history["s"], history["y"], newest=pairs - 1)
    np.testing.assert_allclose(found, -inverse @ gradient, rtol=1e-10)


def logistic(l2):
    """A function for 40 rows of 3 features, and scikit-learn's coefficients for it."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 3))
    y = (x @ [1.0, -2.0, 0.5] + rng.normal(size=40) > 0).astype(int)
    reference = LogisticRegression(C=1 / (40 * l2), fit_intercept=False, tol=1e-10, max_iter=1000)

    def function(p):
        z = (2 * y - 1) * (x @ p)
        gradient = -(x.T @ ((2 * y - 1) / (1 + np.exp(z)))) / 40 + l2 * p
        return np.logaddexp(0, -z).mean() + l2 / 2 * p @ p, gradient

    return function, reference.fit(x, y).coef_[0]


def test_logistic_regression():
    """It finds scikit-learn's coefficients."""
    function, expected = logistic(0.01)
    _, found, _, _ = descend(function, np.zeros(3), 40)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(("function", "dimensions"), [(parabola, 30), (rosenbrock, 20)])
def test_needs_no_more_evaluations_than_scipy(function, dimensions):
    """It comes within 1e-8 of the minimum in about as many evaluations as SciPy's L-BFGS-B."""
    start, theirs = np.full(dimensions, -1.2), []

    def recorded(p):
        loss, gradient = function(p)
        theirs.append(loss)
        return loss, gradient

    options = {"maxcor": MEMORY, "ftol": 0, "gtol": 1e-9}
    minimize(recorded, start, jac=True, method="L-BFGS-B", options=options)
    _, _, _, ours = descend(function, start, 250)
    first = [next(i for i, loss in enumerate(run) if loss < 1e-8) for run in (ours, theirs)]
    assert first[0] < 1.25 * first[1]


def test_resumes():
    """Going on from the parameters and the history alone gives the same bits."""
    start = np.full(20, -1.2)
    _, expected, whole, _ = descend(rosenbrock, start, 40)
    for stop in (1, MEMORY, MEMORY + 1, 25):
        _, middle, history, _ = descend(rosenbrock, start, stop)
        history = {name: array.copy() for name, array in history.items()}
        _, found, history, _ = descend(rosenbrock, middle, 40 - stop, history, first=stop + 1)
        np.testing.assert_array_equal(found, expected)
        for name, array in history.items():
            np.testing.assert_array_equal(array, whole[name])


def test_stays_at_a_minimum():
    """At a minimum nothing moves, step after step."""
    losses, found, history, _ = descend(parabola, np.ones(4), 3)
    assert losses == [0, 0, 0, 0]
    np.testing.assert_array_equal(found, 1)
    assert not history["s"].any()


def test_kinks():
    """The search also ends on a sum of absolute values, near its minimum."""
    losses, found, _, _ = descend(
        lambda p: (np.abs(p - [1, 2, 3]).sum(), np.sign(p - [1, 2, 3])), np.zeros(3), 60
    )
    assert losses[-1] < 1e-3
    np.testing.assert_allclose(found, [1, 2, 3], atol=1e-3)


def test_infinite_losses_are_stepped_back_from():
    """A line that leads to infinite or undefined losses is searched nearer by."""

    def function(p):
        with np.errstate(all="ignore"):
            return (p[0] - np.log(p[0]), 1 - 1 / p) if p[0] > 0 else (math.nan, np.full(1, np.nan))

    losses, found, _, _ = descend(function, np.array([0.01]), 30)
    assert losses[-1] == pytest.approx(1)
    assert found[0] == pytest.approx(1)

"""Losses against independent references, and their gradients against differences."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, gammaln, log_expit, log_softmax
from scipy.stats import norm, poisson
from sklearn import metrics

from trainer import LOSSES, TrainConfig

REFERENCES = {
    # Each output's loss (targets, rows); for softmax, each row's.
    "gaussian_nll": lambda z, t: (
        -norm.logpdf(t, z[: len(t)], np.exp(z[len(t) :] / 2)) - math.log(2 * math.pi) / 2
    ),
    "hinge": lambda z, t: np.maximum(0, 1 - np.where(t == 1, z, -z)),
    "huber": lambda z, t: np.where(
        np.abs(z - t) <= 1.3, (z - t) ** 2 / 2, 1.3 * (np.abs(z - t) - 0.65)
    ),
    "mean_absolute": lambda z, t: np.abs(z - t),
    "mean_squared": lambda z, t: (z - t) ** 2,
    "poisson": lambda z, t: -poisson.logpmf(t, np.exp(z)) - gammaln(t + 1),
    "quantile": lambda z, t: np.where(t >= z, 0.8 * (t - z), 0.2 * (z - t)),
    "sigmoid_cross_entropy": lambda z, t: -(t * log_expit(z) + (1 - t) * log_expit(-z)),
    "softmax_cross_entropy": lambda z, t: -(t * log_softmax(z, axis=0)).sum(axis=0),
}

VALUES = {"huber_delta": 1.3, "quantile": 0.8}


def draw(loss, n_targets, rows, rng, scale=1.0):
    """Raw outputs and targets that suit a loss."""
    outputs = scale * rng.normal(size=(n_targets * LOSSES[loss].outputs_per_target, rows))
    if loss == "softmax_cross_entropy":
        return outputs, np.eye(n_targets)[:, rng.integers(0, n_targets, rows)]
    if loss in ("sigmoid_cross_entropy", "hinge"):
        return outputs, rng.integers(0, 2, outputs.shape).astype(float)
    if loss == "poisson":
        return outputs, rng.poisson(2, outputs.shape).astype(float)
    return outputs, rng.normal(size=(n_targets, rows))


def evaluate(loss, outputs, targets, weights=None):
    """The loss and its gradient, by the code under test."""
    gradient = np.full_like(outputs, np.nan)
    options = {name: VALUES[name] for name in LOSSES[loss].options}
    kept = outputs.copy()
    LOSSES[loss].gradient(kept, targets, gradient, weights, **options)
    np.testing.assert_array_equal(kept, outputs)
    value = LOSSES[loss].function(kept, targets, weights, **options)
    assert type(value) is float
    return value, gradient


def test_every_loss_has_a_reference():
    """The table above has every loss."""
    assert set(REFERENCES) == set(LOSSES)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scale", [1e-3, 1, 5])
@pytest.mark.parametrize("n_targets", [1, 4])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_value(loss, n_targets, scale, weighted):
    """A loss is the mean over rows, each times its weight, of the mean over outputs."""
    rng = np.random.default_rng(2)
    outputs, targets = draw(loss, n_targets, 50, rng, scale)
    weights = rng.exponential(size=50) if weighted else None
    rows = REFERENCES[loss](outputs, targets)
    rows = rows.mean(axis=0) if rows.ndim == 2 else rows
    expected = (rows if weights is None else rows * weights).sum() / 50
    before = targets.copy()
    value, _ = evaluate(loss, outputs, targets, weights)
    assert value == pytest.approx(expected, rel=1e-12, abs=1e-15)
    np.testing.assert_array_equal(targets, before)


@pytest.mark.parametrize("loss", sorted(LOSSES))
@given(
    n_targets=st.integers(1, 4),
    rows=st.integers(1, 6),
    weighted=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_gradient(loss, n_targets, rows, weighted, seed):
    """Every partial derivative matches its central difference, away from the kinks."""
    rng = np.random.default_rng(seed)
    outputs, targets = draw(loss, n_targets, rows, rng)
    for differences, kinks in (
        (np.abs(outputs - 1) if loss == "hinge" else None, 0),
        (np.abs(outputs + 1) if loss == "hinge" else None, 0),
        (np.abs(outputs - targets) if loss == "huber" else None, VALUES["huber_delta"]),
        (np.abs(outputs - targets) if loss in ("mean_absolute", "quantile") else None, 0),
    ):
        if differences is not None:
            outputs[np.abs(differences - kinks) < 1e-4] += 1e-3
    weights = rng.exponential(size=rows) if weighted else None
    _, gradient = evaluate(loss, outputs, targets, weights)
    step = 1e-6
    for index in np.ndindex(outputs.shape):
        above, below = outputs.copy(), outputs.copy()
        above[index] += step
        below[index] -= step
        values = [evaluate(loss, moved, targets, weights)[0] for moved in (above, below)]
        expected = (values[0] - values[1]) / (2 * step)
        assert abs(gradient[index] - expected) < 1e-7 * max(1, abs(expected)), (
            f"output {index}: gradient {gradient[index]}, differences give {expected}"
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("loss", sorted(set(LOSSES) - {"poisson"}))
def test_extremes(loss, dtype):
    """Loss and gradient stay finite where outputs are enormous, without a warning."""
    rng = np.random.default_rng(3)
    outputs, targets = draw(loss, 3, 40, rng, scale=1000)
    if loss == "gaussian_nll":
        outputs[:3] = 5
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        value, gradient = evaluate(loss, outputs.astype(dtype), targets.astype(dtype))
    assert math.isfinite(value)
    assert gradient.dtype == dtype
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_weight_of_zero(loss):
    """A row of weight 0 is as if it were not there, and a weight of 2 is the row twice."""
    rng = np.random.default_rng(4)
    outputs, targets = draw(loss, 2, 3, rng)
    value, gradient = evaluate(loss, outputs, targets, np.array([0.0, 2.0, 1.0]))
    twice = [1, 1, 2]
    expected, expected_gradient = evaluate(loss, outputs[:, twice], targets[:, twice])
    assert value == pytest.approx(expected, rel=1e-12)
    assert not gradient[:, 0].any()
    np.testing.assert_allclose(gradient[:, 1], 2 * expected_gradient[:, 0], rtol=1e-12)
    np.testing.assert_allclose(gradient[:, 2], expected_gradient[:, 2], rtol=1e-12)


def test_weights_of_one_change_nothing():
    """Weights of 1 give the bits of no weights."""
    rng = np.random.default_rng(5)
    for loss in sorted(LOSSES):
        outputs, targets = draw(loss, 3, 20, rng)
        plain, plain_gradient = evaluate(loss, outputs, targets)
        value, gradient = evaluate(loss, outputs, targets, np.ones(20))
        assert value == plain
        np.testing.assert_array_equal(gradient, plain_gradient)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_options_are_fields(loss):
    """What a loss takes, TrainConfig has, and its defaults are the loss's own."""
    options = TrainConfig(neurons=()).options(LOSSES[loss].options)
    for function in (LOSSES[loss].function, LOSSES[loss].gradient):
        keywords = inspect.signature(function).parameters
        assert options == {name: keywords[name].default for name in LOSSES[loss].options}


def test_hinge_is_scikit_learns():
    """One output's hinge is scikit-learn's `hinge_loss` of a binary decision."""
    outputs, targets = draw("hinge", 1, 60, np.random.default_rng(6))
    expected = metrics.hinge_loss(targets[0], outputs[0])
    assert evaluate("hinge", outputs, targets)[0] == pytest.approx(expected)


def test_quantile_is_scikit_learns():
    """The quantile loss is scikit-learn's `mean_pinball_loss`, and least at the quantile."""
    outputs, targets = draw("quantile", 1, 101, np.random.default_rng(7))
    expected = metrics.mean_pinball_loss(targets[0], outputs[0], alpha=0.8)
    assert evaluate("quantile", outputs, targets)[0] == pytest.approx(expected)
    at = [evaluate("quantile", np.full((1, 101), q), targets)[0] for q in np.sort(targets[0])]
    assert int(np.argmin(at)) == 80


def test_poisson_is_half_the_deviance():
    """The Poisson loss is half of scikit-learn's deviance but for a constant of the targets."""
    outputs, targets = draw("poisson", 1, 60, np.random.default_rng(8))
    targets += 1
    expected = metrics.mean_poisson_deviance(targets[0], np.exp(outputs[0])) / 2
    constant = (targets * np.log(targets) - targets).mean()
    assert evaluate("poisson", outputs, targets)[0] + constant == pytest.approx(expected)


def test_gaussian_nll_of_a_variance_too_small():
    """Below the least variance the loss is that of the least, and a large error still raises it."""
    outputs = np.array([[0.0, 0.0], [-50.0, -math.log(1e6)]])
    targets = np.array([[1.0, 1.0]])
    _, gradient = evaluate("gaussian_nll", outputs, targets)
    np.testing.assert_allclose(gradient[:, 0], gradient[:, 1])
    assert gradient[1, 0] == pytest.approx((1 - 1e6) / 2 / 2)


@pytest.mark.parametrize("loss", sorted(name for name in LOSSES if LOSSES[name].probabilities))
def test_probabilities(loss):
    """Probabilities are finite, sum to one and rank as the outputs do, even in the extreme."""
    outputs = np.array([[-2000.0, 1000, 0.5], [-1990, 0, 0.1], [-1999, -1000, 0.2]])
    probabilities = LOSSES[loss].probabilities(outputs)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1)
    np.testing.assert_array_equal(probabilities.argmax(axis=0), outputs.argmax(axis=0))


def test_values():
    """Predicted values are means: of counts, of a normal, of an indicator; else the outputs."""
    outputs = np.array([[0.5, -1.0], [3.0, -2000.0]])
    np.testing.assert_allclose(LOSSES["poisson"].values(outputs), np.exp(outputs))
    np.testing.assert_array_equal(LOSSES["gaussian_nll"].values(outputs), outputs[:1])
    np.testing.assert_allclose(
        LOSSES["sigmoid_cross_entropy"].values(outputs), expit(outputs), atol=1e-16
    )
    assert {name for name in LOSSES if LOSSES[name].values is None} == {
        "hinge",
        "huber",
        "mean_absolute",
        "mean_squared",
        "quantile",
        "softmax_cross_entropy",
    }

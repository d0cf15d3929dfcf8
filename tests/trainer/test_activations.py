"""Activations against their textbook formulas, and their derivatives against differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit, ndtr

from trainer import ACTIVATIONS

FORMULAS = {
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
    "gelu": lambda z: z * expit(2 * np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)),
    "hard_tanh": lambda z: np.minimum(np.maximum(z, -1), 1),
    "identity": lambda z: z,
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "mish": lambda z: z * np.tanh(np.logaddexp(0, z)),
    "relu": lambda z: np.where(z > 0, z, 0),
    "selu": lambda z: (
        1.0507009873554805 * np.where(z > 0, z, 1.6732632423543772 * np.expm1(np.minimum(z, 0)))
    ),
    "sigmoid": expit,
    "signum": np.sign,
    "silu": lambda z: z * expit(z),
    "softplus": lambda z: np.logaddexp(0, z),
    "tanh": np.tanh,
}

KINKS = {"elu": (0,), "hard_tanh": (-1, 1), "leaky_relu": (0,), "relu": (0,), "selu": (0,)}
"""Where the first or second derivative jumps."""

DIFFERENTIABLE = sorted(set(ACTIVATIONS) - {"signum"})


def value_and_derivative(name, z):
    """f(z) and f'(z), as a hidden layer computes them."""
    activation = ACTIVATIONS[name]
    kept, values = z.copy(), np.empty_like(z)
    activation.function(kept, values)
    derivative = kept if activation.keeps_input else values.copy()
    activation.derivative(derivative)
    return values, derivative


def test_every_activation_has_a_formula():
    """The table above has every activation."""
    assert set(FORMULAS) == set(ACTIVATIONS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_formula(name, dtype):
    """An activation computes its formula to a few units of the last place of max(1, |z|)."""
    z = np.concatenate([np.linspace(-40, 40, 2001), np.linspace(-1, 1, 2001)])
    values, _ = value_and_derivative(name, z.astype(dtype))
    expected = FORMULAS[name](z.astype(dtype).astype(np.float64))
    assert values.dtype == dtype
    error = np.abs(values - expected) / np.maximum(1, np.abs(z))
    assert error.max() < 4 * np.finfo(dtype).eps, (
        f"at z = {z[error.argmax()]}: {values[error.argmax()]} for {expected[error.argmax()]}"
    )


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_in_place(name):
    """An activation may overwrite its input, where it does not keep it."""
    z = np.linspace(-40, 40, 201)
    values, _ = value_and_derivative(name, z)
    if not ACTIVATIONS[name].keeps_input:
        ACTIVATIONS[name].function(z, z)
        np.testing.assert_array_equal(z, values)
    else:
        kept = z.copy()
        ACTIVATIONS[name].function(z, np.empty_like(z))
        np.testing.assert_array_equal(z, kept)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
@given(z=hnp.arrays(np.float64, 20, elements=st.floats(-30, 30)))
def test_derivative(name, z):
    """Derivatives match central differences of the formula, away from the kinks."""
    for kink in KINKS.get(name, ()):
        z[np.abs(z - kink) < 1e-4] += 1
    _, derivative = value_and_derivative(name, z)
    step = 1e-6 * np.maximum(1, np.abs(z))
    formula = FORMULAS[name]
    expected = (formula(z + step) - formula(z - step)) / (2 * step)
    error = np.abs(derivative - expected)
    assert error.max() < 1e-8, (
        f"at z = {z[error.argmax()]}: derivative {derivative[error.argmax()]}, "
        f"differences give {expected[error.argmax()]}"
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_extremes(name, dtype):
    """Far out, values and derivatives are finite and those of the asymptotes."""
    far = np.array([-1e4, 1e4], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        values, derivative = value_and_derivative(name, far)
    np.testing.assert_allclose(values, FORMULAS[name](far.astype(float)), rtol=1e-6, atol=1e-6)
    step = 1.0
    expected = (FORMULAS[name](far + step) - FORMULAS[name](far - step)) / (2 * step)
    np.testing.assert_allclose(derivative, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "kink", "expected"),
    [
        ("elu", 0, 1),
        ("hard_tanh", -1, 0),
        ("hard_tanh", 1, 0),
        ("leaky_relu", 0, 0.01),
        ("relu", 0, 0),
        ("selu", 0, 1.0507009873554805 * 1.6732632423543772),
        ("signum", -1, 1),
        ("signum", 1, 1),
        ("signum", 1.0001, 0),
    ],
)
def test_derivative_at_a_kink(name, kink, expected):
    """At a kink the derivative is PyTorch's; signum lets gradients through up to 1."""
    _, derivative = value_and_derivative(name, np.array([float(kink)]))
    assert derivative[0] == pytest.approx(expected, rel=1e-15)


def test_gelu_is_near_the_exact_one():
    """The tanh form differs from z Phi(z) by less than 5e-4."""
    z = np.linspace(-10, 10, 10001)
    values, _ = value_and_derivative("gelu", z)
    assert np.abs(values - z * ndtr(z)).max() < 5e-4


def test_selu_keeps_mean_and_variance():
    """Of normal inputs with mean 0 and variance 1, SELU's outputs have mean 0 and variance 1."""
    z = np.linspace(-12, 12, 24001)
    weights = np.exp(-(z**2) / 2)
    values, _ = value_and_derivative("selu", z)
    assert np.average(values, weights=weights) == pytest.approx(0, abs=1e-7)
    assert np.average(values**2, weights=weights) == pytest.approx(1, abs=1e-7)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
@settings(max_examples=25)
@given(z=hnp.arrays(np.float64, (3, 17), elements=st.floats(-50, 50)), start=st.integers(0, 16))
def test_elementwise(name, z, start):
    """A unit's value does not depend on the columns around it (a narrower last batch)."""
    values, derivative = value_and_derivative(name, z)
    some, slopes = value_and_derivative(name, z[:, start:])
    np.testing.assert_allclose(some, values[:, start:], rtol=1e-14)
    np.testing.assert_allclose(slopes, derivative[:, start:], rtol=1e-13, atol=1e-15)

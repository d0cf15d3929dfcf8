"""Activation functions and their derivatives, computed in place and without branches."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

LEAK = 0.01


class Activation(NamedTuple):
    """How a hidden layer bends its pre-activations z."""

    function: Callable[[np.ndarray, np.ndarray], object]
    """`function(z, out)` writes f(z) into `out`, which may be z itself unless `keeps_input`."""

    derivative: Callable[[np.ndarray], object]
    """`derivative(a)` overwrites a with f'(z); a is f(z), or z itself if `keeps_input`."""

    initializer: str
    """The initializer that suits it."""

    keeps_input: bool = False
    """Whether the derivative needs z, so that f(z) must not overwrite it."""


def sigmoid(z: np.ndarray, out: np.ndarray) -> None:
    """Write 1 / (1 + exp(-z)) as (1 + tanh(z / 2)) / 2, which cannot overflow."""
    np.multiply(z, 0.5, out=out)
    np.tanh(out, out=out)
    out *= 0.5
    out += 0.5


def sigmoid_derivative(outputs: np.ndarray) -> None:
    """Overwrite s with s (1 - s), as 1/4 - (s - 1/2)^2."""
    outputs -= 0.5
    np.square(outputs, out=outputs)
    np.subtract(0.25, outputs, out=outputs)


def tanh_derivative(outputs: np.ndarray) -> None:
    """Overwrite t with 1 - t^2."""
    np.square(outputs, out=outputs)
    np.subtract(1, outputs, out=outputs)


def signum_derivative(z: np.ndarray) -> None:
    """Overwrite z with 1[|z| <= 1], the clipped straight-through estimator.

    The derivative of the sign is zero almost everywhere; this lets the gradient through as if the
    function were the identity clipped to [-1, 1] (Bengio et al. 2013, arXiv:1308.3432, section 4;
    Hubara et al. 2016, arXiv:1602.02830, equation 4).
    """
    np.absolute(z, out=z)
    np.less_equal(z, 1, out=z)


def relu(z: np.ndarray, out: np.ndarray) -> None:
    """Write max(z, 0)."""
    np.maximum(z, 0, out=out)


def relu_derivative(outputs: np.ndarray) -> None:
    """Overwrite max(z, 0) with 1[z > 0]; the derivative at the kink is zero."""
    np.greater(outputs, 0, out=outputs)


def leaky_relu(z: np.ndarray, out: np.ndarray) -> None:
    """Write max(z, 0.01 z)."""
    np.multiply(z, LEAK, out=out)
    np.maximum(z, out, out=out)


def leaky_relu_derivative(z: np.ndarray) -> None:
    """Overwrite z with 1 where it is positive and 0.01 elsewhere."""
    np.greater(z, 0, out=z)
    z *= 1 - LEAK
    z += LEAK


def ones(outputs: np.ndarray) -> None:
    """Overwrite with 1, the derivative of the identity."""
    outputs.fill(1)


ACTIVATIONS = {
    "identity": Activation(np.positive, ones, "glorot_uniform"),
    "leaky_relu": Activation(leaky_relu, leaky_relu_derivative, "he_uniform", keeps_input=True),
    "relu": Activation(relu, relu_derivative, "he_uniform"),
    "sigmoid": Activation(sigmoid, sigmoid_derivative, "glorot_uniform"),
    "signum": Activation(np.sign, signum_derivative, "glorot_uniform", keeps_input=True),
    "tanh": Activation(np.tanh, tanh_derivative, "glorot_uniform"),
}

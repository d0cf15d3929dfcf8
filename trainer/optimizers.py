"""Optimizers: updates of flat vectors in place.

An update is elementwise, so that it may be given a block at a time. It may use the gradient as
scratch space; those that need its square as well allocate one block, which measures as free.
`step` counts from 1. Formulas and defaults are PyTorch's, unless an update says otherwise.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

EPSILON = 1e-8

ADAGRAD_EPSILON, ADADELTA_EPSILON = 1e-10, 1e-6


class Optimizer(NamedTuple):
    """An update, and what it needs."""

    update: Callable[..., None]
    """`update(parameters, gradient, moments, *, step, learning_rate, **options)`: one step."""

    moments: tuple[str, ...] = ()
    """Names of the vectors that it keeps, which start at zero."""

    options: tuple[str, ...] = ()
    """The fields of TrainConfig that it takes as keywords."""

    decoupled: bool = False
    """Whether weights decay before its update, by learning_rate * weight_decay of themselves
    (Loshchilov and Hutter 2019, arXiv:1711.05101)."""


def sgd(
    parameters: np.ndarray,
    gradient: np.ndarray,
    moments: Mapping[str, np.ndarray],
    *,
    step: int,
    learning_rate: float,
) -> None:
    """p -= learning_rate g."""
    gradient *= learning_rate
    parameters -= gradient


def heavy_ball(
    parameters: np.ndarray,
    gradient: np.ndarray,
    moments: Mapping[str, np.ndarray],
    *,
    step: int,
    learning_rate: float,
    momentum: float = 0.9,
) -> None:
    """v = momentum v + g, then p -= learning_rate v (Polyak 1964, in PyTorch's form)."""
    velocity = moments["velocity"]
    velocity *= momentum
    velocity += gradient
    np.multiply(velocity, learning_rate, out=gradient)
    parameters -= gradient


def nesterov(
    parameters: np.ndarray,
    gradient: np.ndarray,
    moments: Mapping[str, np.ndarray],
    *,
    step: int,
    learning_rate: float,
    momentum: float = 0.9,
) -> None:
    """v = momentum v + g, then p -= learning_rate (g + momentum v).

    Sutskever et al. 2013, in PyTorch's form. Kept is momentum v, which saves a pass.
    """
    velocity = moments["velocity"]
    velocity += gradient
    velocity *= momentum
    gradient += velocity
    gradient *= learning_rate
    parameters -= gradient


def adagrad(
    parameters: np.ndarray,
    gradient: np.ndarray,
    moments: Mapping[str, np.ndarray],
    *,
    step: int,
    learning_rate: float,
) -> None:
    """s += g^2, then p -= learning_rate g / (sqrt(s) + 1e-10) (Duchi et al. 2011, JMLR 12)."""
    total = moments["second"]
    work = np.square(gradient)
    total += work
    np.sqrt(total, out=work)
    work += ADAGRAD_EPSILON
    gradient /= work
    gradient *= learning_rate
    parameters -= gradient


def rmsprop(
    parameters: np.ndarray,
    gradient: np.ndarray,
    moments: Mapping[str, np.ndarray],
    *,
    step: int,
    learning_rate: float,
    beta2: float = 0.99,
) -> None:
    """v = beta2 v + (1 - beta2) g^2, then p -= learning_rate g / (sqrt(v) + 1e-8).

    Tieleman and Hinton 2012, lecture 6.5; beta2 is PyTorch's alpha. Kept is v / (1 - beta2).
    """
    second = moments["second"]
    second *= beta2
    work = np.square(gradient)
    second += work
    deviation = math.sqrt(1 - beta2)
    np.sqrt(second, out=work)
    work += EPSILON / deviation
    gradient /= work
    gradient *= learning_rate / deviation
    parameters -= gradient


def adadelta(
    parameters: np.ndarray,
    gradient: np.ndarray,
    moments: Mapping[str, np.ndarray],
    *,
    step: int,
    learning_rate: float,
    beta2: float = 0.9,
) -> None:
    """A step of sqrt(u + 1e-6) / sqrt(v + 1e-6) g, u and v the mean squares of step and gradient.

    Zeiler 2012, arXiv:1212.5701, algorithm 1, whose learning rate is 1; beta2 is its rho. Kept are
    u / (1 - beta2) and v / (1 - beta2), so epsilon is divided by that too.
    """
    steps, second = moments["steps"], moments["second"]
    epsilon = ADADELTA_EPSILON / (1 - beta2)
    second *= beta2
    work = np.square(gradient)
    second += work
    np.add(second, epsilon, out=work)
    gradient /= np.sqrt(work, out=work)
    np.add(steps, epsilon, out=work)
    gradient *= np.sqrt(work, out=work)
    steps *= beta2
    steps += np.square(gradient, out=work)
    gradient *= learning_rate
    parameters -= gradient


def adam(
    parameters: np.ndarray,
    gradient: np.ndarray,
    moments: Mapping[str, np.ndarray],
    *,
    step: int,
    learning_rate: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
) -> None:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980, algorithm 1).

    The moments are kept as plain discounted sums, m / (1 - beta1) and v / (1 - beta2): two passes
    over memory fewer. The factors they lack, and the bias corrections, go into two scalars.

    With a vector "largest" among them it is AMSGrad, which divides by the largest v so far (Reddi
    et al. 2018, arXiv:1904.09237, algorithm 2), as in PyTorch with Adam's bias corrections.
    """
    dtype = gradient.dtype  # of arrays in place of numbers, which NumPy takes 0.2 us longer for
    first, second = moments["first"], moments["second"]
    first *= np.array(beta1, dtype)
    first += gradient
    np.square(gradient, out=gradient)
    second *= np.array(beta2, dtype)
    second += gradient
    if "largest" in moments:
        second = np.maximum(moments["largest"], second, out=moments["largest"])

    mean = (1 - beta1) / (1 - beta1**step)
    deviation = math.sqrt((1 - beta2) / (1 - beta2**step))
    np.sqrt(second, out=gradient)
    gradient += np.array(EPSILON / deviation, dtype)
    np.divide(first, gradient, out=gradient)
    gradient *= np.array(learning_rate * mean / deviation, dtype)
    parameters -= gradient


def nadam(
    parameters: np.ndarray,
    gradient: np.ndarray,
    moments: Mapping[str, np.ndarray],
    *,
    step: int,
    learning_rate: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
) -> None:
    """Adam with Nesterov's momentum (Dozat 2016, algorithm 2).

    With beta1 constant, as in Optax: PyTorch's and Keras's way of raising it over the first few
    hundred steps would make the update depend on all steps before it.
    """
    first, second = moments["first"], moments["second"]
    first *= beta1
    first += gradient
    second *= beta2
    work = np.square(gradient)
    second += work

    # The gradient and m = (1 - beta1) first, each with a bias correction of its own.
    now = (1 - beta1) / (1 - beta1**step)
    past = beta1 * (1 - beta1) / (1 - beta1 ** (step + 1))
    deviation = math.sqrt((1 - beta2) / (1 - beta2**step))
    gradient *= now
    gradient += np.multiply(first, past, out=work)
    np.sqrt(second, out=work)
    work += EPSILON / deviation
    gradient /= work
    gradient *= learning_rate / deviation
    parameters -= gradient


def lion(
    parameters: np.ndarray,
    gradient: np.ndarray,
    moments: Mapping[str, np.ndarray],
    *,
    step: int,
    learning_rate: float,
    beta1: float = 0.9,
    beta2: float = 0.99,
) -> None:
    """p -= learning_rate sign(beta1 m + (1 - beta1) g), then m = beta2 m + (1 - beta2) g.

    Chen et al. 2023, arXiv:2302.06675, algorithm 2. Kept is m / (1 - beta2).
    """
    first = moments["first"]
    work = first * (beta1 * (1 - beta2) / (1 - beta1))
    work += gradient
    first *= beta2
    first += gradient
    np.sign(work, out=gradient)  # ten times as fast as in place
    gradient *= learning_rate
    parameters -= gradient


OPTIMIZERS = {
    "adadelta": Optimizer(adadelta, ("steps", "second"), ("beta2",)),
    "adagrad": Optimizer(adagrad, ("second",)),
    "adam": Optimizer(adam, ("first", "second"), ("beta1", "beta2")),
    "adamw": Optimizer(adam, ("first", "second"), ("beta1", "beta2"), decoupled=True),
    "amsgrad": Optimizer(adam, ("first", "second", "largest"), ("beta1", "beta2")),
    "lion": Optimizer(lion, ("first",), ("beta1", "beta2"), decoupled=True),
    "momentum": Optimizer(heavy_ball, ("velocity",), ("momentum",)),
    "nadam": Optimizer(nadam, ("first", "second"), ("beta1", "beta2")),
    "nesterov": Optimizer(nesterov, ("velocity",), ("momentum",)),
    "rmsprop": Optimizer(rmsprop, ("second",), ("beta2",)),
    "sgd": Optimizer(sgd),
}

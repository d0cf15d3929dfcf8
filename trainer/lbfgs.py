"""L-BFGS: quasi-Newton steps along the loss of all rows, for small problems.

Nocedal and Wright 2006, Numerical Optimization, algorithms 7.4 and 7.5. The history is arrays of a
fixed size that start at zero, so that it is stored, and gone on from, like any optimizer's moments.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from trainer.memory import aligned_copy

MEMORY = 10
"""Pairs of differences kept, of parameters and of gradients."""

EVALUATIONS = 30
"""Of the loss, at most, along one line."""

DECREASE, CURVATURE = 1e-4, 0.9
"""Wolfe's conditions: the share of the slope's promise that a step must keep, and of the slope that
may remain."""


def initial_history(size: int, dtype: np.dtype) -> dict[str, np.ndarray]:
    """The history before the first step: "s" and "y", (MEMORY, size)."""
    return {name: np.zeros((MEMORY, size), dtype) for name in ("s", "y")}


def lbfgs(
    evaluate: Callable[[], float],
    loss: float,
    parameters: np.ndarray,
    gradient: np.ndarray,
    history: Mapping[str, np.ndarray],
    *,
    step: int,
) -> float:
    """One step, `step` counting from 1: parameters, gradient and history change in place.

    `evaluate()` returns the loss at the present `parameters` and writes its gradient to `gradient`;
    `loss` and `gradient` are those of the parameters given. Returns the loss of the new ones, which
    equal the old where no step along the line lowers it.
    """
    s, y = history["s"], history["y"]
    start, before = aligned_copy(parameters), aligned_copy(gradient)
    direction = _direction(before, s, y, newest=(step - 2) % MEMORY)
    # Along the gradient itself, about one unit in all, as nothing tells its scale.
    length = 1.0 if s.any() else min(1.0, 1 / max(float(np.absolute(before).sum()), 1e-300))

    loss = _search(evaluate, loss, parameters, gradient, start, direction, length)

    oldest = (step - 1) % MEMORY
    np.subtract(parameters, start, out=s[oldest])
    np.subtract(gradient, before, out=y[oldest])
    if not s[oldest].any():
        s[...] = 0  # what they tell was no help: start again from the gradient
    return loss


def _direction(gradient: np.ndarray, s: np.ndarray, y: np.ndarray, newest: int) -> np.ndarray:
    """Minus the inverse Hessian, as far as the pairs tell it, times the gradient."""
    direction = aligned_copy(gradient)
    ages = [(newest - age) % MEMORY for age in range(MEMORY)]
    curvatures = {pair: np.dot(s[pair], y[pair]) for pair in ages}
    pairs = [pair for pair in ages if curvatures[pair] > 0]  # others are empty, or mislead
    shares = []
    for pair in pairs:
        shares.append(np.dot(s[pair], direction) / curvatures[pair])
        direction -= shares[-1] * y[pair]
    if pairs:
        direction *= curvatures[pairs[0]] / np.dot(y[pairs[0]], y[pairs[0]])
    for pair, share in zip(pairs[::-1], shares[::-1], strict=True):
        direction += (share - np.dot(y[pair], direction) / curvatures[pair]) * s[pair]
    np.negative(direction, out=direction)
    return direction


def _search(
    evaluate: Callable[[], float],
    loss: float,
    parameters: np.ndarray,
    gradient: np.ndarray,
    start: np.ndarray,
    direction: np.ndarray,
    length: float,
) -> float:
    """Move along the direction until both of Wolfe's conditions hold; the loss there.

    By doubling, then bisection, which also works at the kinks of ReLU and of absolute values
    (Lewis and Overton 2013, Mathematical Programming 141, algorithm 2.6).
    """
    slope = float(np.dot(direction, gradient))
    if not slope < 0:
        return loss
    low, high = 0.0, math.inf
    for _ in range(EVALUATIONS):
        np.multiply(direction, length, out=parameters)
        parameters += start
        value = evaluate()
        if not value <= loss + DECREASE * length * slope:  # nor is NaN
            high = length
        elif np.dot(direction, gradient) < CURVATURE * slope:
            low = length
        else:
            return value
        length = 2 * length if high == math.inf else (low + high) / 2
    np.multiply(direction, low, out=parameters)
    parameters += start
    return evaluate()

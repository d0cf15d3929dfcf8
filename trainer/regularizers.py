"""What holds weights and gradients back, in place; norms and dropout of a layer are elsewhere."""

import numpy as np

Factor = float | np.ndarray
"""Of all numbers of a vector, or of each."""


def penalize(
    parameters: np.ndarray,
    gradient: np.ndarray,
    scratch: np.ndarray,
    l1: Factor | None,
    l2: Factor | None,
) -> None:
    """Add to `gradient` that of l1 sum |p| + l2 / 2 sum p^2, which is zero at p = 0 for l1."""
    if l2 is not None:
        np.multiply(parameters, l2, out=scratch)
        gradient += scratch
    if l1 is not None:
        np.sign(parameters, out=scratch)
        scratch *= l1
        gradient += scratch


def clip(gradient: np.ndarray, square: float, norm: float, value: float) -> None:
    """Scale `gradient`, whose squared norm is given, to at most `norm`, then bound each element.

    0 is no limit (Pascanu et al. 2013, arXiv:1211.5063, algorithm 1).
    """
    if norm and square > norm * norm:
        gradient *= norm / np.sqrt(square)
    if value:
        np.clip(gradient, -value, value, out=gradient)


def limit_norms(weights: np.ndarray, limit: float) -> None:
    """Scale each unit's incoming weights, a column of (n_in, n_out), to a norm of at most `limit`.

    Srivastava et al. 2014, section 5.1.
    """
    norms = np.sqrt(np.einsum("ij,ij->j", weights, weights))
    if norms.max() > limit:
        weights *= limit / np.maximum(norms, limit)


def draw_mask(mask: np.ndarray, rate: float, rng: np.random.Generator) -> None:
    """Fill a contiguous `mask` with 0, at this rate, and else 1 / (1 - rate): inverted dropout.

    Srivastava et al. 2014, section 10.
    """
    rng.random(dtype=mask.dtype.type, out=mask)
    np.greater_equal(mask, rate, out=mask)
    mask *= 1 / (1 - rate)

"""Initial weights (n_in, n_out) in float64; biases start at zero."""

import math

import numpy as np


def glorot_uniform(n_in: int, n_out: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform within +/- sqrt(6 / (n_in + n_out)) (Glorot and Bengio 2010, equation 16)."""
    limit = math.sqrt(6 / (n_in + n_out))
    return rng.uniform(-limit, limit, (n_in, n_out))


def glorot_normal(n_in: int, n_out: int, rng: np.random.Generator) -> np.ndarray:
    """Normal of variance 2 / (n_in + n_out) (Glorot and Bengio 2010, equation 12)."""
    return rng.normal(0, math.sqrt(2 / (n_in + n_out)), (n_in, n_out))


def he_uniform(n_in: int, n_out: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform within +/- sqrt(6 / n_in): the variance of `he_normal`."""
    limit = math.sqrt(6 / n_in)
    return rng.uniform(-limit, limit, (n_in, n_out))


def he_normal(n_in: int, n_out: int, rng: np.random.Generator) -> np.ndarray:
    """Normal of variance 2 / n_in (He et al. 2015, arXiv:1502.01852, equation 10)."""
    return rng.normal(0, math.sqrt(2 / n_in), (n_in, n_out))


INITIALIZERS = {
    "glorot_normal": glorot_normal,
    "glorot_uniform": glorot_uniform,
    "he_normal": he_normal,
    "he_uniform": he_uniform,
}

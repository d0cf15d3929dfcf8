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


def lecun_uniform(n_in: int, n_out: int, rng: np.random.Generator) -> np.ndarray:
    """Uniform within +/- sqrt(3 / n_in): the variance of `lecun_normal`."""
    limit = math.sqrt(3 / n_in)
    return rng.uniform(-limit, limit, (n_in, n_out))


def lecun_normal(n_in: int, n_out: int, rng: np.random.Generator) -> np.ndarray:
    """Normal of variance 1 / n_in (LeCun et al. 1998, Efficient BackProp, equation 16)."""
    return rng.normal(0, math.sqrt(1 / n_in), (n_in, n_out))


def orthogonal(n_in: int, n_out: int, rng: np.random.Generator) -> np.ndarray:
    """Orthonormal rows or columns, whichever are fewer (Saxe et al. 2014, arXiv:1312.6120).

    Uniform over such matrices: the Q of a normal matrix, its columns multiplied by the signs of
    R's diagonal (Mezzadri 2007, arXiv:math-ph/0609050, section 5).
    """
    normal = rng.normal(size=(max(n_in, n_out), min(n_in, n_out)))
    q, r = np.linalg.qr(normal)
    q *= np.copysign(1, np.diag(r))
    return np.ascontiguousarray(q if n_in >= n_out else q.T)


def zeros(n_in: int, n_out: int, rng: np.random.Generator) -> np.ndarray:
    """All zero: fit for a model without hidden layers, whose units would all stay alike."""
    return np.zeros((n_in, n_out))


INITIALIZERS = {
    "glorot_normal": glorot_normal,
    "glorot_uniform": glorot_uniform,
    "he_normal": he_normal,
    "he_uniform": he_uniform,
    "lecun_normal": lecun_normal,
    "lecun_uniform": lecun_uniform,
    "orthogonal": orthogonal,
    "zeros": zeros,
}

"""Initial weights: their distribution, and what is exact about them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer import INITIALIZERS

VARIANCES = {
    "glorot_normal": 2 / 500,
    "glorot_uniform": 2 / 500,
    "he_normal": 2 / 200,
    "he_uniform": 2 / 200,
    "lecun_normal": 1 / 200,
    "lecun_uniform": 1 / 200,
    "orthogonal": 1 / 300,
    "zeros": 0,
}
"""Of weights (200, 300)."""


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_variance(name):
    """Weights have the variance of the paper, and mean 0."""
    weights = INITIALIZERS[name](200, 300, np.random.default_rng(0))
    assert weights.shape == (200, 300)
    assert weights.dtype == np.float64
    assert weights.flags.c_contiguous
    assert weights.var() == pytest.approx(VARIANCES[name], rel=0.02)
    assert abs(weights.mean()) <= 0.02 * np.sqrt(VARIANCES[name])


@pytest.mark.parametrize("name", sorted(name for name in INITIALIZERS if "uniform" in name))
def test_uniform_is_bounded(name):
    """A uniform initializer stays within sqrt(3 variance), and comes near to it."""
    weights = INITIALIZERS[name](200, 300, np.random.default_rng(0))
    limit = np.sqrt(3 * VARIANCES[name])
    assert 0.999 * limit < np.abs(weights).max() <= limit


@given(n_in=st.integers(1, 20), n_out=st.integers(1, 20), seed=st.integers(0, 2**32 - 1))
def test_orthogonal(n_in, n_out, seed):
    """The fewer of rows and columns are orthonormal."""
    weights = INITIALIZERS["orthogonal"](n_in, n_out, np.random.default_rng(seed))
    narrow = weights if n_in >= n_out else weights.T
    np.testing.assert_allclose(narrow.T @ narrow, np.eye(min(n_in, n_out)), atol=1e-12)


def test_orthogonal_favours_no_sign():
    """A matrix of one weight is 1 as often as -1."""
    rng = np.random.default_rng(0)
    signs = [INITIALIZERS["orthogonal"](1, 1, rng)[0, 0] for _ in range(1000)]
    assert abs(sum(signs)) < 100


@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_same_seed(name):
    """The same generator gives the same weights."""
    twice = [INITIALIZERS[name](7, 5, np.random.default_rng(3)) for _ in range(2)]
    np.testing.assert_array_equal(*twice)

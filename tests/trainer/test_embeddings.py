"""Numeric embeddings: their formulas, ranges and fitted arrays."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from trainer import EMBEDDINGS, Periodic, PiecewiseLinear

MATRICES = arrays(
    np.float64,
    st.tuples(st.integers(1, 30), st.integers(1, 4)),
    elements=st.floats(-1e6, 1e6).map(lambda value: round(value, 3)),
)


def test_piecewise_linear_by_hand():
    """Bins 0-2, 2-3 and 3-9: the ends go on beyond the training rows, the middle does not."""
    x = np.array([[0.0], [2.0], [3.0], [9.0]])
    embedding = PiecewiseLinear.fit(x, bins=3)
    rows = np.array([[-1.0], [1.0], [2.5], [6.0], [15.0]])
    np.testing.assert_allclose(
        embedding.transform(rows),
        [[-0.5, 0, 0], [0.5, 0, 0], [1, 0.5, 0], [1, 1, 0.5], [1, 1, 2]],
    )


def equation_1(value: float, edges: np.ndarray) -> list[float]:
    """The encoding of one value (Gorishniy et al. 2022, equation 1), bin by bin."""
    encoding, last = [], len(edges) - 1
    for t in range(1, last + 1):
        low, high = edges[t - 1], edges[t]
        if value < low and t > 1:
            encoding.append(0.0)
        elif value >= high and t < last:
            encoding.append(1.0)
        else:
            encoding.append((value - low) / (high - low))
    return encoding


@given(MATRICES, st.integers(1, 6), st.floats(-2e6, 2e6))
def test_piecewise_linear_formula(x, bins, value):
    """Every feature is the paper's, over quantiles without repetitions."""
    features = PiecewiseLinear.fit(x, bins).transform(np.full((1, x.shape[1]), value))[0]
    expected = []
    for column in x.T:
        edges = np.unique(np.quantile(column, np.linspace(0, 1, bins + 1), method="nearest"))
        expected += equation_1(value, edges if len(edges) > 1 else np.append(edges, edges + 1))
    np.testing.assert_allclose(features, expected, rtol=1e-9, atol=1e-9)


@given(MATRICES)
def test_piecewise_linear_training_rows(x):
    """Training rows lie in [0, 1], and keep the order of every column."""
    embedding = PiecewiseLinear.fit(x, bins=5)
    features = embedding.transform(x)
    assert features.min() >= 0
    assert features.max() <= 1
    for j, column in enumerate(x.T):
        total = (features * embedding.width)[:, embedding.column == j].sum(axis=1)
        np.testing.assert_allclose(total, column - column.min(), rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("fit", EMBEDDINGS.values(), ids=EMBEDDINGS)
def test_two_values(fit):
    """A column of two values stays one feature."""
    x = np.array([[0.0], [1.0], [0.0], [0.0]])
    features = fit.fit(x).transform(x)
    assert features.shape == (4, 1)
    assert len(np.unique(features)) == 2


def test_periodic_formula():
    """The standardised columns, then the sine and then the cosine of every wave."""
    rng = np.random.default_rng(0)
    x = rng.normal(5, 3, (50, 2))
    embedding = Periodic.fit(x, frequencies=3, frequency_scale=0.5, seed=1)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    frequency = embedding.frequency
    angles = [2 * math.pi * frequency[3 * j + k] * z[:, j] for j in range(2) for k in range(3)]
    expected = np.column_stack([z, np.sin(angles).T, np.cos(angles).T])
    np.testing.assert_allclose(embedding.transform(x), expected, rtol=1e-12, atol=1e-12)


def test_periodic_seed():
    """Frequencies depend on the seed alone, and are as wide as sigma says."""
    x = np.random.default_rng(0).normal(size=(20, 3))
    one, again, other = (Periodic.fit(x, 500, 2.0, seed).frequency for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, again)
    assert (one != other).all()
    assert one.std() == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize("fit", EMBEDDINGS.values(), ids=EMBEDDINGS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
def test_arrays(fit, dtype):
    """An embedding made of its own arrays transforms to the same bits, in the dtype of x."""
    x = np.random.default_rng(0).normal(100, 20, (40, 3)).astype(dtype)
    x.flags.writeable = False
    embedding = fit.fit(x)
    features = embedding.transform(x)
    assert features.dtype == ("float32" if dtype == "float32" else "float64")
    copied = fit.from_arrays({k: v.copy() for k, v in embedding.to_arrays().items()})
    np.testing.assert_array_equal(copied.transform(x), features)


@pytest.mark.parametrize("fit", EMBEDDINGS.values(), ids=EMBEDDINGS)
def test_constant_column(fit):
    """A constant column is zero, whatever it was."""
    x = np.full((5, 1), 7.5)
    np.testing.assert_array_equal(fit.fit(x).transform(x), np.zeros((5, 1)))


@pytest.mark.parametrize(
    ("fit", "x", "options", "message"),
    [
        (PiecewiseLinear, np.ones((3, 1)), {"bins": 0}, "bins must be a positive integer, not 0"),
        (Periodic, np.ones((3, 1)), {"frequencies": 1.5}, "frequencies must be a positive integer"),
        (Periodic, np.ones((3, 1)), {"frequency_scale": 0}, "frequency_scale must be a finite"),
        (PiecewiseLinear, np.ones(3), {}, r"x must have shape \(rows, columns\), .*not \(3,\)"),
        (
            PiecewiseLinear,
            np.ones((0, 2)),
            {},
            r"x must have shape .*, at least one of each, not \(0, 2",
        ),
        (Periodic, np.array([["a"]]), {}, "x must be an array of real numbers, not of dtype <U1"),
        (Periodic, np.array([[1.0, math.nan]]), {}, "x must be finite; row 0, column 1 is nan"),
    ],
)
def test_refused(fit, x, options, message):
    """Bad input is refused with what is allowed."""
    with pytest.raises(ValueError, match=message):
        fit.fit(x, **options)


@pytest.mark.parametrize("fit", EMBEDDINGS.values(), ids=EMBEDDINGS)
def test_other_columns(fit):
    """Rows of another number of columns are refused."""
    embedding = fit.fit(np.random.default_rng(0).normal(size=(9, 2)))
    with pytest.raises(ValueError, match=r"x must have shape \(rows, 2\), not \(4, 3\)"):
        embedding.transform(np.ones((4, 3)))

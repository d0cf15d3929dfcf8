"""Confusion and calibration against scikit-learn and against what is known of random numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, multilabel_confusion_matrix

from sweep import assessment

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS, st.integers(2, 6), st.integers(1, 50))
def test_confusion_as_scikit_learn(seed, classes, rows):
    """Counts by true and predicted class, classes without rows included."""
    rng = np.random.default_rng(seed)
    y, predicted = rng.integers(0, classes, (2, rows))
    names = np.array([f"c{i}" for i in range(classes)])
    frame = assessment.confusion(y, predicted, names)
    assert (frame.to_numpy() == confusion_matrix(y, predicted, labels=range(classes))).all()
    assert frame.index.tolist() == frame.columns.tolist() == names.tolist()
    assert (frame.index.name, frame.columns.name) == ("true", "predicted")


@given(SEEDS, st.integers(1, 4), st.integers(1, 50))
def test_confusion_of_labels_as_scikit_learn(seed, labels, rows):
    """Each label's four counts."""
    y, predicted = np.random.default_rng(seed).integers(0, 2, (2, rows, labels))
    names = tuple(f"l{i}" for i in range(labels))
    frame = assessment.label_confusion(y.astype(np.float32), predicted, names)
    theirs = multilabel_confusion_matrix(y, predicted, labels=range(labels)) if labels > 1 else None
    if theirs is not None:
        assert (frame.to_numpy().reshape(labels, 2, 2) == theirs).all()
    assert (frame.sum(axis=1) == rows).all()
    assert frame.loc["l0", "true_positive"] == (y[:, 0] & predicted[:, 0]).sum()


@given(SEEDS, st.integers(2, 5), st.integers(1, 200), st.integers(1, 12))
def test_calibration_as_scikit_learn(seed, classes, rows, bins):
    """The curve of whether the likeliest class is right; errors as Guo et al. define them."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(classes), rows)
    y = rng.integers(0, classes, rows)
    found = assessment.of_classes(y, shares, bins)
    confidence, right = shares.max(axis=1), shares.argmax(axis=1) == y
    observed, predicted = calibration_curve(right, confidence, n_bins=bins)
    np.testing.assert_allclose(found.table["observed"], observed)
    np.testing.assert_allclose(found.table["predicted"], predicted)
    assert found.rows == found.table["rows"].sum() == rows
    place = np.ceil(confidence * bins).clip(1)
    gaps = [
        (abs(right[place == b].mean() - confidence[place == b].mean()), (place == b).mean())
        for b in np.unique(place)
    ]
    assert found.error == pytest.approx(sum(gap * share for gap, share in gaps))
    assert found.largest == pytest.approx(max(gap for gap, _ in gaps))


def test_calibration_of_labels():
    """Each label has a curve of its own, that of its own probability."""
    rng = np.random.default_rng(0)
    shares = rng.random((4000, 2))
    y = rng.random((4000, 2)) < shares * [1, 0.5]
    found = assessment.of_labels(y.astype(float), shares, ("fair", "vain"), 10)
    for j, label in enumerate(("fair", "vain")):
        observed, predicted = calibration_curve(y[:, j], shares[:, j], n_bins=10)
        np.testing.assert_allclose(found.table.loc[label, "observed"], observed)
        np.testing.assert_allclose(found.table.loc[label, "predicted"], predicted)
    gaps = (found.table["observed"] - found.table["predicted"]).abs()
    assert gaps["fair"].max() < 4 * found.table.loc["fair", "standard_error"].max()
    assert gaps["vain"].max() > 0.3


def test_coverage_of_intervals():
    """Of normal numbers with the right deviation, intervals hold their share; else they do not."""
    rng = np.random.default_rng(0)
    mean, deviation = rng.normal(size=(2, 20_000, 2))
    deviation = np.exp(deviation)
    y = rng.normal(mean, deviation * [1, 3])
    found = assessment.of_intervals(y, mean, deviation, ("right", "sure"))
    table = found.table
    gaps = (table["observed"] - table["predicted"]) / table["standard_error"]
    assert gaps["right"].abs().max() < 4
    assert (gaps["sure"] < -20).all()
    assert table.loc[("right", "90%"), "predicted"] == 0.9
    assert found.largest > 0.4


def test_coverage_of_quantiles():
    """So it is with the values below a quantile."""
    y = np.random.default_rng(0).normal(size=(20_000, 2))
    found = assessment.of_quantile(y, np.full_like(y, 1.2815515655446004), 0.9, ("a", "b"))
    assert np.allclose(found.table["observed"], 0.9, atol=0.01)
    assert found.table.index.tolist() == ["a", "b"]


def test_it_shows_what_it_is():
    """The text and the page have the error and the table; names of labels are escaped."""
    rng = np.random.default_rng(0)
    found = assessment.of_labels(rng.integers(0, 2, (50, 1)), rng.random((50, 1)), ("<b>",), 4)
    assert f"expected error {found.error:.4f}" in repr(found)
    assert "50 rows" in repr(found)
    page = found._repr_html_()
    assert "&lt;b&gt;" in page
    assert "<b>" not in page

"""Metrics against scikit-learn's, and the tables of names."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

import trainer
from trainer import METRICS

REFERENCES = {
    "accuracy": lambda p, y: metrics.accuracy_score(y, p.argmax(axis=1)),
    "log_loss": lambda p, y: metrics.log_loss(y, p, labels=np.arange(p.shape[1])),
    "mae": lambda p, y: metrics.mean_absolute_error(y, p),
    "r2": lambda p, y: metrics.r2_score(y, p),
    "rmse": lambda p, y: metrics.root_mean_squared_error(y, p),
}


@settings(deadline=None)
@given(
    name=st.sampled_from(sorted(REFERENCES)),
    rows=st.integers(2, 40),
    outputs=st.integers(2, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_metric(name, rows, outputs, seed):
    """Every metric equals scikit-learn's."""
    rng = np.random.default_rng(seed)
    if METRICS[name].kind == "classification":
        predictions = rng.dirichlet(np.ones(outputs), rows)
        targets = rng.integers(0, outputs, rows)
    else:
        predictions, targets = rng.normal(size=(2, rows, outputs))
    expected = REFERENCES[name](predictions, targets)
    assert METRICS[name].function(predictions, targets) == pytest.approx(expected, abs=1e-12)


def test_every_metric_has_a_reference():
    """Only the validation loss itself is not in scikit-learn."""
    assert set(METRICS) == {*REFERENCES, "loss"}


@pytest.mark.parametrize(("prediction", "expected"), [(3.0, 1.0), (4.0, 0.0)])
def test_r2_of_constant_targets(prediction, expected):
    """As in scikit-learn, constant targets score 1 if predicted exactly and 0 if not."""
    predictions, targets = np.full((5, 1), prediction), np.full((5, 1), 3.0)
    assert METRICS["r2"].function(predictions, targets) == expected
    assert metrics.r2_score(targets, predictions) == expected


def test_log_loss_of_a_certain_mistake_is_finite():
    """A probability of zero for the label is clipped."""
    assert 30 < METRICS["log_loss"].function(np.array([[1.0, 0.0]]), np.array([1])) < 40


def test_exports():
    """The public names are sorted, as ruff sorts them, and all there."""
    assert len(set(trainer.__all__)) == len(trainer.__all__)
    assert all(hasattr(trainer, name) for name in trainer.__all__)


@pytest.mark.parametrize("table", [name for name in trainer.__all__ if name.isupper()])
def test_tables_are_sorted(table):
    """Tables list their names in alphabetical order."""
    names = list(getattr(trainer, table))
    assert names == sorted(names)

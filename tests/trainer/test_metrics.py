"""Metrics against scikit-learn's, and the tables of names."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

import trainer
from trainer import METRICS


def of_labels(function, **options):
    """scikit-learn's metric of labels or indicators."""
    return lambda p, y: function(y, p, **options)


def zero(function, **options):
    """The same, with 0 for what is divided by 0."""
    return of_labels(function, zero_division=0.0, **options)


def of_columns(function, **options):
    """The mean of each column's."""
    return lambda p, y: np.mean(
        [function(*column, **options) for column in zip(y.T, p.T, strict=True)]
    )


def ovr(p, y):
    """Of every class against the others."""
    if p.shape[1] == 2:
        return metrics.roc_auc_score(y, p[:, 1])
    return metrics.roc_auc_score(y, p, multi_class="ovr", labels=np.arange(p.shape[1]))


def log_loss(p, y):
    """Of classes, or the mean of each label's."""
    if y.ndim == 1:
        return metrics.log_loss(y, p, labels=np.arange(p.shape[1]))
    return np.mean(
        [metrics.log_loss(*column, labels=[0, 1]) for column in zip(y.T, p.T, strict=True)]
    )


REFERENCES = {
    "accuracy": of_labels(metrics.accuracy_score),
    "average_precision": of_labels(metrics.average_precision_score),
    "balanced_accuracy": of_labels(metrics.balanced_accuracy_score),
    "brier_score": lambda p, y: metrics.brier_score_loss(y, p, labels=np.arange(p.shape[1])),
    "explained_variance": of_labels(metrics.explained_variance_score),
    "f1": zero(metrics.f1_score),
    "f1_macro": zero(metrics.f1_score, average="macro"),
    "f1_micro": zero(metrics.f1_score, average="micro"),
    "f1_samples": zero(metrics.f1_score, average="samples"),
    "f1_weighted": zero(metrics.f1_score, average="weighted"),
    "hamming_loss": of_labels(metrics.hamming_loss),
    "log_loss": log_loss,
    "mae": of_labels(metrics.mean_absolute_error),
    "mape": of_labels(metrics.mean_absolute_percentage_error),
    "matthews_corrcoef": of_labels(metrics.matthews_corrcoef),
    "max_error": lambda p, y: np.mean(
        [metrics.max_error(*column) for column in zip(y.T, p.T, strict=True)]
    ),
    "median_absolute_error": of_labels(metrics.median_absolute_error),
    "mse": of_labels(metrics.mean_squared_error),
    "precision": zero(metrics.precision_score),
    "precision_macro": zero(metrics.precision_score, average="macro"),
    "r2": of_labels(metrics.r2_score),
    "recall": zero(metrics.recall_score),
    "recall_macro": zero(metrics.recall_score, average="macro"),
    "rmse": of_labels(metrics.root_mean_squared_error),
    "rmsle": of_labels(metrics.root_mean_squared_log_error),
    "roc_auc": of_labels(metrics.roc_auc_score),
    "roc_auc_ovr": ovr,
}

CASES = [(name, kind) for name in REFERENCES for kind in METRICS[name].kinds]


def drawn(name, kind, rng, rows, outputs, ties):
    """A metric's response and targets, with many equal numbers or hardly any."""
    metric, classes = METRICS[name], 2 if METRICS[name].for_many else outputs
    chances = rng.integers(0, 4, (rows, outputs)) / 4 if ties else rng.random((rows, outputs))
    if kind == "regression":
        values = rng.integers(-2, 3, (rows, outputs)) if ties else rng.normal(size=(rows, outputs))
        return chances, np.exp(values) if metric.from_zero else values.astype(float)
    if kind == "multilabel":
        targets = (rng.random((rows, outputs)) < rng.random(outputs)).astype(float)
        return (chances > 0.5).astype(
            int
        ) if metric.response_method == "predict" else chances, targets
    labels = rng.choice(classes, rows, p=rng.dirichlet(np.ones(classes)))
    if metric.response_method == "predict":
        return rng.choice(classes, rows, p=rng.dirichlet(np.ones(classes))), labels
    if metric.response_method == "decision_function":
        return chances[:, 0], labels
    counts = rng.multinomial(4, np.ones(classes) / classes, rows) / 4
    return counts if ties else rng.dirichlet(np.ones(classes), rows), labels


@pytest.mark.parametrize(("name", "kind"), CASES)
@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(2, 40),
    outputs=st.integers(2, 4),
    ties=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_metric(name, kind, rows, outputs, ties, seed):
    """Every metric equals scikit-learn's, whatever classes are there and however many are equal."""
    response, targets = drawn(name, kind, np.random.default_rng(seed), rows, outputs, ties)
    found = METRICS[name].function(response, targets)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns of classes that are not there
        expected = REFERENCES[name](response, targets)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=METRICS[name].every_class)


def test_every_metric_has_a_reference():
    """Only the validation loss itself is not in scikit-learn."""
    assert set(METRICS) == {*REFERENCES, "loss"}


@pytest.mark.parametrize(
    ("name", "of_one", "of_none"),
    [
        ("roc_auc", math.nan, math.nan),
        ("average_precision", 1.0, 0.0),
    ],
)
def test_rankings_of_rows_of_one_class(name, of_one, of_none):
    """As scikit-learn: no area, and a precision of all, or of none."""
    scores = np.array([0.1, 0.7, 0.4])
    for targets, expected in ((np.ones(3, int), of_one), (np.zeros(3, int), of_none)):
        assert METRICS[name].function(scores, targets) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_responses_stay_as_they_are(name):
    """A metric changes neither what it is given nor needs to own it."""
    kind = METRICS[name].kinds[-1]
    given = drawn(name, kind, np.random.default_rng(0), 20, 3, ties=False)
    copies = [array.copy() for array in given]
    for array in given:
        array.flags.writeable = False
    METRICS[name].function(*given)
    for array, copy in zip(given, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("prediction", [-1.0, -50.0])
def test_rmsle_of_a_prediction_without_logarithm(prediction):
    """Where scikit-learn gives up, it counts as just above -1: bad, but a number."""
    found = METRICS["rmsle"].function(np.array([[prediction], [2.0]]), np.array([[1.0], [2.0]]))
    assert found == pytest.approx((math.log(2) + 52 * math.log(2)) / math.sqrt(2))


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

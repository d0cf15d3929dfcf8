"""The metrics as the estimators see them: of their own predictions, and to stop by."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.metrics import roc_auc_score

from tests.trainer.test_metrics import CASES, REFERENCES
from trainer import LOSSES, METRICS
from trainer.estimators import MLPClassifier, MLPRegressor
from trainer.rows import held_out

BINARY = load_breast_cancer(return_X_y=True)
DIGITS = load_digits(return_X_y=True)
DATA = {
    "classification": DIGITS,
    "multilabel": (DIGITS[0], np.column_stack([DIGITS[1] % 2 == 0, DIGITS[1] > 4]).astype(int)),
    "regression": load_diabetes(return_X_y=True),
}


LOSSES_OF = {
    "classification": ("softmax_cross_entropy", "sigmoid_cross_entropy", "hinge"),
    "multilabel": ("sigmoid_cross_entropy",),
    "regression": ("mean_squared",),
}
TRAINED = [
    (name, kind, loss)
    for name, kind in CASES
    for loss in LOSSES_OF[kind]
    if LOSSES[loss].probabilities or not METRICS[name].needs_probabilities
]


@pytest.mark.parametrize(("name", "kind", "loss"), TRAINED)
def test_metric_in_the_history(name, kind, loss):
    """It is scikit-learn's, of what the fitted estimator says of the rows it was judged on."""
    metric, x, y = METRICS[name], *(BINARY if METRICS[name].for_many else DATA[kind])
    x, y = x[:500], y[:500]
    model = (MLPRegressor if kind == "regression" else MLPClassifier)(metric=name, loss=loss)
    model.set_params(neurons=(8,), epochs=20, dtype="float64", random_state=0).fit(x, y)
    response = getattr(model, metric.response_method)(x)
    if kind == "regression":
        response, y = response[:, np.newaxis], y[:, np.newaxis]
    found = model.history_[-1].validation_metric
    assert found == pytest.approx(REFERENCES[name](response, y), rel=1e-9)


def test_rows_of_one_class_have_no_area():
    """The record says NaN, as scikit-learn would, and training goes on."""
    x, y = BINARY
    model = MLPClassifier(metric="roc_auc", random_state=0)
    for rows in (y == 1, y == 0, y < 2):
        model.partial_fit(x[rows], y[rows], classes=[0, 1])
    found = [record.validation_metric for record in model.history_]
    assert np.isnan(found).tolist() == [True, True, False]
    with pytest.raises(ValueError, match=r"'roc_auc' needs rows with and without each label"):
        MLPClassifier(metric="roc_auc", patience=2).fit(x, np.arange(len(y)) == 0)


def test_patience_by_the_area():
    """Training stops by roc_auc, and the best epoch's network is kept."""
    x, y = BINARY
    model = MLPClassifier(
        metric="roc_auc", patience=3, epochs=200, dtype="float64", random_state=0
    ).fit(x, y)
    areas = [record.validation_metric for record in model.history_]
    assert len(areas) == np.argmax(areas) + 4 < 200
    mask = held_out(y, model.validation_fraction, model.seed_)
    found = roc_auc_score(y[mask], model.decision_function(x[mask]))
    assert found == pytest.approx(max(areas), rel=1e-12)

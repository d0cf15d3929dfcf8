"""What the estimators refuse: each in one line that names the argument and says what is allowed."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.utils import compute_class_weight

from trainer.estimators import MLPClassifier, MLPRegressor
from trainer.inputs import class_weights, listed

X, Y = load_iris(return_X_y=True)
INDICATORS = np.column_stack([Y == 0, Y == 1]).astype(int)
WEIGHTS = np.ones(len(Y))
SEVERAL = {"loss": "sigmoid_cross_entropy", "metric": "loss"}


def changed(array, index, value):
    """A copy with one element changed."""
    copy = np.array(array, float)
    copy[index] = value
    return copy


def refused(fit, message):
    """`fit` raises ValueError with this in its one line, and warns of nothing."""
    with pytest.raises(ValueError) as error:  # noqa: PT011
        fit()
    text = str(error.value)
    assert message in text
    assert "\n" not in text
    assert "np." not in text


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ({7: 1.0}, "class_weight must be of the labels [0, 1, 2], not of 7"),
        ({0: 1, 1: 1, 2: 1, "9": 1}, "class_weight must be of the labels [0, 1, 2], not of '9'"),
        (
            {np.int64(0): np.float64(-1)},
            "class_weight must be a finite number, 0 or above, for each label; that of 0 is -1.0",
        ),
        ({1: np.nan}, "that of 1 is nan"),
        ({1: np.inf}, "that of 1 is inf"),
        ({2: "a"}, "that of 2 is 'a'"),
        ({2: True}, "that of 2 is True"),
        ({0: 0, 1: 0, 2: 0}, "class_weight must leave a total weight between 1e-100 and 1e+100"),
        ({0: 1e308, 1: 1e308}, "not inf"),
        ("blanced", 'class_weight must be None, "balanced" or a mapping of labels to numbers, not'),
        ([1, 2, 3], "not (1, 2, 3)"),
        (np.ones(3), "not (1.0, 1.0, 1.0)"),
        (2, "class_weight must be None"),
        (True, "not True"),
    ],
)
def test_class_weight(weight, message):
    """Weights of classes are refused before they are used."""
    refused(lambda: MLPClassifier(class_weight=weight, epochs=1).fit(X, Y), message)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (changed(WEIGHTS, 3, -1), "sample_weight must be 0 or above, and finite, not -1"),
        (changed(WEIGHTS, 3, np.nan), "sample_weight must be 0 or above, and finite, not nan"),
        (changed(WEIGHTS, 3, np.inf), "not inf"),
        (0 * WEIGHTS, "sample_weight must be more than zero in some row"),
        (1e308 * WEIGHTS, "sample_weight must leave a total weight between 1e-100 and 1e+100"),
        (1e-320 * WEIGHTS, "sample_weight must leave a total weight"),
        (WEIGHTS[:3], "sample_weight must have shape (150,), one number a row, not (3,)"),
        (np.ones((150, 2)), "not (150, 2)"),
        ("balanced", "sample_weight must be 150 numbers, one a row, not 'balanced'"),
        (["a"] * 150, "sample_weight must be 150 numbers, one a row, not ('a', 'a',"),
        ({0: 1.0}, "not {0: 1.0}"),
    ],
)
@pytest.mark.parametrize("model", [MLPClassifier(epochs=1), MLPRegressor(epochs=1)])
def test_sample_weight(model, weights, message):
    """Weights of rows are refused before they are used."""
    refused(lambda: model.fit(X, Y, sample_weight=weights), message)


@pytest.mark.parametrize("weighted", [False, True])
def test_class_weights_as_scikit_learn_has_them(weighted):
    """Balanced and mapped weights are scikit-learn's; a class without rows has none."""
    rng = np.random.default_rng(0)
    classes, labels = np.array(["a", "b", "c"]), rng.integers(0, 3, 50)
    weights = rng.random(50) if weighted else None
    for given in ("balanced", {"a": 2.0, "b": 0, "c": 3}):
        np.testing.assert_allclose(
            class_weights(given, classes, labels, weights),
            compute_class_weight(given, classes=classes, y=classes[labels], sample_weight=weights),
        )
    assert class_weights({"b": 5}, classes, labels, weights).tolist() == [1, 5, 1]
    assert class_weights("balanced", classes, 0 * labels, weights)[1:].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("factor", "options", "message"),
    [
        (
            1e300,
            {},
            "X must be within +/- 1e+38, or it overflows float32; row 0, column 0 is 5.1e+300: "
            "scale it, or use dtype='float64'",
        ),
        (-1e39, {"standardize": False}, "row 0, column 0 is -5.1e+39"),
        (1e200, {"dtype": "float64"}, "X must be within +/- 1e+100, or it overflows float64; row"),
        (
            1e-60,
            {},
            "column 0 of X varies by 3.6e-60, and less than 1e-40 vanishes in float32: "
            "scale it, or use dtype='float64'",
        ),
        (1e-60, {"standardize": False}, "vanishes in float32"),
        (1e-200, {"dtype": "float64"}, "less than 1e-100 vanishes in float64: scale it"),
    ],
)
def test_inputs_out_of_range(factor, options, message):
    """What overflows or vanishes is said to, by both estimators."""
    refused(lambda: MLPClassifier(epochs=1, **options).fit(factor * X, Y), message)
    refused(lambda: MLPRegressor(epochs=1, **options).fit(factor * X, Y), message)


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        (1e300 * Y, {}, "y must be within +/- 1e+100, or it overflows float64; row 50, column 0"),
        (1e-200 * Y, {}, "column 0 of y varies by 2e-200, and less than 1e-100 vanishes"),
        (1e39 * Y, {"standardize": False}, "y must be within +/- 1e+38, or it overflows float32"),
        (1e39 * Y, {"loss": "poisson", "metric": "loss"}, "y must be within +/- 1e+38"),
        (np.array(["low", "high", "top"])[Y], {}, "y must be numbers, not 'low'"),
        (changed(Y, 4, np.nan), {}, "y contains NaN"),
    ],
)
def test_values_out_of_range(y, options, message):
    """So are the targets of a regression."""
    refused(lambda: MLPRegressor(epochs=1, **options).fit(X, y), message)


@pytest.mark.parametrize("factor", [1e-35, 1e35])
def test_inputs_in_range(factor):
    """Inputs of any unit that float32 can hold are learned from, and predicted from, alike."""
    model = MLPClassifier(epochs=30, learning_rate=0.01, random_state=0)
    assert model.fit(factor * X, Y).score(factor * X, Y) > 0.95


def test_a_column_that_vanishes():
    """One column too small for float32 among others is warned of, and counts as constant."""
    x = np.column_stack([X, 1e-60 * Y])
    model = MLPClassifier(epochs=30, learning_rate=0.01, random_state=0)
    with pytest.warns(UserWarning, match=r"column 4 of X varies by 2e-60.*counts as constant"):
        model.fit(x, Y)
    moved = np.column_stack([X, -1e-60 * Y])
    np.testing.assert_allclose(model.predict_proba(moved), model.predict_proba(x))


@pytest.mark.parametrize(
    ("parameter", "values", "message"),
    [
        ("standardize", ["no", 1, None, np.array([True])], "standardize must be True or False,"),
        (
            "validation_fraction",
            [0, 1, -0.1, "x", True, None, np.nan, np.float64(0.0), np.float64(1.5)],
            "validation_fraction must be a number between 0 and 1, not",
        ),
        (
            "random_state",
            ["a", -1, 2**32, 1.5, True],
            "random_state must be None, an integer from 0 to 2**32 - 1 or a RandomState, not",
        ),
        ("neurons", [8, "ab", np.array(5), [np.float64(3)], None], "neurons must be a tuple"),
        ("learning_rate", [np.float64(-1), np.array([0.1]), "1"], "learning_rate must be a finite"),
        ("epochs", [3.0, np.int64(0), None], "epochs must be a positive integer, not"),
        ("dtype", [np.float64, "float16"], "dtype must be one of float32, float64, not"),
        ("activation", [["tan"], None], "activation must be"),
        ("record_layers", [1, "no"], "record_layers must be one of False, True, not"),
    ],
)
@pytest.mark.parametrize("patience", [0, 1])
def test_parameters(parameter, values, message, patience):
    """Every parameter is checked when fitting, whether it is used or not."""
    for value in values:
        for kind in MLPClassifier, MLPRegressor:
            model = kind(patience=patience).set_params(**{parameter: value})
            refused(lambda model=model: model.fit(X, Y), message)


@pytest.mark.parametrize(
    ("classes", "shown"),
    [
        ([0, 1], "[0, 1]"),
        ([0, 1, 2, 3], "[0, 1, 2, 3]"),
        (["a", "b", "c"], "['a', 'b', 'c']"),
    ],
)
def test_other_classes(classes, shown):
    """Later calls of partial_fit may repeat the classes, in any order, and not change them."""
    model = MLPClassifier().partial_fit(X, Y, classes=[0, 1, 2])
    model.partial_fit(X, Y, classes=[2, 1, 0, 0])
    refused(
        lambda: model.partial_fit(X, Y, classes=classes),
        f"classes must be those that the first rows came with, [0, 1, 2], not {shown}",
    )
    assert len(model.history_) == 2


@pytest.mark.parametrize(
    ("options", "y", "message"),
    [
        (
            {},
            INDICATORS,
            "y must be a 1d array of labels, not of shape (150, 2); where a row has several labels,"
            " each a column of 0 and 1, use loss='sigmoid_cross_entropy'",
        ),
        ({}, np.column_stack([Y, Y]), "use loss='sigmoid_cross_entropy'"),
        (
            {"loss": "sigmoid_cross_entropy", "metric": "mae"},
            INDICATORS,
            "metric 'mae' does not suit multilabel data; use one of accuracy, average_precision",
        ),
        (SEVERAL, 2 * INDICATORS, "y must be columns of 0 and 1 where a row has several labels, n"),
        ({}, 0 * Y, "y must hold at least 2 classes, not 1 class, [0]"),
        ({}, X[:, 0], "Unknown label type: continuous"),
    ],
)
def test_labels(options, y, message):
    """Labels of another shape or kind are told what would suit them."""
    refused(lambda: MLPClassifier(epochs=1, **options).fit(X, y), message)


@pytest.mark.parametrize(
    ("options", "first", "then", "message"),
    [
        ({}, Y, Y + 1, "y must hold labels of [0, 1, 2], not 3"),
        ({}, Y, Y.astype(str), "y must hold labels of [0, 1, 2], not '0'"),
        (SEVERAL, INDICATORS, Y, "y must be columns of 0 and 1, as the first rows had, not (150,)"),
        (SEVERAL, INDICATORS[:, :1].ravel(), INDICATORS, "y must be labels, (rows,), as the first"),
        (SEVERAL, INDICATORS, np.eye(3)[Y], "y must have 2 columns, not 3"),
    ],
)
def test_labels_of_another_kind(options, first, then, message):
    """What comes later must be of the kind that came first."""
    model = MLPClassifier(epochs=1, **options).fit(X, first)
    refused(lambda: model.partial_fit(X, then), message)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (changed(X, (3, 1), np.nan), "Input X contains NaN: fill these values, or drop their rows"),
        (changed(X, (3, 1), np.inf), "Input X contains infinity"),
        (X[0], "X must have shape (rows, features), not be a 1D array. Reshape your data: X.resha"),
        ([["a"] * 4] * 150, "X must be numbers: could not convert string to float: 'a'"),
        (X[:0], "Found array with 0 sample(s)"),
    ],
)
def test_rows(x, message):
    """What scikit-learn says in many lines is said in one, in training and after."""
    refused(lambda: MLPClassifier(epochs=1).fit(x, Y[: len(x)]), message)
    model = MLPClassifier(epochs=1).fit(X, Y)
    for call in (model.predict, model.predict_proba, model.input_gradient):
        refused(lambda call=call: call(x), message)


def test_listed():
    """Labels are written as Python writes them, and not all of a thousand."""
    assert listed(np.array([1, 2])) == "[1, 2]"
    assert listed(np.array(["a", None], dtype=object)) == "['a', None]"
    assert listed(np.arange(1000)) == "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ...]"

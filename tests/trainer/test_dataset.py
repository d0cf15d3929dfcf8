"""What a data set refuses, and in which words."""

import numpy as np
import pytest

from tests.trainer.data import classes, values
from trainer import Dataset, Split, TrainConfig, check_fit

X, LABELS, VALUES = np.zeros((4, 2)), np.array([0, 1, 2, 1]), np.zeros((4, 3))


def changed(array, index, value):
    """A copy with one element changed."""
    copy = array.copy()
    copy[index] = value
    return copy


@pytest.mark.parametrize(
    ("x", "y", "n_classes", "message"),
    [
        (X[0], LABELS, 3, r"train.x must have shape \(rows, features\).*not \(2,\)"),
        (X[:, :0], LABELS, 3, r"at least one of each, not \(4, 0\)"),
        (X[:0], LABELS[:0], 3, r"at least one of each, not \(0, 2\)"),
        (X.tolist(), LABELS, 3, "train.x must be an array of real numbers, not list"),
        (X.astype(object), LABELS, 3, "train.x must be .* not of dtype object"),
        (X.astype(complex), LABELS, 3, "not of dtype complex128"),
        (changed(X, (2, 1), np.nan), LABELS, 3, "train.x must be finite; row 2, column 1 is nan"),
        (changed(X, (0, 0), -np.inf), LABELS, 3, "row 0, column 0 is -inf"),
        (X[:3], LABELS, 3, "train.x has 3 rows and train.y has 4"),
        (X, LABELS, 2, "train.y must hold labels 0 to 1, not 2"),
        (X, LABELS - 1, 3, "train.y must hold labels 0 to 2, not -1"),
        (X, LABELS.astype(float), 3, "train.y must be an array of integer labels, not of dtype f"),
        (X, LABELS.astype(str), 3, "train.y must be an array of integer labels, not of dtype <U"),
        (X, VALUES.astype(int), 3, r"train.y must have shape \(rows,\), at least one, not \(4, 3"),
        (X, LABELS, 1, "n_classes must be an integer of at least 2, or None.*, not 1"),
        (X, LABELS, True, "n_classes must be .* not True"),
        (X, LABELS, 3.0, "n_classes must be .* not 3.0"),
        (X, LABELS, None, r"train.y must have shape \(rows, outputs\), .*not \(4,\)"),
        (X, changed(VALUES, (1, 2), np.inf), None, "train.y must be finite; row 1, column 2 is i"),
    ],
)
def test_refuses(x, y, n_classes, message):
    """A bad array is named, with what is wrong and what is allowed, on one line."""
    with pytest.raises(ValueError, match=message) as error:
        Dataset(Split(x, y), Split(X, LABELS), n_classes=n_classes)
    assert "\n" not in str(error.value)


def test_splits_must_match():
    """Validation and test rows must have the columns of the training rows."""
    with pytest.raises(ValueError, match=r"validation.x has 3 columns and train.x has 2"):
        Dataset(Split(X, LABELS), Split(np.zeros((4, 3)), LABELS), n_classes=3)
    with pytest.raises(ValueError, match=r"test.y has 1 columns and train.y has 3"):
        Dataset(Split(X, VALUES), Split(X, VALUES), Split(X, VALUES[:, :1]))


def test_target_scale_must_fit():
    """There is one scale an output."""
    split = Split(X, VALUES)
    with pytest.raises(ValueError, match=r"target_scale must have shape \(3,\).*not \(1,\)"):
        Dataset(split, split, target_scale=np.ones(1))


def test_sizes():
    """Inputs are features; outputs are classes, or columns of values."""
    assert (classes(n_inputs=5, n_classes=4).n_inputs, classes(n_classes=4).n_outputs) == (5, 4)
    assert values(n_outputs=2).n_outputs == 2


def test_without_test():
    """The test rows go, and the other arrays are the same ones."""
    split = Split(X, LABELS)
    dataset = Dataset(split, split, split, n_classes=3)
    hidden = dataset.without_test()
    assert hidden.test is None
    assert hidden.train.x is X
    assert dataset.test is split


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (values(), {"metric": "r2"}, "loss 'softmax_cross_entropy' does not suit regression"),
        (values(), {"loss": "mean_squared"}, "metric 'accuracy' does not suit regression data"),
        (classes(), {"metric": "rmse"}, "metric 'rmse' does not suit classification data; use"),
    ],
)
def test_check_fit(dataset, options, message):
    """A loss or a metric for the other kind of data is refused, naming both."""
    with pytest.raises(ValueError, match=message):
        check_fit(TrainConfig(neurons=(), **options), dataset)

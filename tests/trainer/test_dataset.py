"""What a data set refuses, and in which words."""

import dataclasses

import numpy as np
import pytest

from tests.trainer.data import classes, indicators, values
from trainer import Dataset, Split, TrainConfig, check_defined, check_fit, check_metric
from trainer.dataset import check_classes, encode, row_weights

REGRESSION = {"loss": "mean_squared", "metric": "rmse"}

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


@pytest.mark.parametrize("name", ["target_scale", "target_mean"])
def test_units_must_fit(name):
    """There is one of them an output, and only values have any."""
    split = Split(X, VALUES)
    with pytest.raises(ValueError, match=rf"{name} must have shape \(3,\).*not \(1,\)"):
        Dataset(split, split, **{name: np.ones(1)})
    with pytest.raises(ValueError, match=f"{name} must be None for multilabel data"):
        Dataset(split, split, multilabel=True, **{name: np.ones(3)})
    with pytest.raises(ValueError, match=f"{name} must be None for classification data"):
        Dataset(Split(X, LABELS), Split(X, LABELS), n_classes=3, **{name: np.ones(3)})


@pytest.mark.parametrize(
    ("y", "n_classes", "message"),
    [
        (VALUES + 0.5, None, "train.y must hold 0 and 1 alone, .*; row 0, column 0 is 0.5"),
        (changed(VALUES, (2, 1), -1), None, "0 and 1 alone.*; row 2, column 1 is -1"),
        (LABELS, None, r"train.y must have shape \(rows, labels\), .*not \(4,\)"),
        (VALUES.astype(int), 3, "n_classes must be None for multilabel data, not 3"),
    ],
)
def test_refuses_what_is_not_multilabel(y, n_classes, message):
    """Multilabel targets are columns of 0 and 1, of any type that holds them."""
    with pytest.raises(ValueError, match=message):
        Dataset(Split(X, y), Split(X, VALUES), n_classes=n_classes, multilabel=True)
    for dtype in (bool, np.uint8, np.float32):
        split = Split(X, np.eye(4, 3).astype(dtype))
        assert Dataset(split, split, multilabel=True).n_outputs == 3


def test_kind():
    """In the words of the tables of losses and metrics."""
    kinds = [dataset.kind for dataset in (classes(), indicators(), values())]
    assert kinds == ["classification", "multilabel", "regression"]


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (np.ones(1), r"target_scale must have shape \(3,\), one number an output, not \(1,\)"),
        ([1.0, 1.0, 1.0], "target_scale must be an array of real numbers, not list"),
        (2.0, "not float"),
        (np.array([1, 0, 1]), r"target_scale must be finite and above 0, not \[1, 0, 1\]"),
        (np.array([1, np.nan, 1]), r"not \[1.0, nan, 1.0\]"),
    ],
)
def test_target_scale_must_fit(scale, message):
    """There is one scale an output, above 0."""
    split = Split(X, VALUES)
    with pytest.raises(ValueError, match=message):
        Dataset(split, split, target_scale=scale)


def test_splits_are_splits():
    """A plain pair of arrays, or nothing to train on or to judge by, is refused by name."""
    split = Split(X, LABELS)
    with pytest.raises(ValueError, match="train must be a Split, not of the type tuple"):
        Dataset((X, LABELS), split, n_classes=3)
    with pytest.raises(ValueError, match="validation must be a Split, not of the type NoneType"):
        Dataset(split, None, n_classes=3)


def test_several_labels_a_row():
    """Columns of 0 and 1 are told the loss that is for them."""
    columns = Split(X, np.eye(3, dtype=int)[LABELS])
    with pytest.raises(
        ValueError, match="leave out n_classes, set multilabel and use loss 'sigmoid"
    ):
        Dataset(columns, columns, n_classes=3)
    config = TrainConfig(neurons=(), batch_size=2)
    with pytest.raises(ValueError, match="are multilabel data, with loss 'sigmoid_cross_entropy'"):
        check_fit(config, Dataset(columns, columns))


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
    ("weights", "message"),
    [
        ([1, 1, 1, 1], "weights must be an array of real numbers, not list"),
        (np.ones(4, object), "weights must be .* not of dtype object"),
        (np.ones(3), r"weights must have shape \(4,\), one a training row, not \(3,\)"),
        (np.ones((4, 1)), r"not \(4, 1\)"),
        (np.array([1, -1, 1, 1]), "weights must be finite, 0 or above, and not all 0, not -1"),
        (np.array([1, np.nan, 1, 1]), "not nan"),
        (np.zeros(4), "not all 0"),
    ],
)
def test_bad_weights(weights, message):
    """Weights are one number at least 0 for each training row."""
    with pytest.raises(ValueError, match=message):
        Dataset(Split(X, LABELS), Split(X, LABELS), n_classes=3, weights=weights)


def test_row_weights():
    """Weights come to mean 1; balanced classes weigh alike, and their rows by their own weights."""
    dataset = Dataset(Split(X, LABELS), Split(X, LABELS), n_classes=4)
    plain, balanced = (TrainConfig(neurons=(), class_weight=kind) for kind in ("none", "balanced"))
    assert row_weights(plain, dataset) is None
    np.testing.assert_allclose(row_weights(balanced, dataset), np.array([4, 2, 4, 2]) / 3)
    weighted = dataclasses.replace(dataset, weights=np.array([0, 1, 2, 3], dtype=np.uint8))
    np.testing.assert_allclose(row_weights(plain, weighted), np.array([0, 2, 4, 6]) / 3)
    np.testing.assert_allclose(row_weights(balanced, weighted), np.array([0, 1, 4, 3]) / 2)


@pytest.mark.parametrize("smoothing", [0, 0.3])
def test_encode(smoothing):
    """Labels become columns of 0 and 1; smoothing spreads a share over all classes, or over two."""
    targets = np.full((3, 4), np.nan)
    encode(LABELS.astype(np.uint8), targets, smoothing)
    np.testing.assert_allclose(targets, np.eye(3)[LABELS].T * (1 - smoothing) + smoothing / 3)
    encode(np.eye(3)[LABELS], targets, smoothing)
    np.testing.assert_allclose(targets, np.eye(3)[LABELS].T * (1 - smoothing) + smoothing / 2)


MANY = {"loss": "sigmoid_cross_entropy"}
LARGE = Dataset(Split(X, VALUES), Split(1e39 * (X + 1), VALUES))


@pytest.mark.parametrize(
    ("dataset", "options", "message"),
    [
        (values(), {"metric": "r2"}, "loss 'softmax_cross_entropy' does not suit regression"),
        (values(), {"loss": "mean_squared"}, "metric 'accuracy' does not suit regression data"),
        (classes(), {"metric": "rmse"}, "metric 'rmse' does not suit classification data; use"),
        (classes(), {"batch_size": 41}, r'batch_size must be at most the 40 .*, or "full", not 41'),
        (
            values(),
            REGRESSION | {"class_weight": "balanced"},
            "class_weight 'balanced' needs label",
        ),
        (values(), REGRESSION | {"label_smoothing": 0.1}, "label_smoothing 0.1 needs labels"),
        (indicators(), {}, "loss 'softmax_cross_entropy' does not suit multilabel .* sigmoid_cros"),
        (indicators(), {"loss": "hinge"}, "loss 'hinge' does not suit multilabel data; use one of"),
        (indicators(), MANY | {"metric": "mae"}, "metric 'mae' .* multilabel .* accuracy, average"),
        (indicators(), MANY | {"class_weight": "balanced"}, "needs one label a row, which multila"),
        (classes(), {"metric": "f1"}, "metric 'f1' is for two classes, and the data has 3; use 'f"),
        (values(), REGRESSION | {"loss": "poisson"}, "train.y must be from 0 to inf for loss 'poi"),
        (values(), REGRESSION | {"loss": "sigmoid_cross_entropy"}, "train.y must be from 0 to 1"),
        (LARGE, REGRESSION, r"validation.x must be within \+/- 3.4e\+38 to be float32, not 1e\+39"),
    ],
)
def test_check_fit(dataset, options, message):
    """A loss or a metric for the other kind of data is refused, naming both."""
    with pytest.raises(ValueError, match=message):
        check_fit(TrainConfig(neurons=(), **{"batch_size": 2} | options), dataset)


def pair(train, validation, **options):
    """Data of these targets, of one column."""
    splits = [Split(np.zeros((len(y), 1)), np.array(y)) for y in (train, validation)]
    return Dataset(*splits, **options)


POSITIVE = pair([[0.0], [1.0]], [[0.0], [1.0]], target_scale=np.ones(1))


@pytest.mark.parametrize(
    ("name", "dataset", "message"),
    [
        ("f1", classes(), "use 'f1_macro'"),
        ("precision", classes(), "use 'precision_macro'"),
        ("recall", classes(), "use 'recall_macro'"),
        ("roc_auc", classes(), "use 'roc_auc_ovr'"),
        ("average_precision", classes(), "use 'roc_auc_ovr'"),
        ("f1_samples", classes(), "use one of accuracy, balanced_accuracy, brier_score, f1_macro,"),
        ("r2", classes(n_classes=2), "use one of accuracy, average_precision, .* f1, "),
        ("rmsle", values(), "needs targets above -1; validation.y has -1.1"),
        ("rmsle", POSITIVE, "metric 'rmsle' needs target_mean beside target_scale"),
        ("mape", POSITIVE, "metric 'mape' needs target_mean beside target_scale"),
        (
            "rmsle",
            dataclasses.replace(POSITIVE, target_mean=np.array([-1.5])),
            "above -1; validation.y has -1.5",
        ),
    ],
)
def test_check_metric(name, dataset, message):
    """What a metric does not suit is named, with what to use instead."""
    with pytest.raises(ValueError, match=message):
        check_metric(name, dataset)


@pytest.mark.parametrize(
    ("name", "dataset"),
    [
        ("f1", classes(n_classes=2)),
        ("average_precision", indicators()),
        ("rmsle", dataclasses.replace(POSITIVE, target_mean=np.zeros(1))),
        ("mape", values()),
        ("rmse", POSITIVE),
    ],
)
def test_metrics_that_suit(name, dataset):
    """Two classes, labels of their own, and values in known units are taken."""
    check_metric(name, dataset)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (
            pair([0, 1], [1, 1], n_classes=2),
            "'roc_auc' .* validation.y has only one kind for label 0",
        ),
        (
            pair([[0], [1]], [[0], [0]], multilabel=True),
            "validation.y has only one kind for label 0",
        ),
        (
            pair([[0, 1], [1, 0]], [[0, 1], [1, 1]], multilabel=True),
            "validation.y has only one kind for label 1",
        ),
    ],
)
def test_check_defined(dataset, message):
    """Rows that leave a metric without a value are named, also where training would stop by it."""
    with pytest.raises(ValueError, match=message):
        check_defined("roc_auc", dataset)
    turned = dataclasses.replace(dataset, validation=dataset.train, test=dataset.validation)
    with pytest.raises(ValueError, match=message.replace("validation", "test")):
        check_defined("roc_auc", turned)
    check_defined("average_precision", dataset)
    config = TrainConfig(neurons=(), metric="roc_auc", batch_size="full", **MANY)
    check_fit(config, dataset)
    with pytest.raises(ValueError, match=message):
        check_fit(dataclasses.replace(config, patience=1), dataset)


def test_float64_takes_what_float32_does_not():
    """Numbers that only float64 can hold do with float64."""
    check_fit(TrainConfig(neurons=(), dtype="float64", batch_size="full", **REGRESSION), LARGE)


def test_one_row_under_batch_norm():
    """A full batch of one row has no variance either."""
    split = Split(X[:1], VALUES[:1])
    config = TrainConfig(neurons=(), norm="batch", batch_size="full", **REGRESSION)
    with pytest.raises(ValueError, match="norm 'batch' needs at least 2 training rows"):
        check_fit(config, Dataset(split, split))


def test_one_class():
    """One label alone is nothing to start from, and is named."""
    split = Split(X, np.full(4, 2))
    with pytest.raises(ValueError, match=r"train.y must hold at least 2 classes, not only label 2"):
        check_classes(Dataset(split, split, n_classes=3))
    check_classes(classes())
    split = Split(X, np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"train.y must hold rows of different labels"):
        check_classes(Dataset(split, split, multilabel=True))
    check_classes(indicators())
    check_classes(values())

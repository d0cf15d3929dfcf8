"""Real data: how rows are shared out and scaled, and how new rows are read the same way."""

import io

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes, load_iris
from sklearn.metrics import root_mean_squared_error
from sklearn.preprocessing import StandardScaler

from sweep import datasets
from sweep.datasets import Preprocessing, split
from sweep.errors import StudyFileError
from sweep.spec import SOURCES, DataSpec
from trainer import TrainConfig, check_fit, predict, run


def data(source="sklearn:iris", **given):
    return DataSpec(source=source, **given)


@pytest.mark.parametrize("source", SOURCES)
def test_every_source(source):
    """Every source gives what the trainer takes, of the kind that the study file expects of it."""
    dataset, preprocessing = datasets.load(data(source))
    regression = SOURCES[source] == "regression"
    assert (dataset.n_classes is None) == (preprocessing.classes is None) == regression
    assert dataset.n_inputs == len(preprocessing.features)
    for part in (dataset.train, dataset.validation, dataset.test):
        assert part.x.dtype == np.float32
        assert part.x.flags.c_contiguous
        assert part.y.dtype == (np.float32 if regression else np.int64)
        assert part.y.ndim == (2 if regression else 1)
        assert np.abs(part.x.mean(axis=0)).max() < 1
    assert np.allclose(dataset.train.x.mean(axis=0), 0, atol=1e-5)
    config = TrainConfig(
        neurons=(), loss="mean_squared", metric="r2" if regression else "accuracy", epochs=2
    )
    check_fit(config, dataset)
    assert len(run(config, dataset, seed=0)[0]) == 2


shares = st.tuples(st.floats(0.01, 0.45), st.just(0.0) | st.floats(0.01, 0.45))


@given(st.integers(30, 300), shares, st.integers(0, 2**63 - 1))
def test_split_is_a_partition(rows, shares, seed):
    """Every row is in exactly one part, the parts have the sizes asked for, and order is kept."""
    spec = data(validation=shares[0], test=shares[1], seed=seed)
    parts = split(spec, rows)
    assert sorted(np.concatenate(parts)) == list(range(rows))
    assert all((np.diff(part) > 0).all() for part in parts)
    assert len(parts[1]) == max(1, round(rows * shares[0]))
    assert len(parts[2]) == (max(1, round(rows * shares[1])) if shares[1] else 0)
    assert all(map(np.array_equal, parts, split(spec, rows)))


@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=6),
    st.sampled_from([(0.2, 0.2), (0.1, 0.3), (0.25, 0.0)]),
    st.integers(0, 1000),
)
def test_split_is_stratified(sizes, shares, seed):
    """Each part has each class in its share, to a row, and training lacks none, however rare."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows, slack = len(labels), len(sizes) / 2
    assume(rows >= 2 * len(sizes))
    spec = data(validation=shares[0], test=shares[1], seed=seed)
    parts = split(spec, rows, labels)
    for part in parts:
        for label, size in enumerate(sizes):
            fair = size * len(part) / rows
            # A row from rounding at either end of a part, and what other classes' rounding moved.
            assert abs((labels[part] == label).sum() - fair) <= 1 + 2 * slack * size / rows
    assert set(labels[parts[0]]) == set(range(len(sizes)))


def test_split_of_balanced_classes():
    """Classes of one size are shared out evenly."""
    dataset, _ = datasets.load(data())
    counts = [np.bincount(part.y).tolist() for part in (dataset.train, dataset.validation)]
    assert counts == [[30, 30, 30], [10, 10, 10]]


def test_seeds_differ():
    """Another seed sets other rows aside."""
    assert not np.array_equal(split(data(), 100)[2], split(data(seed=1), 100)[2])


def test_split_is_the_same_everywhere():
    """A split never changes, with no release of NumPy: seed 0 of ten rows is written here."""
    parts = [part.tolist() for part in split(data(), 10)]
    assert parts == [[0, 4, 5, 6, 7, 9], [1, 8], [2, 3]]


@pytest.mark.parametrize(
    ("shares", "rows", "labels"),
    [
        ((0.5, 0.49), 10, None),
        ((0.2, 0.2), 2, None),
        ((0.45, 0.5), 20, np.arange(20) % 4),
        ((0.4, 0.4), 5, np.array([0, 1, 1, 1, 2])),
    ],
)
def test_split_leaves_too_little(shares, rows, labels):
    """Shares that leave no row of some class to train on are refused by their keys."""
    spec = data(validation=shares[0], test=shares[1])
    with pytest.raises(StudyFileError, match=r"data.validation = .* data.test = .* smaller"):
        split(spec, rows, labels)


def test_scaling_is_fitted_on_training_rows_only():
    """The scaler has seen the training rows and no others; scikit-learn's agrees."""
    raw = load_iris()
    dataset, preprocessing = datasets.load(data())
    train, validation, _ = split(data(), len(raw.data), raw.target)
    scaler = StandardScaler().fit(raw.data[train])
    assert np.allclose(preprocessing.mean, scaler.mean_, rtol=1e-12)
    assert np.allclose(preprocessing.scale, scaler.scale_, rtol=1e-12)
    assert np.array_equal(dataset.validation.x, preprocessing.transform(raw.data[validation]))
    assert np.array_equal(dataset.validation.y, raw.target[validation])


def test_no_scaling():
    """Without scaling, rows and targets are as they were."""
    raw = load_diabetes()
    spec = data("sklearn:diabetes", scaling="none")
    dataset, preprocessing = datasets.load(spec)
    train = split(spec, len(raw.data))[0]
    assert np.array_equal(dataset.train.x, raw.data[train].astype(np.float32))
    assert np.array_equal(dataset.train.y[:, 0], raw.target[train].astype(np.float32))
    assert preprocessing.target_scale.tolist() == dataset.target_scale.tolist() == [1]


def test_constant_columns():
    """A column without spread in training is centred and left so, since 0 would divide it."""
    dataset, preprocessing = datasets.load(data("sklearn:digits"))
    constant = preprocessing.scale == 1
    assert preprocessing.features[0] == "pixel_0_0"
    assert constant[0]
    assert not dataset.train.x[:, constant].any()


def test_labels_and_features():
    """Class indices become the data's own labels; a row of another width is refused by name."""
    _, preprocessing = datasets.load(data())
    assert preprocessing.labels([2, 0]).tolist() == ["virginica", "setosa"]
    with pytest.raises(ValueError, match=r"\(1, 3\), not \(rows, 4\): sepal length"):
        preprocessing.transform(np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"\(4,\), not \(rows, 4\)"):
        preprocessing.transform(np.zeros(4))


def test_regression_in_units_of_the_data():
    """Standardised targets and their metrics come back in the units of the data."""
    raw = load_diabetes()
    spec = data("sklearn:diabetes")
    dataset, preprocessing = datasets.load(spec)
    validation = split(spec, len(raw.data))[1]
    targets = raw.target[validation, None]
    assert np.allclose(preprocessing.targets(dataset.validation.y), targets, rtol=1e-5)
    config = TrainConfig(neurons=(8,), loss="mean_squared", metric="rmse", epochs=3)
    records, state = run(config, dataset, 0)
    outputs = predict(config, state.parameters, dataset.validation.x, 1)
    expected = root_mean_squared_error(targets, preprocessing.targets(outputs))
    assert np.isclose(records[-1].validation_metric, expected)
    with pytest.raises(ValueError, match="no class labels"):
        preprocessing.labels([0])


@pytest.mark.parametrize("source", SOURCES)
def test_arrays_without_pickle(source):
    """Preprocessing comes back from an .npz that holds no pickle."""
    _, preprocessing = datasets.load(data(source))
    file = io.BytesIO()
    np.savez(file, **preprocessing.to_arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        again = Preprocessing.from_arrays(arrays)
    assert again.to_arrays().keys() == preprocessing.to_arrays().keys()
    for name, array in preprocessing.to_arrays().items():
        assert np.array_equal(getattr(again, name), array)
        assert getattr(again, name).dtype == array.dtype
    rows = np.random.default_rng(0).random((3, len(again.features)))
    assert np.array_equal(again.transform(rows), preprocessing.transform(rows))


def test_fingerprint():
    """The fingerprint is the same for the same rows, and another for anything else."""
    dataset, _ = datasets.load(data())
    same, _ = datasets.load(data())
    others = [datasets.load(data(**given))[0] for given in ({"seed": 1}, {"scaling": "none"})]
    prints = [datasets.fingerprint(d) for d in (dataset, *others, dataset.without_test())]
    assert datasets.fingerprint(same) == prints[0]
    assert len(set(prints)) == 4
    assert len(prints[0]) == 64

"""Training, predicting and exporting with an embedding in front of the network."""

import dataclasses
from itertools import pairwise

import numpy as np
import onnxruntime
import pytest
from sklearn.datasets import load_iris

from tests.trainer.data import classes, values
from tests.trainer.test_checkpoint import same
from tests.trainer.test_training import without_seconds
from trainer import (
    EMBEDDINGS,
    Dataset,
    MLPClassifier,
    MLPRegressor,
    PiecewiseLinear,
    Split,
    TrainConfig,
    evaluate,
    feature_significance,
    load,
    passes,
    predict,
    run,
    save,
    to_onnx,
    train_many,
)
from trainer.network import Network
from trainer.prediction import build_network, input_gradient

CONFIG = TrainConfig(
    neurons=(6,), activation="tanh", bins=4, frequencies=3, frequency_scale=0.5, epochs=3
)

NAMES = pytest.mark.parametrize("name", sorted(EMBEDDINGS))


def configured(name: str, **changes) -> TrainConfig:
    """The configuration with this embedding."""
    return dataclasses.replace(CONFIG, embedding=name, **changes)


@NAMES
@pytest.mark.parametrize("changes", [{}, {"patience": 2, "norm": "batch"}, {"dtype": "float64"}])
def test_is_a_training_on_the_features(name, changes):
    """The bits are those of a network without an embedding on rows that were embedded before."""
    config, dataset = configured(name, **changes), classes()
    records, state = run(config, dataset, seed=0)
    train, validation = (
        Split(state.embedding.transform(split.x), split.y)
        for split in (dataset.train, dataset.validation)
    )
    features = Dataset(train, validation, n_classes=3)
    plain = dataclasses.replace(config, embedding="none")
    expected, reached = run(plain, features, seed=0)
    assert without_seconds(records) == without_seconds(expected)
    np.testing.assert_array_equal(state.parameters, reached.parameters)
    found = evaluate(config, state.parameters, dataset, dataset.validation, state.embedding)
    assert found == evaluate(plain, state.parameters, features, validation)
    predictions = predict(config, state.parameters, dataset.train.x, 3, embedding=state.embedding)
    np.testing.assert_array_equal(predictions, predict(plain, state.parameters, train.x, 3))


@NAMES
def test_rows_of_features_lie_together(name):
    """As batches gather them: column by column in memory, an epoch takes several times as long."""
    x = classes().train.x
    assert EMBEDDINGS[name].fit(x).transform(x).flags.c_contiguous


@NAMES
def test_is_fitted_to_training_rows(name):
    """Other validation rows leave it as it is; the options of the configuration reach it."""
    config, dataset = configured(name), classes()
    elsewhere = Split(100 * dataset.validation.x, dataset.validation.y)
    moved = dataclasses.replace(dataset, validation=elsewhere)
    one, two = (run(config, d, seed=0)[1].embedding.to_arrays() for d in (dataset, moved))
    for key, array in one.items():
        np.testing.assert_array_equal(array, two[key])
    columns = dataset.n_inputs
    features = {"piecewise_linear": 4 * columns, "periodic": 7 * columns}
    assert run(config, dataset, seed=0)[1].embedding.n_features == features[name]


def test_frequencies_follow_the_seed():
    """Frequencies are drawn for each training, and its other random numbers stay as they were."""
    a, b, c = (run(configured("periodic"), classes(), s)[1].embedding for s in (0, 0, 1))
    np.testing.assert_array_equal(a.frequency, b.frequency)
    assert (a.frequency != c.frequency).all()


@NAMES
def test_resumes_from_disk(tmp_path, name):
    """A state on disk holds the embedding, and goes on to the bits of not having stopped."""
    config, dataset = configured(name), classes()
    _, whole = run(config, dataset, seed=0)
    _, first = run(config, dataset, seed=0, until=1)
    save(tmp_path / "state.npz", first)
    again = load(tmp_path / "state.npz")
    assert type(again.embedding) is EMBEDDINGS[name]
    _, resumed = run(config, dataset, seed=0, state=again)
    assert same(resumed, whole)
    for key, array in whole.embedding.to_arrays().items():
        np.testing.assert_array_equal(resumed.embedding.to_arrays()[key], array)


@NAMES
def test_train_many(name):
    """Many at once are what each is alone."""
    dataset = classes()
    many = train_many(configured(name), dataset, [0, 1])
    for seed, (_, state) in enumerate(many):
        _, alone = run(configured(name), dataset, seed)
        np.testing.assert_allclose(state.parameters, alone.parameters, rtol=1e-4, atol=1e-5)


@NAMES
@pytest.mark.parametrize("scale", [1, 1000])
def test_input_gradient(name, scale):
    """Slopes along the columns are those of differences, also where the units are large."""
    rng = np.random.default_rng(0)
    x = scale * rng.normal(size=(40, 3))
    embedding = EMBEDDINGS[name].fit(x)
    config = TrainConfig(neurons=(5,), activation="tanh", embedding=name, dtype="float64")
    plain = dataclasses.replace(config, embedding="none")
    sizes = (embedding.n_features, 5, 2)
    parameters = rng.normal(size=sum((a + 1) * b for a, b in pairwise(sizes)))
    network = build_network(config, parameters, 3, 2, embedding)
    assert isinstance(network, Network)
    assert network.sizes == build_network(plain, parameters, sizes[0], 2).sizes
    rows = x + scale / 1000  # off the edges of bins
    slopes = input_gradient(network, embedding, rows)
    for column, step in enumerate(scale * 1e-6 * np.eye(3)):
        above, below = (
            passes.outputs(network, embedding.transform(rows + s)) for s in (step, -step)
        )
        expected = (above - below) / (2e-6 * scale)
        np.testing.assert_allclose(slopes[:, :, column], expected, rtol=1e-4, atol=1e-4 / scale)


@NAMES
def test_significance_is_of_the_columns(name):
    """A feature is a column of the data, and one that says nothing matters least."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 2))
    y = (np.absolute(x[:, 0]) > 0.7).astype(int)
    dataset = Dataset(Split(x, y), Split(x, y), n_classes=2)
    config = configured(name, epochs=60, learning_rate=0.03)
    _, state = run(config, dataset, seed=0)
    first, second = feature_significance(
        config, state.parameters, dataset, dataset.train, embedding=state.embedding
    )
    assert first.permutation > 5 * abs(second.permutation)
    assert first.gradient > second.gradient


@NAMES
def test_what_does_not_fit_is_refused(tmp_path, name):
    """An embedding that is missing, of another kind or of other columns is named."""
    config, dataset = configured(name), classes()
    plain = dataclasses.replace(config, embedding="none")
    _, state = run(config, dataset, seed=0)
    parameters, x = state.parameters, dataset.train.x
    missing = rf"embedding must be the state's own, '{name}' .* not 'none'; give state.embedding"
    with pytest.raises(ValueError, match=missing):
        predict(config, parameters, x, 3)
    with pytest.raises(ValueError, match=missing):
        evaluate(config, parameters, dataset, dataset.train)
    with pytest.raises(ValueError, match=missing):
        to_onnx(tmp_path / "m.onnx", config, parameters, 5, 3)
    for first, then in ((plain, config), (config, plain)):
        words = f"'{first.embedding}' in the state and '{then.embedding}' in the configuration"
        with pytest.raises(ValueError, match=f"embedding is {words}"):
            run(then, dataset, 0, state=run(first, dataset, seed=0, until=1)[1])
    with pytest.raises(ValueError, match="fitted to 5 columns and the data has 2"):
        predict(config, parameters, x[:, :2], 3, embedding=state.embedding)


@NAMES
def test_constant_and_binary_columns(name):
    """Columns that hardly vary train like others, and a constant one is not blown up."""
    dataset = values()
    for split in (dataset.train, dataset.validation):
        split.x[:, 0] = 0.1
        split.x[:, 1] = split.x[:, 1] > 0
    config = configured(name, loss="mean_squared", metric="r2")
    records, state = run(config, dataset, seed=0)
    assert not state.diverged
    features = state.embedding.transform(dataset.train.x + np.array([1e-9, 0, 0, 0]))
    assert np.absolute(features).max() < 100
    assert len(records) == 3


def fitted(name: str, kind: type, **settings) -> tuple:
    """An estimator with this embedding, and rows in units far from 1."""
    x, y = load_iris(return_X_y=True)
    x, y = 1000 + 50 * x, y if kind is MLPClassifier else 1000.0 + x[:, :2]
    own = {"piecewise_linear": {"bins": 5}, "periodic": {"frequencies": 2}}[name]
    options = own | {"epochs": 5, "random_state": 0} | settings
    return kind(embedding=name, **options).fit(x, y), x, y


@NAMES
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_estimators(tmp_path, name, kind):
    """The embedding is saved, goes on unchanged in partial_fit, and is part of the ONNX model."""
    model, x, y = fitted(name, kind)
    model.save(tmp_path / "m.npz")
    again = kind.load(tmp_path / "m.npz")
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    model.to_onnx(tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    (found,) = session.run(["y"], {"x": x.astype(np.float32)})
    expected = model.predict_proba(x) if kind is MLPClassifier else model.predict(x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    widths = {"piecewise_linear": 4 * 5, "periodic": 4 * 5}
    assert model.summary().layers[0].n_in == widths[name]
    before = model.state_.embedding
    assert again.partial_fit(x[:50], y[:50]).state_.embedding.n_features == before.n_features
    np.testing.assert_array_equal(again.state_.embedding.column, before.column)


@NAMES
def test_estimator_slopes(name):
    """input_gradient is along the data's own columns and units."""
    model, x, _ = fitted(name, MLPRegressor, dtype="float64", activation="tanh")
    x = x + 0.0123
    slopes = model.input_gradient(x)
    assert slopes.shape == (150, 2, 4)
    step = np.array([0, 1e-4, 0, 0])
    differences = (model.predict(x + step) - model.predict(x - step)) / 2e-4
    np.testing.assert_allclose(slopes[:, :, 1] * model.target_scale_, differences, atol=1e-6)


def test_bends():
    """Bins fit a step that a linear network cannot."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 1))
    y = (np.absolute(x[:, 0]) > 1).astype(int)
    settings = {"neurons": (), "epochs": 100, "learning_rate": 0.05, "random_state": 0}
    linear = MLPClassifier(**settings).fit(x, y)
    binned = MLPClassifier(embedding="piecewise_linear", bins=16, **settings).fit(x, y)
    assert linear.score(x, y) < 0.8
    assert binned.score(x, y) > 0.95


def test_memory_of_prediction():
    """Rows are embedded in blocks, and come out as they would at once."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2500, 2))
    embedding = PiecewiseLinear.fit(x, bins=3)
    config = TrainConfig(neurons=(), embedding="piecewise_linear", dtype="float64")
    parameters = rng.normal(size=7 * 2)
    found = predict(config, parameters, x, 2, embedding=embedding)
    plain = dataclasses.replace(config, embedding="none")
    expected = predict(plain, parameters, embedding.transform(x), 2)
    np.testing.assert_allclose(found, expected, rtol=1e-12)

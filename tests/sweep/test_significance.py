"""What columns matter, against algebra, the attributions' own sums, and scikit-learn."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.inspection import permutation_importance

from sweep import datasets
from sweep.dataspec import DataSpec
from sweep.model import Model
from sweep.significance import ROWS, significance
from tests.sweep.tables import FEATURES, table
from trainer import EMBEDDINGS, Split, TrainConfig, build_network, passes, run
from trainer.understanding import integrated_gradients

LINEAR = TrainConfig(
    neurons=(), loss="mean_squared", metric="r2", learning_rate=0.02, epochs=60, dtype="float64"
)


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """Where the table is, and a way to train on it."""
    file = tmp_path_factory.mktemp("homes") / "homes.csv"
    table(600).to_csv(file, index=False)

    def train(config, *target, without=()):
        others = {"price", "rent", "dear", "sunny", "quiet", *without} - set(target)
        columns = dict.fromkeys(sorted(others), "drop")
        dataset, read = datasets.load(DataSpec(source=str(file), target=target, columns=columns))
        state = run(config, dataset, seed=0)[1]
        return Model(config, state.parameters, read, state.embedding), dataset

    return train


def test_a_linear_network(homes):
    """A column's part is the sum of weight times distance from the mean, over what it becomes."""
    model, dataset = homes(LINEAR, "price")
    x = dataset.validation.x
    found = significance(model, dataset.validation, repeats=0)
    weights = model.parameters[:-1]
    parts = pd.DataFrame((x - x.mean(axis=0)) * weights, columns=model.preprocessing.origins)
    expected = parts.T.groupby(level=0).sum().abs().mean(axis=1)
    assert sorted(found.index) == sorted(FEATURES)
    np.testing.assert_allclose(found["significance"], expected[found.index], rtol=1e-5)
    assert found["share"].sum() == pytest.approx(1)
    assert found["significance"].is_monotonic_decreasing
    assert found.index[0] == "size"
    assert list(found.columns) == ["significance", "standard_error", "share"]


@pytest.mark.parametrize("embedding", ["none", *EMBEDDINGS])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_parts_add_up(homes, activation, embedding):
    """Those of a row sum to its output less that of the baseline (completeness), in each output.

    Without dates: sines that are 0 but for the last bit make bins too narrow for any step.
    """
    config = TrainConfig(
        neurons=(16,),
        activation=activation,
        embedding=embedding,
        bins=4,
        dtype="float64",
        epochs=20,
    )
    model, dataset = homes(config, "dear", without=["built"])
    x = dataset.validation.x.astype(np.float64)
    baseline = x.mean(axis=0)
    parts = integrated_gradients(
        config, model.parameters, x, baseline, 2, embedding=model.embedding, steps=300
    )
    moved = model.raw(x) - model.raw(baseline[np.newaxis])
    np.testing.assert_allclose(parts.sum(axis=2), moved, atol=0.01 * np.abs(moved).max())


def test_a_column_that_is_not_used(homes):
    """It has no part, whatever it becomes, and shuffling it changes nothing."""
    model, dataset = homes(replace(LINEAR, neurons=(8,), activation="relu"), "price", "rent")
    inputs = len(model.preprocessing.features)
    parameters = model.parameters.copy()
    weights = parameters[: inputs * 8].reshape(inputs, 8)
    weights[np.array(model.preprocessing.origins) == "street"] = 0
    found = significance(replace(model, parameters=parameters), dataset.validation)
    assert (found.loc["street"] == 0).all()
    assert (found.drop("street")["significance"] > 0).all()


def test_permutation_as_scikit_learn(homes):
    """Shuffling a raw column costs what scikit-learn says, within the scatter of the shuffles."""
    model, _ = homes(replace(LINEAR, neurons=(16,), activation="relu"), "price")
    frame = table(400, seed=5)
    ours = model.feature_significance(frame, repeats=30)
    x, y = frame[FEATURES], frame["price"]
    theirs = permutation_importance(model, x, y, n_repeats=30, random_state=1)
    expected = pd.Series(theirs.importances_mean, FEATURES)[ours.index]
    scatter = np.hypot(ours["permutation_std"], theirs.importances_std.max()) / np.sqrt(30)
    assert (np.abs(ours["permutation"] - expected) < 4 * scatter + 1e-6).all()
    assert ours["permutation"].idxmax() == "size"


def test_of_classes_it_is_what_tells_them_apart(homes):
    """The same added to all logits changes nothing."""
    config = TrainConfig(neurons=(), dtype="float64", epochs=20, learning_rate=0.02)
    model, dataset = homes(config, "dear")
    weights = model.parameters.reshape(-1, 2)
    shifted = (weights + np.linspace(-1, 1, len(weights))[:, np.newaxis]).ravel()
    one, other = (
        significance(each, dataset.validation, repeats=0)
        for each in (model, replace(model, parameters=shifted))
    )
    pd.testing.assert_frame_equal(one, other)


def test_many_rows_are_thinned(homes):
    """Not more than so many are looked at; the standard error is that of a mean over them."""
    model, dataset = homes(LINEAR, "price")
    x = np.tile(dataset.validation.x, (40, 1))
    found = significance(model, Split(x, None), repeats=5)
    assert len(x) > ROWS == found.attrs["rows"]
    few = significance(model, Split(dataset.validation.x, None))
    ratio = few["standard_error"] / found["standard_error"]
    assert np.allclose(ratio, np.sqrt(ROWS / len(dataset.validation.x)), rtol=0.1)


def test_it_repeats(homes):
    """The same seed shuffles alike; another one does not."""
    model, dataset = homes(LINEAR, "price")
    first, again, other = (
        significance(model, dataset.validation, repeats=2, seed=seed) for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, again)
    assert (first["permutation"] != other["permutation"]).any()


@pytest.mark.parametrize(("name", "value"), [("repeats", -1), ("repeats", 1.5), ("seed", -1)])
def test_numbers_that_cannot_be(homes, name, value):
    """They are refused by name."""
    model, dataset = homes(LINEAR, "price")
    with pytest.raises(ValueError, match=f"{name} must be"):
        significance(model, dataset.validation, **{name: value})


def test_gradients_on_the_way(homes):
    """Against a mean of central differences at the same points."""
    config = TrainConfig(neurons=(6,), activation="tanh", dtype="float64", epochs=5)
    model, dataset = homes(config, "dear")
    x = dataset.validation.x[:7].astype(np.float64)
    baseline = x.mean(axis=0)
    found = integrated_gradients(config, model.parameters, x, baseline, 2, steps=4)
    network = build_network(config, model.parameters, x.shape[1], 2)
    for j in range(x.shape[1]):
        step = np.zeros(x.shape[1])
        step[j] = 1e-5
        points = [baseline + (x - baseline) * t for t in (0.125, 0.375, 0.625, 0.875)]
        slopes = [
            (passes.outputs(network, p + step) - passes.outputs(network, p - step)) / 2e-5
            for p in points
        ]
        expected = np.mean(slopes, axis=0) * (x - baseline)[:, [j]]
        np.testing.assert_allclose(found[:, :, j], expected, rtol=1e-5, atol=1e-9)

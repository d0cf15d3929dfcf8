"""Significances against independent references, and summaries against counts."""

import numpy as np
import pandas
import pytest
from sklearn.datasets import load_diabetes
from sklearn.inspection import permutation_importance

from tests.trainer.data import classes, values
from trainer import TrainConfig, build_network, passes, run
from trainer.estimators import MLPRegressor
from trainer.memory import aligned
from trainer.understanding import feature_significance, summary

REGRESSION = TrainConfig(
    neurons=(6, 5),
    activation="tanh",
    loss="mean_squared",
    metric="rmse",
    epochs=5,
    dtype="float64",
)


def test_gradients_by_finite_differences():
    """Both gradient columns equal means of central differences of the raw outputs."""
    for config, dataset in (
        (REGRESSION, values()),
        (TrainConfig(neurons=(6,), activation="tanh", epochs=5, dtype="float64"), classes()),
    ):
        _, state = run(config, dataset, seed=0)
        network = build_network(config, state.parameters, dataset.n_inputs, dataset.n_outputs)
        x, y = dataset.validation
        table = feature_significance(config, state.parameters, dataset, dataset.validation)
        for j, row in enumerate(table):
            step = np.zeros(dataset.n_inputs)
            step[j] = 1e-5
            slope = (passes.outputs(network, x + step) - passes.outputs(network, x - step)) / 2e-5
            slope = np.abs(slope)
            own = slope[np.arange(len(y)), y] if y.ndim == 1 else slope.mean(axis=1)
            assert row.gradient == pytest.approx(own.mean(), rel=1e-6)
            assert row.gradient_x_input == pytest.approx((own * abs(x[:, j])).mean(), rel=1e-6)


def test_gradients_of_a_gaussian_are_of_its_means():
    """A loss with log variances too is judged by its means, over more rows than one block."""
    dataset = values(rows=4000)
    config = TrainConfig(neurons=(), loss="gaussian_nll", metric="rmse", epochs=1, dtype="float64")
    _, state = run(config, dataset, seed=0)
    weights = state.parameters[: 4 * 4].reshape(4, 4)[:, :2]
    table = feature_significance(config, state.parameters, dataset, dataset.train, repeats=1)
    np.testing.assert_allclose([r.gradient for r in table], np.abs(weights).mean(axis=1))


def test_permutation_as_scikit_learn():
    """Permutation agrees with scikit-learn's, within the scatter of their shuffles."""
    x, y = load_diabetes(return_X_y=True, as_frame=True)
    model = MLPRegressor(neurons=(16,), epochs=30, random_state=0).fit(x, y)
    ours = pandas.DataFrame(model.feature_significance(x, y, repeats=30))
    theirs = permutation_importance(model, x, y, n_repeats=30, random_state=1, scoring="r2")
    assert ours["feature"].tolist() == x.columns.tolist()
    scatter = np.hypot(ours["permutation_std"], theirs.importances_std) / np.sqrt(30)
    assert (np.abs(ours["permutation"] - theirs.importances_mean) < 4 * scatter + 1e-9).all()
    assert ours["permutation"].idxmax() == theirs.importances_mean.argmax()


def test_an_unused_feature_means_nothing():
    """A column whose weights are zero scores zero everywhere; a metric to minimise scores up."""
    dataset = values(seed=1)
    _, state = run(REGRESSION, dataset, seed=0)
    parameters = state.parameters.copy()
    parameters[2 * 6 : 3 * 6] = 0
    table = feature_significance(REGRESSION, parameters, dataset, dataset.train, names="abcd")
    assert table[2] == ("c", 0, 0, 0, 0)
    assert max(row.permutation for row in table) > 0.01


def test_names_must_fit():
    """Names of another number than the features are refused."""
    dataset = values()
    _, state = run(REGRESSION, dataset, seed=0)
    with pytest.raises(ValueError, match="names must be 4, one a feature"):
        feature_significance(REGRESSION, state.parameters, dataset, dataset.train, names="ab")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"repeats": 0}, "repeats must be a positive integer, not 0"),
        ({"repeats": 1.5}, "repeats must be a positive integer, not 1.5"),
        ({"seed": -1}, "seed must be an integer of at least 0, not -1"),
    ],
)
def test_numbers_that_cannot_be(options, message):
    """So are numbers of shuffles that are none."""
    dataset = values()
    _, state = run(REGRESSION, dataset, seed=0)
    with pytest.raises(ValueError, match=message):
        feature_significance(REGRESSION, state.parameters, dataset, dataset.train, **options)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 2, 9), "n_inputs must be a positive integer, not 0"),
        ((2.5, 2, 9), "n_inputs must be a positive integer, not 2.5"),
        ((np.float64(2.5), 2, 9), "n_inputs must be a positive integer, not 2.5"),
        ((4, 0, 9), "n_outputs must be a positive integer, not 0"),
        ((4, 2, -1), "rows must be a positive integer, not -1"),
    ],
)
def test_summary_of_nothing(sizes, message):
    """There is no summary without inputs, outputs or rows."""
    with pytest.raises(ValueError, match=message):
        summary(REGRESSION, *sizes)


class Counted(np.ndarray):
    """An array whose matrix products are counted."""

    flops = 0

    def dot(self, other, out=None):
        """The product (a, b) by (b, c)."""
        (a, b), (_, c) = self.shape, other.shape
        Counted.flops += 2 * a * b * c
        return super().dot(other, out)


@pytest.mark.parametrize("neurons", [(), (7,), (7, 3, 4)])
def test_flops_are_those_of_the_products(neurons, monkeypatch):
    """A forward and a backward pass multiply as much as the summary says."""
    monkeypatch.setattr(passes, "aligned", lambda *args: aligned(*args).view(Counted))
    config = TrainConfig(neurons=neurons, dtype="float64")
    found = summary(config, n_inputs=5, n_outputs=3, rows=11)
    parameters = np.ones(found.parameters).view(Counted)
    network = build_network(config, parameters, 5, 3)
    gradient = network.split(np.empty_like(parameters))
    Counted.flops = 0
    run_, batch = passes.Pass(network, 11), np.ones((6, 11)).view(Counted)
    run_.forward(batch)
    run_.backward(batch, np.ones((3, 11)), gradient)
    assert Counted.flops == found.flops == sum(layer.flops for layer in found.layers)


@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
def test_parameters_are_those_that_train(norm):
    """The summary counts what the optimizer has moments for."""
    config = TrainConfig(neurons=(7, 3), norm=norm, epochs=1, batch_size=8)
    dataset = classes()
    _, state = run(config, dataset, seed=0)
    found = summary(config, dataset.n_inputs, dataset.n_outputs, rows=40)
    assert found.parameters == state.moments["first"].size


def test_summary_as_text():
    """A summary prints as a table."""
    config = TrainConfig(neurons=(64, 32), activation=("relu", "tanh"))
    assert str(summary(config, 784, 10, 1000)) == (
        "layer        shape  activation  parameters  FLOPs an epoch\n"
        "hidden 1  784 x 64  relu            50,240     200,960,000\n"
        "hidden 2   64 x 32  tanh             2,080      12,416,000\n"
        "outputs    32 x 10  identity           330       1,960,000\n"
        "total                               52,650     215,336,000"
    )

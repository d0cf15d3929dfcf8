"""The objective and its gradient as a whole, and what a step does besides the update."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.trainer.data import classes, indicators, suited, values
from trainer import LOSSES, NORMS, Dataset, Split, TrainConfig, predict, run
from trainer.descent import Descent
from trainer.estimators import MLPClassifier, MLPRegressor
from trainer.training import epoch_order, initial_state

REGRESSION = {"loss": "mean_squared", "metric": "loss"}

REGULARISERS = {
    "nothing": {},
    "l1": {"l1": 0.3},
    "l2": {"l2": 0.3},
    "dropout": {"dropout": 0.4},
    "input dropout": {"input_dropout": 0.4},
    "label smoothing": {"label_smoothing": 0.2},
    "class weights": {"class_weight": "balanced"},
    "all": {
        "l1": 0.1,
        "l2": 0.2,
        "dropout": 0.2,
        "input_dropout": 0.3,
        "label_smoothing": 0.1,
        "class_weight": "balanced",
    },
}


class Objective:
    """Loss and penalties of all training rows as a function of the trainable parameters."""

    def __init__(self, config, dataset, seed):
        rng = np.random.default_rng(seed)
        self.descent = Descent(config, dataset, initial_state(config, dataset, 0))
        self.start = rng.normal(size=self.descent.network.trainable) / 2
        self.parameters = self.descent.parameters[: len(self.start)]
        self.parameters[:] = self.start
        ((self.run, batches),) = self.descent.runs
        (self.batch,) = batches.gather(np.arange(len(dataset.train.x)), rng)
        self.run.drop(config.dropout, rng)

    def value(self, shift):
        """The objective at a distance from the start."""
        self.parameters[:] = self.start + shift
        self.descent._differentiate(self.run, self.batch)
        self.descent.updates.penalize()
        return self.descent._objective(self.batch)

    def gradient(self):
        """The gradient at the start (trainable,)."""
        self.value(0)
        return self.descent.gradient.copy()

    def slope(self, direction, step=1e-6):
        """Central difference along a direction."""
        return (self.value(step * direction) - self.value(-step * direction)) / (2 * step)


@pytest.mark.parametrize("norm", ["none", *sorted(NORMS)])
@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_gradient(regulariser, norm):
    """Every partial derivative of the whole objective matches its central difference."""
    config = TrainConfig(
        neurons=(5, 4),
        activation=("tanh", "softplus"),
        norm=norm,
        batch_size="full",
        dtype="float64",
        **REGULARISERS[regulariser],
    )
    dataset = dataclasses.replace(classes(rows=18), weights=np.arange(12))
    objective = Objective(config, dataset, seed=1)
    gradient = objective.gradient()
    for index, unit in enumerate(np.eye(len(gradient))):
        expected = objective.slope(unit)
        assert gradient[index] == pytest.approx(expected, rel=1e-6, abs=1e-7), (
            f"parameter {index}: backward gives {gradient[index]}, differences give {expected}"
        )


@settings(deadline=None)
@given(
    neurons=st.lists(st.integers(1, 6), max_size=3),
    rows=st.integers(5, 20),
    loss=st.sampled_from(["softmax_cross_entropy", "mean_squared", "poisson", "gaussian_nll"]),
    norm=st.sampled_from(["none", *sorted(NORMS)]),
    l1=st.floats(0, 1),
    l2=st.floats(0, 1),
    dropout=st.floats(0, 0.9),
    input_dropout=st.floats(0, 0.9),
    seed=st.integers(0, 2**32 - 1),
)
def test_gradient_along_a_random_direction(neurons, rows, loss, seed, **regularisation):
    """For any shape, loss, norm and regularisation, the gradient gives the slope."""
    config = TrainConfig(
        neurons=tuple(neurons),
        activation="tanh",
        loss=loss,
        metric="loss",
        batch_size="full",
        dtype="float64",
        **regularisation,
    )
    objective = Objective(config, suited(loss, rows), seed)
    assume(np.abs(objective.start).min() > 1e-4)
    # A norm of numbers that are all but equal is too steep for a difference.
    direction = np.random.default_rng(seed).normal(size=objective.start.shape)
    direction /= np.linalg.norm(direction)
    found = objective.gradient() @ direction
    hidden = objective.run.hidden
    assume(config.norm == "none" or min(map(_spread, hidden), default=1) > 0.9)
    expected = objective.slope(direction)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-6), (
        f"backward gives {found}, differences give {expected}"
    )


def _spread(hidden):
    """Near 1 where the variance that was divided by is well above epsilon, in every unit or row."""
    axis = 1 if np.allclose(hidden.normal.mean(axis=1), 0, atol=1e-9) else 0
    return hidden.normal.std(axis=axis).min()


def one_step(dataset, **options):
    """Parameters before and after a full-batch step of SGD, and the record."""
    config = TrainConfig(
        neurons=(6,),
        activation="tanh",
        batch_size="full",
        dtype="float64",
        epochs=1,
        **{"optimizer": "sgd", "learning_rate": 0.1} | options,
    )
    _, start = run(config, dataset, seed=0, until=0)
    (record,), end = run(config, dataset, seed=0)
    return start.parameters, end.parameters, record


@pytest.mark.parametrize(("batch_size", "sizes"), [(8, [8, 8, 9]), (12, [12, 13]), (24, [25])])
@pytest.mark.parametrize("warmup", [0, 2])
def test_a_single_row_joins_the_batch_before_it(batch_size, sizes, warmup):
    """Under batch norm, an epoch of 25 rows is one step for each of these parts of its order."""
    dataset = classes(rows=38)
    fixed = {"neurons": (6, 3), "norm": "batch", "dtype": "float64", "epochs": 1}
    config = TrainConfig(batch_size=batch_size, warmup=warmup, **fixed)
    (record,), end = run(config, dataset, seed=3)
    assert end.steps == len(sizes)
    # One buffer a size, a row larger where the row joins: no memory for batches of another.
    widths = [pair[0].outputs.shape[1] for pair in Descent(config, dataset, end).runs]
    assert widths == sorted(set(sizes))

    # The same parts as data of their own, each an epoch of one full batch.
    state, losses = run(config, dataset, seed=3, until=0)[1], []
    for step, rows in enumerate(np.split(epoch_order(3, 0, 25), np.cumsum(sizes)[:-1]), start=1):
        rate = 1e-3 * min(1, step / (warmup * len(sizes)) if warmup else 1)
        alone = TrainConfig(batch_size="full", learning_rate=rate, **fixed)
        part = Split(dataset.train.x[rows], dataset.train.y[rows])
        start = dataclasses.replace(state, epoch=0)
        (found,), state = run(alone, dataclasses.replace(dataset, train=part), 3, start)
        losses.append(found.train_loss * len(rows))
    np.testing.assert_allclose(end.parameters, state.parameters, rtol=1e-9, atol=1e-9)
    assert record.train_loss == pytest.approx(sum(losses) / 25)


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "mean_squared"])
def test_estimators_of_a_single_row_more(loss):
    """Estimators under batch norm train on any number of rows from 2 on."""
    for rows in (2, 33, 65):
        x = np.random.default_rng(0).normal(size=(rows, 3))
        kind = MLPClassifier if loss == "softmax_cross_entropy" else MLPRegressor
        model = kind(norm="batch", epochs=2, random_state=0).fit(x, np.arange(rows) % 2)
        assert np.isfinite(model.state_.parameters).all()


def test_clipping():
    """The gradient is scaled to a norm, then cut to a value; the record has the norm before."""
    start, end, record = one_step(classes())
    gradient = (start - end) / 0.1
    norm = float(np.linalg.norm(gradient))
    _, end, clipped = one_step(classes(), clip_norm=norm / 3, clip_value=0.1)
    expected = np.clip(gradient / 3, -0.1, 0.1)
    assert (np.abs(expected) == 0.1).any()
    np.testing.assert_allclose((start - end) / 0.1, expected, atol=1e-12)
    assert clipped.gradient_norm == record.gradient_norm == pytest.approx(norm)
    _, end, _ = one_step(classes(), clip_norm=2 * norm)
    np.testing.assert_allclose((start - end) / 0.1, gradient, atol=1e-12)


def test_max_norm():
    """No hidden unit's incoming weights exceed the norm; those of outputs and biases may."""
    _, end, _ = one_step(classes(), learning_rate=10.0)
    _, limited, _ = one_step(classes(), learning_rate=10.0, max_norm=0.8)
    weights, biases = end[:30].reshape(5, 6), end[30:]
    norms = np.linalg.norm(weights, axis=0)
    assert norms.max() > 0.8
    expected = weights * np.minimum(1, 0.8 / norms)
    np.testing.assert_allclose(limited[:30].reshape(5, 6), expected, atol=1e-12)
    np.testing.assert_array_equal(limited[30:], biases)


@pytest.mark.parametrize("optimizer", ["adamw", "lion"])
def test_decoupled_weight_decay(optimizer):
    """Weights shrink by learning rate times decay besides the update; other parameters do not."""
    for norm in ("none", "batch"):
        options = {"optimizer": optimizer, "norm": norm}
        start, plain, _ = one_step(classes(), **options)
        _, decayed, _ = one_step(classes(), weight_decay=0.5, **options)
        weights = np.zeros(len(start), bool)
        weights[:30] = weights[36:54] = True  # 5-6-3, then the norm's numbers
        np.testing.assert_allclose(plain - decayed, 0.1 * 0.5 * start * weights, atol=1e-12)


def test_weights_are_repetition():
    """A row of weight 2 counts as two rows, and one of weight 0 as none."""
    dataset = classes(rows=30)
    times = np.random.default_rng(0).integers(0, 4, 20)
    repeated = Split(*(part.repeat(times, axis=0) for part in dataset.train))
    weighted = dataclasses.replace(dataset, weights=times)
    _, first, one = one_step(weighted)
    _, second, other = one_step(dataclasses.replace(dataset, train=repeated))
    np.testing.assert_allclose(first, second, atol=1e-12)
    assert one.train_loss == pytest.approx(other.train_loss)


def test_equal_weights_change_nothing():
    """Weights that are all alike are no weights."""
    weighted = dataclasses.replace(classes(), weights=np.full(40, 7.0))
    for one, other in zip(one_step(weighted)[:2], one_step(classes())[:2], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-15)


def test_average():
    """Under ema the parameters are the discounted average of those after each step."""
    config = TrainConfig(neurons=(6,), batch_size="full", epochs=5, dtype="float64", ema=0.7)
    plain = dataclasses.replace(config, ema=0.0)
    path = [run(plain, classes(), 0, until=epoch)[1].parameters for epoch in range(1, 6)]
    records, state = run(config, classes(), seed=0)
    weights = 0.7 ** np.arange(5)[::-1]
    expected = weights @ np.array(path) / weights.sum()
    np.testing.assert_allclose(state.parameters, expected, atol=1e-12)
    np.testing.assert_array_equal(state.current, path[-1])
    accuracy = predict(config, expected, classes().validation.x, 3).argmax(axis=1)
    assert records[-1].validation_metric == (accuracy == classes().validation.y).mean()


def test_dropout_is_off_in_use():
    """With a learning rate of next to nothing, dropout changes the training loss alone."""
    for dropout in ({"dropout": 0.5}, {"input_dropout": 0.5}):
        *_, plain = one_step(classes(), learning_rate=1e-300)
        *_, dropped = one_step(classes(), learning_rate=1e-300, **dropout)
        assert dropped.train_loss != plain.train_loss
        assert dropped.validation_loss == plain.validation_loss


def test_dropout_differs_by_epoch_and_seed():
    """Every epoch and every seed drops other units."""
    config = TrainConfig(
        neurons=(50,), dropout=0.5, learning_rate=1e-300, batch_size="full", epochs=3
    )
    losses = {round(r.train_loss, 6) for seed in (0, 1) for r in run(config, classes(), seed)[0]}
    assert len(losses) == 6


def test_batch_norm_is_judged_by_its_running_statistics():
    """A row's prediction does not depend on the rows beside it."""
    config = TrainConfig(neurons=(6,), norm="batch", batch_size=8, epochs=2, dtype="float64")
    dataset = classes()
    _, state = run(config, dataset, seed=0)
    x = dataset.validation.x
    whole = predict(config, state.parameters, x, 3)
    np.testing.assert_allclose(predict(config, state.parameters, x[:1], 3), whole[:1], rtol=1e-12)


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_learns(loss):
    """Every loss falls, on data of its kind, in training and validation."""
    config = TrainConfig(
        neurons=(16,), loss=loss, metric="loss", learning_rate=0.01, batch_size=20, epochs=60
    )
    records, _ = run(config, suited(loss, 300), seed=0)
    assert records[-1].train_loss < records[0].train_loss
    assert records[-1].validation_loss < records[0].validation_loss


@pytest.mark.parametrize("multilabel", [False, True])
def test_indicators(multilabel):
    """Columns of 0 and 1 are learned each on its own, and predicted as a probability each.

    As multilabel data or, like any shares from 0 to 1, as values.
    """
    config = TrainConfig(
        neurons=(16,), loss="sigmoid_cross_entropy", metric="mae", learning_rate=0.01, epochs=60
    )
    if multilabel:
        config = dataclasses.replace(config, metric="hamming_loss")
    for columns in (1, 3):
        dataset = dataclasses.replace(indicators(600, columns), multilabel=multilabel)
        records, state = run(config, dataset, seed=0)
        found = predict(config, state.parameters, dataset.validation.x, columns, indicators=True)
        assert ((found > 0.5) == dataset.validation.y).mean() > 0.85
        error = np.abs((found > 0.5 if multilabel else found) - dataset.validation.y).mean()
        assert records[-1].validation_metric == pytest.approx(error, rel=1e-5)


def test_two_outputs_a_target():
    """With gaussian_nll, predictions are means, one a column of y."""
    config = TrainConfig(
        neurons=(32,), loss="gaussian_nll", metric="r2", learning_rate=0.01, epochs=60
    )
    dataset = values(600, n_outputs=2)
    records, state = run(config, dataset, seed=0)
    found = predict(config, state.parameters, dataset.validation.x, 2)
    assert found.shape == dataset.validation.y.shape
    assert records[-1].validation_metric > 0.8


def test_lbfgs_reaches_the_optimum():
    """L-BFGS ends where the gradient of the whole objective is zero."""
    config = TrainConfig(
        neurons=(), optimizer="lbfgs", batch_size="full", l2=0.1, epochs=40, dtype="float64"
    )
    records, _ = run(config, classes(), seed=0)
    assert records[-1].gradient_norm < 1e-8


def test_uint8_images():
    """Small integers are converted before anything is computed: they do not overflow."""
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60, 9)).astype(np.uint8), rng.integers(0, 3, 60)
    config = TrainConfig(neurons=(4,), epochs=2, learning_rate=1e-4)
    kinds = []
    for x, y in ((images, labels.astype(np.uint8)), (images.astype(float), labels)):
        split = Split(x, y)
        kinds.append(run(config, Dataset(split, split, n_classes=3), seed=0)[1].parameters)
    np.testing.assert_array_equal(*kinds)
    values = Split(images, images[:, :2])
    config = dataclasses.replace(config, **REGRESSION | {"metric": "rmse"})
    records, _ = run(config, Dataset(values, values), seed=0)
    assert records[0].validation_loss == pytest.approx(records[0].validation_metric ** 2, rel=0.1)


def test_layer_statistics():
    """Statistics of each layer are those of the activations and gradients, when asked for."""
    dataset = classes(rows=30)
    x = dataset.train.x.copy()
    config = TrainConfig(
        neurons=(6,),
        optimizer="sgd",
        learning_rate=0.1,
        batch_size="full",
        dtype="float64",
        epochs=1,
        record_layers=True,
    )
    start = initial_state(config, dataset, 0)
    parameters = start.parameters.copy()
    parameters[:12] = 0  # the first two units see only the first two inputs, ...
    parameters.reshape(-1)[0:30].reshape(5, 6)[:, 4] = 0
    parameters[34] = -1.0  # ... and the fifth is below zero for every row
    state = dataclasses.replace(start, parameters=parameters)
    (record,), end = run(config, dataset, seed=0, state=state)
    hidden, outputs = record.layers

    h = np.maximum(x @ parameters[:30].reshape(5, 6) + parameters[30:36], 0)
    assert hidden.activation_mean == pytest.approx(h.mean())
    assert hidden.activation_std == pytest.approx(h.std())
    assert hidden.dead == pytest.approx((np.ptp(h, axis=0) == 0).mean())
    assert hidden.dead >= 1 / 6
    assert outputs.dead == 0
    step = (parameters - end.parameters) / 0.1
    assert hidden.gradient_norm == pytest.approx(np.linalg.norm(step[:36]))
    assert outputs.gradient_norm == pytest.approx(np.linalg.norm(step[36:]))
    assert outputs.weight_norm == pytest.approx(np.linalg.norm(end.parameters[36:54]))
    assert math.hypot(hidden.gradient_norm, outputs.gradient_norm) == pytest.approx(
        record.gradient_norm
    )
    plain = dataclasses.replace(config, record_layers=False)
    (quiet,), same = run(plain, dataset, seed=0, state=state)
    assert quiet.layers == ()
    np.testing.assert_array_equal(same.parameters, end.parameters)

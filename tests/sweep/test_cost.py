"""What a configuration is predicted to cost."""

from dataclasses import replace
from math import fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.cost import COEFFICIENTS, MEASURES, WORK, Shape, predicted_cost, work
from tests.sweep.segments import iris
from trainer import ACTIVATIONS, NORMS, OPTIMIZERS, TrainConfig

SHAPE = Shape(train_rows=1000, validation_rows=300, n_inputs=20, n_outputs=3)
THOSE = "elu gelu hard_tanh identity leaky_relu mish relu selu sigmoid signum silu softplus tanh"
STEPS = "adadelta adagrad adam adamw amsgrad lion momentum nadam nesterov rmsprop sgd"
PREDICTED = {1: 0.12009047511000001, 2: 0.6073554318000001}
"""Seconds of trials with these activations and optimizers together, by edition."""

CONFIGS = st.builds(
    TrainConfig,
    neurons=st.lists(st.integers(1, 300), max_size=3).map(tuple),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    batch_size=st.integers(2, 2000) | st.just("full"),
    norm=st.sampled_from(["none", *NORMS]),
    dropout=st.sampled_from([0.0, 0.3]),
    dtype=st.sampled_from(["float32", "float64"]),
)


@pytest.mark.parametrize("edition", COEFFICIENTS)
@given(CONFIGS, st.integers(1, 100))
def test_every_configuration_has_a_cost(edition, config, epochs):
    """In each edition, whatever is asked for, and an epoch costs what another does."""
    shape = replace(SHAPE, edition=edition)
    assert 0 < predicted_cost(config, shape, 1) < 10
    assert predicted_cost(config, shape, epochs) == epochs * predicted_cost(config, shape, 1)
    assert 0 < MEASURES["prediction_seconds"](config, shape) < 1e-3


@given(CONFIGS)
def test_more_costs_more(config):
    """Wider layers, more rows, smaller batches, wider numbers, and all that need not be done."""
    cost = predicted_cost(config, SHAPE, 1)
    wider = replace(config, neurons=tuple(2 * n for n in config.neurons))
    assert predicted_cost(wider, SHAPE, 1) >= cost
    assert predicted_cost(config, replace(SHAPE, train_rows=2000), 1) > cost
    assert predicted_cost(replace(config, batch_size=2), SHAPE, 1) >= cost
    assert predicted_cost(replace(config, dtype="float64"), SHAPE, 1) >= cost
    assert predicted_cost(replace(config, dropout=0.5), SHAPE, 1) >= cost
    for name, least in (("optimizer", "sgd"), ("activation", "identity"), ("norm", "none")):
        assert predicted_cost(replace(config, **{name: least}), SHAPE, 1) <= cost


def test_lbfgs_has_a_cost():
    """Its steps look at the rows more than once, and at ten pairs of differences."""
    config = TrainConfig(neurons=(30,), optimizer="lbfgs", batch_size="full")
    like = replace(config, optimizer="adam")
    assert predicted_cost(config, SHAPE, 1) > 1.2 * predicted_cost(like, SHAPE, 1)


def test_each_layer_has_the_activation_that_it_has():
    """The work of several activations is that of each on its own layer."""
    found = work(TrainConfig(neurons=(30, 10, 5), activation=("tanh", "relu", "tanh")), SHAPE)
    rows = SHAPE.train_rows + SHAPE.validation_rows / 3
    assert found["activation tanh"] == 35 * rows
    assert found["activation relu"] == 10 * rows


def test_every_coefficient_counts_something():
    """An edition's coefficients are those of the work that there can be."""
    layers = (4,) * len(ACTIVATIONS)
    everything = TrainConfig(
        neurons=layers, activation=tuple(ACTIVATIONS), norm="batch", dropout=0.1, batch_size="full"
    )
    for edition, seconds in COEFFICIENTS.items():
        known = set()
        for optimizer in (*OPTIMIZERS, "lbfgs"):
            plain = {} if optimizer != "lbfgs" else {"dropout": 0.0, "norm": "none"}
            known |= set(WORK[edition](replace(everything, optimizer=optimizer, **plain), SHAPE))
        assert set(seconds) == known


def test_work_by_hand():
    """Of 1000 rows and a third of 300, in 16 batches of 64, through a layer of five units."""
    config = TrainConfig(neurons=(5,), batch_size=64, activation="relu", optimizer="adam")
    parameters, rows, units = 21 * 5 + 6 * 3, 1100.0, 20 + 5 + 3
    expected = {
        "epoch": 1,
        "step": 16,
        "layer": 32,
        "product": rows * parameters,
        "unit": rows * units,
        "update": 16 * parameters,
    }
    assert WORK[1](config, SHAPE) == expected
    del expected["update"]
    expected |= {"update adam": 16 * parameters, "activation relu": rows * 5}
    assert WORK[2](config, SHAPE) == expected
    normed = WORK[2](replace(config, norm="layer", dropout=0.1, dtype="float64"), SHAPE)
    wider = {name: 2 * expected[name] for name in ("product", "unit", "update adam")}
    wider |= {"activation relu": rows * 10, "dropout": rows * 10, "norm": rows * 10}
    assert normed == expected | wider | {"norm step": 16}
    lbfgs = WORK[2](replace(config, optimizer="lbfgs", batch_size="full"), SHAPE)
    twice = {"product": 2100.0 * parameters, "unit": 2100.0 * units, "activation relu": 2100.0 * 5}
    steps = {"epoch": 1, "step": 1, "layer": 4, "update lbfgs": parameters}
    assert lbfgs == twice | steps


def test_measures_by_hand():
    """Operations are of all epochs; a prediction is one product and the hidden activations."""
    config = TrainConfig(neurons=(5,), batch_size=64, activation="relu", epochs=7)
    seconds = COEFFICIENTS[2]
    expected = seconds["product"] * 123 / 3 + seconds["unit"] * 28
    expected += seconds["activation relu"] * 5 / 3
    assert MEASURES["prediction_seconds"](config, SHAPE) == pytest.approx(expected, rel=1e-12)
    assert MEASURES["parameters"](config, SHAPE) == 123
    assert MEASURES["flops"](config, SHAPE) == 7 * MEASURES["flops"](
        replace(config, epochs=1), SHAPE
    )
    assert predicted_cost((("rate", 0.1),), SHAPE, 7) == 7.0, "nothing is known of one's own"


def test_the_shape_of_a_dataset():
    """Rows to learn from and to judge by, columns and outputs, of the edition that is asked for."""
    data = iris()
    found = Shape.of(data, edition=1)
    rows = len(data.train.y), len(data.validation.y)
    assert rows[0] > rows[1]
    assert found == Shape(*rows, n_inputs=4, n_outputs=3, edition=1)


@pytest.mark.parametrize(("edition", "seconds"), PREDICTED.items())
def test_an_edition_predicts_what_it_always_did(edition, seconds):
    """To the last bit: another formula, or another coefficient, is another edition."""
    names = tuple(THOSE.split())
    normed = TrainConfig(neurons=(4,) * len(names), activation=names, norm="batch", dropout=0.1)
    configs = [replace(normed, optimizer=name) for name in STEPS.split()]
    plain = TrainConfig(neurons=(30, 10), optimizer="lbfgs", batch_size="full")
    shape = replace(SHAPE, edition=edition)
    assert fsum(predicted_cost(config, shape, 3) for config in (*configs, plain)) == seconds

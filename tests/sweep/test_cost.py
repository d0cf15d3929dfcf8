"""What a configuration is predicted to cost."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.cost import COEFFICIENTS, MEASURES, WORK, Shape, predicted_cost, work
from trainer import ACTIVATIONS, NORMS, OPTIMIZERS, TrainConfig

SHAPE = Shape(train_rows=1000, validation_rows=300, n_inputs=20, n_outputs=3)

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

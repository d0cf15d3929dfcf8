"""What a configuration refuses, and in which words."""

import dataclasses

import numpy as np
import pytest

from trainer import TrainConfig


def test_defaults():
    """Only the neurons must be given; a configuration can be hashed and compared."""
    config = TrainConfig(neurons=(8, 4))
    assert config.layers == 2
    assert TrainConfig(neurons=()).layers == 0
    assert hash(config) == hash(TrainConfig(neurons=(8, 4)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.epochs = 3


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("neurons", 8, "neurons must be a tuple of positive integers, one a hidden layer, not 8"),
        ("neurons", [8], "not [8]"),
        ("neurons", (8, 0), "not (8, 0)"),
        ("neurons", (True,), "not (True,)"),
        ("neurons", (8.0,), "not (8.0,)"),
        ("activation", "Relu", "not 'Relu'; did you mean 'relu'?"),
        ("activation", "xyz", "activation must be one of identity, leaky_relu, relu, sigmoid,"),
        ("activation", None, "not None"),
        ("loss", "mse", "loss must be one of mean_squared, sigmoid_cross_entropy,"),
        ("metric", "acuracy", "did you mean 'accuracy'?"),
        ("metric", 3, "not 3"),
        ("optimizer", "adams", "did you mean 'adam'?"),
        ("schedule", "cosin", "did you mean 'cosine'?"),
        ("initializer", "glorot", "initializer must be one of auto, glorot_normal,"),
        ("dtype", "float16", "dtype must be one of float32, float64, not 'float16'"),
        ("dtype", np.float32, "dtype must be one of"),
        ("batch_size", 0, "batch_size must be a positive integer, not 0"),
        ("batch_size", 32.0, "not 32.0"),
        ("batch_size", True, "not True"),
        ("epochs", -1, "epochs must be a positive integer, not -1"),
        ("epochs", np.int64(3), "not np.int64(3)"),
        ("learning_rate", 0, "learning_rate must be a finite number above 0, not 0"),
        ("learning_rate", float("nan"), "not nan"),
        ("learning_rate", float("inf"), "not inf"),
        ("learning_rate", "0.1", "not '0.1'"),
        ("learning_rate", True, "not True"),
        ("momentum", 1.0, "momentum must be a number from 0 up to, but not, 1, not 1.0"),
        ("momentum", -0.1, "not -0.1"),
        ("l2", -1e-9, "l2 must be a finite number, 0 or above, not -1e-09"),
    ],
)
def test_refuses(field, value, message):
    """A bad value names its field, itself and what is allowed."""
    with pytest.raises(ValueError) as error:  # noqa: PT011
        TrainConfig(**{"neurons": (4,), field: value})
    assert str(error.value).startswith(field)
    assert message in str(error.value)


def test_log_loss_needs_probabilities():
    """A metric of probabilities is refused where the loss gives none."""
    with pytest.raises(
        ValueError, match=r"'log_loss' needs probabilities.*'mean_squared' does not"
    ):
        TrainConfig(neurons=(), loss="mean_squared", metric="log_loss")

"""What a configuration refuses, and in which words."""

import dataclasses
import inspect

import numpy as np
import pytest

from trainer import EMBEDDINGS, LOSSES, OPTIMIZERS, SCHEDULES, TrainConfig


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
        (
            "activation",
            "xyz",
            "activation must be one of elu, gelu, hard_tanh, identity, leaky_relu,",
        ),
        ("activation", None, "not None"),
        ("activation", ["relu"], "not ['relu']"),
        ("activation", ("tanh",) * 2, "activation must be one name or 1, one a hidden layer, not"),
        ("activation", ("tanhh",), "not 'tanhh'; did you mean 'tanh'?"),
        ("norm", "batchnorm", "norm must be one of batch, layer, none, not 'batchnorm'; did you"),
        ("embedding", "plinear", "embedding must be one of none, periodic, piecewise_linear, not"),
        ("bins", 0, "bins must be a positive integer, not 0"),
        ("frequencies", 2.0, "frequencies must be a positive integer, not 2.0"),
        ("frequency_scale", 0.0, "frequency_scale must be a number above 0, up to 1e6, not 0.0"),
        ("class_weight", {0: 1}, "class_weight must be one of balanced, none, not {0: 1}"),
        ("record_layers", 1, "record_layers must be one of False, True, not 1"),
        ("loss", "mse", "loss must be one of gaussian_nll, hinge, huber, mean_absolute,"),
        ("metric", "acuracy", "did you mean 'accuracy'?"),
        ("metric", 3, "not 3"),
        ("optimizer", "adams", "did you mean 'adam'?"),
        ("schedule", "cosin", "did you mean 'cosine'?"),
        ("initializer", "glorot", "initializer must be one of auto, glorot_normal,"),
        ("dtype", "float16", "dtype must be one of float32, float64, not 'float16'"),
        ("dtype", np.float32, "dtype must be one of"),
        ("batch_size", 0, 'batch_size must be a positive integer or "full", not 0'),
        ("batch_size", 32.0, "not 32.0"),
        ("batch_size", True, "not True"),
        ("batch_size", "all", "not 'all'"),
        ("patience", -1, "patience must be an integer of at least 0, not -1"),
        ("plateau", 2.0, "plateau must be an integer of at least 0, not 2.0"),
        ("drops", 0, "drops must be a positive integer, not 0"),
        ("restarts", 0, "restarts must be a positive integer, not 0"),
        ("epochs", -1, "epochs must be a positive integer, not -1"),
        ("epochs", np.int64(3), "integer, not 3 of NumPy's type int64; use .item()"),
        ("learning_rate", np.float64(0.5), "above 0, not 0.5 of NumPy's type float64; use .item()"),
        ("batch_size", np.int32(8), "not 8 of NumPy's type int32; use .item()"),
        ("learning_rate", 0, "learning_rate must be a finite number above 0, not 0"),
        ("learning_rate", float("nan"), "not nan"),
        ("learning_rate", float("inf"), "not inf"),
        ("learning_rate", "0.1", "not '0.1'"),
        ("learning_rate", True, "not True"),
        ("momentum", 1.0, "momentum must be a number from 0 up to, but not, 1, not 1.0"),
        ("momentum", -0.1, "not -0.1"),
        ("beta1", 1.0, "beta1 must be a number from 0 up to, but not, 1, not 1.0"),
        ("beta2", "0.9", "not '0.9'"),
        ("momentum", None, "not None"),
        ("decay", 0.0, "decay must be a number above 0, up to 1, not 0.0"),
        ("plateau_factor", 1.5, "plateau_factor must be a number above 0, up to 1, not 1.5"),
        ("warmup", -1, "warmup must be a finite number, 0 or above, not -1"),
        ("huber_delta", 0.0, "huber_delta must be a finite number above 0, not 0.0"),
        ("quantile", 1.0, "quantile must be a number between 0 and 1, not 1.0"),
        ("label_smoothing", 1.0, "label_smoothing must be a number from 0 up to, but not, 1"),
        ("dropout", 1.0, "dropout must be a number from 0 up to, but not, 1, not 1.0"),
        ("input_dropout", -0.1, "not -0.1"),
        ("ema", 1, "ema must be a number from 0 up to, but not, 1, not 1"),
        ("l1", float("nan"), "l1 must be a finite number, 0 or above, not nan"),
        ("weight_decay", -1.0, "weight_decay must be a finite number, 0 or above, not -1.0"),
        ("max_norm", -1.0, "max_norm must be a finite number, 0 or above, not -1.0"),
        ("clip_norm", float("inf"), "clip_norm must be a finite number, 0 or above, not inf"),
        ("clip_value", -1, "clip_value must be a finite number, 0 or above, not -1"),
        ("l2", -1e-9, "l2 must be a finite number, 0 or above, not -1e-09"),
    ],
)
def test_refuses(field, value, message):
    """A bad value names its field, itself and what is allowed."""
    with pytest.raises(ValueError) as error:  # noqa: PT011
        TrainConfig(**{"neurons": (4,), field: value})
    assert str(error.value).startswith(field)
    assert message in str(error.value)


def test_every_field_is_checked():
    """No field takes an object that no field allows."""
    for field in dataclasses.fields(TrainConfig):
        with pytest.raises(ValueError, match=f"^{field.name} must be"):
            TrainConfig(**{"neurons": (4,), field.name: object()})


def test_tables_take_fields():
    """Options of the tables' entries are fields, whose defaults leave them as they are."""
    config = TrainConfig(neurons=())
    for table in (LOSSES, OPTIMIZERS, SCHEDULES):
        for entry in table.values():
            function = entry.update if table is OPTIMIZERS else entry.function
            keywords = inspect.signature(function).parameters
            for name, value in config.options(entry.options).items():
                assert keywords[name].default in (value, inspect.Parameter.empty), name
    for name, kind in EMBEDDINGS.items():
        keywords = inspect.signature(kind.fit).parameters
        assert kind.name == name
        for option, value in config.options(kind.options).items():
            assert keywords[option].default == value, option


def test_activations():
    """One name is every hidden layer's; a tuple is one a layer."""
    assert TrainConfig(neurons=(8, 4), activation="tanh").activations == ("tanh", "tanh")
    assert TrainConfig(neurons=(8, 4), activation=("tanh", "relu")).activations == ("tanh", "relu")
    assert TrainConfig(neurons=()).activations == TrainConfig(neurons=(), activation=()).activations


def test_batch_rows():
    """A batch has the rows that it is given, up to all."""
    assert TrainConfig(neurons=(), batch_size=8).batch_rows(20) == 8
    assert TrainConfig(neurons=(), batch_size=32).batch_rows(20) == 20
    assert TrainConfig(neurons=(), batch_size="full").batch_rows(20) == 20


@pytest.mark.parametrize(
    ("batch_size", "rows", "expected", "under_batch_norm"),
    [
        (8, 20, 4, 4),
        (8, 24, 8, 8),
        (8, 25, 1, 9),
        (8, 9, 1, 9),
        (2, 3, 1, 3),
        (32, 20, 20, 20),
        ("full", 20, 20, 20),
        ("full", 1, 1, 1),
    ],
)
def test_last_batch_rows(batch_size, rows, expected, under_batch_norm):
    """The last batch has what is left, and under batch norm never one row of several."""
    for norm, last in (("none", expected), ("layer", expected), ("batch", under_batch_norm)):
        config = TrainConfig(neurons=(2,), batch_size=batch_size, norm=norm)
        assert config.last_batch_rows(rows) == last


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "batch", "batch_size": 1}, "batch_size must be at least 2.* not 1"),
        ({"optimizer": "lbfgs"}, "batch_size must be 'full' with optimizer 'lbfgs'.* not 32"),
        ({"optimizer": "lbfgs", "batch_size": "full", "dropout": 0.1}, "dropout must be 0 .*0.1"),
    ],
)
def test_refuses_together(options, message):
    """Values that do not go together are refused, by the field that is to change."""
    with pytest.raises(ValueError, match=message):
        TrainConfig(neurons=(4,), **options)


def test_log_loss_needs_probabilities():
    """A metric of probabilities is refused where the loss gives none."""
    with pytest.raises(
        ValueError, match=r"'log_loss' needs probabilities.*'mean_squared' does not"
    ):
        TrainConfig(neurons=(), loss="mean_squared", metric="log_loss")

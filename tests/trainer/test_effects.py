"""Fields that do nothing: which are named, and that they do nothing indeed."""

import dataclasses

import numpy as np
import pytest
from sklearn.datasets import load_iris

from tests.trainer.data import classes, values
from trainer import TrainConfig, run
from trainer.effects import without_effect
from trainer.estimators import MLPClassifier, MLPRegressor

REGRESSION = {"loss": "mean_squared", "metric": "rmse"}
LBFGS = {"optimizer": "lbfgs", "batch_size": "full"}
LINEAR = {"neurons": ()}

CASES = [
    ({"weight_decay": 0.1}, {}, "with optimizer 'adam'; use optimizer 'adamw' or 'lion'"),
    ({"momentum": 0.5}, {}, "with optimizer 'adam'; use optimizer 'momentum' or 'nesterov'"),
    ({"beta1": 0.5}, {"optimizer": "rmsprop"}, "with optimizer 'rmsprop'; use optimizer 'adam' or"),
    ({"beta2": 0.5}, {"optimizer": "sgd"}, "with optimizer 'sgd'; use optimizer 'adadelta' or"),
    ({"huber_delta": 2.0}, REGRESSION, "with loss 'mean_squared'; use loss 'huber'"),
    ({"quantile": 0.9}, {}, "with loss 'softmax_cross_entropy'; use loss 'quantile'"),
    ({"decay": 0.5}, {}, "with schedule 'constant'; use schedule 'exponential' or 'step'"),
    ({"drops": 3}, {"schedule": "exponential"}, "with schedule 'exponential'; use schedule 'step'"),
    ({"restarts": 2}, {}, "with schedule 'constant'; use schedule 'cosine_restarts'"),
    ({"bins": 8}, {}, "with embedding 'none'; use embedding 'piecewise_linear'"),
    ({"frequencies": 8}, {"embedding": "piecewise_linear"}, "with embedding 'piecewise_linear'; "),
    ({"frequency_scale": 0.5}, {}, "with embedding 'none'; use embedding 'periodic'"),
    ({"plateau_factor": 0.5}, {}, "without plateau; set plateau to a number of epochs"),
    ({"activation": "tanh"}, LINEAR, "without hidden layers; set neurons"),
    ({"norm": "batch"}, LINEAR, "without hidden layers; set neurons"),
    ({"dropout": 0.5}, LINEAR, "without hidden layers; set neurons"),
    ({"max_norm": 1.0}, LINEAR, "without hidden layers; set neurons"),
    ({"learning_rate": 0.1}, LBFGS, "with optimizer 'lbfgs', which has a line search"),
    ({"schedule": "cosine"}, LBFGS, "with optimizer 'lbfgs'"),
    ({"warmup": 2.0}, LBFGS, "with optimizer 'lbfgs'"),
    ({"plateau": 1}, LBFGS, "with optimizer 'lbfgs'"),
    ({"clip_norm": 0.1}, LBFGS, "with optimizer 'lbfgs'"),
    ({"clip_value": 0.1}, LBFGS, "with optimizer 'lbfgs'"),
]

IDS = [next(iter(case[0])) for case in CASES]


def same_bits(config: TrainConfig, other: TrainConfig) -> bool:
    """Whether two configurations train to the same parameters."""
    dataset = values() if config.loss == "mean_squared" else classes()
    first, second = (run(c, dataset, seed=0)[1].parameters for c in (config, other))
    return first.tobytes() == second.tobytes()


@pytest.mark.parametrize(("field", "others", "message"), CASES, ids=IDS)
def test_has_none(field, others, message):
    """A field that does nothing is named, with what would give it one, and it does nothing."""
    plain = TrainConfig(**{"neurons": (4,), "epochs": 3} | others)
    assert without_effect(plain) == []
    ((name, value),) = field.items()
    config = dataclasses.replace(plain, **field)
    (line,) = without_effect(config)
    assert line.startswith(f"{name} {value!r} has no effect {message}")
    assert same_bits(config, plain)


@pytest.mark.parametrize(
    ("field", "others"),
    [
        ({"weight_decay": 0.1}, {"optimizer": "adamw"}),
        ({"momentum": 0.5}, {"optimizer": "nesterov"}),
        ({"beta1": 0.5}, {}),
        ({"beta2": 0.5}, {"optimizer": "rmsprop"}),
        ({"huber_delta": 0.1}, {"loss": "huber", "metric": "rmse"}),
        ({"quantile": 0.9}, {"loss": "quantile", "metric": "rmse"}),
        ({"decay": 0.5}, {"schedule": "step"}),
        ({"drops": 1}, {"schedule": "step"}),
        ({"restarts": 1}, {"schedule": "cosine_restarts"}),
        ({"plateau_factor": 0.5}, {"plateau": 1, "learning_rate": 1.0}),
        ({"activation": "tanh"}, {}),
        ({"norm": "layer"}, {}),
        ({"dropout": 0.5}, {}),
        ({"max_norm": 0.1}, {}),
        ({"learning_rate": 0.1}, {}),
        ({"warmup": 2.0}, {}),
        ({"clip_norm": 0.1}, {"optimizer": "sgd"}),
        ({"clip_value": 0.01}, {"optimizer": "sgd"}),
        ({"initializer": "zeros"}, LINEAR),
        ({"input_dropout": 0.5}, LINEAR),
        ({"l1": 0.1}, LBFGS),
        ({"l2": 0.1}, LBFGS),
        ({"max_norm": 0.1}, LBFGS),
        ({"ema": 0.9}, LBFGS),
    ],
    ids=str,
)
def test_has_one(field, others):
    """A field that does something is not named."""
    plain = TrainConfig(**{"neurons": (4,), "epochs": 4} | others)
    config = dataclasses.replace(plain, **field)
    assert without_effect(config) == []
    dataset = classes() if config.metric == "accuracy" else values()
    first, second = (run(c, dataset, seed=0)[1].parameters for c in (config, plain))
    assert first.tobytes() != second.tobytes()


X, Y = load_iris(return_X_y=True)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (MLPClassifier(weight_decay=0.1), "weight_decay 0.1 has no effect with optimizer 'adam'"),
        (
            MLPRegressor(huber_delta=2),
            "huber_delta 2 has no effect with loss 'mean_squared'; use l",
        ),
        (MLPClassifier(neurons=(), dropout=np.float64(0.5)), "dropout 0.5 has no effect without"),
        (
            MLPClassifier(validation_fraction=0.3),
            "validation_fraction 0.3 has no effect without patience; set patience",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_estimators_warn(model, message):
    """An estimator's fit warns of them, once each and on one line, and trains."""
    with pytest.warns(UserWarning, match=message) as warnings:
        model.set_params(epochs=1).fit(X, Y)
    (text,) = (str(warning.message) for warning in warnings)
    assert text.startswith(message)
    assert "\n" not in text


def test_grids_are_searched():
    """Where only some of a grid's points use a field, all of them are trained."""
    for optimizer in "adam", "adamw":
        model = MLPClassifier(optimizer=optimizer, weight_decay=0.1, epochs=1)
        if optimizer == "adam":
            with pytest.warns(UserWarning, match="weight_decay"):
                model.fit(X, Y)
        else:
            model.fit(X, Y)
        assert len(model.history_) == 1

"""Search spaces: what is searched, in which order, and what a trial's parameters mean."""

import json

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

from sweep import studyfile
from sweep.space import active, distributions, train_config
from sweep.spec import SpaceSpec
from trainer import ACTIVATIONS, NORMS, OPTIMIZERS, TrainConfig

optuna.logging.set_verbosity(optuna.logging.ERROR)


def spec(**space):
    return studyfile.from_json({"name": "x", "data": {"source": "sklearn:iris"}, "space": space})


def ask(distributions, seed=0):
    study = optuna.create_study(sampler=RandomSampler(seed=seed))
    return study.ask(distributions).params


FULL = {
    "learning_rate": {"low": 1e-4, "high": 0.1, "log": True},
    "l2": {"low": 0, "high": 0.3, "step": 0.1},
    "batch_size": [16, 64],
    "optimizer": ["sgd", "adam"],
    "neurons": {"low": 16, "high": 128, "log": True},
    "layers": {"low": 0, "high": 2},
    "loss": "softmax_cross_entropy",
    "momentum": {"low": 0.5, "high": 0.5},
    "activation": ["tanh"],
}


def test_distributions():
    """Each form of entry has its distribution, whole numbers stay whole, constants have none."""
    assert distributions(spec(**FULL).space) == {
        "layers": IntDistribution(0, 2),
        "neurons_1": IntDistribution(16, 128, log=True),
        "neurons_2": IntDistribution(16, 128, log=True),
        "optimizer": CategoricalDistribution(["sgd", "adam"]),
        "batch_size": CategoricalDistribution([16, 64]),
        "learning_rate": FloatDistribution(1e-4, 0.1, log=True),
        "l2": FloatDistribution(0.0, 0.3, step=0.1),
    }


@given(st.permutations(list(FULL)))
def test_order_of_keys(keys):
    """The same question in another order is the same question, to the order of its parameters."""
    reordered = spec(**{key: FULL[key] for key in keys})
    assert reordered == spec(**FULL)
    assert list(distributions(reordered.space)) == list(distributions(spec(**FULL).space))


@pytest.mark.parametrize(
    ("space", "params", "expected"),
    [
        ({}, {}, TrainConfig(neurons=(64,))),
        ({"layers": 0, "neurons": [8, 16]}, {}, TrainConfig(neurons=())),
        ({"layers": 2, "neurons": 8}, {}, TrainConfig(neurons=(8, 8))),
        (
            {"layers": [1, 3], "neurons": [8, 16]},
            {"layers": 3, "neurons_1": 16, "neurons_2": 8, "neurons_3": 8},
            TrainConfig(neurons=(16, 8, 8)),
        ),
        (
            {"layers": [1, 3], "neurons": [8, 16]},
            {"layers": 1, "neurons_1": 16, "neurons_2": 8, "neurons_3": 8},
            TrainConfig(neurons=(16,)),
        ),
        ({"layers": [1, 3], "neurons": 8}, {"layers": 3}, TrainConfig(neurons=(8, 8, 8))),
        (
            {"batch_size": [8, "full"], "beta1": [0.8, 0.9], "norm": "layer"},
            {"batch_size": "full", "beta1": 0.8},
            TrainConfig(neurons=(64,), batch_size="full", beta1=0.8, norm="layer"),
        ),
        (
            {"batch_size": {"low": 1, "high": 9}, "l2": {"low": 0, "high": 1}},
            {"batch_size": np.int64(5), "l2": np.float64(0.5)},
            TrainConfig(neurons=(64,), batch_size=5, l2=0.5),
        ),
    ],
)
def test_train_config(space, params, expected):
    """A trial's parameters and the study's constants make its configuration, in plain numbers."""
    config = train_config(spec(**space), params)
    assert config == expected
    assert type(config.batch_size) is type(expected.batch_size)
    assert type(config.l2) is float


def test_train_config_has_the_study_s_training():
    """Epochs and metric are the study's, and not searched."""
    record = studyfile.to_json(spec()) | {"train": {"epochs": 3, "metric": "log_loss"}}
    config = train_config(studyfile.from_json(record), {})
    assert (config.epochs, config.metric) == (3, "log_loss")


def test_active():
    """The widths of layers that a trial does not have are left out of its tables."""
    space = spec(layers={"low": 0, "high": 3}, neurons=[8, 16], l2=[0.0, 0.1]).space
    params = {"layers": 1, "neurons_1": 8, "neurons_2": 16, "neurons_3": 8, "l2": np.float64(0.1)}
    assert active(space, params) == {"layers": 1, "neurons_1": 8, "l2": 0.1}
    assert json.dumps(active(space, params))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"layers": 1}, "the parameter neurons_1 is missing"),
        ({"layers": 1, "neurons_1": 8, "wdith": 3}, "no parameters of this study: wdith"),
        ({"layers": 1, "neurons_1": 0}, "neurons must be"),
    ],
)
def test_wrong_parameters(params, message):
    """Parameters that are not the study's are refused by name."""
    with pytest.raises(ValueError, match=message):
        train_config(spec(layers=[1, 2], neurons=[8, 16]), params)


def entries(low, high, per=1):
    """Constants, lists of choices and ranges of the fractions low / per to high / per."""

    def value(n):
        return n / per if per > 1 else n

    def even_steps(start, steps, step):
        return {"low": value(start), "high": value(start + steps * step), "step": value(step)}

    start, small = st.integers(low, high), st.integers(1, 9)
    numbers = st.lists(start.map(value), min_size=1, max_size=3, unique=True)
    return (
        start.map(value)
        | numbers
        | numbers.map(lambda n: {"low": min(n), "high": max(n), "log": min(n) > 0})
        | numbers.map(lambda n: {"low": min(n), "high": max(n)})
        | st.builds(even_steps, start, small, small)
    )


def names(table):
    return st.sampled_from(sorted(table)) | st.lists(
        st.sampled_from(sorted(table)), min_size=1, unique=True
    )


SPACES = st.fixed_dictionaries(
    {},
    optional={
        "layers": entries(0, 4),
        "neurons": entries(1, 300),
        "activation": names(ACTIVATIONS),
        "optimizer": names(OPTIMIZERS),
        "batch_size": entries(2, 1000) | st.just([16, "full"]),
        "norm": names(["none", *NORMS]),
        "dropout": entries(0, 90, per=1000),
        "max_norm": entries(0, 90, per=1000),
        "ema": entries(0, 90, per=1000),
        "plateau": entries(0, 5),
        "restarts": entries(1, 5),
        "beta1": entries(0, 90, per=1000),
        "learning_rate": entries(1, 500, per=1000),
        "momentum": entries(0, 90, per=1000),
        "l2": entries(0, 1000, per=1000),
    },
)


@given(SPACES, st.integers(0, 9))
def test_any_space(space, seed):
    """Whatever a valid space proposes, the trainer takes, and it stays inside the space."""
    study = spec(**space)
    searched = distributions(study.space)
    params = ask(searched, seed)
    config = train_config(study, params)
    assert config == train_config(study, active(study.space, params))
    assert len(active(study.space, params)) <= len(params) == len(searched)
    for name, value in params.items():
        assert searched[name]._contains(searched[name].to_internal_repr(value))


def test_space_has_every_field():
    """The space names the fields of TrainConfig and the number of layers, in one order."""
    fields = list(TrainConfig.__dataclass_fields__)
    apart = {"epochs", "metric", "patience", "record_layers"}
    searched = [name for name in fields if name not in apart]
    assert set(SpaceSpec.model_fields) == {"layers", *searched}
    defaults = train_config(spec(), {})
    assert defaults == TrainConfig(neurons=defaults.neurons)

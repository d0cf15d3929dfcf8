"""Search spaces: what is searched, in which order, and what a trial's parameters mean."""

import json
from dataclasses import replace

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler

from sweep import studyfile
from sweep.errors import UsageError
from sweep.space import (
    active,
    check_params,
    configuration,
    distributions,
    edit,
    parameters,
    settings,
    train_config,
    trial_config,
    widened,
)
from sweep.spec import SpaceSpec
from trainer import (
    ACTIVATIONS,
    EMBEDDINGS,
    LOSSES,
    NORMS,
    OPTIMIZERS,
    SCHEDULES,
    Dataset,
    Split,
    TrainConfig,
)
from trainer.training import run

optuna.logging.set_verbosity(optuna.logging.ERROR)


def spec(**space):
    return studyfile.from_json({"name": "x", "data": {"source": "sklearn:iris"}, "space": space})


def spec_of(space, **train):
    record = {"name": "x", "data": {"source": "sklearn:diabetes"}, "space": space}
    return studyfile.from_json(record | {"train": train})


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
            {"layers": [1, 3], "widths": "same", "neurons": [8, 16]},
            {"layers": 3, "neurons": 16},
            TrainConfig(neurons=(16, 16, 16)),
        ),
        (
            {"layers": [0, 4], "widths": "funnel", "neurons": [3, 16], "taper": [0.3, 0.5]},
            {"layers": 4, "neurons": 16, "taper": 0.3},
            TrainConfig(neurons=(16, 5, 1, 1)),
        ),
        (
            {"layers": [0, 4], "widths": "funnel", "neurons": [3, 16], "taper": [0.3, 0.5]},
            {"layers": 0},
            TrainConfig(neurons=()),
        ),
        (
            {"optimizer": ["sgd", "adam"], "momentum": [0.5, 0.6], "weight_decay": 0.3},
            {"optimizer": "sgd", "momentum": 0.5},
            TrainConfig(neurons=(64,), optimizer="sgd"),
        ),
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
        "widths": st.sampled_from(["each", "same", "funnel"]),
        "taper": entries(1, 900, per=1000),
        "schedule": names(SCHEDULES),
        "decay": entries(1, 900, per=1000),
        "plateau_factor": entries(1, 900, per=1000),
        "weight_decay": entries(0, 900, per=1000),
    },
)


@given(SPACES, st.integers(0, 9))
def test_any_space(space, seed):
    """Whatever a valid space proposes, the trainer takes, and it stays inside the space."""
    study = spec(**space)
    searched = distributions(study.space)
    params = ask(searched, seed)
    config = train_config(study, params)
    used = active(study.space, params)
    assert config == train_config(study, used)
    assert configuration(study.space, params) == configuration(study.space, used)
    assert check_params(study.space, params) == params
    assert edit(study.space, {}) == study.space
    assert len(active(study.space, params)) <= len(params) == len(searched)
    for name, value in params.items():
        assert searched[name]._contains(searched[name].to_internal_repr(value))


def test_space_has_every_field():
    """The space names the fields of TrainConfig and the number of layers, in one order."""
    fields = list(TrainConfig.__dataclass_fields__)
    apart = {"epochs", "metric", "record_layers"}
    searched = [name for name in fields if name not in apart]
    assert set(SpaceSpec.model_fields) == {"layers", "widths", "taper", *searched}
    defaults = train_config(spec(), {})
    assert defaults == TrainConfig(neurons=defaults.neurons)


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        ("each", ["layers", "neurons_1", "neurons_2", "neurons_3"]),
        ("same", ["layers", "neurons"]),
        ("funnel", ["layers", "neurons", "taper"]),
    ],
)
def test_widths(widths, expected):
    """The three forms of widths and their parameters."""
    entries = {"neurons": [4, 8], "taper": {"low": 0.5, "high": 1.0}}
    space = spec(layers={"low": 1, "high": 3}, widths=widths, **entries).space
    assert list(distributions(space)) == expected
    assert ("taper" in parameters(space)) == (widths == "funnel")


OPTIONS = {
    "neurons": (3, 4),
    "activation": ("relu", "tanh"),
    "norm": ("none", "layer"),
    "bins": (2, 5),
    "frequencies": (1, 2),
    "frequency_scale": (0.1, 1.0),
    "huber_delta": (0.5, 5.0),
    "quantile": (0.3, 0.7),
    "optimizer": ("sgd", "adam"),
    "beta1": (0.3, 0.95),
    "beta2": (0.5, 0.6),
    "schedule": ("constant", "cosine"),
    "decay": (0.1, 0.9),
    "drops": (1, 2),
    "restarts": (1, 3),
    "warmup": (0.0, 2.0),
    "plateau": (0, 1),
    "plateau_factor": (0.1, 0.5),
    "learning_rate": (0.1, 0.2),
    "momentum": (0.5, 0.9),
    "weight_decay": (0.1, 0.5),
    "dropout": (0.0, 0.5),
    "max_norm": (0.5, 0.7),
    "clip_norm": (0.0, 0.02),
    "clip_value": (0.05, 0.1),
    "taper": (0.3, 0.9),
}
CHOICES = [
    {"layers": layers, "optimizer": optimizer, "schedule": schedule, "plateau": plateau}
    for layers, optimizer, schedule, plateau in [
        (0, "sgd", "step", 0),
        (1, "momentum", "exponential", 1),
        (2, "adamw", "cosine_restarts", 0),
        (2, "lbfgs", "step", 1),
        (1, "rmsprop", "constant", 1),
        (2, "lion", "one_cycle", 0),
        (1, "nesterov", "step", 0),
    ]
]


@pytest.mark.parametrize(
    ("loss", "embedding"),
    [("huber", "none"), ("quantile", "piecewise_linear"), ("mean_squared", "periodic")],
)
@pytest.mark.parametrize("chosen", CHOICES, ids=lambda chosen: chosen["optimizer"])
def test_conditions_are_the_trainer_s(chosen, loss, embedding):
    """A parameter is left out exactly where training is the same, bit for bit, without it.

    Asked of the trainer itself, with each of the two values.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    y = x.sum(axis=1, keepdims=True)
    # What is learned makes the validation rows worse, so that plateaus are reached at once.
    dataset = Dataset(Split(x[:30], y[:30]), Split(x[30:], -y[30:]))
    fixed = chosen | {
        "loss": loss,
        "embedding": embedding,
        "widths": "funnel",
        "neurons": 4,
        "batch_size": "full",
    }
    fixed |= {"l2": 0.01, "learning_rate": 0.1}
    for name, (one, other) in OPTIONS.items():
        if name in ("optimizer", "schedule") or (name == "plateau" and chosen["plateau"]):
            continue
        if name == "dropout" and chosen["optimizer"] == "lbfgs":
            continue  # the trainer refuses it
        study = spec_of({**fixed, name: [one, other]}, epochs=12, metric="r2")
        configs = [train_config(study, {name: value}) for value in (one, other)]
        raw = [
            replace(config, **{name: value})
            for config, value in zip(configs, (one, other), strict=True)
            if name in TrainConfig.__dataclass_fields__ and name != "neurons"
        ] or configs
        states = [run(config, dataset, seed=1)[1].parameters for config in raw]
        same = all(np.array_equal(state, states[0]) for state in states)
        assert same == (name not in settings(study.space, {name: one})), name


@pytest.mark.parametrize("lead", ["embedding", "loss", "optimizer", "schedule"])
def test_conditions_follow_what_they_depend_on(lead):
    """Whether a parameter has an effect is known once those before it are."""
    order = list(SpaceSpec.model_fields)
    tables = {"embedding": EMBEDDINGS, "loss": LOSSES}
    table = (tables | {"optimizer": OPTIMIZERS, "schedule": SCHEDULES})[lead]
    options = {name for entry in table.values() for name in entry.options}
    assert options
    assert all(order.index(lead) < order.index(name) for name in options)
    assert order.index("plateau") < order.index("plateau_factor")
    assert order[0] == "layers"
    assert order.index("optimizer") < order.index("schedule") < order.index("weight_decay")


def test_same_configuration():
    """Two trials are the same if they differ in nothing that has an effect, also over an edit."""
    space = spec(**FULL | {"momentum": {"low": 0.1, "high": 0.9}}).space
    base = {"layers": 1, "neurons_1": 16, "neurons_2": 20, "optimizer": "adam", "momentum": 0.5}
    base |= {"batch_size": 16, "learning_rate": 0.01, "l2": 0.0}
    same = base | {"neurons_2": 99, "momentum": 0.3}
    other = base | {"optimizer": "sgd"}
    assert configuration(space, base) == configuration(space, same)
    assert configuration(space, base) != configuration(space, other)
    frozen = edit(space, {"learning_rate": 0.01})
    del same["learning_rate"]
    assert configuration(frozen, same) == configuration(space, base)


OWN = {
    "depth": {"low": 1, "high": 4},
    "rate": {"low": 0.1, "high": 1.0},
    "kind": ["a", "b"],
    "bias": [True, False],
    "limit": 3,
}


def own(**space):
    record = {"name": "x", "data": {"source": "sklearn:iris"}, "space": OWN | space}
    return studyfile.from_json(record | {"train": {"function": "package.module:train"}})


def test_own_trainer():
    """The space of a study with its own trainer: free names, nothing depends on anything."""
    study = own()
    assert distributions(study.space) == {
        "depth": IntDistribution(1, 4),
        "rate": FloatDistribution(0.1, 1.0),
        "kind": CategoricalDistribution(["a", "b"]),
        "bias": CategoricalDistribution([True, False]),
    }
    params = {"depth": 2, "rate": 0.5, "kind": "a", "bias": False}
    assert trial_config(study, params) == (*params.items(), ("limit", 3))
    assert configuration(study.space, params) == trial_config(study, params)
    assert active(study.space, params) == params
    assert check_params(study.space, {"rate": 1, "bias": True}) == {"rate": 1.0, "bias": True}
    edited = edit(study.space, {"depth": {"low": 2, "high": 9}, "kind": "b"})
    assert distributions(edited).keys() == {"depth", "rate", "bias"}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"learning_rte": 0.1}, r'learning_rte: is no parameter here; .* "learning_rate"\?'),
        ({"neurons": 8}, r"neurons: is no parameter here; there are layers, neurons_1"),
        ({"neurons_1": 8}, "neurons_1 = 8: must be a whole number from 16 to 128"),
        ({"neurons_1": 16.0}, "neurons_1 = 16.0: must be a whole number from 16 to 128"),
        ({"layers": True}, "layers = True: must be a whole number from 0 to 2"),
        ({"l2": 0.15}, "l2 = 0.15: must be a number from 0.0 to 0.3 in steps of 0.1"),
        ({"learning_rate": "0.1"}, "learning_rate = '0.1': must be a number from 0.0001 to 0.1"),
        ({"optimizer": "lion"}, "optimizer = 'lion': must be one of 'sgd', 'adam'"),
        ({"batch_size": 32}, "batch_size = 32: must be one of 16, 64"),
        ({"momentum": 0.9}, "momentum = 0.9: must be 0.5, which is not searched"),
    ],
)
def test_wrong_enqueued_parameters(params, message):
    """Names and values that are not in the space are refused, with what is allowed."""
    with pytest.raises(UsageError, match=message):
        check_params(spec(**FULL).space, params)


def test_enqueued_parameters():
    """Some of the parameters are enough, and whole numbers are numbers."""
    params = {"l2": 0, "layers": 2, "momentum": 0.5, "activation": "tanh"}
    found = check_params(spec(**FULL).space, params)
    assert found == params
    assert type(found["l2"]) is float


@pytest.mark.parametrize(
    ("changes", "gone", "distribution"),
    [
        ({"learning_rate": {"low": 0.001, "high": 0.01, "log": True}}, [], (0.001, 0.01)),
        ({"learning_rate": {"low": 1e-6, "high": 1.0, "log": True}}, [], (1e-6, 1.0)),
        ({"learning_rate": 0.01}, ["learning_rate"], None),
        ({"learning_rate": [0.01]}, ["learning_rate"], None),
        ({"optimizer": "adam", "batch_size": 16}, ["optimizer", "batch_size"], None),
        ({"neurons": 32}, ["neurons_1", "neurons_2"], None),
        ({"layers": {"low": 1, "high": 1}}, ["layers", "neurons_2"], None),
        ({"layers": {"low": 0, "high": 4}}, [], None),
    ],
)
def test_edit(changes, gone, distribution):
    """A range is narrowed, extended or frozen, choices are frozen to one."""
    space = spec(**FULL).space
    before, after = distributions(space), distributions(edit(space, changes))
    assert [name for name in before if name not in after] == gone
    if distribution:
        assert (after["learning_rate"].low, after["learning_rate"].high) == distribution


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rte": 0.1}, r'learning_rte: is no key of the space; .* "learning_rate"'),
        ({"optimizer": "lion"}, "optimizer has choices, .* one of 'sgd', 'adam'"),
        ({"optimizer": ["sgd", "lion"]}, "optimizer has choices"),
        ({"momentum": 0.9}, "momentum is a constant of this study"),
        ({"widths": "same"}, "widths is a constant of this study"),
        ({"learning_rate": {"low": 0.1, "high": 0.2}}, "learning_rate stays .* a log scale"),
        ({"learning_rate": [0.1, 0.2]}, "learning_rate stays a range"),
        ({"learning_rate": -1.0}, "learning_rate = -1.0: must be a finite number above 0"),
        ({"learning_rate": {"low": 2.0, "high": 1.0, "log": True}}, "low must be at most high"),
        ({"layers": {"low": 0.5, "high": 2}}, "layers = .* valid integer"),
    ],
)
def test_wrong_edits(changes, message):
    """What would change the meaning of a parameter, or no study file could say, is refused."""
    with pytest.raises(UsageError, match=message):
        edit(spec(**FULL).space, changes)


def test_a_kind_cannot_change():
    """Whole numbers stay whole, and a range of them is not frozen to a name."""
    space = spec(batch_size={"low": 4, "high": 64}).space
    with pytest.raises(UsageError, match=r"batch_size is a range: freeze it to a whole number"):
        edit(space, {"batch_size": "full"})
    with pytest.raises(UsageError, match=r"depth stays a range .* whole number"):
        edit(own().space, {"depth": {"low": 1.0, "high": 3.0}})


def test_distributions_as_wide_as_the_trials():
    """Ranges that an edit extended hold what was proposed then; the others stay as they are."""
    known = {
        "rate": FloatDistribution(1e-3, 1e-1, log=True),
        "units": IntDistribution(4, 16, step=4),
        "kind": CategoricalDistribution(("a", "b")),
    }
    inside = {"rate": 1e-2, "units": 8, "kind": "a"}
    assert widened(known, [inside, {"kind": "b"}]) == known
    assert widened(known, [inside, {"rate": 0.5, "units": 21}, {"units": 2}]) == {
        "rate": FloatDistribution(1e-3, 0.5, log=True),
        "units": IntDistribution(2, 21),
        "kind": known["kind"],
    }

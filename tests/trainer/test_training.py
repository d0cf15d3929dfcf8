"""Training: what it learns, that it repeats itself bit for bit, and how it ends."""

import dataclasses
import itertools
import math
import pickle
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from tests.trainer.data import classes, suited, values
from tests.trainer.test_checkpoint import same
from trainer import (
    ACTIVATIONS,
    EMBEDDINGS,
    INITIALIZERS,
    LOSSES,
    METRICS,
    NORMS,
    OPTIMIZERS,
    SCHEDULES,
    Dataset,
    Split,
    TrainConfig,
    build_network,
    check_defined,
    check_metric,
    evaluate,
    kept,
    passes,
    predict,
    run,
    train,
    train_many,
)
from trainer.checkpoint import from_arrays, to_arrays
from trainer.network import parameter_count


def read_only(array):
    """A copy that cannot be written to."""
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def unaligned(array):
    """A copy that starts one byte off any boundary."""
    memory = np.empty(array.nbytes + 1, dtype=np.uint8)
    copy = memory[1:].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def with_arrays(dataset, change):
    """The data set with `change` applied to its training and validation arrays."""
    train, validation = (Split(*map(change, s)) for s in (dataset.train, dataset.validation))
    return Dataset(train, validation, n_classes=dataset.n_classes)


def without_seconds(records):
    """Records as tuples, but for the time they took."""
    return [tuple(getattr(r, f) for f in r.__slots__ if f != "seconds") for r in records]


def test_one_step_by_hand():
    """A full-batch step of SGD on a linear model is the one worked out by hand, l2 included."""
    dataset = values(rows=9, n_inputs=3, n_outputs=2)
    config = TrainConfig(
        neurons=(),
        loss="mean_squared",
        metric="rmse",
        optimizer="sgd",
        learning_rate=0.1,
        l2=0.5,
        batch_size="full",
        dtype="float64",
        epochs=1,
    )
    _, start = run(config, dataset, seed=0, until=0)
    (record,), end = run(config, dataset, seed=0)

    x, y = dataset.train
    w, b = start.parameters[:6].reshape(3, 2), start.parameters[6:]
    error = x @ w + b - y
    w_gradient = 2 * x.T @ error / error.size + 0.5 * w
    b_gradient = 2 * error.sum(axis=0) / error.size
    gradient = np.concatenate([w_gradient.ravel(), b_gradient])
    np.testing.assert_allclose(end.parameters, start.parameters - 0.1 * gradient, rtol=1e-12)
    assert record.train_loss == pytest.approx((error**2).mean())
    assert record.gradient_norm == pytest.approx(np.linalg.norm(gradient))

    w, b = end.parameters[:6].reshape(3, 2), end.parameters[6:]
    x, y = dataset.validation
    assert record.validation_loss == pytest.approx(((x @ w + b - y) ** 2).mean())


def test_linear_model_is_logistic_regression():
    """A linear model with softmax cross-entropy and l2 reaches scikit-learn's optimum."""
    x, y = load_iris(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    c = 0.5
    config = TrainConfig(
        neurons=(),
        l2=1 / (c * len(x)),
        optimizer="momentum",
        learning_rate=0.5,
        batch_size=len(x),
        epochs=500,
        dtype="float64",
    )
    split = Split(x, y)
    _, state = run(config, Dataset(split, split, n_classes=3), seed=0)
    reference = LogisticRegression(C=c, tol=1e-8, max_iter=1000).fit(x, y)
    np.testing.assert_allclose(
        predict(config, state.parameters, x, 3), reference.predict_proba(x), atol=1e-5
    )


RATES = {"adadelta": 5.0, "adagrad": 0.1, "lion": 2e-3, "sgd": 0.3, "momentum": 0.05}
"""Learning rates of the optimizers for which 0.01 is not one."""


@pytest.mark.parametrize(
    ("activation", "optimizer", "norm"),
    [
        *((activation, "adam", "none") for activation in ACTIVATIONS),
        *(("relu", optimizer, "none") for optimizer in (*OPTIMIZERS, "lbfgs")),
        *(("relu", "adam", norm) for norm in NORMS),
    ],
)
def test_memorises(activation, optimizer, norm):
    """Every activation, optimizer and norm learns 16 rows of noise by heart."""
    rng = np.random.default_rng(0)
    split = Split(rng.normal(size=(16, 8)), rng.integers(0, 3, 16))
    config = TrainConfig(
        neurons=() if activation == "identity" else (64,),
        activation=activation,
        norm=norm,
        optimizer=optimizer,
        learning_rate=RATES.get(optimizer, 0.01) / 5 ** ("nesterov" in optimizer),
        batch_size="full" if optimizer == "lbfgs" else 4,
        epochs=300,
    )
    dataset = Dataset(split, split, n_classes=3)
    if activation == "identity":
        dataset = classes(rows=24, n_inputs=8, seed=1)
        dataset = Dataset(dataset.train, dataset.train, n_classes=3)
    assert run(config, dataset, seed=0)[0][-1].validation_metric == 1.0


EVERYTHING = {
    "l1": 1e-4,
    "dropout": 0.2,
    "input_dropout": 0.1,
    "max_norm": 2.0,
    "clip_norm": 1.0,
    "label_smoothing": 0.1,
    "class_weight": "balanced",
    "weight_decay": 0.1,
    "warmup": 1.5,
    "plateau": 1,
    "plateau_factor": 0.5,
    "patience": 2,
    "ema": 0.9,
    "record_layers": True,
}
"""Every feature at once, but for the norms and the optimizers."""


@pytest.mark.parametrize(
    ("optimizer", "norm", "dtype", "options"),
    [
        *itertools.product([*OPTIMIZERS, "lbfgs"], ["none", *NORMS], ["float32"], [{}]),
        *itertools.product(["adamw"], ["none", *NORMS], ["float32", "float64"], [EVERYTHING]),
        *(("adam", "none", "float32", {name: EVERYTHING[name]}) for name in EVERYTHING),
    ],
    ids=str,
)
def test_resume(optimizer, norm, dtype, options):
    """Stopping after any epoch, pickling the state and going on changes no bit."""
    config = TrainConfig(
        **{
            "neurons": (7, 6),
            "activation": ("tanh", "silu"),
            "norm": norm,
            "optimizer": optimizer,
            "schedule": "cosine",
            "l2": 1e-3,
            "batch_size": "full" if optimizer == "lbfgs" else 16,
            "epochs": 5,
            "dtype": dtype,
        }
        | options
    )
    dataset = classes(rows=75)
    records, whole = run(config, dataset, seed=3)
    for stop in range(config.epochs + 1):
        first, state = run(config, dataset, seed=3, until=stop)
        assert state.epoch == len(first) <= stop
        state = pickle.loads(pickle.dumps(state))
        second, end = run(config, dataset, seed=3, state=state)
        assert same(end, whole)
        assert without_seconds(first + second) == without_seconds(records)


def test_nothing_is_written_to():
    """Read-only arrays do, and neither the data nor the state that is given changes."""
    config = TrainConfig(neurons=(6,), epochs=2, batch_size=8, norm="batch", **EVERYTHING)
    dataset = dataclasses.replace(
        with_arrays(classes(), read_only), weights=read_only(np.arange(40))
    )
    _, state = run(config, dataset, seed=0, until=1)
    for array in state.arrays.values():
        array.flags.writeable = False
    before = pickle.dumps(state)
    _, first = run(config, dataset, seed=0, state=state)
    _, second = run(config, dataset, seed=0, state=state)
    assert pickle.dumps(state) == before
    assert same(first, second)


def test_memory():
    """A training takes four vectors of parameters and two batches' activations, not more."""
    config = TrainConfig(neurons=(512, 512), batch_size=128, epochs=1)
    rows = classes(rows=400, n_inputs=50, n_classes=10)
    few = Split(*(array[:8] for array in rows.validation))
    vector = 4 * parameter_count((50, 512, 512, 10))
    activations = 4 * 128 * (50 + 512 + 512 + 10)
    tracemalloc.start()
    try:
        run(config, dataclasses.replace(rows, validation=few), 0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * vector + 2 * activations + 600_000


def test_where_arrays_lie_does_not_matter():
    """Unaligned, transposed or strided inputs give the same bits."""
    config = TrainConfig(
        neurons=(33, 17), activation="tanh", norm="batch", batch_size=24, epochs=2, **EVERYTHING
    )
    dataset = classes(rows=200, n_inputs=13)
    _, expected = run(config, dataset, seed=0)
    for change in (unaligned, np.asfortranarray, lambda a: np.repeat(a, 2, axis=0)[::2]):
        _, state = run(config, with_arrays(dataset, change), seed=0)
        assert same(state, expected)
    _, state = run(config, dataset, seed=0, until=1)
    for change in (unaligned, read_only):
        moved = dataclasses.replace(
            state,
            parameters=change(state.parameters),
            moments={name: change(moment) for name, moment in state.moments.items()},
            current=change(state.current),
            average=change(state.average),
        )
        assert same(run(config, dataset, seed=0, state=moved)[1], expected)


PROGRAM = """
from tests.trainer.data import classes
from trainer import TrainConfig, run
_, state = run(TrainConfig(neurons=(31, 9), batch_size=7, epochs=3), classes(), seed=5)
print(state.parameters.tobytes().hex())
"""


def test_another_process_agrees():
    """Another process computes the same bits."""
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    _, state = run(TrainConfig(neurons=(31, 9), batch_size=7, epochs=3), classes(), seed=5)
    assert found.stdout.strip() == state.parameters.tobytes().hex()


def test_seed():
    """The seed alone decides the initial weights and the order of the rows."""
    config = TrainConfig(neurons=(4,), epochs=1)
    starts = [run(config, classes(), seed, until=0)[1].parameters for seed in (0, 1, 2**130)]
    assert len({start.tobytes() for start in starts}) == 3
    same_weights = [
        run(config, classes(), seed, run(config, classes(), 0, until=0)[1])[1] for seed in (0, 1)
    ]
    assert not same(*same_weights)


def test_every_epoch_has_its_own_order():
    """The same weights go elsewhere in another epoch: its rows come in another order."""
    config = TrainConfig(neurons=(4,), optimizer="sgd", batch_size=4, epochs=2)
    _, first = run(config, classes(), seed=0, until=1)
    as_if_new = dataclasses.replace(first, epoch=0)
    again = run(config, classes(), seed=0, state=as_if_new, until=1)[1]
    second = run(config, classes(), seed=0, state=first)[1]
    assert again.parameters.tobytes() != second.parameters.tobytes()


def test_dtype_does_not_change_the_start():
    """float32 and float64 networks start from the same weights."""
    single, double = (
        run(TrainConfig(neurons=(4,), dtype=dtype), classes(), 0, until=0)[1].parameters
        for dtype in ("float32", "float64")
    )
    np.testing.assert_array_equal(single, double.astype(np.float32))


@pytest.mark.parametrize(
    ("neurons", "loss", "metric", "dataset"),
    [
        ((8,), "softmax_cross_entropy", "accuracy", classes()),
        ((), "mean_squared", "rmse", values()),
    ],
)
def test_divergence(neurons, loss, metric, dataset):
    """A learning rate that is far too high ends the training early, and says so."""
    config = TrainConfig(
        neurons=neurons,
        loss=loss,
        metric=metric,
        optimizer="sgd",
        learning_rate=1e30,
        epochs=50,
    )
    records, state = run(config, dataset, seed=0)
    assert state.diverged
    assert len(records) == state.epoch < 50
    assert not math.isfinite(records[-1].train_loss)
    assert all(math.isfinite(record.train_loss) for record in records[:-1])
    again, unchanged = run(config, dataset, seed=0, state=state)
    assert again == []
    assert same(unchanged, state)


def test_callers_numpy_settings_hold():
    """Between epochs, NumPy warns as the caller asked."""
    for record in train(TrainConfig(neurons=(4,), epochs=2), classes(), seed=0):
        assert np.geterr()["over"] == "warn", record


def test_no_subnormal_numbers_remain():
    """Weights that decay to nothing end at zero, and not among the slow numbers before it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    x[:, 1] = 0
    split = Split(x, rng.integers(0, 2, 40))
    config = TrainConfig(
        neurons=(), l2=0.5, optimizer="sgd", learning_rate=1.0, batch_size=4, epochs=20
    )
    _, state = run(config, Dataset(split, split, n_classes=2), seed=0)
    assert (state.parameters[2:4] == 0).all()
    assert (np.abs(state.parameters[state.parameters != 0]) > 1e-30).all()


def test_records():
    """Records count epochs from one, follow the schedule, and hold plain numbers."""
    config = TrainConfig(neurons=(4,), schedule="cosine", learning_rate=0.2, epochs=4)
    records, state = run(config, classes(), seed=0)
    assert [record.epoch for record in records] == [1, 2, 3, 4]
    assert [record.learning_rate for record in records] == pytest.approx(
        [0.2 * (1 + math.cos(math.pi * k / 4)) / 2 for k in range(4)]
    )
    assert {type(v) for r in without_seconds(records) for v in r} == {int, float, tuple}
    assert all(record.seconds > 0 for record in records)
    assert state.steps == 4 * 2
    assert state.nbytes == 3 * state.parameters.nbytes


def test_metric_loss_is_the_validation_loss():
    """The metric "loss" repeats the validation loss."""
    records, _ = run(TrainConfig(neurons=(4,), metric="loss", epochs=2), classes(), seed=0)
    assert [r.validation_metric for r in records] == [r.validation_loss for r in records]


def test_log_loss_is_the_cross_entropy():
    """With softmax, the metric "log_loss" equals the loss."""
    config = TrainConfig(neurons=(4,), metric="log_loss", epochs=1, dtype="float64")
    ((record,), _) = run(config, classes(), seed=0)
    assert record.validation_metric == pytest.approx(record.validation_loss)


def test_predict():
    """Predictions of the final state give the last record's metric; raw outputs in regression."""
    config = TrainConfig(neurons=(4,), epochs=3)
    dataset = classes()
    records, state = run(config, dataset, seed=0)
    probabilities = predict(config, state.parameters, dataset.validation.x, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    hits = probabilities.argmax(axis=1) == dataset.validation.y
    assert hits.mean() == records[-1].validation_metric

    config = TrainConfig(neurons=(4,), loss="mean_squared", metric="r2", epochs=3)
    _, state = run(config, values(), seed=0)
    x = values().validation.x
    network = build_network(config, state.parameters, 4, 2)
    np.testing.assert_array_equal(
        predict(config, state.parameters, x, 2), passes.outputs(network, x)
    )


@pytest.mark.parametrize(
    ("options", "dataset"),
    [({}, classes()), ({"loss": "mean_squared", "metric": "rmse"}, values())],
)
def test_evaluate(options, dataset):
    """Evaluating the final state on the validation rows repeats the last record."""
    records, state = run(TrainConfig(neurons=(4,), epochs=2, **options), dataset, seed=0)
    found = evaluate(
        TrainConfig(neurons=(4,), **options), state.parameters, dataset, dataset.validation
    )
    assert found == (records[-1].validation_loss, records[-1].validation_metric)


def test_metrics_are_in_the_units_of_the_data():
    """Where y was divided by a scale, a metric is multiplied by it, and the loss is not."""
    plain = values(n_outputs=1)
    scaled = dataclasses.replace(plain, target_scale=np.array([1000.0]))
    config = TrainConfig(neurons=(4,), loss="mean_squared", metric="mae", epochs=1)
    ((one,), _), ((other,), _) = (run(config, dataset, seed=0) for dataset in (plain, scaled))
    assert other.validation_metric == pytest.approx(1000 * one.validation_metric)
    assert other.validation_loss == one.validation_loss


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must be an integer of at least 0, not -1"),
        ({"seed": 0.5}, "not 0.5"),
        ({"seed": True}, "seed must be an integer of at least 0, not True"),
        ({"until": 3}, "until must be from 0, the epochs completed, to 2, .* not 3"),
        ({"until": -1}, "until must be from 0"),
        ({"until": 1.0}, "until must be from 0.* and an integer, not 1.0"),
        ({"until": True}, "until must be .*, not True"),
        ({"until": "1"}, "until must be .*, not '1'"),
        ({"config": {"neurons": (4,)}}, "config must be a TrainConfig, not of the type dict"),
        (
            {"dataset": (np.ones((4, 2)), np.ones(4))},
            "dataset must be a Dataset, not of the type",
        ),
        ({"state": np.zeros(3)}, "state must be a TrainState, not of the type ndarray"),
        ({"state": ([], None)}, "state must be a TrainState, not of the type tuple"),
    ],
)
def test_bad_arguments(options, message):
    """Arguments that cannot work are refused at the call, before the first epoch."""
    arguments = {"config": TrainConfig(neurons=(), epochs=2), "dataset": classes(), "seed": 0}
    for function in train, run:
        with pytest.raises(ValueError, match=message) as error:
            function(**arguments | options)
        assert "\n" not in str(error.value)


def test_integers_of_numpy():
    """NumPy's integers do for the seed and the epoch, to the same bits."""
    config = TrainConfig(neurons=(3,), epochs=2)
    _, ours = run(config, classes(), 1, until=1)
    _, theirs = run(config, classes(), np.uint8(1), until=np.int64(1))
    assert same(ours, theirs)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ({}, {"neurons": (5,)}, "neurons is (4,) in the state and (5,) in the configuration;"),
        ({}, {"norm": "batch"}, "norm is 'none' in the state and 'batch' in"),
        ({}, {"optimizer": "momentum"}, "optimizer is 'adam' in the state and 'momentum' in"),
        ({}, {"optimizer": "lbfgs", "batch_size": "full"}, "optimizer is 'adam' in"),
        ({}, {"ema": 0.5}, "ema is 0.0 in the state and 0.5 in"),
        ({}, {"ema": 0.5, "patience": 3}, "ema is 0.0 in the state and 0.5 in"),
        ({"patience": 2}, {}, "patience is 2 in the state and 0 in"),
        ({"patience": 2, "ema": 0.5}, {"patience": 2}, "ema is 0.5 in the state and 0.0 in"),
        ({}, {"dtype": "float64"}, "dtype is 'float32' in the state and 'float64' in"),
        ({}, {"embedding": "periodic"}, "embedding is 'none' in the state and 'periodic' in"),
        (
            {},
            {"neurons": (), "dtype": "float64"},
            "dtype is 'float32' in the state and 'float64' in the configuration, "
            "neurons is (4,) in the state and () in the configuration;",
        ),
    ],
)
def test_state_of_another_configuration(before, after, message):
    """A state that cannot go with the configuration is refused, by the fields that changed."""
    dataset, fixed = classes(), {"neurons": (4,), "epochs": 3}
    _, state = run(TrainConfig(**fixed | before), dataset, seed=0, until=1)
    changed = TrainConfig(**fixed | after)
    for start in state, from_arrays(to_arrays(state)):
        with pytest.raises(ValueError, match="state is of another configuration") as error:
            train(changed, dataset, 0, start)
        assert message in str(error.value)


def test_state_of_an_unknown_configuration():
    """A state that does not know its configuration, or is of other data, is refused by its
    arrays."""
    dataset = classes()
    _, known = run(TrainConfig(neurons=(4,), epochs=1), dataset, seed=0)
    state = dataclasses.replace(known, config=None)
    for options, needed in (
        ({"optimizer": "momentum"}, r"moments.velocity \(39,\), param"),
        ({"neurons": (5,)}, r"moments.first \(48,\), .* parameters \(48,\)"),
        ({"ema": 0.5}, r"average \(39,\), current \(39,\), moments.first"),
        ({"norm": "batch"}, r"moments.first \(47,\), .* parameters \(55,\)"),
    ):
        with pytest.raises(ValueError, match="the configuration needs " + needed):
            train(TrainConfig(**{"neurons": (4,)} | options), dataset, 0, state)
    with pytest.raises(ValueError, match=r"needs .* for data of 7 features and 3 outputs"):
        train(TrainConfig(neurons=(4,)), classes(n_inputs=7), 0, known)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"optimizer": "adam"}, {"optimizer": "adamw", "weight_decay": 0.1}),
        ({"ema": 0.5}, {"ema": 0.9, "patience": 3}),
        ({"patience": 2}, {"patience": 3, "learning_rate": 0.1}),
        ({"loss": "softmax_cross_entropy"}, {"loss": "hinge"}),
    ],
)
def test_changes_that_need_no_other_arrays(before, after):
    """Training may go on under a configuration whose states have the same arrays."""
    _, state = run(TrainConfig(neurons=(4,), epochs=2, **before), classes(), 0, until=1)
    changed = TrainConfig(neurons=(4,), epochs=2, **after)
    assert run(changed, classes(), 0, state)[1].config == changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:, :3], "x must have 5 columns, as the rows that these parameters .* not 3"),
        (lambda x: np.hstack([x, x]), "x must have 5 columns, .* not 10"),
        (lambda x: x[0], r"x must have shape \(rows, features\), .* not \(5,\)"),
        (lambda x: np.where(x == x[3, 1], np.nan, x), "x must be finite; row 3, column 1 is nan"),
        (lambda x: x.tolist(), "x must be an array of real numbers, not list"),
        (lambda x: x.astype(object), "not of dtype object"),
    ],
)
@pytest.mark.parametrize("neurons", [(), (4, 3)])
def test_rows_that_cannot_be_predicted(change, message, neurons):
    """Rows that are not finite, or of another width, are refused; no rows at all are not."""
    config, dataset = TrainConfig(neurons=neurons, norm="batch", epochs=1), classes()
    _, state = run(config, dataset, 0)
    with pytest.raises(ValueError, match=message):
        predict(config, state.parameters, change(dataset.train.x), 3)
    assert predict(config, state.parameters, dataset.train.x[:0], 3).shape == (0, 3)


def test_a_metric_that_overflows_diverged():
    """Finite losses of outputs whose squares overflow are a divergence, not a record of -inf."""
    config = TrainConfig(
        neurons=(), loss="huber", metric="r2", optimizer="sgd", learning_rate=1e160, dtype="float64"
    )
    dataset = values()
    many = train_many(config, dataset, [0, 1])
    for seed in 0, 1:
        for records, state in (run(config, dataset, seed), many[seed]):
            assert state.diverged
            assert records[-1].diverged
            assert math.isfinite(records[-1].validation_loss)
            assert not math.isfinite(records[-1].validation_metric)
            assert kept(config, records[-1:]) == records[-1]


def test_one_class():
    """One label alone is refused at the start, and not where training goes on."""
    dataset = classes()
    alone = dataclasses.replace(dataset, train=Split(dataset.train.x, 0 * dataset.train.y))
    with pytest.raises(ValueError, match="at least 2 classes, not only label 0"):
        train(TrainConfig(neurons=()), alone, seed=0)
    _, state = run(TrainConfig(neurons=(), epochs=1), dataset, seed=0)
    run(TrainConfig(neurons=()), alone, seed=0, state=state)


def test_loss_that_does_not_suit_the_data():
    """Training checks that the loss suits the data before it starts."""
    with pytest.raises(ValueError, match="does not suit regression data"):
        train(TrainConfig(neurons=()), values(), seed=0)


def fits(metric, dataset):
    """Whether a metric is a number on these rows."""
    try:
        check_metric(metric, dataset)
        check_defined(metric, dataset)
    except ValueError:
        return False
    return True


@st.composite
def configs(draw):
    """A valid configuration and data of the kind that it is for."""
    kind = draw(st.sampled_from(["classification", "multilabel", "regression"]))
    loss = draw(st.sampled_from([n for n in LOSSES if kind in LOSSES[n].kinds]))
    optimizer = draw(st.sampled_from([*sorted(OPTIMIZERS), "lbfgs"]))
    norm = draw(st.sampled_from(["none", *sorted(NORMS)]))
    rows = draw(st.integers(4, 70))
    train_rows = rows * 2 // 3
    dataset = suited(loss, rows, kind)
    metrics = [
        name
        for name, metric in METRICS.items()
        if (LOSSES[loss].probabilities or not metric.needs_probabilities) and fits(name, dataset)
    ]
    full = optimizer == "lbfgs" or draw(st.booleans())
    sizes = range(1 if norm != "batch" else 2, train_rows + 1)
    neurons = tuple(draw(st.lists(st.integers(1, 20), max_size=3)))
    names = st.sampled_from(sorted(ACTIVATIONS))
    off_or = lambda strategy: st.just(0.0) | strategy  # noqa: E731
    share = off_or(st.floats(0, 0.99))
    config = TrainConfig(
        neurons=neurons,
        activation=draw(names | st.tuples(*[names for _ in neurons])),
        norm=norm,
        embedding=draw(st.sampled_from(["none", *sorted(EMBEDDINGS)])),
        bins=draw(st.integers(1, 6)),
        frequencies=draw(st.integers(1, 4)),
        frequency_scale=draw(st.floats(1e-3, 1e6)),
        loss=loss,
        huber_delta=draw(st.floats(1e-3, 1e3)),
        quantile=draw(st.floats(0.01, 0.99)),
        label_smoothing=draw(share) if kind != "regression" else 0.0,
        class_weight=draw(st.sampled_from(["none", "balanced"][: 1 + (kind == "classification")])),
        metric=draw(st.sampled_from(metrics)),
        optimizer=optimizer,
        momentum=draw(st.floats(0, 1, exclude_max=True)),
        beta1=draw(st.none() | st.floats(0, 0.999)),
        beta2=draw(st.none() | st.floats(0, 0.999)),
        learning_rate=draw(st.floats(1e-12, 1e12)),
        schedule=draw(st.sampled_from(sorted(SCHEDULES))),
        decay=draw(st.floats(0.01, 1)),
        drops=draw(st.integers(1, 4)),
        restarts=draw(st.integers(1, 4)),
        warmup=draw(off_or(st.floats(0, 5))),
        plateau=draw(st.integers(0, 2)),
        plateau_factor=draw(st.floats(0.01, 1)),
        initializer=draw(st.sampled_from(["auto", *sorted(INITIALIZERS)])),
        batch_size="full" if full else draw(st.sampled_from(sizes)),
        l1=draw(off_or(st.floats(0, 1e6))),
        l2=draw(off_or(st.floats(0, 1e6))),
        weight_decay=draw(off_or(st.floats(0, 1e6))),
        dropout=0.0 if optimizer == "lbfgs" else draw(share),
        input_dropout=0.0 if optimizer == "lbfgs" else draw(share),
        max_norm=draw(off_or(st.floats(0, 1e3))),
        clip_norm=draw(off_or(st.floats(0, 1e3))),
        clip_value=draw(off_or(st.floats(0, 1e3))),
        ema=draw(share),
        patience=draw(st.integers(0, 2)),
        epochs=2,
        dtype=draw(st.sampled_from(["float32", "float64"])),
        record_layers=draw(st.booleans()),
    )
    if draw(st.booleans()):
        weights = np.random.default_rng(0).integers(0, 3, train_rows)
        dataset = dataclasses.replace(dataset, weights=weights + (not weights.any()))
    return config, dataset


@settings(deadline=None)
@given(configs())
def test_any_configuration_trains(case):
    """Any valid configuration trains two epochs, or diverges, without a warning."""
    config, dataset = case
    records, state = run(config, dataset, seed=0)
    numbers = [value for record in without_seconds(records) for value in record[:-1]]
    numbers += [n for r in records for layer in r.layers for n in dataclasses.astuple(layer)]
    if state.diverged:
        assert not all(map(math.isfinite, numbers))
    else:
        assert len(records) == 2
        assert all(map(math.isfinite, numbers))
        assert all(np.isfinite(array).all() for array in state.arrays.values())


@settings(deadline=None)
@given(configs())
def test_any_configuration_resumes(case):
    """Any valid configuration goes on after its first epoch to the bits of not having stopped."""
    config, dataset = case
    records, whole = run(config, dataset, seed=1)
    first, state = run(config, dataset, seed=1, until=1)
    second, end = run(config, dataset, seed=1, state=state)
    assert same(end, whole)
    assert repr(without_seconds(first + second)) == repr(without_seconds(records))

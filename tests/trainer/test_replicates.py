"""Networks trained at once against the same networks trained one after another."""

import dataclasses
import math

import numpy as np
import pytest

from tests.trainer.data import classes, values
from trainer import OPTIMIZERS, Dataset, Split, TrainConfig, run, train_many
from trainer.replicates import STACK_PARAMETERS

TOLERANCE = {"float64": 1e-12, "float32": 1e-4}

REGRESSION = {"loss": "mean_squared", "metric": "rmse"}


def config(**changes: object) -> TrainConfig:
    """Batches that leave a remainder of 40 rows."""
    fields = {"neurons": (7, 5), "batch_size": 12, "epochs": 4, "dtype": "float64"}
    return TrainConfig(**(fields | changes))


def assert_alike(many, alone, dtype="float64"):
    """Every record and state of `many` is that of `alone`, but for rounding and time."""
    tolerance = TOLERANCE[dtype]
    for (records, state), (expected_records, expected) in zip(many, alone, strict=True):
        assert (state.epoch, state.steps, state.diverged) == (
            expected.epoch,
            expected.steps,
            expected.diverged,
        )
        assert state.parameters.dtype == dtype
        np.testing.assert_allclose(
            state.parameters, expected.parameters, rtol=tolerance, atol=tolerance
        )
        assert state.moments.keys() == expected.moments.keys()
        for name, moment in state.moments.items():
            np.testing.assert_allclose(
                moment, expected.moments[name], rtol=tolerance, atol=10 * tolerance
            )
        assert len(records) == len(expected_records)
        for record, other in zip(records, expected_records, strict=True):
            for field in ("epoch", "learning_rate", "train_loss", "validation_loss"):
                assert getattr(record, field) == pytest.approx(
                    getattr(other, field), rel=10 * tolerance, nan_ok=True
                )
            for field in ("validation_metric", "gradient_norm"):
                assert getattr(record, field) == pytest.approx(
                    getattr(other, field), rel=10 * tolerance, nan_ok=True
                )
            assert record.seconds > 0


@pytest.mark.parametrize("dtype", sorted(TOLERANCE))
@pytest.mark.parametrize(
    ("changes", "dataset"),
    [
        ({}, classes()),
        ({"neurons": ()}, classes()),
        ({"neurons": (4,), "activation": "signum"}, classes()),
        ({"activation": ("tanh", "leaky_relu"), "l2": 1e-2}, classes()),
        ({"batch_size": "full", "loss": "sigmoid_cross_entropy"}, classes()),
        ({"schedule": "cosine", "optimizer": "momentum", "momentum": 0.5}, classes()),
        ({"optimizer": "adamw", "weight_decay": 0.1, "plateau": 1}, classes()),
        ({"loss": "mean_squared", "metric": "r2"}, values()),
        ({"loss": "gaussian_nll", "metric": "rmse"}, values()),
        ({"loss": "huber", "metric": "mae", "huber_delta": 0.3}, values()),
        ({"loss": "mean_squared", "metric": "rmse"}, values(n_outputs=1)),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, dict) else "",
)
def test_as_alone(changes, dataset, dtype):
    """Each of several seeds gives what it gives alone."""
    setting = config(dtype=dtype, **changes)
    seeds = [3, 1, 4]
    alone = [run(setting, dataset, seed) for seed in seeds]
    assert_alike(train_many(setting, dataset, seeds), alone, dtype)


@pytest.mark.parametrize("dtype", sorted(TOLERANCE))
@pytest.mark.parametrize(
    ("changes", "dataset"),
    [
        ({"neurons": (64, 64), "batch_size": 32}, classes(rows=600, n_inputs=20)),
        ({"neurons": (32,) * 3, "batch_size": 16, **REGRESSION}, values(rows=600, n_outputs=1)),
        ({"neurons": (16,), "batch_size": 8, "learning_rate": 0.01}, classes(900, 16, 2)),
        ({"neurons": (100,), "batch_size": 100}, classes(450, 64, 10)),
        ({"neurons": (20, 10), "optimizer": "rmsprop", **REGRESSION}, values(rows=300)),
        ({"neurons": (20, 10), "optimizer": "nadam"}, classes(rows=300)),
        ({"neurons": (20, 10), "optimizer": "lion"}, classes(rows=300)),
    ],
    ids=lambda value: " ".join(map(str, value.values())) if isinstance(value, dict) else "",
)
def test_the_bound_that_is_stated(changes, dataset, dtype):
    """After ten epochs, no parameter is further from its own than the documentation says."""
    setting = config(dtype=dtype, **{"epochs": 10} | changes)
    for seed, (_, state) in enumerate(train_many(setting, dataset, range(4))):
        _, alone = run(setting, dataset, seed)
        assert state.steps == alone.steps <= 750
        np.testing.assert_allclose(
            state.parameters, alone.parameters, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype]
        )


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_learning_rates(optimizer):
    """Networks of one stack may differ in learning rate, under every optimizer."""
    configs = [config(optimizer=optimizer, learning_rate=rate) for rate in (1e-3, 3e-3, 1e-2)]
    alone = [run(c, classes(), seed) for seed, c in enumerate(configs)]
    assert_alike(train_many(configs, classes(), range(3)), alone)


def test_folds():
    """Networks may have rows of their own, and not the same number of them."""
    datasets = [classes(seed=0), classes(seed=1), classes(rows=75, seed=2)]
    alone = [run(config(), dataset, 5) for dataset in datasets]
    assert_alike(train_many(config(), datasets, [5, 5, 5]), alone)


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": 0.2},
        {"norm": "layer"},
        {"norm": "batch", "batch_size": 13},
        {"patience": 2},
        {"clip_norm": 0.1},
        {"ema": 0.9},
    ],
    ids=str,
)
def test_not_stacked(changes):
    """What a stack does not know is trained one after another, to the same bits."""
    setting = config(**changes)
    for (_, state), seed in zip(train_many(setting, classes(), [0, 1]), [0, 1], strict=True):
        np.testing.assert_array_equal(state.parameters, run(setting, classes(), seed)[1].parameters)


def test_weighted_rows():
    """Rows of different weights are trained one after another."""
    dataset = dataclasses.replace(classes(), weights=np.linspace(0, 1, 40))
    many = train_many(config(), dataset, [0, 1])
    assert_alike(many, [run(config(), dataset, seed) for seed in (0, 1)])


def test_large_networks():
    """More networks than fit into a stack, and networks that do not fit at all."""
    setting = config(neurons=(STACK_PARAMETERS // 30,), epochs=1)
    alone = [run(setting, classes(), seed) for seed in range(5)]
    assert_alike(train_many(setting, classes(), range(5)), alone)


def test_goes_on():
    """Stopping and going on gives the same bits as not stopping."""
    whole = train_many(config(), classes(), [0, 1])
    first = train_many(config(), classes(), [0, 1], until=1)
    states = [state for _, state in first]
    second = train_many(config(), classes(), [0, 1], states)
    for (records, state), (before, _), (after, end) in zip(whole, first, second, strict=True):
        assert [record.epoch for record in before + after] == [record.epoch for record in records]
        np.testing.assert_array_equal(end.parameters, state.parameters)
        assert end.progress == state.progress


def test_divergence():
    """A network that diverges ends there, and leaves the others of its stack alone."""
    configs = [config(optimizer="sgd", learning_rate=rate) for rate in (1e-2, 1e200)]
    many = train_many(configs, classes(), [0, 0])
    sound, diverged = many
    assert_alike([sound], [run(configs[0], classes(), 0)])
    assert diverged[1].diverged
    assert len(diverged[0]) == 1
    assert not math.isfinite(diverged[0][0].train_loss)


def test_order_of_results():
    """Results come in the order of the seeds, however they are grouped."""
    configs = [config(neurons=(3,)), config(), config(neurons=(3,)), config()]
    many = train_many(configs, classes(), range(4))
    assert_alike(many, [run(c, classes(), seed) for seed, c in enumerate(configs)])


def test_read_only_rows():
    """The rows are never changed."""
    dataset = classes()
    for split in (dataset.train, dataset.validation):
        split.x.flags.writeable = split.y.flags.writeable = False
    train_many(config(), dataset, [0, 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([config()], classes(), [0, 1]), "config must be one for each of 2 seeds, not 1"),
        ((config(), [classes()] * 3, [0, 1]), "dataset must be one for each of 2 seeds, not 3"),
        ((config(), classes(), [0, 1], []), "states must be one for each of 2 seeds, not 0"),
        ((config(), classes(), [0, -1]), "seed must be an integer of at least 0, not -1"),
        ((config(), classes(), [0, 1], None, 9), "until must be from 0"),
        ((config(), classes(), 3), "seeds must be a sequence of integers, one a network, not 3"),
        ((config(), classes(), None), "seeds must be a sequence of integers, .* not None"),
        ((config(), classes(), "ab"), "seed must be an integer of at least 0, not 'a'"),
        ((config(), classes(), [0, 1.5]), "seed must be an integer of at least 0, not 1.5"),
        (
            ([config()] * 2, classes(), np.arange(3)),
            "config must be one for each of 3 seeds",
        ),
        (({"neurons": (3,)}, classes(), [0]), "config must be a TrainConfig"),
        ((config(), Dataset(*[Split(np.ones((20, 2)), np.ones((20, 1)))] * 2), [0]), "suit"),
    ],
)
def test_refused(arguments, message):
    """Bad input is refused before anything is trained."""
    with pytest.raises(ValueError, match=message):
        train_many(*arguments)

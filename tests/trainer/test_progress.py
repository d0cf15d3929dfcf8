"""Early stopping, reduction on a plateau and warm-up, from what the records say."""

import dataclasses
import math

import numpy as np
import pytest

from tests.trainer.data import classes
from tests.trainer.test_training import without_seconds
from trainer import Dataset, Progress, Split, TrainConfig, evaluate, kept, run
from trainer.progress import has_ended, observe


def noise(rows=60):
    """Labels that have nothing to do with the inputs: the validation loss soon rises."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, 5)), rng.integers(0, 3, rows)
    cut = rows // 2
    return Dataset(Split(x[:cut], y[:cut]), Split(x[cut:], y[cut:]), n_classes=3)


OVERFITS = TrainConfig(
    neurons=(30,), metric="loss", learning_rate=0.01, batch_size=10, epochs=60, patience=4
)


@pytest.mark.parametrize("options", [{}, {"ema": 0.9}, {"patience": 0}, {"patience": 1000}])
@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_kept(options, metric):
    """The record that belongs to the kept parameters: they score what it says."""
    config = dataclasses.replace(OVERFITS, metric=metric, **options)
    records, state = run(config, noise(), seed=0)
    record = kept(config, records)
    scores = evaluate(config, state.parameters, noise(), noise().validation)
    assert scores == pytest.approx((record.validation_loss, record.validation_metric), rel=1e-6)
    if config.patience:
        assert record.validation_metric == state.progress.best
        assert record.epoch == state.epoch - state.progress.stale
    else:
        assert record is records[-1]


def test_kept_of_a_divergence():
    """An epoch that diverged is not kept; without patience the last epoch's parameters are."""
    config = dataclasses.replace(OVERFITS, optimizer="sgd")
    first, good = run(config, noise(), seed=0, until=1)
    wild = dataclasses.replace(config, learning_rate=1e30)
    rest, state = run(wild, noise(), seed=0, state=good)
    assert state.diverged
    assert kept(wild, first + rest) is first[0]
    assert kept(wild, rest) is None
    assert kept(dataclasses.replace(wild, patience=0), rest) is rest[-1]
    with pytest.raises(ValueError, match="at least one epoch"):
        kept(wild, [])


@pytest.mark.parametrize("options", [{}, {"ema": 0.9}, {"norm": "batch"}])
def test_patience(options):
    """Training ends `patience` epochs after the best one, and has kept that one's parameters."""
    config = dataclasses.replace(OVERFITS, **options)
    records, state = run(config, noise(), seed=0)
    losses = [record.validation_loss for record in records]
    best = int(np.argmin(losses)) + 1
    assert len(records) == state.epoch == best + 4 < 60
    assert state.progress.best == min(losses)
    patient = dataclasses.replace(config, patience=0)
    expected, reached = run(patient, noise(), seed=0, until=best)
    np.testing.assert_array_equal(state.parameters, reached.parameters)
    assert without_seconds(expected) == without_seconds(records[:best])
    again, unchanged = run(config, noise(), seed=0, state=state)
    assert again == []
    np.testing.assert_array_equal(unchanged.parameters, state.parameters)


def test_best_parameters_without_an_early_end():
    """The best epoch's parameters are kept also where the last epoch comes first."""
    config = dataclasses.replace(OVERFITS, patience=1000, epochs=30)
    records, state = run(config, noise(), seed=0)
    best = int(np.argmin([record.validation_loss for record in records])) + 1
    assert len(records) == 30 > best
    _, reached = run(dataclasses.replace(config, patience=0), noise(), seed=0, until=best)
    np.testing.assert_array_equal(state.parameters, reached.parameters)


def test_divergence_keeps_the_best():
    """A training that diverges after a good epoch keeps that one's parameters."""
    config = dataclasses.replace(OVERFITS, optimizer="sgd")
    _, good = run(config, noise(), seed=0, until=1)
    wild = dataclasses.replace(config, learning_rate=1e30)
    _, state = run(wild, noise(), seed=0, state=good)
    assert state.diverged
    np.testing.assert_array_equal(state.parameters, good.parameters)


def test_plateau():
    """The learning rate falls by the factor whenever the metric has not improved for so long."""
    config = dataclasses.replace(OVERFITS, patience=0, plateau=3, plateau_factor=0.5, epochs=20)
    records, _ = run(config, noise(), seed=0)
    rate, best, waited, expected = 0.01, math.inf, 0, []
    for record in records:
        expected.append(rate)
        if record.validation_metric < best:
            best, waited = record.validation_metric, 0
        else:
            waited += 1
        if waited == 3:
            rate, waited = rate / 2, 0
    assert [record.learning_rate for record in records] == pytest.approx(expected)
    assert rate < 0.01 / 4


@pytest.mark.parametrize(("metric", "better"), [("accuracy", 0.8), ("log_loss", 0.2)])
def test_direction(metric, better):
    """More accuracy is better, and less loss; the same again is not."""
    config = TrainConfig(neurons=(), metric=metric)
    first = observe(config, Progress(), 0.5)
    assert first == Progress(best=0.5)
    assert observe(config, first, better) == Progress(best=better)
    assert observe(config, first, 0.5) == Progress(best=0.5, stale=1, waited=1)
    assert observe(config, first, 1 - better) == Progress(best=0.5, stale=1, waited=1)


def test_metrics_without_a_value():
    """While there is no number training goes on; then NaN is no better than the best."""
    config = TrainConfig(neurons=(), metric="roc_auc", patience=1, plateau=1)
    progress = observe(config, Progress(), math.nan)
    assert not has_ended(config, progress)
    assert progress.factor == 1
    progress = observe(config, progress, 0.4)
    assert progress == Progress(best=0.4)
    progress = observe(config, progress, math.nan)
    assert progress == Progress(best=0.4, stale=1, waited=0, factor=0.1)
    assert has_ended(config, progress)


def test_warm_up():
    """The learning rate rises linearly, step by step, and the schedule runs over what is left."""
    config = TrainConfig(
        neurons=(),
        optimizer="sgd",
        schedule="cosine",
        learning_rate=0.2,
        warmup=2.0,
        batch_size=10,
        epochs=6,
    )
    records, _ = run(config, classes(), seed=0)  # four steps an epoch
    rates = [0.2 * 4 / 8, 0.2, *(0.1 * (1 + math.cos(math.pi * k / 4)) for k in range(4))]
    assert [record.learning_rate for record in records] == pytest.approx(rates)


def test_first_step_of_a_warm_up():
    """The first of eight steps takes an eighth of the learning rate."""
    config = TrainConfig(
        neurons=(), optimizer="sgd", batch_size="full", warmup=8, epochs=8, dtype="float64"
    )
    _, start = run(config, classes(), seed=0, until=0)
    _, warm = run(config, classes(), seed=0, until=1)
    _, cold = run(dataclasses.replace(config, warmup=0), classes(), seed=0, until=1)
    np.testing.assert_allclose(
        8 * (warm.parameters - start.parameters), cold.parameters - start.parameters, atol=1e-15
    )


@pytest.mark.parametrize("warmup", [0.1, 0.3, 1e308])
def test_odd_warm_ups(warmup):
    """A warm-up need not be whole epochs or steps, and never passes the learning rate."""
    config = TrainConfig(neurons=(), batch_size=10, warmup=warmup, epochs=1, learning_rate=0.5)
    ((record,), _) = run(config, classes(), seed=0)
    assert record.learning_rate == (0.5 if warmup < 1 else 0)


def test_warm_up_longer_than_the_training():
    """A warm-up of more epochs than there are rises throughout."""
    config = TrainConfig(neurons=(), schedule="cosine", batch_size="full", warmup=10, epochs=3)
    records, _ = run(config, classes(), seed=0)
    assert [r.learning_rate for r in records] == pytest.approx([1e-4, 2e-4, 3e-4])

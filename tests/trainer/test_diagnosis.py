"""Verdicts on real trainings, and on curves of every shape."""

import math
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes, load_digits, load_wine

from trainer import Dataset, EpochRecord, Split, TrainConfig, run
from trainer.diagnosis import Verdict, constant_loss, diagnose, diagnose_all


def halves(x: np.ndarray, y: np.ndarray, n_classes: int | None = None) -> Dataset:
    """Standardised inputs; half of the rows to train on."""
    x = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-9)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order], y[order]
    cut = len(x) // 2
    return Dataset(Split(x[:cut], y[:cut]), Split(x[cut:], y[cut:]), n_classes=n_classes)


def digits() -> Dataset:
    """Pictures of digits."""
    return halves(*load_digits(return_X_y=True), n_classes=10)


def wine() -> Dataset:
    """Three cultivars that are easy to tell apart."""
    return halves(*load_wine(return_X_y=True), n_classes=3)


def diabetes() -> Dataset:
    """Noisy targets, standardised."""
    x, y = load_diabetes(return_X_y=True)
    return halves(x, ((y - y.mean()) / y.std()).reshape(-1, 1))


def noise() -> Dataset:
    """Labels that the inputs say nothing of."""
    rng = np.random.default_rng(0)
    return halves(rng.normal(size=(2000, 5)), rng.integers(0, 2, 2000), n_classes=2)


CLASSES = TrainConfig(neurons=(32,), epochs=30)
VALUES = TrainConfig(neurons=(64, 64), epochs=60, loss="mean_squared", metric="rmse")


def vary(config: TrainConfig, **changes) -> TrainConfig:
    """The configuration with some fields changed."""
    return TrainConfig(**{name: getattr(config, name) for name in config.__slots__} | changes)


TRAININGS = {
    "digits, to the end of a cosine": (
        vary(CLASSES, schedule="cosine", learning_rate=1e-2, l2=1e-2, epochs=60),
        digits,
        "converged",
    ),
    "wine, linear and regularised": (
        vary(CLASSES, neurons=(), l2=0.1, learning_rate=0.01, epochs=100),
        wine,
        "converged",
    ),
    "digits, cut short": (vary(CLASSES, epochs=5, learning_rate=3e-4), digits, "still improving"),
    "digits, slow": (
        vary(CLASSES, learning_rate=1e-3, optimizer="sgd"),
        digits,
        "still improving",
    ),
    "digits, falling to what a constant has": (
        vary(CLASSES, learning_rate=1e-4, epochs=5),
        digits,
        "still improving",
    ),
    "digits, one epoch": (vary(CLASSES, epochs=1), digits, "still improving"),
    "diabetes, too long": (vary(VALUES, epochs=100), diabetes, "overfitting"),
    "noise, learned by heart": (
        vary(CLASSES, learning_rate=3e-3, neurons=(64, 64)),
        noise,
        "overfitting",
    ),
    "digits, far too fast": (
        vary(CLASSES, optimizer="sgd", learning_rate=1e3, loss="mean_squared", metric="loss"),
        digits,
        "diverged",
    ),
    "diabetes, far too fast": (
        vary(VALUES, optimizer="momentum", learning_rate=10.0),
        diabetes,
        "diverged",
    ),
    "digits, far too slow": (vary(CLASSES, learning_rate=1e-8), digits, "stuck"),
    "digits, from zeros": (vary(CLASSES, initializer="zeros", neurons=(8, 8)), digits, "stuck"),
    "noise": (
        vary(CLASSES, neurons=(), schedule="cosine", learning_rate=0.02),
        noise,
        "stuck",
    ),
    "digits, too fast to settle": (
        vary(CLASSES, neurons=(64, 64, 64), learning_rate=0.3, activation="tanh"),
        digits,
        "stuck",
    ),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_verdicts_on_real_trainings(name):
    """Each training gets the verdict that it was made to deserve."""
    config, data, verdict = TRAININGS[name]
    dataset = data()
    records, state = run(config, dataset, seed=0)
    found = diagnose(config, records, state, dataset)
    assert found.verdict == verdict, str(found)
    assert str(found).startswith(f"{verdict}: ")


def test_divergence_is_located():
    """The epoch and the first tensor that is not finite are named."""
    config = vary(VALUES, optimizer="sgd", learning_rate=1e3)
    dataset = diabetes()
    records, state = run(config, dataset, seed=0)
    found = diagnose(config, records, state, dataset)
    assert found.numbers["epoch"] == len(records) == state.epoch
    assert f"epoch {state.epoch} ended" in found.text
    assert "not finite is the " in found.text


def test_divergence_with_finite_parameters():
    """Where the parameters are still finite, the values that overflow are named."""
    config = vary(VALUES, neurons=(4,), learning_rate=1e30, optimizer="sgd", batch_size="full")
    dataset = diabetes()
    records, state = run(config, dataset, seed=0)
    assert state.diverged
    assert np.isfinite(state.parameters).all()
    assert "the values of the outputs" in diagnose(config, records, state, dataset).text


CONSTANTS = {
    "mean_squared": lambda y: y.var(axis=0).mean(),
    "mean_absolute": lambda y: np.abs(y - np.median(y, axis=0)).mean(),
    "quantile": lambda y: np.maximum(
        0.9 * (y - np.quantile(y, 0.9, axis=0, method="inverted_cdf")),
        0.1 * (np.quantile(y, 0.9, axis=0, method="inverted_cdf") - y),
    ).mean(),
    "gaussian_nll": lambda y: (np.log(y.var(axis=0)) + 1).mean() / 2,
    "poisson": lambda y: (y.mean(axis=0) * (1 - np.log(y.mean(axis=0)))).mean(),
    "softmax_cross_entropy": lambda y: (
        -(np.bincount(y) / len(y) * np.log(np.bincount(y) / len(y))).sum()
    ),
}


@pytest.mark.parametrize("loss", CONSTANTS)
def test_constant_loss(loss):
    """The loss of the best constant is what its formula says."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(301, 2))
    y = (
        rng.gamma(2, 30, size=(301, 2))
        if loss != "softmax_cross_entropy"
        else rng.binomial(2, 0.3, 301)
    )
    split = Split(x, y)
    dataset = Dataset(split, split, n_classes=3 if y.ndim == 1 else None)
    config = TrainConfig(neurons=(9,), loss=loss, metric="loss", quantile=0.9)
    assert constant_loss(config, dataset) == pytest.approx(CONSTANTS[loss](y), rel=1e-3)


losses = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(st.tuples(losses, losses), min_size=1, max_size=30))
def test_any_records_get_one_verdict(pairs):
    """No list of losses, however wild, is without a verdict, a sentence and numbers."""
    records = [record(n, *pair) for n, pair in enumerate(pairs, start=1)]
    found = diagnose(CLASSES, records)
    assert found.verdict in Verdict
    assert found.text.endswith(".")
    finite = all(map(math.isfinite, sum(pairs, ())))
    assert (found.verdict != "diverged") == finite


@given(
    st.lists(st.tuples(*[st.floats(0.1, 10)] * 2), min_size=1, max_size=30),
    st.sampled_from([1e-6, 0.125, 8.0, 1e6]),
)
def test_units_do_not_matter(pairs, factor):
    """Losses in another unit get the same verdict."""
    verdicts = [
        diagnose(CLASSES, [record(n, a * f, b * f) for n, (a, b) in enumerate(pairs, start=1)])
        for f in (1.0, 2.0 ** round(math.log2(factor)))
    ]
    assert verdicts[0].verdict == verdicts[1].verdict


def record(epoch: int, train_loss: float, validation_loss: float) -> EpochRecord:
    """A record of these losses."""
    return EpochRecord(epoch, 1e-3, train_loss, validation_loss, 0.5, 1.0, 0.1)


def test_curves_that_need_no_baseline():
    """Textbook curves, by their records alone."""
    t = np.arange(40)
    falling = np.exp(-t / 3)
    for train, validation, verdict in (
        (0.1 + falling, 0.2 + falling, "converged"),
        (np.exp(-t / 20), 0.1 + np.exp(-t / 20), "still improving"),
        (falling, 0.2 + falling + 0.02 * t, "overfitting"),
        (0.1 + falling + 0.02 * t, 0.2 + falling + 0.02 * t, "stuck"),
        (2.3 - 1e-4 * t, 2.31 - 1e-4 * t, "stuck"),
        (-5 + falling, -4 + falling, "converged"),
    ):
        records = [record(int(i) + 1, train[i], validation[i]) for i in t]
        assert diagnose(CLASSES, records).verdict == verdict


def by_hand(train: list[float], validation: list[float]) -> str:
    """The verdict of the rules, word by word, on one training whose baseline is not known."""
    n, tenth = len(train), max(1, len(train) // 10)

    def scale(losses: list[float]) -> float:
        return max(abs(min(losses)), losses[0] - min(losses))

    def rise(losses: list[float]) -> float:
        means = [fmean(losses[i : i + tenth]) for i in range(n - tenth + 1)]
        return (means[-1] - min(means)) / scale(losses)

    half = validation[-max(3, n // 2) :]
    rest = 0.0
    if n >= 3:
        line = np.polynomial.Polynomial.fit(range(len(half)), half, 1)
        fall = float(line(0) - line(len(half) - 1)) / scale(validation)
        rest = float(np.std(half - line(np.arange(len(half))))) / scale(validation)
    moved = max((losses[0] - min(losses)) / scale(losses) for losses in (train, validation))
    at_best = train[validation.index(min(validation))]
    if n < 3:
        return "still improving"
    if rise(validation) > 0.05 and fmean(train[-tenth:]) < at_best:
        return "overfitting"
    if rise(train) > 0.05:
        return "stuck"
    if fall > 0.01 and fall > 2 * rest:
        return "still improving"
    return "stuck" if moved < 0.01 else "converged"


def test_many_trainings_get_the_verdicts_of_the_rules():
    """Together each gets what the rules say of it alone, and those that diverged are told apart."""
    rng = np.random.default_rng(0)
    seen = set()
    for n in (1, 2, 3, 4, 9, 20, 21, 35):
        t = np.arange(n)
        falling = rng.uniform(0, 3, (300, 1)) * np.exp(-t / rng.uniform(1, 60, (300, 1)))
        noise = rng.choice([1e-4, 0.03], (2, 300, 1)) * rng.normal(size=(2, 300, n))
        rising = 0.02 * t * rng.integers(0, 2, (2, 300, 1))
        train, validation = 0.5 + falling + noise + rising
        validation[::50, -1] = np.inf
        found = diagnose_all(CLASSES.loss, np.tile(t + 1, (300, 1)), train, validation)
        for i, each in enumerate(found):
            is_finite = np.isfinite(validation[i]).all()
            rules = by_hand(train[i].tolist(), validation[i].tolist()) if is_finite else "diverged"
            assert each.verdict == rules
            records = [record(*each) for each in zip(t + 1, train[i], validation[i], strict=True)]
            assert each == diagnose(CLASSES, records)
            seen.add(each.verdict)
    assert seen == {*Verdict}


NATS = {"loss": "gaussian_nll", "metric": "rmse"}


@pytest.mark.parametrize("loss", ["gaussian_nll", "poisson"])
@given(
    st.lists(st.tuples(*[st.floats(-8, 8)] * 2), min_size=1, max_size=30),
    st.sampled_from([-4.0, 0.5, 16.0]),
)
def test_where_a_log_density_is_zero_does_not_matter(loss, pairs, shift):
    """Shifted, as by targets in another unit, such losses get the same verdict."""
    config = vary(VALUES, loss=loss)
    pairs = [(round(16 * a) / 16, round(16 * b) / 16) for a, b in pairs]  # sums are exact
    verdicts = [
        diagnose(config, [record(n, a + s, b + s) for n, (a, b) in enumerate(pairs, start=1)])
        for s in (0.0, shift)
    ]
    assert verdicts[0].verdict == verdicts[1].verdict


@pytest.mark.parametrize("least", [-3.0, -0.01, 0.0, 0.01, 3.0])
def test_noise_is_no_rise(least):
    """A log-density that settles noisily converges, though it is near 0 there; one that rises by
    as much as it fell does not."""
    t, rng = np.arange(60), np.random.default_rng(0)
    settled = least + 0.4 * np.exp(-t / 4) + 0.02 * rng.normal(size=60)
    config = vary(VALUES, **NATS)
    records = [record(int(i) + 1, settled[i], settled[i] + 0.1) for i in t]
    assert diagnose(config, records).verdict == "converged"
    risen = settled + 0.4 * (t / 60) ** 2
    records = [record(int(i) + 1, risen[i], risen[i] + 0.1) for i in t]
    assert diagnose(config, records).verdict == "stuck"


def test_a_noisy_fall_is_no_rise():
    """Where the least loss is the last, the training has not risen from it, however noisy."""
    t, rng = np.arange(60), np.random.default_rng(0)
    falling = 2 - t / 40 + 0.05 * rng.normal(size=60)
    falling[-1] = falling.min() - 0.1
    records = [record(int(i) + 1, falling[i], falling[i] + 0.1) for i in t]
    assert diagnose(VALUES, records).verdict == "still improving"


def waves() -> Dataset:
    """A bent surface with little noise, of which a density can be learned below 1: loss below 0."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(600, 4))
    y = np.sin(x @ rng.normal(size=(4, 1)))
    y = y / y.std() + 0.15 * rng.normal(size=y.shape)
    return Dataset(Split(x[:400], y[:400]), Split(x[400:], y[400:]))


def test_a_density_that_passes_0():
    """A real training whose loss falls through 0, and noisily to its last epoch, is not stuck."""
    config = vary(VALUES, neurons=(32,), learning_rate=3e-3, **NATS)
    records, state = run(config, waves(), seed=5)
    assert records[0].train_loss > 0 > records[-1].train_loss
    assert diagnose(config, records, state, waves()).verdict == "still improving"


def test_nothing_held_out():
    """Rows trained on cannot show overfitting: the verdict is another, and says so."""
    t = np.arange(40)
    falling = np.exp(-t / 3)
    records = [record(int(i) + 1, falling[i], 0.2 + falling[i] + 0.02 * t[i]) for i in t]
    assert diagnose(CLASSES, records).verdict == "overfitting"
    seen = diagnose(CLASSES, records, held_out=False)
    assert seen.verdict != "overfitting"
    assert "validation loss" not in seen.text
    assert "loss of rows trained on" in seen.text
    assert "No rows were held out" in seen.text
    assert "No rows" not in diagnose(CLASSES, records[:2]).text


def test_no_records():
    """Nothing trained is nothing to judge."""
    with pytest.raises(ValueError, match="at least one epoch"):
        diagnose(CLASSES, [])


def test_a_first_epoch_that_learned_all():
    """Flat from the first epoch is stuck by the records alone, but not against the baseline."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(8000, 3))
    dataset = halves(x, x @ np.ones((3, 1)) + 2 * rng.normal(size=(8000, 1)))
    config = vary(VALUES, neurons=(), optimizer="sgd", learning_rate=0.05, epochs=10)
    records, state = run(config, dataset, seed=0)
    assert diagnose(config, records[1:]).verdict == "stuck"
    assert diagnose(config, records[1:], state, dataset).verdict == "converged"

"""Accuracy on real data: `python -m tests.benchmarks.accuracy PATH...`, archives of these names.

`mnist.npz` (Simard et al. 2003: 1.6 % error with 800 hidden units; Srivastava et al. 2014: dropout
and max-norm), `california_housing.npz` and `adult.npz` (Gorishniy et al. 2021, arXiv:2106.11959:
RMSE 0.4985 and accuracy 0.852 of a tuned plain network). Settings are the literature's, or were
chosen on validation rows, and so are epochs; the test rows are looked at once, at the end.
"""

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer
from threadpoolctl import threadpool_limits

from trainer import Dataset, Split, TrainConfig, evaluate, run

Arrays = Mapping[str, np.ndarray]

Fit = Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]
"""Of a transformation, to training rows."""

DROPOUT = {"dropout": 0.5, "input_dropout": 0.2, "max_norm": 2.0}

CALIFORNIA = {
    "neurons": (256, 256, 256),
    "loss": "mean_squared",
    "metric": "rmse",
    "schedule": "cosine",
    "epochs": 80,
    "patience": 40,
}

WIDE = {"epochs": 30, "batch_size": 128, "schedule": "cosine", "l2": 1e-4}


def main() -> None:
    """Print a line for each figure."""
    if not sys.argv[1:]:
        sys.exit(f"{__doc__}\nGive the path of at least one archive.")
    for path in map(Path, sys.argv[1:]):
        if path.stem not in BENCHMARKS:
            sys.exit(f"the archive must be one of {', '.join(BENCHMARKS)}, not {path.name}")
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
        for name, benchmark, target in BENCHMARKS[path.stem]:
            start = time.perf_counter()
            figure = benchmark(arrays)
            seconds = time.perf_counter() - start
            print(f"{name:<34}{figure:<36}target {target:<12}{seconds:>6.0f} s", flush=True)


def mnist_plain(arrays: Arrays) -> str:
    """One hidden layer of 800."""
    return mnist(arrays, TrainConfig(neurons=(800,), **WIDE))


def mnist_dropout(arrays: Arrays) -> str:
    """Dropout and max-norm."""
    return mnist(arrays, TrainConfig(neurons=(1024, 1024), **(WIDE | DROPOUT | {"epochs": 80})))


def mnist(arrays: Arrays, config: TrainConfig) -> str:
    """Error on the official test rows after the last epoch.

    The settings were chosen with 5,000 training rows apart; here, as in the papers, the network
    then learns from all of them, and nothing is decided by its validation rows.
    """
    x, x_test = (arrays[name].astype(np.float32) / 255 for name in ("X_train", "X_test"))
    y, y_test = (arrays[name].astype(np.int64) for name in ("y_train", "y_test"))
    dataset = Dataset(Split(x, y), Split(x[-5000:], y[-5000:]), n_classes=10)
    _, state = run(config, dataset, seed=0)
    _, accuracy = evaluate(config, state.parameters, dataset, Split(x_test, y_test))
    return f"error {1 - accuracy:.2%}"


def normal(x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Each column to a normal distribution, by the quantiles of x."""
    transformer = QuantileTransformer(
        output_distribution="normal", subsample=len(x), random_state=0
    )
    return transformer.fit(x).transform


def california_plain(arrays: Arrays) -> str:
    """Columns brought to a normal distribution."""
    config = TrainConfig(learning_rate=4e-3, l2=1e-3, batch_size=128, **CALIFORNIA)
    return california(arrays, config, normal)


def california_piecewise_linear(arrays: Arrays) -> str:
    """Piecewise-linear bins, of the columns as they are."""
    config = TrainConfig(
        embedding="piecewise_linear",
        bins=128,
        learning_rate=2e-3,
        l2=3e-3,
        batch_size=256,
        **CALIFORNIA,
    )
    return california(arrays, config)


def california_periodic(arrays: Arrays) -> str:
    """Periodic features, of the columns brought to a normal distribution."""
    config = TrainConfig(
        embedding="periodic",
        frequencies=32,
        frequency_scale=1.0,
        learning_rate=2e-3,
        l2=3e-2,
        batch_size=256,
        **CALIFORNIA,
    )
    return california(arrays, config, normal)


def california(arrays: Arrays, config: TrainConfig, fit: Fit | None = None) -> str:
    """Test RMSE over five random splits; the best epoch is that of the validation rows."""
    x, y = arrays["X"], arrays["y"][:, np.newaxis]
    errors = []
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(x))
        train, validation, test = np.split(order, [len(x) * 64 // 100, len(x) * 80 // 100])
        inputs = x if fit is None else fit(x[train])(x)
        mean, scale = y[train].mean(axis=0), y[train].std(axis=0)
        splits = [
            Split(inputs[rows].astype(np.float32), (y[rows] - mean) / scale)
            for rows in (train, validation, test)
        ]
        dataset = Dataset(*splits, target_scale=scale)
        _, state = run(config, dataset, seed)
        errors.append(evaluate(config, state.parameters, dataset, splits[2], state.embedding)[1])
    return f"RMSE {statistics.mean(errors):.4f} +- {statistics.stdev(errors):.4f}"


def adult(arrays: Arrays) -> str:
    """Accuracy on the official test rows; a fifth of the training rows chooses the epoch.

    Numeric columns have bins; a column of a one-hot encoding stays as it is among them.
    """
    categories = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    categories.fit(arrays["X_cat_train"])
    x, x_test = (
        np.hstack([arrays[f"X_num_{part}"], categories.transform(arrays[f"X_cat_{part}"])]).astype(
            np.float32
        )
        for part in ("train", "test")
    )
    y, y_test = (arrays[f"y_{part}"].astype(np.int64) for part in ("train", "test"))
    order = np.random.default_rng(0).permutation(len(x))
    train, validation = np.split(order, [len(x) * 80 // 100])
    dataset = Dataset(Split(x[train], y[train]), Split(x[validation], y[validation]), n_classes=2)
    config = TrainConfig(
        neurons=(256, 256),
        embedding="piecewise_linear",
        metric="log_loss",
        learning_rate=1e-3,
        batch_size=256,
        dropout=0.3,
        epochs=40,
        patience=10,
        schedule="cosine",
    )
    # The metric that chooses the epoch is smoother than the one that is reported.
    shown = dataclasses.replace(config, metric="accuracy")
    scores = []
    for seed in range(5):
        _, state = run(config, dataset, seed)
        test = Split(x_test, y_test)
        scores.append(evaluate(shown, state.parameters, dataset, test, state.embedding)[1])
    return f"accuracy {statistics.mean(scores):.2%} +- {statistics.stdev(scores):.2%}"


BENCHMARKS = {
    "mnist": (
        ("MNIST, 800 hidden", mnist_plain, "<= 1.60 %"),
        ("MNIST, dropout and max-norm", mnist_dropout, "<= 1.20 %"),
    ),
    "california_housing": (
        ("California Housing, five splits", california_plain, "<= 0.50"),
        ("California Housing, piecewise", california_piecewise_linear, "<= 0.47"),
        ("California Housing, periodic", california_periodic, "<= 0.47"),
    ),
    "adult": (("Adult, five seeds", adult, ">= 85.2 %"),),
}


if __name__ == "__main__":
    with threadpool_limits(1):
        main()

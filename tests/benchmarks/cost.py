"""Fits the coefficients of sweep/cost.py to trainings timed on this machine.

python -m tests.benchmarks.cost [TRAININGS]

Prints the coefficients, and how well these and those of sweep/cost.py predict as many other
trainings, that took no part in the fit.
"""

import sys

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from sweep.backends import Segment
from sweep.backends.compute import compute
from sweep.cost import Shape, predicted_cost, work
from trainer import ACTIVATIONS, NORMS, OPTIMIZERS, Dataset, Split, TrainConfig

SIZES = (
    *((100, 4, 3), (350, 10, 2), (1_000, 16, 2), (1_200, 64, 10)),
    *((4_000, 30, 2), (8_000, 100, 10), (20_000, 50, 2)),
)
"""Training rows, inputs and classes."""
EPOCHS = 5
"""Of a training: what counts is the fastest after the first, which allocates."""
OFF = 0.1
"""Relative errors beyond this count less and less: some other process ran."""

Training = tuple[TrainConfig, Dataset]


def main(trainings: int = 1000) -> None:
    """Time random trainings, fit, and print the coefficients and how well they predict."""
    rng = np.random.default_rng(0)
    datasets = [_dataset(rng, *size) for size in SIZES]
    fitted, others = (_timed(rng, datasets, trainings) for _ in range(2))
    terms, seconds = _terms(fitted[0]), fitted[1]
    coefficients = _fit(terms.to_numpy() / seconds[:, None])
    for name, coefficient in zip(terms, coefficients, strict=True):
        print(f"{name:24} {coefficient:.2g}")
    configs, seconds = others
    again = _terms(configs).reindex(columns=terms.columns, fill_value=0.0)
    _report("as fitted here", again.to_numpy() @ coefficients / seconds)
    for edition in (1, 2):
        fixed = [predicted_cost(c, Shape.of(dataset, edition), 1) for c, dataset in configs]
        _report(f"edition {edition}", np.array(fixed) / seconds)


def _fit(relative: np.ndarray) -> np.ndarray:
    """Coefficients, none below zero, by which the terms of each training come to 1."""
    weights = np.ones(len(relative))
    for _ in range(6):
        coefficients, _ = nnls(relative * weights[:, None], weights)
        errors = np.abs(relative @ coefficients - 1)
        weights = np.sqrt(1 / np.maximum(1, errors / OFF))
    return np.asarray(coefficients)


def _report(name: str, ratios: np.ndarray) -> None:
    ratios = ratios / np.median(ratios)
    low, high = np.quantile(ratios, (0.1, 0.9))
    spread, near = np.std(np.log(ratios)), np.mean(np.abs(ratios - 1) <= 0.2)
    print(
        f"{name:14} middle 80 % from {low:.2f} to {high:.2f} of the median, spread {spread:.0%}, "
        f"{near:.0%} within 20 %"
    )


def _terms(trainings: list[Training]) -> pd.DataFrame:
    """A row for each training, a column for each term of its cost."""
    return pd.DataFrame([work(c, Shape.of(dataset)) for c, dataset in trainings]).fillna(0.0)


def _timed(
    rng: np.random.Generator, datasets: list[Dataset], count: int
) -> tuple[list[Training], np.ndarray]:
    """Random trainings, and the seconds of an epoch of each."""
    drawn = [datasets[rng.integers(len(datasets))] for _ in range(count)]
    trainings = [(_config(rng, len(dataset.train.x)), dataset) for dataset in drawn]
    return trainings, np.array([_seconds(*training) for training in trainings])


def _config(rng: np.random.Generator, rows: int) -> TrainConfig:
    layers = rng.integers(1, 4)
    neurons = tuple(int(2**n) for n in rng.uniform(3, 8.5, layers))
    activation = str(rng.choice(sorted(ACTIVATIONS)))
    if rng.random() < 0.05:
        return TrainConfig(
            neurons=neurons, activation=activation, optimizer="lbfgs", batch_size="full"
        )
    return TrainConfig(
        neurons=neurons,
        activation=activation,
        optimizer=str(rng.choice(sorted(OPTIMIZERS))),
        batch_size=min(rows, int(2 ** rng.uniform(3, 8.5))),
        dropout=float(rng.choice([0.0, 0.0, 0.0, 0.2])),
        norm=str(rng.choice(["none"] * 2 * len(NORMS) + sorted(NORMS))),
        dtype=str(rng.choice(["float32"] * 5 + ["float64"])),
        learning_rate=1e-3,
    )


def _dataset(rng: np.random.Generator, rows: int, n_inputs: int, n_classes: int) -> Dataset:
    def split(rows: int) -> Split:
        x = rng.standard_normal((rows, n_inputs), dtype=np.float32)
        return Split(x, rng.integers(n_classes, size=rows))

    return Dataset(split(rows), split(rows // 4), n_classes=n_classes)


def _seconds(config: TrainConfig, dataset: Dataset) -> float:
    report, _ = compute(Segment(0, config, 0, 0, EPOCHS), None, dataset)
    seconds = [record.seconds for record in report.records[1:]]
    # Of L-BFGS no step is like another.
    return float(np.mean(seconds)) if config.optimizer == "lbfgs" else min(seconds)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

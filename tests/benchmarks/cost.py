"""Fits the coefficients of sweep/cost.py to trainings timed on this machine.

python -m tests.benchmarks.cost [TRAININGS]
"""

import sys

import numpy as np
from scipy.optimize import nnls

from sweep.backends import Segment
from sweep.backends.compute import compute
from sweep.cost import Shape, predicted_cost, work
from trainer import ACTIVATIONS, OPTIMIZERS, Dataset, Split, TrainConfig

SIZES = ((100, 4, 3), (1_000, 16, 2), (1_200, 64, 10), (4_000, 30, 2), (8_000, 100, 10))
"""Training rows, inputs and classes."""


def main(trainings: int = 300) -> None:
    """Time random trainings, fit, and print the coefficients and how well they predict."""
    rng = np.random.default_rng(0)
    datasets = [_dataset(rng, *size) for size in SIZES]
    drawn = [datasets[rng.integers(len(datasets))] for _ in range(trainings)]
    configs = [(_config(rng, len(dataset.train.x)), dataset) for dataset in drawn]
    terms = np.array([work(config, Shape.of(dataset)) for config, dataset in configs])
    seconds = np.array([_seconds(config, dataset) for config, dataset in configs])
    # Relative errors count: a trial of a millisecond matters as much as one of a second.
    coefficients, _ = nnls(terms / seconds[:, None], np.ones(trainings))
    print("coefficients", *(f"{c:.3g}" for c in coefficients))
    _report("as fitted here", terms @ coefficients / seconds)
    fixed = [predicted_cost(config, Shape.of(dataset), 1) for config, dataset in configs]
    _report("sweep/cost.py ", np.array(fixed) / seconds)


def _report(name: str, ratios: np.ndarray) -> None:
    ratios = ratios / np.median(ratios)
    low, high = np.quantile(ratios, (0.1, 0.9))
    spread = np.std(np.log(ratios))
    print(f"{name}: middle 80 % from {low:.2f} to {high:.2f} of the median, spread {spread:.0%}")


def _config(rng: np.random.Generator, rows: int) -> TrainConfig:
    layers = rng.integers(1, 4)
    return TrainConfig(
        neurons=tuple(int(2**n) for n in rng.uniform(3, 8.5, layers)),
        activation=str(rng.choice(sorted(ACTIVATIONS))),
        optimizer=str(rng.choice(sorted(OPTIMIZERS))),
        batch_size=min(rows, int(2 ** rng.uniform(3, 8.5))),
        learning_rate=1e-3,
    )


def _dataset(rng: np.random.Generator, rows: int, n_inputs: int, n_classes: int) -> Dataset:
    def split(rows: int) -> Split:
        x = rng.standard_normal((rows, n_inputs), dtype=np.float32)
        return Split(x, rng.integers(n_classes, size=rows))

    return Dataset(split(rows), split(rows // 4), n_classes=n_classes)


def _seconds(config: TrainConfig, dataset: Dataset) -> float:
    report, _ = compute(Segment(0, config, 0, 0, 4), None, dataset)
    return min(record.seconds for record in report.records)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

"""Small data sets for the trainer's tests."""

import numpy as np

from trainer import Dataset, Split


def classes(rows: int = 60, n_inputs: int = 5, n_classes: int = 3, seed: int = 0) -> Dataset:
    """Gaussian blobs, one a class; a third of the rows validates."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, rows)
    x = rng.normal(size=(rows, n_inputs)) + 2 * rng.normal(size=(n_classes, n_inputs))[y]
    cut = rows * 2 // 3
    return Dataset(Split(x[:cut], y[:cut]), Split(x[cut:], y[cut:]), n_classes=n_classes)


def values(rows: int = 60, n_inputs: int = 4, n_outputs: int = 2, seed: int = 0) -> Dataset:
    """A bent linear map with a little noise; a third of the rows validates."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, n_inputs))
    y = np.sin(x @ rng.normal(size=(n_inputs, n_outputs))) + 0.1 * rng.normal(
        size=(rows, n_outputs)
    )
    cut = rows * 2 // 3
    return Dataset(Split(x[:cut], y[:cut]), Split(x[cut:], y[cut:]))

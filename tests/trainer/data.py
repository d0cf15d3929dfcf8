"""Small data sets for the trainer's tests."""

import dataclasses

import numpy as np

from trainer import LOSSES, Dataset, Split


def classes(rows: int = 60, n_inputs: int = 5, n_classes: int = 3, seed: int = 0) -> Dataset:
    """Gaussian blobs, one a class; a third of the rows validates."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, n_classes, rows)
    if (y[: rows * 2 // 3] == y[0]).all():
        y[0] = (y[0] + 1) % n_classes
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


def suited(loss: str, rows: int = 60, kind: str | None = None) -> Dataset:
    """Data of the kind, or of one that it suits, and the range that a loss is for."""
    kinds = LOSSES[loss].kinds
    kind = kind or ("regression" if "regression" in kinds else "classification")
    if kind != "regression":
        return classes(rows) if kind == "classification" else indicators(rows)
    dataset = values(rows)
    if LOSSES[loss].target_range[0] != 0:
        return dataset
    return dataclasses.replace(
        dataset,
        train=Split(dataset.train.x, np.absolute(dataset.train.y)),
        validation=Split(dataset.validation.x, np.absolute(dataset.validation.y)),
    )


def indicators(rows: int = 60, n_outputs: int = 3) -> Dataset:
    """Multilabel: columns of 0 and 1, each a label of its own."""
    dataset = values(rows, n_outputs=n_outputs)
    train, validation = (
        Split(split.x, (split.y > 0).astype(int)) for split in (dataset.train, dataset.validation)
    )
    return Dataset(train, validation, multilabel=True)

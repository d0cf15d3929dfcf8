"""How fast this machine is beside the one that `sweep.cost` predicts for."""

import time

import numpy as np
from threadpoolctl import threadpool_limits

from sweep.cost import Shape, predicted_cost
from trainer import Dataset, Split, TrainConfig, train

SECONDS = 0.4
"""How long is measured."""


def slowness() -> float:
    """Seconds that a training takes here, on one thread, for one that is predicted.

    Measured on a network of middle size, for less than a second: good enough to tell minutes from
    hours. Nothing that is decided may depend on it.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4096, 32)).astype(np.float32)
    part = Split(x, rng.integers(0, 2, len(x)))
    dataset = Dataset(train=part, validation=Split(*(array[:1024] for array in part)), n_classes=2)
    config = TrainConfig(neurons=(128, 128), batch_size=128, epochs=1_000_000)
    with threadpool_limits(1):
        epochs = train(config, dataset, 0)
        next(epochs)  # the first one allocates
        start, count = time.perf_counter(), 0
        while (taken := time.perf_counter() - start) < SECONDS:
            next(epochs)
            count += 1
    return taken / predicted_cost(config, Shape.of(dataset), count)

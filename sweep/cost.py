"""What a configuration will cost: virtual time is made of it, so it measures no machine."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, fsum
from typing import Any

import numpy as np

from trainer import EMBEDDINGS, Dataset, TrainConfig, summary


class Embedded:
    """How many features embeddings make of training rows (rows, columns): each counted once."""

    def __init__(self, x: np.ndarray) -> None:
        self._x, self._known = x, dict[object, int]()

    def features(self, config: TrainConfig) -> int:
        """By the embedding of a configuration, which must have one."""
        kind = EMBEDDINGS[config.embedding]
        options: dict[str, Any] = config.options(kind.sizes)
        key = (config.embedding, *options.values())
        if key not in self._known:
            self._known[key] = kind.fit(self._x, **options).n_features
        return self._known[key]


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a dataset the cost depends on."""

    train_rows: int
    validation_rows: int
    n_inputs: int
    n_outputs: int
    embedded: Embedded | None = field(default=None, compare=False, repr=False)
    """Needed for configurations with an embedding only."""

    def inputs(self, config: TrainConfig) -> int:
        """Of a configuration's network: the columns, or the features of their embedding."""
        if config.embedding == "none":
            return self.n_inputs
        assert self.embedded is not None
        return self.embedded.features(config)

    @classmethod
    def of(cls, dataset: Dataset) -> "Shape":
        return cls(
            train_rows=len(dataset.train.x),
            validation_rows=len(dataset.validation.x),
            n_inputs=dataset.n_inputs,
            n_outputs=dataset.n_outputs,
            embedded=Embedded(dataset.train.x),
        )


COEFFICIENTS = (1.8e-4, 8.5e-6, 6.7e-6, 5.3e-11, 7.7e-10, 1.5e-9)
"""Seconds for each unit of `work`, on one core of the machine on which tests/benchmarks/cost.py
fitted them. They are fixed: on another machine all trials last longer or shorter by about the same
factor, and only the order of their ends decides anything."""


def work(config: TrainConfig, shape: Shape) -> tuple[float, ...]:
    """What an epoch's time is made of: itself, steps, steps x layers, rows x parameters,
    steps x parameters, rows x units."""
    widths = (shape.inputs(config), *config.neurons, shape.n_outputs)
    parameters = sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(widths))
    units = sum(widths)
    steps = ceil(shape.train_rows / config.batch_rows(shape.train_rows))
    # Judging a row is one of the three matrix products of learning from it.
    rows = shape.train_rows + shape.validation_rows / 3
    return (
        1,
        steps,
        steps * (config.layers + 1),
        rows * parameters,
        steps * parameters,
        rows * units,
    )


def predicted_cost(config: Any, shape: Shape, epochs: int) -> float:
    """Seconds that so many epochs take on the reference machine.

    Of a user's own trainer nothing is known: an epoch of each configuration counts as one second.
    """
    if not isinstance(config, TrainConfig):
        return float(epochs)
    # Not sum: what it adds up to in the last bit depends on Python's version.
    terms = zip(COEFFICIENTS, work(config, shape), strict=True)
    return epochs * fsum(coefficient * amount for coefficient, amount in terms)


def parameters(config: TrainConfig, shape: Shape) -> float:
    """How many numbers training moves."""
    return float(_summary(config, shape).parameters)


def flops(config: TrainConfig, shape: Shape) -> float:
    """Floating-point operations of the matrix products of all of a trial's epochs."""
    return float(config.epochs * _summary(config, shape).flops)


def prediction_seconds(config: TrainConfig, shape: Shape) -> float:
    """Seconds that the outputs of one row take on the reference machine, in a large batch."""
    _, _, _, rows_by_parameters, _, rows_by_units = COEFFICIENTS
    widths = (shape.inputs(config), *config.neurons, shape.n_outputs)
    # One of the three matrix products of learning from a row.
    return rows_by_parameters * parameters(config, shape) / 3 + rows_by_units * sum(widths)


MEASURES: dict[str, Callable[[TrainConfig, Shape], float]] = {
    "parameters": parameters,
    "flops": flops,
    "prediction_seconds": prediction_seconds,
}
"""What is known of a configuration before it is trained."""


def _summary(config: TrainConfig, shape: Shape) -> Any:
    return summary(config, shape.inputs(config), shape.n_outputs, shape.train_rows)

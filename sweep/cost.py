"""The predicted cost of training: virtual time is made of it, so it measures no machine."""

from dataclasses import dataclass
from itertools import pairwise
from math import ceil, fsum

from trainer import Dataset, TrainConfig


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a dataset the cost depends on."""

    train_rows: int
    validation_rows: int
    n_inputs: int
    n_outputs: int

    @classmethod
    def of(cls, dataset: Dataset) -> "Shape":
        return cls(
            train_rows=len(dataset.train.x),
            validation_rows=len(dataset.validation.x),
            n_inputs=dataset.n_inputs,
            n_outputs=dataset.n_outputs,
        )


COEFFICIENTS = (1.8e-4, 8.5e-6, 6.7e-6, 5.3e-11, 7.7e-10, 1.5e-9)
"""Seconds for each unit of `work`, on one core of the machine on which tests/benchmarks/cost.py
fitted them. They are fixed: on another machine all trials last longer or shorter by about the same
factor, and only the order of their ends decides anything."""


def work(config: TrainConfig, shape: Shape) -> tuple[float, ...]:
    """What an epoch's time is made of: itself, steps, steps x layers, rows x parameters,
    steps x parameters, rows x units."""
    widths = (shape.n_inputs, *config.neurons, shape.n_outputs)
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


def predicted_cost(config: TrainConfig, shape: Shape, epochs: int) -> float:
    """Seconds that so many epochs take on the reference machine."""
    terms = zip(COEFFICIENTS, work(config, shape), strict=True)
    # Not sum: what it adds up to in the last bit depends on Python's version.
    return epochs * fsum(coefficient * amount for coefficient, amount in terms)

"""What a configuration will cost: virtual time is made of it, so it measures no machine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, fsum
from typing import Any

import numpy as np

from sweep.spec import EDITION
from trainer import EMBEDDINGS, Dataset, Summary, TrainConfig, summary


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
    edition: int = EDITION
    """Of the study: which formula predicts."""
    embedded: Embedded | None = field(default=None, compare=False, repr=False)
    """Needed for configurations with an embedding only."""

    def inputs(self, config: TrainConfig) -> int:
        """Of a configuration's network: the columns, or the features of their embedding."""
        if config.embedding == "none":
            return self.n_inputs
        assert self.embedded is not None
        return self.embedded.features(config)

    @classmethod
    def of(cls, dataset: Dataset, edition: int = EDITION) -> "Shape":
        return cls(
            edition=edition,
            train_rows=len(dataset.train.x),
            validation_rows=len(dataset.validation.x),
            n_inputs=dataset.n_inputs,
            n_outputs=dataset.n_outputs,
            embedded=Embedded(dataset.train.x),
        )


COEFFICIENTS: Mapping[int, Mapping[str, float]] = {
    1: {
        "epoch": 1.8e-4,
        "step": 8.5e-6,
        "layer": 6.7e-6,
        "product": 5.3e-11,
        "update": 7.7e-10,
        "unit": 1.5e-9,
    },
    2: {
        "epoch": 2.6e-4,
        "step": 2.9e-6,
        "layer": 8.3e-6,
        "product": 6.0e-11,
        "unit": 9.3e-10,
        "activation tanh": 0.0,
        "activation identity": 0.0,
        "activation leaky_relu": 0.0,
        "activation signum": 1.4e-10,
        "activation hard_tanh": 1.8e-10,
        "activation relu": 4.2e-10,
        "activation sigmoid": 5.9e-10,
        "activation elu": 1.9e-9,
        "activation silu": 2.4e-9,
        "activation softplus": 3.2e-9,
        "activation gelu": 3.3e-9,
        "activation selu": 3.8e-9,
        "activation mish": 3.8e-9,
        "dropout": 2.8e-9,
        "norm": 3.3e-9,
        "norm step": 3.3e-5,
        "update sgd": 0.0,
        "update momentum": 2.4e-10,
        "update nesterov": 5.1e-10,
        "update lion": 1.1e-9,
        "update adagrad": 1.2e-9,
        "update rmsprop": 1.2e-9,
        "update adamw": 1.3e-9,
        "update adam": 1.7e-9,
        "update nadam": 1.8e-9,
        "update amsgrad": 1.9e-9,
        "update adadelta": 2.5e-9,
        "update lbfgs": 3.9e-8,
    },
}
"""For each edition the seconds of each unit of `work`, on one core of the machine on which
tests/benchmarks/cost.py fitted them. They are fixed: on another machine all trials last longer or
shorter by about the same factor, and only the order of their ends decides anything."""

BYTES = {"float32": 4, "float64": 8}
LINES = 2
"""How often L-BFGS evaluates the loss in a step, about."""


def work(config: TrainConfig, shape: Shape) -> dict[str, float]:
    """What an epoch's time is made of, in the present edition of studies.

    Itself, its steps, the layers of each step, the products of a row and a parameter, the units of
    each row, and of the hidden ones the activations, dropout and norms, and the parameters that
    each step updates. Numbers of 8 bytes count twice.
    """
    widths = (shape.inputs(config), *config.neurons, shape.n_outputs)
    parameters, units = _parameters(widths), sum(config.neurons)
    steps = ceil(shape.train_rows / config.batch_rows(shape.train_rows))
    lines = LINES if config.optimizer == "lbfgs" else 1
    size = BYTES[config.dtype] / BYTES["float32"]
    # Judging a row is one of the three matrix products of learning from it.
    rows = size * (lines * shape.train_rows + shape.validation_rows / 3)
    found = {
        "epoch": 1.0,
        "step": float(steps),
        "layer": float(lines * steps * (config.layers + 1)),
        "product": rows * parameters,
        "unit": rows * sum(widths),
        f"update {config.optimizer}": size * steps * parameters,
    }
    for width, activation in zip(config.neurons, config.activations, strict=True):
        name = f"activation {activation}"
        found[name] = found.get(name, 0.0) + rows * width
    if config.dropout:
        found["dropout"] = rows * units
    if config.norm != "none":
        found |= {"norm": rows * units, "norm step": float(lines * steps * config.layers)}
    return found


def first_work(config: TrainConfig, shape: Shape) -> dict[str, float]:
    """The same in the first edition, which told neither activations nor optimizers apart."""
    widths = (shape.inputs(config), *config.neurons, shape.n_outputs)
    parameters = _parameters(widths)
    steps = ceil(shape.train_rows / config.batch_rows(shape.train_rows))
    rows = shape.train_rows + shape.validation_rows / 3
    return {
        "epoch": 1.0,
        "step": steps,
        "layer": steps * (config.layers + 1),
        "product": rows * parameters,
        "update": steps * parameters,
        "unit": rows * sum(widths),
    }


WORK = {1: first_work, 2: work}
"""By edition."""


def _parameters(widths: Sequence[int]) -> int:
    return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(widths))


def predicted_cost(config: Any, shape: Shape, epochs: int) -> float:
    """Seconds that so many epochs take on the reference machine.

    Of a user's own trainer nothing is known: an epoch of each configuration counts as one second.
    """
    if not isinstance(config, TrainConfig):
        return float(epochs)
    seconds = COEFFICIENTS[shape.edition]
    amounts = WORK[shape.edition](config, shape)
    # Not sum: what it adds up to in the last bit depends on Python's version.
    return epochs * fsum(seconds[name] * amount for name, amount in amounts.items())


def parameters(config: TrainConfig, shape: Shape) -> float:
    """How many numbers training moves."""
    return float(_summary(config, shape).parameters)


def flops(config: TrainConfig, shape: Shape) -> float:
    """Floating-point operations of the matrix products of all of a trial's epochs."""
    return float(config.epochs * _summary(config, shape).flops)


def prediction_seconds(config: TrainConfig, shape: Shape) -> float:
    """Seconds that the outputs of one row take on the reference machine, in a large batch."""
    seconds = COEFFICIENTS[shape.edition]
    widths = (shape.inputs(config), *config.neurons, shape.n_outputs)
    # One of the three matrix products of learning from a row, and of an activation a third.
    product = seconds["product"] * parameters(config, shape) / 3
    unit = seconds["unit"] * sum(widths)
    hidden = zip(config.neurons, config.activations, strict=True)
    # The first edition knows no activations.
    each = (seconds.get(f"activation {name}", 0.0) * width / 3 for width, name in hidden)
    return product + unit + fsum(each)


MEASURES: dict[str, Callable[[TrainConfig, Shape], float]] = {
    "parameters": parameters,
    "flops": flops,
    "prediction_seconds": prediction_seconds,
}
"""What is known of a configuration before it is trained."""


def _summary(config: TrainConfig, shape: Shape) -> Summary:
    return summary(config, shape.inputs(config), shape.n_outputs, shape.train_rows)

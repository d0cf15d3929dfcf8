"""The `[space]` table of a study file: what is searched."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from sweep.entries import (
    BatchSize,
    Count,
    Entry,
    Layers,
    Names,
    Range,
    Table,
    Whole,
    check_choices,
    extremes,
    one_of,
)
from trainer import TrainConfig

WIDTHS = ("each", "same", "funnel")
DEFAULT = TrainConfig(neurons=(64,))
"""What a key that is left out says."""
OURS = ("layers", "neurons", "widths", "taper")
"""The keys of a space that are not TrainConfig's fields: it has one width for each layer."""
Taper = Annotated[float, Field(gt=0, le=1)]


class SpaceSpec(Table):
    """The fields of TrainConfig, each a range, a list of choices or a constant.

    `layers` is the number of hidden layers. Their widths are drawn for each of them, or are the
    same for all, or a funnel: layer i has `neurons * taper ** (i - 1)` units, rounded. A trial's
    parameters are proposed in this order.
    """

    layers: Entry[Layers, Range[Layers]] = DEFAULT.layers
    neurons: Entry[Count, Range[Count]] = DEFAULT.neurons[0]
    widths: Annotated[str, one_of(*WIDTHS)] = "each"
    taper: Entry[Taper, Range[Taper]] = 0.5
    activation: Names = str(DEFAULT.activation)
    norm: Names = DEFAULT.norm
    embedding: Names = DEFAULT.embedding
    bins: Entry[Count, Range[Count]] = DEFAULT.bins
    frequencies: Entry[Count, Range[Count]] = DEFAULT.frequencies
    frequency_scale: Entry[float, Range[float]] = DEFAULT.frequency_scale
    loss: Names = DEFAULT.loss
    huber_delta: Entry[float, Range[float]] = DEFAULT.huber_delta
    quantile: Entry[float, Range[float]] = DEFAULT.quantile
    label_smoothing: Entry[float, Range[float]] = DEFAULT.label_smoothing
    class_weight: Names = DEFAULT.class_weight
    optimizer: Names = DEFAULT.optimizer
    beta1: Entry[float | None, Range[float]] = DEFAULT.beta1
    beta2: Entry[float | None, Range[float]] = DEFAULT.beta2
    schedule: Names = DEFAULT.schedule
    decay: Entry[float, Range[float]] = DEFAULT.decay
    drops: Entry[Count, Range[Count]] = DEFAULT.drops
    restarts: Entry[Count, Range[Count]] = DEFAULT.restarts
    warmup: Entry[float, Range[float]] = DEFAULT.warmup
    plateau: Entry[Whole, Range[Whole]] = DEFAULT.plateau
    plateau_factor: Entry[float, Range[float]] = DEFAULT.plateau_factor
    initializer: Names = DEFAULT.initializer
    batch_size: Entry[BatchSize, Range[Count]] = DEFAULT.batch_size
    learning_rate: Entry[float, Range[float]] = DEFAULT.learning_rate
    momentum: Entry[float, Range[float]] = DEFAULT.momentum
    l1: Entry[float, Range[float]] = DEFAULT.l1
    l2: Entry[float, Range[float]] = DEFAULT.l2
    weight_decay: Entry[float, Range[float]] = DEFAULT.weight_decay
    dropout: Entry[float, Range[float]] = DEFAULT.dropout
    input_dropout: Entry[float, Range[float]] = DEFAULT.input_dropout
    max_norm: Entry[float, Range[float]] = DEFAULT.max_norm
    clip_norm: Entry[float, Range[float]] = DEFAULT.clip_norm
    clip_value: Entry[float, Range[float]] = DEFAULT.clip_value
    ema: Entry[float, Range[float]] = DEFAULT.ema
    patience: Entry[Whole, Range[Whole]] = DEFAULT.patience
    dtype: Names = DEFAULT.dtype

    @field_validator("*")
    @classmethod
    def _check(cls, entry: Any, info: ValidationInfo) -> Any:
        check_choices(entry)
        field = str(info.field_name)
        if field not in OURS:
            ask_trainer(field, *extremes(entry))
        return entry


def ask_trainer(field: str, *values: Any) -> None:
    """ValueError if TrainConfig refuses any of the values: its rules are the study file's."""
    # With full batches, each field takes every value that it takes with some others.
    refused = []
    for value in values:
        if refusal := refusal_of(**{"batch_size": "full", field: value}):
            refused.append(refusal.removeprefix(f"{field} "))
    if refused:
        raise ValueError("; ".join(refused))


def entries(space: SpaceSpec | Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each key of a space and what it says."""
    if isinstance(space, SpaceSpec):
        yield from ((name, getattr(space, name)) for name in SpaceSpec.model_fields)
    else:
        yield from space.items()


def ends(entry: Any) -> set[Any]:
    """The least and the greatest number of an entry, and every name."""
    numbers = [value for value in extremes(entry) if not isinstance(value, str)]
    return {value for value in extremes(entry) if isinstance(value, str)} | (
        {min(numbers), max(numbers)} if numbers else set()
    )


def refusal_of(**fields: Any) -> str:
    """What TrainConfig says against these values together; nothing if it takes them."""
    try:
        replace(DEFAULT, **fields)
    except ValueError as error:
        return str(error)
    return ""

"""What a study asks: data, search space, training and search, as immutable validated tables."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from trainer import LOSSES, METRICS, TrainConfig

SAMPLERS = ("random", "tpe")
PRUNERS = ("none", "median", "successive_halving", "hyperband")
SCALINGS = ("standard", "none")
SOURCES = {
    "sklearn:breast_cancer": "classification",
    "sklearn:diabetes": "regression",
    "sklearn:digits": "classification",
    "sklearn:iris": "classification",
    "sklearn:wine": "classification",
}

T = TypeVar("T", bound=float)
_DEFAULT = TrainConfig(neurons=(64,))
TOGETHER = ("optimizer", "batch_size", "norm", "dropout", "input_dropout")
"""Fields whose values TrainConfig may refuse together."""


def did_you_mean(name: str, known: tuple[str, ...]) -> str:
    """The end of an error about an unknown name: the nearest known one, if any is near."""
    close = difflib.get_close_matches(name, known, n=1)
    return f'; did you mean "{close[0]}"?' if close else ""


def _one_of(*choices: str) -> AfterValidator:
    def check(name: str) -> str:
        if name not in choices:
            allowed = ", ".join(choices)
            raise ValueError(f"must be one of {allowed}{did_you_mean(name, choices)}")
        return name

    return AfterValidator(check)


def _study_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ValueError(
            "must be 1 to 64 letters, digits, dots, dashes or underscores that start with a letter"
            " or digit (it is no path; a file without a name has that of its folder)"
        )
    return name


class Table(BaseModel):
    """A table of a study file: immutable, without unknown keys, and "5" or true is no number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Range(Table, Generic[T]):
    """The values from `low` to `high`, both included, in steps or drawn on a log scale."""

    low: T
    high: T
    log: bool = False
    step: T | None = None

    def __repr_name__(self) -> str:
        return "Range"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low must be at most high ({self.high})")
        if self.log and self.low <= 0:
            raise ValueError("low must be above 0 on a log scale")
        if self.step is not None:
            if self.log:
                raise ValueError("log and step exclude each other: leave one of them out")
            if self.step <= 0:
                raise ValueError("step must be above 0")
            # As written in the file: 0.3 is three steps of 0.1, which it is not in binary.
            low, high, step = (Decimal(str(x)) for x in (self.low, self.high, self.step))
            if high - low > 10**9 * step:
                raise ValueError("there must be at most 1e9 steps from low to high")
            if rest := (high - low) % step:
                last = type(self.high)(high - rest)
                raise ValueError(f"high must be low plus whole steps, such as {last}")
        return self


Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Whole = Annotated[int, Field(ge=0, le=2**31 - 1)]
Layers = Annotated[int, Field(ge=0, le=100)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]


def _batch_size(value: object) -> object:
    # Not isinstance: true is no number.
    if value != "full" and not (type(value) is int and 1 <= value < 2**31):
        raise ValueError('must be a whole number of at least 1, or "full"')
    return value


BatchSize = Annotated[Any, AfterValidator(_batch_size)]


def _form(entry: object) -> str:
    if isinstance(entry, Mapping | Range):
        return "range"
    return "choices" if isinstance(entry, list | tuple) else "constant"


V = TypeVar("V")
R = TypeVar("R")
_Constant = Annotated[V, Tag("constant")]
# TOML's and JSON's lists become tuples; their items stay strict.
_Choices = Annotated[tuple[V, ...], Field(strict=False), Tag("choices")]
Entry = Annotated[_Constant[V] | Annotated[R, Tag("range")] | _Choices[V], Discriminator(_form)]
Names = Annotated[_Constant[str] | _Choices[str], Discriminator(_form)]


def extremes(entry: Any) -> tuple[Any, ...]:
    """The two ends of a range, every one of a list of choices, or the constant."""
    if isinstance(entry, Range):
        return entry.low, entry.high
    return entry if isinstance(entry, tuple) else (entry,)


class DataSpec(Table):
    """Which rows, and how they are shared out; the rest of the rows are for training."""

    source: Annotated[str, _one_of(*SOURCES)]
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.2
    test: Annotated[float, Field(ge=0, lt=1)] = 0.2
    seed: Seed = 0
    scaling: Annotated[str, _one_of(*SCALINGS)] = "standard"


class SpaceSpec(Table):
    """The fields of TrainConfig, each a range, a list of choices or a constant.

    `layers` is the number of hidden layers; `neurons` is drawn for each of them. A trial's
    parameters are proposed in this order. There is no `patience`: a pruner ends trials early.
    """

    layers: Entry[Layers, Range[Layers]] = _DEFAULT.layers
    neurons: Entry[Count, Range[Count]] = _DEFAULT.neurons[0]
    activation: Names = str(_DEFAULT.activation)
    norm: Names = _DEFAULT.norm
    loss: Names = _DEFAULT.loss
    huber_delta: Entry[float, Range[float]] = _DEFAULT.huber_delta
    quantile: Entry[float, Range[float]] = _DEFAULT.quantile
    label_smoothing: Entry[float, Range[float]] = _DEFAULT.label_smoothing
    class_weight: Names = _DEFAULT.class_weight
    optimizer: Names = _DEFAULT.optimizer
    beta1: Entry[float | None, Range[float]] = _DEFAULT.beta1
    beta2: Entry[float | None, Range[float]] = _DEFAULT.beta2
    schedule: Names = _DEFAULT.schedule
    decay: Entry[float, Range[float]] = _DEFAULT.decay
    drops: Entry[Count, Range[Count]] = _DEFAULT.drops
    restarts: Entry[Count, Range[Count]] = _DEFAULT.restarts
    warmup: Entry[float, Range[float]] = _DEFAULT.warmup
    plateau: Entry[Whole, Range[Whole]] = _DEFAULT.plateau
    plateau_factor: Entry[float, Range[float]] = _DEFAULT.plateau_factor
    initializer: Names = _DEFAULT.initializer
    batch_size: Entry[BatchSize, Range[Count]] = _DEFAULT.batch_size
    learning_rate: Entry[float, Range[float]] = _DEFAULT.learning_rate
    momentum: Entry[float, Range[float]] = _DEFAULT.momentum
    l1: Entry[float, Range[float]] = _DEFAULT.l1
    l2: Entry[float, Range[float]] = _DEFAULT.l2
    weight_decay: Entry[float, Range[float]] = _DEFAULT.weight_decay
    dropout: Entry[float, Range[float]] = _DEFAULT.dropout
    input_dropout: Entry[float, Range[float]] = _DEFAULT.input_dropout
    max_norm: Entry[float, Range[float]] = _DEFAULT.max_norm
    clip_norm: Entry[float, Range[float]] = _DEFAULT.clip_norm
    clip_value: Entry[float, Range[float]] = _DEFAULT.clip_value
    ema: Entry[float, Range[float]] = _DEFAULT.ema
    dtype: Names = _DEFAULT.dtype

    @field_validator("*")
    @classmethod
    def _check(cls, entry: Any, info: ValidationInfo) -> Any:
        if entry == ():
            raise ValueError("a list of choices needs at least one")
        if isinstance(entry, tuple) and len(set(entry)) < len(entry):
            raise ValueError("each choice must be given once")
        field = str(info.field_name)
        if field not in {"layers", "neurons"}:
            _ask_trainer(field, *extremes(entry))
        return entry


def _ask_trainer(field: str, *values: Any) -> None:
    """ValueError if TrainConfig refuses any of the values: its rules are the study file's."""
    # With full batches, each field takes every value that it takes with some others.
    refused = []
    for value in values:
        if refusal := _refusal(**{"batch_size": "full", field: value}):
            refused.append(refusal.removeprefix(f"{field} "))
    if refused:
        raise ValueError("; ".join(refused))


class TrainSpec(Table):
    """How long a trial trains, and which metric of its validation rows is the objective."""

    epochs: Count = _DEFAULT.epochs
    metric: str = _DEFAULT.metric

    @field_validator("*")
    @classmethod
    def _check(cls, value: Any, info: ValidationInfo) -> Any:
        _ask_trainer(str(info.field_name), value)
        return value


class SearchSpec(Table):
    """How the space is searched; the rungs are `min_epochs * reduction_factor ** k`."""

    trials: Count = 64
    sampler: Annotated[str, _one_of(*SAMPLERS)] = "tpe"
    pruner: Annotated[str, _one_of(*PRUNERS)] = "hyperband"
    reduction_factor: Annotated[int, Field(ge=2, le=1000)] = 3
    min_epochs: Count = 1
    workers: Count = 8
    seed: Seed = 0


class StudySpec(Table):
    """A study's whole question: the same spec gives the same table of trials."""

    name: Annotated[str, AfterValidator(_study_name)]
    data: DataSpec
    space: SpaceSpec = SpaceSpec()
    train: TrainSpec = TrainSpec()
    search: SearchSpec = SearchSpec()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if problems := list(_across(self)):
            raise ValueError("\n".join(problems))
        return self


def _across(spec: StudySpec) -> Iterator[str]:
    """The problems that take more than one key to see."""
    data, search, train = spec.data, spec.search, spec.train
    if data.validation + data.test >= 1:
        yield (
            f"data.validation = {data.validation} and data.test = {data.test}: "
            "must be below 1 together, to leave rows for training"
        )
    if search.min_epochs > train.epochs:
        yield (
            f"search.min_epochs = {search.min_epochs}: must be at most train.epochs, {train.epochs}"
        )
    if train.metric == "loss" and len(set(extremes(spec.space.loss))) > 1:
        yield (
            'train.metric = "loss": several losses (space.loss) are on different scales and cannot '
            "be compared; name a metric"
        )
    kind = SOURCES[data.source]
    for key, names, known in (
        ("space.loss", extremes(spec.space.loss), LOSSES),
        ("train.metric", (train.metric,), METRICS),
    ):
        suited = [name for name, entry in known.items() if entry.kind in (kind, None)]
        for name in names:
            if name not in suited:
                yield f'{key} = "{name}": does not suit {kind}; use one of {", ".join(suited)}'
    entries = [_ends(getattr(spec.space, field)) for field in TOGETHER]
    refused = {_refusal(**dict(zip(TOGETHER, values, strict=True))) for values in product(*entries)}
    yield from sorted(f"space.{refusal}" for refusal in refused if refusal)
    for loss in extremes(spec.space.loss):
        if refusal := _refusal(loss=loss, metric=train.metric):
            yield f'train.metric = "{train.metric}": {refusal}'


def _ends(entry: Any) -> set[Any]:
    """The least and the greatest number of an entry, and every name."""
    numbers = [value for value in extremes(entry) if not isinstance(value, str)]
    return {value for value in extremes(entry) if isinstance(value, str)} | (
        {min(numbers), max(numbers)} if numbers else set()
    )


def _refusal(**fields: Any) -> str:
    """What TrainConfig says against these values together; nothing if it takes them."""
    try:
        replace(_DEFAULT, **fields)
    except ValueError as error:
        return str(error)
    return ""

"""What a study asks: data, search space, training and search, as immutable validated tables."""

import re
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sweep import dataspec
from sweep.dataspec import SOURCES as SOURCES
from sweep.dataspec import DataSpec as DataSpec
from sweep.entries import (
    Count,
    FreeEntry,
    Range,
    Seed,
    Table,
    extremes,
    one_of,
)
from sweep.spacespec import DEFAULT, SpaceSpec, ask_trainer, ends, entries, refusal_of
from trainer import LOSSES, METRICS

SAMPLERS = ("random", "quasi_random", "grid", "tpe", "gp", "cma_es", "nsga2")
PRUNERS = (
    "none",
    "median",
    "percentile",
    "patience",
    "successive_halving",
    "promotion",
    "hyperband",
    "wilcoxon",
)
MULTI_OBJECTIVE = ("random", "quasi_random", "grid", "tpe", "nsga2")
"""The samplers that search for several objectives at once."""
MEASURES = ("parameters", "flops", "prediction_seconds")
"""What is known of a configuration before it is trained; less is better."""
RESAMPLES = ("seeds", "folds")
Edition = Literal[1, 2]
EDITION: Edition = 2
"""Of the rules that decide a study, the latest; there is another whenever the same file would give
another table. The first has another cost formula."""
TOGETHER = ("optimizer", "batch_size", "norm", "dropout", "input_dropout")
"""Fields whose values TrainConfig may refuse together."""


def _study_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ValueError(
            "must be 1 to 64 letters, digits, dots, dashes or underscores that start with a letter"
            " or digit (it is no path; a file without a name has that of its folder)"
        )
    return name


Positive = Annotated[float, Field(gt=0)]


def _function(path: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", path):
        raise ValueError('must be "package.module:name"')
    return path


class TrainSpec(Table):
    """How long a trial trains, and which metric of its validation rows is the objective.

    `function`, "package.module:name", is the user's own trainer; the space then names its
    parameters. A trial that lasts longer than `time_limit` seconds, or takes more than
    `memory_limit` megabytes beyond its data, ends as failed.
    """

    epochs: Count = DEFAULT.epochs
    metric: str = DEFAULT.metric
    function: Annotated[str, AfterValidator(_function)] | None = None
    time_limit: Positive | None = None
    memory_limit: Positive | None = None

    @field_validator("epochs", "metric")
    @classmethod
    def _check(cls, value: Any, info: ValidationInfo) -> Any:
        ask_trainer(str(info.field_name), value)
        return value


class Bounds(Table):
    """From `low` to `high`, both included; either may be left out."""

    low: float | None = None
    high: float | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.low is None and self.high is None:
            raise ValueError("low or high is needed")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low must be at most high ({self.high})")
        return self

    def violation(self, value: float) -> float:
        """How far a value is out of the bounds: 0 within them."""
        low = 0.0 if self.low is None else self.low - value
        high = 0.0 if self.high is None else value - self.high
        return max(0.0, low, high)


class SearchSpec(Table):
    """How the space is searched, and for how long.

    The rungs are `min_epochs * reduction_factor ** k`. No trial begins once `trials` have begun,
    or `flops` are spent by prediction, or `wall_time` or `cpu_time`, in seconds, by the clock.
    """

    trials: Count = 64
    wall_time: Positive | None = None
    cpu_time: Positive | None = None
    flops: Positive | None = None
    sampler: Annotated[str, one_of(*SAMPLERS)] = "tpe"
    pruner: Annotated[str, one_of(*PRUNERS)] = "hyperband"
    reduction_factor: Annotated[int, Field(ge=2, le=1000)] = 3
    min_epochs: Count = 1
    percentile: Annotated[float, Field(gt=0, le=100)] = 25.0
    patience: Count = 3
    p_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.1
    workers: Count = 8
    seed: Seed = 0
    replicates: Annotated[int, Field(ge=1, le=1000)] = 1
    resample: Annotated[str, one_of(*RESAMPLES)] = "seeds"
    objectives: Annotated[tuple[str, ...], Field(strict=False)] = ()
    constraints: dict[str, Bounds] = Field(default_factory=dict)
    max_parameters: Count | None = None
    max_flops: Positive | None = None
    repeats: bool = False
    warm_start: Annotated[str, AfterValidator(_study_name)] | None = None


def _whose(space: object) -> str:
    plain = isinstance(space, dict) and not isinstance(space, Fields)
    return "free" if plain else "trainer"


class Fields(dict[str, Any]):
    """Marks a raw space whose keys are the trainer's own."""


class StudySpec(Table):
    """A study's whole question: the same spec gives the same table of trials.

    With `portable`, every machine computes with the same kernels, those of AVX2. The `edition` is
    that of the rules by which it is decided: a study keeps those with which it began.
    """

    name: Annotated[str, AfterValidator(_study_name)]
    data: DataSpec
    space: Annotated[
        Annotated[SpaceSpec, Tag("trainer")] | Annotated[dict[str, FreeEntry], Tag("free")],
        Discriminator(_whose),
    ] = SpaceSpec()
    train: TrainSpec = TrainSpec()
    search: SearchSpec = SearchSpec()
    portable: bool = False
    edition: Edition = EDITION

    @model_validator(mode="before")
    @classmethod
    def _mark(cls, raw: Any) -> Any:
        train = raw.get("train") if isinstance(raw, Mapping) else None
        own = isinstance(train, Mapping) and train.get("function") is not None
        if own or not (isinstance(raw, Mapping) and isinstance(raw.get("space"), Mapping)):
            return raw
        return {**raw, "space": Fields(raw["space"])}

    @model_validator(mode="after")
    def _check(self) -> Self:
        if problems := [problem for check in _CHECKS for problem in check(self)]:
            raise ValueError("\n".join(problems))
        return self

    @property
    def objectives(self) -> tuple[str, ...]:
        """The names of what is searched for, the first the one that decides about a winner."""
        return self.search.objectives or (self.train.metric,)

    @property
    def task(self) -> str | None:
        """The kind of data; None if it is found from the target when the rows are read."""
        return self.data.known_task


Direction = Literal["maximize", "minimize"]


def direction(name: str) -> Direction:
    """Whether an objective is to "maximize" or to "minimize"."""
    return "minimize" if name in MEASURES else METRICS[name].direction


def cost_sign(name: str) -> float:
    """What makes a cost of an objective's value: -1.0 if it is to be maximized, else 1.0."""
    return -1.0 if direction(name) == "maximize" else 1.0


def _across_tables(spec: StudySpec) -> Iterator[str]:
    search, train = spec.search, spec.train
    if search.min_epochs > train.epochs:
        yield (
            f"search.min_epochs = {search.min_epochs}: must be at most train.epochs, {train.epochs}"
        )
    if search.warm_start == spec.name:
        yield f'search.warm_start = "{spec.name}": must be another study'


def _search(spec: StudySpec) -> Iterator[str]:
    """The problems of keys of [search] with one another."""
    search = spec.search
    own = spec.train.function is not None
    if own and (search.flops or search.max_flops or search.max_parameters):
        yield (
            "search.flops, max_flops and max_parameters: nothing is known of the networks that "
            "train.function makes; leave them out"
        )
    if len(set(search.objectives)) < len(search.objectives):
        yield "search.objectives: each must be given once"
    if len(spec.objectives) > 1:
        if search.sampler not in MULTI_OBJECTIVE:
            allowed = ", ".join(MULTI_OBJECTIVE)
            yield (
                f'search.sampler = "{search.sampler}": with several objectives use one of {allowed}'
            )
        if search.pruner != "none":
            default = "" if "pruner" in search.model_fields_set else " (the default)"
            yield (
                f'search.pruner = "{search.pruner}"{default}: with several objectives there is no '
                'order to prune by; use "none"'
            )
    elif spec.objectives[0] in MEASURES:
        yield f'search.objectives = ["{search.objectives[0]}"]: needs a metric beside it'
    elif (objective := spec.objectives[0]) != spec.train.metric:
        yield (
            f'search.objectives = ["{objective}"]: a single objective is train.metric, which is '
            f'"{spec.train.metric}"; let that be "{objective}", or name both'
        )
    if search.pruner == "wilcoxon" and search.replicates < 2:
        yield 'search.pruner = "wilcoxon": compares replicates; let search.replicates be 2 or more'
    if search.resample == "folds" and search.replicates < 2:
        yield 'search.resample = "folds": search.replicates is their number; let it be 2 or more'
    if search.sampler == "grid":
        yield from _without_end(spec)


def further(search: SearchSpec) -> list[tuple[str, str]]:
    """The names of objectives and constraints, each after its key."""
    named = [("search.objectives", name) for name in search.objectives]
    return named + [("search.constraints", name) for name in search.constraints]


def _without_end(spec: StudySpec) -> Iterator[str]:
    """The ranges that no grid can go through."""
    for name, entry in entries(spec.space):
        if isinstance(entry, Range) and isinstance(entry.low, float) and entry.step is None:
            yield (
                f'space.{name}: search.sampler = "grid" goes through every value, and a range of '
                "real numbers has no end of them; give it a step, or a list of choices"
            )


def suited(task: str | None, table: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the losses or metrics in a table that suit a task; all of them for None."""
    return tuple(name for name, entry in table.items() if task is None or task in entry.kinds)


def unsuited(spec: StudySpec, task: str | None) -> Iterator[str]:
    """The problems of losses and metrics with a kind of data; of None, with every kind."""
    metrics = suited(task, METRICS)
    # Nothing but its metric is measured of what a user's own trainer makes.
    own = spec.train.function is not None
    known = (spec.train.metric,) if own else (*metrics, *MEASURES)
    for key, name in further(spec.search):
        if name not in known:
            yield f'{key} = "{name}": must be one of {", ".join(known)}'
    losses = extremes(spec.space.loss) if isinstance(spec.space, SpaceSpec) else ()
    for key, names, allowed in (
        ("space.loss", losses, suited(task, LOSSES)),
        ("train.metric", (spec.train.metric,), metrics),
    ):
        for name in names:
            if name not in allowed:
                yield f'{key} = "{name}": does not suit {task}; use one of {", ".join(allowed)}'


def _training(spec: StudySpec) -> Iterator[str]:
    """The problems of the trainer's own fields with the data and with one another."""
    if spec.train.function is not None and isinstance(spec.space, SpaceSpec):
        yield "space: is missing; name the parameters that train.function takes"
    yield from unsuited(spec, spec.task)
    if isinstance(spec.space, SpaceSpec):
        metrics = [("train.metric", spec.train.metric), *further(spec.search)]
        yield from _together(spec.space, [each for each in metrics if each[1] in METRICS])


def _together(space: SpaceSpec, metrics: list[tuple[str, str]]) -> Iterator[str]:
    losses = extremes(space.loss)
    for key, metric in metrics:
        if metric == "loss" and len(set(losses)) > 1:
            yield (
                f'{key} = "loss": several losses (space.loss) are on different scales and cannot '
                "be compared; name a metric"
            )
    sets = [ends(getattr(space, field)) for field in TOGETHER]
    refused = {refusal_of(**dict(zip(TOGETHER, values, strict=True))) for values in product(*sets)}
    yield from sorted(f"space.{refusal}" for refusal in refused if refusal)
    for loss, (key, metric) in product(losses, metrics):
        if refusal := refusal_of(loss=loss, metric=metric):
            yield f'{key} = "{metric}": {refusal}'


def _data(spec: StudySpec) -> Iterator[str]:
    return dataspec.problems(spec.data)


_CHECKS = (_data, _across_tables, _search, _training)
"""The problems that take more than one key to see."""

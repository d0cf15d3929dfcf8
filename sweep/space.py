"""The search space as Optuna knows it, and a trial's parameters as its training does.

The space is flat and padded: the widths `neurons_1`, `neurons_2`, ... of as many layers as there
can be are proposed in every trial, so that a sampler models them jointly, and so is every other
parameter that only some trials use. What a trial does not use is left out of its tables.

A study with a trainer of its own has a space of free names, in which nothing depends on anything.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import TypeAdapter, ValidationError

from sweep.conditions import DECISIVE, has_effect
from sweep.entries import FreeEntry, Range, did_you_mean, extremes
from sweep.errors import StudyFileError, UsageError
from sweep.spacespec import SpaceSpec, entries
from sweep.spec import StudySpec, further, unsuited
from trainer import METRICS, Dataset, TrainConfig, check_defined, check_fit, check_metric

Params = Mapping[str, Any]
Space = SpaceSpec | Mapping[str, Any]


def parameters(space: Space) -> dict[str, Any]:
    """Every parameter of a trial, constants included, and what the study file says of it."""
    if not isinstance(space, SpaceSpec):
        return dict(space)
    found: dict[str, Any] = {}
    for name in SpaceSpec.model_fields:
        entry = getattr(space, name)
        if name == "neurons" and space.widths == "each":
            most = max(extremes(space.layers))
            found |= {f"neurons_{i}": entry for i in range(1, most + 1)}
        elif name != "widths" and (name != "taper" or space.widths == "funnel"):
            found[name] = entry
    return found


def distributions(space: Space) -> dict[str, BaseDistribution]:
    """Every searched parameter's distribution, in the order of `parameters`.

    A range whose ends are equal and a list of one choice are constants: there is nothing to search.
    """
    return {
        name: _distribution(entry)
        for name, entry in parameters(space).items()
        if not is_constant(entry)
    }


def widened(
    known: Mapping[str, BaseDistribution], trials: Iterable[Params]
) -> dict[str, BaseDistribution]:
    """The distributions, as wide as the parameters of trials need them: an edit may have extended
    their ranges."""
    found, proposed = dict(known), list(trials)
    for name, old in known.items():
        values = [params[name] for params in proposed if name in params]
        match old:
            case IntDistribution() | FloatDistribution() if not all(
                contains(old, value) for value in values
            ):
                ends = min(old.low, *values), max(old.high, *values)
                found[name] = type(old)(*ends, log=old.log)
    return found


def is_constant(entry: Any) -> bool:
    """Whether there is one value only."""
    return len(set(extremes(entry))) == 1


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether it can propose this value."""
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except ValueError:  # of a value that is of another kind
        return False


def settings(space: Space, params: Params) -> dict[str, Any]:
    """The value of every parameter that has an effect in this trial, constants included.

    ValueError if one of them is missing; those without an effect may be.
    """
    return _settings(space, parameters(space), params)


def _settings(space: Space, named: Mapping[str, Any], params: Params) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, entry in named.items():
        if not isinstance(space, SpaceSpec) or has_effect(name, found):
            found[name] = _value(name, entry, params)
    return found


def active(space: Space, params: Params) -> dict[str, Any]:
    """The parameters without those that have no effect, such as momentum without an optimizer
    that has it, or the widths of layers that the trial does not have."""
    used = settings(space, params)
    return {name: used[name] for name in params if name in used}


def actives(space: Space, trials: Iterable[Params]) -> Iterator[dict[str, Any]]:
    """What `active` gives of each trial, for many at once."""
    for params, used in _used(space, trials):
        yield {name: plain(params[name]) for name in params if name in used}


def _used(space: Space, trials: Iterable[Params]) -> Iterator[tuple[Params, dict[str, Any]]]:
    """Each trial and settings that have an effect as those of it do, of which the constants are
    also its own."""
    known: dict[Hashable, dict[str, Any]] = {}
    for params in trials:
        # Which parameters have an effect is the same where all that this depends on is.
        key = (*params, *(params.get(name) for name in DECISIVE))
        if key not in known:
            known[key] = settings(space, params)
        yield params, known[key]


def configuration(space: Space, params: Params) -> Hashable:
    """The same for two trials if, and only if, they train alike but for their seeds."""
    return tuple(settings(space, params).items())


def configurations(space: Space, trials: Iterable[Params]) -> Iterator[Hashable]:
    """What `configuration` gives of each trial, for many at once."""
    for params, used in _used(space, trials):
        yield tuple([(name, params.get(name, value)) for name, value in used.items()])


def train_config(spec: StudySpec, params: Params) -> TrainConfig:
    """The configuration of a trial with these parameters.

    What has no effect is TrainConfig's default, so that the same `configuration` is the same here.
    """
    space = spec.space
    assert isinstance(space, SpaceSpec)
    named = parameters(space)
    if unknown := params.keys() - named.keys():
        raise ValueError(f"no parameters of this study: {', '.join(sorted(unknown))}")
    found = _settings(space, named, params)
    layers = found.pop("layers")
    taper, width = found.pop("taper", 1.0), found.pop("neurons", None)
    if width is None:
        neurons = tuple(found.pop(f"neurons_{i}") for i in range(1, layers + 1))
    else:
        neurons = tuple(max(1, round(width * taper**i)) for i in range(layers))
    return TrainConfig(neurons=neurons, **found, epochs=spec.train.epochs, metric=spec.train.metric)


def trial_config(spec: StudySpec, params: Params) -> TrainConfig | tuple[tuple[str, Any], ...]:
    """What a segment of the trial trains: a TrainConfig, or the parameters of the study's own
    trainer as (name, value) pairs."""
    if isinstance(spec.space, SpaceSpec):
        return train_config(spec, params)
    return tuple(settings(spec.space, params).items())


def check_data(spec: StudySpec, dataset: Dataset) -> None:
    """Raise StudyFileError if some trial of the study could not be trained on these rows."""
    if problems := list(unsuited(spec, dataset.kind)):
        found = "" if spec.task else f", whose task is {dataset.kind} (data.task would say another)"
        text = "\n  ".join(problems)
        raise StudyFileError(f"the study does not suit its data{found}:\n  {text}")
    if not isinstance(spec.space, SpaceSpec):
        return
    _check_metrics(spec, dataset)
    for name in ("loss", "batch_size", "class_weight", "label_smoothing", "norm", "dtype"):
        for value in extremes(getattr(spec.space, name)):
            first = {key: extremes(getattr(spec.space, key))[0] for key in ("loss", "batch_size")}
            fields = first | {name: value}
            try:
                check_fit(TrainConfig(neurons=(1,), metric=spec.train.metric, **fields), dataset)
            except ValueError as error:
                raise StudyFileError(
                    f"space.{name} = {value!r} does not suit {spec.data.name}: {error}"
                ) from None


def _check_metrics(spec: StudySpec, dataset: Dataset) -> None:
    """Those that are NaN on the validation or test rows would fail every trial, or the winner."""
    for key, name in [("train.metric", spec.train.metric), *further(spec.search)]:
        try:
            if name in METRICS:
                check_metric(name, dataset)
                check_defined(name, dataset)
        except ValueError as error:
            raise StudyFileError(
                f'{key} = "{name}" does not suit {spec.data.name}: {error}'
            ) from None


def check_params(space: Space, params: Params) -> dict[str, Any]:
    """Some or all of a trial's parameters as the space has them: 1 is 1.0 where that is meant.

    UsageError if a name or a value is not in the space.
    """
    known = parameters(space)
    problems, found = [], {}
    for name, value in params.items():
        if name not in known:
            names = tuple(known)
            hint = did_you_mean(name, names)
            problems.append(f"{name}: is no parameter here; there are {', '.join(names)}{hint}")
        elif (fitting := _fitting(known[name], value)) is None:
            problems.append(f"{name} = {value!r}: must be {_allowed(known[name])}")
        else:
            found[name] = fitting
    if problems:
        raise UsageError("these parameters cannot be used:\n  " + "\n  ".join(problems))
    return found


def edit(space: Space, changes: Mapping[str, Any]) -> Space:
    """The space with other entries for some of its keys, as a study file has them.

    A range may be narrowed, extended or frozen to a constant, a list of choices frozen to one of
    them. UsageError for anything else: what is learned of a parameter must keep its meaning.
    """
    old = dict(entries(space))
    unknown = [f"{key}: is no key of the space{did_you_mean(key, tuple(old))}" for key in changes]
    problems = [text for key, text in zip(changes, unknown, strict=True) if key not in old]
    if not problems:
        edited = _validated(space, changes)
        new = dict(entries(edited))
        problems = [
            f"{key} {text}" for key in changes for text in _refusals(key, old[key], new[key])
        ]
    if problems:
        raise UsageError("the space cannot be edited so:\n  " + "\n  ".join(problems))
    return edited


def _validated(space: Space, changes: Mapping[str, Any]) -> Space:
    try:
        if isinstance(space, SpaceSpec):
            return SpaceSpec.model_validate({**space.model_dump(), **changes})
        return TypeAdapter(dict[str, FreeEntry]).validate_python({**space, **changes})
    except ValidationError as error:
        lines = [
            f"{key} = {changes[str(key)]!r}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False)
            for key in problem["loc"][:1]
        ]
        raise UsageError("the space cannot be edited so:\n  " + "\n  ".join(lines)) from None


def _refusals(key: str, old: Any, new: Any) -> Iterator[str]:
    """Why an entry cannot become another one."""
    if new == old:
        return
    if key == "widths" or is_constant(old):
        yield "is a constant of this study: only what is searched can be edited"
    elif isinstance(old, tuple):
        if not is_constant(new) or extremes(new)[0] not in old:
            yield f"has choices, which stay as they are: freeze it to {_allowed(old)}"
    elif is_constant(new):
        if type(extremes(new)[0]) not in (int, type(old.low)):
            yield f"is a range: freeze it to {_kind(old)}"
    elif not isinstance(new, Range) or (_kind(new), new.log) != (_kind(old), old.log):
        scale = "a log scale" if old.log else "a linear scale"
        yield f"stays a range on {scale}, whose ends are each {_kind(old)}, or is frozen to one"


def _fitting(entry: Any, value: Any) -> Any:
    """A value as the entry has it; None if it is not in there."""
    if not isinstance(entry, Range):
        # Python holds that True is 1.
        alike = (x for x in extremes(entry) if isinstance(x, bool) == isinstance(value, bool))
        return next((x for x in alike if x == value), None)
    if isinstance(entry.low, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(entry.low):
        return None
    if is_constant(entry):
        return value if value == entry.low else None
    return value if contains(_distribution(entry), value) else None


def _kind(entry: Any) -> str:
    return "a whole number" if isinstance(entry.low, int) else "a number"


def _allowed(entry: Any) -> str:
    if is_constant(entry):
        return f"{extremes(entry)[0]!r}, which is not searched"
    if isinstance(entry, tuple):
        return f"one of {', '.join(map(repr, entry))}"
    steps = f" in steps of {entry.step}" if entry.step else ""
    return f"{_kind(entry)} from {entry.low} to {entry.high}{steps}"


def _distribution(entry: Any) -> BaseDistribution:
    match entry:
        case Range(low=int(low), high=int(high), log=log, step=int() | None as step):
            return IntDistribution(low, high, log, step or 1)
        case Range(low=low, high=high, log=log, step=step):
            return FloatDistribution(low, high, log, step)
        case tuple():
            return CategoricalDistribution(entry)
    raise TypeError(f"a constant has no distribution: {entry!r}")


def _value(name: str, entry: Any, params: Params) -> Any:
    """The value of a parameter in a trial; a constant's is the study's."""
    if name in params:
        return plain(params[name])
    value, *others = set(extremes(entry))
    if others:
        raise ValueError(f"the parameter {name} is missing; there are {', '.join(params)}")
    return value


def plain(value: Any) -> Any:
    """A value of NumPy's as Python's own."""
    return value.item() if isinstance(value, np.generic) else value

"""The search space as Optuna knows it, and a trial's parameters as the trainer does.

The space is flat and padded: the widths `neurons_1`, `neurons_2`, ... of as many layers as there
can be are proposed in every trial, so that a sampler models them jointly. A trial with fewer layers
leaves the last of them unused.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweep.errors import StudyFileError
from sweep.spec import Range, SpaceSpec, StudySpec, extremes
from trainer import Dataset, TrainConfig, check_fit

Params = Mapping[str, Any]


def distributions(space: SpaceSpec) -> dict[str, BaseDistribution]:
    """Every searched parameter's distribution, in the order of SpaceSpec's fields.

    A range whose ends are equal and a list of one choice are constants: there is nothing to search.
    """
    return {
        name: _distribution(entry)
        for name, entry in _parameters(space)
        if len(set(extremes(entry))) > 1
    }


def active(space: SpaceSpec, params: Params) -> dict[str, Any]:
    """The parameters without the widths of layers that the trial does not have."""
    layers = _value("layers", space.layers, params)
    unused = {f"neurons_{i}" for i in range(layers + 1, _most_layers(space) + 1)}
    return {name: _plain(value) for name, value in params.items() if name not in unused}


def train_config(spec: StudySpec, params: Params) -> TrainConfig:
    """The configuration of a trial with these parameters; those of unused layers may be missing."""
    entries = dict(_parameters(spec.space))
    if unknown := params.keys() - entries.keys():
        raise ValueError(f"no parameters of this study: {', '.join(sorted(unknown))}")
    layers = _value("layers", entries.pop("layers"), params)
    widths = {name: entries.pop(name) for name in list(entries) if name.startswith("neurons_")}
    return TrainConfig(
        neurons=tuple(_value(name, widths[name], params) for name in list(widths)[:layers]),
        **{name: _value(name, entry, params) for name, entry in entries.items()},
        epochs=spec.train.epochs,
        metric=spec.train.metric,
    )


def check_data(spec: StudySpec, dataset: Dataset) -> None:
    """Raise StudyFileError if some trial of the study could not be trained on these rows."""
    for name in ("loss", "batch_size", "class_weight", "label_smoothing", "norm", "dtype"):
        for value in extremes(getattr(spec.space, name)):
            fields = {"loss": extremes(spec.space.loss)[0]} | {name: value}
            try:
                check_fit(TrainConfig(neurons=(1,), metric=spec.train.metric, **fields), dataset)
            except ValueError as error:
                raise StudyFileError(
                    f"space.{name} = {value!r} does not suit {spec.data.source}: {error}"
                ) from None


def _parameters(space: SpaceSpec) -> Iterator[tuple[str, Any]]:
    for name in SpaceSpec.model_fields:
        if name == "neurons":
            for i in range(1, _most_layers(space) + 1):
                yield f"neurons_{i}", space.neurons
        else:
            yield name, getattr(space, name)


def _most_layers(space: SpaceSpec) -> int:
    return int(max(extremes(space.layers)))


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
    fixed, *more = dict.fromkeys(extremes(entry))
    if not more:
        return fixed
    if name not in params:
        raise ValueError(f"the parameter {name} is missing; there are {', '.join(params)}")
    return _plain(params[name])


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value

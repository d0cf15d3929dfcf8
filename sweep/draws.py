"""Samplers without a memory: a trial's parameters by its number and the study's seed alone."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sweep.errors import StudyFileError
from sweep.space import Space, distributions, settings

MOST_POINTS = 100_000
"""Of a grid, which is laid out before its first trial."""

Searched = dict[str, BaseDistribution]


def random(searched: Searched, seed: int) -> dict[str, Any]:
    """Independent of each other and of the other trials; the values of Optuna's RandomSampler."""
    rng = np.random.RandomState(seed)
    return {name: _drawn(entry, rng) for name, entry in searched.items()}


def _drawn(entry: BaseDistribution, rng: np.random.RandomState) -> Any:
    match entry:
        case CategoricalDistribution(choices=choices):
            return choices[rng.uniform(size=len(choices)).argmax()]
        case IntDistribution(low=low, high=high, log=True):
            exponent = rng.uniform(math.log(low - 0.5), math.log(high + 0.5))
            return min(max(round(math.exp(exponent)), low), high)
        case IntDistribution(low=low, high=high, step=step):
            x = rng.uniform(low - 0.5 * step, high + 0.5 * step)
            return min(max(math.floor((x - low) / step + 0.5) * step + low, low), high)
        case FloatDistribution(low=low, high=high, log=True):
            exponent = rng.uniform(math.log(low), math.log(high))
            return min(max(math.exp(exponent), low), math.nextafter(high, low))
        case FloatDistribution(low=low, high=high, step=None):
            return min(rng.uniform(low, high), math.nextafter(high, low))
        case FloatDistribution(low=low, high=high, step=float(step)):
            x = rng.uniform(low - 0.5 * step, high + 0.5 * step)
            return min(max(round((x - low) / step) * step + low, low), high)
    raise TypeError(f"no distribution of ours: {entry!r}")


def quasi_random(searched: Searched, study_seed: int, number: int) -> dict[str, Any]:
    """The point of this number in a scrambled Sobol sequence, which fills the space evenly.

    With the direction numbers of Joe and Kuo 2008, scrambled as by Matousek 1998, J. Complexity 14.
    """
    if not searched:
        return {}
    from scipy.stats import qmc  # takes as long to import as all the rest

    sequence = qmc.Sobol(len(searched), rng=np.random.default_rng(study_seed))
    if number:
        sequence.fast_forward(number)
    place = sequence.random()[0].tolist()
    return {name: _at(entry, x) for (name, entry), x in zip(searched.items(), place, strict=True)}


def grid(space: Space, study_seed: int) -> list[tuple[Any, ...]]:
    """Every configuration once, as the values of `distributions(space)`, in an order that the seed
    shuffles: what a sweep has tried when it is stopped is then spread over the space.

    A parameter without an effect has its first value. StudyFileError if there is no end of them.
    """
    searched = distributions(space)
    points: list[tuple[Any, ...]] = []
    for point in _points(space, searched):
        points.append(point)
        if len(points) > MOST_POINTS:
            raise StudyFileError(
                f'search.sampler = "grid": the space has more than {MOST_POINTS} configurations; '
                'give it fewer values, or search with "quasi_random" or "tpe"'
            )
    # Its permutations are promised to stay the same; those of newer generators are not.
    order = np.random.RandomState(np.random.MT19937(study_seed)).permutation(len(points))
    return [points[i] for i in order]


def _points(space: Space, searched: Searched) -> Iterator[tuple[Any, ...]]:
    values = {name: _values(entry) for name, entry in searched.items()}
    first = {name: choices[0] for name, choices in values.items()}

    def extend(names: list[str], point: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        if not names:
            yield tuple(point.values())
            return
        name, *rest = names
        # Whether it has an effect depends on those before it only.
        chosen = values[name] if name in settings(space, first | point) else values[name][:1]
        for value in chosen:
            yield from extend(rest, point | {name: value})

    return extend(list(searched), {})


def _values(entry: BaseDistribution) -> Sequence[Any]:
    """Every value that a distribution can propose."""
    match entry:
        case CategoricalDistribution(choices=choices):
            return choices
        case IntDistribution(low=low, high=high, step=step):
            return range(low, high + 1, step)
        case FloatDistribution(low=low, high=high, step=float(step)):
            steps = round((high - low) / step)
            return [float(np.clip(low + i * step, low, high)) for i in range(steps + 1)]
    raise StudyFileError('search.sampler = "grid": a range of real numbers needs a step')


def _at(entry: BaseDistribution, x: float) -> Any:
    """The value at a share x in [0, 1) of a distribution: each step or choice has an equal part."""
    match entry:
        case CategoricalDistribution(choices=choices):
            return choices[int(x * len(choices))]
        case IntDistribution(low=low, high=high, log=True):
            ends = math.log(low - 0.5), math.log(high + 0.5)
            return min(max(round(math.exp(_between(ends, x))), low), high)
        case FloatDistribution(low=low, high=high, log=True):
            return min(max(math.exp(_between((math.log(low), math.log(high)), x)), low), high)
        case FloatDistribution(low=low, high=high, step=None):
            return _between((low, high), x)
        case IntDistribution(low=low, high=high, step=step):
            return range(low, high + 1, step)[int(x * ((high - low) // step + 1))]
        case FloatDistribution(low=low, high=high, step=float(step)):
            return min(low + int(x * (round((high - low) / step) + 1)) * step, high)
    raise TypeError(f"no distribution of ours: {entry!r}")


def _between(ends: tuple[float, float], x: float) -> float:
    return ends[0] + (ends[1] - ends[0]) * x

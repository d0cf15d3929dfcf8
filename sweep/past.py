"""What a sampler knows of the trials that there were."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep import draws
from sweep.space import Space, contains, settings

Params = dict[str, Any]


@dataclass(slots=True)
class Past:
    """What a sampler knows of a trial: whether it is `running`, `complete`, `pruned` or `failed`,
    and the values of the objectives if it is complete, or those at its rungs if it was pruned."""

    params: Mapping[str, Any]
    state: str = "running"
    values: tuple[float, ...] | None = None
    violations: tuple[float, ...] = ()
    reports: dict[int, float] = field(default_factory=dict)


def fitted(
    params: Mapping[str, Any],
    space: Space,
    searched: draws.Searched,
    seed: int,
) -> Params | None:
    """A trial's parameters in another space; None if it used a value that is not in it.

    Of what it did not use, values that are missing or outside are drawn: any is as true.
    """
    inside = {
        name: params[name]
        for name, entry in searched.items()
        if name in params and contains(entry, params[name])
    }
    if len(inside) == len(searched):
        return inside
    drawn = draws.random(searched, seed)
    used = settings(space, drawn | dict(params))
    if any(name in used for name in searched.keys() - inside.keys()):
        return None
    return {name: inside.get(name, drawn[name]) for name in searched}

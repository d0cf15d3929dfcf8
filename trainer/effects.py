"""Fields of a configuration that do nothing beside its others.

They are no error: a search over a configuration's fields sets some that not every trial uses.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from trainer.config import TrainConfig
from trainer.embeddings import EMBEDDINGS
from trainer.losses import LOSSES
from trainer.optimizers import OPTIMIZERS
from trainer.schedules import SCHEDULES


def without_effect(config: TrainConfig) -> list[str]:
    """A line for each field that is not at its default and does nothing, in the fields' order."""
    return [
        f"{field.name} {getattr(config, field.name)!r} has no effect {why}"
        for field in fields(config)
        if field.default is not MISSING and getattr(config, field.name) != field.default
        for why in _reasons(config, field.name)
    ]


def _reasons(config: TrainConfig, field: str) -> Iterable[str]:
    """Why a field does nothing, and what would make it do something; none if it does."""
    if field in _HIDDEN and not config.layers:
        yield "without hidden layers; set neurons"
    elif field in _STEPWISE and config.optimizer == "lbfgs":
        yield "with optimizer 'lbfgs', which has a line search; use another optimizer"
    elif field == "plateau_factor" and not config.plateau:
        yield "without plateau; set plateau to a number of epochs"
    elif field in _TAKEN_BY:
        key, names = _TAKEN_BY[field]
        if (chosen := getattr(config, key)) not in names:
            allowed = " or ".join(map(repr, names))
            yield f"with {key} {chosen!r}; use {key} {allowed}"


_HIDDEN = ("activation", "norm", "dropout", "max_norm")
"""Of hidden layers alone."""

_STEPWISE = ("learning_rate", "schedule", "warmup", "plateau", "clip_norm", "clip_value")
"""Of optimizers that take a step along the gradient."""


def _takers(
    key: str, table: Mapping[str, Any], taken: Callable[[Any], Iterable[str]]
) -> dict[str, tuple[str, list[str]]]:
    """For each field that entries of a table take: the table's own field, and those entries."""
    options = {option for entry in table.values() for option in taken(entry)}
    return {
        option: (key, sorted(name for name, entry in table.items() if option in taken(entry)))
        for option in options
    }


_TAKEN_BY = {
    **_takers("loss", LOSSES, lambda loss: loss.options),
    **_takers("optimizer", OPTIMIZERS, lambda optimizer: optimizer.options),
    **_takers("optimizer", OPTIMIZERS, lambda o: ("weight_decay",) if o.decoupled else ()),
    **_takers("schedule", SCHEDULES, lambda schedule: schedule.options),
    **_takers("embedding", EMBEDDINGS, lambda embedding: embedding.options),
}
"""The fields that only some optimizers, losses, schedules or embeddings take."""

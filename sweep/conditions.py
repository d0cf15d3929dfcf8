"""Which parameters have an effect in a trial, given those before them."""

from collections.abc import Callable, Mapping
from typing import Any

from trainer import EMBEDDINGS, LOSSES, OPTIMIZERS, SCHEDULES

Params = Mapping[str, Any]
Condition = Callable[[Params], bool]


def has_effect(name: str, found: Params) -> bool:
    """Whether a parameter does anything beside those before it that do."""
    if name.startswith("neurons_"):
        return bool(int(name.removeprefix("neurons_")) <= found["layers"])
    return name not in CONDITIONS or CONDITIONS[name](found)


def _hidden(found: Params) -> bool:
    return bool(found["layers"] >= 1)


def _stepwise(found: Params) -> bool:
    return found["optimizer"] in OPTIMIZERS


def _decoupled(found: Params) -> bool:
    return _stepwise(found) and OPTIMIZERS[found["optimizer"]].decoupled


def _options(key: str, table: Mapping[str, Any]) -> dict[str, Condition]:
    """For each option of a table's entries: whether the entry that a trial chose takes it."""

    def is_taken(option: str) -> Condition:
        return lambda found: found.get(key) in table and option in table[found[key]].options

    names = {name for entry in table.values() for name in entry.options}
    return {name: is_taken(name) for name in names}


CONDITIONS: dict[str, Condition] = {
    **dict.fromkeys(("neurons", "activation", "norm", "dropout", "max_norm"), _hidden),
    "taper": lambda found: found["layers"] >= 2,
    **_options("embedding", EMBEDDINGS),
    **_options("loss", LOSSES),
    **_options("optimizer", OPTIMIZERS),
    **_options("schedule", SCHEDULES),
    # L-BFGS, which is in no table, has a line search in place of all these.
    **dict.fromkeys(("learning_rate", "schedule", "warmup", "plateau"), _stepwise),
    **dict.fromkeys(("clip_norm", "clip_value"), _stepwise),
    "plateau_factor": lambda found: found.get("plateau", 0) > 0,
    "weight_decay": _decoupled,
}
"""When a parameter has an effect, by the values of those before it that have one; always, if it is
not here. Whether data are labelled is the same for all trials, and no condition."""

DECISIVE = ("layers", "optimizer", "embedding", "loss", "schedule", "plateau")
"""The parameters on which conditions depend."""

"""The arrays in a state of a configuration, and whether a state has them."""

from collections.abc import Callable, Mapping

import numpy as np

from trainer import lbfgs
from trainer.config import TrainConfig
from trainer.dataset import Dataset
from trainer.losses import LOSSES
from trainer.network import parameter_count
from trainer.optimizers import OPTIMIZERS
from trainer.prediction import check_embedding, layer_sizes, n_features, norm
from trainer.state import TrainState

Shapes = dict[str, tuple[int, ...]]


def layout(config: TrainConfig, n_inputs: int, n_outputs: int) -> Shapes:
    """The shape of every array in a state of this configuration, by name.

    `n_inputs` are the columns of the data, or the features of their embedding.
    """
    sizes, kind = layer_sizes(config, n_inputs, n_outputs), norm(config)
    count = parameter_count(sizes, kind)
    trained = parameter_count(sizes, kind and kind._replace(running=False))
    shapes: Shapes = {"parameters": (count,)}
    if config.ema or config.patience:
        shapes["current"] = (count,)
    if config.ema:
        shapes["average"] = (count,)
    if config.optimizer == "lbfgs":
        history = lbfgs.initial_history(trained, np.dtype(config.dtype))
        return shapes | {f"moments.{name}": array.shape for name, array in history.items()}
    moments = OPTIMIZERS[config.optimizer].moments
    return shapes | {f"moments.{name}": (trained,) for name in moments}


def check_state(config: TrainConfig, dataset: Dataset, state: TrainState) -> None:
    """Raise ValueError if training cannot go on from a state with this configuration and data.

    It names the fields that have changed, as far as the state knows what it was trained under.
    """
    changed = [
        f"{field} is {before!r} in the state and {after!r} in the configuration"
        for field, (before, after) in _changes(config, state).items()
    ]
    if changed:
        raise ValueError(
            f"state is of another configuration: {', '.join(changed)}; go on with those it has"
        )
    check_embedding(config, state.embedding, dataset.n_inputs)
    needed = layout(config, n_features(state.embedding, dataset.n_inputs), dataset.n_outputs)
    found = {name: array.shape for name, array in state.arrays.items()}
    if found != needed:
        raise ValueError(
            f"state has the arrays {_described(found)}; the configuration needs "
            f"{_described(needed)} for data of {dataset.n_inputs} features and "
            f"{dataset.n_outputs} outputs"
        )


def _changes(config: TrainConfig, state: TrainState) -> Mapping[str, tuple[object, object]]:
    """The fields that need other arrays, each with its value in the state and in `config`."""
    embedding = "none" if state.embedding is None else state.embedding.name
    changes: dict[str, tuple[object, object]] = {
        "embedding": (embedding, config.embedding),
        "dtype": (str(state.parameters.dtype), config.dtype),
    }
    if (before := state.config) is not None:
        changes |= {
            field: (getattr(before, field), getattr(config, field))
            for field, needs in _NEEDS.items()
            if needs(before) != needs(config)
        }
    return {field: pair for field, pair in changes.items() if pair[0] != pair[1]}


_NEEDS: dict[str, Callable[[TrainConfig], object]] = {
    "neurons": lambda config: config.neurons,
    "norm": lambda config: config.norm,
    "loss": lambda config: LOSSES[config.loss].outputs_per_target,
    "optimizer": lambda config: config.optimizer == "lbfgs" or OPTIMIZERS[config.optimizer].moments,
    "ema": lambda config: config.ema > 0,
    "patience": lambda config: config.patience > 0 and not config.ema,
}
"""What of each field the arrays depend on, besides those that every state tells."""


def _described(shapes: Shapes) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in sorted(shapes.items()))

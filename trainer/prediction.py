"""From trained parameters to predictions, and what they are worth."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from trainer.activations import ACTIVATIONS
from trainer.config import TrainConfig
from trainer.dataset import Dataset, Split, encode
from trainer.losses import LOSSES
from trainer.metrics import METRICS
from trainer.network import Network
from trainer.norms import NORMS, Norm


def build_network(
    config: TrainConfig, parameters: np.ndarray, n_inputs: int, n_outputs: int
) -> Network:
    """The network of a configuration around parameters, for targets of `n_outputs` columns.

    Some losses take several raw outputs for each of them.
    """
    activations = [ACTIVATIONS[name] for name in config.activations]
    return Network(layer_sizes(config, n_inputs, n_outputs), activations, parameters, norm(config))


def layer_sizes(config: TrainConfig, n_inputs: int, n_outputs: int) -> tuple[int, ...]:
    """Inputs, hidden widths and raw outputs of a configuration's network."""
    return n_inputs, *config.neurons, n_outputs * LOSSES[config.loss].outputs_per_target


def norm(config: TrainConfig) -> Norm | None:
    """The norm of a configuration's hidden layers."""
    return NORMS.get(config.norm)


def predict(
    config: TrainConfig,
    parameters: np.ndarray,
    x: np.ndarray,
    n_outputs: int,
    *,
    indicators: bool = False,
) -> np.ndarray:
    """Class probabilities where the loss gives them, else values: (rows, n_outputs).

    Of targets that are `indicators`, columns of 0 or 1, it is each column's own probability.
    """
    network = build_network(config, parameters, x.shape[1], n_outputs)
    with np.errstate(all="ignore"):
        return to_predictions(config, network.outputs(x), values=indicators)


def to_predictions(config: TrainConfig, outputs: np.ndarray, values: bool = False) -> np.ndarray:
    """Raw outputs (rows, outputs) to probabilities where the loss gives them, else to values.

    To values at any rate if so asked: what targets that are no labels are compared with.
    """
    loss = LOSSES[config.loss]
    function = loss.values if values or loss.probabilities is None else loss.probabilities
    return outputs if function is None else function(outputs.T).T


def evaluate(
    config: TrainConfig, parameters: np.ndarray, dataset: Dataset, split: Split
) -> tuple[float, float]:
    """Loss and metric of one of a dataset's splits."""
    network = build_network(config, parameters, dataset.n_inputs, dataset.n_outputs)
    targets = np.empty((dataset.n_outputs, len(split.y)), parameters.dtype)
    encode(split.y, targets)
    with np.errstate(all="ignore"):
        return judge(config, dataset, network.outputs(split.x), split.y, targets)


def judge(
    config: TrainConfig,
    dataset: Dataset,
    outputs: np.ndarray,
    y: np.ndarray,
    targets: np.ndarray,
) -> tuple[float, float]:
    """Loss and metric of raw outputs (rows, outputs), which are used up, against y and its
    encoding (outputs, rows); outputs that are not finite score NaN."""
    metric = METRICS[config.metric].function
    score = math.nan
    if metric is not None and np.isfinite(outputs).all():
        predictions = to_predictions(config, outputs, values=dataset.n_classes is None)
        if (scale := dataset.target_scale) is not None:
            predictions, y = predictions * scale, y * scale
        score = metric(predictions, y)
    value = loss_function(config)(outputs.T, targets, np.empty_like(outputs.T))
    return value, value if metric is None else score


def loss_function(config: TrainConfig) -> Callable[..., float]:
    """The loss with its options: `function(outputs, targets, gradient, weights=None)`."""
    loss = LOSSES[config.loss]
    options = config.options(loss.options)
    return partial(loss.function, **options) if options else loss.function

"""From trained parameters to predictions, and what they are worth."""

import math

import numpy as np

from trainer.activations import ACTIVATIONS
from trainer.config import TrainConfig
from trainer.dataset import Dataset, Split, encode
from trainer.losses import LOSSES
from trainer.metrics import METRICS
from trainer.network import Network


def build_network(
    config: TrainConfig, parameters: np.ndarray, n_inputs: int, n_outputs: int
) -> Network:
    """The network of a configuration around trained parameters."""
    sizes = (n_inputs, *config.neurons, n_outputs)
    return Network(sizes, ACTIVATIONS[config.activation], parameters)


def predict(
    config: TrainConfig, parameters: np.ndarray, x: np.ndarray, n_outputs: int
) -> np.ndarray:
    """Class probabilities where the loss gives them, else raw outputs: (rows, n_outputs)."""
    network = build_network(config, parameters, x.shape[1], n_outputs)
    with np.errstate(all="ignore"):
        return to_predictions(config, network.outputs(x))


def to_predictions(config: TrainConfig, outputs: np.ndarray) -> np.ndarray:
    """Raw outputs to probabilities where the loss gives them: (rows, outputs) both."""
    probabilities = LOSSES[config.loss].probabilities
    return outputs if probabilities is None else probabilities(outputs.T).T


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
        predictions, scale = to_predictions(config, outputs), dataset.target_scale
        if scale is not None:
            predictions, y = predictions * scale, y * scale
        score = metric(predictions, y)
    loss = LOSSES[config.loss].function(outputs.T, targets, np.empty_like(targets))
    return loss, loss if metric is None else score

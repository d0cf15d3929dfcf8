"""From trained parameters to predictions, and what they are worth."""

import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np

from trainer import passes
from trainer.activations import ACTIVATIONS
from trainer.arguments import check_numbers
from trainer.config import TrainConfig
from trainer.dataset import Dataset, Split, encode, in_units
from trainer.embeddings import Embedding
from trainer.losses import LOSSES
from trainer.metrics import METRICS
from trainer.network import Network, parameter_count
from trainer.norms import NORMS, Norm

EMBEDDED_ROWS = 1024
"""Rows embedded at a time outside training: they take the same memory for any number of rows."""


def build_network(
    config: TrainConfig,
    parameters: np.ndarray,
    n_inputs: int,
    n_outputs: int,
    embedding: Embedding | None = None,
) -> Network:
    """The network of a configuration around parameters, for targets of `n_outputs` columns.

    Some losses take several raw outputs for each of them. `n_inputs` are the columns of the data;
    where the configuration has an embedding, it is the TrainState's, and the network's inputs are
    its features. Raises ValueError if it is not that of the configuration.
    """
    check_embedding(config, embedding, n_inputs)
    sizes = layer_sizes(config, n_features(embedding, n_inputs), n_outputs)
    activations = [ACTIVATIONS[name] for name in config.activations]
    return Network(sizes, activations, parameters, norm(config))


def check_embedding(config: TrainConfig, embedding: Embedding | None, n_inputs: int) -> None:
    """Raise ValueError if an embedding is not of this configuration and number of columns."""
    found = "none" if embedding is None else embedding.name
    if found != config.embedding:
        raise ValueError(
            f"embedding must be the state's own, {config.embedding!r} as the configuration says, "
            f"not {found!r}; give state.embedding"
        )
    if embedding is not None and embedding.n_columns != n_inputs:
        raise ValueError(
            f"embedding was fitted to {embedding.n_columns} columns and the data has {n_inputs}"
        )


def n_features(embedding: Embedding | None, n_inputs: int) -> int:
    """How many inputs a network has for data of so many columns."""
    return n_inputs if embedding is None else embedding.n_features


def raw_outputs(network: Network, embedding: Embedding | None, x: np.ndarray) -> np.ndarray:
    """A network's raw outputs (rows, outputs) for x (rows, columns)."""
    if embedding is None:
        return passes.outputs(network, x)
    blocks = (x[i : i + EMBEDDED_ROWS] for i in range(0, len(x), EMBEDDED_ROWS))
    return np.concatenate([passes.outputs(network, embedding.transform(block)) for block in blocks])


def input_gradient(network: Network, embedding: Embedding | None, x: np.ndarray) -> np.ndarray:
    """d output_k / d x_j, (rows, outputs, columns), for x (rows, columns)."""
    if embedding is None:
        return passes.input_gradient(network, x)
    blocks = (x[i : i + EMBEDDED_ROWS] for i in range(0, len(x), EMBEDDED_ROWS))
    return np.concatenate(
        [
            embedding.pull_back(block, passes.input_gradient(network, embedding.transform(block)))
            for block in blocks
        ]
    )


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
    embedding: Embedding | None = None,
    indicators: bool = False,
) -> np.ndarray:
    """Class probabilities where the loss gives them, else values: (rows, n_outputs).

    Of targets that are `indicators`, columns of 0 or 1, it is each column's own probability.
    `embedding` is the TrainState's. Raises ValueError for rows that are not finite, or not as wide
    as those that the network was trained on.
    """
    if not (isinstance(x, np.ndarray) and x.ndim == 2 and not len(x)):
        check_numbers("x", x, "features")
    if config.embedding == "none":
        _check_width(config, parameters, x.shape[1], n_outputs)
    network = build_network(config, parameters, x.shape[1], n_outputs, embedding)
    with np.errstate(all="ignore"):
        return to_predictions(config, raw_outputs(network, embedding, x), values=indicators)


def _check_width(
    config: TrainConfig, parameters: np.ndarray, n_inputs: int, n_outputs: int
) -> None:
    """Raise ValueError if the parameters are of a network of another number of inputs."""
    sizes = layer_sizes(config, 0, n_outputs)
    # Each input has a weight for every unit of the first layer.
    width, rest = divmod(parameters.size - parameter_count(sizes, norm(config)), sizes[1])
    if not rest and width > 0 and width != n_inputs:
        raise ValueError(
            f"x must have {width} columns, as the rows that these parameters were trained on, "
            f"not {n_inputs}"
        )


def to_predictions(config: TrainConfig, outputs: np.ndarray, values: bool = False) -> np.ndarray:
    """Raw outputs (rows, outputs) to probabilities where the loss gives them, else to values.

    To values at any rate if so asked: what targets that are no labels are compared with.
    """
    loss = LOSSES[config.loss]
    function = loss.values if values or loss.probabilities is None else loss.probabilities
    return outputs if function is None else function(outputs.T).T


def to_labels(config: TrainConfig, outputs: np.ndarray, indicators: bool) -> np.ndarray:
    """Raw outputs (rows, outputs) to labels (rows,), or to indicators (rows, outputs)."""
    predictions = to_predictions(config, outputs, values=indicators)
    return (predictions > 0.5).astype(int) if indicators else predictions.argmax(axis=1)


def to_scores(config: TrainConfig, outputs: np.ndarray, indicators: bool) -> np.ndarray:
    """Raw outputs (rows, outputs) of classes to what ranks the rows: (rows, outputs), or of two
    classes the second's less the first's, (rows,).

    Where each class has a probability of its own, its logarithm stands for the raw output.
    """
    if indicators:
        return outputs
    if config.loss == "sigmoid_cross_entropy":
        outputs = -np.logaddexp(0, -outputs)
    return outputs[:, 1] - outputs[:, 0] if outputs.shape[1] == 2 else outputs


def evaluate(
    config: TrainConfig,
    parameters: np.ndarray,
    dataset: Dataset,
    split: Split,
    embedding: Embedding | None = None,
) -> tuple[float, float]:
    """Loss and metric of one of a dataset's splits; `embedding` is the TrainState's."""
    outputs, targets = _outputs_and_targets(config, parameters, dataset, split, embedding)
    with np.errstate(all="ignore"):
        return judge(config, dataset, outputs, split.y, targets)


def evaluate_draws(
    config: TrainConfig,
    parameters: np.ndarray,
    dataset: Dataset,
    split: Split,
    draws: Iterable[np.ndarray],
    embedding: Embedding | None = None,
) -> Iterator[float]:
    """The metric of each draw of a split's rows, indices (rows,) of them with or without
    repetition; the rows are predicted once."""
    outputs, targets = _outputs_and_targets(config, parameters, dataset, split, embedding)
    for rows in draws:
        with np.errstate(all="ignore"):
            _, score = judge(config, dataset, outputs[rows], split.y[rows], targets[:, rows])
        yield score


def _outputs_and_targets(
    config: TrainConfig,
    parameters: np.ndarray,
    dataset: Dataset,
    split: Split,
    embedding: Embedding | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Raw outputs (rows, outputs) and encoded targets (outputs, rows) of a split."""
    network = build_network(config, parameters, dataset.n_inputs, dataset.n_outputs, embedding)
    targets = np.empty((dataset.n_outputs, len(split.y)), parameters.dtype)
    encode(split.y, targets)
    with np.errstate(all="ignore"):
        return raw_outputs(network, embedding, split.x), targets


def judge(
    config: TrainConfig,
    dataset: Dataset,
    outputs: np.ndarray,
    y: np.ndarray,
    targets: np.ndarray,
) -> tuple[float, float]:
    """Loss and metric of raw outputs (rows, outputs), which are used up, against y and its
    encoding (outputs, rows); where outputs or the metric overflow, neither is a number."""
    metric = METRICS[config.metric]
    sound, score = bool(np.isfinite(outputs).all()), math.nan
    if metric.function is not None and sound:
        score = metric.function(*_compared(config, dataset, outputs, y))
        sound = metric.every_class or not math.isnan(score)
    value = loss_functions(config)[0](outputs.T, targets)
    if not sound and math.isfinite(value):
        value = math.nan
    return value, value if metric.function is None else score


def _compared(
    config: TrainConfig, dataset: Dataset, outputs: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What the metric takes of raw outputs (rows, outputs), and of y."""
    metric, indicators = METRICS[config.metric], dataset.multilabel
    if metric.response_method == "decision_function":
        return to_scores(config, outputs, indicators), y
    if metric.response_method == "predict_proba":
        return to_predictions(config, outputs, values=indicators), y
    if dataset.kind != "regression":
        return to_labels(config, outputs, indicators), y
    values = to_predictions(config, outputs, values=True)
    predictions, y = (in_units(dataset, each, metric.from_zero) for each in (values, y))
    return predictions, y


def loss_functions(config: TrainConfig) -> tuple[Callable[..., float], Callable[..., None]]:
    """The loss and its gradient with their options, see `trainer.losses`."""
    loss = LOSSES[config.loss]
    if not (options := config.options(loss.options)):
        return loss.function, loss.gradient
    return partial(loss.function, **options), partial(loss.gradient, **options)

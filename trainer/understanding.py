"""What a trained network attends to, and what it is made of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from trainer.arguments import check_integer
from trainer.config import TrainConfig
from trainer.dataset import Dataset, Split
from trainer.embeddings import Embedding
from trainer.metrics import METRICS
from trainer.prediction import build_network, evaluate, input_gradient, layer_sizes

GRADIENT_ROWS = 1024
"""Rows whose input gradients are held at a time, (rows, outputs, features)."""


class Significance(NamedTuple):
    """How much one feature matters; a list of these makes a pandas.DataFrame."""

    feature: str

    gradient: float
    """Mean of |d output / d x|, over rows: how far the output moves with it."""

    gradient_x_input: float
    """Mean of |x d output / d x|, over rows: its part in the output, against an input of 0
    (Shrikumar et al. 2016, arXiv:1605.01713)."""

    permutation: float
    """Mean loss of the metric when its values are shuffled among the rows, positive where that is
    worse (Breiman 2001, section 10; Fisher et al. 2019, arXiv:1801.01489)."""

    permutation_std: float
    """Standard deviation of that loss over the shuffles."""


def feature_significance(
    config: TrainConfig,
    parameters: np.ndarray,
    dataset: Dataset,
    split: Split,
    *,
    embedding: Embedding | None = None,
    names: Sequence[str] | None = None,
    repeats: int = 5,
    seed: int = 0,
) -> list[Significance]:
    """The significance of each feature on some rows of a dataset, in the order of the columns.

    The gradients are of the raw output of a row's own class in classification, and averaged over
    the outputs in regression. Those of a signum network are zero almost everywhere, and here its
    straight-through ones. `embedding` is the TrainState's; features are the columns in front of it.
    Raises ValueError for names that do not fit, and for repeats below 1.
    """
    features = dataset.n_inputs
    names = [f"x{j}" for j in range(features)] if names is None else list(names)
    if len(names) != features:
        raise ValueError(f"names must be {features}, one a feature, not {len(names)}")
    for name, number, least in (("repeats", repeats, 1), ("seed", seed, 0)):
        check_integer(name, number, least)
    gradient, product = _gradients(config, parameters, dataset, split, embedding)
    losses = permutation_losses(
        config, parameters, dataset, split, range(features), embedding, repeats, seed
    )
    columns = gradient, product, losses.mean(axis=1), losses.std(axis=1)
    return [
        Significance(name, *(float(column[j]) for column in columns))
        for j, name in enumerate(names)
    ]


def integrated_gradients(
    config: TrainConfig,
    parameters: np.ndarray,
    x: np.ndarray,
    baseline: np.ndarray,
    n_outputs: int,
    *,
    embedding: Embedding | None = None,
    steps: int = 32,
) -> np.ndarray:
    """What each column of x (rows, columns) adds to each raw output: (rows, outputs, columns).

    The difference from a baseline (columns,) times the mean gradient on the straight way from there
    (Sundararajan et al. 2017, arXiv:1703.01365, equation 1), at the middles of so many steps. The
    parts of a row add up to its output less that of the baseline, but for the error of the steps;
    those of a signum network, whose gradients are its straight-through ones, do not. Raises
    ValueError for steps below 1.
    """
    check_integer("steps", steps, 1)
    network = build_network(config, parameters, x.shape[1], n_outputs, embedding)
    way = x - baseline
    slopes = np.zeros((len(x), n_outputs, x.shape[1]))
    for step in range(steps):
        points = np.asarray(baseline + way * ((step + 0.5) / steps), x.dtype)
        slopes += input_gradient(network, embedding, points)[:, :n_outputs]
    return np.asarray(slopes / steps * way[:, np.newaxis])


def _gradients(
    config: TrainConfig,
    parameters: np.ndarray,
    dataset: Dataset,
    split: Split,
    embedding: Embedding | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Means over rows of |d output / d x| and |x d output / d x|, (features,) each."""
    network = build_network(config, parameters, dataset.n_inputs, dataset.n_outputs, embedding)
    gradient, product = np.zeros((2, dataset.n_inputs))
    for start in range(0, len(split.x), GRADIENT_ROWS):
        x, y = split.x[start : start + GRADIENT_ROWS], split.y[start : start + GRADIENT_ROWS]
        # Of the values alone, where a loss has other outputs below them.
        slopes = input_gradient(network, embedding, x)[:, : dataset.n_outputs]
        slopes = np.absolute(slopes, dtype=np.float64)
        own = slopes[np.arange(len(y)), y] if y.ndim == 1 else slopes.mean(axis=1)
        gradient += own.sum(axis=0)
        product += (own * np.absolute(x)).sum(axis=0)
    return gradient / len(split.x), product / len(split.x)


def permutation_losses(
    config: TrainConfig,
    parameters: np.ndarray,
    dataset: Dataset,
    split: Split,
    groups: Iterable[int | list[int]],
    embedding: Embedding | None = None,
    repeats: int = 5,
    seed: int = 0,
) -> np.ndarray:
    """How much worse the metric is with a column shuffled, or several alike, (groups, repeats)."""
    sign = 1 if METRICS[config.metric].direction == "maximize" else -1
    _, whole = evaluate(config, parameters, dataset, split, embedding)
    losses = []
    x = split.x.copy()
    for j, group in enumerate(groups):
        rng = np.random.default_rng((seed, j))
        metrics = []
        for _ in range(repeats):
            x[:, group] = split.x[:, group][rng.permutation(len(x))]
            metrics.append(evaluate(config, parameters, dataset, Split(x, split.y), embedding)[1])
        losses.append(sign * (whole - np.array(metrics)))
        x[:, group] = split.x[:, group]
    return np.array(losses)


class Layer(NamedTuple):
    """A row of a summary."""

    layer: str
    n_in: int
    n_out: int
    activation: str
    parameters: int
    flops: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What a network is made of, and the floating-point operations of an epoch of training.

    They are those of the matrix products, 2 a b c for (a, b) by (b, c), biases included: a layer
    has one forward, one for the gradient of its weights and, but for the first, one for that of
    its inputs. What is done element by element is left out.
    """

    layers: tuple[Layer, ...]
    parameters: int
    """That training moves."""
    flops: int

    def __str__(self) -> str:
        rows = [("layer", "shape", "activation", "parameters", "FLOPs an epoch")]
        rows += [
            (name, f"{n_in:,} x {n_out:,}", activation, f"{parameters:,}", f"{flops:,}")
            for name, n_in, n_out, activation, parameters, flops in self.layers
        ]
        rows.append(("total", "", "", f"{self.parameters:,}", f"{self.flops:,}"))
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        return "\n".join(
            f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}  "
            f"{e:>{widths[4]}}"
            for a, b, c, d, e in rows
        )


def summary(config: TrainConfig, n_inputs: int, n_outputs: int, rows: int) -> Summary:
    """The summary of a configuration's network, trained on so many rows.

    `n_inputs` is the columns of the data, or the features of their embedding; `n_outputs` is the
    classes, or the columns of the targets. Raises ValueError unless all three are above 0.
    """
    for name, number in (("n_inputs", n_inputs), ("n_outputs", n_outputs), ("rows", rows)):
        check_integer(name, number, 1)
    sizes = layer_sizes(config, n_inputs, n_outputs)
    layers = []
    for number, (n_in, n_out) in enumerate(pairwise(sizes), start=1):
        top = number == len(sizes) - 1
        products = 2 * rows * n_out * (2 * (n_in + 1) + (n_in if number > 1 else 0))
        normed = 0 if top or config.norm == "none" else 2 * n_out
        activation = "identity" if top else config.activations[number - 1]
        name = "outputs" if top else f"hidden {number}"
        parameters = (n_in + 1) * n_out + normed
        layers.append(Layer(name, n_in, n_out, activation, parameters, products))
    return Summary(
        tuple(layers),
        sum(layer.parameters for layer in layers),
        sum(layer.flops for layer in layers),
    )

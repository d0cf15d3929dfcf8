"""A forward and a backward pass over one batch, in buffers that are used again.

Arrays are feature-major, (features, rows), and a row of ones under each layer's inputs folds the
bias into the matrix product: against row-major products and a separate addition this saves 5 to
15 % of a step, and softmax then reduces along long rows. Products are `ndarray.dot`, which writes
into contiguous arrays only, but costs 0.3 us a call where `np.matmul` costs 0.8.
"""

from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

import numpy as np

from trainer.memory import aligned
from trainer.network import Network, Views
from trainer.norms import Normalizer
from trainer.regularizers import draw_mask

EVALUATION_ROWS = 1024
"""Rows of a pass outside training: evaluation takes the same memory for any number of rows."""


class Hidden(NamedTuple):
    """The working memory of a hidden layer of n units in a pass."""

    z: np.ndarray
    """(n, rows) what its activation's derivative is computed from, and in."""

    h: np.ndarray
    """(n + 1, rows) activations, with dropout if there is any, over a row of ones."""

    delta: np.ndarray
    """(n, rows) gradient with respect to the pre-activations."""

    normal: np.ndarray | None
    """(n, rows) normalised pre-activations, if there is a norm."""

    mask: np.ndarray | None
    """(n, rows) factors of the activations, if there is dropout."""

    @classmethod
    def allocate(cls, network: Network, layer: int, rows: int, dropout: bool) -> "Hidden":
        n, dtype = network.sizes[layer + 1], network.parameters.dtype
        h = aligned((n + 1, rows), dtype)
        h[-1] = 1
        apart = network.activations[layer].keeps_input or dropout
        return cls(
            z=aligned((n, rows), dtype) if apart else h[:-1],
            h=h,
            delta=aligned((n, rows), dtype),
            normal=aligned((n, rows), dtype) if network.norm else None,
            mask=aligned((n, rows), dtype) if dropout else None,
        )


class Pass:
    """A forward and a backward pass of a network over a number of rows.

    With `dropout`, `drop` must be called before. Under batch norm it normalises by these rows and
    moves the network's running statistics.
    """

    def __init__(self, network: Network, rows: int, dropout: bool = False) -> None:
        self.hidden = [
            Hidden.allocate(network, layer, rows, dropout)
            for layer in range(len(network.sizes) - 2)
        ]
        shape, dtype = (network.sizes[-1], rows), network.parameters.dtype
        self.outputs, self.delta = aligned(shape, dtype), aligned(shape, dtype)
        normalizers: list[Normalizer | None] = [None] * len(self.hidden)
        if (norm := network.norm) is not None:
            normalizers = [
                Normalizer(norm, pair, statistics, layer.normal)
                for pair, statistics, layer in zip_longest(
                    network.affine, network.running, self.hidden
                )
                if layer.normal is not None
            ]
        # Views and bound methods made here rather than at every step.
        products = [matrix.T.dot for matrix in network.matrices]
        functions = [activation.function for activation in network.activations]
        derivatives = [activation.derivative for activation in network.activations]
        kept = [activation.keeps_input for activation in network.activations]
        inner = [layer.h[:-1] for layer in self.hidden]
        self._up = list(
            zip(products, functions, kept, normalizers, inner, self.hidden, strict=False)
        )
        self._top = products[-1]
        below = [matrix[:-1].dot for matrix in network.matrices[1:]]
        self._down = list(zip(below, derivatives, normalizers, self.hidden, strict=True))[::-1]

    def drop(self, rate: float, rng: np.random.Generator) -> None:
        """Draw which hidden activations the following passes leave out."""
        for layer in self.hidden:
            if layer.mask is not None:
                draw_mask(layer.mask, rate, rng)

    def forward(self, x: np.ndarray, outputs: np.ndarray | None = None) -> np.ndarray:
        """Raw outputs (n_outputs, rows) for x (n_inputs + 1, rows), whose last row is ones.

        They are written to `outputs`, which must be contiguous, or to the pass's own.
        """
        for product, function, keeps_input, normalizer, inner, (z, h, delta, _, mask) in self._up:
            if normalizer is None:
                product(x, z)
            else:
                product(x, normalizer.normal)
                normalizer.forward(z, scratch=delta)
            if mask is None:
                function(z, inner)
            else:
                values = inner if keeps_input else z
                function(z, values)
                np.multiply(values, mask, out=inner)
            x = h
        return self._top(x, self.outputs if outputs is None else outputs)

    def backward(self, x: np.ndarray, delta: np.ndarray, gradient: Views) -> np.ndarray:
        """Write the gradient of every parameter, given that of the raw outputs (n_outputs, rows).

        Follows `forward(x)`, whose activations it uses up. Returns the gradient with respect to
        the first layer's affine outputs (n_out, rows).
        """
        matrices, affine = gradient
        layer = len(matrices) - 1
        for product, derivative, normalizer, (z, h, below, _, mask) in self._down:
            h.dot(delta.T, matrices[layer])
            delta = product(delta, below)
            if mask is not None:
                delta *= mask
            derivative(z)
            delta *= z
            layer -= 1
            if normalizer is not None:
                normalizer.backward(delta, z, affine[layer])
        x.dot(delta.T, matrices[0])
        return delta


def outputs(network: Network, x: np.ndarray) -> np.ndarray:
    """Raw outputs (rows, outputs) for x (rows, features), in batches at constant memory."""
    found = np.empty((network.sizes[-1], len(x)), network.parameters.dtype)
    for rows, batch, run in batches(network.folded(), x):
        found[:, rows] = run.forward(batch)
    return found.T


def input_gradient(network: Network, x: np.ndarray) -> np.ndarray:
    """How far each raw output moves with each input: d output_k / d x_j for each row of x.

    (rows, features) -> (rows, outputs, features)
    """
    network, dtype = network.folded(), network.parameters.dtype
    n_in, n_out = network.sizes[0], network.sizes[-1]
    gradient = np.empty((len(x), n_out, n_in), dtype)
    unused = network.split(np.empty_like(network.parameters))
    for rows, batch, run in batches(network, x):
        for output in range(n_out):
            run.forward(batch)
            delta = np.zeros((n_out, batch.shape[1]), dtype)
            delta[output] = 1
            delta = run.backward(batch, delta, unused)
            gradient[rows, output] = (network.matrices[0][:-1] @ delta).T
    return gradient


def batches(network: Network, x: np.ndarray) -> Iterator[tuple[slice, np.ndarray, Pass]]:
    """Batches (features + 1, rows) of x in the network's dtype, over a row of ones, with a pass
    each."""
    if x.ndim != 2 or x.shape[1] != network.sizes[0]:
        raise ValueError(f"x must have shape (rows, {network.sizes[0]}), not {x.shape}")
    size = min(len(x), EVALUATION_ROWS)
    run = Pass(network, size)
    buffer = aligned((size, network.sizes[0] + 1), network.parameters.dtype)
    buffer[:, -1] = 1
    for start in range(0, len(x), EVALUATION_ROWS):
        rows = slice(start, min(start + EVALUATION_ROWS, len(x)))
        batch = buffer[: rows.stop - start]
        batch[:, :-1] = x[rows]
        if len(batch) < size:
            run = Pass(network, len(batch))
        yield rows, batch.T, run

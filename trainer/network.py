"""A multilayer perceptron over one flat vector of parameters.

Inside, arrays are feature-major, (features, rows), and a row of ones under each layer's inputs
folds the bias into the matrix product: against row-major products and a separate addition this
saves 5 to 15 % of a step, and softmax then reduces along long rows.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise, zip_longest
from typing import NamedTuple

import numpy as np

from trainer.activations import Activation
from trainer.initializers import INITIALIZERS
from trainer.norms import EPSILON, Norm, Normalizer
from trainer.regularizers import draw_mask

EVALUATION_ROWS = 1024
"""Rows of a pass outside training: evaluation takes the same memory for any number of rows."""


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An uninitialised array at a multiple of 64 bytes.

    Vectorised kernels may round differently by where an array starts; ours all start alike.
    """
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(size + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """A copy that starts at a multiple of 64 bytes."""
    copy = aligned(array.shape, array.dtype)
    copy[...] = array
    return copy


def parameter_count(sizes: Sequence[int], norm: Norm | None = None) -> int:
    """Numbers in the vector of a network whose layers, inputs and outputs included, have `sizes`.

    They are weights, biases and, with a norm, two or (batch norm) four numbers a hidden unit.
    """
    count = sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))
    if norm is not None:
        count += (4 if norm.running else 2) * sum(sizes[1:-1])
    return count


def initial_parameters(
    sizes: Sequence[int],
    activations: Sequence[Activation],
    initializer: str,
    rng: np.random.Generator,
    norm: Norm | None = None,
) -> np.ndarray:
    """A flat float64 vector of random weights and zero biases; norms start as the identity.

    `"auto"` takes for each layer the initializer of its own activation; the last layer's is the
    identity, so it takes "glorot_uniform".
    """
    parts = []
    suited = [*(activation.initializer for activation in activations), "glorot_uniform"]
    for name, (n_in, n_out) in zip(suited, pairwise(sizes), strict=True):
        draw = INITIALIZERS[name if initializer == "auto" else initializer]
        parts += [draw(n_in, n_out, rng).ravel(), np.zeros(n_out)]
    if norm is not None:
        pairs = [part for n in sizes[1:-1] for part in (np.ones(n), np.zeros(n))]
        statistics = [part for n in sizes[1:-1] for part in (np.zeros(n), np.ones(n))]
        parts += [*pairs, *(statistics if norm.running else [])]
    return np.concatenate(parts)


class Views(NamedTuple):
    """A flat vector seen as what it is made of."""

    matrices: list[np.ndarray]
    """(n_in + 1, n_out) a layer; the last row is the biases."""

    affine: list[tuple[np.ndarray, np.ndarray]]
    """Scale and shift (n,) of each hidden layer's norm; none without one."""


class Network:
    """A multilayer perceptron with no activation at its outputs.

    `sizes` are the inputs, the hidden widths and the outputs; `activations` and, if there is a
    `norm`, a normalisation before each of them, are the hidden layers'. `parameters` is used, not
    copied: the layers, then the norms' scales and shifts, then the running means and variances of
    batch norm, which are not trained.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activations: Sequence[Activation],
        parameters: np.ndarray,
        norm: Norm | None = None,
    ) -> None:
        count = parameter_count(sizes, norm)
        if parameters.shape != (count,):
            raise ValueError(
                f"a network of sizes {tuple(sizes)} has {count} parameters, "
                f"not an array of shape {parameters.shape}"
            )
        if len(activations) != len(sizes) - 2:
            raise ValueError(
                f"a network of sizes {tuple(sizes)} has {len(sizes) - 2} hidden layers, "
                f"not {len(activations)} activations"
            )
        self.sizes = tuple(sizes)
        self.activations = tuple(activations)
        self.norm = norm
        self.parameters = parameters
        self.trainable = count
        """How many of the parameters, from the first, an optimizer may move."""
        self.matrices, self.affine = self.split(parameters)
        self.running: list[tuple[np.ndarray, np.ndarray]] = []
        """Mean and variance (n,) of each hidden layer that batch norm keeps."""
        if norm is not None and norm.running:
            self.trainable = parameter_count(sizes, norm._replace(running=False))
            self.running = self._pairs(parameters[self.trainable :])

    def split(self, flat: np.ndarray) -> Views:
        """Views of a flat vector, with or without its untrained tail."""
        matrices, start = [], 0
        for n_in, n_out in pairwise(self.sizes):
            stop = start + (n_in + 1) * n_out
            matrices.append(flat[start:stop].reshape(n_in + 1, n_out))
            start = stop
        return Views(matrices, [] if self.norm is None else self._pairs(flat[start:]))

    def _pairs(self, flat: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Two views (n,) a hidden layer of n units."""
        pairs, start = [], 0
        for n in self.sizes[1:-1]:
            pairs.append((flat[start : start + n], flat[start + n : start + 2 * n]))
            start += 2 * n
        return pairs

    def weight_ranges(self) -> list[tuple[int, int]]:
        """Where in a flat vector each layer's weights, without the biases, start and stop."""
        ends = accumulate((n_in + 1) * n_out for n_in, n_out in pairwise(self.sizes))
        return [
            (end - (n_in + 1) * n_out, end - n_out)
            for end, (n_in, n_out) in zip(ends, pairwise(self.sizes), strict=True)
        ]

    def folded(self) -> "Network":
        """The network in use: batch norm by its running statistics is part of the matrices.

        Itself where there is no batch norm.
        """
        if not self.running:
            return self
        count = parameter_count(self.sizes)
        network = Network(self.sizes, self.activations, aligned_copy(self.parameters[:count]))
        for matrix, (scale, shift), (mean, variance) in zip(
            network.matrices, self.affine, self.running, strict=False
        ):
            factor = scale / np.sqrt(variance + EPSILON)
            matrix *= factor
            matrix[-1] += shift - mean * factor
        return network

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Raw outputs (rows, outputs) for x (rows, features), in batches at constant memory."""
        outputs = np.empty((self.sizes[-1], len(x)), self.parameters.dtype)
        for rows, batch, run in self.folded().batches(x):
            outputs[:, rows] = run.forward(batch)
        return outputs.T

    def input_gradient(self, x: np.ndarray) -> np.ndarray:
        """How far each raw output moves with each input: d output_k / d x_j for each row of x.

        (rows, features) -> (rows, outputs, features)
        """
        network, dtype = self.folded(), self.parameters.dtype
        n_in, n_out = self.sizes[0], self.sizes[-1]
        gradient = np.empty((len(x), n_out, n_in), dtype)
        unused = network.split(np.empty_like(network.parameters))
        for rows, batch, run in network.batches(x):
            for output in range(n_out):
                run.forward(batch)
                delta = np.zeros((n_out, batch.shape[1]), dtype)
                delta[output] = 1
                delta = run.backward(batch, delta, unused)
                gradient[rows, output] = (network.matrices[0][:-1] @ delta).T
        return gradient

    def batches(self, x: np.ndarray) -> Iterator[tuple[slice, np.ndarray, "Pass"]]:
        """Batches (features + 1, rows) of x in our dtype, over a row of ones, with a pass each."""
        if x.ndim != 2 or x.shape[1] != self.sizes[0]:
            raise ValueError(f"x must have shape (rows, {self.sizes[0]}), not {x.shape}")
        size = min(len(x), EVALUATION_ROWS)
        whole = Pass.allocate(self, size)
        buffer = aligned((size, self.sizes[0] + 1), self.parameters.dtype)
        buffer[:, -1] = 1
        for start in range(0, len(x), EVALUATION_ROWS):
            rows = slice(start, min(start + EVALUATION_ROWS, len(x)))
            batch = buffer[: rows.stop - start]
            batch[:, :-1] = x[rows]
            yield rows, batch.T, whole.narrow(len(batch))


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

    def narrow(self, rows: int) -> "Hidden":
        """The same memory for fewer rows."""
        z, h, delta, normal, mask = self
        return Hidden(
            z[:, :rows],
            h[:, :rows],
            delta[:, :rows],
            None if normal is None else normal[:, :rows],
            # Contiguous, which a generator of random numbers asks for.
            None if mask is None else mask.ravel()[: len(mask) * rows].reshape(len(mask), rows),
        )


class Pass:
    """A forward and a backward pass of one number of rows, in buffers that are used again.

    Under batch norm it normalises by these rows and moves the network's running statistics.
    """

    def __init__(
        self, network: Network, hidden: list[Hidden], outputs: np.ndarray, delta: np.ndarray
    ) -> None:
        self.network, self.hidden, self.outputs, self.delta = network, hidden, outputs, delta
        normalizers: list[Normalizer | None] = [None] * len(hidden)
        if (norm := network.norm) is not None:
            normalizers = [
                Normalizer(norm, pair, statistics, layer.normal)
                for pair, statistics, layer in zip_longest(network.affine, network.running, hidden)
                if layer.normal is not None
            ]
        # Views made here rather than at every step.
        transposed = [matrix.T for matrix in network.matrices]
        functions = [activation.function for activation in network.activations]
        derivatives = [activation.derivative for activation in network.activations]
        kept = [activation.keeps_input for activation in network.activations]
        inner = [layer.h[:-1] for layer in hidden]
        self._up = list(zip(transposed, functions, kept, normalizers, inner, hidden, strict=False))
        self._top = transposed[-1]
        weights = [matrix[:-1] for matrix in network.matrices[1:]]
        self._down = list(zip(weights, derivatives, normalizers, hidden, strict=True))[::-1]

    @classmethod
    def allocate(cls, network: Network, rows: int, dropout: bool = False) -> "Pass":
        """A pass with buffers of its own; `dropout` if `drop` will be called."""
        hidden = [
            Hidden.allocate(network, layer, rows, dropout)
            for layer in range(len(network.sizes) - 2)
        ]
        shape, dtype = (network.sizes[-1], rows), network.parameters.dtype
        return cls(network, hidden, aligned(shape, dtype), aligned(shape, dtype))

    def narrow(self, rows: int) -> "Pass":
        """A pass of fewer rows in the same buffers."""
        return Pass(
            self.network,
            [layer.narrow(rows) for layer in self.hidden],
            self.outputs[:, :rows],
            self.delta[:, :rows],
        )

    def drop(self, rate: float, rng: np.random.Generator) -> None:
        """Draw which hidden activations the following passes leave out."""
        for layer in self.hidden:
            if layer.mask is not None:
                draw_mask(layer.mask, rate, rng)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Raw outputs (n_outputs, rows) for x (n_inputs + 1, rows), whose last row is ones."""
        for matrix, function, keeps_input, normalizer, inner, (z, h, delta, _, mask) in self._up:
            if normalizer is None:
                np.matmul(matrix, x, out=z)
            else:
                np.matmul(matrix, x, out=normalizer.normal)
                normalizer.forward(z, scratch=delta)
            if mask is None:
                function(z, inner)
            else:
                values = inner if keeps_input else z
                function(z, values)
                np.multiply(values, mask, out=inner)
            x = h
        return np.matmul(self._top, x, out=self.outputs)

    def backward(self, x: np.ndarray, delta: np.ndarray, gradient: Views) -> np.ndarray:
        """Write the gradient of every parameter, given that of the raw outputs (n_outputs, rows).

        Follows `forward(x)`, whose activations it uses up. Returns the gradient with respect to
        the first layer's affine outputs (n_out, rows).
        """
        matrices, affine = gradient
        layer = len(matrices) - 1
        for weights, derivative, normalizer, (z, h, below, _, mask) in self._down:
            np.matmul(h, delta.T, out=matrices[layer])
            delta = np.matmul(weights, delta, out=below)
            if mask is not None:
                delta *= mask
            derivative(z)
            delta *= z
            layer -= 1
            if normalizer is not None:
                normalizer.backward(delta, z, affine[layer])
        np.matmul(x, delta.T, out=matrices[0])
        return delta

"""A multilayer perceptron over one flat vector of parameters.

Inside, arrays are feature-major, (features, rows), and a row of ones under each layer's inputs
folds the bias into the matrix product: against row-major products and a separate addition this
saves 5 to 15 % of a step, and softmax then reduces along long rows.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np

from trainer.activations import Activation
from trainer.initializers import INITIALIZERS

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


def parameter_count(sizes: Sequence[int]) -> int:
    """Weights and biases of a network whose layers, inputs and outputs included, have `sizes`."""
    return sum((n_in + 1) * n_out for n_in, n_out in pairwise(sizes))


def initial_parameters(
    sizes: Sequence[int], activation: Activation, initializer: str, rng: np.random.Generator
) -> np.ndarray:
    """A flat float64 vector of random weights and zero biases.

    `"auto"` takes for each layer the initializer of its own activation; the last layer's is the
    identity, so it takes "glorot_uniform".
    """
    layers = []
    for layer, (n_in, n_out) in enumerate(pairwise(sizes), start=2):
        suited = activation.initializer if layer < len(sizes) else "glorot_uniform"
        draw = INITIALIZERS[suited if initializer == "auto" else initializer]
        layers += [draw(n_in, n_out, rng).ravel(), np.zeros(n_out)]
    return np.concatenate(layers)


class Network:
    """A multilayer perceptron with one activation in its hidden layers and none at its outputs.

    `sizes` are the inputs, the hidden widths and the outputs. `parameters` is used, not copied.
    """

    def __init__(
        self, sizes: Sequence[int], activation: Activation, parameters: np.ndarray
    ) -> None:
        if parameters.shape != (parameter_count(sizes),):
            raise ValueError(
                f"a network of sizes {tuple(sizes)} has {parameter_count(sizes)} parameters, "
                f"not an array of shape {parameters.shape}"
            )
        self.sizes = tuple(sizes)
        self.activation = activation
        self.parameters = parameters
        self.matrices = self.split(parameters)

    def split(self, flat: np.ndarray) -> list[np.ndarray]:
        """Views (n_in + 1, n_out) of a flat vector, one a layer; the last row is the biases."""
        views, start = [], 0
        for n_in, n_out in pairwise(self.sizes):
            stop = start + (n_in + 1) * n_out
            views.append(flat[start:stop].reshape(n_in + 1, n_out))
            start = stop
        return views

    def weight_ranges(self) -> list[tuple[int, int]]:
        """Where in a flat vector each layer's weights, without the biases, start and stop."""
        ends = accumulate((n_in + 1) * n_out for n_in, n_out in pairwise(self.sizes))
        return [
            (end - (n_in + 1) * n_out, end - n_out)
            for end, (n_in, n_out) in zip(ends, pairwise(self.sizes), strict=True)
        ]

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Raw outputs (rows, outputs) for x (rows, features), in batches at constant memory."""
        outputs = np.empty((self.sizes[-1], len(x)), self.parameters.dtype)
        for rows, batch, run in self._batches(x):
            outputs[:, rows] = run.forward(batch)
        return outputs.T

    def input_gradient(self, x: np.ndarray) -> np.ndarray:
        """How far each raw output moves with each input: d output_k / d x_j for each row of x.

        (rows, features) -> (rows, outputs, features)
        """
        n_in, n_out = self.sizes[0], self.sizes[-1]
        dtype = self.parameters.dtype
        gradient = np.empty((len(x), n_out, n_in), dtype)
        unused = self.split(np.empty_like(self.parameters))
        for rows, batch, run in self._batches(x):
            for output in range(n_out):
                run.forward(batch)
                delta = np.zeros((n_out, batch.shape[1]), dtype)
                delta[output] = 1
                delta = run.backward(batch, delta, unused)
                gradient[rows, output] = (self.matrices[0][:-1] @ delta).T
        return gradient

    def _batches(self, x: np.ndarray) -> Iterator[tuple[slice, np.ndarray, "Pass"]]:
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


class Pass:
    """A forward and a backward pass of one number of rows, in buffers that are used again.

    For a layer, `z` (n_out, rows) are the pre-activations, `h` (n_out + 1, rows) the activations
    over a row of ones, and `delta` (n_out, rows) the gradient with respect to z.
    """

    def __init__(
        self,
        network: Network,
        zs: list[np.ndarray],
        hs: list[np.ndarray],
        deltas: list[np.ndarray],
    ) -> None:
        self.network = network
        self.zs, self.hs, self.deltas = zs, hs, deltas
        self.delta = deltas[-1]
        # Views made here rather than at every step.
        transposed = [matrix.T for matrix in network.matrices]
        self._up = list(zip(transposed, zs, [h[:-1] for h in hs], hs, strict=False))
        self._top = transposed[-1]
        weights = [matrix[:-1] for matrix in network.matrices]
        self._down = list(zip(hs, weights[1:], zs, deltas, strict=False))[::-1]

    @classmethod
    def allocate(cls, network: Network, rows: int) -> "Pass":
        """A pass with buffers of its own."""
        dtype, (_, *hidden, n_outputs) = network.parameters.dtype, network.sizes
        hs = [aligned((n + 1, rows), dtype) for n in hidden]
        for h in hs:
            h[-1] = 1
        if network.activation.keeps_input:
            zs = [aligned((n, rows), dtype) for n in hidden]
        else:
            zs = [h[:-1] for h in hs]
        zs.append(aligned((n_outputs, rows), dtype))
        return cls(network, zs, hs, [aligned((n, rows), dtype) for n in (*hidden, n_outputs)])

    def narrow(self, rows: int) -> "Pass":
        """A pass of fewer rows in the same buffers."""
        first = slice(rows)
        return Pass(
            self.network,
            [z[:, first] for z in self.zs],
            [h[:, first] for h in self.hs],
            [delta[:, first] for delta in self.deltas],
        )

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Raw outputs (n_outputs, rows) for x (n_inputs + 1, rows), whose last row is ones."""
        function = self.network.activation.function
        for matrix, z, values, h in self._up:
            np.matmul(matrix, x, out=z)
            function(z, values)
            x = h
        return np.matmul(self._top, x, out=self.zs[-1])

    def backward(self, x: np.ndarray, delta: np.ndarray, gradient: list[np.ndarray]) -> np.ndarray:
        """Write the gradient of every layer, given that of the raw outputs (n_outputs, rows).

        Follows `forward(x)`, whose activations it uses up. Returns the gradient with respect to
        the first layer's pre-activations (n_out, rows).
        """
        derivative = self.network.activation.derivative
        for (h, weights, z, below), out in zip(self._down, gradient[:0:-1], strict=True):
            np.matmul(h, delta.T, out=out)
            delta = np.matmul(weights, delta, out=below)
            derivative(z)
            delta *= z
        np.matmul(x, delta.T, out=gradient[0])
        return delta

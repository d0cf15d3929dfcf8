"""A multilayer perceptron over one flat vector of parameters."""

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np

from trainer.activations import Activation
from trainer.initializers import INITIALIZERS
from trainer.memory import aligned_copy, zeros
from trainer.norms import EPSILON, Norm


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
    dtype: str = "float64",
) -> np.ndarray:
    """A flat vector of random weights and zero biases; norms start as the identity.

    `"auto"` takes for each layer the initializer of its own activation; the last layer's is the
    identity, so it takes "glorot_uniform". Weights are drawn in float64, a layer at a time.
    """
    flat = zeros((parameter_count(sizes, norm),), np.dtype(dtype))
    suited = [*(activation.initializer for activation in activations), "glorot_uniform"]
    start = 0
    for name, (n_in, n_out) in zip(suited, pairwise(sizes), strict=True):
        draw = INITIALIZERS[name if initializer == "auto" else initializer]
        flat[start : start + n_in * n_out] = draw(n_in, n_out, rng).ravel()
        start += (n_in + 1) * n_out
    if norm is not None:
        for n in sizes[1:-1]:
            flat[start : start + n] = 1  # scales, then shifts
            start += 2 * n
        for n in sizes[1:-1] if norm.running else ():
            flat[start + n : start + 2 * n] = 1  # means, then variances
            start += 2 * n
    return flat


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

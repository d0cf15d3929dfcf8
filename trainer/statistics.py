"""What each layer did in an epoch, for those who ask: dead units, exploding gradients."""

import math
from dataclasses import dataclass

import numpy as np

from trainer.network import Network
from trainer.passes import Pass


@dataclass(frozen=True, slots=True)
class LayerStatistics:
    """One layer over the rows and steps of an epoch, as it was trained on them."""

    activation_mean: float

    activation_std: float
    """Over rows and units together; of the raw outputs in the last layer."""

    dead: float
    """Share of the units that gave the same value for every row."""

    weight_norm: float
    """After the epoch, of the weights without the biases."""

    gradient_norm: float
    """Root mean square over the steps, weights and biases, penalties included, before clipping."""


class Statistics:
    """Gathers the statistics of an epoch from its steps, in float64."""

    def __init__(self, network: Network) -> None:
        self.network = network
        widths = network.sizes[1:]
        self.count = self.steps = 0
        self.sums = [0.0] * len(widths)
        self.squares = [0.0] * len(widths)
        self.gradients = [0.0] * len(widths)
        self.lowest = [np.full(n, np.inf) for n in widths]
        self.highest = [np.full(n, -np.inf) for n in widths]

    def add_activations(self, run: Pass, outputs: np.ndarray) -> None:
        """Take in a forward pass and its raw outputs (outputs, rows), before its backward pass."""
        for layer, values in enumerate((*(hidden.h[:-1] for hidden in run.hidden), outputs)):
            self.sums[layer] += float(values.sum(dtype=np.float64))
            self.squares[layer] += float(np.square(values, dtype=np.float64).sum())
            np.minimum(self.lowest[layer], values.min(axis=1), out=self.lowest[layer])
            np.maximum(self.highest[layer], values.max(axis=1), out=self.highest[layer])
        self.count += outputs.shape[1]

    def add_gradients(self, matrices: list[np.ndarray]) -> None:
        """Take in each layer's gradient (n_in + 1, n_out)."""
        for layer, gradient in enumerate(matrices):
            self.gradients[layer] += float(np.vdot(gradient, gradient))
        self.steps += 1

    def layers(self) -> tuple[LayerStatistics, ...]:
        """From the first hidden layer to the outputs."""
        return tuple(self._layer(layer) for layer in range(len(self.sums)))

    def _layer(self, layer: int) -> LayerStatistics:
        numbers = self.count * self.network.sizes[layer + 1]
        mean = self.sums[layer] / numbers
        weights = self.network.matrices[layer][:-1]
        return LayerStatistics(
            activation_mean=mean,
            activation_std=math.sqrt(max(self.squares[layer] / numbers - mean * mean, 0.0)),
            dead=float((self.lowest[layer] == self.highest[layer]).mean()),
            weight_norm=math.sqrt(np.square(weights, dtype=np.float64).sum()),
            gradient_norm=math.sqrt(self.gradients[layer] / self.steps),
        )

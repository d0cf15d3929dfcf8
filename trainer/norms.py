"""Normalisation of a layer's pre-activations, forward and back, in buffers that are used again."""

from typing import NamedTuple

import numpy as np

EPSILON = 1e-5
"""Added to a variance before its root is taken."""

RENEWAL = 0.1
"""Share of a batch's own mean and variance in the running ones after it."""


class Norm(NamedTuple):
    """What of the pre-activations (units, rows) is brought to mean 0 and variance 1."""

    axis: int
    """1 is each unit over the rows of a batch, 0 is each row over the units of a layer."""

    running: bool
    """Whether the means and variances over the training stand in for those of a batch in use."""


NORMS = {
    "batch": Norm(axis=1, running=True),  # Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1
    "layer": Norm(axis=0, running=False),  # Ba, Kiros and Hinton 2016, arXiv:1607.06450, eq. 4
}


class Normalizer:
    """y = scale (z - mean) / sqrt(variance + epsilon) + shift of one layer in one pass.

    `scale` and `shift` (units,) are learned; `running` are the mean and the variance (units,) that
    a batch norm keeps, moved by every `forward` in PyTorch's way: the variance that it keeps is
    the unbiased one, of divisor rows - 1.
    """

    def __init__(
        self,
        norm: Norm,
        affine: tuple[np.ndarray, np.ndarray],
        running: tuple[np.ndarray, np.ndarray] | None,
        normal: np.ndarray,
    ) -> None:
        self.axis = norm.axis
        self.normal = normal
        self.scale, self.shift = (vector[:, np.newaxis] for vector in affine)
        self.running = running
        self.inverse = normal[:0]

    def forward(self, y: np.ndarray, scratch: np.ndarray) -> None:
        """Write y (units, rows), given the pre-activations in `normal`, which it normalises."""
        normal = self.normal
        mean = self._mean(normal)
        normal -= mean
        np.square(normal, out=scratch)
        variance = self._mean(scratch)
        if self.running is not None:
            rows = normal.shape[1]
            self._renew(mean[:, 0], variance[:, 0] * (rows / max(rows - 1, 1)))
        variance += EPSILON
        self.inverse = 1 / np.sqrt(variance)
        normal *= self.inverse
        np.multiply(normal, self.scale, out=y)
        y += self.shift

    def _mean(self, values: np.ndarray) -> np.ndarray:
        # Half the time of `values.mean` on small arrays.
        total: np.ndarray = np.add.reduce(values, axis=self.axis, keepdims=True)
        total *= 1 / values.shape[self.axis]
        return total

    def _renew(self, *batch: np.ndarray) -> None:
        assert self.running is not None
        for kept, fresh in zip(self.running, batch, strict=True):
            kept *= 1 - RENEWAL
            kept += RENEWAL * fresh

    def backward(
        self, delta: np.ndarray, scratch: np.ndarray, gradient: tuple[np.ndarray, np.ndarray]
    ) -> None:
        """Overwrite `delta` (units, rows), the gradient for y, with that for the pre-activations.

        Writes the gradient of scale and shift (units,). With n the normalised pre-activations and
        d = scale delta, the result is (d - mean(d) - n mean(d n)) / sqrt(variance + epsilon).
        """
        scale_gradient, shift_gradient = gradient
        np.multiply(delta, self.normal, out=scratch)
        np.add.reduce(scratch, axis=1, out=scale_gradient)
        np.add.reduce(delta, axis=1, out=shift_gradient)
        delta *= self.scale
        scratch *= self.scale
        np.multiply(self.normal, self._mean(scratch), out=scratch)
        delta -= self._mean(delta)
        delta -= scratch
        delta *= self.inverse

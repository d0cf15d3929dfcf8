"""The course of a loss over the epochs, in numbers that do not depend on its unit."""

import math
from dataclasses import dataclass

import numpy as np

FEW = 3
"""Epochs that a trend takes, at least."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The losses of successive epochs."""

    losses: np.ndarray
    """(epochs,), finite."""

    unit: float | None = None
    """What a change is measured by at least, of a loss whose 0 means nothing; None measures it by
    the loss itself."""

    @property
    def best(self) -> int:
        """Where the least loss first was."""
        return int(self.losses.argmin())

    @property
    def scale(self) -> float:
        """What a change of the loss is measured by; above 0."""
        least = float(self.losses.min())
        size = abs(least) if self.unit is None else self.unit
        return max(size, float(self.losses[0]) - least, float(np.finfo(np.float64).tiny))

    @property
    def improvement(self) -> float:
        """From the first loss to the least, of the scale."""
        return float(self.losses[0] - self.losses.min()) / self.scale

    @property
    def rise(self) -> float:
        """From the least mean of a tenth of the epochs to that of the last tenth, of the scale."""
        window = self._tenth
        # Not the least loss: of a noisy curve, that is below any mean.
        means = np.lib.stride_tricks.sliding_window_view(self.losses, window).mean(axis=1)
        return (self.end - float(means.min())) / self.scale

    @property
    def end(self) -> float:
        """Mean of the last tenth."""
        return float(self.losses[-self._tenth :].mean())

    @property
    def _tenth(self) -> int:
        return max(1, len(self.losses) // 10)

    def trend(self) -> tuple[float, float]:
        """How far a line through the second half falls, and the scatter around it, of the scale."""
        half = self.losses[-max(FEW, len(self.losses) // 2) :]
        if len(half) < FEW:
            return math.nan, math.nan
        t = np.linspace(-1, 1, len(half))
        slope = float(t @ half / (t @ t))
        rest = half - half.mean() - slope * t
        return -2 * slope / self.scale, float(rest.std()) / self.scale

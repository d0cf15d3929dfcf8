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

    @property
    def best(self) -> int:
        """Where the least loss first was."""
        return int(self.losses.argmin())

    @property
    def scale(self) -> float:
        """What a change of the loss is measured by; above 0."""
        least = float(self.losses.min())
        size = max(abs(least), float(self.losses[0]) - least)
        return max(size, float(np.finfo(np.float64).tiny))

    @property
    def improvement(self) -> float:
        """From the first loss to the least, of the scale."""
        return float(self.losses[0] - self.losses.min()) / self.scale

    @property
    def rise(self) -> float:
        """From the least loss to the mean of the last tenth, of the scale."""
        return (self.end - float(self.losses.min())) / self.scale

    @property
    def end(self) -> float:
        """Mean of the last tenth."""
        return float(self.losses[-max(1, len(self.losses) // 10) :].mean())

    def trend(self) -> tuple[float, float]:
        """How far a line through the second half falls, and the scatter around it, of the scale."""
        half = self.losses[-max(FEW, len(self.losses) // 2) :]
        if len(half) < FEW:
            return math.nan, math.nan
        t = np.linspace(-1, 1, len(half))
        slope = float(t @ half / (t @ t))
        rest = half - half.mean() - slope * t
        return -2 * slope / self.scale, float(rest.std()) / self.scale

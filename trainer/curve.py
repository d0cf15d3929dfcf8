"""The course of losses over the epochs, in numbers that do not depend on their unit."""

from dataclasses import dataclass

import numpy as np

FEW = 3
"""Epochs that a trend takes, at least."""


@dataclass(frozen=True, slots=True)
class Curves:
    """The losses of successive epochs of some trainings; each number of theirs is (trainings,)."""

    losses: np.ndarray
    """(trainings, epochs), finite."""

    unit: float | None = None
    """What a change is measured by at least, of a loss whose 0 means nothing; None measures it by
    the loss itself."""

    @property
    def best(self) -> np.ndarray:
        """Where the least loss first was."""
        return np.asarray(self.losses.argmin(axis=1))

    @property
    def first(self) -> np.ndarray:
        return np.asarray(self.losses[:, 0])

    @property
    def least(self) -> np.ndarray:
        return np.asarray(self.losses.min(axis=1))

    @property
    def scale(self) -> np.ndarray:
        """What a change of the loss is measured by; above 0."""
        size = np.abs(self.least) if self.unit is None else self.unit
        tiny = float(np.finfo(np.float64).tiny)
        return np.asarray(np.maximum(np.maximum(size, self.first - self.least), tiny))

    @property
    def improvement(self) -> np.ndarray:
        """From the first loss to the least, of the scale."""
        return np.asarray((self.first - self.least) / self.scale)

    @property
    def rise(self) -> np.ndarray:
        """From the least mean of a tenth of the epochs to that of the last tenth, of the scale."""
        # Not the least loss: of a noisy curve, that is below any mean.
        windows = np.lib.stride_tricks.sliding_window_view(self.losses, self._tenth, axis=1)
        return np.asarray((self.end - windows.mean(axis=2).min(axis=1)) / self.scale)

    @property
    def end(self) -> np.ndarray:
        """Mean of the last tenth."""
        return np.asarray(self.losses[:, -self._tenth :].mean(axis=1))

    @property
    def _tenth(self) -> int:
        return max(1, int(self.losses.shape[1]) // 10)

    def at(self, places: np.ndarray) -> np.ndarray:
        """The loss of each training at its place."""
        return np.asarray(self.losses[np.arange(len(places)), places])

    def trend(self) -> tuple[np.ndarray, np.ndarray]:
        """How far a line through the second half falls, and the scatter around it, of the scale;
        NaN of fewer than FEW epochs."""
        half = self.losses[:, -max(FEW, self.losses.shape[1] // 2) :]
        if half.shape[1] < FEW:
            unknown = np.full(len(half), np.nan)
            return unknown, unknown
        t = np.linspace(-1, 1, half.shape[1])
        slope = np.vecdot(half, t) / (t @ t)
        rest = half - half.mean(axis=1, keepdims=True) - slope[:, None] * t
        return -2 * slope / self.scale, rest.std(axis=1) / self.scale

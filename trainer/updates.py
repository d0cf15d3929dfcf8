"""What follows the gradient of a loss: penalties, then the optimizer, a block at a time.

Passes over a vector of parameters are bound by memory; a block stays in cache for all of them.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from trainer.config import TrainConfig
from trainer.memory import BLOCK, aligned, blocks
from trainer.network import Network
from trainer.optimizers import OPTIMIZERS
from trainer.regularizers import Factor, penalize

Penalized = tuple[np.ndarray, np.ndarray, np.ndarray, Factor | None, Factor | None]
"""Parameters, their gradient, scratch space and the factors of `regularizers.penalize`."""


class Block(NamedTuple):
    """Views of a part of the trainable parameters, made once."""

    parameters: np.ndarray
    gradient: np.ndarray
    moments: dict[str, np.ndarray]

    weights: list[np.ndarray]
    """Those of the parameters that are neither biases nor a norm's."""

    penalized: list[Penalized]


class Updates:
    """The penalties and the updates of one training, of memory that the caller shares."""

    def __init__(
        self,
        config: TrainConfig,
        network: Network,
        gradient: np.ndarray,
        moments: Mapping[str, np.ndarray],
    ) -> None:
        self.config, self.network, self.gradient, self.moments = config, network, gradient, moments
        if config.optimizer != "lbfgs":
            optimizer = OPTIMIZERS[config.optimizer]
            self._update = partial(optimizer.update, **config.options(optimizer.options))
            self._decays = optimizer.decoupled and config.weight_decay > 0
        scratch = aligned((min(BLOCK, gradient.size),), gradient.dtype)
        self.blocks = [self._block(block, scratch) for block in blocks(gradient.size)]

    def _block(self, block: slice, scratch: np.ndarray) -> Block:
        parameters, gradient = self.network.parameters[block], self.gradient[block]
        weights = [
            slice(max(start, block.start) - block.start, min(stop, block.stop) - block.start)
            for start, stop in self.network.weight_ranges()
            if start < block.stop and block.start < stop
        ]
        l1, l2 = self.config.l1 or None, self.config.l2 or None
        penalized: list[Penalized] = []
        if (l1 or l2) and gradient.size == self.gradient.size:
            # A small network: factors of 0 for its biases cost less than a call for each layer.
            mask = np.zeros_like(parameters)
            for part in weights:
                mask[part] = 1
            penalized = [(parameters, gradient, scratch, l1 and l1 * mask, l2 and l2 * mask)]
        elif l1 or l2:
            penalized = [
                (parameters[part], gradient[part], scratch[: part.stop - part.start], l1, l2)
                for part in weights
            ]
        return Block(
            parameters,
            gradient,
            {name: moment[block] for name, moment in self.moments.items()},
            [parameters[part] for part in weights],
            penalized,
        )

    def penalize_and_move(self, step: int, learning_rate: float) -> float:
        """One update; the square of the gradient's norm, penalties included."""
        square = 0.0
        for block in self.blocks:
            square += _penalize(block)
            self._move(block, step, learning_rate)
        return square

    def penalize(self) -> float:
        """Add the gradient of the penalties; the square of the norm then."""
        return math.fsum(map(_penalize, self.blocks))

    def move(self, step: int, learning_rate: float) -> None:
        """One update along the gradient as it is, which is used up."""
        for block in self.blocks:
            self._move(block, step, learning_rate)

    def _move(self, block: Block, step: int, learning_rate: float) -> None:
        if self._decays:
            for weights in block.weights:
                weights *= 1 - learning_rate * self.config.weight_decay
        self._update(
            block.parameters,
            block.gradient,
            block.moments,
            step=step,
            learning_rate=learning_rate,
        )

    def penalty(self) -> float:
        """What the penalties add to the loss."""
        l1, l2 = self.config.l1, self.config.l2
        return math.fsum(
            l1 * float(np.absolute(weights).sum()) + l2 / 2 * float(np.dot(weights, weights))
            for block in self.blocks
            for weights in block.weights
            if l1 or l2
        )


def _penalize(block: Block) -> float:
    for penalized in block.penalized:
        penalize(*penalized)
    return float(block.gradient.dot(block.gradient))

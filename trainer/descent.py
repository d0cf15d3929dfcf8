"""The inner loop: one epoch of steps over memory that is laid out once."""

import math
from collections.abc import Mapping

import numpy as np

from trainer.config import TrainConfig
from trainer.dataset import Dataset, encode
from trainer.losses import LOSSES
from trainer.network import Pass, aligned, aligned_copy
from trainer.optimizers import OPTIMIZERS
from trainer.prediction import build_network, judge

GATHER_ROWS = 4096
"""Rows shuffled at a time: converting their dtype then needs no second copy of the data."""

BLOCK = 32_768
"""Parameters updated at a time: an update passes over them ten times, and these stay in cache."""


class Descent:
    """The working memory of one training: copies of what it starts from, and every buffer."""

    def __init__(
        self,
        config: TrainConfig,
        dataset: Dataset,
        parameters: np.ndarray,
        moments: Mapping[str, np.ndarray],
        steps: int,
    ) -> None:
        self.config, self.dataset = config, dataset
        self.loss = LOSSES[config.loss].function
        self.update = OPTIMIZERS[config.optimizer].update

        self.steps = steps
        self.parameters = aligned_copy(parameters)
        self.moments = {name: aligned_copy(moment) for name, moment in moments.items()}
        n_inputs, n_outputs = dataset.n_inputs, dataset.n_outputs
        self.network = build_network(config, self.parameters, n_inputs, n_outputs)
        self.gradient = aligned(parameters.shape, parameters.dtype)
        self.gradients = self.network.split(self.gradient)
        self._lay_out_blocks()

        rows = len(dataset.train.x)
        self.batch_size = min(config.batch_size, rows)
        self.whole = Pass.allocate(self.network, self.batch_size)
        self.last = self.whole.narrow(rows % self.batch_size)
        self.inputs = aligned((rows, n_inputs + 1), parameters.dtype)
        self.inputs[:, -1] = 1
        self.targets = aligned((n_outputs, rows), parameters.dtype)
        self.validation_targets = aligned((n_outputs, len(dataset.validation.x)), parameters.dtype)
        encode(dataset.validation.y, self.validation_targets)

    def _lay_out_blocks(self) -> None:
        self.blocks = [
            (
                self.parameters[block],
                self.gradient[block],
                {name: moment[block] for name, moment in self.moments.items()},
            )
            for block in _blocks(0, self.parameters.size)
        ]
        scratch = aligned((BLOCK,), self.parameters.dtype)
        self.penalized = [
            (self.parameters[block], self.gradient[block], scratch[: block.stop - block.start])
            for start, stop in self.network.weight_ranges()
            for block in _blocks(start, stop)
            if self.config.l2
        ]

    def run_epoch(self, order: np.ndarray, learning_rate: float) -> tuple[float, float]:
        """A step for each batch of the training rows in this order.

        Returns the mean loss and the root mean square of the gradient's norm. The loss is not
        finite if it, a gradient or a parameter stopped being so; the epoch then ends early.
        """
        self._shuffle(order)
        total = squares = 0.0
        steps = 0
        for start in range(0, len(order), self.batch_size):
            batch = slice(start, start + self.batch_size)
            loss, square = self._step(
                self.whole if batch.stop <= len(order) else self.last,
                self.inputs[batch].T,
                self.targets[:, batch],
                learning_rate,
            )
            total += loss
            squares += square
            steps += 1
            if not math.isfinite(total + squares):
                break
        if not (math.isfinite(squares) and np.isfinite(self.parameters).all()):
            total = math.nan
        for vector in (self.parameters, *self.moments.values()):
            _flush_subnormals(vector)
        return total / len(order), math.sqrt(squares / steps)

    def _shuffle(self, order: np.ndarray) -> None:
        """Copy the training rows in this order, so that every batch is contiguous."""
        x, y = self.dataset.train
        for start in range(0, len(order), GATHER_ROWS):
            rows = slice(start, start + GATHER_ROWS)
            self.inputs[rows, :-1] = x.take(order[rows], axis=0)
            encode(y.take(order[rows], axis=0), self.targets[:, rows])

    def _step(
        self, run: Pass, x: np.ndarray, targets: np.ndarray, learning_rate: float
    ) -> tuple[float, float]:
        """One update; the loss summed over the rows and the square of the gradient's norm."""
        loss = self.loss(run.forward(x), targets, run.delta)
        run.backward(x, run.delta, self.gradients)
        for weights, gradient, scratch in self.penalized:
            np.multiply(weights, self.config.l2, out=scratch)
            gradient += scratch
        square = float(np.dot(self.gradient, self.gradient))
        self.steps += 1
        for parameters, gradient, moments in self.blocks:
            self.update(
                parameters,
                gradient,
                moments,
                step=self.steps,
                learning_rate=learning_rate,
                momentum=self.config.momentum,
            )
        return loss * x.shape[1], square

    def validate(self) -> tuple[float, float]:
        """Loss and metric of the validation rows; outputs that are not finite score NaN."""
        x, y = self.dataset.validation
        outputs = self.network.outputs(x)
        return judge(self.config, self.dataset, outputs, y, self.validation_targets)


def _blocks(start: int, stop: int) -> list[slice]:
    return [slice(i, min(i + BLOCK, stop)) for i in range(start, stop, BLOCK)]


def _flush_subnormals(vector: np.ndarray) -> None:
    """Set to zero what is about to become subnormal, where arithmetic is many times slower.

    The weights and moments of a dead ReLU decay there and would stay: on the digits, an epoch
    with l2 then took seven times as long.
    """
    limits = np.finfo(vector.dtype)
    vector[np.absolute(vector) < limits.tiny / limits.eps] = 0

"""The inner loop: one epoch of steps over memory that is laid out once."""

import math

import numpy as np

from trainer import regularizers
from trainer.config import TrainConfig
from trainer.dataset import Dataset, encode, row_weights
from trainer.lbfgs import lbfgs
from trainer.network import Pass, aligned, aligned_copy
from trainer.optimizers import OPTIMIZERS
from trainer.prediction import build_network, judge, loss_function
from trainer.state import TrainState
from trainer.statistics import Statistics

GATHER_ROWS = 1024
"""Rows shuffled at a time: they stay in cache, and converting their dtype needs no second copy of
the data."""

BLOCK = 32_768
"""Parameters updated at a time: an update passes over them ten times, and these stay in cache."""


class Descent:
    """The working memory of one training: copies of what it starts from, and every buffer."""

    def __init__(self, config: TrainConfig, dataset: Dataset, state: TrainState) -> None:
        self.config, self.dataset = config, dataset
        self.loss = loss_function(config)
        self.steps = state.steps
        self.learning_rate = config.learning_rate
        self.parameters = aligned_copy(state.parameters if state.current is None else state.current)
        self.moments = {name: aligned_copy(moment) for name, moment in state.moments.items()}
        self.average = None if state.average is None else aligned_copy(state.average)
        n_inputs, n_outputs = dataset.n_inputs, dataset.n_outputs
        self.network = build_network(config, self.parameters, n_inputs, n_outputs)
        self.judged = self.network
        """The network that is validated, and kept: of the averaged parameters, if there are any."""
        if self.average is not None:
            self.judged = build_network(config, self.average, n_inputs, n_outputs)
        dtype = self.parameters.dtype
        self.gradient = aligned((self.network.trainable,), dtype)
        self.gradients = self.network.split(self.gradient)
        self.statistics: Statistics | None = None
        self._lay_out_updates()

        rows = len(dataset.train.x)
        self.batch_size = config.batch_rows(rows)
        self.warmup_steps = config.warmup * math.ceil(rows / self.batch_size)
        self.whole = Pass.allocate(self.network, self.batch_size, dropout=config.dropout > 0)
        self.last = self.whole.narrow(rows % self.batch_size)
        self.inputs = aligned((rows, n_inputs + 1), dtype)
        self.inputs[:, -1] = 1
        self.targets = aligned((n_outputs, rows), dtype)
        self.row_weights = row_weights(config, dataset)
        self.weights = None if self.row_weights is None else aligned((rows,), dtype)
        if config.input_dropout:
            self.input_mask = aligned((min(rows, GATHER_ROWS), n_inputs), dtype)
        self.validation_targets = aligned((n_outputs, len(dataset.validation.x)), dtype)
        encode(dataset.validation.y, self.validation_targets)

    def _lay_out_updates(self) -> None:
        """Views of what each step goes through, made once."""
        config, parameters, gradient = self.config, self.parameters, self.gradient
        self.blocks = [
            (
                parameters[block],
                gradient[block],
                {name: moment[block] for name, moment in self.moments.items()},
            )
            for block in _blocks(0, gradient.size)
            if config.optimizer != "lbfgs"
        ]
        weights = [block for ends in self.network.weight_ranges() for block in _blocks(*ends)]
        scratch = aligned((BLOCK,), parameters.dtype)
        self.penalized = [
            (parameters[block], gradient[block], scratch[: block.stop - block.start])
            for block in weights
            if config.l1 or config.l2
        ]
        self.averaged = [
            (parameters[block], self.average[block], scratch[: block.stop - block.start])
            for block in _blocks(0, parameters.size)
            if self.average is not None
        ]
        self.decayed, self.limited = [], []
        if config.optimizer != "lbfgs":
            optimizer = OPTIMIZERS[config.optimizer]
            self.update, self.options = optimizer.update, config.options(optimizer.options)
            if optimizer.decoupled and config.weight_decay:
                self.decayed = [parameters[block] for block in weights]
        if config.max_norm:
            self.limited = [matrix[:-1] for matrix in self.network.matrices[:-1]]

    def run_epoch(
        self, order: np.ndarray, learning_rate: float, rng: np.random.Generator | None
    ) -> tuple[float, float]:
        """A step for each batch of the training rows in this order; dropout draws from `rng`.

        Returns the mean loss and the root mean square of the gradient's norm. The loss is not
        finite if it, a gradient or a parameter stopped being so; the epoch then ends early.
        """
        if self.config.record_layers:
            self.statistics = Statistics(self.network)
        self._shuffle(order, rng)
        total = squares = 0.0
        steps = 0
        for start in range(0, len(order), self.batch_size):
            batch = slice(start, start + self.batch_size)
            self.learning_rate = self._warmed(learning_rate)
            loss, square = self._step(batch, rng)
            total += loss
            squares += square
            steps += 1
            if not math.isfinite(total + squares):
                break
        if not (math.isfinite(squares) and np.isfinite(self.parameters).all()):
            total = math.nan
        for vector in (self.parameters, *self.moments.values()):
            flush_subnormals(vector)
        return total / len(order), math.sqrt(squares / steps)

    def _warmed(self, learning_rate: float) -> float:
        """The learning rate of the next step: linear in the steps as long as it warms up."""
        if self.steps >= self.warmup_steps:
            return learning_rate
        return learning_rate * min(1.0, (self.steps + 1) / self.warmup_steps)

    def _shuffle(self, order: np.ndarray, rng: np.random.Generator | None) -> None:
        """Copy the training rows in this order, so that every batch is contiguous."""
        x, y = self.dataset.train
        for start in range(0, len(order), GATHER_ROWS):
            rows = slice(start, start + GATHER_ROWS)
            inputs = self.inputs[rows, :-1]
            inputs[...] = x.take(order[rows], axis=0)
            if self.config.input_dropout and rng is not None:
                mask = self.input_mask[: len(inputs)]
                regularizers.draw_mask(mask, self.config.input_dropout, rng)
                inputs *= mask
            targets = self.targets[:, rows]
            encode(y.take(order[rows], axis=0), targets, self.config.label_smoothing)
        if self.weights is not None and self.row_weights is not None:
            self.weights[...] = self.row_weights[order]

    def _step(self, batch: slice, rng: np.random.Generator | None) -> tuple[float, float]:
        """One update; the loss summed over the rows and the square of the gradient's norm."""
        config = self.config
        run = self.whole if batch.stop <= len(self.inputs) else self.last
        if config.dropout and rng is not None:
            run.drop(config.dropout, rng)
        loss = self._differentiate(run, batch)
        square = float(np.dot(self.gradient, self.gradient))
        self.steps += 1
        if config.optimizer == "lbfgs":
            self._search(run, batch, loss)
        else:
            if config.clip_norm or config.clip_value:
                regularizers.clip(self.gradient, square, config.clip_norm, config.clip_value)
            self._update()
        for weights in self.limited:
            regularizers.limit_norms(weights, config.max_norm)
        if self.averaged:
            self._average()
        return loss * run.delta.shape[1], square

    def _differentiate(self, run: Pass, batch: slice) -> float:
        """The mean loss of a batch; writes the gradient, penalties included."""
        x, targets = self.inputs[batch].T, self.targets[:, batch]
        weights = None if self.weights is None else self.weights[batch]
        outputs = run.forward(x)
        if self.statistics is not None:
            self.statistics.add_activations(run)
        loss = self.loss(outputs, targets, run.delta, weights)
        run.backward(x, run.delta, self.gradients)
        for values, gradient, scratch in self.penalized:
            regularizers.penalize(values, gradient, scratch, self.config.l1, self.config.l2)
        if self.statistics is not None:
            self.statistics.add_gradients(self.gradients.matrices)
        return loss

    def _update(self) -> None:
        for weights in self.decayed:
            weights *= 1 - self.learning_rate * self.config.weight_decay
        for parameters, gradient, moments in self.blocks:
            self.update(
                parameters,
                gradient,
                moments,
                step=self.steps,
                learning_rate=self.learning_rate,
                **self.options,
            )

    def _search(self, run: Pass, batch: slice, loss: float) -> None:
        """One step of L-BFGS, whose line search takes several passes over the batch."""
        parameters = self.parameters[: self.network.trainable]
        lbfgs(
            lambda: self._differentiate(run, batch) + self._penalty(),
            loss + self._penalty(),
            parameters,
            self.gradient,
            self.moments,
            step=self.steps,
        )

    def _penalty(self) -> float:
        l1, l2 = self.config.l1, self.config.l2
        return math.fsum(
            l1 * float(np.absolute(weights).sum()) + l2 / 2 * float(np.dot(weights, weights))
            for weights, _, _ in self.penalized
        )

    def _average(self) -> None:
        """Move the average; its discounted weights sum to 1 from the first step on.

        As Adam corrects its moments (Kingma and Ba 2015, arXiv:1412.6980, section 3).
        """
        discount = self.config.ema
        rate = (1 - discount) / (1 - discount**self.steps)
        for parameters, average, scratch in self.averaged:
            np.subtract(parameters, average, out=scratch)
            scratch *= rate
            average += scratch

    def validate(self) -> tuple[float, float]:
        """Loss and metric of the validation rows; outputs that are not finite score NaN."""
        x, y = self.dataset.validation
        outputs = self.judged.outputs(x)
        return judge(self.config, self.dataset, outputs, y, self.validation_targets)


def _blocks(start: int, stop: int) -> list[slice]:
    return [slice(i, min(i + BLOCK, stop)) for i in range(start, stop, BLOCK)]


def flush_subnormals(vector: np.ndarray) -> None:
    """Set to zero what is about to become subnormal, where arithmetic is many times slower.

    The weights and moments of a dead ReLU decay there and would stay: on the digits, an epoch
    with l2 then took seven times as long.
    """
    limits = np.finfo(vector.dtype)
    for block in np.split(vector, range(BLOCK, vector.size, BLOCK)):
        block[np.absolute(block) < limits.tiny / limits.eps] = 0

"""The inner loop: one epoch of steps over memory that is laid out once."""

import math
from collections.abc import Iterator

import numpy as np

from trainer import passes, regularizers
from trainer.batches import Batch, Batches
from trainer.config import TrainConfig
from trainer.dataset import Dataset, encode
from trainer.lbfgs import lbfgs
from trainer.memory import aligned, blocks, flush_subnormals
from trainer.passes import Pass
from trainer.prediction import build_network, judge, loss_functions
from trainer.state import TrainState
from trainer.statistics import Statistics
from trainer.updates import Updates


class Descent:
    """The working memory of one training: the arrays of its state, which it moves, and buffers."""

    def __init__(self, config: TrainConfig, dataset: Dataset, state: TrainState) -> None:
        self.config, self.dataset = config, dataset
        self.loss, self.loss_gradient = loss_functions(config)
        self.steps = state.steps
        self.learning_rate = config.learning_rate
        self.parameters = state.parameters if state.current is None else state.current
        self.moments, self.average = state.moments, state.average
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
        self.updates = Updates(config, self.network, self.gradient, self.moments)
        self.one_go = not (
            config.optimizer == "lbfgs"
            or config.clip_norm
            or config.clip_value
            or config.record_layers
        )
        """Whether nothing needs the whole gradient before a first part of the update."""
        self.limited = [matrix[:-1] for matrix in self.network.matrices[:-1] if config.max_norm]

        rows = len(dataset.train.x)
        self.batch_size, last = config.batch_rows(rows), config.last_batch_rows(rows)
        self.whole = rows if last == self.batch_size else rows - last
        """Rows of the steps of `batch_size`; those that are left make one step more."""
        self.warmup_steps = config.warmup * (self.whole // self.batch_size + (rows > self.whole))
        self.runs = [
            (
                Pass(self.network, size, dropout=config.dropout > 0),
                Batches(config, dataset, size, part, self.network.sizes[-1]),
            )
            for size, part in ((self.batch_size, self.whole), (last, rows - self.whole))
            if part
        ]
        """A pass and its batches: of the whole ones, then of the rows that are left, if any."""
        self.validation_targets = aligned((n_outputs, len(dataset.validation.x)), dtype)
        encode(dataset.validation.y, self.validation_targets)

    def run_epoch(
        self, order: np.ndarray, learning_rate: float, rng: np.random.Generator | None
    ) -> tuple[float, float]:
        """A step for each batch of the training rows in this order; dropout draws from `rng`.

        Returns the mean loss and the root mean square of the gradient's norm. The loss is not
        finite if it, a gradient or a parameter stopped being so; the epoch then ends early.
        """
        if self.config.record_layers:
            self.statistics = Statistics(self.network)
        first_step = self.steps
        total = squares = 0.0
        for run, batches, rows in self._chunks(order):
            loss, square = self._run_chunk(run, batches, rows, learning_rate, rng)
            total += loss
            squares += square
            if not math.isfinite(total + squares):
                break
        if not (math.isfinite(squares) and np.isfinite(self.parameters).all()):
            total = math.nan
        for vector in (self.parameters, *self.moments.values()):
            flush_subnormals(vector)
        return total / len(order), math.sqrt(squares / (self.steps - first_step))

    def _chunks(self, order: np.ndarray) -> Iterator[tuple[Pass, Batches, np.ndarray]]:
        """Rows that are gathered at once: of whole batches, then those that are left, if any."""
        parts = [part for part in (order[: self.whole], order[self.whole :]) if len(part)]
        for (run, batches), rows in zip(self.runs, parts, strict=True):
            for start in range(0, len(rows), batches.chunk):
                yield run, batches, rows[start : start + batches.chunk]

    def _run_chunk(
        self,
        run: Pass,
        batches: Batches,
        rows: np.ndarray,
        learning_rate: float,
        rng: np.random.Generator | None,
    ) -> tuple[float, float]:
        """A step for each batch of these rows, at a learning rate that warms up step by step.

        Returns the loss summed over them and the sum of the squares of the gradients' norms.
        """
        squares = 0.0
        for batch in batches.gather(rows, rng):
            self.learning_rate = learning_rate
            if self.steps < self.warmup_steps:
                self.learning_rate *= min(1.0, (self.steps + 1) / self.warmup_steps)
            squares += self._step(run, batch, rng)
            if not math.isfinite(squares):
                return math.nan, squares
        return batches.loss(self.loss, len(rows)), squares

    def _step(self, run: Pass, batch: Batch, rng: np.random.Generator | None) -> float:
        """One update; the square of the gradient's norm."""
        if rng is not None and self.config.dropout:
            run.drop(self.config.dropout, rng)
        self._differentiate(run, batch)
        self.steps += 1
        if self.one_go:
            square = self.updates.penalize_and_move(self.steps, self.learning_rate)
        else:
            square = self.updates.penalize()
            self._move(run, batch, square)
        for weights in self.limited:
            regularizers.limit_norms(weights, self.config.max_norm)
        if self.average is not None:
            self._move_average(self.average)
        return square

    def _differentiate(self, run: Pass, batch: Batch) -> None:
        """Write the gradient of a batch's mean loss, without penalties."""
        x, targets, weights, outputs = batch
        run.forward(x, outputs)
        if self.statistics is not None:
            self.statistics.add_activations(run, outputs)
        self.loss_gradient(outputs, targets, run.delta, weights)
        run.backward(x, run.delta, self.gradients)

    def _move(self, run: Pass, batch: Batch, square: float) -> None:
        """The update by those who need the whole gradient, or have to show it first."""
        config = self.config
        if self.statistics is not None:
            self.statistics.add_gradients(self.gradients.matrices)
        if config.optimizer == "lbfgs":
            self._search(run, batch)
            return
        if config.clip_norm or config.clip_value:
            regularizers.clip(self.gradient, square, config.clip_norm, config.clip_value)
        self.updates.move(self.steps, self.learning_rate)

    def _search(self, run: Pass, batch: Batch) -> None:
        """One step of L-BFGS, whose line search takes several passes over the batch."""
        x, targets, weights, first = batch
        tried = x, targets, weights, run.outputs

        def evaluate() -> float:
            self._differentiate(run, tried)
            self.updates.penalize()
            return self._objective(tried)

        run.outputs[...] = first
        lbfgs(
            evaluate,
            self._objective(tried),
            self.parameters[: self.network.trainable],
            self.gradient,
            self.moments,
            step=self.steps,
        )

    def _objective(self, batch: Batch) -> float:
        """The mean loss of a batch and the penalties, given its outputs, which it uses up."""
        _, targets, weights, outputs = batch
        return self.loss(outputs, targets, weights) + self.updates.penalty()

    def _move_average(self, average: np.ndarray) -> None:
        """Move the average; its discounted weights sum to 1 from the first step on.

        As Adam corrects its moments (Kingma and Ba 2015, arXiv:1412.6980, section 3).
        """
        discount = self.config.ema
        rate = (1 - discount) / (1 - discount**self.steps)
        for block in blocks(average.size):
            difference = self.parameters[block] - average[block]
            difference *= rate
            average[block] += difference

    def validate(self) -> tuple[float, float]:
        """Loss and metric of the validation rows; outputs that are not finite score NaN."""
        x, y = self.dataset.validation
        outputs = passes.outputs(self.judged, x)
        return judge(self.config, self.dataset, outputs, y, self.validation_targets)

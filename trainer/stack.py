"""A stack of small networks of one architecture, which share every call.

A small network's step is mostly the cost of calling NumPy. Here R networks go through each call
together: parameters are (R, parameters), activations (R, features, rows), and matrix products go
over the stack, where NumPy calls BLAS once a network at no cost worth naming.
"""

import math
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np

from trainer.activations import ACTIVATIONS
from trainer.config import TrainConfig
from trainer.dataset import Dataset, encode
from trainer.memory import BLOCK, aligned, flush_subnormals
from trainer.optimizers import OPTIMIZERS
from trainer.prediction import evaluate, layer_sizes, loss_functions
from trainer.state import TrainState

CHUNK_ROWS = 1024
"""Rows of each network shuffled at a time; they and their outputs stay in cache."""

Training = tuple[TrainConfig, Dataset, int, TrainState]


class Stack:
    """The working memory of networks of one architecture, each with its own rows."""

    def __init__(self, trainings: Sequence[Training]) -> None:
        self.config, dataset, _, state = trainings[0]
        self.datasets = [training[1] for training in trainings]
        self.count = len(trainings)
        dtype = state.parameters.dtype
        self.loss, self.loss_gradient = loss_functions(self.config)
        optimizer = OPTIMIZERS[self.config.optimizer]
        self.update = partial(optimizer.update, **self.config.options(optimizer.options))
        self.n_targets = dataset.n_outputs
        self.sizes = layer_sizes(self.config, dataset.n_inputs, dataset.n_outputs)

        self.steps = state.steps
        self.parameters = _stacked([training[3].parameters for training in trainings])
        self.moments = {
            name: _stacked([training[3].moments[name] for training in trainings])
            for name in state.moments
        }
        self.gradient = aligned(self.parameters.shape, dtype)
        is_weight = np.zeros(self.parameters.shape[1], dtype)
        for matrix in self._split(is_weight):
            matrix[:-1] = 1
        self.penalty = is_weight * dtype.type(self.config.l2)
        self.decay = is_weight * dtype.type(self.config.weight_decay)
        self.decays = optimizer.decoupled and self.config.weight_decay > 0
        self.matrices, self.gradients = self._split(self.parameters), self._split(self.gradient)
        self._lay_out_blocks()

        rows = len(dataset.train.x)
        self.batch_size = self.config.batch_rows(rows)
        self.passes = {
            size: Pass(self, size) for size in {self.batch_size, rows % self.batch_size} if size
        }

    def _split(self, flat: np.ndarray) -> list[np.ndarray]:
        """Views (..., n_in + 1, n_out) of (..., parameters), one a layer."""
        views, start = [], 0
        for n_in, n_out in pairwise(self.sizes):
            stop = start + (n_in + 1) * n_out
            views.append(flat[..., start:stop].reshape(*flat.shape[:-1], n_in + 1, n_out))
            start = stop
        return views

    def _lay_out_blocks(self) -> None:
        """Views of as many whole networks as an optimizer's passes keep in cache."""
        networks = max(1, BLOCK // self.parameters.shape[1])
        blocks = [slice(i, i + networks) for i in range(0, self.count, networks)]
        scratch = aligned(self.parameters[:networks].shape, self.parameters.dtype)
        self.blocks = [
            (
                block,
                self.parameters[block],
                self.gradient[block],
                scratch[: len(self.parameters[block])],
                {name: moment[block] for name, moment in self.moments.items()},
            )
            for block in blocks
        ]

    def run_epoch(
        self, orders: Sequence[np.ndarray], learning_rates: Sequence[float]
    ) -> tuple[list[float], list[float]]:
        """A step for each batch, every network's rows in its own order (rows,).

        Returns each network's mean loss, not finite if it diverged, and the root mean square of
        its gradient's norm.
        """
        rows, size = len(orders[0]), self.batch_size
        self.rates = np.array(learning_rates, self.parameters.dtype)[:, np.newaxis]
        self.shrink = 1 - self.rates * self.decay
        self.squares = np.zeros(self.count)
        totals = np.zeros(self.count)
        first_step = self.steps
        whole = rows - rows % size
        chunk = max(1, CHUNK_ROWS // size) * size
        for start in range(0, whole, chunk):
            stop = min(start + chunk, whole)
            totals += self._run_chunk(self.passes[size], [order[start:stop] for order in orders])
        if whole < rows:
            totals += self._run_chunk(
                self.passes[rows - whole], [order[whole:] for order in orders]
            )
        sound = np.isfinite(self.squares) & np.isfinite(self.parameters).all(axis=1)
        for stacked in (self.parameters, *self.moments.values()):
            flush_subnormals(stacked.reshape(-1))
        losses = np.where(sound, totals / rows, math.nan)
        return losses.tolist(), np.sqrt(self.squares / (self.steps - first_step)).tolist()

    def _run_chunk(self, run: "Pass", orders: Sequence[np.ndarray]) -> np.ndarray:
        """Steps over these rows of each network; each one's loss summed over them."""
        rows = len(orders[0])
        steps = rows // run.rows
        x, y, z = run.x[:, :rows], run.y[:steps], run.z[:steps]
        for i, (dataset, order) in enumerate(zip(self.datasets, orders, strict=True)):
            x[i, :, :-1] = dataset.train.x.take(order, axis=0)
            encode(dataset.train.y.take(order, axis=0), run.encoded[:, :rows])
            y[:, :, i] = run.encoded[:, :rows].reshape(-1, steps, run.rows).swapaxes(0, 1)
        for step in range(steps):
            batch = x[:, step * run.rows : (step + 1) * run.rows].mT
            z[step] = run.forward(batch).reshape(z[step].shape)
            self._step(run, batch, y[step].reshape(self.n_targets, -1))
        # Each network's own loss, taken of a whole chunk: a step's is the mean over the stack.
        losses = []
        for i in range(self.count):
            outputs, targets = (kept[:, :, i].swapaxes(0, 1).reshape(-1, rows) for kept in (z, y))
            losses.append(self.loss(outputs, targets))
        return np.array(losses) * len(orders[0])

    def _step(self, run: "Pass", x: np.ndarray, targets: np.ndarray) -> None:
        """One update of every network, after a forward pass."""
        self.loss_gradient(run.outputs, targets, run.delta)
        run.delta *= self.count  # the loss is the mean over all, each network's over its own rows
        run.backward(x)
        self.steps += 1
        for block, parameters, gradient, scratch, moments in self.blocks:
            if self.config.l2:
                np.multiply(parameters, self.penalty, out=scratch)
                gradient += scratch
            self.squares[block] += np.vecdot(gradient, gradient)
            if self.decays:
                parameters *= self.shrink[block]
            self.update(
                parameters, gradient, moments, step=self.steps, learning_rate=self.rates[block]
            )

    def validate(self, i: int) -> tuple[float, float]:
        """Loss and metric of one network's validation rows."""
        dataset = self.datasets[i]
        return evaluate(self.config, self.parameters[i], dataset, dataset.validation)


class Pass:
    """A forward and a backward pass of a stack, R times a number of rows.

    As `trainer.passes.Pass`, with the stack in front: h (R, n + 1, rows), delta (R, n, rows). The
    outputs alone are (outputs, R rows) in memory, so that the loss sees the stack as more rows.
    """

    def __init__(self, stack: Stack, rows: int) -> None:
        self.rows = rows
        count, dtype = stack.count, stack.parameters.dtype
        activations = [ACTIVATIONS[name] for name in stack.config.activations]
        *hidden, n_outputs = stack.sizes[1:]
        hs = [aligned((count, n + 1, rows), dtype) for n in hidden]
        values = [h[:, :-1] for h in hs]
        for h in hs:
            h[:, -1] = 1
        zs = [
            aligned(value.shape, dtype) if activation.keeps_input else value
            for value, activation in zip(values, activations, strict=True)
        ]
        deltas = [aligned((count, n, rows), dtype) for n in hidden]
        self.outputs, self.delta = (aligned((n_outputs, count * rows), dtype) for _ in range(2))
        self._outputs, self._delta = (
            flat.reshape(n_outputs, count, rows).swapaxes(0, 1)
            for flat in (self.outputs, self.delta)
        )
        chunk = max(1, CHUNK_ROWS // rows) * rows
        self.x = aligned((count, chunk, stack.sizes[0] + 1), dtype)
        self.x[..., -1] = 1
        self.y = aligned((chunk // rows, stack.n_targets, count, rows), dtype)
        self.z = aligned((chunk // rows, n_outputs, count, rows), dtype)
        self.encoded = aligned((stack.n_targets, chunk), dtype)
        transposed = [matrix.mT for matrix in stack.matrices]
        functions = [activation.function for activation in activations]
        derivatives = [activation.derivative for activation in activations]
        weights = [matrix[:, :-1] for matrix in stack.matrices]
        self._top, self._first = transposed[-1], stack.gradients[0]
        self._up = list(zip(transposed, zs, functions, values, hs, strict=False))
        self._down = list(
            zip(hs, weights[1:], derivatives, zs, deltas, stack.gradients[1:], strict=True)
        )[::-1]

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Raw outputs (outputs, R rows) for x (R, inputs + 1, rows)."""
        for matrix, z, function, values, h in self._up:
            np.matmul(matrix, x, out=z)
            function(z, values)
            x = h
        np.matmul(self._top, x, out=self._outputs)
        return self.outputs

    def backward(self, x: np.ndarray) -> None:
        """Write the stack's gradient, given that of the outputs in `delta`."""
        delta = self._delta
        for h, weights, derivative, z, below, gradient in self._down:
            np.matmul(h, delta.mT, out=gradient)
            delta = np.matmul(weights, delta, out=below)
            derivative(z)
            delta *= z
        np.matmul(x, delta.mT, out=self._first)


def _stacked(vectors: Sequence[np.ndarray]) -> np.ndarray:
    stacked = aligned((len(vectors), vectors[0].size), vectors[0].dtype)
    return np.stack(vectors, out=stacked)

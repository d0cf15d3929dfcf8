"""The training rows in the order of an epoch, as contiguous batches."""

from collections.abc import Callable, Iterator
from itertools import repeat

import numpy as np

from trainer.config import TrainConfig
from trainer.dataset import Dataset, encode, row_weights
from trainer.memory import aligned
from trainer.regularizers import draw_mask

CHUNK_ROWS = 1024
"""Rows gathered at a time: they stay in cache, and there is no second copy of the data."""

Batch = tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]
"""Inputs (features + 1, rows) over a row of ones, targets (outputs, rows), weights (rows,) or None,
and where the raw outputs go, (raw outputs, rows)."""


class Batches:
    """Batches of one number of rows, in buffers that are used again for every chunk of them."""

    def __init__(
        self, config: TrainConfig, dataset: Dataset, rows: int, total: int, n_raw_outputs: int
    ) -> None:
        """For batches of `rows` rows, `total` of them in an epoch."""
        self.config, self.dataset = config, dataset
        dtype = np.dtype(config.dtype)
        count = max(1, min(CHUNK_ROWS, total) // rows)
        self.chunk = count * rows
        n_inputs, n_targets = dataset.n_inputs, dataset.n_outputs
        self.inputs = aligned((self.chunk, n_inputs + 1), dtype)
        self.inputs[:, -1] = 1
        self.encoded = aligned((n_targets, self.chunk), dtype)
        self.x = self.inputs.reshape(count, rows, n_inputs + 1).swapaxes(1, 2)
        self.targets = aligned((count, n_targets, rows), dtype)
        self.outputs = aligned((count, n_raw_outputs, rows), dtype)
        self.row_weights = row_weights(config, dataset)
        self.weights = None if self.row_weights is None else aligned((count, rows), dtype)
        if config.input_dropout:
            self.mask = aligned((self.chunk, n_inputs), dtype)

    def gather(self, order: np.ndarray, rng: np.random.Generator | None) -> Iterator[Batch]:
        """The batches of these training rows, at most a chunk; input dropout draws from `rng`."""
        x, y = self.dataset.train
        rows = len(order)
        inputs, encoded = self.inputs[:rows, :-1], self.encoded[:, :rows]
        inputs[...] = x.take(order, axis=0)
        if self.config.input_dropout and rng is not None:
            draw_mask(self.mask[:rows], self.config.input_dropout, rng)
            inputs *= self.mask[:rows]
        encode(y.take(order, axis=0), encoded, self.config.label_smoothing)
        count = rows // self.x.shape[2]
        self.targets[:count] = encoded.reshape(len(encoded), count, -1).swapaxes(0, 1)
        weights: Iterator[np.ndarray | None] = repeat(None, count)
        if self.weights is not None and self.row_weights is not None:
            self.weights[:count] = self.row_weights[order].reshape(count, -1)
            weights = iter(self.weights[:count])
        return zip(self.x[:count], self.targets[:count], weights, self.outputs[:count], strict=True)

    def loss(self, function: Callable[..., float], rows: int) -> float:
        """The loss summed over the rows last gathered, once the outputs of all are written.

        One call for a whole chunk: of a small network's step, a loss's value is a tenth.
        """
        count = rows // self.x.shape[2]
        outputs, targets = (
            kept[:count].swapaxes(0, 1).reshape(-1, rows) for kept in (self.outputs, self.targets)
        )
        weights = None if self.weights is None else self.weights[:count].reshape(-1)
        return function(outputs, targets, weights) * rows

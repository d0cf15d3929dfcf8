"""Training: a generator of epoch records, resumable bit for bit at any epoch."""

import math
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

import numpy as np

from trainer.activations import ACTIVATIONS
from trainer.config import TrainConfig
from trainer.dataset import Dataset, check_fit
from trainer.descent import Descent
from trainer.network import initial_parameters
from trainer.optimizers import OPTIMIZERS
from trainer.schedules import SCHEDULES

INITIAL_WEIGHTS, ORDER = 0, 1
"""Streams of random numbers, kept apart so that neither moves the other."""


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch did."""

    epoch: int
    """Epochs completed, this one included."""

    learning_rate: float

    train_loss: float
    """Mean over the rows as they were trained on, without the l2 penalty; not finite when the
    training has diverged."""

    validation_loss: float
    """After the epoch, without the l2 penalty."""

    validation_metric: float
    """After the epoch; NaN when the validation loss is not finite."""

    gradient_norm: float
    """Root mean square over the epoch's steps, l2 penalty included."""

    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class TrainState:
    """Everything that training needs to go on from the end of an epoch."""

    epoch: int
    """Epochs completed."""

    steps: int
    """Updates made."""

    parameters: np.ndarray
    """Flat: for each layer the weights (n_in, n_out), then the biases (n_out,)."""

    moments: Mapping[str, np.ndarray] = field(default_factory=dict)
    """The optimizer's, flat like the parameters, by name."""

    diverged: bool = False
    """Whether a loss, gradient or parameter stopped being finite: training ended there."""

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.parameters.nbytes + sum(moment.nbytes for moment in self.moments.values())


def train(
    config: TrainConfig,
    dataset: Dataset,
    seed: int,
    state: TrainState | None = None,
    until: int | None = None,
) -> Generator[EpochRecord, None, TrainState]:
    """Yield a record an epoch, and return the state after epoch `until` (by default the last).

    Goes on from `state`, which is not changed, or starts afresh; stopping and going on gives the
    same bits as not stopping. Training that diverges ends early, with `diverged` set.
    """
    check_fit(config, dataset)
    if type(seed) is not int or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0, not {seed!r}")
    state = initial_state(config, dataset, seed) if state is None else state
    moments = OPTIMIZERS[config.optimizer].moments
    if state.parameters.dtype != config.dtype or set(state.moments) != set(moments):
        raise ValueError(
            f"state has {state.parameters.dtype} parameters and moments {sorted(state.moments)}; "
            f"the configuration needs {config.dtype} and {sorted(moments)}"
        )
    until = config.epochs if until is None else until
    if not state.epoch <= until <= config.epochs:
        raise ValueError(
            f"until must be from {state.epoch}, the epochs completed, to {config.epochs}, "
            f"the epochs configured, not {until!r}"
        )
    return _epochs(config, dataset, seed, state, until)


def run(
    config: TrainConfig,
    dataset: Dataset,
    seed: int,
    state: TrainState | None = None,
    until: int | None = None,
) -> tuple[list[EpochRecord], TrainState]:
    """The records and the final state of `train`."""
    records = []
    epochs = train(config, dataset, seed, state, until)
    while True:
        try:
            records.append(next(epochs))
        except StopIteration as end:
            return records, end.value


def initial_state(config: TrainConfig, dataset: Dataset, seed: int) -> TrainState:
    """The state before the first epoch."""
    sizes = (dataset.n_inputs, *config.neurons, dataset.n_outputs)
    rng = _generator(seed, INITIAL_WEIGHTS)
    parameters = initial_parameters(
        sizes, ACTIVATIONS[config.activation], config.initializer, rng
    ).astype(config.dtype)
    moments = {name: np.zeros_like(parameters) for name in OPTIMIZERS[config.optimizer].moments}
    return TrainState(0, 0, parameters, moments)


def _generator(seed: int, *stream: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=stream))


def _epochs(
    config: TrainConfig, dataset: Dataset, seed: int, state: TrainState, until: int
) -> Generator[EpochRecord, None, TrainState]:
    descent = Descent(config, dataset, state.parameters, state.moments, state.steps)
    epoch, diverged = state.epoch, state.diverged
    while epoch < until and not diverged:
        started = time.perf_counter()
        order = _generator(seed, ORDER, epoch).permutation(len(dataset.train.x))
        schedule = SCHEDULES[config.schedule]
        learning_rate = config.learning_rate * schedule(epoch / config.epochs)
        # Not around the yield: there the caller's own settings hold.
        with np.errstate(all="ignore"):
            train_loss, gradient_norm = descent.run_epoch(order, learning_rate)
            validation_loss, validation_metric = descent.validate()
        epoch += 1
        diverged = not (math.isfinite(train_loss) and math.isfinite(validation_loss))
        yield EpochRecord(
            epoch=epoch,
            learning_rate=learning_rate,
            train_loss=train_loss,
            validation_loss=validation_loss,
            validation_metric=validation_metric,
            gradient_norm=gradient_norm,
            seconds=time.perf_counter() - started,
        )
    return TrainState(epoch, descent.steps, descent.parameters, descent.moments, diverged)

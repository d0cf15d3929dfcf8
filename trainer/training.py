"""Training: a generator of epoch records, resumable bit for bit at any epoch."""

import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trainer.activations import ACTIVATIONS
from trainer.arguments import check_integer, check_type, is_whole
from trainer.config import TrainConfig
from trainer.dataset import Dataset, Split, check_classes, check_fit
from trainer.descent import Descent
from trainer.embeddings import EMBEDDINGS, Embedding
from trainer.layout import check_state, layout
from trainer.memory import aligned_copy, zeros
from trainer.network import initial_parameters
from trainer.prediction import layer_sizes, n_features, norm
from trainer.progress import Progress, has_ended, learning_rate, observe
from trainer.state import TrainState
from trainer.statistics import LayerStatistics

INITIAL_WEIGHTS, ORDER, DROPOUT, FREQUENCIES = 0, 1, 2, 3
"""Streams of random numbers, kept apart so that none moves another."""


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one epoch did."""

    epoch: int
    """Epochs completed, this one included."""

    learning_rate: float
    """Of its last step."""

    train_loss: float
    """Mean over the rows as they were trained on, with their weights and without penalties; not
    finite when the training has diverged."""

    validation_loss: float
    """After the epoch, without weights, penalties, dropout or label smoothing."""

    validation_metric: float
    """After the epoch; NaN when the outputs are not finite, or where it has no value."""

    gradient_norm: float
    """Root mean square over the epoch's steps, penalties included, before clipping."""

    seconds: float

    layers: tuple[LayerStatistics, ...] = ()
    """Of each layer, from the first hidden one to the outputs, under `record_layers`."""

    @property
    def diverged(self) -> bool:
        """Whether a loss is not finite, or the metric infinite: some have no value on some rows."""
        losses = self.train_loss, self.validation_loss
        return not all(map(math.isfinite, losses)) or math.isinf(self.validation_metric)


def train(
    config: TrainConfig,
    dataset: Dataset,
    seed: int,
    state: TrainState | None = None,
    until: int | None = None,
) -> Generator[EpochRecord, None, TrainState]:
    """Yield a record an epoch, and return the state after epoch `until` (by default the last).

    Goes on from `state`, which is not changed, or starts afresh; stopping and going on gives the
    same bits as not stopping. Training ends early when it diverges, with `diverged` set, or when
    its `patience` is at its end.
    """
    check_type("config", config, TrainConfig)
    check_type("dataset", dataset, Dataset)
    if state is not None:
        check_type("state", state, TrainState)
    check_fit(config, dataset)
    check_integer("seed", seed, 0)
    seed = int(seed)
    if state is None:
        check_classes(dataset)
    else:
        check_state(config, dataset, state)
    completed = 0 if state is None else state.epoch
    until = config.epochs if until is None else until
    if not is_whole(until) or not completed <= until <= config.epochs:
        raise ValueError(
            f"until must be from {completed}, the epochs completed, to {config.epochs}, "
            f"the epochs configured, and an integer, not {until!r}"
        )
    return _epochs(config, dataset, seed, state, int(until))


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


def kept(config: TrainConfig, records: Sequence[EpochRecord]) -> EpochRecord | None:
    """The record of the epoch that the state's `parameters` are of, given all records so far.

    With `patience` the best epoch's, the first of equals; else the last's. None where a training
    with `patience` diverged in its first epoch: the initial parameters are kept. Raises ValueError
    without a record.
    """
    if not records:
        raise ValueError("records must hold at least one epoch; train for one first")
    if not config.patience:
        return records[-1]
    best, progress = None, Progress()
    for record in records:
        if not record.diverged:
            progress = observe(config, progress, record.validation_metric)
            best = record if progress.stale == 0 else best
    return best


def initial_state(config: TrainConfig, dataset: Dataset, seed: int) -> TrainState:
    """The state before the first epoch, in arrays that start at multiples of 64 bytes."""
    embedding = None
    if config.embedding != "none":
        kind = EMBEDDINGS[config.embedding]
        fit: Callable[..., Embedding] = kind.fit
        stream = np.random.SeedSequence(seed, spawn_key=(FREQUENCIES,))
        embedding = fit(dataset.train.x, **config.options(kind.options), seed=stream)
    n_inputs = n_features(embedding, dataset.n_inputs)
    sizes = layer_sizes(config, n_inputs, dataset.n_outputs)
    activations = [ACTIVATIONS[name] for name in config.activations]
    rng = _generator(seed, INITIAL_WEIGHTS)
    parameters = initial_parameters(
        sizes, activations, config.initializer, rng, norm(config), config.dtype
    )
    shapes = layout(config, n_inputs, dataset.n_outputs)
    return TrainState(
        0,
        0,
        parameters,
        moments={
            name.removeprefix("moments."): zeros(shape, parameters.dtype)
            for name, shape in shapes.items()
            if name.startswith("moments.")
        },
        current=aligned_copy(parameters) if "current" in shapes else None,
        average=aligned_copy(parameters) if "average" in shapes else None,
        embedding=embedding,
        config=config,
    )


def epoch_order(seed: int, epoch: int, rows: int) -> np.ndarray:
    """The order (rows,) of the training rows in the epoch that follows `epoch` completed ones."""
    return _generator(seed, ORDER, epoch).permutation(rows)


def _generator(seed: int, *stream: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=stream))


def _epochs(
    config: TrainConfig, dataset: Dataset, seed: int, state: TrainState | None, until: int
) -> Generator[EpochRecord, None, TrainState]:
    # What was given may be freed, if no one else holds it, before there is working memory.
    state = initial_state(config, dataset, seed) if state is None else state.copy()
    epoch, diverged, progress = state.epoch, state.diverged, state.progress
    inner = config
    if (embedding := state.embedding) is not None:
        inner, dataset = _on_features(config, dataset, embedding)
    descent = Descent(inner, dataset, state)
    best = state.parameters if config.patience else None
    del state  # under `ema`, a vector of parameters fewer in memory
    while epoch < until and not diverged and not has_ended(config, progress):
        started = time.perf_counter()
        order = epoch_order(seed, epoch, len(dataset.train.x))
        drops = config.dropout or config.input_dropout
        # Not around the yield: there the caller's own settings hold.
        with np.errstate(all="ignore"):
            train_loss, gradient_norm = descent.run_epoch(
                order,
                learning_rate(config, epoch, progress),
                _generator(seed, DROPOUT, epoch) if drops else None,
            )
            validation_loss, validation_metric = descent.validate()
            layers = () if descent.statistics is None else descent.statistics.layers()
        epoch += 1
        record = EpochRecord(
            epoch=epoch,
            learning_rate=descent.learning_rate,
            train_loss=train_loss,
            validation_loss=validation_loss,
            validation_metric=validation_metric,
            gradient_norm=gradient_norm,
            seconds=time.perf_counter() - started,
            layers=layers,
        )
        diverged = record.diverged
        if not diverged:
            progress = observe(config, progress, validation_metric)
            if best is not None and progress.stale == 0:
                best[...] = descent.judged.parameters
        yield record
    return TrainState(
        epoch=epoch,
        steps=descent.steps,
        parameters=descent.judged.parameters if best is None else best,
        moments=descent.moments,
        diverged=diverged,
        current=descent.parameters if config.ema or config.patience else None,
        average=descent.average,
        progress=progress,
        embedding=embedding,
        config=config,
    )


def _on_features(
    config: TrainConfig, dataset: Dataset, embedding: Embedding
) -> tuple[TrainConfig, Dataset]:
    """The same training on the features of its columns, which are all held in memory."""
    train, validation = (
        Split(embedding.transform(x).astype(config.dtype, copy=False), y)
        for x, y in (dataset.train, dataset.validation)
    )
    features = replace(dataset, train=train, validation=validation, test=None)
    return replace(config, embedding="none"), features

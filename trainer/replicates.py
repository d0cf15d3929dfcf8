"""Many networks at once, as for the seeds or folds of one trial: small ones share each step."""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from trainer.config import TrainConfig
from trainer.dataset import Dataset
from trainer.losses import LOSSES
from trainer.optimizers import OPTIMIZERS
from trainer.progress import learning_rate, observe
from trainer.schedules import SCHEDULES
from trainer.stack import Stack, Training
from trainer.state import TrainState
from trainer.training import EpochRecord, epoch_order, initial_state, run, train

STACK_PARAMETERS = 100_000
"""Of all the networks of a stack: what it works on stays in cache. Networks of more than half of
this are trained alone: their matrix products outweigh the calls that a stack saves."""

STACKED_FIELDS = frozenset(
    {
        "neurons",
        "activation",
        "loss",
        "metric",
        "optimizer",
        "learning_rate",
        "schedule",
        "plateau",
        "plateau_factor",
        "initializer",
        "batch_size",
        "l2",
        "weight_decay",
        "epochs",
        "dtype",
    }
)
"""Fields of TrainConfig that a stack heeds, besides the options of its loss, optimizer and
schedule; any other must be at its default."""

Trained = tuple[list[EpochRecord], TrainState]


def train_many(
    config: TrainConfig | Sequence[TrainConfig],
    dataset: Dataset | Sequence[Dataset],
    seeds: Sequence[int],
    states: Sequence[TrainState] | None = None,
    until: int | None = None,
) -> list[Trained]:
    """What `run` returns for each seed, with the configuration and dataset of the same place.

    Networks that differ in seed, rows and learning rate alone are trained as stacks; the others,
    and those too large to gain from it, one after another. A record's seconds are its share of the
    stack's.

    A stack's results are those of `run` but for rounding, as products may be summed in another
    order. That grows with the steps: over 10 epochs of the networks that its tests train, at most
    750 steps, a parameter p differs by at most 1e-12 (1 + |p|) in float64 and 1e-4 (1 + |p|) in
    float32; over 40 epochs, 2.5e-3 was seen in float32.

    Raises ValueError as `run`, and where the lengths differ.
    """
    try:
        seeds = list(seeds)
    except TypeError:
        raise ValueError(
            f"seeds must be a sequence of integers, one a network, not {seeds!r}"
        ) from None
    count = len(seeds)
    configs = [config] * count if isinstance(config, TrainConfig) else config
    datasets = [dataset] * count if isinstance(dataset, Dataset) else dataset
    for name, values in (("config", configs), ("dataset", datasets), ("states", states)):
        if values is not None and len(values) != count:
            raise ValueError(f"{name} must be one for each of {count} seeds, not {len(values)}")
    starts = [None] * count if states is None else states
    for start in zip(configs, datasets, seeds, starts, strict=True):
        train(*start, until)  # refuses what cannot be trained; nothing runs yet

    trainings = [
        (config, dataset, int(seed), state or initial_state(config, dataset, seed))
        for config, dataset, seed, state in zip(configs, datasets, seeds, starts, strict=True)
    ]
    results: list[Trained] = [([], training[3]) for training in trainings]
    for stack in _stacks(trainings):
        members = [trainings[i] for i in stack]
        outcomes = [run(*members[0], until)] if len(stack) == 1 else _run_stack(members, until)
        for i, outcome in zip(stack, outcomes, strict=True):
            results[i] = outcome
    return results


def _stacks(trainings: Sequence[Training]) -> list[list[int]]:
    """The trainings by place, in groups that can share every step."""
    alike: dict[object, list[int]] = {}
    for i, (config, dataset, _, state) in enumerate(trainings):
        key: object = i
        if _stackable(config, dataset, state):
            shared = dataclasses.replace(config, learning_rate=1.0)
            rows, width = dataset.train.x.shape
            key = (shared, rows, width, dataset.n_outputs, state.epoch, state.steps)
        alike.setdefault(key, []).append(i)
    stacks = []
    for members in alike.values():
        size = max(1, STACK_PARAMETERS // trainings[members[0]][3].parameters.size)
        stacks += [members[i : i + size] for i in range(0, len(members), size)]
    return stacks


def _stackable(config: TrainConfig, dataset: Dataset, state: TrainState) -> bool:
    if config.optimizer not in OPTIMIZERS or dataset.weights is not None or state.diverged:
        return False
    heeded = STACKED_FIELDS.union(
        *(
            entry.options
            for entry in (
                OPTIMIZERS[config.optimizer],
                LOSSES[config.loss],
                SCHEDULES[config.schedule],
            )
        )
    )
    return all(
        getattr(config, field.name) == field.default
        for field in dataclasses.fields(config)
        if field.name not in heeded
    )


def _run_stack(trainings: Sequence[Training], until: int | None) -> list[Trained]:
    config, dataset, _, first = trainings[0]
    rows = len(dataset.train.x)
    stack = Stack(trainings)
    records: list[list[EpochRecord]] = [[] for _ in trainings]
    states = [training[3] for training in trainings]
    active = set(range(len(trainings)))
    for epoch in range(first.epoch, config.epochs if until is None else until):
        if not active:
            break
        started = time.perf_counter()
        rates = [
            learning_rate(training[0], epoch, state.progress)
            for training, state in zip(trainings, states, strict=True)
        ]
        with np.errstate(all="ignore"):
            orders = [epoch_order(seed, epoch, rows) for _, _, seed, _ in trainings]
            losses, norms = stack.run_epoch(orders, rates)
            scores = {i: stack.validate(i) for i in active}
        seconds = (time.perf_counter() - started) / len(active)
        for i, (validation_loss, validation_metric) in scores.items():
            record = EpochRecord(
                epoch=epoch + 1,
                learning_rate=rates[i],
                train_loss=losses[i],
                validation_loss=validation_loss,
                validation_metric=validation_metric,
                gradient_norm=norms[i],
                seconds=seconds,
            )
            progress = states[i].progress
            if not record.diverged:
                progress = observe(config, progress, validation_metric)
            records[i].append(record)
            states[i] = TrainState(
                epoch=epoch + 1,
                steps=stack.steps,
                parameters=stack.parameters[i].copy(),
                moments={name: moment[i].copy() for name, moment in stack.moments.items()},
                diverged=record.diverged,
                progress=progress,
                config=trainings[i][0],
            )
            if record.diverged:
                active.remove(i)
    return list(zip(records, states, strict=True))

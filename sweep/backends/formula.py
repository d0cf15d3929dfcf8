"""Training as a formula: cheap, and every epoch to the last bit the same on every machine."""

import math
from typing import Any
from zlib import crc32

import numpy as np

from sweep.backends.segment import Limits, Segment
from trainer import EpochRecord, TrainState

DIVERGES = 16
"""One training in so many diverges."""


def train(
    segment: Segment, state: TrainState, epoch_seconds: float, limits: Limits
) -> tuple[tuple[EpochRecord, ...], str, TrainState]:
    """The records, the outcome and the state that a segment comes to from an earlier state."""
    assert state.epoch <= segment.start, f"{segment} begins with epoch {state.epoch}"
    records, began = list[EpochRecord](), state.epoch
    while state.epoch < segment.until:
        state = next_state(segment.config, segment.seed, state)
        if state.epoch > segment.start:
            records.append(record(segment.config, state, epoch_seconds))
        if state.diverged:
            return tuple(records), "diverged", state
        spent, is_last = epoch_seconds * (state.epoch - began), state.epoch == segment.until
        if limits.seconds is not None and limits.seconds < spent and not is_last:
            return tuple(records), "timeout", state
    return tuple(records), "finished", state


def first_state(config: Any, seed: int, size: int) -> TrainState:
    """Where a simulated training begins: `size` numbers in (-1, 1)."""
    numbers = np.random.default_rng((_hash(config), seed)).uniform(-1, 1, size)
    return TrainState(epoch=0, steps=0, parameters=numbers)


def next_state(config: Any, seed: int, state: TrainState) -> TrainState:
    """One epoch more, each number by the logistic map x -> 1 - 2 x^2.

    The map is chaotic and its operations are exact by IEEE 754: a state that is another in one bit
    is soon another altogether, on every machine alike.
    """
    epoch = state.epoch + 1
    luck = (_hash(config) ^ seed) & 0xFFFFFFFF
    return TrainState(
        epoch=epoch,
        steps=epoch,
        parameters=1.0 - 2.0 * state.parameters**2,
        diverged=luck % DIVERGES == 0 and epoch > luck // DIVERGES % 10,
    )


def record(config: Any, state: TrainState, seconds: float) -> EpochRecord:
    """The measures of the epoch that led to a state, some in (0, 1) that rise to a level."""
    if state.diverged:
        measures = (math.nan,) * 4
    else:
        level, chance = _hash(config) / 2**32, float(state.parameters[0])
        metric = level * state.epoch / (state.epoch + 2) + 0.02 * chance
        measures = (1.0 - metric, 1.1 - metric, metric, 1.0 + chance)
    return EpochRecord(state.epoch, 0.01, *measures, seconds)


def _hash(config: Any) -> int:
    return crc32(repr(config).encode())

"""A training state in an archive."""

import os
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from trainer import archive, embeddings
from trainer.progress import Progress
from trainer.state import TrainState

SCHEMA = "trainer.TrainState 2"


def save(path: str | os.PathLike[str], state: TrainState) -> None:
    """Write `state` to `path`, which holds the old content or the new one at every moment."""
    archive.write(path, to_arrays(state), SCHEMA)


def load(path: str | os.PathLike[str]) -> TrainState:
    """The state saved at `path`; ArchiveError if it is damaged or of another schema."""
    return from_arrays(archive.read(path, SCHEMA))


def to_arrays(state: TrainState) -> dict[str, np.ndarray]:
    """All of a state as named arrays, for an archive."""
    numbers = {
        "epoch": state.epoch,
        "steps": state.steps,
        "diverged": state.diverged,
        **{f"progress.{name}": value for name, value in asdict(state.progress).items()},
    }
    named = {name: np.array(number) for name, number in numbers.items()}
    return named | state.arrays | embeddings.to_arrays(state.embedding)


def from_arrays(arrays: Mapping[str, np.ndarray]) -> TrainState:
    """The state that `to_arrays` described."""
    progress = {name: array.item() for name, array in _under("progress.", arrays).items()}
    return TrainState(
        epoch=arrays["epoch"].item(),
        steps=arrays["steps"].item(),
        parameters=arrays["parameters"],
        moments=_under("moments.", arrays),
        diverged=arrays["diverged"].item(),
        current=arrays.get("current"),
        average=arrays.get("average"),
        progress=Progress(**progress),
        embedding=embeddings.from_arrays(arrays),
    )


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }

"""A training state in an archive."""

import os

import numpy as np

from trainer import archive
from trainer.training import TrainState

SCHEMA = "trainer.TrainState 1"


def save(path: str | os.PathLike[str], state: TrainState) -> None:
    """Write `state` to `path`, which holds the old content or the new one at every moment."""
    arrays = {
        "epoch": np.array(state.epoch),
        "steps": np.array(state.steps),
        "diverged": np.array(state.diverged),
        "parameters": state.parameters,
    }
    moments = {f"moments.{name}": moment for name, moment in state.moments.items()}
    archive.write(path, arrays | moments, SCHEMA)


def load(path: str | os.PathLike[str]) -> TrainState:
    """The state saved at `path`; ArchiveError if it is damaged or of another schema."""
    arrays = archive.read(path, SCHEMA)
    return TrainState(
        epoch=arrays["epoch"].item(),
        steps=arrays["steps"].item(),
        parameters=arrays["parameters"],
        moments={
            name.removeprefix("moments."): array
            for name, array in arrays.items()
            if name.startswith("moments.")
        },
        diverged=arrays["diverged"].item(),
    )

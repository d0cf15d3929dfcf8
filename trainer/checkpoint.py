"""A training state in an archive."""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from trainer import archive, embeddings
from trainer.config import TrainConfig
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
    if state.config is not None:
        named["config"] = np.array(json.dumps(asdict(state.config)).encode())
    return named | state.arrays | embeddings.to_arrays(state.embedding)


def from_arrays(arrays: Mapping[str, np.ndarray]) -> TrainState:
    """The state that `to_arrays` described."""
    progress = {name: array.item() for name, array in under("progress.", arrays).items()}
    config = None
    if "config" in arrays:
        # Of another version, it is not known: nothing but a refusal's words needs it.
        with contextlib.suppress(archive.ArchiveError):
            config = config_of(json.loads(arrays["config"].item()))
    return TrainState(
        epoch=arrays["epoch"].item(),
        steps=arrays["steps"].item(),
        parameters=arrays["parameters"],
        moments=under("moments.", arrays),
        diverged=arrays["diverged"].item(),
        current=arrays.get("current"),
        average=arrays.get("average"),
        progress=Progress(**progress),
        embedding=embeddings.from_arrays(arrays),
        config=config,
    )


def config_of(fields: Mapping[str, Any]) -> TrainConfig:
    """The configuration of these fields, in which JSON has made lists of tuples.

    ArchiveError if it is one of another version.
    """
    made: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    try:
        return TrainConfig(**made)
    except (TypeError, ValueError) as error:
        raise archive.ArchiveError(f"holds a configuration of another version: {error}") from None


def under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays whose names start with this prefix, by the rest of their names."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }

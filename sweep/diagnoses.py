"""What became of each training of a study: the trainer's verdict, from the record alone."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from sweep.entries import extremes
from sweep.spacespec import SpaceSpec
from sweep.spec import StudySpec
from sweep.store import Row
from trainer import diagnose_all


def diagnoses(
    spec: StudySpec, trials: Sequence[Row], epochs: Mapping[str, np.ndarray]
) -> Iterator[Row]:
    """A row for each training, that is each trial and replicate with an epoch on record.

    It holds the verdict, its text and the numbers behind it (`trainer.diagnose`); one that cannot
    be told is left out. The record does not hold the rows, so that a network that ignores its
    inputs may pass for converged. `epochs` are columns of the table, in the order of trial,
    replicate and epoch.
    """
    trial, replicate = epochs["trial"], epochs["replicate"]
    begins = np.ones(len(trial), bool)
    begins[1:] = (trial[1:] != trial[:-1]) | (replicate[1:] != replicate[:-1])
    starts = begins.nonzero()[0]
    lengths = np.diff(starts, append=len(trial))
    losses = _losses(spec, trials, trial[starts])
    found: dict[int, Row] = {}
    for loss, length in sorted(set(zip(losses, lengths.tolist(), strict=True))):
        alike = starts[(losses == loss) & (lengths == length)]
        cells = alike[:, None] + np.arange(length)
        curves = (epochs[name][cells] for name in ("epoch", "train_loss", "validation_loss"))
        for start, diagnosis in zip(alike.tolist(), diagnose_all(loss, *curves), strict=True):
            found[start] = {
                "verdict": diagnosis.verdict.value,
                "text": diagnosis.text,
                **diagnosis.numbers,
                "epochs": length,
            }
    for start in starts.tolist():
        yield {"trial": trial[start], "replicate": replicate[start], **found[start]}


def _losses(spec: StudySpec, trials: Sequence[Row], numbers: np.ndarray) -> np.ndarray:
    """What each of these trials was trained by."""
    assert isinstance(spec.space, SpaceSpec)
    constant = extremes(spec.space.loss)[0]
    chosen = {row["number"]: row["params"].get("loss", constant) for row in trials}
    return np.array([chosen[number] for number in numbers.tolist()], dtype=str)

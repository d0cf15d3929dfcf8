"""What became of each training of a study: the trainer's verdict, from the record alone."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from sweep.rows import record_of
from sweep.space import train_config
from sweep.spec import StudySpec
from sweep.store import Row
from trainer import diagnose


def diagnoses(spec: StudySpec, trials: Sequence[Row], epochs: Sequence[Row]) -> Iterator[Row]:
    """A row for each training, that is each trial and replicate with an epoch on record.

    It holds the verdict, its text and the numbers behind it (`trainer.diagnose`); one that cannot
    be told is left out. The record does not hold the rows, so that a network that ignores its
    inputs may pass for converged. The epochs are in the order of trial, replicate and epoch.
    """
    params = {row["number"]: row["params"] for row in trials}
    for (trial, replicate), rows in groupby(epochs, lambda row: (row["trial"], row["replicate"])):
        records = [record_of(row) for row in rows]
        found = diagnose(train_config(spec, params[trial]), records)
        yield {
            "trial": trial,
            "replicate": replicate,
            "verdict": found.verdict.value,
            "text": found.text,
            **found.numbers,
            "epochs": len(records),
        }

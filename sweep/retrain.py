"""The model of a trial whose weights were not kept: trained again, to the same bits."""

from collections.abc import Mapping
from typing import Any

from sweep.backends import Segment
from sweep.backends.compute import compute
from sweep.errors import SweepError, UsageError
from sweep.heldout import StudyRows
from sweep.model import Model
from sweep.space import train_config


def retrain(rows: StudyRows, trial: Mapping[str, Any]) -> Model:
    """The model of a recorded trial after its last epoch; SweepError if it cannot be had."""
    number, epochs = trial["number"], trial["epochs"]
    if not epochs:
        raise UsageError(f"trial {number} is {trial['state']} without an epoch: it has no weights")
    dataset, preprocessing = rows.first
    config = train_config(rows.spec, trial["params"])
    segment = Segment(number, config, trial["seed"], 0, epochs)
    report, state = compute(segment, None, dataset.without_test())
    if report.outcome != "finished":
        raise SweepError(f"trial {number} could not be trained again: {report.outcome}")
    return Model(config, state.parameters, preprocessing, state.embedding, rows)

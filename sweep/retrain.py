"""The model of a trial whose weights were not kept: trained again, to the same bits."""

from collections.abc import Mapping
from typing import Any

from sweep import datasets
from sweep.backends import Segment
from sweep.backends.compute import compute
from sweep.errors import SweepError
from sweep.model import Model
from sweep.space import train_config
from sweep.spec import StudySpec


def retrain(spec: StudySpec, data_fingerprint: str, trial: Mapping[str, Any]) -> Model:
    """The model of a recorded trial after its last epoch; SweepError if it cannot be had."""
    number, epochs = trial["number"], trial["epochs"]
    if not epochs:
        raise SweepError(f"trial {number} is {trial['state']} without an epoch: it has no weights")
    parts = datasets.load_parts(spec)
    if datasets.fingerprint(*(dataset for dataset, _ in parts)) != data_fingerprint:
        raise SweepError(
            f"the rows of {spec.data.name} are not those that {spec.name!r} began with, so that "
            f"trial {number} cannot be trained again on them"
        )
    dataset, preprocessing = parts[0]
    config = train_config(spec, trial["params"])
    segment = Segment(number, config, trial["seed"], 0, epochs)
    report, state = compute(segment, None, dataset.without_test())
    if report.outcome != "finished":
        raise SweepError(f"trial {number} could not be trained again: {report.outcome}")
    return Model(config, state.parameters, preprocessing, state.embedding)

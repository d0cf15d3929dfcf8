"""A fitted estimator in an archive: its parameters, and the attributes that fitting set."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from trainer import archive, checkpoint
from trainer.diagnosis import Diagnosis, Verdict
from trainer.statistics import LayerStatistics
from trainer.training import EpochRecord

SCHEMA = "trainer.MLP 1"


def write(
    path: str | os.PathLike[str],
    kind: str,
    parameters: Mapping[str, Any],
    fitted: Mapping[str, Any],
) -> None:
    """Write both, by name; TypeError where a value is of a kind that cannot be written.

    Fitted attributes are integers, arrays of numbers or of strings, and those of this package that
    `read` makes again.
    """
    arrays = {name: value for name, value in fitted.items() if isinstance(value, np.ndarray)}
    words = {
        "kind": kind,
        "parameters": {name: _plain(value) for name, value in parameters.items()},
        "integers": {name: value for name, value in fitted.items() if type(value) is int},
        "objects": [name for name, array in arrays.items() if array.dtype == object],
        "config_": asdict(fitted["config_"]),
        "history_": [asdict(record) for record in fitted["history_"]],
        "diagnosis_": asdict(fitted["diagnosis_"]),
    }
    try:
        text = json.dumps(words)
    except TypeError as error:
        raise TypeError(
            f"{error}: a parameter must be made of numbers, strings and mappings to be written; "
            "use set_params, with an integer for random_state"
        ) from error
    archive.write(
        path,
        {"words": np.array(text)}
        | {f"fitted.{name}": _storable(name, array) for name, array in arrays.items()}
        | {f"state.{k}": array for k, array in checkpoint.to_arrays(fitted["state_"]).items()},
        SCHEMA,
    )


def read(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the fitted attributes in `path`; ArchiveError as in `archive.read`, and
    if they are of another kind."""
    arrays = archive.read(path, SCHEMA)
    words = json.loads(arrays["words"].item())
    if words["kind"] != kind:
        raise archive.ArchiveError(
            f"{os.fspath(path)}: holds {words['kind']}, not {kind}; use {words['kind']}.load"
        )
    fitted = words["integers"] | {
        name: array.astype(object) if name in words["objects"] else array
        for name, array in checkpoint.under("fitted.", arrays).items()
    }
    fitted["config_"] = checkpoint.config_of(words["config_"])
    fitted["history_"] = [_record(**values) for values in words["history_"]]
    fitted["diagnosis_"] = _diagnosis(**words["diagnosis_"])
    fitted["state_"] = checkpoint.from_arrays(checkpoint.under("state.", arrays))
    return {name: _made(value) for name, value in words["parameters"].items()}, fitted


def plain(value: Any) -> Any:
    """NumPy's numbers as Python's, and sequences as tuples."""
    if isinstance(value, (np.generic, np.ndarray)) and not value.ndim:
        return value.item()
    if isinstance(value, (list, tuple, np.ndarray)):
        return tuple(plain(item) for item in value)
    return value


def _plain(value: Any) -> Any:
    # A JSON mapping would turn every key into a string.
    if isinstance(value, Mapping):
        return {"items": [(plain(key), plain(item)) for key, item in value.items()]}
    return plain(value)


def _made(value: Any) -> Any:
    """What `_plain` was given."""
    if isinstance(value, dict):
        return dict(value["items"])
    return tuple(_made(item) for item in value) if isinstance(value, list) else value


def _record(layers: list[dict[str, float]], **values: Any) -> EpochRecord:
    return EpochRecord(**values, layers=tuple(LayerStatistics(**layer) for layer in layers))


def _diagnosis(verdict: str, **rest: Any) -> Diagnosis:
    return Diagnosis(Verdict(verdict), **rest)


def _storable(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype != object:
        return array
    if not all(isinstance(item, str) for item in array):
        raise TypeError(f"{name} must hold numbers or strings to be written, not {array!r}")
    return array.astype(str)

"""A user's own trainer: a generator with the contract of trainer.train."""

import importlib
import inspect
import math
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import fields
from typing import Any

from sweep.backends.segment import Segment
from trainer import Dataset, EpochRecord

FIELDS = tuple(field.name for field in fields(EpochRecord) if field.name != "layers")
JUDGED = ("train_loss", "validation_loss", "validation_metric")


def find(name: str) -> Callable[..., Any]:
    """The function of this name, `package.module:name`; ImportError says what is not there."""
    module_name, separator, function_name = name.partition(":")
    if not (separator and module_name and function_name):
        raise ImportError(f"function {name!r} is not of the form package.module:name")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"function {name!r}: there is no module {error.name!r} where the trials run; install "
            "it there, or run sweep from the folder that holds it"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise ImportError(f"function {name!r}: {module_name} has no function {function_name!r}")
    found: Callable[..., Any] = function
    return found


def epochs(
    segment: Segment, state: Any, dataset: Dataset
) -> Generator[EpochRecord, None, tuple[Any, bool]]:
    """The records of a segment by the user's function; returns its state and whether it diverged.

    It is called as function(params, dataset, seed, state, until), with None for the state at the
    trial's beginning, yields an EpochRecord or a mapping with its fields for each epoch up to
    `until`, and returns the state to go on from. It diverged if its last record holds a loss or
    metric that is not finite; then it may end early. TypeError or ValueError if it does otherwise.
    """
    name, done = segment.function or "", segment.start if state is not None else 0
    made = find(name)(dict(segment.config), dataset, segment.seed, state, segment.until)
    if not inspect.isgenerator(made):
        raise TypeError(
            f"{name} returned {_kind(made)}; it must be a generator that yields a record for "
            "each epoch and returns its state"
        )
    diverged = False
    while True:
        started = time.perf_counter()
        try:
            yielded = next(made)
        except StopIteration as end:
            if done < segment.until and not diverged:
                raise ValueError(
                    f"{name} ended after epoch {done}; it must go on to epoch {segment.until}, the "
                    "one that it was asked for"
                ) from None
            return end.value, diverged
        given = _fields(name, yielded)
        if given.get("epoch") != done + 1 or done == segment.until:
            expected = f"epoch {done + 1}" if done < segment.until else "no further epoch"
            raise ValueError(
                f"{name} yielded epoch {given.get('epoch')!r} where {expected} was due; from the "
                "state that it is given it goes on epoch by epoch, without gaps, to `until`"
            )
        done += 1
        record = _record(name, given, time.perf_counter() - started)
        diverged = any(measure in given and not _finite(record, measure) for measure in JUDGED)
        yield record


def _fields(name: str, yielded: Any) -> Mapping[str, Any]:
    if isinstance(yielded, EpochRecord):
        return {field: getattr(yielded, field) for field in FIELDS}
    if not isinstance(yielded, Mapping):
        raise TypeError(
            f"{name} yielded {_kind(yielded)}; it must yield a trainer.EpochRecord or a mapping "
            f"with these keys: {', '.join(FIELDS)}"
        )
    if unknown := sorted(str(key) for key in yielded if key not in FIELDS):
        raise ValueError(
            f"{name} yielded the unknown key {unknown[0]!r}; there are: {', '.join(FIELDS)}"
        )
    return yielded


def _record(name: str, given: Mapping[str, Any], seconds: float) -> EpochRecord:
    values = dict.fromkeys(FIELDS, math.nan) | {"seconds": seconds}
    for field, value in given.items():
        try:
            values[field] = float(value)
        except (TypeError, ValueError):
            raise TypeError(
                f"{name} yielded {_kind(value)} for {field!r}, which must be a number"
            ) from None
    return EpochRecord(**(values | {"epoch": int(values["epoch"])}))  # type: ignore[arg-type]


def _finite(record: EpochRecord, measure: str) -> bool:
    return math.isfinite(getattr(record, measure))


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"

"""One hash that says whether two studies gave the same table."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import compress
from typing import Any

TRIALS = (
    "number",
    "params",
    "state",
    "outcome",
    "value",
    "values",
    "standard_error",
    "constraints",
    "epochs",
    "seed",
    "predicted_cost",
)
EPOCHS = (
    "trial",
    "replicate",
    "epoch",
    "learning_rate",
    "train_loss",
    "validation_loss",
    "validation_metric",
    "gradient_norm",
)
LATER = ("values", "standard_error", "constraints", "replicate")
"""Columns that release 0.1.0 did not have: they count where they say something."""


def fingerprint(
    trials: Iterable[Mapping[str, Any]], epochs: Mapping[str, Sequence[int | float | None]]
) -> str:
    """SHA-256 over the deterministic columns of a study's trials and epochs, each in key order.

    Epochs that were trained and not yet decided about do not count. Times, nodes and attempts are
    left out: they say how the table came about. Floats count to the last bit,
    since JSON as Python writes it gives the shortest text that reads back as the same float.
    """
    digest, trials = hashlib.sha256(), list(trials)
    for row in trials:
        values = {column: row[column] for column in TRIALS if row[column] or column not in LATER}
        digest.update(_json(values).encode() + b"\n")
    reached = {trial["number"]: trial["epochs"] for trial in trials}
    places = zip(epochs["trial"], epochs["epoch"], strict=True)
    decided = [epoch <= reached[trial] for trial, epoch in places]
    columns = {name: [*compress(epochs[name], decided)] for name in EPOCHS}
    for i in range(0, len(decided), _BLOCK):
        for line in _lines({name: column[i : i + _BLOCK] for name, column in columns.items()}):
            digest.update(line.encode())
    return digest.hexdigest()


_BLOCK = 10_000  # rows that are text at a time

_json = json.JSONEncoder(sort_keys=True, allow_nan=False).encode


def _lines(epochs: Mapping[str, Sequence[int | float | None]]) -> Iterator[str]:
    """The rows of these columns as JSON, as it is of one after the other, but written by columns:
    there are many."""
    names, texts = sorted(epochs), []
    for name in names:
        column = epochs[name]
        found = _json(column)[1:-1].split(", ") if column else []
        if name in LATER:
            pairs = zip(column, found, strict=True)
            found = [f'"{name}": {text}, ' if value else "" for value, text in pairs]
        texts.append(found)
    fields = "".join("%s" if name in LATER else f'"{name}": %s, ' for name in names)
    line = f"{{{fields.removesuffix(', ')}}}\n"
    return (line % values for values in zip(*texts, strict=True))

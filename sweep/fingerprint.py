"""One hash that says whether two studies gave the same table."""

import hashlib
import json
from collections.abc import Iterable, Mapping
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


def fingerprint(trials: Iterable[Mapping[str, Any]], epochs: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 over the deterministic columns of a study's trials and epochs, each in key order.

    Epochs that were trained and not yet decided about do not count. Times, nodes and attempts are
    left out: they say how the table came about. Floats count to the last bit,
    since JSON as Python writes it gives the shortest text that reads back as the same float.
    """
    digest, encode = hashlib.sha256(), json.JSONEncoder(sort_keys=True, allow_nan=False).encode
    trials = list(trials)
    reached = {trial["number"]: trial["epochs"] for trial in trials}
    decided = (epoch for epoch in epochs if epoch["epoch"] <= reached[epoch["trial"]])
    for columns, rows in ((TRIALS, trials), (EPOCHS, decided)):
        for row in rows:
            values = {
                column: row[column] for column in columns if row[column] or column not in LATER
            }
            digest.update(encode(values).encode() + b"\n")
    return digest.hexdigest()

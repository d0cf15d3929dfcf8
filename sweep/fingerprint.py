"""One hash that says whether two studies gave the same table."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

TRIALS = ("number", "params", "state", "outcome", "value", "epochs", "seed", "predicted_cost")
EPOCHS = (
    "trial",
    "epoch",
    "learning_rate",
    "train_loss",
    "validation_loss",
    "validation_metric",
    "gradient_norm",
)


def fingerprint(trials: Iterable[Mapping[str, Any]], epochs: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 over the deterministic columns of a study's trials and epochs, each in key order.

    Times, nodes and attempts are left out: they say how the table came about. Floats count to the
    last bit, since JSON as Python writes it gives the shortest text that reads back as the same
    float.
    """
    digest = hashlib.sha256()
    for columns, rows in ((TRIALS, trials), (EPOCHS, epochs)):
        for row in rows:
            values = {column: row[column] for column in columns}
            digest.update(json.dumps(values, sort_keys=True, allow_nan=False).encode() + b"\n")
    return digest.hexdigest()

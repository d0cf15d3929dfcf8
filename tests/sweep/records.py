"""Rows as the orchestrator writes them, and a look behind the store's back."""

from datetime import UTC, datetime

from sqlalchemy import update

from sweep.fingerprint import EPOCHS
from sweep.store import schema

TIME = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def claim(store, name="study", **options):
    return store.claim(name, {"trials": 1}, "data", "0", **options)


def trial(number, **columns):
    return {
        "number": number,
        "params": {"learning_rate": 0.1 + 0.2, "activation": "relu"},
        "state": "running",
        "seed": 2**32 - 1,
        "predicted_cost": 0.1,
        "datetime_start": TIME,
        **columns,
    }


def epoch(trial, epoch, replicate=0):
    measures = ("train_loss", "validation_loss", "validation_metric", "gradient_norm")
    return {
        "trial": trial,
        "replicate": replicate,
        "epoch": epoch,
        "learning_rate": 1e-3,
        "seconds": 0.01,
        **dict.fromkeys(measures, 1 / (3 + trial + epoch)),
    }


def by_columns(epochs):
    """Rows of epochs as the fingerprint takes them."""
    return {name: [row[name] for row in epochs] for name in EPOCHS}


def attempt(trial, start, until, cause="finished", **columns):
    return {
        "trial": trial,
        "start": start,
        "until": until,
        "attempt": 1,
        "replicate": 0,
        "worker": "w",
        "node": "n",
        "queued": TIME,
        "sent": TIME,
        "started": TIME,
        "loaded": TIME,
        "finished": TIME,
        "received": TIME,
        "training": 0.2,
        "platform": None,
        "metrics": {"accuracy": 0.5},
        "cause": cause,
        "error": None,
        **columns,
    }


def event(step, event, trial=None, epoch=None, value=None):
    return {
        "time": TIME,
        "virtual_time": 0.5,
        "event": event,
        "trial": trial,
        "epoch": epoch,
        "value": value,
        "step": step,
        "detail": None,
    }


def decided(trial, state="running", **columns):
    return {
        "trial": trial,
        "state": state,
        "outcome": None if state in ("running", "paused") else "finished",
        "value": 0.5,
        "values": None,
        "standard_error": None,
        "constraints": None,
        "epochs": 3,
        "datetime_complete": None if state in ("running", "paused") else TIME,
        "seconds": 0.2,
        "attempts": 1,
        "node": "n",
        "error": None,
        **columns,
    }


def rewrite(store, **columns):
    """Change the studies' rows behind the store's back."""
    with store._database.writing() as connection:
        connection.execute(update(schema.studies).values(**columns))

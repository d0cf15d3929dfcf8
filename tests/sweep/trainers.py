"""Trainers of a user's own, good and bad; the tests name them as `tests.sweep.trainers:name`."""

import ctypes
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np

from tests.sweep.segments import CONFIG
from trainer import train


def linear(params, dataset, seed, state, until):
    """Least squares by gradient descent: its state is (epoch, weights)."""
    x, y = dataset.train.x, dataset.train.y
    epoch, weights = state or (0, np.random.default_rng(seed).normal(size=x.shape[1]))
    while epoch < until:
        error = x @ weights - y
        weights = weights - params["rate"] * x.T @ error / len(x)
        epoch += 1
        yield {"epoch": epoch, "train_loss": float(error @ error), "validation_metric": weights[0]}
    return epoch, weights


def to_infinity(params, dataset, seed, state, until):
    yield {"epoch": 1, "train_loss": 1.0}
    yield {"epoch": 2, "train_loss": np.inf}


def a_list(params, dataset, seed, state, until):
    return [{"epoch": 1}]


def words(params, dataset, seed, state, until):
    yield "epoch 1"


def gap(params, dataset, seed, state, until):
    yield {"epoch": 1}
    yield {"epoch": 3}


def from_the_start(params, dataset, seed, state, until):
    for epoch in range(until):
        yield {"epoch": epoch + 1}
    return "a state"


def too_long(params, dataset, seed, state, until):
    for epoch in range(until + 1):
        yield {"epoch": epoch + 1}


def too_short(params, dataset, seed, state, until):
    yield {"epoch": 1}


def unknown_key(params, dataset, seed, state, until):
    yield {"epoch": 1, "loss": 0.5}


def text(params, dataset, seed, state, until):
    yield {"epoch": 1, "train_loss": "small"}


def raises(params, dataset, seed, state, until):
    yield {"epoch": 1}
    raise RuntimeError("a fault of its own")


def unsendable(params, dataset, seed, state, until):
    yield from ({"epoch": epoch + 1} for epoch in range(until))
    return threading.Lock()


def struck(params, dataset, seed, state, until):
    """The network of CONFIG; the first time at epoch `at`, its worker is killed."""
    epochs = train(CONFIG, dataset, seed, state, until)
    while True:
        try:
            record = next(epochs)
        except StopIteration as end:
            return end.value
        if record.epoch == params["at"] and not Path(params["mark"]).exists():
            Path(params["mark"]).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield record


def hangs(params, dataset, seed, state, until):
    """In the interpreter's lock, if so asked: no other thread gets a turn."""
    yield {"epoch": 1}
    if params["locked"]:
        ctypes.PyDLL(None).sleep(1000)
    time.sleep(1000)


def slow(params, dataset, seed, state, until):
    """Each epoch lasts as long as it is told."""
    for epoch in range(state or 0, until):
        time.sleep(params["seconds"])
        yield {"epoch": epoch + 1, "validation_metric": 0.5}
    return until


def greedy(params, dataset, seed, state, until):
    """Takes memory at once, or bit by bit, as it is told."""
    yield {"epoch": 1}
    if params["at_once"]:
        np.ones(params["bytes"] // 8)
    kept = []
    while len(kept) < params["bytes"] // 100:
        kept.append([float(len(kept))])
    yield {"epoch": 2}
    return None


def dies_of_memory(params, dataset, seed, state, until):
    """Fills its memory, is seen with it, and takes its worker along."""
    kept = np.ones(params["bytes"] // 8)
    time.sleep(2)
    ctypes.string_at(0)
    yield {"epoch": len(kept)}


def sized(params, dataset, seed, state, until):
    """A state of so many bytes."""
    for epoch in range(state[0] if state else 0, until):
        yield {"epoch": epoch + 1, "validation_metric": (epoch + 1) / 10}
    return until, np.full(params["bytes"] // 8, seed)


def plain(params, dataset, seed, state, until):
    """Goes on from where it was, by a formula."""
    for epoch in range(state or 0, until):
        yield {"epoch": epoch + 1, "train_loss": 1.0, "validation_metric": seed % 97 / (epoch + 98)}
    return until


def hostile(params, dataset, seed, state, until):
    """Ends in an error whose text is a program and has a password, unless its rate is low."""
    if params["rate"] > 0.05:
        raise RuntimeError("<script>document.title = 'x'</script> at https://me:secret@host/?key=k")
    yield from linear(params, dataset, seed, state, until)

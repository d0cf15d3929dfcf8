"""Training in float64 against PyTorch's, of which make_fixtures.py wrote down the parameters."""

from pathlib import Path

import numpy as np
import pytest

from trainer import (
    ACTIVATIONS,
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    Dataset,
    Progress,
    Split,
    TrainConfig,
)
from trainer.descent import Descent
from trainer.progress import learning_rate, observe
from trainer.state import TrainState

FIXTURES = dict(np.load(Path(__file__).parent / "fixtures" / "torch.npz"))

CASES = [name.split() for name in FIXTURES if name.count(" ") == 3]
"""Optimizer, loss, activation, and what else there is."""

NEURONS = (6, 5)

EPOCHS = 50

WAYPOINT = 20
"""The step, in all of them 200, after which parameters are compared a first time."""

IDLE = np.r_[24:30, 60:65, 105:111, 117:122]
"""Where the biases in front of batch norm are, which it takes out again, and the running means,
which follow them. Their gradient is rounding errors alone, which adaptive optimizers raise."""

SETTINGS = {
    "adadelta": {"learning_rate": 1.0},
    "adagrad": {"learning_rate": 0.05},
    "adamw": {"learning_rate": 0.01, "weight_decay": 0.1},
    "rmsprop": {"learning_rate": 0.002},
    "sgd": {"learning_rate": 0.05},
    "huber": {"huber_delta": 0.7},
    "batch": {"norm": "batch"},
    "layer": {"norm": "layer"},
    "clip_value": {"clip_value": 0.02},
    "l2": {"l2": 0.01},
    "label_smoothing": {"label_smoothing": 0.1},
    "clip_norm": {"clip_norm": 0.1},
    "dropout": {"dropout": 0.3},
    "ema": {"ema": 0.9},
    "input_dropout": {"input_dropout": 0.3},
    "l1": {"l1": 0.003},
    "cosine": {"schedule": "cosine"},
    "cosine_restarts": {"schedule": "cosine_restarts", "restarts": 4},
    "exponential": {"schedule": "exponential", "decay": 0.01},
    "one_cycle": {"schedule": "one_cycle"},
    "plateau": {"learning_rate": 0.1, "plateau": 2, "plateau_factor": 0.5},
    "step": {"schedule": "step", "decay": 0.1, "drops": 4},
    "warmup": {"warmup": 2.5},
}
"""Of TrainConfig, where they are not those of the others."""


def start_from(outputs, norm):
    """Initial parameters: PyTorch's layers, then norms as both libraries begin them."""
    parts = [FIXTURES[f"start {outputs}"]]
    if norm != "none":
        parts += [part for n in NEURONS for part in (np.ones(n), np.zeros(n))]
    if norm == "batch":
        parts += [part for n in NEURONS for part in (np.zeros(n), np.ones(n))]
    return np.concatenate(parts)


def replay(optimizer, loss, activation, extra):
    """Parameters (2, parameters) at the waypoint and at the end of the steps that PyTorch took."""
    config = TrainConfig(
        neurons=NEURONS,
        activation=activation,
        loss=loss,
        optimizer=optimizer,
        metric="loss",
        batch_size=16,
        epochs=EPOCHS,
        dtype="float64",
        **{"learning_rate": 0.01}
        | SETTINGS.get(optimizer, {})
        | SETTINGS.get(loss, {})
        | SETTINGS.get(extra, {}),
    )
    classes = "regression" not in LOSSES[loss].kinds
    kind = "counts" if loss == "poisson" else "values"
    y = FIXTURES["classes"].argmax(axis=1) if classes else FIXTURES[kind]
    rows = Split(FIXTURES["x"], y)
    dataset = Dataset(
        rows,
        rows,
        n_classes=3 if classes else None,
        weights=FIXTURES["weights"] if extra == "weights" else None,
    )
    start = start_from(3 * LOSSES[loss].outputs_per_target, config.norm)
    moments = {name: np.zeros_like(start) for name in OPTIMIZERS[optimizer].moments}
    average = start.copy() if config.ema else None
    descent = Descent(config, dataset, TrainState(0, 0, start, moments, average=average))
    waypoints, progress = [], Progress()
    for epoch, order in enumerate(FIXTURES["order"].reshape(EPOCHS, -1)):
        rate = learning_rate(config, epoch, progress)
        descent.run_epoch(order, rate, np.random.default_rng(epoch))
        progress = observe(config, progress, descent.validate()[1])
        if descent.steps in (WAYPOINT, len(FIXTURES["order"])):
            waypoints.append(descent.judged.parameters.copy())
    assert (progress.factor < 1) == bool(config.plateau)
    return np.stack(waypoints)


@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_trajectory(case):
    """After 20 steps and after 200, every parameter is PyTorch's to a relative 1e-9."""
    found, expected = replay(*case), FIXTURES[" ".join(case)]
    if case[-1] == "batch":
        np.testing.assert_allclose(found, expected, atol=1e-5)
        found, expected = np.delete(found, IDLE, axis=1), np.delete(expected, IDLE, axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_cases():
    """Every optimizer that PyTorch has meets every activation and loss that it has."""
    met = {
        optimizer: {name for case in CASES if case[0] == optimizer for name in case[1:3]}
        for optimizer in OPTIMIZERS
    }
    ours_alone = {"hinge", "quantile", "signum"}
    assert not met.pop("lion")
    assert all(names == {*ACTIVATIONS, *LOSSES} - ours_alone for names in met.values())


@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_schedules(optimizer):
    """Every schedule, and every regulariser that PyTorch has, is among the cases."""
    met = {case[3] for case in CASES if case[0] == optimizer}
    regularizers = {"clip_norm", "clip_value", "dropout", "ema", "input_dropout", "l1", "l2"}
    assert met >= {*SCHEDULES, "plateau", "warmup", *regularizers} - {"constant"}

"""What the tables of a large study cost: seconds and memory of each property of `Study`.

`python -m tests.benchmarks.tables [STORE NAME]`; without them a study of 10,000 trials with curves
of 27 epochs is written to a temporary folder.
"""

import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np

from sweep import studyfile
from sweep.store import Batch, Store

TRIALS = 10_000
RUNGS = (0, 1, 3, 9, 27)
STUDY = """
name = "large"
[data]
source = "sklearn:digits"
[space]
layers = { low = 1, high = 3 }
neurons = { low = 16, high = 256, log = true }
activation = ["relu", "leaky_relu", "tanh", "sigmoid", "signum"]
optimizer = ["sgd", "momentum", "adam"]
batch_size = { low = 16, high = 256, log = true }
learning_rate = { low = 1e-4, high = 1e-1, log = true }
[train]
epochs = 27
[search]
trials = 10_000
pruner = "none"
"""

READ = """
import resource, sys, time
import sweep
study = sweep.load(*sys.argv[2:])
# What every process pays once: imports within methods.
getattr(study, "platforms")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
seconds = {}
for name in sys.argv[1].split():
    began = time.perf_counter(), time.process_time()
    value = getattr(study, name)
    if callable(value):
        value()
    seconds[name] = time.perf_counter() - began[0], time.process_time() - began[1]
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name, (real, cpu) in seconds.items():
    print(f"{name:<20}{real:8.2f} s{cpu:8.2f} s of CPU time")
real, cpu = map(sum, zip(*seconds.values()))
print(f"{'in all':<20}{real:8.2f} s{cpu:8.2f} s of CPU time, {after / 1024:.0f} MiB at most, "
      f"of which {before / 1024:.0f} MiB before")
"""

TOGETHER = "trials epochs segments events"
ALONE = (
    *("attempts", "failures", "pareto", "top", "ledger", "best", "importances", "advice"),
    *("diagnoses", "fingerprint", "optuna_study", "summary", "_repr_html_"),
)


def write(place: Path) -> None:
    """A study as a real run would record it, each trial trained to its end."""
    (place.parent / "study.toml").write_text(STUDY)
    spec = studyfile.load(place.parent / "study.toml")
    rng, began = np.random.default_rng(0), datetime(2026, 1, 1, tzinfo=UTC)
    with Store(place) as store:
        lease = store.claim(spec.name, studyfile.to_json(spec), "data", "0")
        for first in range(0, TRIALS, 500):
            batch = Batch()
            for number in range(first, first + 500):
                _trial(batch, number, rng, began + timedelta(seconds=number))
            store.write(lease, batch)
        store.release(lease, "complete")


def _trial(batch: Batch, number: int, rng: np.random.Generator, time: datetime) -> None:
    params = {
        "layers": int(rng.integers(1, 4)),
        **{f"neurons_{i}": int(rng.integers(16, 257)) for i in (1, 2, 3)},
        "activation": str(rng.choice(["relu", "leaky_relu", "tanh", "sigmoid", "signum"])),
        "optimizer": str(rng.choice(["sgd", "momentum", "adam"])),
        "batch_size": int(rng.integers(16, 257)),
        "learning_rate": float(10 ** rng.uniform(-4, -1)),
    }
    trial = {"number": number, "params": params, "state": "running", "seed": number}
    batch.started.append({**trial, "predicted_cost": 1.0, "datetime_start": time, "asking": 0.01})
    event = {"time": time, "virtual_time": float(number), "step": number, "detail": None}
    curve = 1 - np.exp(-np.arange(1, 28) * rng.uniform(0.05, 0.3)) * rng.uniform(0.5, 1)
    batch.events.append({**event, "event": "begin", "trial": number, "epoch": None, "value": None})
    for epoch in range(1, 28):
        measures = ("train_loss", "validation_loss", "gradient_norm")
        measured = {name: float(rng.exponential()) for name in measures}
        batch.epochs.append(
            {
                "trial": number,
                "replicate": 0,
                "epoch": epoch,
                "seconds": 0.01,
                "learning_rate": params["learning_rate"],
                **measured,
                "validation_metric": float(curve[epoch - 1]),
            }
        )
    for start, until in pairwise(RUNGS):
        names = ("queued", "sent", "started", "loaded", "finished", "received")
        times = {name: time + timedelta(milliseconds=i) for i, name in enumerate(names)}
        segment = {"trial": number, "replicate": 0, "start": start, "until": until}
        came = {"attempt": 1, "accepted": True, "worker": "4302", "node": "vm", "platform": None}
        what = {"training": 0.1, "metrics": None, "cause": "finished", "error": None}
        batch.attempts.append({**segment, **came, **times, **what})
        decided = {"trial": number, "epoch": until, "value": float(curve[until - 1])}
        name = "complete" if until == 27 else "running"
        batch.events.append({**event, "event": name, **decided})
    outcome = {"trial": number, "state": "complete", "outcome": "finished", "epochs": 27}
    came = {"value": float(curve[-1]), "values": None, "standard_error": None, "constraints": None}
    ended = {"datetime_complete": time + timedelta(seconds=9), "seconds": 0.27, "attempts": 4}
    batch.decided.append({**outcome, **came, **ended, "node": "vm", "error": None})


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        store, name = sys.argv[1:3] or (str(Path(folder) / "large.db"), "large")
        if len(sys.argv) < 3:
            write(Path(store))
        for properties in (TOGETHER, *ALONE):
            command = [sys.executable, "-c", READ, properties, name, store]
            done = subprocess.run(command, capture_output=True, text=True)
            print(done.stdout or f"  {properties}: {done.stderr.strip().splitlines()[-1]}")


if __name__ == "__main__":
    main()

"""The promise: one study file, one table, however it was run."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from sweep.fingerprint import fingerprint
from sweep.results import load
from tests.sweep.records import by_columns
from tests.sweep.studies import EMBEDDED, SMALL, finish, small

ROW = {
    "number": 0,
    "params": {"b": 0.1, "a": 2},
    "state": "complete",
    "outcome": "finished",
    "value": 0.5,
    "values": None,
    "standard_error": None,
    "constraints": None,
    "epochs": 3,
    "seed": 7,
    "predicted_cost": 0.25,
    "node": "here",
}

EPOCHS = by_columns([])


def test_the_fingerprint_sees_what_is_deterministic_and_nothing_else():
    """The last bit of a value changes it; a node's name or the order of parameters does not."""
    same = [ROW | {"node": "there", "params": {"a": 2, "b": 0.1}}]
    assert fingerprint([ROW], EPOCHS) == fingerprint(same, EPOCHS)
    for column, value in (("value", 0.5 + 2**-53), ("state", "pruned"), ("seed", 8)):
        assert fingerprint([ROW], EPOCHS) != fingerprint([ROW | {column: value}], EPOCHS)


def test_another_seed_gives_another_table(tmp_path):
    """The fingerprints of two seeds differ, so equal ones mean something."""
    studies = [finish(small(tmp_path, seed=seed), tmp_path / f"{seed}.db") for seed in (0, 1)]
    assert studies[0].fingerprint != studies[1].fingerprint


@pytest.mark.parametrize("pruner", ["none", "median", "successive_halving", "hyperband"])
@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_table_is_the_same_twice(tmp_path, sampler, pruner):
    """Every sampler with every pruner repeats its table."""
    spec = small(tmp_path, sampler=sampler, pruner=pruner)
    assert (
        finish(spec, tmp_path / "a.db").fingerprint == finish(spec, tmp_path / "b.db").fingerprint
    )


@pytest.mark.slow
@pytest.mark.parametrize(("cpus", "text"), [(1, SMALL), (2, SMALL), (2, EMBEDDED)])
def test_ray_gives_the_table_of_one_process(tmp_path, cpus, text):
    """Ray with one CPU and with two gives the table of the serial backend."""
    from sweep.backends.ray import RayBackend

    spec = small(tmp_path, text, trials=60)
    on_ray = finish(spec, tmp_path / "ray.db", partial(RayBackend, cpus=cpus))
    assert on_ray.fingerprint == finish(spec, tmp_path / "serial.db").fingerprint


@pytest.mark.slow
def test_a_cluster_gives_the_table_of_one_process(tmp_path):
    """A study on a Ray cluster of two nodes that was there before gives the same table."""
    from ray.cluster_utils import Cluster

    from sweep.backends.ray import RayBackend

    spec = small(tmp_path, trials=60)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        backend = partial(RayBackend, address=cluster.address)
        on_cluster = finish(spec, tmp_path / "cluster.db", backend)
    finally:
        cluster.shutdown()
    assert on_cluster.fingerprint == finish(spec, tmp_path / "serial.db").fingerprint


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "text"), [("serial", SMALL), ("ray", SMALL), ("serial", EMBEDDED)]
)
def test_a_killed_run_goes_on_to_the_same_table(tmp_path, backend, text):
    """A process killed with SIGKILL half way, and run again, gives the table of a whole run."""
    spec = small(tmp_path, text, trials=400)  # so many that the kill comes before the last
    path = tmp_path / "killed.db"
    command = [sys.executable, "-m", "sweep.cli", "run", str(tmp_path), "--store", str(path)]
    command += ["--backend", backend, *(["--cpus", "2"] if backend == "ray" else [])]
    running = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    while not (path.exists() and ended(path) >= 100):
        assert running.poll() is None, "the run ended before it could be killed"
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    killed = load("small", path)
    assert killed.state == "stopped"
    assert 100 <= ended(path) < 400
    subprocess.run(command, check=True, capture_output=True)
    assert killed.state == "complete"
    assert killed.fingerprint == finish(spec, tmp_path / "whole.db").fingerprint


def ended(path):
    """How many trials of the study have ended."""
    try:
        counts = load("small", path).counts
    except Exception:  # the store is being made
        return 0
    return sum(counts.values()) - counts.get("running", 0)

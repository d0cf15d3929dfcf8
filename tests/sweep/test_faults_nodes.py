"""Faults of whole nodes, each on a Ray of its own."""

import pytest

from sweep.dispatch import ATTEMPTS, Dispatch
from tests.sweep.segments import LONG, Memory, curve, iris, listen, own, trial, undisturbed, whole

pytestmark = pytest.mark.slow

THIRDS = (20, 40, 60)


def test_a_node_removed_with_what_it_ran_and_what_it_held():
    """Segments in the middle and states that were there are computed again, to the same bits."""
    import ray
    from ray.cluster_utils import Cluster

    from sweep.backends.cluster import maybe_enable_token_auth_if_token_available
    from sweep.backends.ray import RayBackend

    maybe_enable_token_auth_if_token_available(warn_if_disabled=False)  # all of it, or nothing
    segments = trial(config=LONG, rungs=THIRDS)
    running = [own("slow", trial=number, until=50, seconds=0.1) for number in (1, 2)]
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        leaving = cluster.add_node(num_cpus=2)
        with RayBackend((iris(),), address=cluster.address) as backend:
            journal = Memory()
            dispatch = Dispatch(backend, journal)
            listen(backend)
            reports = whole(dispatch, segments[:1])  # its state is on the node alone
            for segment in running:
                dispatch.submit(segment, 0.0)
            for _ in dispatch.ticks(running[0]):
                if len(dispatch.beats()) == 2:
                    break
            cluster.remove_node(leaving, allow_graceful=False)
            cluster.add_node(num_cpus=2)
            reports += whole(dispatch, segments[1:])
            for segment in running:
                for _ in dispatch.ticks(segment):
                    pass
                assert len(dispatch.take(segment).records) == 50
            while ray.available_resources().get("CPU", 0) < 2:
                backend.wait(timeout=0.1)
    finally:
        cluster.shutdown()
    assert curve(reports) == undisturbed(LONG)
    assert journal.causes.keys() == {segments[1], *running}
    for causes in journal.causes.values():
        assert set(causes[:-1]) == {"worker_lost"}
        assert causes[-1] == "finished"


def test_a_task_killed_for_its_nodes_memory(monkeypatch):
    """It is sent again, as another node or hour may have more, and in the end is out of memory."""
    from sweep.backends.ray import RayBackend

    monkeypatch.setenv("RAY_memory_usage_threshold", "0.001")  # the node is always short of it
    monkeypatch.setenv("RAY_memory_monitor_refresh_ms", "100")
    journal, segment = Memory(), own("slow", until=1000, seconds=0.1)
    with RayBackend((iris(),), cpus=1) as backend:
        (report,) = whole(Dispatch(backend, journal), [segment])
    assert report.outcome == "out_of_memory"
    assert "memory" in report.error
    assert journal.causes == {segment: ["out_of_memory"] * ATTEMPTS}

"""What every backend promises, asked of each of them."""

import os
import signal

import numpy as np
import pytest

from sweep import datasets
from sweep.backends import Segment
from sweep.backends.serial import SerialBackend
from sweep.spec import DataSpec
from trainer import TrainConfig, run

CONFIG = TrainConfig(neurons=(8,), learning_rate=0.05, epochs=6)


@pytest.fixture(scope="module")
def dataset():
    return datasets.load(DataSpec(source="sklearn:iris"))[0].without_test()


@pytest.fixture(scope="module", params=["serial", pytest.param("ray", marks=pytest.mark.slow)])
def backend(request, dataset):
    if request.param == "serial":
        start = SerialBackend
    else:
        from sweep.backends.ray import RayBackend as start
    with start(dataset) as backend:
        yield backend


def collect(backend, count):
    """The next `count` results, by trial."""
    results = {}
    while len(results) < count:
        results |= {result.segment.trial: result for result in backend.wait(timeout=30)}
    return results


def same_records(ours, theirs):
    """Whether two trainings went the same way, whatever time they took."""

    def measures(records):
        return [(r.epoch, r.train_loss, r.validation_metric, r.gradient_norm) for r in records]

    return measures(ours) == measures(theirs)


def test_a_segment_is_what_the_trainer_does(backend, dataset):
    """Records, state and whereabouts of a segment that runs a training from end to end."""
    backend.submit(Segment(0, CONFIG, 7, 0, 6))
    result = collect(backend, 1)[0]
    records, state = run(CONFIG, dataset, 7)
    assert result.report.outcome == "finished"
    assert same_records(result.report.records, records)
    assert np.array_equal(backend.fetch(result.state).parameters, state.parameters)
    assert result.report.node
    assert result.report.worker
    assert result.report.started <= result.report.finished


def test_segments_one_after_another_are_one_training(backend, dataset):
    """From state to state, in three segments, and from no state in the middle: the same bits."""
    whole, _ = run(CONFIG, dataset, 7)
    state, found = None, []
    for start, until in ((0, 1), (1, 3), (3, 6)):
        backend.submit(Segment(0, CONFIG, 7, start, until), state)
        result = collect(backend, 1)[0]
        state = result.state
        found += result.report.records
    assert same_records(found, whole)
    backend.submit(Segment(0, CONFIG, 7, 3, 6), None)
    assert same_records(collect(backend, 1)[0].report.records, whole[3:])


def test_many_segments_come_back_once_each(backend):
    """Twenty trials at once: each comes back, as the trial it is."""
    for trial in range(20):
        backend.submit(Segment(trial, CONFIG, trial, 0, 2))
    results = collect(backend, 20)
    assert sorted(results) == list(range(20))
    losses = {result.report.records[-1].train_loss for result in results.values()}
    assert len(losses) == 20
    assert backend.wait(timeout=0) == []


def test_an_exception_is_a_report(backend):
    """A training that raises comes back as an error with its traceback, and others go on."""
    unfit = TrainConfig(neurons=(8,), loss="mean_squared", metric="rmse")
    backend.submit(Segment(0, unfit, 1, 0, 1))
    backend.submit(Segment(1, CONFIG, 1, 0, 1))
    results = collect(backend, 2)
    assert results[0].report.outcome == "error"
    assert "ValueError: metric 'rmse' does not suit" in results[0].report.error
    assert results[1].report.outcome == "finished"


def test_divergence_is_a_report(backend):
    """A training whose loss is no longer finite comes back with the epochs it had."""
    wild = TrainConfig(neurons=(8,), optimizer="sgd", learning_rate=1e30, epochs=6)
    backend.submit(Segment(0, wild, 1, 0, 6))
    report = collect(backend, 1)[0].report
    assert report.outcome == "diverged"
    assert 1 <= len(report.records) < 6


@pytest.mark.parametrize("backend", [pytest.param("ray", marks=pytest.mark.slow)], indirect=True)
def test_a_killed_worker_is_noticed(backend):
    """Workers killed in the middle of a segment: it comes back as lost, and the next one runs."""
    for trial in range(20):
        backend.submit(Segment(trial, CONFIG, trial, 0, 2))
    workers = {int(result.report.worker) for result in collect(backend, 20).values()}
    long = TrainConfig(neurons=(256, 256), batch_size=1, epochs=10_000)
    backend.submit(Segment(0, long, 1, 0, 10_000))
    assert backend.wait(timeout=1) == []
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    report = collect(backend, 1)[0].report
    assert report.outcome == "worker_lost"
    assert report.error
    backend.submit(Segment(1, CONFIG, 1, 0, 1))
    assert collect(backend, 1)[1].report.outcome == "finished"

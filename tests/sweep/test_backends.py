"""What every backend promises, asked of each of them."""

import json
import math
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sweep.backends import Beat, Limits, Segment
from sweep.backends.processes import ProcessBackend
from sweep.backends.sent import GRACE, Sent
from sweep.backends.serial import SerialBackend
from sweep.errors import BackendError
from tests.sweep.segments import CONFIG, iris, own
from trainer import TrainConfig, evaluate, run

RAY = pytest.param("ray", marks=pytest.mark.slow)
ELSEWHERE = pytest.mark.parametrize("backend", ["processes", RAY], indirect=True)
"""In processes of their own, which can be killed."""
ON_RAY = pytest.mark.parametrize("backend", [RAY], indirect=True)
LONG = TrainConfig(neurons=(256, 256), batch_size=1, epochs=10_000)
MIB = 2**20


@pytest.fixture(scope="module")
def dataset():
    return iris()


@pytest.fixture(scope="module")
def other(dataset):
    """A second dataset: the first one with half of its training rows."""
    train = dataset.train._replace(x=dataset.train.x[::2], y=dataset.train.y[::2])
    return replace(dataset, train=train)


def started(where):
    """How a backend is started."""
    if where == "ray":
        from sweep.backends.ray import RayBackend

        return RayBackend
    return {"serial": SerialBackend, "processes": ProcessBackend}[where]


@pytest.fixture(scope="module", params=["serial", "processes", RAY])
def backend(request, dataset, other):
    with started(request.param)((dataset, other)) as backend:
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

    return repr(measures(ours)) == repr(measures(theirs))  # in which NaN is NaN


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


def alone(backend, segment, state=None, limits=None):
    """What comes back of one segment."""
    backend.submit(segment, state, *([] if limits is None else [limits]))
    return collect(backend, 1)[segment.trial]


def test_a_segment_trains_on_its_own_fold(backend, other):
    """Folds are the datasets by number."""
    report = alone(backend, Segment(0, CONFIG, 7, 0, 6, replicate=1, fold=1)).report
    assert same_records(report.records, run(CONFIG, other, 7)[0])


def test_a_segment_measures_further_metrics(backend, dataset):
    """They are those of the state that it reached, on the validation rows."""
    segment = Segment(0, CONFIG, 7, 0, 6, metrics=("log_loss", "loss"))
    metrics = dict(alone(backend, segment).report.metrics)
    _, state = run(CONFIG, dataset, 7)
    assert list(metrics) == ["log_loss", "loss"]
    for name, value in metrics.items():
        config = replace(CONFIG, metric=name)
        assert value == evaluate(config, state.parameters, dataset, dataset.validation)[1]


def test_a_report_says_where_and_when(backend):
    """Its times are in order, and its platform names what decides about the last bits."""
    report = alone(backend, Segment(0, CONFIG, 7, 0, 1)).report
    assert report.started <= report.loaded <= report.finished
    assert json.loads(report.platform).keys() == {
        *("processor", "blas", "kernel", "vectors", "python", "numpy", "trainer")
    }


def test_a_state_can_be_handed_in(backend, dataset):
    """From the handle of a state that was computed elsewhere, training goes on."""
    records, _ = run(CONFIG, dataset, 7)
    _, state = run(CONFIG, dataset, 7, until=3)
    report = alone(backend, Segment(0, CONFIG, 7, 3, 6), backend.keep(state)).report
    assert same_records(report.records, records[3:])


def test_a_trainer_of_ones_own(backend):
    """In one segment, in two, and without its state in between: the same records."""
    whole = alone(backend, own("linear", until=6, rate=0.01)).report.records
    first = alone(backend, own("linear", until=3, rate=0.01))
    for state in (first.state, None):
        rest = alone(backend, own("linear", start=3, until=6, rate=0.01), state).report.records
        assert same_records(first.report.records + rest, whole)
    assert [record.epoch for record in whole] == [1, 2, 3, 4, 5, 6]
    assert math.isnan(whole[0].validation_loss)
    assert whole[0].seconds > 0


def test_a_trainer_of_ones_own_diverges(backend):
    """A loss that it yields and that is not finite ends it, with the epochs that it had."""
    report = alone(backend, own("to_infinity", until=9)).report
    assert report.outcome == "diverged"
    assert len(report.records) == 2


WRONG = {
    "a_list": "returned a list; it must be a generator",
    "words": "yielded a str; it must yield a trainer.EpochRecord or a mapping",
    "gap": "yielded epoch 3 where epoch 2 was due",
    "from_the_start": "yielded epoch 1 where epoch 2 was due",
    "too_long": "yielded epoch 4 where no further epoch was due",
    "too_short": "ended after epoch 1; it must go on to epoch 3",
    "unknown_key": "unknown key 'loss'; there are: epoch, learning_rate",
    "text": "yielded a str for 'train_loss', which must be a number",
    "raises": "a fault of its own",
    "unknown": "tests.sweep.trainers has no function 'unknown'",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_trainer_is_told_what_is_wrong(backend, name):
    """The last line of the error says what it did and what is wanted."""
    segment = own(name, start=1 if name == "from_the_start" else 0)
    report = alone(backend, segment, backend.keep("a state") if segment.start else None).report
    assert report.outcome == "error"
    assert WRONG[name] in report.error.splitlines()[-1]
    assert report.records == ()


@pytest.mark.parametrize("name", ["nowhere:train", "train", "tests.sweep:", "tests.nowhere:train"])
def test_a_trainer_that_is_not_there(backend, name):
    """The error names the function and the part that is missing."""
    report = alone(backend, Segment(0, (), 7, 0, 3, function=name)).report
    assert report.outcome == "error"
    assert report.error.splitlines()[-1].startswith(f"ImportError: function {name!r}")


def test_a_trial_past_its_limit_of_time_ends_between_epochs(backend):
    """It comes back with the epochs that it had."""
    report = alone(backend, own("slow", until=50, seconds=0.1), limits=Limits(seconds=0.25)).report
    assert report.outcome == "timeout"
    assert report.error == f"past its limit of wall time after epoch {len(report.records)}"
    assert 1 <= len(report.records) < 50


@pytest.mark.parametrize("at_once", [True, False])
def test_a_trial_past_its_limit_of_memory(backend, at_once):
    """It comes back as out of memory, and the next one, which needs less, goes well."""
    greedy = own("greedy", bytes=400 * MIB, at_once=at_once)
    report = alone(backend, greedy, limits=Limits(memory=100 * MIB)).report
    assert report.outcome == "out_of_memory"
    assert "more than the 100 MiB that the study allows" in report.error
    report = alone(backend, Segment(0, CONFIG, 7, 0, 6), limits=Limits(memory=100 * MIB)).report
    assert report.outcome == "finished"


def test_a_queued_segment_can_be_killed(backend):
    """Of many, one is killed: it comes back so, unless it was done; an unknown one is ignored."""
    segments = [Segment(trial, CONFIG, trial, 0, 6) for trial in range(20)]
    for segment in segments:
        backend.submit(segment)
    backend.kill(segments[19])
    backend.kill(Segment(99, CONFIG, 0, 0, 6))
    outcomes = {trial: result.report.outcome for trial, result in collect(backend, 20).items()}
    assert outcomes.pop(19) == "killed"
    assert set(outcomes.values()) == {"finished"}


@ELSEWHERE
def test_a_killed_worker_is_noticed(backend):
    """Workers killed in the middle of a segment: it comes back as lost, and the next one runs."""
    for trial in range(20):
        backend.submit(Segment(trial, CONFIG, trial, 0, 2))
    workers = {int(result.report.worker) for result in collect(backend, 20).values()}
    backend.submit(Segment(0, LONG, 1, 0, 10_000))
    heard(backend, 1)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    report = collect(backend, 1)[0].report
    assert report.outcome == "worker_lost"
    assert report.error
    while not all(map(is_dead, workers)):  # on a busy machine a killed process lives on a little
        backend.wait(timeout=0.01)
    assert alone(backend, Segment(1, CONFIG, 1, 0, 1)).report.outcome == "finished"


def is_dead(process):
    """Whether all of its threads are gone too, so that it can be waited for."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return True
    state, *rest = status.rpartition(")")[2].split()
    return state in "ZX" and int(rest[16]) <= 1


def heard(backend, count):
    """Wait until so many segments have given a sign of life after their first epoch."""
    while sum(beat.epoch > 0 for beat in backend.beats()) < count:
        assert backend.wait(timeout=0.1) == []
    return backend.beats()


def all_free(backend):
    """Wait until no CPU of Ray is taken; the test's time limit is what fails."""
    if not isinstance(backend, started("ray")):
        return
    import ray

    while ray.available_resources().get("CPU", 0) < backend.cpus:
        backend.wait(timeout=0.1)


@ELSEWHERE
def test_running_segments_give_signs_of_life_and_can_be_killed(backend):
    """They say how far they are; killed, they come back as such and leave no CPU taken."""
    segments = [Segment(trial, LONG, 1, 0, 10_000, replicate=trial % 2) for trial in range(5)]
    for segment in segments:
        backend.submit(segment)
    for beat in heard(backend, backend.cpus):
        assert beat.replicate == beat.trial % 2
        assert 0 <= beat.value <= 1
        assert beat.resident > 10 * MIB
    for segment in segments:
        backend.kill(segment)
    results = collect(backend, 5)
    assert {result.report.outcome for result in results.values()} == {"killed"}
    assert backend.beats() == []
    all_free(backend)


@ELSEWHERE
@pytest.mark.parametrize("locked", [False, True])
def test_a_trial_that_hangs_is_killed_past_its_limit(backend, locked):
    """Even when it never lets another thread of its worker have a turn."""
    # On a busy machine a worker's imports count towards epoch 1, which must stay within the limit.
    report = alone(backend, own("hangs", locked=locked), limits=Limits(seconds=5.0)).report
    assert report.outcome == "timeout"
    assert report.error.startswith("hung")
    all_free(backend)


@ELSEWHERE
def test_a_worker_that_dies_at_its_limit_of_memory(backend):
    """A crash with the limit used up is out of memory; any other crash is a lost worker."""
    limits = Limits(memory=400 * MIB)  # what the trainer's module imports counts as well
    for share, outcome in ((0.9, "out_of_memory"), (0.1, "worker_lost")):
        segment = own("dies_of_memory", bytes=int(share * limits.memory))
        assert alone(backend, segment, limits=limits).report.outcome == outcome


@ELSEWHERE
def test_a_state_that_cannot_travel_is_an_error(backend):
    """A trainer's state that cannot be pickled: the segment that would begin from it says so."""
    first = alone(backend, own("unsendable"))
    assert first.report.outcome == "finished"
    report = alone(backend, own("unsendable", start=3, until=4), first.state).report
    assert report.outcome == "error"
    assert "cannot pickle" in report.error


MEMORY = Limits(seconds=10.0, memory=100)
DEATHS = {
    "nothing was heard": (MEMORY, [], "worker_lost"),
    "no memory is limited": (Limits(seconds=10.0), [1000, 9000], "worker_lost"),
    "it used what it may": (MEMORY, [1000, 1050, 1081], "out_of_memory"),
    "it used less": (MEMORY, [1000, 1090, 1079], "worker_lost"),
}


@pytest.mark.parametrize("case", DEATHS)
def test_how_a_segment_ended_whose_worker_died(case):
    """At its limit when last heard of, beside what the worker had before, or not."""
    limits, resident, outcome = DEATHS[case]
    sent = Sent(Segment(3, CONFIG, 7, 0, 6), None, limits)
    for epoch, used in enumerate(resident):
        sent.hear(Beat(3, 0, 5.0, epoch, None, used, "worker", "node"), 100.0 + epoch)
    assert sent.lost() == outcome
    report = sent.report(outcome, "it died")
    assert (report.outcome, report.error) == (outcome, "it died")
    if resident:
        assert (report.worker, report.node, report.started) == ("worker", "node", 5.0)
        assert report.finished > 5.0
        assert sent.last.epoch == len(resident) - 1
    else:
        assert report.started is None
    sent.verdict = "killed"
    assert sent.report(outcome, "it died").outcome == "killed"


def test_when_a_segment_is_overdue():
    """Some seconds past its limit since it was first heard of, by the clock of who listens."""
    for seconds, overdue in ((None, False), (10.0, True)):
        sent = Sent(Segment(0, CONFIG, 7, 0, 6), None, Limits(seconds=seconds))
        assert not sent.overdue(1e9), "it has not begun"
        for now in (100.0, 105.0):
            sent.hear(Beat(0, 0, 5.0, 0, None, 0), now)
        assert not sent.overdue(110.0 + GRACE)
        assert sent.overdue(110.1 + GRACE) == overdue


def test_an_address_that_does_not_answer_is_refused(monkeypatch):
    """Something listens there and says nothing: that is told, where Ray would wait for minutes."""
    from sweep.backends import cluster

    monkeypatch.setattr(cluster, "ANSWER", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(BackendError, match=r"did not answer in 0\.1 s; --address takes"):
            cluster.connect(None, address, {})

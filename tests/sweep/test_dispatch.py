"""Segments out and reports back: every answer once, recorded when it comes, whatever happens."""

from dataclasses import replace

import numpy as np
import pytest

from sweep import dispatch
from sweep.backends import Limits, Report, Result
from sweep.backends.segment import MOST
from sweep.backends.serial import SerialBackend
from sweep.backends.simulated import Clock, SimulatedBackend
from sweep.checkpoints import WORTH, Checkpoints
from sweep.cost import Shape, predicted_cost
from sweep.dispatch import ATTEMPTS, Dispatch
from tests.sweep.segments import CONFIG, Memory, curve, iris, own, trial, undisturbed, whole
from trainer import run


class Flaky(SerialBackend):
    """Serial, but the first answers to some segments are others; and it notes what it is sent."""

    def __init__(self, datasets, answers=None):
        super().__init__(datasets)
        self.answers = {segment: list(each) for segment, each in (answers or {}).items()}
        self.sent = []

    def submit(self, segment, state=None, limits=None):
        self.sent.append((segment, state, limits))
        super().submit(segment, state, limits)

    def wait(self, timeout):
        if self._queue and self.answers.get(self._queue[0][0]):
            segment, state, _ = self._queue.popleft()
            return [Result(segment, self.answers[segment].pop(0), state)]
        return super().wait(timeout)


@pytest.fixture(scope="module")
def dataset():
    return iris()


@pytest.fixture(scope="module")
def expected():
    return undisturbed(CONFIG)


LOST = Report(outcome="worker_lost", error="the worker died")
SHORT = Report(outcome="out_of_memory", error="the node ran short of memory")
OVER = Report(outcome="out_of_memory", error="over its limit", started=1.0)


def test_a_trial_goes_on_from_state_to_state(dataset, expected):
    """Three segments give the records and the state of one training, each computed once."""
    backend, journal = Flaky((dataset,)), Memory()
    dispatch = Dispatch(backend, journal)
    reports = whole(dispatch, trial())
    assert curve(reports) == expected
    _, state = run(CONFIG, dataset, 7)
    assert np.array_equal(dispatch.state(trial()[-1]).parameters, state.parameters)
    assert [state and state.epoch for _, state, _ in backend.sent] == [None, 1, 3]
    for tries in journal.attempts.values():
        assert [(a.number, a.accepted) for a in tries] == [(1, True)]
        assert tries[0].queued <= tries[0].sent <= tries[0].report.started <= tries[0].received


def test_what_is_on_record_is_not_computed(dataset):
    """A second dispatch answers from the journal, and computes what is not there, all the same."""
    journal = Memory()
    first = whole(Dispatch(Flaky((dataset,)), journal), trial()[:2])
    backend = Flaky((dataset,))
    reports = whole(Dispatch(backend, journal), trial())
    assert curve(reports[:2]) == curve(first)
    assert curve(reports) == undisturbed(CONFIG)
    assert [segment for segment, _, _ in backend.sent] == trial()[2:]


def test_an_answer_is_recorded_before_it_is_asked_for(dataset):
    """A segment that nobody waits for is on record when it has come back."""
    journal, dispatch = Memory(), None
    dispatch = Dispatch(Flaky((dataset,)), journal)
    first, second = trial(0)[0], trial(1)[0]
    dispatch.submit(second, 1.0)
    dispatch.submit(first, 2.0)
    for _ in dispatch.ticks(first):
        pass
    assert journal.recall(second) is not None
    assert dispatch.is_ready(second)


def test_the_earliest_virtual_end_goes_first(dataset):
    """The backend has two segments a CPU; of the others that with the earliest end follows."""
    backend = Flaky((dataset,))
    dispatch = Dispatch(backend, Memory())
    segments = [trial(number)[0] for number in range(6)]
    for segment in reversed(segments):
        dispatch.submit(segment, float(segment.trial))
    assert [segment.trial for segment, _, _ in backend.sent] == [5, 4]
    for _ in dispatch.ticks(segments[3]):
        pass
    assert [segment.trial for segment, _, _ in backend.sent] == [5, 4, 0, 1, 2, 3]


def test_asking_again_changes_nothing(dataset):
    """A segment asked for while it waits, runs or is ready is sent once."""
    backend = Flaky((dataset,))
    dispatch = Dispatch(backend, Memory())
    segment = trial()[0]
    for _ in range(3):
        dispatch.submit(segment, 1.0)
    for _ in dispatch.ticks(segment):
        pass
    dispatch.submit(segment, 1.0)
    assert dispatch.take(segment).outcome == "finished"
    assert len(backend.sent) == 1


CASES = [
    # what comes back first, the limit of memory, the outcome, and what stands in attempts
    ([LOST], None, "finished", ["worker_lost", "finished"]),
    ([LOST] * 2, None, "finished", ["worker_lost", "worker_lost", "finished"]),
    ([LOST] * 3, None, "worker_lost", ["worker_lost"] * 3),
    ([SHORT] * 2, None, "finished", ["out_of_memory"] * 2 + ["finished"]),
    ([SHORT] * 2, 10**9, "finished", ["out_of_memory"] * 2 + ["finished"]),
    ([SHORT] * 3, 10**9, "out_of_memory", ["out_of_memory"] * 3),
    ([OVER], None, "finished", ["out_of_memory", "finished"]),
    ([OVER], 10**9, "out_of_memory", ["out_of_memory"]),
    ([Report(outcome="timeout")], None, "timeout", ["timeout"]),
    ([Report(outcome="error")], None, "error", ["error"]),
]


@pytest.mark.parametrize(("answers", "memory", "outcome", "causes"), CASES)
def test_what_may_end_otherwise_is_sent_again(dataset, expected, answers, memory, outcome, causes):
    """From its state once, then from the beginning; in the end the bits are the same."""
    segments, journal = trial(), Memory()
    backend = Flaky((dataset,), {segments[1]: answers})
    dispatch = Dispatch(backend, journal, limits=Limits(memory=memory))
    reports = whole(dispatch, segments[:2])
    assert reports[1].outcome == outcome
    tries = journal.attempts[segments[1]]
    assert [attempt.report.outcome for attempt in tries] == causes
    assert [attempt.accepted for attempt in tries] == [False] * (len(tries) - 1) + [True]
    assert [attempt.number for attempt in tries] == list(range(1, len(tries) + 1))
    states = [state and state.epoch for sent, state, _ in backend.sent if sent == segments[1]]
    assert states == [1, 1, None][: len(causes)]
    if outcome == "finished":
        assert curve(reports) == expected[:3]
    assert ATTEMPTS == 3


def test_while_it_holds_nothing_new_goes_out(dataset):
    """What is out comes back; what is not is starved until the hold is over."""
    backend = Flaky((dataset,), {trial(0)[0]: [LOST]})
    dispatch = Dispatch(backend, Memory())
    out, lost, waiting = trial(1)[0], trial(0)[0], trial(2)[0]
    dispatch.submit(lost, 0.0)
    dispatch.submit(out, 1.0)
    dispatch.hold = True
    dispatch.submit(waiting, 2.0)
    assert [dispatch.starved(each) for each in (lost, out, waiting)] == [False, False, True]
    for _ in dispatch.ticks(out):
        pass
    assert [dispatch.starved(each) for each in (lost, out, waiting)] == [True, False, True]
    assert len(backend.sent) == 2
    dispatch.hold = False
    for _ in dispatch.ticks(waiting):
        pass
    assert dispatch.is_ready(lost)


def test_a_killed_trial_ends(dataset):
    """Wherever its segments are: at the backend, waiting here, or ready with the next to come."""
    backend, journal = Flaky((dataset,)), Memory()
    dispatch = Dispatch(backend, journal)
    ready, *sent = (trial(number)[0] for number in range(5))
    dispatch.submit(ready, 0.0)
    for _ in dispatch.ticks(ready):
        pass
    for segment in sent:
        dispatch.submit(segment, 1.0)
    assert all(dispatch.kill(number) for number in range(5))
    assert not dispatch.kill(5)
    for segment in sent:
        for _ in dispatch.ticks(segment):
            pass
        assert dispatch.take(segment).outcome == "killed"
        assert journal.recall(segment).outcome == "killed"
    assert dispatch.take(ready).outcome == "finished"
    (after,) = whole(dispatch, trial(0)[1:2])
    assert after.outcome == "killed"
    for number in range(5):
        dispatch.forget(number)
    assert not dispatch.kill(0)


def test_a_killed_trial_whose_worker_is_lost_is_not_sent_again(dataset):
    """It was killed too late to end it, and what came back was nothing."""

    class Deaf(Flaky):
        def kill(self, segment):
            pass

    segment, journal = trial()[0], Memory()
    dispatch = Dispatch(Deaf((dataset,), {segment: [LOST]}), journal)
    dispatch.submit(segment, 0.0)
    assert dispatch.kill(0)
    (report,) = whole(dispatch, [segment])
    assert report.outcome == "killed"
    assert journal.causes == {segment: ["killed"]}, "one row for each time that it was sent"


def test_one_trial_is_killed_and_the_others_go_on(dataset, expected):
    """All replicates of it, and none of another trial's."""
    dispatch = Dispatch(Flaky((dataset,)), Memory())
    folds = [replace(trial(3)[0], replicate=number) for number in range(4)]
    others = [trial(0)[0], trial(1)[0]]
    for segment in (*folds, *others):
        dispatch.submit(segment, 0.0)
    assert dispatch.kill(3)
    for segments, outcome in ((folds, "killed"), (others, "finished")):
        for segment in segments:
            for _ in dispatch.ticks(segment):
                pass
            assert dispatch.take(segment).outcome == outcome


def test_a_cancelled_run_records_nothing_more(dataset):
    """What was out or waiting is dropped, whatever the backend still says of it."""
    journal = Memory()
    dispatch = Dispatch(Flaky((dataset,)), journal)
    for number in range(5):
        dispatch.submit(trial(number)[0], 0.0)
    dispatch.cancel()
    next(dispatch.ticks(trial(0)[0]))
    assert not journal.attempts
    assert not any(dispatch.is_ready(trial(number)[0]) for number in range(5))


def test_a_computation_beside_the_record(dataset):
    """`compute` computes what is on record, to the same bits, and records nothing."""
    journal = Memory()
    dispatch = Dispatch(Flaky((dataset,)), journal)
    reports = whole(dispatch, trial())
    dispatch.forget(0)
    before = {segment: len(tries) for segment, tries in journal.attempts.items()}
    again = replace(trial()[-1], start=0)
    dispatch.compute(again)
    for _ in dispatch.ticks(again):
        pass
    assert curve([dispatch.take(again)]) == curve(reports)
    assert dispatch.state(again).epoch == 6
    assert {segment: len(tries) for segment, tries in journal.attempts.items()} == before


def test_the_limit_of_time_is_the_trials(dataset):
    """A segment may take what the ones before it left; one from the beginning the whole."""
    backend = Flaky((dataset,))
    dispatch = Dispatch(backend, Memory(), limits=Limits(seconds=100.0))
    reports = whole(dispatch, trial())
    spent = [sum(record.seconds for record in report.records) for report in reports]
    left = [limits.seconds for _, _, limits in backend.sent]
    assert left == pytest.approx([100.0, 100.0 - spent[0], 100.0 - spent[0] - spent[1]])


def test_a_study_taken_up_again_keeps_its_states(dataset):
    """All segments asked for again: no second counts twice, and it goes on from the state."""
    backend, journal = Flaky((dataset,)), Memory()
    dispatch = Dispatch(backend, journal, limits=Limits(seconds=100.0))
    reports = whole(dispatch, trial()[:2])
    assert whole(dispatch, trial()[:2]) == reports
    whole(dispatch, trial()[2:])
    _, state, limits = backend.sent[-1]
    assert state.epoch == 3
    spent = sum(record.seconds for report in reports for record in report.records)
    assert limits.seconds == pytest.approx(100.0 - spent)


def test_a_trial_over_its_limit_of_time_is_a_fact(dataset):
    """It has the epochs that it had, it is recorded, and it is not tried again."""
    journal = Memory()
    segments = [own("slow", 0, 2, seconds=0.06), own("slow", 2, 99, seconds=0.06)]
    dispatch = Dispatch(SerialBackend((dataset,)), journal, limits=Limits(seconds=0.2))
    first, second = whole(dispatch, segments)
    assert first.outcome == "finished"
    assert second.outcome == "timeout"
    assert 3 <= second.records[-1].epoch <= 5
    assert Dispatch(SerialBackend((dataset,)), journal).journal.recall(segments[1]) == second


def test_ticks_tell_how_far_what_runs_has_come(dataset, monkeypatch):
    """Of each trial the replicate that is behind, epoch by epoch; nothing of one that is over."""
    clock = Clock()
    monkeypatch.setattr(dispatch, "time", clock)
    folds = [replace(trial(0)[0], until=6, replicate=number) for number in (0, 1)]
    other = trial(1)[0]
    pace = 1.0 / predicted_cost(CONFIG, Shape.of(dataset), 1)
    with SimulatedBackend((dataset,), workers=3, pace=pace, clock=clock) as backend:
        running = Dispatch(backend, Memory())
        for segment in (*folds, other):
            running.submit(segment, 0.0)
        told = []
        for fold in folds:
            for tick in running.ticks(fold):
                told.append(tick.beats)
                behind = min((b for b in backend.beats() if b.trial == 0), default=None, key=epoch)
                assert behind is None or epoch(tick.beats[0]) in (behind.epoch, behind.epoch - 1)
        assert [epoch(beats[0]) for beats in told if 0 in beats][:1] == [0]
        assert {1, 2, 3, 4, 5} <= {epoch(beats[0]) for beats in told if 0 in beats}
        assert 1 in told[0]
        assert 1 not in told[-1]
        clock.sleep(1.0)
        assert not running.beats()


def epoch(beat):
    return beat.epoch


def ticked(dispatch, *segments):
    """The reports of segments that were asked for."""
    for segment in segments:
        for _ in dispatch.ticks(segment):
            pass
    return [dispatch.take(segment) for segment in segments]


def test_short_segments_go_out_in_bundles(dataset):
    """As many as make two bundles for each CPU."""
    backend = Flaky((dataset,))
    dispatch = Dispatch(backend, Memory())
    for number in range(2 * MOST + 5):
        dispatch.submit(replace(trial(number)[0], seconds=0.0), float(number))
    assert len(backend.sent) == 2 * MOST


def test_a_later_state_is_not_that_of_an_earlier_epoch(dataset, expected):
    """A training from its beginning begins there, though its trial has come further."""
    backend = Flaky((dataset,))
    dispatch = Dispatch(backend, Memory())
    whole(dispatch, trial())
    assert dispatch.state(trial()[1]) is None
    again = replace(trial()[-1], start=0)
    dispatch.compute(again)
    assert curve(ticked(dispatch, again)) == expected
    dispatch.forget(0)
    assert dispatch.state(again) is None


def test_a_segment_that_was_killed_while_it_waited_can_be_computed(dataset):
    """Once: what is left of it in the line is not sent."""
    backend, segment = Flaky((dataset,)), trial()[0]
    dispatch = Dispatch(backend, Memory(), hold=True)
    dispatch.submit(segment, 0.0)
    assert dispatch.kill(0)
    assert dispatch.take(segment).outcome == "killed"
    dispatch.forget(0)
    dispatch.compute(segment)
    dispatch.hold = False
    (report,) = ticked(dispatch, segment)
    assert report.outcome == "finished"
    assert len(backend.sent) == 1


def test_the_limit_of_time_is_each_replicate_s(dataset):
    """Less what its own epochs took; the whole where it begins anew."""
    first, second = (replace(trial()[0], replicate=number) for number in (0, 1))
    after = replace(trial()[1], replicate=1)
    backend = Flaky((dataset,), {after: [LOST] * 2})
    dispatch = Dispatch(backend, Memory(), limits=Limits(seconds=100.0))
    reports = whole(dispatch, [first, second, after])
    spent = sum(record.seconds for record in reports[1].records)
    left = [limits.seconds for sent, _, limits in backend.sent if sent == after]
    assert left == pytest.approx([100.0 - spent, 100.0 - spent, 100.0])


def test_a_segment_sent_again_waits_from_when_it_was_lost(dataset):
    """The times of its tries follow each other."""
    segment, journal = trial()[0], Memory()
    whole(Dispatch(Flaky((dataset,), {segment: [LOST] * 2}), journal), [segment])
    tries = journal.attempts[segment]
    times = [x for each in tries for x in (each.queued, each.sent, each.received)]
    assert times == sorted(times)
    assert [each.queued for each in tries[1:]] == [each.received for each in tries[:-1]]


def test_what_is_held_is_stuck_when_nothing_runs(dataset):
    """Not while something runs, nor where nothing waits, nor when nothing is held."""
    dispatch = Dispatch(Flaky((dataset,)), Memory())
    running, waiting = trial(0)[0], trial(1)[0]
    dispatch.submit(running, 0.0)
    dispatch.hold = True
    assert not dispatch.is_stuck
    ticked(dispatch, running)
    assert not dispatch.is_stuck
    dispatch.submit(waiting, 0.0)
    assert dispatch.is_stuck
    dispatch.hold = False
    assert not dispatch.is_stuck


def test_an_extended_study_goes_on_with_what_it_keeps(dataset):
    """What runs of trials that it keeps is awaited; of the others, whose numbers are given anew,
    nothing is known: neither reports, nor that they were killed, nor what still comes of them."""
    backend, before, after = Flaky((dataset,)), Memory(), Memory()
    after.proposed = {0: {}, 1: {}}
    dispatch = Dispatch(backend, before)
    kept, ready, gone, killed = (trial(number)[0] for number in (0, 2, 3, 4))
    dispatch.submit(ready, 0.0)
    for _ in dispatch.ticks(ready):
        pass
    dispatch.hold = True
    dispatch.submit(killed, 0.0)
    assert dispatch.kill(4)
    dispatch.hold = False
    dispatch.submit(gone, 1.0)
    dispatch.submit(kept, 2.0)
    dispatch.hold = True
    dispatch.go_on(after)
    assert not dispatch.hold
    assert not dispatch.is_ready(ready)
    assert dispatch.state(ready) is None
    (report,) = ticked(dispatch, kept)
    assert report.outcome == "finished"
    assert list(after.attempts) == [kept]
    anew = replace(CONFIG, learning_rate=0.01)
    others = [replace(segment, config=anew) for segment in (ready, gone, killed)]
    for segment in (*others, gone):
        dispatch.submit(segment, 3.0)
    assert {report.outcome for report in ticked(dispatch, *others, gone)} == {"finished"}
    assert list(before.attempts) == [ready, killed]


def test_a_cancelled_run_leaves_nothing_at_the_backend(dataset):
    """What was sent is killed there."""
    backend = Flaky((dataset,))
    dispatch = Dispatch(backend, Memory())
    for number in range(3):
        dispatch.submit(trial(number)[0], 0.0)
    dispatch.cancel()
    results = [result for _ in range(3) for result in backend.wait(0.0)]
    assert [result.report.outcome for result in results] == ["killed"] * 2


# Checkpoints.


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "checkpoints"


def part(dataset, folder, journal):
    """A run that is gone after two segments; each would have taken 100 seconds to recompute."""
    with Checkpoints(folder) as checkpoints:
        whole(Dispatch(SerialBackend((dataset,)), journal, checkpoints), trial()[:2])


def test_a_trial_goes_on_from_its_checkpoint(dataset, expected, folder):
    """After a crash it begins where it was, not at its beginning, and gives the same bits."""
    journal = Memory()
    part(dataset, folder, journal)
    backend = Flaky((dataset,))
    with Checkpoints(folder) as checkpoints:
        dispatch = Dispatch(backend, journal, checkpoints)
        reports = whole(dispatch, trial())
        assert [state.epoch for _, state, _ in backend.sent] == [3]
        assert curve(reports) == expected
        dispatch.forget(0)
    assert list(folder.iterdir()) == []


def flip(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize("damage", [flip, lambda data: data[:-99], lambda data: b""])
def test_a_damaged_checkpoint_is_found_and_recorded(dataset, expected, folder, damage):
    """The trial is computed from its beginning, to the same bits, and the cause is on record."""
    journal = Memory()
    part(dataset, folder, journal)
    (file,) = folder.iterdir()
    file.write_bytes(damage(file.read_bytes()))
    backend = Flaky((dataset,))
    with Checkpoints(folder) as checkpoints:
        reports = whole(Dispatch(backend, journal, checkpoints), trial())
    assert [state for _, state, _ in backend.sent] == [None]
    assert curve(reports) == expected
    assert journal.causes == {trial()[2]: ["checkpoint_damaged", "finished"]}
    assert str(file) in journal.attempts[trial()[2]][0].report.error


def test_a_lost_state_is_read_from_the_checkpoint(dataset, expected, folder):
    """A segment whose state was lost with its worker goes on from the disk."""
    segments = trial()

    class Forgetful(Flaky):
        def wait(self, timeout):
            return [
                replace(result, state=None) if result.report is LOST else result
                for result in super().wait(timeout)
            ]

    backend = Forgetful((dataset,), {segments[2]: [LOST]})
    checkpoints = Checkpoints(folder)
    dispatch = Dispatch(backend, Memory(), checkpoints)
    reports = whole(dispatch, segments[:2])
    checkpoints.close()  # all is written
    reports += whole(dispatch, segments[2:])
    assert curve(reports) == expected
    assert [state and state.epoch for _, state, _ in backend.sent] == [None, 1, 3, 3]
    assert backend.sent[2][1] is not backend.sent[3][1]


def test_what_is_cheap_to_recompute_is_not_written(dataset, folder):
    """Nor is the state of a user's own function."""
    with Checkpoints(folder) as checkpoints:
        dispatch = Dispatch(SerialBackend((dataset,)), Memory(), checkpoints)
        for segment, cost in ((trial()[0], WORTH), (own("linear", rate=0.01), 10 * WORTH)):
            dispatch.submit(segment, 0.0, cost)
            for _ in dispatch.ticks(segment):
                pass
    assert not folder.exists()

"""What users ask of a study while it runs, and after: each is on record and part of the replay."""

import pytest

from sweep import control, loop, studyfile
from sweep.backends import Report, Result
from sweep.backends.serial import SerialBackend
from sweep.backends.simulated import SimulatedBackend
from sweep.dispatch import Tick
from sweep.errors import StudyFailed
from sweep.loop import Ended, Notice, Opened
from sweep.model import model_file
from sweep.results import load
from sweep.steps import Begin, Decide
from sweep.store import Store, artifacts
from sweep.verify import verify
from tests.sweep.studies import events, finish, small


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "sweep.db"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Requests are looked for at every turn, as they are in studies that last."""
    monkeypatch.setattr(control, "POLL", 0.0)


def ask(path, request, **detail):
    with Store(path) as store:
        return store.request("small", request, detail)


def answers(path):
    with Store(path, read_only=True) as store:
        rows = store.requests(store.study("small")["id"])
    return [row["answer"] for row in rows]


def run_asking(spec, path, after, *requests, start=SerialBackend):
    """Run a study; hand in the requests when so many decisions were seen. The events."""
    seen, decided = [], 0
    for event in events(spec, path, start):
        seen.append(event)
        if isinstance(event, Decide):
            decided += 1
            if decided == after:
                for request, detail in requests:
                    ask(path, request, **detail)
    return seen


def replays(path):
    """Whether every decision comes out again, the commands among them."""
    with Store(path, read_only=True) as store:
        (decided,) = verify("small", store)
    return decided.decisions > 0


@pytest.mark.parametrize("request_", ["stop", "cancel"])
def test_a_study_is_stopped_from_elsewhere_and_goes_on_to_the_same_table(tmp_path, path, request_):
    """It is left as stopped, says so, and resumes to the table of a whole run."""
    spec = small(tmp_path)
    seen = run_asking(spec, path, 8, (request_, {}))
    assert seen[-1] == Ended("stopped")
    assert any(isinstance(event, Notice) and "stopping" in event.text for event in seen)
    stopped = load("small", path)
    assert stopped.state == "stopped"
    assert sum(stopped.counts.values()) < 24
    assert finish(spec, path).fingerprint == finish(spec, tmp_path / "whole.db").fingerprint


def on_simulated(after):
    """Two CPUs on which segments last by luck, so that the one that is due next waits in line."""
    return lambda parts: SimulatedBackend(parts, workers=2, seed=after, pace=300.0)


@pytest.mark.parametrize(
    ("after", "start"),
    [(8, SerialBackend), *((after, on_simulated(after)) for after in (2, 6, 10))],
)
def test_a_stop_lets_what_runs_end(tmp_path, path, monkeypatch, after, start):
    """Every segment that was at the backend comes back and is decided or on record."""
    monkeypatch.setattr(loop, "GROUP", 0.0)  # each decision is told at once
    sent, back = set(), set()

    class Watched:
        def __init__(self, parts):
            self.backend = start(parts)

        def __getattr__(self, name):
            return getattr(self.backend, name)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.backend.close()

        def submit(self, segment, *rest):
            sent.add(segment)
            self.backend.submit(segment, *rest)

        def wait(self, timeout):
            results = self.backend.wait(timeout)
            back.update(result.segment for result in results)
            return results

    run_asking(small(tmp_path), path, after, ("stop", {}), start=Watched)
    attempts = load("small", path).attempts
    assert len(attempts) == len(back)
    assert sent == back
    assert (attempts["cause"].isin(["finished", "diverged"])).all()


def test_a_paused_study_waits_until_it_is_resumed(tmp_path, path):
    """While it is paused nothing begins; then it goes on to the same table."""
    spec = small(tmp_path)
    decided, idle, paused = 0, 0, False
    for event in events(spec, path):
        decided += isinstance(event, Decide)
        if decided == 8 and not paused:
            ask(path, "pause")
            paused = True
        state = load("small", path).state
        if state == "paused":
            idle += 1
            if idle == 20:
                ask(path, "resume")
    assert idle >= 20
    assert answers(path)[0].startswith("paused")
    assert answers(path)[1] == "going on"
    assert load("small", path).fingerprint == finish(spec, tmp_path / "whole.db").fingerprint


ASKED = [("cancel", "stopped"), ("stop", "complete"), ("pause", "complete"), ("kill", "complete")]


@pytest.mark.parametrize(("request_", "state"), ASKED)
def test_requests_are_heeded_while_the_winner_is_trained_again(tmp_path, path, request_, state):
    """What runs is the winner alone: a stop lets it end, a cancel does not; it is tested in the
    end."""
    spec = small(tmp_path)
    whole = finish(spec, path)
    model_file(artifacts(path, "small"), whole.best.number).unlink()
    asked, ended = False, None
    for event in events(spec, path):
        if isinstance(event, Tick) and not asked:
            asked = True
            ask(path, request_, **({"trial": 3} if request_ == "kill" else {}))
        ended = event
    assert asked
    assert ended == Ended(state)
    assert answers(path)[-1] is not None
    study = finish(spec, path)
    assert study.state == "complete"
    assert study.best.test == whole.best.test


def test_the_winner_is_extended_past_while_it_is_trained_again(tmp_path, path):
    """The study goes on to the table of the longer one."""
    whole = finish(small(tmp_path), path)
    model_file(artifacts(path, "small"), whole.best.number).unlink()
    asked = False
    for event in events(small(tmp_path), path):
        if isinstance(event, Tick) and not asked:
            asked = True
            ask(path, "extend", trials=30)
    longer = finish(small(tmp_path, trials=30), tmp_path / "longer.db")
    assert load("small", path).fingerprint == longer.fingerprint


def test_a_stop_is_taken_back(tmp_path, path):
    """Resumed before what runs has ended, a study goes on, and a pause later is no stop."""
    spec = small(tmp_path)
    decided, idle, asked = 0, 0, {8: ["stop", "resume"], 12: ["pause"]}
    for event in events(spec, path):
        decided += isinstance(event, Decide)
        for request in asked.pop(decided, ()):
            ask(path, request)
        if isinstance(event, Tick) and not asked:
            idle += 1
            if idle == 5:
                ask(path, "resume")
    assert event == Ended("complete")
    assert load("small", path).fingerprint == finish(spec, tmp_path / "whole.db").fingerprint


def test_a_killed_trial_has_failed_and_stays_killed(tmp_path, path):
    """Its outcome is `killed`, also after a resume; the others are not touched."""
    spec = small(tmp_path)
    killed, stop_at = None, None
    running = events(spec, path)
    for event in running:
        if isinstance(event, Begin) and event.trial.number == 10:
            killed = event.trial.number
            ask(path, "kill", trial=killed)
        if isinstance(event, Decide) and event.trial.number == killed:
            stop_at = event
            if event.state != "running":
                break
    running.close()
    assert (stop_at.state, stop_at.outcome) == ("failed", "killed")
    study = finish(spec, path)
    trial = study.trials.set_index("number").loc[killed]
    assert (trial["state"], trial["outcome"]) == ("FAIL", "killed")
    assert (study.trials["outcome"] == "killed").sum() == 1
    assert "killed" in set(study.attempts["cause"])
    assert replays(path)


def test_a_trial_that_does_not_run_cannot_be_killed(tmp_path, path):
    """The request is answered with what is wrong."""
    run_asking(small(tmp_path), path, 8, ("kill", {"trial": 23}))
    assert answers(path) == ["refused: trial 23 is not running"]


@pytest.mark.parametrize("pruner", ["none", "hyperband", "promotion", "median"])
@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_an_extended_study_is_the_longer_study(tmp_path, path, sampler, pruner):
    """Extended after its end, 10 trials to 24 are the table of 24 at once."""
    options = {"sampler": sampler, "pruner": pruner}
    short, long = (small(tmp_path, trials=trials, **options) for trials in (10, 24))
    finish(short, path)
    assert finish(long, path).fingerprint == finish(long, tmp_path / "whole.db").fingerprint
    assert load("small", path).spec.search.trials == 24
    assert replays(path)


@pytest.mark.parametrize("after", [1, 9, 14])
def test_a_study_is_extended_while_it_runs(tmp_path, path, after):
    """Whether or not its last trial has begun, the result is the longer study."""
    short, long = (small(tmp_path, trials=trials) for trials in (10, 24))
    seen = run_asking(short, path, after, ("extend", {"trials": 24}))
    assert seen[-1] == Ended("complete")
    opened = [event for event in seen if isinstance(event, Opened)]
    assert [event.spec.search.trials for event in opened] == [10, 24]
    study = load("small", path)
    assert study.fingerprint == finish(long, tmp_path / "whole.db").fingerprint
    assert not study.attempts.duplicated(["trial", "replicate", "start", "until"]).any()


def test_running_a_shorter_file_again_keeps_what_there_is(tmp_path, path):
    """The file of 10 trials is a beginning of the study that was extended to 24."""
    finish(small(tmp_path, trials=24), path)
    assert sum(finish(small(tmp_path, trials=10), path).counts.values()) == 24


def test_a_configuration_given_by_hand_is_the_next_trial(tmp_path, path):
    """What is given is as given, the rest is proposed; the replay has it in the same place."""
    spec = small(tmp_path)
    given = {"learning_rate": 0.0123, "activation": "tanh"}
    run_asking(spec, path, 8, ("enqueue", {"params": given}))
    trials = load("small", path).trials
    by_hand = trials[trials["params_learning_rate"] == 0.0123]
    assert list(by_hand["params_activation"]) == ["tanh"]
    assert by_hand["params_batch_size"].notna().all()
    assert replays(path)


def test_a_configuration_that_the_space_does_not_have_is_refused(tmp_path, path):
    """The answer names the parameter and what is allowed."""
    run_asking(small(tmp_path), path, 8, ("enqueue", {"params": {"learning_rate": 7.0}}))
    (answer,) = answers(path)
    assert answer.startswith("refused: ")
    assert "learning_rate" in answer


def test_a_space_is_edited_from_the_next_trial_on(tmp_path, path):
    """A narrowed range and a frozen parameter hold for all later trials and for no earlier one."""
    spec = small(tmp_path)
    changes = {"learning_rate": {"low": 0.01, "high": 0.02, "log": True}, "layers": 1}
    run_asking(spec, path, 8, ("edit", {"changes": changes}))
    study = load("small", path)
    edited = study.events.index[study.events["event"] == "edit"][0]
    begun = study.events.loc[edited:].query("event == 'begin'")["trial"]
    later = study.trials[study.trials["number"].isin(begun)]
    assert 0 < len(later) < 24
    assert later["params_learning_rate"].between(0.01, 0.02).all()
    assert set(later["params_layers"]) == {1}
    assert replays(path)


def test_commands_to_a_study_at_rest_take_effect_when_it_goes_on(tmp_path, path):
    """Enqueued while nobody runs it, with an extension that makes room for it."""
    finish(small(tmp_path, trials=10), path)
    ask(path, "enqueue", params={"learning_rate": 0.0123})
    ask(path, "extend", trials=14)
    study = finish(small(tmp_path, trials=10), path)
    assert sum(study.counts.values()) == 14
    assert (study.trials["params_learning_rate"] == 0.0123).sum() == 1
    assert replays(path)


def test_a_budget_of_time_closes_a_study(tmp_path, path):
    """No trial begins after it is spent; those that run go on, and the winner is tested."""
    study = finish(small(tmp_path, wall_time=0.001), path)
    assert study.state == "complete"
    assert 4 <= len(study.trials) < 24
    assert study.best.test is not None
    assert "close" in set(study.events["event"])
    assert replays(path)


@pytest.mark.parametrize("budget", ["wall_time", "cpu_time"])
def test_a_study_goes_on_with_more_of_the_budget_that_closed_it(tmp_path, path, budget):
    """Its table is that of a study that had the larger budget at once; more trials do not help."""
    study = finish(small(tmp_path, **{budget: 1e-9}), path)
    begun = len(study.trials)
    ask(path, "extend", trials=30)
    assert len(finish(small(tmp_path, **{budget: 1e-9}), path).trials) <= begun + 1
    ask(path, "extend", **{budget: 1e6})
    study = finish(small(tmp_path, **{budget: 1e-9}), path)
    assert sum(study.counts.values()) == 30
    assert "close" not in set(study.events["event"])
    assert study.fingerprint == finish(small(tmp_path, trials=30), tmp_path / "b.db").fingerprint
    assert replays(path)


def test_a_budget_of_operations_closes_a_study_the_same_everywhere(tmp_path, path):
    """Predicted operations are part of the question: no event is needed."""
    study = finish(small(tmp_path, flops=3e6), path)
    assert 1 < len(study.trials) < 24
    assert "close" not in set(study.events["event"])
    assert study.fingerprint == finish(small(tmp_path, flops=3e6), tmp_path / "b.db").fingerprint


def test_a_failed_study_is_told_from_a_stopped_one(tmp_path, path):
    """With every trial killed, the study has failed and says so."""

    class Killed(SerialBackend):
        def wait(self, timeout):
            segment, *_ = self._queue.popleft()
            return [Result(segment, Report(outcome="killed"))]

    with pytest.raises(StudyFailed, match="all 24 trials"):
        finish(small(tmp_path), path, Killed)
    assert load("small", path).state == "failed"


def test_the_stored_spec_is_the_extended_one(tmp_path, path):
    """A study that was extended resumes from its record without a file."""
    finish(small(tmp_path, trials=10), path)
    ask(path, "extend", trials=12)
    with Store(path, read_only=True) as store:
        stored = studyfile.from_json(store.study("small")["spec"])
    assert sum(finish(stored, path).counts.values()) == 12

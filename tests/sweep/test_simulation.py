"""Studies on unlucky days, some dozens here and thousands with `-m slow`, and the checker."""

import sqlite3
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from multiprocessing import get_context

import pytest

from sweep.backends.serial import SerialBackend
from sweep.backends.simulated import Clock, Faults, SimulatedBackend
from tests.sweep import invariants
from tests.sweep.segments import curve, iris, trial
from tests.sweep.simulation import simulate
from tests.sweep.studies import finish, small

SEEDS, MANY, GROUP = 60, 2000, 20


@pytest.mark.parametrize("first", range(0, SEEDS, GROUP))
def test_unlucky_days(first):
    """The record keeps the invariants, and its table is that of the undisturbed fold."""
    for seed in range(first, first + GROUP):
        simulate(seed)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_many_unlucky_days():
    """The same, many times more, on all cores."""
    seeds = range(SEEDS, SEEDS + MANY)
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        assert len(list(pool.map(simulate, seeds, chunksize=10))) == MANY


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A finished study, and what it showed."""
    folder = tmp_path_factory.mktemp("record")
    finish(small(folder, trials=8, sampler="random"), folder / "sweep.db", SerialBackend)
    return folder / "sweep.db"


@pytest.fixture
def copy(record, tmp_path):
    """A copy of it that may be damaged."""
    place = tmp_path / "copy.db"
    with closing(sqlite3.connect(record)) as source, closing(sqlite3.connect(place)) as target:
        source.backup(target)
    return place


def test_a_sound_record_passes(copy):
    """Nothing is wrong with what a study leaves."""
    invariants.check(copy, "small", like=invariants.table(copy, "small"))


VIOLATIONS = [
    ("i1", "UPDATE trials SET number = 99 WHERE number = 7"),
    ("i1", "UPDATE trials SET outcome = NULL WHERE number = 0"),
    ("i1", "UPDATE trials SET state = 'running', outcome = NULL, datetime_complete = NULL"),
    ("i1", "UPDATE trials SET state = 'lost' WHERE number = 3"),
    ("i1", "DELETE FROM events WHERE event = 'begin' AND trial = 2"),
    ("i1", "UPDATE events SET step = 1 WHERE sequence = (SELECT max(sequence) FROM events)"),
    ("i1", "UPDATE studies SET state = 'running'"),
    (
        "i1",
        "INSERT INTO events (study, sequence, time, event, trial, step) "
        "SELECT 1, max(sequence) + 1, max(time), 'failed', 0, max(step) FROM events",
    ),
    (
        "i2",
        "INSERT INTO attempts (study, trial, replicate, start, until, attempt, accepted, queued, "
        "cause) SELECT study, trial, replicate, start, until, 2, 1, queued, cause FROM attempts "
        "WHERE trial = 0",
    ),
    (
        "i2",
        "INSERT INTO attempts (study, trial, replicate, start, until, attempt, accepted, queued, "
        "cause) SELECT study, trial, replicate, start, until, 2, 0, queued, 'worker_lost' FROM "
        "attempts WHERE trial = 0",
    ),
    ("i2", "UPDATE attempts SET cause = 'killed' WHERE trial = 1"),
    ("i2", "UPDATE attempts SET start = start + 1, until = until + 1 WHERE trial = 1"),
    ("i4", "DELETE FROM epochs WHERE trial = 0 AND epoch = 1"),
    ("i4", "UPDATE trials SET epochs = 99 WHERE number = 0"),
    ("i4", "UPDATE attempts SET accepted = 0 WHERE trial = 0"),
    ("i4", "UPDATE epochs SET replicate = 1 WHERE trial = 0"),
    ("i6", """UPDATE studies SET spec = json_set(spec, '$.search.trials', 7)"""),
    ("i6", """UPDATE studies SET spec = json_set(spec, '$.search.workers', 1)"""),
    ("i6", "UPDATE attempts SET attempt = 99 WHERE trial = 0"),
    ("i6", "UPDATE attempts SET cause = 'worker_lost' WHERE trial = 0"),
    ("i6", "UPDATE attempts SET started = '2000-01-01 00:00:00.000000'"),
    ("i7", "UPDATE sessions SET ended = NULL"),
    ("i7", "UPDATE studies SET token = token + 1"),
    (
        "i7",
        "INSERT INTO sessions (study, token, host, pid, started, ended) "
        "SELECT study, token - 1, host, pid, started, '2100-01-01 00:00:00.000000' FROM sessions",
    ),
    (
        "i8",
        "INSERT INTO attempts (study, trial, replicate, start, until, attempt, accepted, queued, "
        "cause) SELECT study, trial, replicate, start, until, 2, 1, queued, 'checkpoint_damaged' "
        "FROM attempts WHERE trial = 0",
    ),
    (
        "i8",
        "INSERT INTO attempts (study, trial, replicate, start, until, attempt, accepted, queued, "
        "cause) SELECT study, trial, replicate, 90, 91, 2, 0, queued, 'checkpoint_damaged' "
        "FROM attempts WHERE trial = 0",
    ),
]


@pytest.mark.parametrize(("invariant", "damage"), VIOLATIONS)
def test_a_violation_is_caught(copy, invariant, damage):
    """Each invariant fails for a record that breaks it, and is named."""
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute(damage)
    found = invariants.violations(copy, "small")
    assert any(line.startswith(invariant) for line in found), found


def test_what_was_shown_and_is_gone_is_caught(copy):
    """I3: a decision that a user saw must be on record."""
    found = invariants.violations(copy, "small", shown=[("complete", 4, 99, 9, 0.5)])
    assert [line[:2] for line in found] == ["i3"]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE epochs SET train_loss = train_loss * (1 + 3e-16) WHERE trial = 0 AND epoch = 1",
        "UPDATE trials SET seed = seed + 1 WHERE number = 4",
        "DELETE FROM epochs WHERE trial = 0",
    ],
)
def test_another_table_is_caught(record, copy, damage):
    """I5: one bit of one epoch is enough."""
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute(damage)
    found = invariants.violations(copy, "small", like=invariants.table(record, "small"))
    assert any(line.startswith("i5") for line in found), found


def answers(backend, segments):
    """The reports of segments that follow on each other, each lost one sent again."""
    reports, state = [], None
    for segment in segments:
        backend.submit(segment, state)
        while True:
            results = [r for r in backend.wait(1.0) if r.segment == segment]
            if results and results[0].report.records:
                break
            if results:
                backend.submit(segment, results[0].state)
        reports.append(results[0].report)
        state = results[0].state
        if reports[-1].outcome == "diverged":
            break
    return reports


@pytest.mark.parametrize("seed", range(20))
def test_misfortune_changes_no_training(seed):
    """On an unlucky cluster the curve is that of a lucky one, whatever is lost."""
    segments = trial(number=seed)
    with SimulatedBackend((iris(),)) as lucky:
        expected = curve(answers(lucky, [replace(segments[-1], start=0)]))
    faults = Faults(crash=0.3, memory=0.3, node=0.3, silence=0.3, forget=0.3)
    with SimulatedBackend((iris(),), workers=3, nodes=2, seed=seed, faults=faults) as unlucky:
        assert repr(curve(answers(unlucky, segments))) == repr(expected)
        assert not unlucky.beats()


def test_nobody_sleeps():
    """A week passes in no time, and in order."""
    clock = Clock(1e9)
    with SimulatedBackend((iris(),), clock=clock) as backend:
        assert backend.wait(7 * 86400.0) == []
    assert clock.now == 1e9 + 7 * 86400.0

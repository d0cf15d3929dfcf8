"""The record on each database: what is written is read, by transactions, beside readers."""

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from sweep.errors import StoreError, StudyNotFound
from sweep.store import CURVE, Batch, Store, schema
from tests.sweep.records import attempt, claim, decided, epoch, event, trial


@pytest.fixture
def store(place):
    with Store(place) as store:
        yield store


def test_what_is_written_is_read_back(store):
    """Floats come back to the last bit, large seeds whole, times as aware UTC, nothing as None."""
    lease = claim(store)
    store.write(
        lease,
        Batch(
            started=[trial(0, values=[1.5, 1e-300], constraints=[-0.1], standard_error=0.3)],
            epochs=[epoch(0, 1), epoch(0, 1, replicate=1)],
            attempts=[attempt(0, 0, 1, "checkpoint_damaged", platform=0, accepted=True)],
            events=[event(0, "begin", 0)],
            platforms=[{"id": 0, "description": {"blas": "Haswell"}}],
        ),
    )
    with Store(store.place, read_only=True) as reader:
        (row,) = reader.trials(lease.study)
        assert {key: row[key] for key in trial(0)} == trial(0)
        assert row["datetime_start"].tzinfo is not None
        assert (row["values"], row["constraints"], row["asking"]) == ([1.5, 1e-300], [-0.1], 0.0)
        assert (row["outcome"], row["error"]) == (None, None)
        assert reader.epochs(lease.study) == [
            {"study": lease.study, **epoch(0, 1, replicate)} for replicate in (0, 1)
        ]
        (sent,) = reader.attempts(lease.study)
        assert sent.items() >= attempt(0, 0, 1, "checkpoint_damaged", platform=0).items()
        assert sent["accepted"] is True
        (first,) = reader.events(lease.study)
        assert first == {"study": lease.study, "sequence": 0, **event(0, "begin", 0)}
        (platform,) = reader.platforms(lease.study)
        assert platform["description"] == {"blas": "Haswell"}


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.floats(allow_nan=False),
    words=st.text(),
    params=st.dictionaries(st.text(max_size=9), st.floats(allow_nan=False, allow_infinity=False)),
)
def test_any_number_and_any_text_comes_back(store, value, words, params):
    """Whatever a trial's value, parameters and error are; text loses only NUL and half characters,
    which databases refuse."""
    lease = claim(store, uuid4().hex)
    store.write(lease, Batch(started=[trial(0, value=value, error=words, params=params)]))
    (row,) = store.trials(lease.study)
    assert str(row["value"]) == str(value + 0.0)  # without the sign of zero
    assert row["params"] == params
    assert row["error"] == words.replace("\0", "\ufffd")


def test_text_that_no_database_keeps_is_kept_without_it(store):
    """An error message with half a surrogate pair and a NUL does not stop a study."""
    lease = claim(store)
    store.write(lease, Batch(started=[trial(0, error="a\0b\ud800c")]))
    assert store.trials(lease.study)[0]["error"] == "a\ufffdb?c"


def test_a_batch_is_written_whole_or_not_at_all(store):
    """A batch with a trial that exists already leaves nothing of its other rows, and the next one
    is written."""
    lease = claim(store)
    store.write(lease, Batch(started=[trial(0)]))
    with pytest.raises(IntegrityError, match=r"(?i)unique"):
        store.write(lease, Batch(started=[trial(1), trial(0)]), best=7)
    assert [row["number"] for row in store.trials(lease.study)] == [0]
    assert store.study("study")["best"] is None
    store.write(lease, Batch(started=[trial(1)]), best=1)
    assert [row["number"] for row in store.trials(lease.study)] == [0, 1]
    assert store.study("study")["best"] == 1


@pytest.mark.parametrize("kind", ["epochs", "attempts"])
def test_rows_belong_to_a_trial(store, kind):
    """An epoch or attempt of a trial that is not there is refused by the database."""
    rows = {"epochs": [epoch(5, 1)], "attempts": [attempt(5, 0, 1)]}
    with pytest.raises(IntegrityError, match=r"(?i)foreign key"):
        store.write(claim(store), Batch(**{kind: rows[kind]}))


def test_decisions_change_their_trials_only(store):
    """Several decisions of a batch, also of one trial, each change the trial that they name."""
    lease, other = claim(store), claim(store, "other")
    store.write(lease, Batch(started=[trial(0), trial(1), trial(2)]))
    store.write(other, Batch(started=[trial(0)]))
    final = decided(0, "complete", value=0.25, epochs=9)
    store.write(lease, Batch(decided=[decided(0), decided(1, "paused"), final]))
    found = {row["number"]: row for row in store.trials(lease.study)}
    assert (found[0]["state"], found[0]["value"], found[0]["epochs"]) == ("complete", 0.25, 9)
    assert (found[1]["state"], found[1]["epochs"]) == ("paused", 3)
    assert (found[2]["state"], found[2]["epochs"]) == ("running", 0)
    assert store.trials(other.study)[0]["state"] == "running"


def test_an_empty_batch_is_false():
    """So that a caller may save itself the transaction."""
    assert not Batch()
    assert Batch(answered=[{"id": 1, "answer": "done"}])


def test_readers_see_whole_transactions_beside_a_writer(store):
    """While a thread writes trials by twos, a reader never counts an odd number."""
    lease = claim(store)
    done = threading.Event()

    def write():
        for number in range(0, 200, 2):
            store.write(lease, Batch(started=[trial(number), trial(number + 1)]))
        done.set()

    thread = threading.Thread(target=write)
    with Store(store.place, read_only=True) as reader:
        thread.start()
        while not done.is_set():
            assert len(reader.trials(lease.study)) % 2 == 0
        thread.join()
        assert len(reader.trials(lease.study)) == 200


def test_events_are_numbered_in_order(store):
    """The sequence of events goes on from batch to batch without a gap."""
    lease = claim(store)
    for count in (2, 1, 3):
        store.write(lease, Batch(events=[event(0, "running", 0)] * count))
    assert [row["sequence"] for row in store.events(lease.study)] == list(range(6))


def test_trials_are_counted_without_being_read(store):
    """Of one study, not of the others."""
    lease, other = claim(store), claim(store, "other")
    store.write(lease, Batch(started=[trial(number) for number in range(3)]))
    assert [store.count_trials(each.study) for each in (lease, other)] == [3, 0]


def test_curves_are_read_by_trial_and_streamed(store):
    """The curves of some trials, or of all; the stream tells the same in the same order."""
    lease, other = claim(store), claim(store, "other")
    rows = [epoch(t, e, r) for t in range(5) for r in range(2) for e in range(1, 4)]
    for held in (lease, other):
        store.write(held, Batch(started=[trial(t) for t in range(5)], epochs=rows[::-1]))
    of_study = [{"study": lease.study, **row} for row in rows]
    assert store.epochs(lease.study) == of_study
    assert store.epochs(lease.study, [3, 1, 3]) == [
        row for row in of_study if row["trial"] in (1, 3)
    ]
    assert store.epochs(lease.study, []) == []
    assert list(store.curves(lease.study)) == [tuple(row[name] for name in CURVE) for row in rows]


def test_a_curve_is_found_without_reading_the_others(store):
    """The database's own plan for a few trials goes through the key."""
    lease = claim(store)
    started = [trial(number) for number in range(300)]
    rows = [epoch(number, e) for number in range(300) for e in range(1, 31)]
    store.write(lease, Batch(started=started, epochs=rows))
    query = "SELECT * FROM epochs WHERE study = 1 AND trial IN (1, 2, 3)"
    sqlite = store._database.__class__.__name__ == "SQLite"
    with store._database.writing() as connection:
        connection.execute(text("ANALYZE"))
        explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
        plan = "\n".join(str(row) for row in connection.execute(text(explain + query)))
    if sqlite:
        assert "SEARCH epochs USING PRIMARY KEY (study=? AND trial=?)" in plan
    else:
        assert "epochs_pkey" in plan
        assert "Seq Scan" not in plan


# Requests.


def test_a_request_waits_until_it_is_answered(store):
    """Any process asks; the holder answers in the transaction of what follows from it."""
    lease = claim(store)
    with Store(store.place) as terminal:
        first = terminal.request("study", "enqueue", {"params": {"layers": 1}})
        second = terminal.request("study", "pause", {})
    assert [row["id"] for row in store.pending(lease.study)] == [first, second]
    row = store.pending(lease.study)[0]
    assert (row["request"], row["detail"]) == ("enqueue", {"params": {"layers": 1}})
    answer = [{"id": first, "answer": "it is trial 0"}]
    store.write(lease, Batch(started=[trial(0)], answered=answer))
    assert [row["id"] for row in store.pending(lease.study)] == [second]
    done, waiting = store.requests(lease.study)
    assert done["answer"] == "it is trial 0"
    assert done["answered"] > done["time"]
    assert waiting["answered"] is None


def test_an_answer_is_lost_with_its_batch(store):
    """A request whose effect was not written is still pending."""
    lease = claim(store)
    number = store.request("study", "enqueue", {})
    store.write(lease, Batch(started=[trial(0)]))
    with pytest.raises(IntegrityError):
        store.write(lease, Batch(started=[trial(0)], answered=[{"id": number, "answer": "yes"}]))
    assert [row["id"] for row in store.pending(lease.study)] == [number]


def test_asking_an_unknown_study_is_an_error(store):
    """The error names the studies of the store."""
    claim(store)
    with pytest.raises(StudyNotFound, match=r"no study 'studi' .*there: study"):
        store.request("studi", "pause", {})


# Extending.


def test_rolling_back_leaves_what_was_decided_before(store):
    """Each trial is as its remaining events say; one that had not begun is gone; memo stays."""
    lease = claim(store)
    store.write(
        lease,
        Batch(
            started=[trial(number) for number in range(6)],
            epochs=[epoch(t, e) for t in range(6) for e in (1, 2, 3)],
            attempts=[attempt(t, 0, 3) for t in range(6)],
            events=[
                event(0, "begin", 0),
                event(1, "begin", 1),
                event(2, "begin", 2),
                event(3, "running", 0, 1, 0.125),
                event(4, "complete", 1, 3, 0.5),
                event(5, "enqueue"),
                event(6, "begin", 3),
                event(7, "paused", 3, 1, 0.25),
                event(8, "begin", 5),
                # undone:
                event(9, "complete", 0, 3, 0.5),
                event(9, "begin", 4),
                event(10, "failed", 2, 0),
                event(11, "promote", 3, 1),
                event(12, "pruned", 3, 3, 0.5),
                event(12, "enqueue"),
                event(13, "close"),
                event(13, "full"),
            ],
            decided=[
                decided(0, "complete"),
                decided(1, "complete"),
                decided(2, "failed", error="oops"),
                decided(3, "pruned", standard_error=0.1, values=[1.0, 2.0]),
                decided(4, "running"),
                decided(5, "running", epochs=0, value=None, values=[3.0]),
            ],
        ),
        best=1,
        test=0.75,
    )
    before = {row["number"]: row for row in store.trials(lease.study)}
    store.roll_back(lease, 9, {"trials": 2})
    after = {row["number"]: row for row in store.trials(lease.study)}
    ended = ("outcome", "datetime_complete", "error", "values", "standard_error")

    def now(number):
        row = after[number]
        assert all(row[column] is None for column in ended)
        return row["state"], row["epochs"], row["value"]

    assert sorted(after) == [0, 1, 2, 3, 5]
    assert now(0) == ("running", 1, 0.125)
    assert now(2) == ("running", 0, None)
    assert now(3) == ("paused", 1, 0.25)
    assert after[1] == before[1]
    assert after[5] == before[5]
    asked = store.events(lease.study)[-1]  # what was asked for still is
    assert (asked["event"], asked["step"]) == ("enqueue", 9)
    assert [row["step"] for row in store.events(lease.study)] == list(range(10))
    for rows in (store.epochs(lease.study), store.attempts(lease.study)):
        assert {row["trial"] for row in rows} == {0, 1, 2, 3, 5}
    study = store.study("study")
    assert (study["state"], study["best"], study["test"]) == ("running", None, None)
    assert study["spec"] == {"trials": 2}
    store.write(lease, Batch(started=[trial(4)], events=[event(9, "begin", 4)]))
    *before, asked, begun = store.events(lease.study)
    assert [row["sequence"] for row in before] == list(range(9))
    assert begun["sequence"] == asked["sequence"] + 1


def test_clearing_forgets_one_study_alone(store):
    """A study that begins anew has no trials; its neighbour keeps its own."""
    lease, other = claim(store), claim(store, "other")
    batch = Batch([trial(0)], [decided(0)], [epoch(0, 1)], [attempt(0, 0, 1)], [event(0, "begin")])
    for held in (lease, other):
        store.write(held, batch)
    store.clear(lease)
    for read in (store.trials, store.epochs, store.attempts, store.events):
        assert read(lease.study) == []
        assert len(read(other.study)) == 1


# What is no store of ours.


def test_a_store_of_a_later_release_is_refused(store):
    """The error says which schema was found and how to upgrade, to writers and readers."""
    with store._database.writing() as connection:
        connection.execute(update(schema.schema_version).values(version=schema.VERSION + 1))
    for read_only in (False, True):
        with pytest.raises(StoreError, match=r"later release.*pip install --upgrade"):
            Store(store.place, read_only=read_only)


def test_another_programs_database_is_left_alone(place):
    """A database that is no store of ours gets no tables of ours, and is not read as one."""
    Store(place).close()
    with closing(raw(place)) as connection:
        for table in reversed(schema.metadata.sorted_tables):
            connection.execute(f"DROP TABLE {table.name}")
        connection.execute("CREATE TABLE studies (name text)")
        connection.commit()
    for read_only in (False, True):
        with pytest.raises(StoreError, match="no store of sweep's"):
            Store(place, read_only=read_only)


def raw(place):
    """A connection without anything of ours between."""
    connect = psycopg.connect if "://" in str(place) else sqlite3.connect
    return connect(str(place))


def test_reading_where_nothing_is_creates_nothing(place, tmp_path):
    """A reader of a missing store says so and leaves nothing."""
    with pytest.raises(StudyNotFound, match=r"no store (at|in)"):
        Store(place, read_only=True)
    with pytest.raises(StudyNotFound, match=r"no store (at|in)"):
        Store(place, read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_store_is_left_alone(tmp_path):
    """Something else at the store's place is refused, and not changed."""
    path = tmp_path / "sweep.db"
    path.write_text("my notes, which are no database, and long enough to look like one" * 20)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"not a database.*--store"):
        Store(path)
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    """The error names the place and how to give another."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot write the store .*file/sweep.db.*--store"):
        Store(tmp_path / "file" / "sweep.db")


def test_an_unknown_study_is_an_error_that_lists_those_there(store):
    """The error names the studies of the store."""
    claim(store, "small")
    with pytest.raises(StudyNotFound, match=r"no study 'smal' .*there: small"):
        store.study("smal")


@pytest.mark.parametrize("name", ["od d?name#%20é.db", "mem?mode=memory", ":memory:", "a'b.db"])
def test_any_file_name_is_a_store(tmp_path, name):
    """Characters that mean something in URLs are only characters in a file's name."""
    with Store(tmp_path / name) as store:
        lease = claim(store)
        store.write(lease, Batch(started=[trial(0)]))
    with Store(tmp_path / name, read_only=True) as reader:
        assert len(reader.trials(lease.study)) == 1
    assert (tmp_path / name).is_file()


def test_processes_that_open_a_new_store_at_once_make_one(place):
    """Each of six processes that begin at the same moment finds the tables there or makes them."""
    code = (
        "import sys; from sweep.store import Store\n"
        "with Store(sys.argv[1]) as store: store.claim(sys.argv[2], {}, '', '')"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(place), f"study{number}"])
        for number in range(6)
    ]
    assert [child.wait() for child in children] == [0] * 6
    with Store(place, read_only=True) as reader:
        assert reader.names() == [f"study{number}" for number in range(6)]

"""The record: leases, transactions, readers beside a writer."""

import os
import socket
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from sweep.errors import StoreError, StudyLocked, StudyNotFound
from sweep.store import Batch, Store, artifacts, locate, schema
from tests.sweep.studies import finish, small


@pytest.fixture
def store(tmp_path):
    with Store(tmp_path / "runs" / "sweep.db") as store:
        yield store


def claim(store, name="study"):
    return store.claim(name, {"trials": 1}, "data", "0")


def trial(number):
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return {
        "number": number,
        "params": {"learning_rate": 0.1 + 0.2},
        "state": "running",
        "seed": 2**32 - 1,
        "predicted_cost": 0.1,
        "datetime_start": now,
    }


def rewrite(store, **columns):
    """Change the study's row behind the store's back."""
    with store._engine.begin() as connection:
        connection.execute(update(schema.studies).values(**columns))


def test_what_is_written_is_read_back(store):
    """Floats come back to the last bit, large seeds whole, times as aware UTC."""
    lease = claim(store)
    store.write(lease, Batch(started=[trial(0)]))
    with Store(store.path, read_only=True) as reader:
        (row,) = reader.trials(lease.study)
    assert row["params"]["learning_rate"] == 0.1 + 0.2
    assert row["seed"] == 2**32 - 1
    assert row["datetime_start"] == trial(0)["datetime_start"]
    assert row["datetime_start"].tzinfo is not None


def test_a_batch_is_written_whole_or_not_at_all(store):
    """A batch with a trial that exists already leaves nothing of its other rows."""
    lease = claim(store)
    store.write(lease, Batch(started=[trial(0)]))
    with pytest.raises(Exception, match="UNIQUE"):
        store.write(lease, Batch(started=[trial(1), trial(0)]))
    assert [row["number"] for row in store.trials(lease.study)] == [0]


def test_a_held_study_is_refused_and_its_holder_named(store):
    """A second claim says which process of which machine has the study."""
    claim(store)
    with pytest.raises(StudyLocked, match=f"process {os.getpid()} on {socket.gethostname()}"):
        claim(store)


def test_two_processes_cannot_hold_one_study(store):
    """A claim from another process is refused while this one lives."""
    claim(store)
    code = (
        "import sys; from pathlib import Path; from sweep.store import Store\n"
        "Store(Path(sys.argv[1])).claim('study', {}, '', '')"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(store.path)], capture_output=True, text=True, check=False
    )
    assert other.returncode == 1
    assert "StudyLocked" in other.stderr


@pytest.mark.parametrize(
    ("columns", "free"),
    [
        ({"holder": f"{socket.gethostname()}:{os.getpid()}"}, False),
        ({"holder": f"{socket.gethostname()}:4000000"}, True),  # a process that is gone
        ({"holder": "elsewhere:1"}, False),
        ({"holder": "elsewhere:1", "lease_expires": datetime.now(UTC)}, True),
        ({"holder": None, "lease_expires": None}, True),
    ],
)
def test_a_study_is_free_if_its_holder_is_gone(store, columns, free):
    """The lease frees itself when it runs out, at once if its process is known to be dead."""
    claim(store)
    rewrite(store, **{"lease_expires": datetime.now(UTC) + timedelta(seconds=9)} | columns)
    if free:
        assert claim(store).token == 2
    else:
        with pytest.raises(StudyLocked):
            claim(store)


def test_a_holder_that_overslept_its_lease_cannot_write(store):
    """After another process took over, every write of the first is refused."""
    old = claim(store)
    rewrite(store, lease_expires=datetime.now(UTC) - timedelta(seconds=1))
    new = claim(store)
    for late in (
        lambda: store.write(old, Batch(started=[trial(0)])),
        lambda: store.renew(old),
        lambda: store.release(old, "complete"),
        lambda: store.clear(old),
    ):
        with pytest.raises(StudyLocked, match="taken over"):
            late()
    assert store.trials(new.study) == []
    assert store.study("study")["state"] == "running"


def test_readers_see_whole_transactions_beside_a_writer(store):
    """While a thread writes trials by twos, a reader never counts an odd number."""
    lease = claim(store)
    done = threading.Event()

    def write():
        for number in range(0, 200, 2):
            store.write(lease, Batch(started=[trial(number), trial(number + 1)]))
        done.set()

    thread = threading.Thread(target=write)
    with Store(store.path, read_only=True) as reader:
        thread.start()
        while not done.is_set():
            assert len(reader.trials(lease.study)) % 2 == 0
        thread.join()
        assert len(reader.trials(lease.study)) == 200


def test_events_are_numbered_in_order(store):
    """The sequence of events goes on from batch to batch without a gap."""
    lease = claim(store)
    now = datetime.now(UTC)
    event = {"time": now, "virtual_time": 0.0, "event": "begin", "trial": 0, "epoch": None}
    for count in (2, 1, 3):
        store.write(lease, Batch(events=[event | {"value": None}] * count))
    with sqlite3.connect(store.path) as connection:
        found = connection.execute("select sequence from events order by 1").fetchall()
    connection.close()
    assert found == [(number,) for number in range(6)]


def test_a_store_of_a_later_release_is_refused(store):
    """The error says which schema was found and how to upgrade."""
    with store._engine.begin() as connection:
        connection.execute(update(schema.schema_version).values(version=schema.VERSION + 1))
    with pytest.raises(StoreError, match=r"later release.*pip install --upgrade"):
        Store(store.path)


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


def test_reading_where_nothing_is_creates_nothing(tmp_path):
    """A reader of a missing store says so and leaves no file."""
    with pytest.raises(StudyNotFound, match="no store at"):
        Store(tmp_path / "sweep.db", read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_study_is_an_error_that_lists_those_there(tmp_path):
    """The error names the studies of the store."""
    finish(small(tmp_path, trials=1), tmp_path / "sweep.db")
    with (
        Store(tmp_path / "sweep.db", read_only=True) as store,
        pytest.raises(StudyNotFound, match=r"no study 'smal' .*there: small"),
    ):
        store.study("smal")


def test_the_store_is_found_upwards(tmp_path, monkeypatch):
    """A notebook in studies/digits finds the store of the folder that the sweep ran in."""
    monkeypatch.delenv("SWEEP_STORE", raising=False)
    below = tmp_path / "studies" / "digits"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert locate() == below / "runs" / "sweep.db"
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "sweep.db").touch()
    assert locate() == tmp_path / "runs" / "sweep.db"
    monkeypatch.setenv("SWEEP_STORE", "other.db")
    assert locate() == Path("other.db")
    assert locate("given.db") == Path("given.db")
    assert locate("sqlite:////abs/given.db") == Path("/abs/given.db")
    with pytest.raises(StoreError, match=r"postgresql.*SQLite"):
        locate("postgresql://user:secret@host/sweeps")


def test_artifacts_are_beside_the_store():
    """A study's model files are in a folder of its own, and two stores share none."""
    assert artifacts(Path("runs/sweep.db"), "digits") == Path("runs/artifacts/digits")
    assert artifacts(Path("runs/other.db"), "digits") == Path("runs/other-artifacts/digits")


@pytest.mark.parametrize("name", ["od d?name#%20é.db", "mem?mode=memory", ":memory:", "a'b.db"])
def test_any_file_name_is_a_store(tmp_path, name):
    """Characters that mean something in URLs are only characters in a file's name."""
    path = tmp_path / name
    study = finish(small(tmp_path, trials=2), path)
    assert len(study.trials) == 2
    assert path.is_file()


def test_another_programs_database_is_left_alone(tmp_path):
    """A SQLite file that is no store of ours gets no tables of ours, and is not read as one."""
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("create table studies (name)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(StoreError, match="no store of sweep's"):
            Store(path, read_only=read_only)
    assert path.read_bytes()[100:] == before[100:]


def test_a_later_store_is_not_read_either(store):
    """Reading asks for the schema as writing does."""
    with store._engine.begin() as connection:
        connection.execute(update(schema.schema_version).values(version=schema.VERSION + 1))
    with pytest.raises(StoreError, match="later release"):
        Store(store.path, read_only=True)

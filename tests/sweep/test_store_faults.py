"""The database goes away, loses its answers, is full, or may only be read."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from sweep.errors import StoreError, StudyLocked
from sweep.store import Batch, Store, patience, schema, silence
from tests.sweep.records import claim, epoch, event, rewrite, trial


def numbers(store, lease):
    return [row["number"] for row in store.trials(lease.study)]


def step(number):
    """What one step of a study writes."""
    return Batch(
        started=[trial(number)], epochs=[epoch(number, 1)], events=[event(number, "begin", number)]
    )


@pytest.fixture
def proxy(postgres):
    from tests.sweep.postgres import proxied

    with proxied(postgres) as proxy:
        yield proxy


def through(proxy, url):
    return url.partition("?")[0] + f"?host={proxy.folder}"


def test_a_commit_whose_answer_is_lost_is_not_done_twice(database, proxy):
    """Every write, and the taking and leaving of a study, happens once though its answer is lost
    up to three times in a row."""
    with Store(through(proxy, database)) as store:
        proxy.lose_commits(1)
        lease = claim(store)
        assert (lease.token, proxy.left) == (1, 0)
        for number, losses in enumerate((1, 0, 2, 3)):
            proxy.lose_commits(losses)
            store.write(lease, step(number))
            assert proxy.left == 0 or losses > 1
            proxy.lose_commits(0)
        assert numbers(store, lease) == [0, 1, 2, 3]
        assert [row["sequence"] for row in store.events(lease.study)] == [0, 1, 2, 3]
        proxy.lose_commits(1)
        store.renew(lease)
        proxy.lose_commits(1)
        request = store.request("study", "enqueue", {})
        assert [row["id"] for row in store.pending(lease.study)] == [request]
        proxy.lose_commits(1)
        store.write(lease, Batch(answered=[{"id": request, "answer": "done"}]))
        proxy.lose_commits(1)
        store.roll_back(lease, 2, {"trials": 9})
        assert numbers(store, lease) == [0, 1]
        proxy.lose_commits(1)
        store.release(lease, "stopped")
        assert proxy.left == 0
        assert store.study("study")["state"] == "stopped"
        assert claim(store).token == 2


def test_a_server_that_says_nothing_is_given_up(database, proxy, monkeypatch):
    """Its connection stays open, as that of a server that was stopped; what was asked for is asked
    for again on another one, and happens once."""
    with Store(through(proxy, database)) as store:
        lease = claim(store)
        store.write(lease, step(0))
        monkeypatch.setattr(silence, "SECONDS", 0.3)
        proxy.mutes_next = True
        store.write(lease, step(1))
        assert not proxy.mutes_next
        assert numbers(store, lease) == [0, 1]
        proxy.mutes_next = True
        assert store.study("study")["state"] == "running"
        assert not proxy.mutes_next


def test_a_commit_that_was_lost_is_done_again(database, monkeypatch):
    """A connection that breaks before the commit leaves nothing; the same write then succeeds."""
    with Store(database) as store:
        lease = claim(store)
        batch, write = step(0), Batch.write

        def broken_once(self, connection, study):
            write(self, connection, study)
            monkeypatch.setattr(Batch, "write", write)
            connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

        monkeypatch.setattr(Batch, "write", broken_once)
        store.write(lease, batch)
        assert numbers(store, lease) == [0]


def test_a_study_that_was_taken_while_the_database_was_away_is_left_alone(database, proxy):
    """The write whose answer was lost is told from one that another process has overtaken."""
    with Store(through(proxy, database)) as store, Store(database) as other:
        lease = claim(store)
        store.write(lease, step(0))
        rewrite(other, holder=None)
        taken = claim(other)
        other.write(taken, step(1))
        with pytest.raises(StudyLocked, match="taken over"):
            store.write(lease, step(2))
        assert numbers(other, lease) == [0, 1]


@pytest.mark.slow
def test_a_server_that_dies_and_comes_back_loses_nothing(postgres, database):
    """PostgreSQL is killed three times under a writer, and is back seconds later: every step that
    the writer saw written is there, once and in order."""
    stop, done = threading.Event(), []

    def write():
        with Store(database) as store:
            lease = claim(store)
            while not stop.is_set():
                store.write(lease, step(len(done)))
                done.append(lease)

    def written(more):
        enough = len(done) + more
        while len(done) < enough:
            assert writer.is_alive()
            time.sleep(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for away in (0.0, 0.5, 3.0):
            written(20)
            postgres.kill()
            time.sleep(away)
            postgres.start()
        written(20)
    finally:
        stop.set()
        writer.join()
    with Store(database, read_only=True) as store:
        assert numbers(store, done[0]) == list(range(len(done)))
        assert [row["step"] for row in store.events(done[0].study)] == list(range(len(done)))


@pytest.mark.slow
def test_a_server_that_stays_away_is_given_up(postgres, database, monkeypatch):
    """After the time that is given, the error names the store; nothing hangs."""
    monkeypatch.setattr(patience, "SECONDS", 1.0)
    with Store(database) as store:
        lease = claim(store)
        postgres.kill()
        try:
            with pytest.raises(StoreError, match=r"cannot write the store postgresql://.*socket"):
                store.write(lease, step(0))
            with pytest.raises(StoreError, match="cannot read"):
                store.pending(lease.study)
        finally:
            postgres.start()
        store.write(lease, step(0))
        assert numbers(store, lease) == [0]


def test_a_place_where_no_server_is_is_said_at_once(tmp_path):
    """Nobody waits two minutes for an address that was mistyped."""
    began = time.monotonic()
    url = f"postgresql://me:secret@/sweeps?host={tmp_path}"
    with pytest.raises(StoreError, match=r"cannot write .*No such file") as caught:
        Store(url)
    assert time.monotonic() - began < 60
    assert "secret" not in str(caught.value)


def test_a_locked_file_is_waited_for(tmp_path, monkeypatch):
    """Another program that holds the SQLite file is waited for, and then written beside."""
    path = tmp_path / "sweep.db"
    with Store(path) as store:
        lease = claim(store)
        with store._database.writing() as connection:  # in this thread's pooled connection
            connection.exec_driver_sql("PRAGMA busy_timeout = 1")
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            monkeypatch.setattr(patience.time, "sleep", lambda _: other.execute("ROLLBACK"))
            store.write(lease, step(0))
        assert numbers(store, lease) == [0]


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_leaves_whole_batches(tmp_path):
    """What a killed process said to be written is there, and no batch is there in part."""
    code = """
import sys
from sweep.store import Store
from tests.sweep.records import claim
from tests.sweep.test_store_faults import step
with Store(sys.argv[1]) as store:
    lease = claim(store)
    number = len(store.trials(lease.study))
    while True:
        store.write(lease, step(number))
        number += 1
        print(number, flush=True)
"""
    path, said = tmp_path / "sweep.db", 0
    for kill_after in (1, 7, 30):
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(kill_after):
            said = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        said = max([said, *map(int, child.communicate()[0].splitlines())])
        with Store(path, read_only=True) as store:
            study = store.study("study")["id"]
            found = len(store.trials(study))
            assert found in (said, said + 1)
            for rows in (store.events(study), store.epochs(study)):
                assert len(rows) == found


FULL = """
import resource, signal, sys
from sweep.errors import StoreError
from sweep.store import Store
from tests.sweep.records import claim
from tests.sweep.test_store_faults import step
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Store(sys.argv[1]) as store:
    lease = claim(store)
    store.write(lease, step(0))
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, limit[1]))
    number = 1
    try:
        while True:
            store.write(lease, step(number))
            number += 1
    except StoreError as error:
        print(error, file=sys.stderr)
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    store.write(lease, step(number))
    print(number + 1)
"""


def test_a_file_that_cannot_grow_loses_nothing(tmp_path):
    """At a limit of the file's size the error says so; the same process goes on after it."""
    path = tmp_path / "sweep.db"
    child = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    assert "cannot write the store" in child.stderr
    with Store(path, read_only=True) as store:
        study = store.study("study")["id"]
        assert [row["number"] for row in store.trials(study)] == list(range(int(child.stdout)))
        assert len(store.epochs(study)) == len(store.events(study)) == int(child.stdout)


@pytest.fixture
def small_disk():
    """A file system of 512 kB."""
    folder = tempfile.mkdtemp(prefix="sweep-disk-")
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        os.rmdir(folder)
        pytest.skip("only root may mount a file system")
    yield Path(folder)
    subprocess.run(["umount", folder], check=True)
    os.rmdir(folder)


def test_a_full_disk_loses_nothing(small_disk):
    """On a full disk the error names the store; what was written before is there, and the study
    goes on when there is space again."""
    place, filler = small_disk / "sweep.db", small_disk / "filler"
    with Store(place) as store:
        lease = claim(store)
        store.write(lease, step(0))
        with filler.open("wb") as file:
            file.write(bytes(200_000))
        number = 0

        def fill():
            nonlocal number
            while True:
                number += 1
                store.write(lease, step(number))

        with pytest.raises(StoreError, match=rf"cannot write the store {place}: .*(full|I/O)"):
            fill()
        assert number > 5
        assert numbers(store, lease) == list(range(number))
        filler.unlink()
        store.write(lease, step(number))
        assert numbers(store, lease) == list(range(number + 1))
    with Store(place) as store:
        assert numbers(store, lease) == list(range(number + 1))
        assert len(store.epochs(lease.study)) == number + 1
        with store._database.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


@pytest.mark.parametrize("schema_version", [1, schema.VERSION])
def test_a_store_in_a_folder_that_may_only_be_read(schema_version):
    """Another user reads the record and leaves nothing beside it."""
    folder = Path(tempfile.mkdtemp(prefix="sweep-folder-"))  # which others may enter
    path, golden = folder / "sweep.db", Path(__file__).parent / "golden" / "release-0.1.0.db"
    path.write_bytes(golden.read_bytes())
    if schema_version > 1:
        Store(path).close()
    (folder / "sweep.db.lock").unlink(missing_ok=True)
    path.chmod(0o444)
    folder.chmod(0o555)
    code = (
        "import os, sys\n"
        "from sweep.errors import StoreError\n"
        "from sweep.store import Store\n"
        "if os.getuid() == 0: os.setgid(65534), os.setuid(65534)\n"
        "with Store(sys.argv[1], read_only=True) as store: print(store.names())\n"
        "try: Store(sys.argv[1])\n"
        "except StoreError as error: print(error)"
    )
    try:
        child = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
        )
        assert child.stderr == ""
        names, error = child.stdout.splitlines()
        assert names == "['finished', 'killed']"
        assert "cannot write the store" in error
        assert [file.name for file in folder.iterdir()] == ["sweep.db"]
    finally:
        folder.chmod(0o755)
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()

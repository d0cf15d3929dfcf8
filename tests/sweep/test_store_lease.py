"""One process runs a study at a time: who holds it, when it is free, what a late writer may do."""

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.errors import StudyLocked
from sweep.store import Batch, Store, is_free
from sweep.store.lease import Claim, Holder, this_process
from tests.sweep.records import claim, rewrite, trial

HERE = this_process()
GONE = replace(HERE, pid=4_000_000)  # beyond what Linux numbers
OUTSIDE = replace(HERE, namespace="pid:[4026531836]", machine="a number")
INSIDE = replace(OUTSIDE, namespace="pid:[4026532000]")


@pytest.fixture
def store(place):
    with Store(place) as store:
        yield store


def held_by(holder, seconds=9.0):
    expires = datetime.now(UTC) + timedelta(seconds=seconds)
    return {"holder": str(Claim(holder, "call")), "lease_expires": expires}


def ended_process():
    """A process that has been, with the number that it had."""
    code = "from sweep.store.lease import Claim; print(Claim.new())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return Claim.of(child.stdout).holder


def test_a_held_study_is_refused_and_its_holder_named(store):
    """A second claim says which process of which machine has the study, and for how long."""
    claim(store)
    who = f"process {os.getpid()} on {socket.gethostname()}"
    with pytest.raises(StudyLocked, match=rf"{who}.*last heard of 0 s ago.* another 15 s"):
        claim(store)


def test_two_processes_cannot_hold_one_study(store):
    """A claim from another process is refused while this one lives, whatever it asks for."""
    claim(store)
    code = (
        "import sys; from sweep.store import Store\n"
        "Store(sys.argv[1]).claim('study', {}, '', '', take_over=True)"
    )
    other = subprocess.run(
        [sys.executable, "-c", code, str(store.place)], capture_output=True, text=True, check=False
    )
    assert other.returncode == 1
    assert "StudyLocked" in other.stderr
    assert "cannot be proven" in other.stderr


@pytest.mark.parametrize(
    ("holder", "here", "gone"),
    [
        (HERE, HERE, False),
        (GONE, HERE, True),
        (replace(HERE, started="1"), HERE, True),  # its number was given to another process
        (replace(HERE, pid=os.getppid(), started="1"), HERE, True),
        (replace(HERE, namespace="pid:[1]"), HERE, False),  # of another container
        (replace(GONE, namespace="pid:[1]"), HERE, False),
        (replace(GONE, boot="another", host="elsewhere"), HERE, False),
        (OUTSIDE, replace(OUTSIDE, boot="a later one"), True),  # rebooted
        (OUTSIDE, replace(OUTSIDE, boot="another", machine="another"), False),
        (OUTSIDE, replace(OUTSIDE, boot="another", host="another"), False),
        (replace(OUTSIDE, machine=None), replace(OUTSIDE, boot="b", machine=None), False),
        (INSIDE, replace(INSIDE, boot="another"), False),  # containers have images, not machines
        (replace(HERE, boot=None), replace(HERE, boot=None), False),
        (replace(GONE, boot=None), replace(HERE, boot=None), True),  # a system without /proc
        (replace(GONE, boot=None, host="elsewhere"), replace(HERE, boot=None), False),
    ],
)
def test_a_process_is_known_to_be_gone_or_not(holder, here, gone):
    """Only what is certain counts: what is of another container or machine may be alive."""
    assert holder.is_gone(here) == gone


@pytest.mark.parametrize(
    ("holder", "seconds", "free"),
    [
        (HERE, 9, False),
        (GONE, 9, True),
        (replace(HERE, boot="b", host="elsewhere"), 9, False),
        (replace(HERE, boot="b", host="elsewhere"), -1, True),
    ],
)
def test_a_study_is_free_if_its_holder_is_gone(store, holder, seconds, free):
    """The lease frees itself when it runs out, at once if its process is known to be dead."""
    claim(store)
    rewrite(store, **held_by(holder, seconds))
    row = store.study("study")
    assert is_free(row["holder"], row["lease_expires"], row["now"]) == free
    if free:
        assert claim(store).token == 2
    else:
        with pytest.raises(StudyLocked):
            claim(store)


def test_a_process_that_ended_frees_its_study(store):
    """Also one that was killed a moment ago."""
    claim(store)
    rewrite(store, **held_by(ended_process()))
    assert claim(store).token == 2


def test_a_dead_process_that_nobody_looked_after_is_gone(store):
    """A zombie is no holder: in a container, often nobody waits for it."""
    code = "from sweep.store.lease import Claim; print(Claim.new(), flush=True); input()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    holder = Claim.of(child.stdout.readline()).holder
    assert not holder.is_gone(HERE)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert holder.is_gone(HERE)
    child.communicate()


def test_time_is_the_databases_on_postgresql(database, monkeypatch):
    """A machine whose clock is an hour off neither steals a study nor loses its own."""

    class Later(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(hours=1)

    with Store(database) as store:
        held = claim(store)
        rewrite(store, holder=held_by(replace(HERE, boot="b", host="elsewhere"))["holder"])
        for module in ("lease", "record", "databases"):
            if hasattr(sys.modules[f"sweep.store.{module}"], "datetime"):
                monkeypatch.setattr(f"sweep.store.{module}.datetime", Later)
        with pytest.raises(StudyLocked, match=r"another 1\d s"):
            claim(store)
        row = store.study("study")
        assert not is_free(row["holder"], row["lease_expires"], row["now"])
        store.renew(held)
        expires, now = (store.study("study")[column] for column in ("lease_expires", "now"))
        assert timedelta(seconds=14) < expires - now <= timedelta(seconds=15)


def test_a_holder_that_overslept_its_lease_cannot_write(store):
    """After another process took over, every write of the first is refused."""
    old = claim(store)
    rewrite(store, lease_expires=datetime.now(UTC) - timedelta(seconds=1))
    new = claim(store)
    for late in (
        lambda: store.write(old, Batch(started=[trial(0)])),
        lambda: store.renew(old),
        lambda: store.session(old, cpus=2),
        lambda: store.roll_back(old, 0, {}),
        lambda: store.release(old, "complete"),
        lambda: store.clear(old),
    ):
        with pytest.raises(StudyLocked, match="taken over"):
            late()
    assert store.trials(new.study) == []
    assert store.study("study")["state"] == "running"
    store.write(new, Batch(started=[trial(0)]))


def test_a_lease_that_ran_out_is_good_while_nobody_took_it(store):
    """A process that was paused, or whose database was away, goes on if it still can."""
    held = claim(store)
    rewrite(store, lease_expires=datetime.now(UTC) - timedelta(seconds=1))
    store.renew(held)
    store.write(held, Batch(started=[trial(0)]))


@pytest.mark.slow
def test_a_stopped_process_wakes_to_find_its_study_taken(store):
    """A holder under SIGSTOP past its lease is overtaken; woken, it can write nothing."""
    code = """
import sys
from sweep.store import Batch, Store
from tests.sweep.records import claim, trial
store = Store(sys.argv[1])
held = claim(store)
store.write(held, Batch(started=[trial(0)]))
print("ready", flush=True)
input()
store.write(held, Batch(started=[trial(1)]))
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(store.place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "ready\n"
    os.kill(child.pid, signal.SIGSTOP)
    with pytest.raises(StudyLocked, match=f"process {child.pid}"):
        claim(store, take_over=True)
    rewrite(store, lease_expires=datetime.now(UTC) - timedelta(seconds=1))
    taken = claim(store)
    os.kill(child.pid, signal.SIGCONT)
    _, error = child.communicate("\n")
    assert child.returncode == 1
    assert "StudyLocked" in error
    assert [row["number"] for row in store.trials(taken.study)] == [0]
    store.write(taken, Batch(started=[trial(1)]))


def test_on_postgresql_a_holder_without_connection_can_be_replaced(database):
    """`take_over` asks the server whether the holder, of whatever machine, is still connected."""
    elsewhere = replace(HERE, boot="b", host="elsewhere")
    with Store(database) as store:
        claim(store)
        rewrite(store, **held_by(elsewhere))
        with pytest.raises(StudyLocked, match="elsewhere"):
            claim(store)
        assert claim(store, take_over=True).token == 2
        with pytest.raises(StudyLocked, match="cannot be proven"):
            claim(store, take_over=True)  # from ourselves, who are connected


def test_other_users_see_the_holders_connection(postgres, database):
    """A role without rights over the holder's role still sees that it is connected."""
    postgres.execute("CREATE ROLE guest LOGIN")
    try:
        with Store(database) as store:
            claim(store)
            grants = "GRANT ALL ON ALL TABLES IN SCHEMA public TO guest"
            with store._database.writing() as connection:
                connection.exec_driver_sql(grants)
            with (
                Store(database.replace("postgres@", "guest@")) as guest,
                pytest.raises(StudyLocked, match="cannot be proven"),
            ):
                claim(guest, take_over=True)
            with store._database.writing() as connection:
                connection.exec_driver_sql("DROP OWNED BY guest")
    finally:
        postgres.execute("DROP ROLE guest")


def test_sessions_tell_who_ran_a_study_and_how_it_ended(store):
    """One row for each lease: released, lost, or still running."""
    first = claim(store)
    store.session(first, cpus=2, backend="ray", ready=datetime.now(UTC))
    store.release(first, "stopped")
    claim(store)
    rewrite(store, **held_by(GONE))
    claim(store)
    released, lost, running = store.sessions(first.study)
    assert [row["token"] for row in (released, lost, running)] == [1, 2, 3]
    assert (released["end"], released["cpus"], released["backend"]) == ("stopped", 2, "ray")
    assert released["started"] <= released["ready"] + timedelta(seconds=1)
    assert released["started"] <= released["ended"]
    assert lost["end"] == "lost"
    assert lost["ended"] >= lost["started"]
    assert (running["end"], running["ended"]) == (None, None)
    assert (running["pid"], running["host"]) == (HERE.pid, HERE.host)


@given(st.builds(Holder, *[st.text()], st.integers(), *[st.none() | st.text()] * 4), st.text())
def test_a_claim_reads_back(holder, call):
    """What `studies.holder` says is who claimed; the name of its connections fits PostgreSQL's."""
    assert Claim.of(str(Claim(holder, call))) == Claim(holder, call)
    assert len(holder.application_name.encode()) <= 63

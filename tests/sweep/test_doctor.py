"""The doctor: what it says of stores, containers and installations."""

import os
import stat

import pytest
from packaging.requirements import Requirement

from sweep.doctor import installation, machine, record
from sweep.doctor.finding import Patient
from sweep.store import Store, locate
from sweep.store.health import examine


def states(findings):
    return {finding.what: finding.state for finding in findings}


def test_a_store_that_is_not_there_yet(tmp_path):
    """Nothing is wrong, and nothing is there afterwards either."""
    place = locate(tmp_path / "runs" / "sweep.db")
    found = list(record.store(Patient(place)))
    assert states(found) == {"store": "ok", "writing": "ok"}
    assert "the first run creates it" in found[0].said
    assert list(tmp_path.iterdir()) == []


def test_a_store(place):
    """Its studies are counted, on SQLite and on PostgreSQL, whose clock is this machine's here."""
    with Store(place) as store:
        store.release(store.claim("one", {}, "data", "0"), "stopped")
    found = list(record.store(Patient(place)))
    assert states(found).pop("clock", "ok") == "ok"
    assert {finding.state for finding in found} == {"ok"}
    assert ": one study" in found[0].said
    assert str(place) in found[0].said


def test_a_database_without_a_store(database):
    """An empty PostgreSQL database is fit to become a store, and stays empty."""
    place = locate(database)
    for _ in range(2):
        found = list(record.store(Patient(place)))
        assert states(found) == {"store": "ok", "writing": "ok", "clock": "ok"}
        assert "the first run creates it" in found[0].said


def test_a_server_that_is_not_there():
    """It is a problem, whose line has no password."""
    place = locate("postgresql://me:secret@127.0.0.1:1/none?connect_timeout=2")
    (found,) = record.store(Patient(place))
    assert found.state == "problem"
    assert "refused" in found.said
    assert "secret" not in found.said


def test_a_user_who_may_not_write(postgres, database):
    """One who may not create tables in PostgreSQL is told the right that is missing."""
    postgres.execute("DROP ROLE IF EXISTS reader")
    postgres.execute("CREATE ROLE reader LOGIN")
    try:
        found = list(record.store(Patient(locate(database.replace("postgres@", "reader@")))))
        assert states(found)["writing"] == "problem"
        assert "GRANT CREATE" in next(f for f in found if f.what == "writing").said
    finally:
        postgres.execute("DROP ROLE reader")


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0", b"name = 1\n" * 200])
def test_a_file_that_is_no_store(tmp_path, content):
    """A file of another kind is a problem, and is left as it was."""
    file = tmp_path / "other.db"
    file.write_bytes(content)
    found = list(record.store(Patient(locate(file))))
    assert found[0].state == "problem"
    assert file.read_bytes() == content


def test_a_folder_that_is_a_file(tmp_path):
    """A store below a file cannot be written."""
    (tmp_path / "file").touch()
    found = list(record.store(Patient(locate(tmp_path / "file" / "sweep.db"))))
    assert states(found)["writing"] == "problem"
    assert "is a file" in found[1].said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_read_only(tmp_path):
    """A store that this user may not write is a problem."""
    folder = tmp_path / "runs"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    found = list(record.store(Patient(locate(folder / "sweep.db"))))
    assert states(found)["writing"] == "problem"


def test_a_later_releases_store(tmp_path):
    """Its schema is named, and what to do about it."""
    from sqlalchemy import update

    from sweep.store import schema

    place = locate(tmp_path / "s.db")
    with Store(place) as store, store._database.writing() as connection:
        connection.execute(update(schema.schema_version).values(version=schema.VERSION + 1))
    assert "upgrade" in (examine(place).unreadable or "")


LIMITS = [
    ({"cpu.max": "200000 100000"}, 2.0),
    ({"cpu.max": "50000 100000"}, 0.5),
    ({"cpu.max": "max 100000"}, None),
    ({"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1.5),
    ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("files", "limit"), LIMITS)
def test_cpus_of_a_container(tmp_path, files, limit):
    """The quota of a control group of either version is found."""
    fill(tmp_path, files)
    assert machine.cpu_limit(tmp_path) == limit


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"memory.max": "1000\n", "memory.current": "400\n"}, 600.0),
        ({"memory.max": "max\n", "memory.current": "400\n"}, None),
        (
            {
                "memory/memory.limit_in_bytes": "1000\n",
                "memory/memory.usage_in_bytes": "100\n",
            },
            900.0,
        ),
        (
            {
                "memory/memory.limit_in_bytes": "9223372036854771712\n",
                "memory/memory.usage_in_bytes": "100\n",
            },
            None,
        ),
        ({}, None),
    ],
)
def test_memory_of_a_container(tmp_path, files, limit):
    """What a control group of either version leaves is found."""
    fill(tmp_path, files)
    assert machine.memory_limit(tmp_path) == limit


def fill(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def test_a_container_with_less_than_its_machine(tmp_path, monkeypatch):
    """A quota below the CPUs of this process is a warning that names the option."""
    fill(tmp_path, {"cpu.max": "50000 100000"})
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    (found,) = machine.cpus(Patient(locate()))
    assert found.state == "warning"
    assert "--cpus 1" in found.advice


REQUIREMENTS = [
    ("numpy", ""),
    ("numpy>=1", ""),
    ("numpy<1", "is not <1"),
    ("no-such-package>=3", "no-such-package>=3 is missing"),
    ("no-such-package; extra == 'gp'", ""),
    ("no-such-package; python_version < '3'", ""),
]


@pytest.mark.parametrize(("text", "said"), REQUIREMENTS)
def test_requirements(text, said):
    """What is missing or of the wrong version is named; what only an extra needs is not."""
    found = installation._mismatch(Requirement(text))
    assert said in found
    assert bool(found) == bool(said)


def test_this_machine(tmp_path):
    """On the machine of the tests, the installation is as it must be."""
    patient = Patient(locate(tmp_path / "sweep.db"))
    for look in (installation.versions, installation.blas, machine.disk):
        assert {finding.state for finding in look(patient)} <= {"ok"}

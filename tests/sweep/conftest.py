"""Databases for the tests: every test that asks for a `place` runs on SQLite and PostgreSQL; and
commands, called in this process."""

import sys
from collections import namedtuple

import pytest

from sweep import loop
from sweep.cli import main
from sweep.store import locate


@pytest.fixture(autouse=True)
def shown_at_once(monkeypatch):
    """Small studies are over before decisions would be shown in groups."""
    monkeypatch.setattr(loop, "GROUP", 0.0)


@pytest.fixture(scope="session")
def postgres():
    """One server for all tests; a test that ends it starts it again."""
    from tests.sweep.postgres import Postgres

    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def database(postgres):
    """The URL of an empty PostgreSQL database of the test's own."""
    url = postgres.create()
    yield url
    postgres.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path):
    """Where a store may be, of each kind."""
    if request.param == "sqlite":
        return locate(tmp_path / "runs" / "sweep.db")
    return locate(request.getfixturevalue("database"))


Called = namedtuple("Called", "status out err")


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Call `sweep` with these arguments in an empty folder; its status and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("SWEEP_STORE", "SWEEP_BACKEND", "SWEEP_CPUS", "SWEEP_ADDRESS", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["sweep", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        return Called(left.value.code or 0, printed.out, printed.err)

    return run

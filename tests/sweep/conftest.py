"""Databases for the tests: every test that asks for a `place` runs on SQLite and PostgreSQL."""

import pytest

from sweep import loop
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

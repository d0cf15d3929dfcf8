"""Where a store is, where its model files are, and what may be shown of its URL."""

import logging
from pathlib import Path

import pytest

from sweep.errors import StoreError
from sweep.store import Location, Store, artifacts, locate

URL = "postgresql://me:secret@db.example:5433/sweeps"


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    monkeypatch.delenv("SWEEP_STORE", raising=False)
    monkeypatch.delenv("SWEEP_ARTIFACTS", raising=False)


def test_the_store_is_found_upwards(tmp_path, monkeypatch):
    """A notebook in studies/digits finds the store of the folder that the sweep ran in."""
    below = tmp_path / "studies" / "digits"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert locate() == Location(below / "runs" / "sweep.db")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "sweep.db").touch()
    assert locate() == Location(tmp_path / "runs" / "sweep.db")
    monkeypatch.setenv("SWEEP_STORE", "other.db")
    assert locate() == Location(Path("other.db"))
    assert locate("given.db") == locate(Path("given.db")) == Location(Path("given.db"))
    assert locate("sqlite:////abs/given.db") == Location(Path("/abs/given.db"))
    assert locate(locate(URL)) == locate(URL)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("runs/sweep.db", "runs/sweep.db"),
        (URL, "postgresql://me:***@db.example:5433/sweeps"),
        (URL.replace(":", "+psycopg:", 1), "postgresql://me:***@db.example:5433/sweeps"),
        ("postgresql://me@db/sweeps", "postgresql://me@db/sweeps"),
        ("postgresql:///sweeps?host=/run/pg", "postgresql:///sweeps?host=%2Frun%2Fpg"),
        ("postgresql://db/sweeps?user=me&password=secret", "postgresql://db/sweeps?user=me"),
        (
            "postgresql://db/sweeps?sslpassword=secret&sslmode=require",
            "postgresql://db/sweeps?sslmode=require",
        ),
        ("postgresql://me:se%40cret@db/sweeps", "postgresql://me:***@db/sweeps"),
    ],
)
def test_a_place_is_shown_without_its_passwords(given, shown):
    """Neither its text nor its repr has them, wherever in the URL they are."""
    place = locate(given)
    assert str(place) == f"{place}" == shown
    assert repr(place) == f"Location({shown!r})"
    assert "cret" not in repr([place])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("mysql://me:secret@db/sweeps", "none of that kind"),
        ("postgresql+psycopg2://me:secret@db/sweeps", "none of that kind"),
        ("postgresql://me:secret@db", "names no database"),
        ("postgresql://me:secret@db:five/sweeps", "no URL"),
        ("postgresql://me:top/secret@db:x/sweeps", "no URL"),
        ("sqlite://secret@db", "none of that kind"),
    ],
)
def test_a_url_that_is_none_is_refused_and_not_repeated(given, reason):
    """The error says what is allowed, and nothing of what may be a password."""
    with pytest.raises(StoreError, match=rf"{reason}.*postgresql://USER@HOST/DATABASE") as caught:
        locate(given)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_no_error_and_no_log_has_the_password(tmp_path, caplog):
    """Not even when the server cannot be reached, at the most talkative level."""
    caplog.set_level(logging.DEBUG)
    for url in (
        f"postgresql://me:secret@/sweeps?host={tmp_path}",
        f"postgresql:///sweeps?host={tmp_path}&password=secret",
        "postgresql://me:secret@localhost:1/sweeps",
    ):
        with pytest.raises(StoreError, match="cannot write the store postgresql://") as caught:
            Store(url)
        assert "secret" not in str(caught.value) + repr(caught.value.__cause__)
    assert "secret" not in caplog.text


def test_artifacts_are_beside_the_store(tmp_path, monkeypatch):
    """A study's model files are in a folder of its own, and two stores share none."""
    assert artifacts(Path("runs/sweep.db"), "digits") == Path("runs/artifacts/digits")
    assert artifacts(Path("runs/other.db"), "digits") == Path("runs/other-artifacts/digits")
    below = tmp_path / "studies"
    below.mkdir()
    monkeypatch.chdir(below)
    assert locate(URL).artifacts("digits") == below / "runs" / "sweeps-artifacts" / "digits"
    (tmp_path / "runs").mkdir()
    assert locate(URL).artifacts("digits") == tmp_path / "runs" / "sweeps-artifacts" / "digits"
    odd = locate("postgresql://db/a%2F..%2Fb").artifacts("digits")
    assert odd == tmp_path / "runs" / "a_.._b-artifacts" / "digits"
    monkeypatch.setenv("SWEEP_ARTIFACTS", "/elsewhere")
    assert locate(URL).artifacts("digits") == Path("/elsewhere/digits")
    assert locate("runs/sweep.db").artifacts("digits") == Path("runs/artifacts/digits")

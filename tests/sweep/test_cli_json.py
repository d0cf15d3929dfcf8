"""Every --json: one object, and the keys that docs/json.md explains."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from sweep.store import Store
from sweep.studyfile import to_json
from tests.sweep.studies import finish, small, write
from tests.sweep.tables import table

DOCS = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
KINDS = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "list": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
    "any": lambda value: True,
}


def documented():
    """The type of each key of each schema."""
    found = {}
    for part in DOCS.split("\n## ")[1:]:
        rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", part, re.M)
        found[part.split("\n")[0]] = {key: kind.strip() for key, kind in rows}
    found["sweep.run/1"] = found["sweep.show/1"]
    return found


SCHEMAS = documented()


def values(value, path=""):
    """Each key of nested objects as docs/json.md writes it, and its value."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from values(item, f"{path}.{key}" if path else key)
    if isinstance(value, list):
        for item in value:
            yield from values(item, f"{path}[]")


def pattern(key):
    return re.escape(key).replace(r"\*", r"[^.\[\]]+")


def row_of(path, rows):
    """The documented key that a path is of; of several the most exact."""
    exact = [key for key in rows if re.fullmatch(pattern(key), path)]
    return min(exact, key=lambda key: "*" in key, default=None)


def problems(record):
    """What a record has that its schema does not say."""
    rows = SCHEMAS[record.pop("schema")]
    for path, value in values(record):
        key = row_of(path, rows)
        inner = any(other.startswith((f"{path}.", f"{path}[")) for other in rows)
        free = any(
            rows[other] == "any" and re.match(pattern(other) + r"[.\[]", path) for other in rows
        )
        if key is not None and not any(KINDS[kind](value) for kind in rows[key].split(" or ")):
            yield f"{path} = {value!r} is no {rows[key]}"
        if key is None and not (free or (inner and isinstance(value, dict | list))):
            yield f"{path} is not documented"


COMMANDS = {
    "init": (["init", "houses.csv", "--target", "price", "--force"], 0),
    "list": (["list"], 0),
    "status": (["status", "small"], 0),
    "show": (["show", "small"], 0),
    "show.ledger": (["show", "small", "--ledger"], 0),
    "best": (["best", "small"], 0),
    "export": (["export", "small", "--to", "trials.csv"], 0),
    "plot": (["plot", "small", "--to", "figures"], 0),
    "report": (["report", "small", "--to", "small.html"], 0),
    "notebook": (["notebook", "small", "--to", "small.ipynb"], 0),
    "verify": (["verify", "small", "--trials", "2"], 0),
    "confirm": (["confirm", "small", "--top", "3", "--seeds", "6", "--backend", "serial"], 0),
    "validate": (["validate", "study.toml"], 0),
    "run": (["run", "study.toml", "--backend", "serial"], 0),
    "run.plan": (["run", "study.toml", "--dry-run"], 0),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a study that is complete."""
    folder = tmp_path_factory.mktemp("finished")
    finish(small(folder), folder / "runs" / "sweep.db")
    table(100).to_csv(folder / "houses.csv", index=False)
    return folder


@pytest.fixture
def said(call, finished, monkeypatch):
    """The object that a command prints, in the folder of the finished study."""

    def ask(*arguments):
        monkeypatch.chdir(finished)
        done = call(*arguments, "--json")
        return done.status, json.loads(done.out)

    return ask


@pytest.mark.parametrize("schema", COMMANDS)
def test_what_is_printed_is_documented(said, schema):
    """Each key that a command prints is documented with its type, and each documented is there."""
    arguments, status = COMMANDS[schema]
    got, record = said(*arguments)
    assert got == status
    assert record["schema"] == f"sweep.{schema}/1"
    rows = SCHEMAS[record["schema"]]
    assert list(problems(dict(record))) == []
    missing = {key for key in rows if "*" not in key and "[]" not in key} - {
        path for path, _ in values(record)
    }
    nulls = [path for path, value in values(record) if value is None]
    assert [key for key in missing if not key.startswith(tuple(nulls))] == []


def test_every_schema_is_tried():
    """No schema is documented that no test has seen."""
    assert SCHEMAS.keys() == {f"sweep.{name}/1" for name in [*COMMANDS, "doctor"]}


@pytest.mark.parametrize(
    ("schema", "arguments", "status"),
    [
        ("validate", ["validate", "study.toml", "--set", "search.trials=0"], 2),
        ("list", ["list"], 0),
        ("status", ["status", "small"], 0),
        ("show", ["show", "small"], 0),
    ],
)
def test_what_is_printed_without_results(call, tmp_path, schema, arguments, status):
    """A study that has only begun, and a file that cannot be run, keep to the same schemas."""
    write(tmp_path)
    spec = to_json(small(tmp_path))
    with Store(tmp_path / "runs" / "sweep.db") as store:
        store.release(store.claim("small", spec, "data", "0"), "stopped")
    done = call(*arguments, "--json")
    assert done.status == status
    record = json.loads(done.out)
    assert record["schema"] == f"sweep.{schema}/1"
    assert list(problems(dict(record))) == []


def test_a_record_that_was_altered(call, tmp_path):
    """verify says in its object what came out otherwise, with exit status 1."""
    place = tmp_path / "runs" / "sweep.db"
    finish(small(tmp_path), place)
    with closing(sqlite3.connect(place)) as connection, connection:
        connection.execute("UPDATE trials SET value = 0.25 WHERE state = 'complete'")
    done = call("verify", "small", "--json")
    record = json.loads(done.out)
    assert (done.status, record["verified"]) == (1, False)
    assert "the record was altered" in record["problem"]
    assert list(problems(dict(record))) == []


@pytest.mark.slow
def test_the_doctor(said):
    """On the machine of the tests studies can be run."""
    status, record = said("doctor")
    assert list(problems(dict(record))) == []
    assert record["healthy"] is (status == 0)
    states = {finding["what"]: finding["state"] for finding in record["findings"]}
    assert states["Ray"] == states["store"] == states["writing"] == "ok"

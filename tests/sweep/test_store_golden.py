"""A store that release 0.1.0 wrote: migrated in place, read through without a change, gone on."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import inspect, text

from sweep import studyfile
from sweep.backends.serial import SerialBackend
from sweep.cli.summary import print_summary
from sweep.errors import StoreError, StudyChanged, StudyLocked
from sweep.orchestrator import run
from sweep.plan import plan
from sweep.results import load
from sweep.spec import EDITION
from sweep.store import Batch, Store, migrations, schema
from sweep.verify import verify
from tests.sweep.records import attempt, claim, decided, epoch, event, trial

GOLDEN = Path(__file__).parent / "golden" / "release-0.1.0.db"


@pytest.fixture
def old(tmp_path):
    """A copy of the store: `finished` has 20 trials, `killed` was ended after 14 began."""
    return Path(shutil.copy(GOLDEN, tmp_path / "sweep.db"))


def query(path, statement):
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(statement)]


def held(path):
    """Make `killed` a study that an earlier release runs at this moment."""
    later = (datetime.now(UTC) + timedelta(minutes=1)).replace(tzinfo=None).isoformat(" ")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE studies SET lease_expires = ? WHERE name = 'killed'", (later,))
        connection.commit()


def columns(store):
    """What the database says of its tables; lengths and the order of columns do not matter."""
    with store._database.reading() as connection:
        tables = inspect(connection)
        return {
            table: (
                {
                    column["name"]: (
                        column["type"]._type_affinity,
                        column["nullable"],
                        column["default"],
                    )
                    for column in tables.get_columns(table)
                },
                tables.get_pk_constraint(table)["constrained_columns"],
                [key["referred_columns"] for key in tables.get_foreign_keys(table)],
                [index["column_names"] for index in tables.get_indexes(table)],
            )
            for table in tables.get_table_names()
        }


@pytest.mark.parametrize("read_only", [False, True])
def test_a_migrated_store_has_the_tables_of_a_new_one(old, tmp_path, read_only):
    """Names, kinds, keys and defaults are those that this release would create."""
    with Store(tmp_path / "new.db") as new, Store(old, read_only=read_only) as migrated:
        assert columns(migrated) == columns(new)


@pytest.mark.parametrize("version", [2, 3])
def test_a_store_of_an_earlier_schema_is_migrated(place, version):
    """It gets the tables and columns that a new store has, on both databases, and keeps its own."""
    with Store(place) as store:
        store.release(claim(store), "complete", best=3, test=0.9)
        new = columns(store)
        with store._database.writing() as connection:
            for table in ("retrainings", "confirmations"):
                connection.execute(text(f"DROP TABLE {table}"))
            for column in ("test_low", "test_high", "progress") if version == 2 else ():
                connection.execute(text(f"ALTER TABLE studies DROP COLUMN {column}"))
            connection.execute(text(f"UPDATE schema_version SET version = {version}"))
        old = columns(store)
    assert old != new
    with Store(place) as migrated:
        assert columns(migrated) == new
        row = migrated.study("study")
    assert (row["best"], row["test"], row["test_low"], row["progress"]) == (3, 0.9, None, None)


@pytest.mark.parametrize("read_only", [False, True])
def test_a_store_of_schema_3_has_the_tables_of_a_new_one(tmp_path, read_only):
    """The one that the last release before confirmations wrote, opened for reading or writing."""
    old = shutil.copy(GOLDEN.with_name("schema-3.db"), tmp_path / "sweep.db")
    with Store(tmp_path / "new.db") as new, Store(old, read_only=read_only) as migrated:
        assert columns(migrated) == columns(new)


def test_a_study_of_schema_3_is_confirmed(tmp_path):
    """Reading its store changes nothing, and its study is confirmed as one of this release is."""
    golden = GOLDEN.with_name("schema-3.db")
    old = Path(shutil.copy(golden, tmp_path / "sweep.db"))
    study = load("finished", old)
    assert (study.confirmation, study.confirmations) == (None, [])
    before, fingerprint = study.trials, study.fingerprint
    assert old.read_bytes() == golden.read_bytes()
    found = study.confirm(3, 4, backend="serial")
    assert (found.state, len(found.retrainings)) == ("complete", 12)
    pd.testing.assert_frame_equal(study.trials, before, check_exact=True)
    assert study.fingerprint == fingerprint


@pytest.mark.parametrize("read_only", [False, True])
def test_everything_in_it_is_read(old, read_only):
    """Every value that was in the old tables is in the rows now, and new columns say nothing."""
    with Store(old, read_only=read_only) as store:
        assert store.names() == ["finished", "killed"]
        for name, trials in (("finished", 20), ("killed", 14)):
            study = store.study(name)
            assert study["batch"] == 0
            assert study["spec"]["search"]["sampler"] == "tpe"
            for read, table, order in (
                (store.trials, "trials", "number"),
                (store.epochs, "epochs", "trial, epoch"),
                (store.attempts, "attempts", "id"),
                (store.events, "events", "sequence"),
            ):
                rows = f"SELECT * FROM {table} WHERE study = {study['id']} ORDER BY {order}"
                before, after = query(GOLDEN, rows), read(study["id"])
                assert len(after) == len(before) > 0
                for was, now in zip(before, after, strict=True):
                    assert {key: as_text(now[key]) for key in was} == {
                        key: as_text(value) for key, value in was.items()
                    }
            assert len(store.trials(study["id"])) == trials
            assert {row["replicate"] for row in store.epochs(study["id"])} == {0}
            events = store.events(study["id"])
            steps = accumulate(row["event"] != "begin" for row in events)
            assert [row["step"] for row in events] == list(steps)
            assert all(row["accepted"] for row in store.attempts(study["id"]))


def as_text(value):
    """As SQLite keeps it: JSON and times are text."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ", "microseconds")
    return json.dumps(value) if isinstance(value, dict) else value


def test_a_study_in_it_is_rolled_back_and_written(old):
    """The half-done study is claimed, gets rows of this release, and gives them back."""
    with Store(old) as store:
        lease = store.claim("killed", {}, "data", "0.2.0")
        assert lease.token == 2
        before, step = store.trials(lease.study), store.events(lease.study)[-1]["step"] + 1
        running = next(row["number"] for row in before if row["state"] == "running")
        new = len(before)
        store.write(
            lease,
            Batch(
                started=[trial(new)],
                epochs=[epoch(new, 1), epoch(new, 1, replicate=1)],
                attempts=[attempt(new, 0, 1)],
                events=[event(step, "complete", running, 9, 0.5), event(step, "begin", new)],
                decided=[decided(running, "complete", epochs=9)],
            ),
        )
        store.roll_back(lease, step, {"trials": 9})
        assert [told(row) for row in store.trials(lease.study)] == [told(row) for row in before]
        store.write(lease, Batch(started=[trial(new)], events=[event(step, "begin", new)]))
        store.release(lease, "stopped")
    with Store(old) as again:
        assert len(again.trials(lease.study)) == new + 1
        assert again.study("killed")["state"] == "stopped"
        assert [row["end"] for row in again.sessions(lease.study)] == ["stopped"]


def test_the_killed_study_comes_to_the_end_of_the_finished_one(old):
    """A study that an earlier release began goes on in this one, from its migrated record, to the
    trials that the earlier release gave when it was not disturbed."""
    spec = studyfile.load(GOLDEN.with_name("study.toml")).model_copy(update={"name": "killed"})
    with Store(old) as store:
        begun = {row["number"]: told(row) for row in store.trials(store.study("killed")["id"])}
        list(run(spec, store, SerialBackend))
        finished, killed = (
            [told(row) for row in store.trials(store.study(name)["id"])]
            for name in ("finished", "killed")
        )
    assert len(begun) < len(killed) == 20
    assert killed == finished
    # Parameters and gradients are still those of 0.1.0 to the last bit, and so are rates, metrics
    # and gradient norms. Since then the trainer sums the rows' float32 losses in another order, so
    # that the losses of what is computed here are the old ones but for rounding.
    curves = [load(name, old).epochs.drop(columns="seconds") for name in ("finished", "killed")]
    losses = ["train_loss", "validation_loss"]
    exact = [curve.drop(columns=losses) for curve in curves]
    pd.testing.assert_frame_equal(*exact, check_exact=True)
    pd.testing.assert_frame_equal(*(curve[losses] for curve in curves), rtol=1e-6)
    kept = (
        "SELECT trial, epoch, train_loss, validation_loss FROM epochs "
        "WHERE study = (SELECT id FROM studies WHERE name = 'killed')"
    )
    assert set(map(as_key, query(GOLDEN, kept))) <= set(map(as_key, query(old, kept)))


def as_key(row):
    return tuple(row.values())


def told(row):
    """What the events of a trial say of it."""
    return {name: row[name] for name in ("number", "state", "outcome", "value", "epochs", "error")}


def test_reading_it_changes_nothing(old):
    """A reader of an old store leaves the file as it is."""
    with Store(old, read_only=True) as store:
        assert len(store.trials(store.study("finished")["id"])) == 20
    assert old.read_bytes() == GOLDEN.read_bytes()


def test_a_store_that_an_earlier_release_uses_is_left_alone(old):
    """While a process of that release holds a study, the store is read but not migrated."""
    held(old)
    before = old.read_bytes()
    with pytest.raises(StudyLocked, match=r"'killed' .* run by an earlier release; stop it there"):
        Store(old)
    with Store(old, read_only=True) as store:
        assert store.names() == ["finished", "killed"]
    assert old.read_bytes() == before


def test_a_migration_that_breaks_leaves_the_old_store(old, monkeypatch):
    """It is one transaction: an error in its last statement undoes the first."""
    statements = f"{migrations._FROM_1}; SELECT no_such_function()"
    monkeypatch.setattr(migrations, "_FROM_1", statements)
    with pytest.raises(StoreError, match="no such function"):
        Store(old)
    monkeypatch.undo()
    assert query(old, "SELECT version FROM schema_version") == [{"version": 1}]
    assert query(old, "SELECT * FROM epochs") == query(GOLDEN, "SELECT * FROM epochs")
    with Store(old) as store:
        assert store.names() == ["finished", "killed"]
    assert query(old, "SELECT version FROM schema_version") == [{"version": schema.VERSION}]


def test_the_first_edition_gives_the_table_of_the_first_release(old, tmp_path):
    """A file that names the edition gives the trials that release 0.1.0 gave; the present edition
    predicts other seconds, and a study does not change its edition."""
    first = studyfile.load(GOLDEN.with_name("study.toml"), ["edition=1"])
    latest = studyfile.load(GOLDEN.with_name("study.toml"))
    assert (first.edition, latest.edition) == (1, EDITION)
    with Store(old) as store:
        before = [told(row) for row in store.trials(store.study("finished")["id"])]
        tables = []
        for spec in (first, latest):
            spec = spec.model_copy(update={"name": f"edition-{spec.edition}"})
            list(run(spec, store, SerialBackend))
            tables.append([told(row) for row in store.trials(store.study(spec.name)["id"])])
        assert tables[0] == before
        for n in (1, 2):  # whoever takes the decisions again does so by the study's own rules
            (verified,) = verify(f"edition-{n}", store)  # which raises where a cost differs
            assert verified.trials == 20
            study = load(f"edition-{n}", old)
            columns = ["number", "state", "value", "epochs", "predicted_cost"]
            pd.testing.assert_frame_equal(study.replay().trials[columns], study.trials[columns])
        costs = [load(f"edition-{n}", old).trials["predicted_cost"] for n in (1, 2)]
        assert (costs[0] != costs[1]).all()
        other = studyfile.load(GOLDEN.with_name("study.toml"), ["edition=2", 'name="edition-1"'])
        with pytest.raises(StudyChanged, match=r"edition: 1 in the store, 2 in the(.|\n)*its own"):
            list(run(other, store, SerialBackend))


def test_a_study_of_another_name_keeps_its_edition(old, capsys):
    """A file under another name goes on as under its own, as its plan and its summary say."""
    spec = studyfile.with_name(studyfile.load(GOLDEN.with_name("study.toml")), "killed")
    assert spec.edition == EDITION
    pinned = studyfile.load(GOLDEN.with_name("study.toml"), ["edition=1"])
    assert studyfile.with_name(pinned, "pinned").model_fields_set >= {"edition"}
    assert plan(spec, str(old)).spec.edition == 1
    assert plan(pinned, str(old)).spec.edition == 1
    assert plan(studyfile.with_name(spec, "new"), str(old)).spec.edition == EDITION
    with Store(old) as store:
        list(run(spec, store, SerialBackend))
        assert store.study("killed")["state"] == "complete"
        assert studyfile.from_json(store.study("killed")["spec"]).edition == 1
    print_summary(load("killed", old))
    assert re.search(f"edition +1, kept; new studies have {EDITION}", capsys.readouterr().out)

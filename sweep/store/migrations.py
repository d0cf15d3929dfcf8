"""From the schema of an earlier release to this one's, in place and in one transaction."""

from collections.abc import Callable

from sqlalchemy import Connection, insert, inspect, select, text, update

from sweep.errors import StoreError, StudyLocked, StudyNotFound
from sweep.store import schema
from sweep.store.databases import Database, SQLite
from sweep.store.location import Location


def prepare(database: Database, place: Location) -> None:
    """Create the tables in an empty database, or bring an earlier release's to this schema."""
    with database.writing() as connection:
        database.set_up(connection)
        if inspect(connection).get_table_names():
            if _version(connection, place) < schema.VERSION:
                _check_idle(database, connection, place)
            migrate(connection, place)
        else:
            schema.metadata.create_all(connection)
            connection.execute(insert(schema.schema_version).values(version=schema.VERSION))


def check(database: Database, place: Location) -> None:
    """See that a store can be read; one of an earlier release is read through a migrated copy in
    memory, so that reading changes nothing."""
    with database.reading() as connection:
        version = _version(connection, place)
    if version == schema.VERSION:
        return
    if not isinstance(database, SQLite):
        raise StoreError(
            f"the store {place} was written by an earlier release (schema {version}, this one has "
            f"{schema.VERSION}); sweep run or sweep resume on one of its studies migrates it"
        )
    database.copy_into_memory()
    with database.reading() as connection, connection.begin():
        migrate(connection, place)


def migrate(connection: Connection, place: Location) -> None:
    version = _version(connection, place)
    for step in range(version, schema.VERSION):
        MIGRATIONS[step](connection)
    if version < schema.VERSION:
        connection.execute(update(schema.schema_version).values(version=schema.VERSION))


def _version(connection: Connection, place: Location) -> int:
    table = schema.schema_version
    tables = inspect(connection).get_table_names()
    if not tables:
        raise StudyNotFound(f"no store in {place}; run a study first (sweep run STUDY.toml)")
    if table.name not in tables:
        raise StoreError(f"{place} is a database, but no store of sweep's; give another place")
    version: int = connection.scalars(select(table.c.version)).one()
    if version > schema.VERSION:
        raise StoreError(
            f"the store {place} was written by a later release (schema {version}, this one knows "
            f"{schema.VERSION}); upgrade with pip install --upgrade sweep"
        )
    return version


def _check_idle(database: Database, connection: Connection, place: Location) -> None:
    table = schema.studies
    held = select(table.c.name).where(table.c.lease_expires > database.now())
    if (name := connection.scalars(held).first()) is not None:
        raise StudyLocked(
            f"study {name!r} in {place} is being run by an earlier release; stop it there (or wait "
            "15 s if it crashed) and run the command again"
        )


def _from_1(connection: Connection) -> None:
    """Release 0.1.0, which knew SQLite only, to 0.2.0."""
    for statement in _FROM_1.split(";"):
        connection.execute(text(statement))


# A step of the fold is what became of a trial, with the trials that begin after it.
_FROM_1 = """
UPDATE studies SET holder = NULL, lease_expires = NULL;
ALTER TABLE studies DROP COLUMN requested_state;
ALTER TABLE studies ADD COLUMN batch BIGINT DEFAULT 0 NOT NULL;
ALTER TABLE trials ADD COLUMN "values" JSON;
ALTER TABLE trials ADD COLUMN standard_error DOUBLE;
ALTER TABLE trials ADD COLUMN constraints JSON;
ALTER TABLE trials ADD COLUMN asking DOUBLE DEFAULT 0 NOT NULL;
ALTER TABLE attempts ADD COLUMN replicate INTEGER DEFAULT 0 NOT NULL;
ALTER TABLE attempts ADD COLUMN loaded DATETIME;
ALTER TABLE attempts ADD COLUMN received DATETIME;
ALTER TABLE attempts ADD COLUMN training DOUBLE;
ALTER TABLE attempts ADD COLUMN platform INTEGER;
ALTER TABLE attempts ADD COLUMN accepted BOOLEAN DEFAULT 0 NOT NULL;
ALTER TABLE attempts ADD COLUMN sent DATETIME;
ALTER TABLE attempts ADD COLUMN metrics JSON;
UPDATE attempts SET accepted = 1 WHERE id IN
    (SELECT max(id) FROM attempts GROUP BY study, trial, "start", until);
ALTER TABLE events ADD COLUMN step INTEGER;
ALTER TABLE events ADD COLUMN detail JSON;
UPDATE events SET step = counted.step FROM (
    SELECT study, sequence,
        sum(event <> 'begin') OVER (PARTITION BY study ORDER BY sequence) AS step
    FROM events
) AS counted WHERE counted.study = events.study AND counted.sequence = events.sequence;
CREATE TABLE epochs_2 (
    study INTEGER NOT NULL, trial INTEGER NOT NULL, replicate INTEGER DEFAULT 0 NOT NULL,
    epoch INTEGER NOT NULL, learning_rate DOUBLE, train_loss DOUBLE,
    validation_loss DOUBLE, validation_metric DOUBLE, gradient_norm DOUBLE,
    seconds DOUBLE NOT NULL, PRIMARY KEY (study, trial, replicate, epoch),
    FOREIGN KEY (study, trial) REFERENCES trials (study, number)
) WITHOUT ROWID;
INSERT INTO epochs_2 SELECT study, trial, 0, epoch, learning_rate, train_loss, validation_loss,
    validation_metric, gradient_norm, seconds FROM epochs ORDER BY study, trial, epoch;
DROP TABLE epochs;
ALTER TABLE epochs_2 RENAME TO epochs;
CREATE TABLE sessions (
    study INTEGER NOT NULL, token BIGINT NOT NULL, host VARCHAR(255) NOT NULL,
    pid INTEGER NOT NULL, cpus INTEGER, backend VARCHAR(16), started DATETIME NOT NULL,
    ready DATETIME, ended DATETIME, "end" VARCHAR(16), recording DOUBLE,
    recording_median DOUBLE, PRIMARY KEY (study, token),
    FOREIGN KEY (study) REFERENCES studies (id)
);
CREATE TABLE requests (
    id INTEGER NOT NULL, study INTEGER NOT NULL, time DATETIME NOT NULL,
    request VARCHAR(16) NOT NULL, detail JSON NOT NULL, "by" VARCHAR(255) NOT NULL,
    answered DATETIME, answer TEXT, PRIMARY KEY (id),
    FOREIGN KEY (study) REFERENCES studies (id)
);
CREATE INDEX requests_unanswered ON requests (study, answered);
CREATE TABLE platforms (
    study INTEGER NOT NULL, id INTEGER NOT NULL, description JSON NOT NULL,
    PRIMARY KEY (study, id), FOREIGN KEY (study) REFERENCES studies (id)
)
"""


def _from_2(connection: Connection) -> None:
    """The interval of the test score, and how far the running trials are."""
    real = {"sqlite": "DOUBLE", "postgresql": "DOUBLE PRECISION"}[connection.dialect.name]
    for column in (f"test_low {real}", f"test_high {real}", "progress JSON"):
        connection.execute(text(f"ALTER TABLE studies ADD COLUMN {column}"))


def _from_3(connection: Connection) -> None:
    """The confirmations of leaders, and their retrainings."""
    kinds = {
        "sqlite": {"REAL": "DOUBLE", "TIME": "DATETIME"},
        "postgresql": {"REAL": "DOUBLE PRECISION", "TIME": "TIMESTAMP"},
    }[connection.dialect.name]
    for statement in _FROM_3.format(**kinds).split(";"):
        connection.execute(text(statement))


_FROM_3 = """
CREATE TABLE confirmations (
    study INTEGER NOT NULL, number INTEGER NOT NULL, question JSON NOT NULL,
    state VARCHAR(16) NOT NULL, result JSON, version VARCHAR(32) NOT NULL,
    datetime_start {TIME} NOT NULL, datetime_complete {TIME},
    PRIMARY KEY (study, number), FOREIGN KEY (study) REFERENCES studies (id)
);
CREATE TABLE retrainings (
    study INTEGER NOT NULL, trial INTEGER NOT NULL, folds INTEGER NOT NULL,
    fold INTEGER NOT NULL, seed BIGINT NOT NULL, outcome VARCHAR(16) NOT NULL,
    value {REAL}, measures JSON, epochs INTEGER NOT NULL, error TEXT,
    seconds {REAL} NOT NULL, attempts INTEGER NOT NULL, node VARCHAR(255),
    worker VARCHAR(64), platform JSON, datetime_start {TIME}, datetime_complete {TIME} NOT NULL,
    PRIMARY KEY (study, trial, folds, fold, seed),
    FOREIGN KEY (study, trial) REFERENCES trials (study, number)
)
"""

MIGRATIONS: dict[int, Callable[[Connection], None]] = {1: _from_1, 2: _from_2, 3: _from_3}
"""From each schema to the next."""

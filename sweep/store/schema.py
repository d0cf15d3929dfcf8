"""The tables of the record, one for SQLite and PostgreSQL alike."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

VERSION = 1
"""Of this schema. A store of a later version is refused."""

metadata = MetaData()


class UTCDateTime(TypeDecorator[datetime]):
    """An aware time, stored as naive UTC: SQLite keeps no time zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

studies = Table(
    "studies",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("spec", JSON, nullable=False),
    Column("data_fingerprint", String(64), nullable=False),
    Column("version", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("requested_state", String(16)),
    Column("best", Integer),
    Column("test", Double),
    Column("holder", String(255)),
    Column("token", BigInteger, nullable=False, default=0),
    Column("lease_expires", UTCDateTime),
    Column("datetime_created", UTCDateTime, nullable=False),
    Column("datetime_changed", UTCDateTime, nullable=False),
)

trials = Table(
    "trials",
    metadata,
    Column("study", ForeignKey("studies.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("params", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("outcome", String(16)),
    Column("value", Double),
    Column("epochs", Integer, nullable=False, default=0),
    Column("seed", BigInteger, nullable=False),
    Column("datetime_start", UTCDateTime, nullable=False),
    Column("datetime_complete", UTCDateTime),
    Column("seconds", Double, nullable=False, default=0.0),
    Column("predicted_cost", Double, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("node", String(255)),
    Column("error", Text),
)

# Clustered by its key on SQLite, so that one trial's curve is read without its neighbours'.
epochs = Table(
    "epochs",
    metadata,
    Column("study", Integer, primary_key=True),
    Column("trial", Integer, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("learning_rate", Double, nullable=False),
    Column("train_loss", Double),
    Column("validation_loss", Double),
    Column("validation_metric", Double),
    Column("gradient_norm", Double),
    Column("seconds", Double, nullable=False),
    ForeignKeyConstraint(["study", "trial"], ["trials.study", "trials.number"]),
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study", Integer, nullable=False),
    Column("trial", Integer, nullable=False),
    Column("start", Integer, nullable=False),
    Column("until", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("worker", String(64)),
    Column("node", String(255)),
    Column("queued", UTCDateTime, nullable=False),
    Column("started", UTCDateTime),
    Column("finished", UTCDateTime),
    Column("cause", String(16), nullable=False),
    Column("error", Text),
    ForeignKeyConstraint(["study", "trial"], ["trials.study", "trials.number"]),
    Index("attempts_of_trial", "study", "trial"),
)

events = Table(
    "events",
    metadata,
    Column("study", ForeignKey("studies.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("time", UTCDateTime, nullable=False),
    Column("virtual_time", Double),
    Column("event", String(16), nullable=False),
    Column("trial", Integer),
    Column("epoch", Integer),
    Column("value", Double),
    sqlite_with_rowid=False,
)

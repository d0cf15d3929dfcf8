"""The tables of the record, one for SQLite and PostgreSQL alike."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON as AnyJSON
from sqlalchemy import (
    BigInteger,
    Boolean,
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
    false,
    text,
)

VERSION = 4
"""Of this schema. A store of a later version is refused, one of an earlier is migrated."""

metadata = MetaData()


class UTCDateTime(TypeDecorator[datetime]):
    """An aware time, stored as naive UTC: SQLite keeps no time zone."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class FreeText(TypeDecorator[str]):
    """What an error said, without the few characters that a database cannot keep."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


class Real(TypeDecorator[float]):
    """A float to its last bit; 0.0 for -0.0, whose sign SQLite does not keep."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        return None if value is None else value + 0.0


JSON = AnyJSON(none_as_null=True)
ZERO = text("0")

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
    Column("best", Integer),
    Column("test", Real),
    Column("holder", Text),
    Column("token", BigInteger, nullable=False, default=0),
    Column("lease_expires", UTCDateTime),
    Column("datetime_created", UTCDateTime, nullable=False),
    Column("datetime_changed", UTCDateTime, nullable=False),
    Column("batch", BigInteger, nullable=False, server_default=ZERO),
    Column("test_low", Real),
    Column("test_high", Real),
    Column("progress", JSON),
)

trials = Table(
    "trials",
    metadata,
    Column("study", ForeignKey("studies.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("params", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("outcome", String(16)),
    Column("value", Real),
    Column("epochs", Integer, nullable=False, default=0),
    Column("seed", BigInteger, nullable=False),
    Column("datetime_start", UTCDateTime, nullable=False),
    Column("datetime_complete", UTCDateTime),
    Column("seconds", Real, nullable=False, default=0.0),
    Column("predicted_cost", Real, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("node", String(255)),
    Column("error", FreeText),
    Column("values", JSON),
    Column("standard_error", Real),
    Column("constraints", JSON),
    Column("asking", Real, nullable=False, server_default=ZERO),
)

# Clustered by its key on SQLite, so that one trial's curve is read without its neighbours'.
epochs = Table(
    "epochs",
    metadata,
    Column("study", Integer, primary_key=True),
    Column("trial", Integer, primary_key=True),
    Column("replicate", Integer, primary_key=True, server_default=ZERO),
    Column("epoch", Integer, primary_key=True),
    Column("learning_rate", Real),
    Column("train_loss", Real),
    Column("validation_loss", Real),
    Column("validation_metric", Real),
    Column("gradient_norm", Real),
    Column("seconds", Real, nullable=False),
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
    Column("cause", String(32), nullable=False),
    Column("error", FreeText),
    Column("replicate", Integer, nullable=False, server_default=ZERO),
    Column("loaded", UTCDateTime),
    Column("received", UTCDateTime),
    Column("training", Real),
    Column("platform", Integer),
    Column("accepted", Boolean, nullable=False, server_default=false()),
    Column("sent", UTCDateTime),
    Column("metrics", JSON),
    ForeignKeyConstraint(["study", "trial"], ["trials.study", "trials.number"]),
    Index("attempts_of_trial", "study", "trial"),
)

events = Table(
    "events",
    metadata,
    Column("study", ForeignKey("studies.id"), primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("time", UTCDateTime, nullable=False),
    Column("virtual_time", Real),
    Column("event", String(16), nullable=False),
    Column("trial", Integer),
    Column("epoch", Integer),
    Column("value", Real),
    Column("step", Integer),
    Column("detail", JSON),
    sqlite_with_rowid=False,
)

sessions = Table(
    "sessions",
    metadata,
    Column("study", ForeignKey("studies.id"), primary_key=True),
    Column("token", BigInteger, primary_key=True, autoincrement=False),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("cpus", Integer),
    Column("backend", String(16)),
    Column("started", UTCDateTime, nullable=False),
    Column("ready", UTCDateTime),
    Column("ended", UTCDateTime),
    Column("end", String(16)),
    Column("recording", Double),
    Column("recording_median", Double),
)

requests = Table(
    "requests",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("study", ForeignKey("studies.id"), nullable=False),
    Column("time", UTCDateTime, nullable=False),
    Column("request", String(16), nullable=False),
    Column("detail", JSON, nullable=False),
    Column("by", String(255), nullable=False),
    Column("answered", UTCDateTime),
    Column("answer", FreeText),
    Index("requests_unanswered", "study", "answered"),
)

platforms = Table(
    "platforms",
    metadata,
    Column("study", ForeignKey("studies.id"), primary_key=True),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("description", JSON, nullable=False),
)

confirmations = Table(
    "confirmations",
    metadata,
    Column("study", ForeignKey("studies.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("question", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("result", JSON),
    Column("version", String(32), nullable=False),
    Column("datetime_start", UTCDateTime, nullable=False),
    Column("datetime_complete", UTCDateTime),
)

# Not of one confirmation: what a trial comes to with a seed is the same in each that asks for it.
retrainings = Table(
    "retrainings",
    metadata,
    Column("study", Integer, primary_key=True),
    Column("trial", Integer, primary_key=True),
    Column("folds", Integer, primary_key=True),
    Column("fold", Integer, primary_key=True),
    Column("seed", BigInteger, primary_key=True, autoincrement=False),
    Column("outcome", String(16), nullable=False),
    Column("value", Real),
    Column("measures", JSON),
    Column("epochs", Integer, nullable=False),
    Column("error", FreeText),
    Column("seconds", Real, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("node", String(255)),
    Column("worker", String(64)),
    Column("platform", JSON),
    Column("datetime_start", UTCDateTime),
    Column("datetime_complete", UTCDateTime, nullable=False),
    ForeignKeyConstraint(["study", "trial"], ["trials.study", "trials.number"]),
)

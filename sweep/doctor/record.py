"""The store, and the clock that its leases go by."""

from sweep.doctor.finding import OK, PROBLEM, WARNING, Finding, Findings, Patient
from sweep.errors import StoreError
from sweep.store import Location
from sweep.store.health import Health, examine

SKEW = 5.0
"""Seconds between two clocks from which a lease of 15 s is in doubt."""


def store(patient: Patient) -> Findings:
    """Whether the store can be read and written, and what time it is there."""
    try:
        health = examine(patient.place)
    except (StoreError, OSError) as error:
        health = Health(exists=False, folder=None, unreadable=str(error))
    yield _reading(patient.place, health)
    if health.unreadable is None:
        yield from _writing(patient.place, health)


def _reading(place: Location, health: Health) -> Finding:
    if health.unreadable is not None:
        return Finding(
            "store",
            PROBLEM,
            health.unreadable,
            "give another place with --store or SWEEP_STORE, or see that this one answers",
        )
    if not health.exists:
        return Finding("store", OK, f"none at {place} yet: the first run creates it")
    server = "" if health.server is None else f", PostgreSQL {health.server}"
    studies = "one study" if health.studies == 1 else f"{health.studies} studies"
    return Finding("store", OK, f"{place}: {studies}{server}")


def _writing(place: Location, health: Health) -> Findings:
    if health.unwritable is not None:
        advice = "give another place with --store or SWEEP_STORE, or get the right to write there"
        yield Finding("writing", PROBLEM, f"{place}: {health.unwritable}", advice)
    elif health.journal not in (None, "wal"):
        yield Finding(
            "writing",
            PROBLEM,
            f"SQLite's write-ahead log does not work in {health.folder} ({health.journal})",
            "keep the store on a disk of this machine, or in PostgreSQL",
        )
    elif health.durable is False:
        yield Finding(
            "writing",
            WARNING,
            "the server does not write what it commits to disk: a power cut may lose studies",
            "set fsync and full_page_writes to on in postgresql.conf",
        )
    else:
        yield Finding("writing", OK, "possible" if health.journal is None else "possible, with WAL")
    if health.skew is not None:
        yield _clock(health.skew)


def _clock(skew: float) -> Finding:
    said = f"the database's is {abs(skew):.2f} s {'ahead' if skew > 0 else 'behind'}"
    if abs(skew) < SKEW:
        return Finding("clock", OK, said)
    return Finding(
        "clock",
        WARNING,
        f"{said}; times in the tables of trials come from this machine",
        "synchronise the clocks (timedatectl set-ntp true)",
    )

"""What the doctor says about one thing."""

from collections.abc import Iterator
from dataclasses import dataclass

from sweep.store import Location

OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's: what was looked at, how it is, and what to do."""

    what: str
    state: str
    said: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at beside this machine."""

    place: Location
    address: str = "local"


Findings = Iterator[Finding]


def size(count: float) -> str:
    """Bytes, for people."""
    return f"{count / 1e9:.3g} GB"

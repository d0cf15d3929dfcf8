"""One process runs a study at a time: a lease with a fencing token."""

import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SECONDS = 15.0
"""A study whose process died elsewhere is free again after this long."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write a study: every write checks `token` in its own transaction."""

    study: int
    name: str
    token: int
    holder: str


def this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def expiry() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=SECONDS)


def is_free(holder: str | None, expires: datetime | None) -> bool:
    """Whether nobody holds a study: released, run out, or held by a process of this machine that
    is gone."""
    if holder is None or expires is None or expires <= datetime.now(UTC):
        return True
    host, _, pid = holder.rpartition(":")
    return host == socket.gethostname() and not _is_alive(int(pid))


def describe(holder: str, expires: datetime) -> str:
    host, _, pid = holder.rpartition(":")
    age = max(0.0, SECONDS - (expires - datetime.now(UTC)).total_seconds())
    return f"process {pid} on {host}, which was last heard of {age:.0f} s ago"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

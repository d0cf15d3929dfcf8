"""One process runs a study at a time: a lease with a fencing token."""

import hashlib
import json
import os
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import RowMapping

SECONDS = 15.0
"""A study whose process died elsewhere is free again after this long."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write a study: every write checks `token` in its own transaction."""

    study: int
    name: str
    token: int
    holder: str


@dataclass(frozen=True, slots=True)
class Holder:
    """A process, told apart from another of its number, before a reboot or in another container."""

    host: str
    pid: int
    started: str | None
    """Clock ticks from the boot to the start of the process."""
    boot: str | None
    """A number that the kernel draws at random when it boots."""
    namespace: str | None
    """Within which `pid` is a number: containers have their own."""
    machine: str | None

    @property
    def application_name(self) -> str:
        """The name of its connections on a PostgreSQL server, which cuts names at 63 bytes."""
        digest = hashlib.sha256(repr(self).encode()).hexdigest()
        return f"sweep {digest[:16]} {self.pid} on {self.host}".encode("ascii", "replace")[
            :63
        ].decode()

    def is_gone(self, here: "Holder") -> bool:
        """Whether it is certain, seen from the process `here`, that this one ended."""
        if self.boot is None:  # no /proc, hence no containers either
            return here.boot is None and self.host == here.host and _find(self.pid) is None
        if (self.boot, self.namespace) == (here.boot, here.namespace):
            return _find(self.pid) not in (self.started, _UNKNOWN)
        outside = self.namespace == here.namespace == _OUTSIDE
        same_machine = (self.host, self.machine) == (here.host, here.machine)
        return outside and same_machine and self.machine is not None  # it was booted again


class Claim(NamedTuple):
    """What `studies.holder` says: who holds the study, and which of its calls took it."""

    holder: Holder
    call: str

    @classmethod
    def new(cls) -> "Claim":
        return cls(this_process(), uuid4().hex[:8])

    @classmethod
    def of(cls, text: str) -> "Claim":
        fields: dict[str, Any] = json.loads(text)
        return cls(call=fields.pop("call"), holder=Holder(**fields))

    def __str__(self) -> str:
        return json.dumps({**asdict(self.holder), "call": self.call})


def this_process() -> Holder:
    return _process(os.getpid())


def is_free(holder: str | None, expires: datetime | None, now: datetime | None = None) -> bool:
    """Whether nobody holds a study: released, run out at `now` (by the clock of the database), or
    held by a process that is certainly gone."""
    if holder is None or expires is None or expires <= (now or datetime.now(UTC)):
        return True
    return Claim.of(holder).holder.is_gone(this_process())


def describe(row: RowMapping) -> str:
    """Who holds the study of this row, since when it was not heard of, when its lease ends."""
    holder = Claim.of(row["holder"]).holder
    left = (row["lease_expires"] - row["now"]) / timedelta(seconds=1)
    return (
        f"process {holder.pid} on {holder.host}, which was last heard of "
        f"{max(0.0, SECONDS - left):.0f} s ago and keeps it for another {max(0.0, left):.0f} s "
        "if it is not heard of again"
    )


_OUTSIDE = "pid:[4026531836]"
"""The namespace of a machine's own processes, outside of all containers (Linux, proc_ns.h)."""

_UNKNOWN = "unknown"


@cache
def _process(pid: int) -> Holder:
    return Holder(
        host=socket.gethostname(),
        pid=pid,
        started=_find(pid),
        boot=_text("/proc/sys/kernel/random/boot_id"),
        namespace=_link("/proc/self/ns/pid"),
        machine=_text("/etc/machine-id"),
    )


def _find(pid: int) -> str | None:
    """When a process of this machine started; None if there is none, `_UNKNOWN` if it is hidden."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    stat = _text(f"/proc/{pid}/stat")
    if stat is None:
        return _UNKNOWN
    fields = stat.rpartition(")")[2].split()  # the name before it may hold anything
    return None if fields[0] in "ZX" else fields[19]  # dead, though its parent has not looked yet


def _text(file: str) -> str | None:
    try:
        return Path(file).read_text().strip() or None
    except OSError:
        return None


def _link(file: str) -> str | None:
    try:
        return os.readlink(file)
    except OSError:
        return None

"""CPUs, memory and disks, and the limits that a container sets to them."""

import os
import shutil
import tempfile
from pathlib import Path

from sweep.cpus import usable_cpus
from sweep.doctor.finding import OK, PROBLEM, WARNING, Finding, Findings, Patient, size
from sweep.store import artifacts

ROOM = 1e9
"""Bytes on disk below which a study may not find room."""

MEMORY = 0.5e9
"""Bytes for each CPU below which workers may be killed: 0.15 GB, and data and networks."""

SHARED = 0.25e9
"""Bytes of shared memory, below which Ray puts its objects on disk."""

CGROUP = Path("/sys/fs/cgroup")


def cpus(_: Patient) -> Findings:
    """CPUs, and the quota of a container."""
    there, ours = os.cpu_count() or 1, usable_cpus()
    limit = cpu_limit(CGROUP)
    said = f"{there} CPUs, {ours} for this process"
    if limit is not None:
        said += f", limited to {limit:g} by the container"
    if limit is not None and limit < ours:
        advice = (
            f"sweep run --cpus {max(1, int(limit))}, or set SWEEP_CPUS: more would wait in turn"
        )
        yield Finding("CPUs", WARNING, said, advice)
    else:
        yield Finding("CPUs", OK, said)


def cpu_limit(folder: Path) -> float | None:
    """The CPUs that a control group (version 2, or 1) may use; None without a limit."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (folder / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (folder / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return None if quota in ("max", "-1") else int(quota) / int(period)


def memory(_: Patient) -> Findings:
    """Memory, and the limit of a container."""
    free, limit = _available(), memory_limit(CGROUP)
    if free is None:
        return
    usable = free if limit is None else min(free, limit)
    within = "" if limit is None else f", of which the container may use {size(limit)}"
    said = f"{size(free)} free{within}"
    cpus = usable_cpus()
    if usable < MEMORY * cpus:
        fit = max(1, int(usable / MEMORY))
        advice = f"sweep run --cpus {fit} needs less: each worker takes 0.15 GB and its networks"
        yield Finding("memory", WARNING, said, advice)
    else:
        yield Finding("memory", OK, said)


def _available() -> float | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((1024.0 * int(x.split()[1]) for x in lines if x.startswith("MemAvailable")), None)


def memory_limit(folder: Path) -> float | None:
    """Bytes that a control group (version 2, or 1) leaves to be used; None without a limit."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            most, now = (folder / limit).read_text().strip(), (folder / used).read_text()
        except OSError:
            continue
        if most != "max" and int(most) < 1 << 60:
            return float(int(most) - int(now))
    return None


def shared_memory(_: Patient) -> Findings:
    """Where Ray's object store lives."""
    if not Path("/dev/shm").is_dir():
        return
    free = shutil.disk_usage("/dev/shm").free
    said = f"{size(free)} free in /dev/shm"
    if free < SHARED:
        yield Finding(
            "shared memory",
            WARNING,
            f"{said}: Ray puts its objects on disk instead",
            "give a container more: docker run --shm-size 2g",
        )
    else:
        yield Finding("shared memory", OK, said)


def disk(patient: Patient) -> Findings:
    """Free space where something will be written."""
    ray = Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir()))
    named = {"models": artifacts(patient.place, "any"), "Ray's session": ray}
    if isinstance(patient.place.place, Path):
        named = {"the store": patient.place.place, **named}
    devices: dict[int, tuple[Path, list[str]]] = {}
    for name, path in named.items():
        folder = next(p for p in (path.absolute(), *path.absolute().parents) if p.is_dir())
        devices.setdefault(folder.stat().st_dev, (folder, []))[1].append(name)
    for folder, names in devices.values():
        usage = shutil.disk_usage(folder)
        said = f"{size(usage.free)} free for {' and '.join(names)} ({folder})"
        if usage.free < ROOM:
            yield Finding("disk", PROBLEM, said, "free some space, or give another --store")
        elif usage.free < 0.05 * usage.total:
            yield Finding(
                "disk", WARNING, f"{said}: Ray warns from 95 % full on", "free some space"
            )
        else:
            yield Finding("disk", OK, said)

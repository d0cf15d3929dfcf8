"""Whether a table fits into this machine's memory, which is asked before it is read."""

from pathlib import Path

from sweep.datasets.problems import DataProblem


def check_room(name: str, needed: float, room: float | None) -> None:
    """DataProblem if reading takes more bytes than there are; `room` is None where nobody knows."""
    if room is not None and needed > room:
        raise DataProblem(
            f"{name}: reading it takes about {_size(needed)} of memory, and this machine has "
            f"{_size(room)} free; use a larger machine, or fewer rows or columns (Parquet with "
            "float32 columns takes the least)"
        )


def available() -> float | None:
    """Bytes that this process can still take: of the machine and of its control group (Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        fields = dict(line.split(":") for line in lines)
        free = 1024 * float(fields["MemAvailable"].split()[0])
    except (OSError, KeyError, ValueError):
        return None
    limit = _control_group()
    return free if limit is None else min(free, limit)


def _control_group(folder: Path = Path("/sys/fs/cgroup")) -> float | None:
    try:
        most, used = ((folder / f"memory.{name}").read_text() for name in ("max", "current"))
        statistics = dict(
            line.split() for line in (folder / "memory.stat").read_text().splitlines()
        )
        # What was read from files can be given back at any time.
        return float(most) - float(used) + float(statistics["inactive_file"])
    except (OSError, KeyError, ValueError):  # there is none, or its limit is the word "max"
        return None


def _size(number: float) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e8 else f"{number / 1e6:.1f} MB"

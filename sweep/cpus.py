"""The CPUs of this machine that this process may use."""

import os


def usable_cpus() -> int:
    """How many there are."""
    if hasattr(os, "sched_getaffinity"):  # not everywhere
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

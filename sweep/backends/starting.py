"""A backend by its name."""

from sweep.backends import Backend
from sweep.errors import UsageError
from trainer import Dataset

NAMES = ("ray", "processes", "serial")


def check(name: str, *, cpus: int | None = None, address: str = "local") -> None:
    """Raise UsageError for what `start` cannot start, before anything else is done."""
    if name not in NAMES:
        raise UsageError(f"backend {name!r}: there are {', '.join(NAMES)}")
    if cpus is not None and cpus < 1:
        raise UsageError(f"cpus = {cpus}: give 1 or more, or leave it out for all")
    if cpus is not None and (address != "local" or name == "serial"):
        raise UsageError(
            f"cpus = {cpus} is for this machine's CPUs: leave it out, or address and "
            "backend='serial'"
        )


def start(
    name: str,
    datasets: tuple[Dataset, ...],
    *,
    cpus: int | None = None,
    address: str = "local",
    portable: bool = False,
) -> Backend:
    """The backend of this name: `ray`, on `cpus` of this machine or on the cluster at `address`,
    after a beginning in processes of this machine; `processes`, those alone; or `serial`, which
    computes in this process."""
    check(name, cpus=cpus, address=address)
    if name == "serial":
        from sweep.backends.serial import SerialBackend

        return SerialBackend(datasets)
    if name == "processes":
        from sweep.backends.processes import ProcessBackend

        return ProcessBackend(datasets, cpus=cpus, portable=portable)
    from sweep.backends.handover import Handover, is_large

    if is_large(datasets):
        from sweep.backends.ray import RayBackend

        return RayBackend(datasets, cpus=cpus, address=address, portable=portable)
    return Handover(datasets, cpus=cpus, address=address, portable=portable)

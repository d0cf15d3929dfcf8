"""A backend by its name."""

from sweep.backends import Backend
from sweep.errors import UsageError
from trainer import Dataset

NAMES = ("ray", "processes", "serial")


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
    if name not in NAMES:
        raise UsageError(f"backend {name!r}: there are {', '.join(NAMES)}")
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

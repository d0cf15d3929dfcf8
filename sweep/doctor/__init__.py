"""Whether this machine is fit to run studies, and what to do if it is not."""

from collections.abc import Callable

import numpy as np

from sweep.backends import Segment
from sweep.doctor.finding import OK, PROBLEM, Finding, Findings, Patient
from sweep.doctor.installation import blas, extras, versions
from sweep.doctor.machine import cpus, disk, memory, shared_memory
from sweep.doctor.record import store
from sweep.errors import BackendError
from trainer import Dataset, Split, TrainConfig

__all__ = ["Finding", "Patient", "findings"]


def findings(patient: Patient) -> Findings:
    """Look at everything, one finding after the other."""
    for look in LOOKS:
        yield from look(patient)


def ray(patient: Patient) -> Findings:
    """Whether Ray starts and trains a network."""
    from sweep.backends.ray import RayBackend

    rows = Split(x=np.zeros((4, 1), np.float32), y=np.zeros((4, 1), np.float32))
    config = TrainConfig(
        neurons=(1,), epochs=1, batch_size="full", loss="mean_squared", metric="rmse"
    )
    try:
        with RayBackend(
            (Dataset(train=rows, validation=rows),), address=patient.address
        ) as backend:
            backend.submit(Segment(0, config, seed=0, start=0, until=1))
            reports = [result.report for result in backend.wait(60.0)]
            count = backend.cpus
    except BackendError as error:
        yield Finding("Ray", PROBLEM, str(error), "sweep run --backend serial does without it")
        return
    if [report.outcome for report in reports] == ["finished"]:
        where = "one here" if patient.address == "local" else f"the cluster at {patient.address}"
        yield Finding("Ray", OK, f"{where} trained a network; it has {count} CPUs")
        return
    said = "no answer within 60 s"
    if reports:
        said = (reports[0].error or reports[0].outcome).strip().splitlines()[-1]
    logs = "see logs/ of Ray's last session, /tmp/ray/session_latest"
    yield Finding("Ray", PROBLEM, f"a network could not be trained: {said}", logs)


LOOKS: tuple[Callable[[Patient], Findings], ...] = (
    versions,
    extras,
    blas,
    cpus,
    memory,
    shared_memory,
    disk,
    store,
    ray,
)
"""What is looked at, in this order: the last takes seconds."""

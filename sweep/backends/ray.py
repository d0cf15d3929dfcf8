"""Segments as Ray tasks, on this machine or on a cluster."""

import logging
import os
import socket
from typing import Any, Self

# Before Ray is imported: it reads these once, and would talk on the user's terminal.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")

import ray
from ray._private.authentication.authentication_token_setup import (
    maybe_enable_token_auth_if_token_available,
)
from ray.exceptions import OutOfMemoryError, RayError

import sweep
import trainer
from sweep.backends.segment import Report, Result, Segment, compute
from sweep.errors import BackendError
from trainer import Dataset, TrainState


class RayBackend:
    """Each segment is one Ray task on one CPU; Ray's own retries are off, the orchestrator counts.

    The dataset is put into Ray's object store once, and the state that a segment reached stays
    there as well: the next segment of the trial reads it where it is.
    """

    task: Any = ray.remote(num_cpus=1, num_returns=2, max_retries=0)(compute)

    def __init__(
        self, dataset: Dataset, *, cpus: int | None = None, address: str = "local"
    ) -> None:
        _start(cpus, address)
        self.cpus = int(ray.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call]
        if not self.cpus:
            raise BackendError(f"the Ray cluster at {address} has no CPUs; add a node that has")
        self._dataset = ray.put(dataset)
        self._running: dict[ray.ObjectRef[Any], tuple[Segment, ray.ObjectRef[Any]]] = {}

    def submit(self, segment: Segment, state: Any = None) -> None:
        report, reached = self.task.remote(segment, state, self._dataset)
        self._running[report] = (segment, reached)

    def wait(self, timeout: float) -> list[Result]:
        if not self._running:
            return []
        first, rest = ray.wait(list(self._running), timeout=timeout)
        if rest and first:
            first += ray.wait(rest, num_returns=len(rest), timeout=0)[0]
        return [self._result(report) for report in first]

    def _result(self, ref: "ray.ObjectRef[Any]") -> Result:
        segment, reached = self._running.pop(ref)
        try:
            report: Report = ray.get(ref)
        except OutOfMemoryError as error:
            return Result(segment, Report(outcome="out_of_memory", error=_first_line(error)))
        except RayError as error:
            return Result(segment, Report(outcome="worker_lost", error=_first_line(error)))
        return Result(segment, report, reached)

    def fetch(self, state: Any) -> TrainState | None:
        try:
            fetched: TrainState | None = ray.get(state)
        except RayError:
            return None
        return fetched

    def close(self) -> None:
        for reached in self._running:
            ray.cancel(reached, force=True)
        self._running.clear()
        ray.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _start(cpus: int | None, address: str) -> None:
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        if address == "local":
            ray.init("local", num_cpus=cpus, include_dashboard=False, **quiet)
        else:
            _check_reachable(address)
            # As `ray start` does: a cluster that it began has asked for this user's token since.
            maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
            # The nodes have Ray; the code that they run comes from here, so that all run the same.
            ray.init(address, runtime_env={"py_modules": [sweep, trainer]}, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        raise BackendError(
            f"Ray at {address} cannot be used: {_first_line(error)}; --address takes host:port as "
            "`ray start --head` prints it, auto for the cluster of this machine, or local to start "
            "one here; --backend serial does without Ray"
        ) from error


def _check_reachable(address: str) -> None:
    """Raises OSError or ValueError at once where Ray itself would try for minutes."""
    if address != "auto":
        host, separator, port = address.rpartition(":")
        if not separator or "/" in host or not port.isdigit():
            raise ValueError(f"{address!r} is not host:port")
        socket.create_connection((host, int(port)), timeout=5).close()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]

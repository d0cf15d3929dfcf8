"""The connection to Ray: to a cluster, or to one that is started here."""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# Before Ray is imported: it reads these once, and would talk on the user's terminal.
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_IGNORE_UNHANDLED_ERRORS", "1")
# What it prints of workers that died: the reports say it.
os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")

import ray
from ray._private.authentication.authentication_token_setup import (
    maybe_enable_token_auth_if_token_available,
)

import sweep
import trainer
from sweep.errors import BackendError, first_line

ANSWER = 10.0
"""Seconds in which a cluster must answer."""

HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")
"""What a client of HTTP/2, and so of Ray's gRPC, says first (RFC 9113, section 3.4)."""


def connect(
    cpus: int | None, address: str, environment: dict[str, str], *, is_own: bool = False
) -> int:
    """Connect to the cluster at `address`, host:port, or start a "local" one with so many CPUs; how
    many there are. Workers have `environment`; one that `is_own` was started on this machine by
    `lead`. BackendError says what is wrong."""
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    workers: dict[str, Any] = {"env_vars": environment} if environment else {}
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        if address == "local":
            quiet["include_dashboard"] = False
            with _signals_kept():
                ray.init("local", num_cpus=cpus, runtime_env=workers, **quiet)
        else:
            _check_reachable(address)
            # As `ray start` does: a cluster that it began has asked for this user's token since.
            maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
            if not is_own:
                # The nodes have Ray; the code that they run comes from here, so that all run the
                # same.
                workers["py_modules"] = [sweep, trainer]
            with _signals_kept():
                ray.init(address, runtime_env=workers, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        raise BackendError(
            f"Ray at {address} cannot be used: {first_line(error)}; --address takes host:port as "
            "`ray start --head` prints it, auto for the cluster of this machine, or local to start "
            "one here; --backend serial does without Ray"
        ) from error
    found = int(ray.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call]
    if not found:
        ray.shutdown()
        raise BackendError(f"the Ray cluster at {address} has no CPUs; add a node that has")
    return found


def lead(cpus: int | None) -> None:
    """Start a Ray on this machine and say where it is; end it when stdin ends."""
    told = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        connect(cpus, "local", {})
    except BackendError as error:
        print(error, file=told)
        return
    print("at", ray.get_runtime_context().gcs_address, file=told, flush=True)
    sys.stdin.read()
    ray.shutdown()


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes the signals that end a process; who has taken one before gets it back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                if callable(handler):
                    signal.signal(number, handler)


def _check_reachable(address: str) -> None:
    """Raises OSError or ValueError soon where Ray itself would try for minutes."""
    if address == "auto":
        return
    host, separator, port = address.rpartition(":")
    if not separator or "/" in host or not port.isdigit():
        raise ValueError(f"{address!r} is not host:port")
    with socket.create_connection((host, int(port)), timeout=ANSWER) as connection:
        connection.sendall(HELLO)
        try:
            connection.recv(1)
        except TimeoutError:
            raise TimeoutError(f"what listens there did not answer in {ANSWER:g} s") from None

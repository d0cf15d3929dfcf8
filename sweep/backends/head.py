"""A Ray of one's own on this machine, started by a process beside this one."""

import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress

from sweep.errors import BackendError


class Head:
    """A Ray with so many CPUs, all by default, that is there until it is closed.

    It ends with this process, however that ends. Whoever never asks for it need not import Ray.
    """

    def __init__(self, cpus: int | None) -> None:
        program = f"import sys; sys.path[:] = {sys.path!r}; "
        program += f"from sweep.backends.cluster import lead; lead({cpus})"
        # Its own session, so that Ctrl-C is this process's alone.
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self._address: str | None = None

    def address(self) -> str | None:
        """Where it is, host:port, if it is there by now; BackendError if it never will be."""
        assert self._process.stdout is not None
        if self._address is None and select.select([self._process.stdout], [], [], 0)[0]:
            said = self._process.stdout.readline().strip()
            if not said.startswith("at "):
                said = said or f"its process ended with status {self._process.wait()}"
                raise BackendError(said)
            self._address = said.removeprefix("at ")
        return self._address

    def close(self) -> None:
        """Have it end, which takes a second for which nobody need wait."""
        if self._address is None:  # what it has started so far dies with it
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        threading.Thread(target=self._process.wait, name="end of Ray", daemon=True).start()

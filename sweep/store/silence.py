"""Connections to PostgreSQL that give up a server which stays connected and says nothing.

Its kernel may answer for a server that is stopped, so that TCP's own timeouts do not see it.
"""

import time
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen

SECONDS = 60.0
"""A server that says nothing at all for so long is taken for gone; one that sends is not."""


class Connection(psycopg.Connection[Any]):
    def wait(self, gen: PQGen[RV], *arguments: Any, **options: Any) -> RV:
        return super().wait(self._heard(gen), *arguments, **options)

    def _heard(self, gen: PQGen[RV]) -> PQGen[RV]:
        """The same conversation; OperationalError when it is the server's turn for too long."""
        try:
            wanted, deadline = next(gen), time.monotonic() + SECONDS
            while True:
                ready = yield wanted
                if ready:
                    deadline = time.monotonic() + SECONDS
                elif time.monotonic() > deadline:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the server said nothing for {SECONDS:g} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            said: RV = end.value
            return said

"""Waiting for a database that went away and comes back."""

import logging
import time
from collections.abc import Callable
from itertools import chain, repeat
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

SECONDS = 120.0
"""A database that does not answer is asked again for this long."""

_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
_log = logging.getLogger("sweep.store")

T = TypeVar("T")


def patiently(work: Callable[[], T], may_pass: Callable[[DBAPIError], bool], place: object) -> T:
    """Do `work`, and do it again after growing pauses while what stopped it may pass."""
    deadline = time.monotonic() + SECONDS
    for pause in chain(_PAUSES, repeat(_PAUSES[-1])):
        try:
            return work()
        except DBAPIError as error:
            if not may_pass(error) or time.monotonic() + pause > deadline:
                raise
        if pause == 1.0:  # once, and not for what passes at once
            _log.warning("the store %s does not answer; trying for %.0f s", place, SECONDS)
        time.sleep(pause)
    raise AssertionError("unreachable")

"""Where segments are computed: one protocol, several places."""

from sweep.backends.compute import one_thread
from sweep.backends.segment import UNLIMITED, Backend, Beat, Limits, Report, Result, Segment

__all__ = [
    "UNLIMITED",
    "Backend",
    "Beat",
    "Limits",
    "Report",
    "Result",
    "Segment",
    "one_thread",
]

"""Where segments are computed: one protocol, several places."""

from sweep.backends.segment import Backend, Report, Result, Segment

__all__ = ["Backend", "Report", "Result", "Segment"]

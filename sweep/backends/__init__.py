"""Where segments are computed: one protocol, several places."""

from sweep.backends.segment import Backend, Report, Result, Segment, one_thread

__all__ = ["Backend", "Report", "Result", "Segment", "one_thread"]

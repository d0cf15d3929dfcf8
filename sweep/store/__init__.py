"""The record of studies: what was asked, what was trained, what was decided."""

from sweep.store.batch import Batch, Row
from sweep.store.lease import Lease, is_free
from sweep.store.location import HEAD, Location, artifacts, locate
from sweep.store.reader import CURVE, Columns
from sweep.store.record import Store

__all__ = [
    "CURVE",
    "HEAD",
    "Batch",
    "Columns",
    "Lease",
    "Location",
    "Row",
    "Store",
    "artifacts",
    "is_free",
    "locate",
]

"""The record of studies: what was asked, what was trained, what was decided."""

from sweep.store.lease import Lease, is_free
from sweep.store.location import artifacts, locate
from sweep.store.record import Batch, Row, Store

__all__ = ["Batch", "Lease", "Row", "Store", "artifacts", "is_free", "locate"]

"""How far a score would move on other rows of the same kind: the bootstrap."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

MOST, LEAST = 1000, 200
"""Draws; fewer of many rows, whose scores take longer and differ less."""

ROWS = 2 * 10**7
"""Rows that all draws together are about."""

LEVEL = 0.95


def draws(rows: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """As many indices as there are rows, with repetition, time and again; the same for a seed."""
    # The raw stream of a bit generator is the same in every version of NumPy (NEP 19).
    stream = np.random.PCG64(seed)
    high = np.uint64(32)
    for _ in range(min(MOST, max(LEAST, ROWS // max(1, rows)))):
        words = stream.random_raw(rows) >> high
        yield (words * np.uint64(rows) >> high).astype(np.int64)


def interval(scores: Iterable[float]) -> tuple[float, float] | None:
    """From where to where the middle 95 % of the draws' scores lie (Efron and Tibshirani 1993,
    section 13.3); None if most draws have no score, such as those without one of two classes."""
    drawn = np.array(list(scores))
    known = drawn[np.isfinite(drawn)]
    if 2 * len(known) <= len(drawn):
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)

"""The clock of a study: the time in which it ran."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

PAUSE = 60.0
"""Seconds in which nothing was out and nothing was decided: the study did not run."""

Clock = Callable[[Any], "pd.Series[float]"]


def clock(out: pd.DataFrame, moments: Any = ()) -> Clock:
    """Seconds since the study began, without pauses, of any times in UTC.

    `out` has two columns, from when to when something was out; at `moments` something happened.
    """
    begins, ends = (out[name] for name in out)
    both = begins.notna() & ends.notna()
    origin = min([begins[both].min(), *moments])

    def since(times: Any) -> Any:
        return (times - origin).dt.total_seconds().to_numpy(dtype=float)

    spans = np.column_stack((since(begins[both]), since(ends[both])))
    if len(moments):
        spans = np.vstack((spans, np.repeat(since(moments)[:, None], 2, axis=1)))
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    gaps = spans[1:, 0] - np.maximum.accumulate(spans[:, 1])[:-1]
    paused = gaps > PAUSE
    resumed, lost = spans[1:, 0][paused], np.concatenate(([0.0], np.cumsum(gaps[paused])))

    def seconds(times: Any) -> "pd.Series[float]":
        at = since(times)
        return pd.Series(at - lost[np.searchsorted(resumed, at, side="right")], times.index)

    return seconds

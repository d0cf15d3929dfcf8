"""Whether the best trials lie at the end of a range."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, log
from typing import Any

import pandas as pd
from scipy.stats import binom, mannwhitneyu

from sweep.advice.finding import FEW, Advice, costs_of, edit_command, go_on, key_of, with_end
from sweep.entries import Range
from sweep.space import is_constant, parameters
from sweep.spec import StudySpec

TOP = 0.1
"""The share of the complete trials that are the best ones, 6 to 20 of them."""

EDGE = 0.1
"""The share of a range that is its edge."""

CHANCE = 0.002
"""How improbable it is for as many of the best to be at an edge, were they anywhere."""

WORSE = 0.01
"""How improbable it is that trials elsewhere are as good."""


def ranges(spec: StudySpec, trials: pd.DataFrame, state: str = "complete") -> Iterator[Advice]:
    """The ranges at an end of which the best trials crowd: better ones may lie beyond.

    The best are the complete trials of the top tenth. They crowd if most of them, the winner
    among them, are in the outer tenth of a range on its scale, or at its last value if it has up
    to ten; if chance would not put them there; and if trials elsewhere are worse.
    """
    costs = costs_of(spec, trials.sort_values("number")).dropna()
    if len(costs) < FEW:
        return
    # Against those begun about when they were: a sampler that learns does better with time, and
    # gathers somewhere even where nothing is gained.
    near = max(5, len(costs) // 5)
    merits = costs - costs.rolling(near, center=True, min_periods=1).median()
    order = costs.sort_values(kind="stable").index
    said = set[tuple[str, str]]()  # of all layers, one is enough
    for name, entry in parameters(spec.space).items():
        if not isinstance(entry, Range) or is_constant(entry):
            continue
        values = trials.loc[order, f"params_{name}"]
        for edge in (_edge(entry, "low"), _edge(entry, "high")):
            place = key_of(spec, name), edge.end
            there = None if place in said else _crowd(values, edge, merits)
            found = None if there is None else _advice(spec, name, edge, *there, state)
            if found is not None:
                said.add(place)
                yield found


@dataclass(frozen=True, slots=True)
class _Edge:
    entry: Range[Any]
    end: str
    """`low` or `high`."""
    border: float
    """Where it begins."""
    share: float
    """Of the range."""

    def holds(self, values: "pd.Series[Any]") -> "pd.Series[bool]":
        return values <= self.border if self.end == "low" else values >= self.border

    @property
    def limit(self) -> Any:
        return getattr(self.entry, self.end)


def _edge(entry: Any, end: str) -> _Edge:
    low, high = entry.low, entry.high
    is_stepped = isinstance(low, int) or entry.step is not None
    steps = round((high - low) / (entry.step or 1))
    if is_stepped and steps < 10 and not entry.log:
        return _Edge(entry, end, low if end == "low" else high, 1 / (steps + 1))
    place = EDGE if end == "low" else 1 - EDGE
    if entry.log:
        return _Edge(entry, end, exp(log(low) + place * (log(high) - log(low))), EDGE)
    return _Edge(entry, end, low + place * (high - low), EDGE)


def _crowd(
    values: "pd.Series[Any]", edge: _Edge, merits: "pd.Series[float]"
) -> tuple[int, int] | None:
    """How many of the best trials are at an edge, and how many best there are, if they crowd there;
    `values` are a parameter's of all trials, the best first, missing where it has no effect."""
    used = values.dropna()
    top = values.head(min(20, max(6, round(TOP * len(values))))).dropna()
    if not len(top) or pd.isna(values.iloc[0]) or not edge.holds(top).iloc[0]:
        return None
    count = int(edge.holds(top).sum())
    if 2 * count <= len(top) or binom.sf(count - 1, len(top), edge.share) > CHANCE:
        return None
    at = edge.holds(used).to_numpy(bool)
    inside, outside = merits[used.index[at]], merits[used.index[~at]]
    if len(outside) and mannwhitneyu(inside, outside, alternative="less").pvalue > WORSE:
        return None
    return count, len(top)


def _advice(
    spec: StudySpec, name: str, edge: _Edge, count: int, best: int, state: str
) -> Advice | None:
    """None where the parameter can have no values beyond, such as dropout below 0."""
    key, limit = key_of(spec, name), edge.limit
    edits = (edit_command(spec, key, wider) for wider in _wider(edge.entry, edge.end))
    if (edit := next(filter(None, edits), None)) is None:
        return None
    where = f"at {limit:g}"
    if edge.border != limit:
        reach = "up to" if edge.end == "low" else "from"
        where = f"in the outer tenth of its range, {reach} {edge.border:.3g}"
    beyond = "below" if edge.end == "low" else "above"
    text = (
        f"{count} of the {best} best trials, the winner among them, have {name} {where}: better "
        f"ones may lie {beyond} {limit:g}."
    )
    if key == "batch_size" and edge.end == "high":
        text += " (A batch holds at most all the training rows.)"
    facts = {"parameter": name, "end": edge.end, "limit": limit, "best": best, "there": count}
    return Advice("range", text, facts, (edit, *go_on(spec, state)))


def _wider(entry: Any, end: str) -> Iterator[Range[Any]]:
    """The range with its end moved out, as far as may be first."""
    low, high, whole = entry.low, entry.high, isinstance(entry.low, int)
    if entry.log:
        factor = 2 if whole else 10
        lower = max(1, low // factor) if whole else low / factor
        yield with_end(entry, end, lower if end == "low" else high * factor)
        return
    step = entry.step or (1 if whole else None)
    half = (high - low) / 2 if step is None else step * max(1, round((high - low) / step / 2))
    yield with_end(entry, end, low - half if end == "low" else high + half)
    if step is not None:
        yield with_end(entry, end, low - step if end == "low" else high + step)
    elif end == "low" and low > 0:
        yield with_end(entry, end, 0.0)
    elif end == "high" and high < 1:
        yield with_end(entry, end, (high + 1) / 2)

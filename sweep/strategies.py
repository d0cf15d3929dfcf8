"""Several strategies for one study, replayed side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from math import inf, nan, sqrt
from statistics import fmean, median, stdev
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from sweep import overview
from sweep.errors import UsageError
from sweep.recorded import Recorded
from sweep.replay import Replay, asked, figure, record_of, rerun, title
from sweep.spec import cost_sign
from sweep.surrogate import Error

LEAD = 0.9
"""Of the recorded best value over the median of the complete trials: nearly as good."""

MEASURED = ("cpu_seconds", "makespan", "epochs", "best")
"""What is averaged over seeds."""


@dataclass(frozen=True, repr=False)
class Strategies:
    """Several replays of a study, each over several seeds."""

    study: str
    frame: pd.DataFrame
    """One row a strategy, the first the study as recorded: `cpu_seconds`, `makespan`, `epochs` and
    `best` as means over `seeds` with their standard errors, and the CPU seconds until the recorded
    best value, and LEAD of its lead over the median complete trial, were reached: medians, infinite
    where half of the seeds or more did not reach it."""
    replays: tuple[Replay, ...] = field(repr=False)

    def __repr__(self) -> str:
        return f"<Strategies of {self.study}>\n{self.frame}"

    def _repr_html_(self) -> str:
        return str(self.frame.to_html(float_format="{:.4g}".format))

    @property
    def error(self) -> Error | None:
        """Of the predictions; None where there were none."""
        return next((each.error for each in self.replays if each.error is not None), None)

    def plot(self) -> go.Figure:
        """The best value so far of each strategy's first seed over the seconds of training."""
        first: dict[str, pd.DataFrame] = {}
        for each in self.replays:
            first.setdefault(_name(each), each.curve)
        one = self.replays[0]
        return figure(self.study, one.spec, list(first.items()), one.recorded_best)


def strategies(
    study: Recorded,
    *,
    sampler: Sequence[str] = (),
    pruner: Sequence[str] = (),
    workers: Sequence[int] = (),
    seeds: int = 1,
    **search: Any,
) -> Strategies:
    """Every combination of these, each replayed with so many seeds from the study's own on; other
    keys of [search] are the same for all. Errors as of `replay`."""
    lists: dict[str, Sequence[Any]] = {"sampler": sampler, "pruner": pruner, "workers": workers}
    for name, values in lists.items():
        if isinstance(values, str | int):
            raise UsageError(f"{name} = {values!r}: must be a list here, such as [{values!r}]")
    if seeds < 1:
        raise UsageError(f"seeds = {seeds}: must be at least 1")
    own = study.spec.search
    first = search.pop("seed", own.seed)
    questions = [
        [
            asked(study.spec, {**search, **dict(zip(lists, values, strict=True)), "seed": seed})
            for seed in range(first, first + seeds)
        ]
        for values in product(*(v or (getattr(own, name),) for name, v in lists.items()))
    ]
    source = record_of(study)
    replays = [[rerun(study, source, spec) for spec in seeded] for seeded in questions]
    complete = [overview.first_value(row) for row in overview.complete(source.record.trials)]
    rows = [_recorded(replays[0][0]), *(_row(seeded, complete) for seeded in replays)]
    flat = tuple(each for seeded in replays for each in seeded)
    return Strategies(study.name, pd.DataFrame(rows), flat)


def _recorded(replay: Replay) -> dict[str, Any]:
    cost, best = replay.recorded, replay.recorded_best
    found = {"strategy": "as recorded", "seeds": 1}
    for name in MEASURED:
        found |= {name: best if name == "best" else getattr(cost, name), f"{name}_error": nan}
    return found


def _row(seeded: Sequence[Replay], complete: Sequence[float]) -> dict[str, Any]:
    found: dict[str, Any] = {"strategy": _name(seeded[0]), "seeds": len(seeded)}
    for name in MEASURED:
        values = [_measured(each, name) for each in seeded]
        error = stdev(values) / sqrt(len(values)) if len(values) > 1 else nan
        found |= {name: fmean(values), f"{name}_error": error}
    best = seeded[0].recorded_best
    if best is not None:
        enough = best - (1 - LEAD) * (best - median(complete))
        for name, goal in (("to_best", best), ("to_lead", enough)):
            found[name] = median(_reached(each, goal) for each in seeded)
    return found


def _measured(replay: Replay, name: str) -> float:
    if name == "best":
        return nan if replay.best is None else replay.best
    return float(getattr(replay.cost, name))


def _reached(replay: Replay, goal: float) -> float:
    """CPU seconds until a value at least as good; infinite if there was none."""
    sign = cost_sign(replay.spec.objectives[0])
    good = replay.curve[sign * replay.curve["best"] <= sign * goal]
    return float(good["cpu_seconds"].iloc[0]) if len(good) else inf


def _name(replay: Replay) -> str:
    """What a strategy changes, but for its seed."""
    return title({name: value for name, value in replay.changes.items() if name != "seed"})

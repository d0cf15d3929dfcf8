"""Whether a study went on for long enough."""

from collections.abc import Iterator
from math import ceil
from typing import Any

import pandas as pd

from sweep.advice.finding import FEW, Advice, costs_of, go_on, sign, trained
from sweep.spec import StudySpec

LATE = 0.25
"""The share of the trials that are the last ones."""

SLIGHT = 0.05
"""What is little of the best value's lead over the median of complete trials."""


def budget(spec: StudySpec, trials: pd.DataFrame, spent: str | None = None) -> Iterator[Advice]:
    """Whether the best value of a complete study was still getting better: when it did for the last
    time, and by how much in the last quarter of the trials."""
    ended = trained(trials)
    costs = costs_of(spec, ended)
    count, complete = len(ended), int(costs.notna().sum())
    if not complete:
        return
    best = costs.cummin().ffill()
    last = int((best < best.shift(fill_value=float("inf"))).to_numpy().nonzero()[0][-1])
    number, since = int(ended["number"].iloc[last]), count - last - 1
    facts = {"trials": count, "complete": complete, "last_improvement": number, "since": since}
    if complete < FEW:
        text = f"Only {complete} of {count} trials came to their last epoch"
        text += ": too few to tell whether more would help."
        yield Advice("budget", text, facts, go_on(spec, "complete", spent))
    elif since >= LATE * count:
        winner = ended.loc[costs == best.iloc[-1], "number"].min()  # of equals the first begun
        text = (
            f"The budget was enough for this space: the last {since} of {count} trials, "
            f"{since / count:.0%}, brought nothing better than trial {winner}."
        )
        yield Advice("budget", text, facts)
    else:
        change, gained = _late_gain(spec, costs, best)
        if gained.get("gain", 1.0) < SLIGHT:
            yield Advice("budget", f"The budget was about enough.{change}", facts | gained)
            return
        text = (
            f"The best was still getting better: trial {number} improved it with {since} of "
            f"{count} trials ({since / count:.0%}) to go.{change} More trials may help."
        )
        yield Advice("budget", text, facts | gained, go_on(spec, "complete", spent))


def _late_gain(
    spec: StudySpec, costs: "pd.Series[float]", best: "pd.Series[float]"
) -> tuple[str, dict[str, Any]]:
    """What the last trials gained, in words and numbers; nothing if they brought the first value
    or all values are the same."""
    before, after = best.iloc[ceil((1 - LATE) * len(best)) - 1], best.iloc[-1]
    lead = costs.median() - after
    if pd.isna(before) or not lead > 0:
        return "", {}
    gain = float((before - after) / lead)
    facts = {"before": float(sign(spec) * before), "after": float(sign(spec) * after)}
    text = (
        f" In the last quarter of the trials the best {spec.objectives[0]} went from "
        f"{facts['before']:.4g} to {facts['after']:.4g}, {gain:.0%} of its lead over the median."
    )
    return text, facts | {"gain": gain}

"""Whether a study went on for long enough."""

from collections.abc import Iterator
from math import ceil, inf, isfinite
from typing import Any

import pandas as pd

from sweep.advice.finding import (
    FEW,
    Advice,
    costs_of,
    go_on,
    is_exhausted,
    sign,
    trained,
)
from sweep.noise import Noise
from sweep.spec import StudySpec
from sweep.words import plural

LATE = 0.25
"""The share of the trials that are the last ones."""

SLIGHT = 0.05
"""What is little of the best value's lead over the median of complete trials."""


def budget(
    spec: StudySpec, trials: pd.DataFrame, spent: str | None = None, noise: Noise | None = None
) -> Iterator[Advice]:
    """Whether the best value of a complete study was still getting better: when it did for the last
    time, and by how much in the last quarter of the trials, beside what a seed alone makes.

    A trial that was pruned, diverged or broke a constraint was tried and is not better; what failed
    says nothing. The first value is better than none, and no improvement.
    """
    tried = _tried(spec, trials)
    costs = costs_of(spec, tried)
    count, complete = len(tried), int(costs.notna().sum())
    if not complete:
        return
    best = costs.fillna(inf).cummin()
    last = int((best < best.shift(fill_value=inf)).to_numpy().nonzero()[0][-1])
    improved = isfinite(best.shift(fill_value=inf).iloc[last])
    number, since = int(tried["number"].iloc[last]), count - last - 1
    winner = int(tried.loc[costs == best.iloc[-1], "number"].min())  # of equals the first begun
    facts: dict[str, Any] = {"trials": count, "complete": complete, "since": since}
    facts |= {"last_improvement": number if improved else None}
    if is_exhausted(spec, trials, spent):
        text = (
            f"The space is exhausted: the {len(trained(trials))} points of its grid have been "
            f"tried, and trial {winner} is the best of them."
        )
        yield Advice("budget", text, facts)
    elif count < FEW:
        text = f"{plural(count, 'trial')} tried: too few to tell whether more would help."
        yield Advice("budget", text, facts, go_on(spec, "complete", spent))
    elif since >= LATE * count:
        text = (
            f"The best is no longer getting better: of {count} trials, the {since} that ended last "
            f"({since / count:.0%}) brought nothing better than trial {winner}."
        )
        if spec.search.sampler == "random":  # when its best came says nothing of what is to come
            text += " They were drawn at random: as many again may still bring a better one."
        yield Advice("budget", text, facts)
    elif not improved:
        text = (
            f"The first value came late: trial {number} completed with {since} of {count} trials "
            f"({since / count:.0%}) still to be judged, and nothing better came after it. Too "
            "little to tell whether more would help."
        )
        yield Advice("budget", text, facts, go_on(spec, "complete", spent))
    else:
        yield _improving(spec, facts, *_late_gain(spec, costs, best), spent, noise)


def _improving(
    spec: StudySpec,
    facts: dict[str, Any],
    change: str,
    gained: dict[str, Any],
    spent: str | None,
    noise: Noise | None,
) -> Advice:
    """Of a best value that got better lately: whether by so much that more trials may help."""
    if gained.get("gain", 1.0) < SLIGHT:
        return Advice("budget", f"The best is hardly getting better.{change}", facts | gained)
    gap = abs(float(gained["after"] - gained["before"])) if gained else inf
    if noise is not None and gap <= noise.standard_deviation:
        text = (
            f"The best is hardly getting better.{change} That is no more than {gap:.2g}, and a "
            f"seed alone makes about {noise.standard_deviation:.2g}."
        )
        return Advice("budget", text, facts | gained | {"seed": noise.standard_deviation})
    number, since, count = (facts[name] for name in ("last_improvement", "since", "trials"))
    when = f"with {since} of {count} trials ({since / count:.0%}) still to be judged"
    if not since:
        when = f"as the last of {count} trials to be judged"
    text = (
        f"The best was still getting better: trial {number} improved it {when}.{change} More "
        "trials may help."
    )
    return Advice("budget", text, facts | gained, go_on(spec, "complete", spent))


def _tried(spec: StudySpec, trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that came to a judgement, in the order in which they did."""
    ended = trained(trials)
    tried = ended[ended["state"].isin(["COMPLETE", "PRUNED"])]
    if spec.search.pruner != "promotion":
        return tried
    # What paused and was never promoted ends with the study, long after it was tried.
    waited = tried["outcome"] == "pruned"
    when = tried["datetime_complete"].mask(waited, tried["datetime_start"])
    return tried.assign(when=when).sort_values(["when", "number"]).drop(columns="when")


def _late_gain(
    spec: StudySpec, costs: "pd.Series[float]", best: "pd.Series[float]"
) -> tuple[str, dict[str, Any]]:
    """What the last trials gained, in words and numbers; nothing if they brought the first value
    or all values are the same."""
    before, after = best.iloc[ceil((1 - LATE) * len(best)) - 1], best.iloc[-1]
    lead = costs.median() - after
    if not isfinite(before) or not lead > 0:
        return "", {}
    gain = float((before - after) / lead)
    facts = {"before": float(sign(spec) * before), "after": float(sign(spec) * after)}
    text = (
        f" In the last quarter of the trials the best {spec.objectives[0]} went from "
        f"{facts['before']:.4g} to {facts['after']:.4g}, {min(gain, 1.0):.0%} of its lead over the "
        "median."
    )
    return text, facts | {"gain": gain}

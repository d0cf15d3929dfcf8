"""Whether the steps of training were too short or too long, too few or too dear: learning rates and
batch sizes at an end of their range where trainings went wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import hypergeom, mannwhitneyu

from sweep.advice.finding import (
    FEW,
    Advice,
    costs_of,
    edit_command,
    sign,
    trained,
    usual,
    with_end,
)
from sweep.entries import Range, extremes
from sweep.space import is_constant, parameters
from sweep.spec import StudySpec

CHANCE = 0.05
"""How improbable it is to find as many at an end of the range, wherever it is cut."""

CUTS = 20
"""Places at which a range is cut, at most."""

FEWEST = 5
"""Trials at an end of the range, at least."""

RARER = 3.0
"""Times as often as there that trainings go right elsewhere, at least."""

DEARER = 3.0
"""Times as long that a training with small batches takes, at least, to be told."""


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    end: str
    wrong: str
    """A key of `WORDS`."""
    meaning: str


CASES = (
    _Case(
        "learning_rate",
        "low",
        "slow",
        "with a rate as small, {epochs} epochs are too few to learn what others do",
    ),
    _Case("learning_rate", "low", "stuck", "with a rate as small, a training hardly learns"),
    _Case(
        "learning_rate",
        "low",
        "pruned",
        "with a rate as small, learning is slower, and the pruner stops it early; "
        "without a pruner they might come as far",
    ),
    _Case("learning_rate", "high", "stuck", "with a rate as large, steps lead uphill again"),
    _Case(
        "batch_size",
        "high",
        "slow",
        "batches as large make too few steps in {epochs} epochs; larger rates may make up for it",
    ),
    _Case(
        "batch_size",
        "high",
        "pruned",
        "batches as large make fewer steps in an epoch, and the pruner stops them early; "
        "without a pruner they might come as far",
    ),
)

WORDS = {
    "slow": "were still improving at their last epoch, or hardly learned",
    "stuck": "got stuck: their training loss rose, or never fell",
    "pruned": "were pruned",
}
"""What went wrong: with complete trainings, or with all."""


def steps(spec: StudySpec, trials: pd.DataFrame, verdicts: pd.DataFrame) -> Iterator[Advice]:
    """The ends of the ranges of learning rates and batch sizes at which trainings went wrong, and
    did far less often elsewhere.

    `verdicts` is `Study.diagnoses` of the complete trials, and only they are slow or stuck: of one
    that was pruned it is known that it was behind at a rung, not where it would have ended. Where
    pruning is all that is to be seen it is told, and nothing advised. Rates that diverge are told
    by `failures`. The cut is where chance is the least likely to have put as many (hypergeometric,
    times the number of cuts that are tried).
    """
    ended = trained(trials)
    ended = ended[ended["state"].isin(["COMPLETE", "PRUNED"]) & (ended["outcome"] != "diverged")]
    verdict = ended["number"].map(usual(verdicts))[ended["state"] == "COMPLETE"]
    stuck = verdict == "stuck"  # it never learned, or went uphill again
    wrong = {
        "slow": stuck | (verdict == "still improving"),
        "stuck": stuck,
        "pruned": ended["outcome"] == "pruned",
    }
    winner = costs_of(spec, ended).dropna().sort_values(kind="stable").index[:1]
    said = set[tuple[str, str]]()
    for case in CASES:
        entry = parameters(spec.space).get(case.name)
        if not _has_order(entry) or (case.name, case.end) in said:
            continue
        bad = wrong[case.wrong]
        values = ended.loc[bad.index, f"params_{case.name}"].dropna()
        bad = bad[values.index]
        cut = _cut(values.to_numpy(float), bad.to_numpy(bool), case.end)
        if cut is None or (_at(values[values.index.isin(winner)], cut, case.end)).any():
            continue
        said.add((case.name, case.end))
        yield _advice(spec, case, cut, _at(values, cut, case.end), bad)
    yield from _small_batches(spec, ended)


def _at(values: Any, cut: Any, end: str) -> Any:
    """Which values are at this end of the range."""
    return values < cut if end == "low" else values > cut


def _cut(values: np.ndarray, bad: np.ndarray, end: str) -> float | None:
    """The value beyond which trainings went wrong that far more often did not elsewhere."""
    n, n_bad = len(values), int(bad.sum())
    if n < 2 * FEW or n_bad < FEWEST:
        return None
    cuts = np.unique(np.quantile(values, np.linspace(0, 1, CUTS + 1), method="nearest"))
    at = _at(values[None, :], cuts[:, None], end)
    there, wrong = at.sum(axis=1), (at & bad).sum(axis=1)
    right_there = (there - wrong + 0.5) / (there + 1)  # as of none it cannot be said how few
    right_else = (n - there - (n_bad - wrong)) / np.maximum(1, n - there)
    chance = len(cuts) * hypergeom.sf(wrong - 1, n, n_bad, there)
    told = (there >= FEWEST) & (there <= n / 2) & (2 * wrong > there) & (chance < CHANCE)
    told &= right_else > RARER * right_there
    return float(cuts[told][chance[told].argmin()]) if told.any() else None


def _advice(
    spec: StudySpec, case: _Case, cut: float, at: "pd.Series[bool]", bad: "pd.Series[bool]"
) -> Advice:
    there, wrong = int(at.sum()), int((at & bad).sum())
    others, wrong_else = int((~at).sum()), int((~at & bad).sum())
    side = "below" if case.end == "low" else "above"
    is_pruned = case.wrong == "pruned"
    text = (
        f"{wrong} of the {there} {'' if is_pruned else 'complete '}trainings with a {case.name} "
        f"{side} {cut:.3g} {WORDS[case.wrong]}; of the {others} others {wrong_else}: "
        f"{case.meaning.format(epochs=spec.train.epochs)}."
    )
    facts = {"parameter": case.name, "end": case.end, "limit": cut, "there": there}
    facts |= {"wrong": wrong, "others": others, "wrong_others": wrong_else}
    typed = () if is_pruned else _narrowed(spec, case.name, case.end, cut)
    return Advice("steps", text, facts, typed)


def _has_order(entry: Any) -> bool:
    """Whether a key of the space is searched over numbers."""
    return not is_constant(entry) and all(isinstance(end, int | float) for end in extremes(entry))


def _narrowed(spec: StudySpec, name: str, end: str, limit: float) -> tuple[str, ...]:
    """The command that ends a range there; none for a list of choices."""
    entry = parameters(spec.space)[name]
    if not isinstance(entry, Range):
        return ()
    value = round(limit) if isinstance(entry.low, int) else limit
    edit = edit_command(spec, name, with_end(entry, end, value))
    return () if edit is None else (edit,)


def _small_batches(spec: StudySpec, ended: pd.DataFrame) -> Iterator[Advice]:
    """Small batches that take several times as long by the cost formula and are no better."""
    entry = parameters(spec.space).get("batch_size")
    costs = costs_of(spec, ended).dropna()
    if not _has_order(entry) or len(costs) < 2 * FEW:
        return
    complete = ended.loc[costs.index]
    sizes, price = complete["params_batch_size"], complete["predicted_cost"]
    cut = float(sizes.quantile(1 / 3, interpolation="nearest"))
    small = sizes <= cut
    if small.sum() < FEWEST or (~small).sum() < FEWEST:
        return
    times = float(price[small].median() / price[~small].median())
    better = mannwhitneyu(costs[small], costs[~small], alternative="less").pvalue
    if times < DEARER or better < 0.5 or small[costs.idxmin()]:
        return
    medians = [sign(spec) * float(costs[part].median()) for part in (small, ~small)]
    text = (
        f"The {small.sum()} complete trials with a batch_size up to {cut:g} take {times:.1f} times "
        f"as long as the {(~small).sum()} others, by prediction, and are no better: their median "
        f"{spec.objectives[0]} is {medians[0]:.4g}, and {medians[1]:.4g} with larger ones."
    )
    facts = {"parameter": "batch_size", "end": "low", "limit": cut, "times": times}
    facts |= {"there": int(small.sum()), "others": int((~small).sum())}
    yield Advice("steps", text, facts, _narrowed(spec, "batch_size", "low", cut))

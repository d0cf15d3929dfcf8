"""Whether the order of trials at a rung tells which are the best in the end."""

from collections.abc import Iterator
from math import atanh, ceil, sqrt, tanh

import pandas as pd
from scipy.stats import spearmanr

from sweep.advice.finding import Advice, costs_of, sign
from sweep.pruners import HALVING
from sweep.spec import StudySpec

ENOUGH = 30
"""Complete trials that a judgement takes, at least."""

ALIKE = 0.8
"""The rank correlation from which on the order at an epoch is about the final one."""

UNLIKE = 0.3
"""The rank correlation up to which it says little of the final one."""


def pruning(spec: StudySpec, trials: pd.DataFrame, epochs: pd.DataFrame) -> Iterator[Advice]:
    """Whether a pruner would have saved much, or whether the one that there is goes by an order
    that says little; `epochs` is `Study.epochs`.

    Spearman's rank correlation among complete trials between the metric at an epoch and the value
    in the end, with a 95 % interval by Fisher's transformation (Bonett & Wright 2000, eq. 4).
    A pruner leaves the best of an epoch only, among which the order says less than it did among
    all: the sentence is about those that went on.
    """
    costs = costs_of(spec, trials).dropna()
    if len(spec.objectives) > 1 or len(costs) < ENOUGH or spec.train.epochs < 9:
        return
    final = costs.set_axis(trials.loc[costs.index, "number"])
    search, last = spec.search, spec.train.epochs
    if search.pruner == "none":
        early = ceil(last / 9)
        low, found, _ = _correlation(spec, final, epochs, early)
        if low >= ALIKE:
            share = 1 - (early + (last - early) / 3) / last
            text = (
                f"After {early} of {last} epochs the order of the {len(final)} complete trials was "
                f"about the final one (rank correlation {found:.2f}, at least {low:.2f}). A pruner "
                f"that lets the best third go on from there saves {share:.0%} of the epochs. Ask "
                "it as another study: --name NEW --set 'search.pruner=\"successive_halving\"' "
                f"--set search.min_epochs={early}"
            )
            yield Advice("pruning", text, {"epoch": early, "correlation": found, "saved": share})
    elif search.pruner in HALVING and search.min_epochs < last:
        _, found, high = _correlation(spec, final, epochs, search.min_epochs)
        if high <= UNLIKE:
            later = min(last, search.min_epochs * search.reduction_factor)
            text = (
                f"Of the {len(final)} trials that went on to the end, the order after epoch "
                f"{search.min_epochs}, the first rung, says little of the final one (rank "
                f"correlation {found:.2f}, at most {high:.2f}): good ones may have been pruned "
                f"there. Ask it as another study: --name NEW --set search.min_epochs={later}"
            )
            yield Advice("pruning", text, {"epoch": search.min_epochs, "correlation": found})


def _correlation(
    spec: StudySpec, final: "pd.Series[float]", epochs: pd.DataFrame, epoch: int
) -> tuple[float, float, float]:
    """The rank correlation of the costs at an epoch and in the end, between its bounds."""
    at = epochs[(epochs["epoch"] == epoch) & epochs["trial"].isin(final.index)]
    then = sign(spec) * at.groupby("trial")["validation_metric"].mean()
    then = then.dropna()
    n = len(then)
    if n < ENOUGH or then.nunique() < 2 or final[then.index].nunique() < 2:
        return -1.0, 0.0, 1.0
    found = float(spearmanr(then, final[then.index]).statistic)
    z = atanh(min(0.9999, max(-0.9999, found)))
    reach = 1.96 * sqrt((1 + found**2 / 2) / (n - 3))
    return tanh(z - reach), found, tanh(z + reach)

"""Which parameters made no difference to the values, as far as these can tell."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import ncf

from sweep.advice.finding import Advice, costs_of, key_of, place_in
from sweep.commented import toml
from sweep.entries import Range
from sweep.importances import Basis
from sweep.space import is_constant, plain
from sweep.space import parameters as entries_of
from sweep.spec import StudySpec

WORTH = 0.1
"""The share of the spread among the ranks of the values that makes a parameter worth its search."""

DOUBT = 0.05
"""How improbable it is to see as little, if it had that share."""

PARTS = 4
"""Of a range, on its scale, that are compared."""


def parameters(
    spec: StudySpec, trials: pd.DataFrame, basis: Basis, shares: Mapping[str, float]
) -> Iterator[Advice]:
    """The parameters that decide, by themselves, about less than a tenth of the spread in the
    values' ranks, each to be fixed at the winner's value.

    One-way analysis of variance of the ranks over the choices, or the quarters of a range, as a
    test of equivalence: that a share of `WORTH` would leave as little to be seen has a probability
    of at most `DOUBT`, by the noncentral F distribution (Cohen 1988, Statistical Power Analysis,
    ch. 8). Silent where a sampler kept to one part of a range, since it may have had its reasons,
    and where the importance (`shares`) is more than an equal part. Of complete trials and of one
    objective alone: what made no difference after a few epochs may make one in the end.
    """
    known = trials[trials["number"].isin(list(basis.values))]
    if len(spec.objectives) > 1 or known.empty or not (known["state"] == "COMPLETE").all():
        return
    ranks = known["number"].map(basis.values).rank()
    searched = {n: e for n, e in entries_of(spec.space).items() if not is_constant(e)}
    keys = defaultdict[str, list[str]](list)  # the widths of all layers are one
    for name in searched:
        keys[key_of(spec, name)].append(name)
    idle = {}
    for key, names in keys.items():
        seen = [_share(searched[name], known[f"params_{name}"], ranks) for name in names]
        part = sum(shares.get(name, 0.0) for name in names)
        if None not in seen and part <= len(names) / len(searched):
            idle[key] = max(share for share in seen if share is not None)
    if not idle:
        return
    text = (
        f"{_listed(list(idle))} made no difference to be seen, {basis.text}: by itself "
        f"{'each' if len(idle) > 1 else 'it'} decides about less than {WORTH:.0%} of the spread in "
        f"their ranks ({', '.join(f'{key} {share:.1%}' for key, share in idle.items())}). To fix "
        f"{'them' if len(idle) > 1 else 'it'} leaves more trials for the others."
    )
    commands = (_fix(spec, trials, key, keys[key]) for key in idle)
    yield Advice(
        "parameters",
        text,
        {"values": len(known), "shares": idle, "below": WORTH},
        tuple(command for command in commands if command is not None),
    )


def _share(entry: Any, values: "pd.Series[Any]", ranks: "pd.Series[float]") -> float | None:
    """The share of the spread among the ranks that a parameter decides about; None unless it is
    sure to be below `WORTH`."""
    used = values.notna()
    values, ranks = values[used], ranks[used]
    if isinstance(entry, Range):
        groups = np.minimum(place_in(entry, values).clip(0, 1) * PARTS, PARTS - 1).astype(int)
    else:
        groups = values
    of_group = ranks.groupby(groups)
    sizes = of_group.size()
    k, n = len(sizes), len(ranks)
    if k < 2 or n <= 2 * k or sizes.min() < n / (3 * k):
        return None
    total = float(((ranks - ranks.mean()) ** 2).sum())
    between = float((sizes * (of_group.mean() - ranks.mean()) ** 2).sum())
    if not 0 <= between < total:
        return None
    f = (between / (k - 1)) / ((total - between) / (n - k))
    improbable = ncf.cdf(f, k - 1, n - k, n * WORTH / (1 - WORTH)) <= DOUBT
    return between / total if improbable else None


def _fix(spec: StudySpec, trials: pd.DataFrame, key: str, names: Sequence[str]) -> str | None:
    """The command that gives a key the value of the best trial that has one."""
    order = costs_of(spec, trials).dropna().sort_values(kind="stable").index
    best = trials.loc[order, [f"params_{name}" for name in names]].stack()
    if best.empty:
        return None
    return f"sweep edit {spec.name} {quote(f'{key}={toml(plain(best.iloc[0]))}')}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

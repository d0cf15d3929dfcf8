"""Why trials failed or diverged."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import hypergeom

from sweep.advice.finding import Advice, costs_of, edit_command, trained, with_end
from sweep.entries import Range
from sweep.errors import gist
from sweep.space import is_constant, parameters
from sweep.spec import StudySpec

MANY = 0.1
"""The share of trials that diverge from which on something is to be done: a few teach the sampler
where not to go, and cost little."""

CHANCE = 0.001
"""How improbable it is that as many of those that diverged are above a rate."""

APART = 0.3
"""By which the shares of those that diverged and of the others above a rate differ, at least."""

CAUSES = {
    "diverged": "diverged: their loss or metric was no longer finite",
    "error": "ended in an error",
    "timeout": "took longer than train.time_limit, {time_limit:g} seconds; raise it, or search "
    "smaller networks or fewer epochs",
    "out_of_memory": "ran out of memory{memory_limit}; search smaller networks or batches, set "
    "search.max_parameters, or use machines with more memory",
    "worker_lost": "lost their worker three times; its machine may have gone, or run out of "
    "memory: sweep show {name} --ledger and the trials' column error say more",
    "killed": "were ended by sweep kill",
}
"""What the outcomes mean that are not as they should be, and what to do."""


def failures(spec: StudySpec, trials: pd.DataFrame) -> Iterator[Advice]:
    """How many trials failed or diverged of each cause, and what to do about it."""
    ended = trained(trials)
    memory = spec.train.memory_limit
    known = {
        "name": spec.name,
        "time_limit": spec.train.time_limit or 0,
        "memory_limit": "" if memory is None else f" (train.memory_limit = {memory:g} megabytes)",
    }
    for outcome, count in ended["outcome"].value_counts().items():
        if (cause := CAUSES.get(str(outcome))) is not None:
            text = f"{count} of {len(ended)} trials {cause.format(**known)}"
            facts = {"outcome": str(outcome), "count": int(count), "trials": len(ended)}
            more = FURTHER.get(str(outcome), _no_more)
            yield more(spec, ended, Advice("failures", text, facts))


def _no_more(spec: StudySpec, ended: pd.DataFrame, said: Advice) -> Advice:
    return Advice(said.about, f"{said.text}.", said.facts)


def _diverged(spec: StudySpec, ended: pd.DataFrame, said: Advice) -> Advice:
    """Which learning rates are too large, if that is it."""
    unknown = Advice(said.about, f"{said.text}; clip_norm, or norm, may help.", said.facts)
    entry = parameters(spec.space).get("learning_rate")
    if not isinstance(entry, Range) or is_constant(entry):
        return unknown
    rates, gone = ended["params_learning_rate"], ended["outcome"] == "diverged"
    bad, fine = rates[gone].dropna(), rates[~gone].dropna()
    if bad.empty or fine.empty:
        return unknown
    # Above which most of those that diverged are, and the fewest of the others.
    cuts = np.unique(np.concatenate([bad, fine]))
    gain = _share_above(bad, cuts) - _share_above(fine, cuts)
    limit = cuts[gain.argmax()]
    above, fine_above = int((bad > limit).sum()), int((fine > limit).sum())
    chance = hypergeom.sf(above - 1, len(bad) + len(fine), len(bad), above + fine_above)
    if gain.max() < APART or chance >= CHANCE:
        return unknown
    facts = {**said.facts, "learning_rate": float(limit), "above": above}
    facts |= {"others": len(fine), "others_above": fine_above}
    text = (
        f"{said.text}. {'All' if above == len(bad) else above} of them had a learning_rate above "
        f"{limit:.3g}, and {fine_above} of the {len(fine)} others"
    )
    worth = len(bad) >= MANY * len(ended) and above > len(bad) / 2 > fine_above
    best = costs_of(spec, ended).dropna().sort_values(kind="stable").index[:1]
    worth = worth and bool((rates[best] <= limit).all())
    edit = edit_command(spec, "learning_rate", with_end(entry, "high", limit)) if worth else None
    if edit is None:
        return Advice(said.about, f"{text}.", facts)
    return Advice(said.about, f"{text}: a range that ends there saves them.", facts, (edit,))


def _share_above(values: "pd.Series[float]", cuts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of the values above each cut."""
    return 1 - np.searchsorted(np.sort(values), cuts, side="right") / len(values)


def _errors(spec: StudySpec, ended: pd.DataFrame, said: Advice) -> Advice:
    """The error that most of them ended in."""
    told = ended.loc[ended["outcome"] == "error", "error"].fillna("").map(gist)
    (common, times), *_ = told.value_counts().items()
    facts = {**said.facts, "error": str(common), "times": int(times)}
    return Advice(said.about, f"{said.text}, {times} of them in: {common}", facts)


FURTHER: dict[str, Any] = {"diverged": _diverged, "error": _errors}
"""What more there is to be said of an outcome."""

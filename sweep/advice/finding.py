"""What a judgement is, and what it is taken from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from shlex import quote
from typing import Any

import numpy as np
import pandas as pd

from sweep.draws import grid
from sweep.entries import Range
from sweep.errors import StudyFileError, UsageError
from sweep.overview import REFUSED
from sweep.question import edited
from sweep.spec import StudySpec, cost_sign

FEW = 10
"""Complete trials below which nothing is said about more of them or other ranges."""


@dataclass(frozen=True, slots=True)
class Advice:
    """A judgement of a study, and what to do about it."""

    about: str
    """`budget`, `range`, `parameters`, `steps`, `length`, `pruning`, `noise` or `failures`."""
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    """The numbers in the text, by name."""
    commands: tuple[str, ...] = ()
    """To type one after the other."""

    def record(self) -> dict[str, Any]:
        """The same in JSON values."""
        facts, commands = dict(self.facts), list(self.commands)
        return {"about": self.about, "text": self.text, "facts": facts, "commands": commands}


def trained(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that ended and were trained, in the order in which they ended."""
    ended = trials[trials["datetime_complete"].notna() & ~trials["outcome"].isin(REFUSED)]
    return ended.sort_values(["datetime_complete", "number"])


def usual(verdicts: pd.DataFrame) -> "pd.Series[Any]":
    """The verdict that most trainings of a trial have, of equally many the first by name, by the
    number of the trial; `verdicts` is `Study.diagnoses`."""
    counts = verdicts.groupby(["trial", "verdict"]).size()
    most = counts.sort_values(ascending=False, kind="stable").reset_index()
    return most.drop_duplicates("trial").set_index("trial")["verdict"]


def sign(spec: StudySpec) -> float:
    """By which the first objective is a cost: less is better."""
    return cost_sign(spec.objectives[0])


def costs_of(spec: StudySpec, trials: pd.DataFrame) -> "pd.Series[float]":
    """The first objective of complete trials within the constraints as a cost; else NaN."""
    objective = spec.objectives[0]
    column = f"values_{objective}" if len(spec.objectives) > 1 else "value"
    fit = trials["state"] == "COMPLETE"
    for name in spec.search.constraints:
        fit &= ~(trials[f"violation_{name}"] > 0)
    return (sign(spec) * trials[column]).where(fit & trials[column].abs().lt(inf))


def is_exhausted(spec: StudySpec, trials: pd.DataFrame, spent: str | None = None) -> bool:
    """Whether a complete study has tried all the points of its grid."""
    if spec.search.sampler != "grid" or spent is not None:
        return False
    count = len(trained(trials))
    return count < spec.search.trials or count >= len(grid(spec.space, spec.search.seed))


def go_on(spec: StudySpec, state: str, spent: str | None = None) -> tuple[str, ...]:
    """The commands that let a study in this state go on: for half as long again if it is complete,
    where `spent` is the key of the budget that ended it."""
    limit = (spent or "search.trials").removeprefix("search.")
    if state in ("running", "paused") or limit == "flops":  # which cannot be extended
        return ()
    resume = f"sweep resume {spec.name}"
    if state == "stopped":
        return (resume,)
    more = max(1, round(getattr(spec.search, limit) / 2))
    return f"sweep extend {spec.name} --{limit.replace('_', '-')} {more}", resume


def edit_command(spec: StudySpec, key: str, entry: Any) -> str | None:
    """The command that gives a key of the space this range; None if it cannot have it."""
    change = entry.model_dump(exclude_defaults=True)
    try:
        if edited(spec, {key: change}) == spec:
            return None
    except (UsageError, StudyFileError):
        return None
    texts = (f"{name} = {'true' if v is True else repr(v)}" for name, v in change.items())
    setting = f"{key}={{ {', '.join(texts)} }}"
    return f"sweep edit {spec.name} {quote(setting)}"


def with_end(entry: Range[Any], end: str, value: float) -> Range[Any]:
    """The range with another end, to three digits where it is of real numbers."""
    value = value if isinstance(entry.low, int) else float(f"{value:.3g}")
    return entry.model_copy(update={end: value})


def key_of(spec: StudySpec, name: str) -> str:
    """The key of the study file that a parameter belongs to."""
    is_width = name.startswith("neurons_") and not isinstance(spec.space, Mapping)
    return "neurons" if is_width else name


def place_in(entry: Range[Any], values: "pd.Series[Any]") -> "pd.Series[float]":
    """Where values are in a range on its scale: 0 at its low end, 1 at its high one."""
    scale = np.log if entry.log else np.asarray
    low, high = (float(scale(float(end))) for end in (entry.low, entry.high))
    return (scale(values.astype("float64")) - low) / (high - low)

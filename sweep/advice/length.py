"""Whether the best trainings were long enough, or too long."""

from collections.abc import Iterator

import pandas as pd

from sweep.advice.finding import FEW, Advice, costs_of, usual
from sweep.entries import extremes
from sweep.space import parameters
from sweep.spec import StudySpec

BEST = 5
"""The complete trials that are looked at: the winner, and those next to it."""

AGAINST_OVERFITTING = ("dropout", "input_dropout", "l2", "weight_decay", "max_norm")
"""Parameters that help; which of them a study searches is its own affair."""


def length(spec: StudySpec, trials: pd.DataFrame, verdicts: pd.DataFrame) -> Iterator[Advice]:
    """Whether the winner and most of those next to it were still improving at their last epoch, or
    overfitted; `verdicts` is `Study.diagnoses` of the complete trials.

    A trial of several trainings has the verdict that most of these have.
    """
    costs = costs_of(spec, trials.sort_values("number")).dropna()
    if len(costs) < FEW:
        return
    best = trials.loc[costs.sort_values(kind="stable").index[:BEST], "number"]
    found = best.map(usual(verdicts))
    winner, epochs = int(best.iloc[0]), spec.train.epochs
    verdict = found.iloc[0]
    count = int((found == verdict).sum())
    if verdict not in ("still improving", "overfitting") or 2 * count <= len(best):
        return
    facts = {"trial": winner, "verdict": verdict, "there": count, "best": len(best)}
    head = f"The winner, trial {winner}, and {count - 1} of the {len(best) - 1} next to it"
    if verdict == "still improving":
        text = (
            f"{head} were still improving after {epochs} epochs: longer trainings may be better. "
            f"Ask it as another study: --name NEW --set train.epochs={2 * epochs}"
        )
        yield Advice("length", text, facts | {"epochs": epochs})
        return
    entries = parameters(spec.space)
    if any(_ends(entries.get("patience"))):
        return  # the best epoch counts, and not the last one
    used = [n for n in AGAINST_OVERFITTING if any(end for end in _ends(entries.get(n)))]
    more = f" {', '.join(used)}: more of it" if used else " patience, dropout or weight_decay"
    text = (
        f"{head} overfitted: their validation loss rose while their training loss still fell. Try"
        f"{more}, smaller networks, or fewer epochs than {epochs}."
    )
    yield Advice("length", text, facts | {"epochs": epochs, "used": used})


def _ends(entry: object) -> tuple[object, ...]:
    """The least and the greatest value, or the choices; none of what the study does not have."""
    return () if entry is None else tuple(extremes(entry))

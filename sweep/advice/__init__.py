"""What a study's tables say about its question: whether more trials would help, whether the best
lies beyond a range, what made no difference, how trainings went, why trials failed. Pure functions;
each sentence with its numbers."""

from collections.abc import Iterable, Mapping

import pandas as pd

from sweep.advice.budget import budget
from sweep.advice.failures import failures
from sweep.advice.finding import Advice, go_on
from sweep.advice.length import length
from sweep.advice.luck import luck
from sweep.advice.parameters import parameters
from sweep.advice.pruning import pruning
from sweep.advice.ranges import ranges
from sweep.advice.steps import steps
from sweep.importances import Basis
from sweep.noise import Noise
from sweep.spec import StudySpec

__all__ = [
    "Advice",
    "advice",
    "budget",
    "commands",
    "failures",
    "go_on",
    "length",
    "luck",
    "parameters",
    "pruning",
    "ranges",
    "steps",
]


def advice(
    spec: StudySpec,
    trials: pd.DataFrame,
    state: str = "complete",
    spent: str | None = None,
    *,
    epochs: pd.DataFrame | None = None,
    verdicts: pd.DataFrame | None = None,
    basis: Basis | None = None,
    shares: Mapping[str, float] | None = None,
    noise: Noise | None = None,
    leader: int | None = None,
    confirmed: int | None = None,
) -> list[Advice]:
    """All that is to be said of a study with this question and `Study.trials`.

    `spec` has the space as it was edited last, `state` is the study's, `spent` the key of the
    budget that ended it before all its trials had begun. `epochs` is `Study.epochs`, `verdicts`
    `Study.diagnoses` of the complete trials, `basis` and `shares` what `importances` are of, and
    they themselves, `noise` is `Study.noise()`, `leader` the best trial and `confirmed` the one
    that is the best of those that were trained again: what is not given is not judged by.
    """
    found = [*budget(spec, trials, spent, noise)] if state == "complete" else []
    found += ranges(spec, trials, state)
    if basis is not None:
        found += parameters(spec, trials, basis, shares or {})
    if verdicts is not None:
        found += steps(spec, trials, verdicts)
        found += length(spec, trials, verdicts)
    if epochs is not None:
        found += pruning(spec, trials, epochs)
    if noise is not None:
        found += luck(spec, noise, leader=leader, confirmed=confirmed)
    return [*found, *failures(spec, trials)]


def commands(found: Iterable[Advice]) -> list[str]:
    """What to type for all that is advised: one edit of a key, the first, then what goes on."""
    edits, rest = dict[str, str](), dict[str, None]()
    for command in (command for each in found for command in each.commands):
        if command.startswith("sweep edit "):
            edits.setdefault(command.partition("=")[0], command)
        else:
            rest[command] = None
    return [*edits.values(), *rest]

"""What a study's tables say about its question: whether more trials would help, whether the best
lies beyond a range, why trials failed. Pure functions; each sentence with its numbers."""

from collections.abc import Iterable

import pandas as pd

from sweep.advice.budget import budget
from sweep.advice.failures import failures
from sweep.advice.finding import Advice, go_on
from sweep.advice.ranges import ranges
from sweep.spec import StudySpec

__all__ = ["Advice", "advice", "budget", "commands", "failures", "go_on", "ranges"]


def advice(
    spec: StudySpec, trials: pd.DataFrame, state: str = "complete", spent: str | None = None
) -> list[Advice]:
    """All that is to be said of a study with this question and `Study.trials`.

    `spec` has the space as it was edited last, `state` is the study's, `spent` the key of the
    budget that ended it before all its trials had begun.
    """
    found = budget(spec, trials, spent) if state == "complete" else ()
    return [*found, *ranges(spec, trials, state), *failures(spec, trials)]


def commands(found: Iterable[Advice]) -> list[str]:
    """What to type for all that is advised: one edit of a key, the first, then what goes on."""
    edits, rest = dict[str, str](), dict[str, None]()
    for command in (command for each in found for command in each.commands):
        if command.startswith("sweep edit "):
            edits.setdefault(command.partition("=")[0], command)
        else:
            rest[command] = None
    return [*edits.values(), *rest]

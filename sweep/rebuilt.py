"""A study in Optuna's terms, rebuilt from its record."""

import copy
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from sweep.space import actives, distributions, widened
from sweep.spec import Direction, StudySpec
from sweep.store import Row

STATES = {
    "running": "RUNNING",
    "paused": "RUNNING",
    "complete": "COMPLETE",
    "pruned": "PRUNED",
    "failed": "FAIL",
}
"""Our trial states and Optuna's names for them, which the tables use."""

Measured = tuple[TrialState, list[float] | None, dict[int, float]]
"""The state of a trial, its values, and its intermediate values by epoch."""


class _Trial(FrozenTrial):
    """A trial whose copies share its distributions, which nothing changes.

    Optuna copies a trial each time that it hands one out; of 10,000 trials the copies of their
    distributions alone take seconds.
    """

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Trial":
        copied = copy.copy(self)
        copied.values, copied.params = self.values, dict(self.params)
        copied.distributions = dict(self.distributions)
        copied.intermediate_values = dict(self.intermediate_values)
        copied.user_attrs = dict(self.user_attrs)
        copied.system_attrs = dict(self.system_attrs)
        return copied


def rebuilt(
    spec: StudySpec,
    directions: Sequence[Direction],
    rows: Sequence[Row],
    measured: Sequence[Measured],
) -> optuna.Study:
    """The study with these trials; parameters that a trial did not use are left out, and times are
    this machine's, without a zone, as Optuna has them."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name=spec.name, directions=[*directions])
    study.add_trials(_trials(spec, rows, measured))
    return study


def _trials(
    spec: StudySpec, rows: Sequence[Row], measured: Sequence[Measured]
) -> Iterator[FrozenTrial]:
    proposed = [row["params"] for row in rows]
    known = widened(distributions(spec.space), proposed)
    for row, params, (state, values, curve) in zip(
        rows, actives(spec.space, proposed), measured, strict=True
    ):
        yield _Trial(
            number=row["number"],
            state=state,
            value=None,
            values=values,
            datetime_start=_local(row["datetime_start"]),
            datetime_complete=_local(row["datetime_complete"]),
            params=params,
            distributions={name: known[name] for name in params},
            user_attrs={"outcome": row["outcome"]},
            system_attrs={},
            intermediate_values=curve,
            trial_id=row["number"],
        )


def _local(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone().replace(tzinfo=None)

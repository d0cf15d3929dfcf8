"""A study as its record has it: pandas tables, and the study in Optuna's terms."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import optuna
import pandas as pd
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweep import fingerprint, studyfile, tables
from sweep.diagnoses import diagnoses
from sweep.errors import UsageError
from sweep.importances import basis, importances
from sweep.ledger import Ledger, ledger
from sweep.overview import complete, counts_of, place, spent_budget, state_of
from sweep.question import edited
from sweep.space import active, distributions, widened
from sweep.spec import StudySpec, direction
from sweep.store import Location, Row, Store


class Recorded:
    """A study as the store has it now; each property reads it anew, also while it runs."""

    def __init__(self, name: str, place: Location) -> None:
        self.name = name
        self.place = place
        with self._store() as store:
            self.spec: StudySpec = studyfile.from_json(store.study(name)["spec"])

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {state}" for state, n in self.counts.items())
        return f"<Study {self.name!r}: {self.state}; trials: {counts or 'none'}>"

    @property
    def state(self) -> str:
        """`running`, `paused`, `stopped` (also by a crash), `complete` or `failed`."""
        return state_of(self._row())

    @property
    def files(self) -> dict[str, str]:
        """What it is made of, and where: nothing may be written there."""
        return {"the study's data": self.spec.data.source, "the store": str(self.place)}

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Whether the first objective is to `maximize` or to `minimize`."""
        return direction(self.spec.objectives[0])

    @property
    def data_fingerprint(self) -> str:
        """SHA-256 of the rows that it began with."""
        return str(self._row()["data_fingerprint"])

    @property
    def counts(self) -> dict[str, int]:
        """How many trials are in each state."""
        return counts_of(self._trial_rows())

    @property
    def budget(self) -> str | None:
        """The key of the budget that ended the study before all its trials had begun, if one did:
        search.wall_time, search.cpu_time or search.flops."""
        with self._store() as store:
            study = store.study(self.name)["id"]
            return spent_budget(self.spec, store.outcomes(study), store.closings(study))

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial: the columns of Optuna's `trials_dataframe`, then ours. Times in UTC."""
        return tables.trials(self.spec, self._trial_rows())

    @property
    def epochs(self) -> pd.DataFrame:
        """One row for each trial, replicate and epoch: the learning curves."""
        return self.curves()

    def curves(self, trials: Sequence[int] | None = None) -> pd.DataFrame:
        """The learning curves of these trials, which are read without the others', or of all."""
        return tables.epochs(self._curves(trials)[1])

    @property
    def diagnoses(self) -> pd.DataFrame:
        """One row for each trial and replicate: `converged`, `still improving`, `diverged`,
        `overfitting` or `stuck`, why, what to do, and the numbers that say so.

        From the recorded epochs alone, by the rules of `trainer.diagnosis`. UsageError for a study
        with a trainer of its own.
        """
        if self.spec.train.function is not None:
            raise UsageError(
                f"study {self.name!r} trains with {self.spec.train.function}, of whose losses "
                "nothing is known: there is no verdict; its learning curves are in study.epochs"
            )
        return tables.diagnoses(list(diagnoses(self.spec, *self._curves())))

    @property
    def attempts(self) -> pd.DataFrame:
        """One row for each time that a segment was sent out, whatever came of it."""
        with self._store() as store:
            return tables.attempts(store.attempts(store.study(self.name)["id"]))

    @property
    def events(self) -> pd.DataFrame:
        """What was decided and what users asked for, in order."""
        with self._store() as store:
            return tables.events(store.events(store.study(self.name)["id"]))

    @property
    def ledger(self) -> Ledger:
        """Where the time went."""
        with self._store() as store:
            study = store.study(self.name)["id"]
            attempts = tables.attempts(store.attempts(study))
            events = tables.events(store.events(study))
            return ledger(store.trials(study), attempts, events, store.sessions(study))

    @property
    def platforms(self) -> list[dict[str, Any]]:
        """What decides about the last bits, of each kind of machine that trained."""
        with self._store() as store:
            study = store.study(self.name)["id"]
            return [row["description"] for row in store.platforms(study)]

    @property
    def pareto(self) -> pd.DataFrame:
        """The trials that no other beats in every objective."""
        return tables.trials(self.spec, tables.pareto(self.spec, self._trial_rows()))

    @property
    def optuna_study(self) -> optuna.Study:
        """The study as Optuna has it, for `optuna.visualization`; parameters that a trial did not
        use are left out."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        directions = [direction(name) for name in self.spec.objectives]
        study = optuna.create_study(study_name=self.name, directions=directions)
        epochs = self.epochs.dropna(subset="validation_metric")
        curves: dict[int, dict[int, float]] = defaultdict(dict)
        columns = (epochs[name] for name in ("trial", "epoch", "validation_metric"))
        for trial, epoch, value in zip(*columns, strict=True):
            curves[trial][epoch] = value
        rows = self._trial_rows()
        known = widened(distributions(self.spec.space), (row["params"] for row in rows))
        study.add_trials(_frozen_trial(self.spec, row, known, curves) for row in rows)
        return study

    @property
    def importances(self) -> dict[str, float]:
        """How much each parameter mattered, together 1, the greatest first; `importances_basis`
        says to which values, and why if it is empty."""
        return importances(self.spec, *self._curves())

    @property
    def importances_basis(self) -> str:
        """What `importances` are computed from, in words, or why there are none."""
        trials, epochs = self._curves()
        found = basis(self.spec, trials, epochs)
        if found.values and not importances(self.spec, trials, epochs):
            return f"no parameter made a difference {found.text}"
        return found.text

    def _edited(self) -> StudySpec:
        """The question with the space as it was edited last."""
        spec = self.spec
        with self._store() as store:
            for row in store.events(store.study(self.name)["id"]):
                if row["event"] == "edit":
                    spec = edited(spec, row["detail"]["changes"])
        return spec

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the deterministic columns of all trials and epochs."""
        with self._store() as store:
            study = store.study(self.name)["id"]
            return fingerprint.fingerprint(store.trials(study), store.epochs(study))

    def _curves(self, trials: Sequence[int] | None = None) -> tuple[list[Row], list[Row]]:
        """All trials, and the epochs of these, or of all, that have been decided about."""
        with self._store() as store:
            study = store.study(self.name)["id"]
            rows = store.epochs(study, trials)
            found = store.trials(study)  # after them, so that none is missing while the study runs
        decided = {row["number"]: row["epochs"] for row in found}
        return found, [row for row in rows if row["epoch"] <= decided[row["trial"]]]

    def _store(self) -> Store:
        return Store(self.place, read_only=True)

    def _row(self) -> Row:
        with self._store() as store:
            return store.study(self.name)

    def _trial_rows(self) -> list[Row]:
        with self._store() as store:
            return store.trials(store.study(self.name)["id"])

    @property
    def leader(self) -> int | None:
        """The number of the best complete trial so far; None if there is none."""
        row = self._leading_row()
        return None if row is None else int(row["number"])

    def _leading_row(self) -> Row | None:
        found = complete(self._trial_rows())
        return min(found, key=lambda row: place(self.spec, row), default=None)


def _frozen_trial(
    spec: StudySpec,
    row: Row,
    known: dict[str, BaseDistribution],
    curves: Mapping[int, dict[int, float]],
) -> FrozenTrial:
    params = active(spec.space, row["params"])
    return create_trial(
        state=TrialState[tables.STATES[row["state"]]],
        values=_values(row),
        params=params,
        distributions={name: known[name] for name in params},
        intermediate_values=curves.get(row["number"], {}),
        user_attrs={"outcome": row["outcome"]},
    )


def _values(row: Row) -> list[float] | None:
    if row["state"] not in ("complete", "pruned") or row["value"] is None:
        return None
    return row["values"] or [row["value"]]

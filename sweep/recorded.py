"""A study as its record has it: pandas tables, and the study in Optuna's terms."""

import copy
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from pathlib import Path
from typing import Any, Self, TypeVar

import optuna
import pandas as pd
from optuna.trial import TrialState

from sweep import fingerprint, studyfile, tables
from sweep.diagnoses import diagnoses
from sweep.errors import UsageError
from sweep.importances import ENOUGH, basis, importances
from sweep.ledger import Ledger, ledger
from sweep.overview import complete, counts_of, diverged_of, place, spent_budget, state_of, told
from sweep.question import edited
from sweep.rebuilt import STATES, rebuilt
from sweep.spec import Direction, StudySpec, direction
from sweep.store import Location, Row, Store

R = TypeVar("R", bound="Recorded")
T = TypeVar("T")


def once(read: Callable[[R], T]) -> Callable[[R], T]:
    """What a study that is `read_once` reads or computes the first time only."""

    @wraps(read)
    def recall(self: R) -> T:
        if self._known is None:
            return read(self)
        if read not in self._known:
            self._known[read] = read(self)
        known: T = self._known[read]
        return known

    return recall


class Recorded:
    """A study as the store has it now; each property reads it anew, also while it runs."""

    def __init__(self, name: str, place: Location) -> None:
        self.name = name
        self.place = place
        self._known: dict[Any, Any] | None = None
        self._live: Recorded | None = None  # who closes the record of an export at the end
        # That of an exported study is read once: nothing changes it.
        self._kept = Store(place, read_only=True) if place.is_export else None
        if self._kept is not None:
            weakref.finalize(self, self._kept.close)
        with self._store() as store:
            self.spec: StudySpec = studyfile.from_json(store.study(name)["spec"])

    def __repr__(self) -> str:
        return f"<Study {self.name!r}: {self.state}; trials: {self.counted or 'none'}>"

    def read_once(self) -> Self:
        """The same study for who asks for much at one time, as a report does: what is asked for
        again is as it was the first time, and its tables are not to be changed."""
        if self._known is not None:
            return self
        found = copy.copy(self)
        found._known, found._live = {}, self
        return found

    @property
    def state(self) -> str:
        """`running`, `paused`, `stopped` (also by a crash), `complete` or `failed`."""
        return state_of(self._row())

    @property
    def files(self) -> dict[str, str]:
        """What it is made of, and where: nothing may be written there."""
        return {"the study's data": self.spec.data.source, "the store": str(self.place)}

    @property
    def direction(self) -> Direction:
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
    def counted(self) -> str:
        """The `counts` in words, and how many of the pruned diverged."""
        rows = self._trial_rows()
        return told(counts_of(rows), diverged_of(rows), self.state)

    @property
    @once
    def budget(self) -> str | None:
        """The key of the budget that ended the study before all its trials had begun, if one did:
        search.wall_time, search.cpu_time or search.flops."""
        with self._store() as store:
            closings = store.closings(store.study(self.name)["id"])
        return spent_budget(self.spec, self._trial_rows(), closings)

    @property
    @once
    def trials(self) -> pd.DataFrame:
        """One row a trial: the columns of Optuna's `trials_dataframe`, then ours. Times in UTC."""
        return tables.trials(self.spec, self._trial_rows())

    @property
    @once
    def epochs(self) -> pd.DataFrame:
        """One row for each trial, replicate and epoch: the learning curves."""
        return self._epochs()

    def curves(self, trials: Sequence[int] | None = None) -> pd.DataFrame:
        """The learning curves of these trials, which are read without the others', or of all."""
        return self.epochs if trials is None else self._epochs(trials)

    def _epochs(self, trials: Sequence[int] | None = None) -> pd.DataFrame:
        known = None if self._known is None else self._trial_rows()
        with self._store() as store:
            study = store.study(self.name)["id"]
            columns = store.columns("epochs", study, list(tables.EPOCHS), trials)
            if known is None:
                found = store.columns("trials", study, ["number", "epochs"])  # see _curves
            else:  # epochs that came after them do not count
                found = {name: [row[name] for row in known] for name in ("number", "epochs")}
        epochs, decided = tables.epochs(columns), pd.Series(found["epochs"], found["number"])
        kept = epochs["epoch"] <= epochs["trial"].map(decided)
        return epochs if kept.all() else epochs[kept].reset_index(drop=True)

    @property
    @once
    def diagnoses(self) -> pd.DataFrame:
        """One row for each trial and replicate: `converged`, `still improving`, `diverged`,
        `overfitting` or `stuck`, why, what to do, and the numbers that say so.

        From the recorded epochs alone, by the rules of `trainer.diagnosis`. UsageError for a study
        with a trainer of its own.
        """
        return self.verdicts()

    def verdicts(self, trials: Sequence[int] | None = None) -> pd.DataFrame:
        """The rows of `diagnoses` for these trials, whose curves are read without the others'."""
        if self.spec.train.function is not None:
            raise UsageError(
                f"study {self.name!r} trains with {self.spec.train.function}, of whose losses "
                "nothing is known: there is no verdict; its learning curves are in study.epochs"
            )
        epochs = self.curves(trials)
        columns = {str(name): epochs[name].to_numpy() for name in epochs}
        return tables.diagnoses(list(diagnoses(self.spec, self._trial_rows(), columns)))

    @property
    @once
    def attempts(self) -> pd.DataFrame:
        """One row for each time that a segment was sent out, whatever came of it."""
        with self._store() as store:
            return self._attempts(store)

    @property
    def segments(self) -> pd.DataFrame:
        """One row for each segment that came back: the attempt that counted, how many it took, and
        what was decided about the trial at its end."""
        with self._store() as store:
            events = self._events(store)  # before the attempts that they are about: see _curves
            return tables.segments(self.spec, self._attempts(store), events)

    @property
    @once
    def events(self) -> pd.DataFrame:
        """What was decided and what users asked for, in order."""
        with self._store() as store:
            return self._events(store)

    @property
    def failures(self) -> pd.DataFrame:
        """The trials that failed or diverged, with the cause and the gist of the error."""
        return tables.failures(self.trials)

    @property
    @once
    def ledger(self) -> Ledger:
        """Where the time went."""
        with self._store() as store:
            study = store.study(self.name)["id"]
            attempts, events = self._attempts(store), self._events(store)
            names = ["number", "asking", "predicted_cost", "epochs"]
            trials, sessions = store.columns("trials", study, names), store.sessions(study)
            return ledger(trials, attempts, events, sessions, self.spec.train.epochs)

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

    def top(self, n: int = 10) -> pd.DataFrame:
        """The best complete trials, the best first: fewer broken constraints, then the first
        objective, then the number. UsageError unless `n` is at least 1."""
        if n < 1:
            raise UsageError(f"top({n}): give how many trials, at least 1")
        return tables.trials(self.spec, tables.ranked(self.spec, self._trial_rows())[:n])

    def to_parquet(self, folder: str | Path) -> None:
        """Write the whole record and the model files of the study into a folder of its own, which
        `sweep.load(folder)` reads without the database; docs/results.md says what is in it.

        It is there whole or not at all, and takes the place of an earlier one; UsageError if
        something else is there.
        """
        with self._store() as store:
            store.export(self.name, Path(folder))

    @property
    def optuna_study(self) -> optuna.Study:
        """The study as Optuna has it, for `optuna.visualization`; parameters that a trial did not
        use are left out."""
        curves: dict[int, dict[int, float]] = defaultdict(dict)
        for trial, epoch, value in self._metrics():
            curves[trial][epoch] = value
        rows = self._trial_rows()
        states = (TrialState[STATES[row["state"]]] for row in rows)
        measured = [
            (state, _values(row), curves[row["number"]])
            for state, row in zip(states, rows, strict=True)
        ]
        return rebuilt(self.spec, [direction(n) for n in self.spec.objectives], rows, measured)

    @property
    @once
    def importances(self) -> dict[str, float]:
        """How much each parameter mattered, together 1, the greatest first; `importances_basis`
        says to which values, and why if it is empty."""
        return importances(self.spec, *self._measured())

    @property
    def importances_basis(self) -> str:
        """What `importances` are computed from, in words, or why there are none."""
        trials, epochs = self._measured()
        found = basis(self.spec, trials, epochs)
        if found.values and not importances(self.spec, trials, epochs):
            return f"no parameter made a difference {found.text}"
        return found.text

    @once
    def _edited(self) -> StudySpec:
        """The question with the space as it was edited last."""
        spec = self.spec
        with self._store() as store:
            for row in store.events(store.study(self.name)["id"], "edit"):
                spec = edited(spec, row["detail"]["changes"])
        return spec

    @property
    @once
    def fingerprint(self) -> str:
        """SHA-256 over the deterministic columns of all trials and epochs."""
        epochs = self.epochs
        return fingerprint.fingerprint(
            self._trial_rows(), {name: tables.plain(epochs[name]) for name in fingerprint.EPOCHS}
        )

    def _curves(self, trials: Sequence[int] | None = None) -> tuple[list[Row], list[Row]]:
        """All trials, and the epochs of these, or of all, that have been decided about."""
        with self._store() as store:
            study = store.study(self.name)["id"]
            rows = store.epochs(study, trials)
            found = store.trials(study)  # after them, so that none is missing while the study runs
        decided = {row["number"]: row["epochs"] for row in found}
        return found, [row for row in rows if row["epoch"] <= decided[row["trial"]]]

    @once
    def _measured(self) -> tuple[list[Row], list[Row]]:
        """All trials and, where too few of them are complete, the learning curves."""
        trials = self._trial_rows()
        return (trials, []) if len(complete(trials)) >= ENOUGH else self._curves()

    def _metrics(self) -> Iterator[tuple[int, int, float]]:
        """The trial, the epoch and the metric of all epochs that have one."""
        epochs = self.epochs.dropna(subset="validation_metric")
        columns = (epochs[name].tolist() for name in ("trial", "epoch", "validation_metric"))
        return zip(*columns, strict=True)

    def _attempts(self, store: Store) -> pd.DataFrame:
        study = store.study(self.name)["id"]
        return tables.attempts(store.columns("attempts", study, list(tables.ATTEMPTS)))

    def _events(self, store: Store) -> pd.DataFrame:
        study = store.study(self.name)["id"]
        return tables.events(store.columns("events", study, list(tables.EVENTS)))

    def _store(self) -> AbstractContextManager[Store]:
        kept = self._kept
        return Store(self.place, read_only=True) if kept is None else nullcontext(kept)

    @once
    def _row(self) -> Row:
        with self._store() as store:
            return store.study(self.name)

    @once
    def _trial_rows(self) -> list[Row]:
        with self._store() as store:
            return store.trials(store.study(self.name)["id"])

    @property
    def leader(self) -> int | None:
        """The number of the best complete trial so far; None if there is none."""
        row = self._leading_row()
        return None if row is None else int(row["number"])

    @once
    def _leading_row(self) -> Row | None:
        found = complete(self._trial_rows())
        return min(found, key=lambda row: place(self.spec, row), default=None)


def _values(row: Row) -> list[float] | None:
    if row["state"] not in ("complete", "pruned") or row["value"] is None:
        return None
    return row["values"] or [row["value"]]

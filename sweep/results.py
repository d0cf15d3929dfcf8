"""A study's results: its record as tables, its winner, its advice."""

import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sweep import tables
from sweep.advice import Advice, advice
from sweep.backends.portable import is_portable
from sweep.backends.starting import check, start
from sweep.card import card
from sweep.confirmation import Confirmation, confirmations
from sweep.confirming import Began, confirm
from sweep.errors import StudyNotFound, SweepError, UsageError
from sweep.importances import basis
from sweep.leaders import key_of
from sweep.model import model_file
from sweep.noise import Noise, noise
from sweep.overview import Overview, Unreadable, overviews
from sweep.rebuilt import STATES
from sweep.recorded import Recorded, once
from sweep.space import active
from sweep.store import HEAD, Location, Row, Store, artifacts, locate
from sweep.trial import Trial

if TYPE_CHECKING:
    from sweep.plots import Plots
    from sweep.replay import Replay
    from sweep.strategies import Strategies


class Study(Recorded):
    """A study, and what can be done with its results."""

    @property
    def best(self) -> Trial:
        """The winner so far: the complete trial that is best in the first objective, among those
        that break the fewest constraints; SweepError if no trial is complete."""
        row = self._leading_row()
        if row is None:
            raise SweepError(f"study {self.name!r} has no complete trial yet: {self!r}")
        return self._trial(row)

    @property
    def plot(self) -> "Plots":
        """The figures of the study: `study.plot.curves()`, `study.plot.slice()`, ..."""
        from sweep.plots import Plots  # plotly takes a second

        return Plots(self)

    def trial(self, number: int) -> Trial:
        """A trial: its parameters, curves, diagnosis and model; UsageError if there is none."""
        row = next((row for row in self._trial_rows() if row["number"] == number), None)
        if row is None:
            raise UsageError(f"study {self.name!r} has no trial {number!r}; sweep show lists them")
        return self._trial(row)

    def confirm(
        self,
        top: int = 10,
        seeds: int = 20,
        *,
        folds: int | None = None,
        backend: str = "ray",
        cpus: int | None = None,
        address: str = "local",
        allow_code: bool = False,
        take_over: bool = False,
    ) -> Confirmation:
        """Train the best `top` trials again on `seeds` fresh seeds, and say which is the best.

        As `sweep confirm`: the same call goes on with one that was interrupted, and returns one
        that is complete. `folds` has the rounds go through so many folds by turns. `backend` is
        `ray`, on `cpus` or on the cluster at `address`, `processes` or `serial`. UsageError if it
        cannot be, as in a folder that was exported; StudyLocked while a process runs the study.
        """
        if self.place.is_export:
            raise UsageError(
                f"{self.place} is a study that was exported, which is only read: confirm it where "
                f"it came from, sweep.load({self.name!r}, STORE).confirm()"
            )
        check(backend, cpus=cpus, address=address)
        if self.spec.portable and not is_portable():
            raise UsageError(
                f"study {self.name!r} is portable, and this process computes otherwise: run sweep "
                f"confirm {self.name} in a terminal"
            )
        where: dict[str, Any] = {"cpus": cpus, "address": address, "portable": self.spec.portable}
        with Store(self.place) as store:
            events = confirm(
                self.name,
                store,
                lambda datasets: start(backend, datasets, **where),
                top=top,
                seeds=seeds,
                folds=folds,
                allow_code=allow_code,
                take_over=take_over,
            )
            number = next(event.number for event in events if isinstance(event, Began))
            for _ in events:
                pass
        return next(each for each in self.confirmations if each.number == number)

    @property
    @once
    def confirmations(self) -> list[Confirmation]:
        """Those that were begun, in order."""
        with self._store() as store:
            return confirmations(store, self.name, self.spec)

    @property
    def confirmation(self) -> Confirmation | None:
        """Of those that are complete the one of the most leaders, and the last of these; else the
        last that was begun; None if there is none."""
        found = self.confirmations
        complete = [each for each in found if each.state == "complete"]
        if not complete:
            return found[-1] if found else None
        return max(complete, key=lambda each: (len(each.question.leaders), each.number))

    @once
    def noise(self) -> Noise:
        """How much of the spread among the trials is the noise of their seeds, and so whether more
        trials or more seeds would help; UsageError if too few trials are complete to say."""
        counted = [row for each in self.confirmations for row in each.rows]
        retrained = {key_of(row): row["value"] for row in counted if row["value"] is not None}
        return noise(self.spec, self._trial_rows(), retrained)

    @once
    def advice(self) -> list[Advice]:
        """What the record supports, each with its numbers and what to type: whether more trials
        would help, whether the best lies beyond a range, which parameters made no difference, how
        trainings went by learning rate and batch size, whether the best is luck, why trials
        failed."""
        study = self.read_once()
        rows, trials, confirmation = study._trial_rows(), study.trials, study.confirmation
        epochs = study.epochs
        complete = trials.loc[trials["state"] == "COMPLETE", "number"]
        if (verdicts := None if self.spec.train.function else study.diagnoses) is not None:
            verdicts = verdicts[verdicts["trial"].isin(complete)]
        try:
            noise = study.noise()
        except UsageError:  # too few trials to tell
            noise = None
        return advice(
            study._edited(),
            trials,
            study.state,
            study.budget,
            epochs=epochs,
            verdicts=verdicts,
            basis=basis(self.spec, rows, ()),
            shares=study.importances,
            noise=noise,
            leader=study.leader,
            confirmed=confirmation.winner if confirmation is not None else None,
        )

    def _repr_html_(self) -> str:
        """How it looks in a notebook."""
        study = self.read_once()
        best = study.best.record() if study.leader is not None else None
        trials, advised = study.trials, study.advice()
        return card(self.spec, study.state, study.counted, trials, study.top(5), best, advised)

    def replay(self, **search: Any) -> "Replay":
        """What the study would have come to with other keys of its [search], such as
        sampler="random", pruner="none" or workers=64: its decisions over the recorded curves,
        without training. Of trainings that are not recorded a surrogate predicts the curves.

        UsageError for keys that cannot be replayed and for a record that is too thin.
        """
        from sweep.replay import replay  # scikit-learn's trees and plotly take long to import

        return replay(self, **search)

    def strategies(self, **search: Any) -> "Strategies":
        """`replay` for every combination of the lists sampler, pruner and workers, each over so
        many `seeds`: strategies(sampler=["random", "tpe"], seeds=5)."""
        from sweep.strategies import strategies

        return strategies(self, **search)

    def summary(self) -> dict[str, Any]:
        """The study in JSON values: what `sweep show --json` prints."""
        study = self.read_once()
        counts, confirmation = study.counts, study.confirmation
        return {
            "name": self.name,
            "state": study.state,
            "edition": self.spec.edition,
            "metric": self.spec.train.metric,
            "direction": self.direction,
            "trials": counts,
            "budget": study.budget,
            "best": study.best.record() if "complete" in counts else None,
            "confirmation": None if confirmation is None else confirmation.record(),
            "importances": study.importances,
            "advice": [each.record() for each in study.advice()],
            "fingerprint": study.fingerprint,
            "store": str(self.place),
        }

    def _trial(self, row: Row) -> Trial:
        study = self._row()
        tested = study["best"] == row["number"]
        interval = study["test_low"], study["test_high"]
        names = self.spec.search.constraints
        amounts = zip(names, row["constraints"] or (), strict=False)
        return Trial(
            number=row["number"],
            state=STATES[row["state"]],
            outcome=row["outcome"],
            value=row["value"],
            standard_error=row["standard_error"],
            params=active(self.spec.space, row["params"]),
            violations={name: amount for name, amount in amounts if amount > 0},
            seconds=row["seconds"],
            error=row["error"],
            test=study["test"] if tested else None,
            interval=interval if tested and None not in interval else None,
            file=model_file(artifacts(self.place, self.name), row["number"]),
            study=self,
            row=row,
        )


def load(name: str | Path, store: str | Path | Location | None = None) -> Study:
    """A study: by its name from `store`, SWEEP_STORE, or the nearest runs/sweep.db upwards; or from
    the folder that `Study.to_parquet` wrote.

    What has a / in it or is a Path is a folder, such as "./digits"; the names of studies have none.
    """
    if isinstance(name, Path) or any(mark in name for mark in {"/", os.sep}):
        return _exported(Path(name).expanduser(), store)
    place = locate(store)
    try:
        return Study(name, place)
    except StudyNotFound as error:
        if not Location(Path(name)).is_export:
            raise
        hint = f"there is a folder of this name: sweep.load({f'./{name}'!r}) reads it"
        raise StudyNotFound(f"{error}; {hint}") from None


def list_(store: str | Path | Location | None = None) -> pd.DataFrame:
    """The studies of a store, the one that changed last first, as `sweep list` prints them; a
    warning names those that another release wrote otherwise."""
    with Store(locate(store), read_only=True) as record:
        found = list(overviews(record))
    for study in found:
        if isinstance(study, Unreadable):
            warnings.warn(f"{study.name} is of another release: {study.reason}", stacklevel=2)
    return tables.studies(study for study in found if isinstance(study, Overview))


def _exported(folder: Path, store: object) -> Study:
    if store is not None:
        raise UsageError(f"{folder} is a folder, with a record of its own: leave out the store")
    if folder.is_file():
        hint = f"sweep.load(NAME, {str(folder)!r})"
        raise UsageError(f"{folder} is a file; a study of the store that it may be: {hint}")
    place = Location(folder)
    if not place.is_export:
        what = f"there is no {HEAD} in" if folder.is_dir() else "there is no folder"
        raise StudyNotFound(
            f"{what} {folder}; give the name of a study, or a folder that study.to_parquet wrote"
        )
    with Store(place, read_only=True) as record:
        (name,) = record.names()
    return Study(name, place)

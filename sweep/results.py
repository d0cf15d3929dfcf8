"""A study's results: its record as tables, its winner, its advice."""

import os
import warnings
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sweep import tables
from sweep.advice import Advice, advice
from sweep.card import card
from sweep.errors import StudyNotFound, SweepError, UsageError
from sweep.model import Model, model_file
from sweep.overview import Overview, Unreadable, overviews
from sweep.recorded import Recorded
from sweep.retrain import retrain
from sweep.space import active
from sweep.store import HEAD, Location, Row, Store, artifacts, locate
from trainer.archive import ArchiveError

if TYPE_CHECKING:
    from sweep.plots import Plots


@dataclass(frozen=True)
class Best:
    """The winner of a study: the complete trial that is best in the first objective, among those
    that break the fewest constraints."""

    number: int
    value: float
    params: dict[str, Any]
    test: float | None
    """The metric on the test rows; None until the study is complete."""
    interval: tuple[float, float] | None
    """Where 95 % of its scores on resampled test rows lie; None before, or of earlier releases."""
    standard_error: float | None
    """Of the value over replicates; None without them."""
    violations: dict[str, float]
    """How far each constraint that it breaks is from being met; empty if it meets them all."""
    file: Path = field(repr=False)

    def record(self) -> dict[str, Any]:
        """The winner in JSON values; `file` is None where no weights are kept."""
        return {
            "number": self.number,
            "value": self.value,
            "standard_error": self.standard_error,
            "params": self.params,
            "test": self.test,
            "test_interval": None if self.interval is None else list(self.interval),
            "violations": self.violations,
            "file": str(self.file) if self.file.is_file() else None,
        }

    @cached_property
    def model(self) -> Model:
        """The trained network with its preprocessing; predicts on raw rows."""
        try:
            return Model.load(self.file)
        except (OSError, ArchiveError) as error:
            raise SweepError(
                f"the weights of trial {self.number} cannot be read ({error}); run the study again "
                "with sweep run, which trains them anew"
            ) from error


class Study(Recorded):
    """A study, and what can be done with its results."""

    @property
    def best(self) -> Best:
        """The winner so far; SweepError if no trial is complete."""
        row = self._leading_row()
        if row is None:
            raise SweepError(f"study {self.name!r} has no complete trial yet: {self!r}")
        study = self._row()
        tested = study["best"] == row["number"]
        interval = study["test_low"], study["test_high"]
        return Best(
            number=row["number"],
            value=row["value"],
            params=active(self.spec.space, row["params"]),
            test=study["test"] if tested else None,
            interval=interval if tested and None not in interval else None,
            standard_error=row["standard_error"],
            violations=self._violations(row),
            file=model_file(artifacts(self.place, self.name), row["number"]),
        )

    @property
    def plot(self) -> "Plots":
        """The figures of the study: `study.plot.curves()`, `study.plot.slice()`, ..."""
        from sweep.plots import Plots  # plotly takes a second

        return Plots(self)

    def model(self, number: int) -> Model:
        """The model of any trial, trained again as far as it was; SweepError if it cannot be."""
        row, study = (
            next((r for r in self._trial_rows() if r["number"] == number), None),
            self._row(),
        )
        if row is None:
            raise UsageError(f"study {self.name!r} has no trial {number}; sweep show lists them")
        return retrain(self.spec, study["data_fingerprint"], row)

    def advice(self) -> list[Advice]:
        """Whether more trials would help, whether the best lies beyond a range, why trials failed:
        each with its numbers and what to type."""
        return advice(self._edited(), self.trials, self.state, self.budget)

    def _repr_html_(self) -> str:
        """How it looks in a notebook."""
        best = self.best.record() if self.leader is not None else None
        trials, advised = self.trials, self.advice()
        return card(self.spec, self.state, self.counts, trials, self.top(5), best, advised)

    def summary(self) -> dict[str, Any]:
        """The study in JSON values: what `sweep show --json` prints."""
        counts = self.counts
        return {
            "name": self.name,
            "state": self.state,
            "metric": self.spec.train.metric,
            "direction": self.direction,
            "trials": counts,
            "budget": self.budget,
            "best": self.best.record() if "complete" in counts else None,
            "importances": self.importances,
            "advice": [each.record() for each in self.advice()],
            "fingerprint": self.fingerprint,
            "store": str(self.place),
        }

    def _violations(self, row: Row) -> dict[str, float]:
        names = self.spec.search.constraints
        amounts = zip(names, row["constraints"] or (), strict=False)
        return {name: amount for name, amount in amounts if amount > 0}


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

"""A study's results: its record as tables, its winner, its advice."""

from pathlib import Path
from typing import Any

from sweep.advice import Advice, advice
from sweep.errors import SweepError, UsageError
from sweep.model import model_file
from sweep.recorded import Recorded
from sweep.space import active
from sweep.store import Location, Row, artifacts, locate
from sweep.tables import STATES
from sweep.trial import Trial


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

    def trial(self, number: int) -> Trial:
        """A trial: its parameters, curves, diagnosis and model; UsageError if there is none."""
        row = next((row for row in self._trial_rows() if row["number"] == number), None)
        if row is None:
            raise UsageError(f"study {self.name!r} has no trial {number!r}; sweep show lists them")
        return self._trial(row)

    def advice(self) -> list[Advice]:
        """Whether more trials would help, whether the best lies beyond a range, why trials failed:
        each with its numbers and what to type."""
        return advice(self._edited(), self.trials, self.state, self.budget)

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


def load(name: str, store: str | Path | Location | None = None) -> Study:
    """The study of this name from `store`, SWEEP_STORE, or the nearest runs/sweep.db upwards."""
    return Study(name, locate(store))

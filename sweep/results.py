"""A study's results: pandas tables, the Optuna study, the best model."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweep import fingerprint, studyfile
from sweep.decisions import rank
from sweep.errors import SweepError, UsageError
from sweep.model import Model, model_file
from sweep.space import active, distributions
from sweep.spec import StudySpec
from sweep.store import Row, Store, artifacts, is_free, locate
from trainer import METRICS
from trainer.archive import ArchiveError

STATES = {"running": "RUNNING", "complete": "COMPLETE", "pruned": "PRUNED", "failed": "FAIL"}
"""Our trial states and Optuna's names for them, which the tables use."""


@dataclass(frozen=True)
class Best:
    """The winner of a study: the complete trial with the best validation metric."""

    number: int
    value: float
    params: dict[str, Any]
    test: float | None
    """The metric on the test rows; None until the study is complete."""
    file: Path = field(repr=False)

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


class Study:
    """A study as the store has it now; each property reads it anew, also while it runs."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        with self._store() as store:
            self.spec: StudySpec = studyfile.from_json(store.study(name)["spec"])

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {state}" for state, n in self.counts.items())
        return f"<Study {self.name!r}: {self.state}; trials: {counts or 'none'}>"

    @property
    def state(self) -> str:
        """`running`, `stopped` (also by a crash), `complete` or `failed`."""
        row = self._row()
        gone = row["state"] == "running" and is_free(row["holder"], row["lease_expires"])
        return "stopped" if gone else str(row["state"])

    @property
    def direction(self) -> Literal["minimize", "maximize"]:
        """Whether the study's metric is to `maximize` or to `minimize`."""
        return METRICS[self.spec.train.metric].direction

    @property
    def counts(self) -> dict[str, int]:
        """How many trials are in each state."""
        found = Counter(row["state"] for row in self._trial_rows())
        return {state: found[state] for state in STATES if state in found}

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial: the columns of Optuna's `trials_dataframe`, then ours. Times in UTC."""
        rows = self._trial_rows()
        frame = pd.DataFrame(
            {
                "number": _column(rows, "number", "int64"),
                "value": _column(rows, "value", "float64"),
                "datetime_start": _column(rows, "datetime_start", "datetime64[us, UTC]"),
                "datetime_complete": _column(rows, "datetime_complete", "datetime64[us, UTC]"),
            }
        )
        frame["duration"] = frame["datetime_complete"] - frame["datetime_start"]
        chosen = [active(self.spec.space, row["params"]) for row in rows]
        for name, distribution in distributions(self.spec.space).items():
            values = [params.get(name) for params in chosen]
            frame[f"params_{name}"] = pd.Series(values, dtype=_dtype(distribution))
        frame["state"] = pd.Series([STATES[row["state"]] for row in rows], dtype="str")
        for name, dtype in _OURS.items():
            frame[name] = _column(rows, name, dtype)
        return frame

    @property
    def epochs(self) -> pd.DataFrame:
        """One row for each trial and epoch: the learning curves."""
        with self._store() as store:
            rows = store.epochs(store.study(self.name)["id"])
        return pd.DataFrame({name: _column(rows, name, dtype) for name, dtype in _EPOCHS.items()})

    @property
    def optuna_study(self) -> optuna.Study:
        """The study as Optuna has it, for `optuna.visualization`; parameters that a trial did not
        use are left out."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(study_name=self.name, direction=self.direction)
        curves = self.epochs.groupby("trial")
        known = distributions(self.spec.space)
        study.add_trials(_frozen_trial(self.spec, row, known, curves) for row in self._trial_rows())
        return study

    @property
    def best(self) -> Best:
        """The winner so far; SweepError if no trial is complete."""
        complete = [row for row in self._trial_rows() if row["state"] == "complete"]
        if not complete:
            raise SweepError(f"study {self.name!r} has no complete trial yet: {self!r}")
        metric = self.spec.train.metric
        row = min(complete, key=lambda row: rank(metric, row["value"], row["number"]))
        study = self._row()
        return Best(
            number=row["number"],
            value=row["value"],
            params=active(self.spec.space, row["params"]),
            test=study["test"] if study["best"] == row["number"] else None,
            file=model_file(artifacts(self.path, self.name), row["number"]),
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the deterministic columns of all trials and epochs."""
        with self._store() as store:
            study = store.study(self.name)["id"]
            return fingerprint.fingerprint(store.trials(study), store.epochs(study))

    def summary(self) -> dict[str, Any]:
        """The study in JSON values: what `sweep show --json` prints."""
        counts = self.counts
        best = None
        if "complete" in counts:
            found = self.best
            best = {
                "number": found.number,
                "value": found.value,
                "params": found.params,
                "test": found.test,
            }
        return {
            "name": self.name,
            "state": self.state,
            "metric": self.spec.train.metric,
            "direction": self.direction,
            "trials": counts,
            "best": best,
            "fingerprint": self.fingerprint,
            "store": str(self.path),
        }

    def _store(self) -> Store:
        return Store(self.path, read_only=True)

    def _row(self) -> Row:
        with self._store() as store:
            return store.study(self.name)

    def _trial_rows(self) -> list[Row]:
        with self._store() as store:
            return store.trials(store.study(self.name)["id"])


def load(name: str, store: str | Path | None = None) -> Study:
    """The study of this name from `store`, SWEEP_STORE, or the nearest runs/sweep.db upwards."""
    return Study(name, locate(store))


def _frozen_trial(
    spec: StudySpec, row: Row, known: dict[str, BaseDistribution], curves: Any
) -> FrozenTrial:
    params = active(spec.space, row["params"])
    values: dict[int, float] = {}
    if row["number"] in curves.groups:
        curve = curves.get_group(row["number"]).dropna(subset="validation_metric")
        values = dict(zip(curve["epoch"], curve["validation_metric"], strict=True))
    return create_trial(
        state=TrialState[STATES[row["state"]]],
        value=row["value"] if row["state"] in ("complete", "pruned") else None,
        params=params,
        distributions={name: known[name] for name in params},
        intermediate_values=values,
        user_attrs={"outcome": row["outcome"]},
    )


def _column(rows: list[Row], name: str, dtype: str) -> "pd.Series[Any]":
    return pd.Series([row[name] for row in rows], dtype=dtype)


def _dtype(distribution: BaseDistribution) -> str:
    """A parameter's dtype; missing where a trial has no such layer."""
    if isinstance(distribution, IntDistribution):
        return "Int64"
    if isinstance(distribution, CategoricalDistribution):
        kinds = {type(choice) for choice in distribution.choices}
        return "Int64" if kinds == {int} else "str" if kinds == {str} else "float64"
    return "float64"


_OURS = {
    "outcome": "str",
    "epochs": "int64",
    "seed": "int64",
    "seconds": "float64",
    "predicted_cost": "float64",
    "attempts": "int64",
    "node": "str",
    "error": "str",
}
_EPOCHS = {
    "trial": "int64",
    "epoch": "int64",
    "learning_rate": "float64",
    "train_loss": "float64",
    "validation_loss": "float64",
    "validation_metric": "float64",
    "gradient_norm": "float64",
    "seconds": "float64",
}


def write_table(table: pd.DataFrame, path: Path) -> None:
    """Write a table as .parquet or .csv, by the ending of the file's name."""
    if path.suffix not in _WRITERS:
        raise UsageError(f"cannot write {path}: its name must end in {' or '.join(_WRITERS)}")
    try:
        _WRITERS[path.suffix](table, path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error


_WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".parquet": lambda table, path: table.to_parquet(path, index=False),
    ".csv": lambda table, path: table.to_csv(path, index=False),
}

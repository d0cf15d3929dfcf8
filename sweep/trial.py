"""One trial of a study: what was tried, how it went, and its model."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from sweep.errors import SweepError, UsageError, gist
from sweep.heldout import StudyRows
from sweep.model import Model
from sweep.recorded import Recorded
from sweep.retrain import retrain
from sweep.space import train_config
from sweep.store import Row
from sweep.words import brief
from trainer import Diagnosis, EpochRecord, TrainConfig, diagnose
from trainer.archive import ArchiveError


@dataclass(frozen=True, repr=False)
class Trial:
    """A trial as the record has it; its curves and its model are read when they are asked for."""

    number: int
    state: str
    """As in the table of trials: RUNNING, COMPLETE, PRUNED or FAIL."""
    outcome: str | None
    """finished, pruned, diverged, timeout, out_of_memory, worker_lost or error; None if it runs."""
    value: float | None
    """The objective, or the first of them."""
    standard_error: float | None
    """Of the value over replicates; None without them."""
    params: dict[str, Any]
    """What of the search space it used."""
    violations: dict[str, float]
    """How far each constraint that it breaks is from being met; empty if it meets them all."""
    seconds: float | None
    """Of training."""
    error: str | None
    test: float | None
    """The metric on the test rows, of the winner of a complete study; None for all others."""
    interval: tuple[float, float] | None
    """Where 95 % of its scores on resampled test rows lie; None before, or of earlier releases."""
    file: Path
    """Where its model is if it is kept."""
    study: Recorded = field(compare=False)
    row: Row = field(compare=False)
    """Of the record."""

    def __repr__(self) -> str:
        said = ", ".join([self._ended, *(f"{name} {text}" for name, text in self._scores)])
        params = ", ".join(f"{name}={brief(value)}" for name, value in self.params.items())
        return f"<Trial {self.number} of {self.study.name!r}: {said}; {params}>"

    def _repr_html_(self) -> str:
        rows = [
            ("trial", f"{self.number} of {self.study.name}"),
            ("state", self._ended),
            *self._scores,
            *((f"breaks {name}", f"by {by:.4g}") for name, by in self.violations.items()),
            *((name, brief(value)) for name, value in self.params.items()),
            ("epochs", str(self.row["epochs"])),
        ]
        if self.seconds is not None:
            rows.append(("seconds", f"{self.seconds:.2f}"))
        if self.error:
            rows.append(("error", gist(self.error)))
        names, texts = zip(*rows, strict=True)
        with pd.option_context("display.max_colwidth", None, "display.max_rows", None):
            return str(pd.Series(texts, names).to_frame().to_html(header=False))

    @property
    def _ended(self) -> str:
        plain = (None, "finished", self.state.lower())
        return self.state if self.outcome in plain else f"{self.state} ({self.outcome})"

    @property
    def _scores(self) -> list[tuple[str, str]]:
        metric, scores = self.study.spec.train.metric, []
        if self.value is not None:
            error = "" if self.standard_error is None else f" ± {self.standard_error:.4f}"
            scores.append((metric, f"{self.value:.4f}{error}"))
        if self.test is not None:
            interval = self.interval
            low_high = "" if interval is None else " ({:.4f} to {:.4f})".format(*interval)
            scores.append((f"test {metric}", f"{self.test:.4f}{low_high}"))
        return scores

    def record(self) -> dict[str, Any]:
        """A winner in JSON values; `file` is None where no weights are kept."""
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

    @property
    def config(self) -> TrainConfig:
        """What the network was trained with; UsageError for a trainer of one's own."""
        self._check_ours("configuration")
        return train_config(self.study.spec, self.row["params"])

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """Its learning curve: one row for each replicate and epoch."""
        return self.study.curves([self.number])

    @cached_property
    def attempts(self) -> pd.DataFrame:
        """One row for each time that a segment of it was sent out."""
        attempts = self.study.attempts
        return attempts[attempts["trial"] == self.number].reset_index(drop=True)

    @property
    def diagnosis(self) -> Diagnosis:
        """How the training of its first replicate went, in words and numbers; UsageError for a
        trainer of one's own, or without an epoch."""
        self._check_ours("verdict")
        self._check_epochs("nothing to be said of it")
        first = self.epochs.query("replicate == 0").drop(columns=["trial", "replicate"])
        records = [EpochRecord(**epoch) for epoch in first.to_dict("records")]
        return diagnose(self.config, records)

    @cached_property
    def model(self) -> Model:
        """The trained network with its preprocessing, of the first replicate.

        From its file if it is kept, as the winner's is, or else trained again to the same bits.
        UsageError for a trainer of one's own, or without an epoch; SweepError if the data has
        changed, or the file is damaged.
        """
        self._check_ours("model")
        self._check_epochs("no model")
        rows = StudyRows(self.study.spec, self.study.data_fingerprint)
        if not self.file.is_file():
            return retrain(rows, self.row)
        try:
            return replace(Model.load(self.file), rows=rows)
        except (OSError, ArchiveError) as error:
            raise SweepError(
                f"the weights of trial {self.number} cannot be read ({error}); run the study again "
                "with sweep run, which trains them anew"
            ) from error

    def _check_ours(self, what: str) -> None:
        if (function := self.study.spec.train.function) is not None:
            raise UsageError(
                f"study {self.study.name!r} trains with {function}, of which there is no {what} "
                "here; what it reported is in trial.epochs"
            )

    def _check_epochs(self, what: str) -> None:
        if not self.row["epochs"]:
            raise UsageError(
                f"trial {self.number} is {self.state} without an epoch: there is {what}; "
                "study.trials says which have epochs"
            )

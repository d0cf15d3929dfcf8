"""What a confirmation found: its leaders as a table, its winner, and what that means in words."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from sweep.errors import SweepError
from sweep.heldout import StudyRows
from sweep.leaders import Question, folder_of, folds_of, key_of, run_through, score_of
from sweep.model import Model, model_file
from sweep.race import Race, Standing
from sweep.spec import StudySpec
from sweep.store import Row, Store
from sweep.tables import TIME, trials
from sweep.telling import sentences
from trainer.archive import ArchiveError

_LEADERS = {
    "trial": "int64",
    "original": "float64",
    "rounds": "int64",
    "mean": "float64",
    "standard_error": "float64",
    "low": "float64",
    "high": "float64",
    "p_best": "float64",
    "optimism": "float64",
    "failed": "int64",
    "dropped_after": "Int64",
    "broken": "int64",
}
_RETRAININGS = {
    "trial": "int64",
    "round": "int64",
    "seed": "int64",
    "fold": "int64",
    "outcome": "str",
    "value": "float64",
    "epochs": "int64",
    "seconds": "float64",
    "attempts": "int64",
    "node": "str",
    "error": "str",
    "datetime_start": TIME,
    "datetime_complete": TIME,
}


@dataclass(frozen=True, eq=False, repr=False)
class Confirmation:
    """The leaders of a study, trained again on fresh seeds; made from the record alone."""

    spec: StudySpec
    number: int
    """From 0, in the order in which a study's confirmations were begun."""
    state: str
    """`complete`, `begun` (it can be gone on with) or `failed`."""
    question: Question
    race: Race
    """As far as its rounds are on record."""
    result: Row
    trials: dict[int, Row]
    """The leaders' rows in the record of the study."""
    rows: Sequence[Row]
    """The retrainings that count, each with its `round`, from 1."""
    folder: Path
    fingerprint: str
    """Of the study's data."""

    def __repr__(self) -> str:
        done = f"{self.race.done} of {self.race.rounds} rounds"
        won = f": trial {self.winner}" if self.winner is not None else ""
        return (
            f"<Confirmation {self.number} of {self.spec.name!r}: {self.state}, "
            f"{len(self.question.leaders)} leaders, {done}{won}>"
        )

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.text)}</p>{self.table.to_html(index=False, na_rep='')}"

    @property
    def winner(self) -> int | None:
        """The number of the confirmed trial; None until the confirmation is complete."""
        return self.result.get("winner")

    @property
    def test(self) -> float | None:
        """The metric on the test rows, of `model`; None until the confirmation is complete, and
        without test rows.

        The network is that of the winner's first fresh seed: it is decided by its seed and not by
        its score, after the winner was.
        """
        return self.result.get("test_score")

    @property
    def test_interval(self) -> tuple[float, float] | None:
        """Where 95 % of its scores on resampled test rows lie."""
        low, high = self.result.get("test_low"), self.result.get("test_high")
        return None if low is None or high is None else (low, high)

    @property
    def test_standard_error(self) -> float | None:
        """The standard deviation of its scores on resampled test rows."""
        return self.result.get("test_standard_error")

    @cached_property
    def model(self) -> Model:
        """The winner's network, trained on the first fresh seed, with its preprocessing; without
        rows of its own if it was trained on other folds than the study's."""
        if self.winner is None or self.spec.train.function is not None:
            raise SweepError(f"{self!r} keeps no model")
        try:
            found = Model.load(model_file(self.folder, self.winner))
        except (OSError, ArchiveError) as error:
            raise SweepError(
                f"the weights of trial {self.winner} cannot be read ({error}); sweep confirm with "
                "the same arguments trains them anew"
            ) from error
        if self.result["fold"] or self.question.folds != folds_of(self.spec):
            return found
        return replace(found, rows=StudyRows(self.spec, self.fingerprint))

    @cached_property
    def standings(self) -> list[Standing]:
        """Of each leader, the best first: the winner, those that were not dropped, the others;
        none before the first round is complete."""
        if not self.race.done:
            return []
        found = self.race.standings(self.spec.search.seed)
        winner = self.race.winner()
        sign = -1.0 if self.race.maximize else 1.0

        def place(each: Standing) -> tuple[bool, float, int, float]:
            missing = -each.rounds if each.mean is None else sign * each.mean
            return each.trial != winner, -(each.dropped_after or 10**9), each.broken, missing

        return sorted(found, key=place)

    @property
    def table(self) -> pd.DataFrame:
        """One row a leader, the best first: its `original` value, then what its retrainings say,
        and its parameters; no row before the first round is complete.

        `optimism` is by how much the original value was better than the mean: positive if it
        flattered. Retrainings that `failed` count as the worst that any leader's had, and `broken`
        are the constraints that the means of what they measure do not meet.
        """
        rows = [self._row(standing) for standing in self.standings]
        leaders = trials(self.spec, [self.trials[row["trial"]] for row in rows])
        return pd.concat([_frame(rows, _LEADERS), leaders.filter(regex="^params_")], axis=1)

    @property
    def retrainings(self) -> pd.DataFrame:
        """One row for each retraining that counts, in the order of the rounds. Times in UTC."""
        return _frame(self.rows, _RETRAININGS)

    def record(self) -> dict[str, Any]:
        """The confirmation in JSON values: what `sweep confirm --json` prints."""
        interval = self.test_interval
        return {
            "name": self.spec.name,
            "number": self.number,
            "state": self.state,
            "metric": self.spec.objectives[0],
            "leaders": [self._row(standing) for standing in self.standings],
            "rounds": self.race.done,
            "seeds": len(self.question.seeds),
            "folds": self.question.folds,
            "risk": self.question.risk,
            "retrainings": len(self.rows),
            "winner": self.winner,
            "test": self.test,
            "test_interval": None if interval is None else list(interval),
            "test_standard_error": self.test_standard_error,
            "text": self.text,
        }

    def _row(self, standing: Standing) -> Row:
        original = dict(zip(self.question.leaders, self.question.values, strict=True))
        sign = 1.0 if self.race.maximize else -1.0
        value, middle = original[standing.trial], standing.mean
        return {
            "trial": standing.trial,
            "original": value,
            "rounds": standing.rounds,
            "mean": middle,
            "standard_error": standing.standard_error,
            "low": standing.low,
            "high": standing.high,
            "p_best": standing.p_best,
            "optimism": None if middle is None else sign * (value - middle),
            "failed": standing.failed,
            "dropped_after": standing.dropped_after,
            "broken": standing.broken,
        }

    @property
    def text(self) -> str:
        """What was found, in sentences with their numbers."""
        rows = [self._row(standing) for standing in self.standings]
        return " ".join(sentences(self.spec, self.question, self.race, rows, self.result))


def confirmations(store: Store, name: str, spec: StudySpec) -> list[Confirmation]:
    """Those of a study, in the order in which they were begun."""
    row = store.study(name)
    study = row["id"]
    found = store.confirmations(study)
    rows = {key_of(row): row for row in store.retrainings(study)} if found else {}
    of_study = {row["number"]: row for row in store.trials(study)} if found else {}
    known = {key: score_of(row) for key, row in rows.items()}
    made = []
    for each in found:
        question = Question.from_json(each["question"])
        if not of_study.keys() >= set(question.leaders):
            continue  # its trials are no part of the study any more
        race = question.race(spec)
        run_through(race, question, known)
        counted = [
            rows[question.key(leader, index)] | {"round": index + 1}
            for index in range(race.done)
            for leader in race.leaders
            if index < len(race.scores[leader])
        ]
        made.append(
            Confirmation(
                spec=spec,
                number=each["number"],
                state=each["state"],
                question=question,
                race=race,
                result=each["result"] or {},
                trials={leader: of_study[leader] for leader in question.leaders},
                rows=counted,
                folder=folder_of(store.place, name, each["number"]),
                fingerprint=row["data_fingerprint"],
            )
        )
    return made


def _frame(rows: Sequence[Row], kinds: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in kinds.items()}
    )

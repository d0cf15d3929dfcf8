"""Who is to be confirmed and by what: the question of a confirmation, and its race."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from sweep.backends import Segment
from sweep.cost import MEASURES
from sweep.decisions import replicate_seed
from sweep.errors import UsageError
from sweep.overview import complete, first_value, place
from sweep.race import RISK, Race, Score
from sweep.space import configuration, trial_config
from sweep.spec import StudySpec, direction
from sweep.store import Location, Row, artifacts
from sweep.verdict import further_metrics

CONFIRMING = 0x636F6E66
"""Sets the stream of fresh seeds apart from those of trials, whose numbers are less."""

Key = tuple[int, int, int, int]
"""Of a retraining: its trial, the number of folds, which of them, and the seed."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a confirmation asks: the same question has the same answer."""

    leaders: tuple[int, ...]
    """The trials, the best by the search first."""
    values: tuple[float, ...]
    """Theirs in the first objective, by the search."""
    seeds: tuple[int, ...]
    """One a round; rounds go through the folds by turns."""
    folds: int = 1
    """1 if all train and are judged on the rows that the search had."""
    risk: float = RISK

    def to_json(self) -> Row:
        return {name: _plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> "Question":
        of: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in row.items()}
        return cls(**of)

    def key(self, trial: int, index: int) -> Key:
        """That of a leader's retraining in a round, counted from 0."""
        return trial, self.folds, index % self.folds, self.seeds[index]

    def race(self, spec: StudySpec) -> Race:
        """The race before its first round."""
        return Race(
            leaders=self.leaders,
            rounds=len(self.seeds),
            maximize=direction(spec.objectives[0]) == "maximize",
            folds=self.folds,
            bounds=tuple(spec.search.constraints.values()),
            risk=self.risk,
        )

    def segment(
        self, spec: StudySpec, trial: int, params: Mapping[str, Any], index: int
    ) -> Segment:
        """A leader's training in a round: all of its epochs."""
        config, epochs = trial_config(spec, dict(params)), spec.train.epochs
        return Segment(
            trial=trial,
            config=config,
            seed=self.seeds[index],
            start=0,
            until=epochs,
            replicate=index,
            function=spec.train.function,
            fold=index % self.folds,
            metrics=further_metrics(spec, config, epochs),
        )


def ask(
    spec: StudySpec, trials: Sequence[Row], top: int, seeds: int, folds: int | None = None
) -> Question:
    """The question about the best `top` of a study's trials, on `seeds` fresh seeds each.

    Of trials with the same configuration there is one, and none that breaks more constraints than
    the best. `folds` are those of a study that has folds, if not given. UsageError if there is
    nothing to confirm, or not so.
    """
    folds = _folds(spec, folds)
    if top < 1:
        raise UsageError(f"top = {top}: how many leaders to confirm; give 1 or more")
    if seeds < 2:
        raise UsageError(f"seeds = {seeds}: one score says nothing of their spread; give 2 or more")
    if seeds % folds:
        fewer = seeds - seeds % folds
        near = " or ".join(str(each) for each in (fewer, fewer + folds) if each)
        raise UsageError(
            f"seeds = {seeds}: each leader is trained once a seed, on each of {folds} folds as "
            f"often, so give a multiple of {folds}, such as {near}"
        )
    if (objective := spec.objectives[0]) in MEASURES:
        raise UsageError(
            f"the first objective of {spec.name!r} is {objective}, which no seed changes: there is "
            "nothing to confirm"
        )
    best = _best(spec, trials, top)
    if not best:
        raise UsageError(f"study {spec.name!r} has no complete trial yet: nothing to confirm")
    return Question(
        leaders=tuple(row["number"] for row in best),
        values=tuple(first_value(row) for row in best),
        seeds=tuple(islice(_fresh(spec.search.seed, set(_used(spec, trials))), seeds)),
        folds=folds,
    )


def folder_of(place: Location, study: str, number: int) -> Path:
    """Where the networks of a confirmation are kept."""
    return artifacts(place, study) / f"confirmation-{number}"


def score_of(row: Row) -> Score:
    """What a retraining's row says that it came to."""
    return Score(row["value"], tuple(row["measures"] or ()))


def key_of(row: Row) -> Key:
    return row["trial"], row["folds"], row["fold"], row["seed"]


def run_through(race: Race, question: Question, known: Mapping[Key, Score]) -> None:
    """Count every round of which all scores are known, up to the first that lacks one."""
    while not race.is_over:
        needed = {leader: question.key(leader, race.done) for leader in race.left}
        if not known.keys() >= set(needed.values()):
            return
        race.count({leader: known[key] for leader, key in needed.items()})


def folds_of(spec: StudySpec) -> int:
    """In how many folds a study has its rows; 1 if it has none."""
    return spec.search.replicates if spec.search.resample == "folds" else 1


def _folds(spec: StudySpec, folds: int | None) -> int:
    if folds is None:
        return folds_of(spec)
    if folds < 2:
        raise UsageError(f"folds = {folds}: give 2 or more, or leave it out")
    return folds


def _best(spec: StudySpec, trials: Sequence[Row], top: int) -> list[Row]:
    ranked = sorted(complete(trials), key=lambda row: place(spec, row))
    distinct = {configuration(spec.space, row["params"]): row for row in reversed(ranked)}
    kept = {row["number"] for row in distinct.values()}
    alike = [row for row in ranked if place(spec, row)[0] == place(spec, ranked[0])[0]]
    return [row for row in alike if row["number"] in kept][:top]


def _used(spec: StudySpec, trials: Sequence[Row]) -> Iterator[int]:
    """Every seed that the study has trained with."""
    for row in trials:
        for replicate in range(spec.search.replicates):
            yield replicate_seed(spec.search.seed, row["number"], row["seed"], replicate)


def _fresh(study_seed: int, used: set[int]) -> Iterator[int]:
    """Seeds that nothing was trained with, the same for each leader: index by index, so that more
    of them begin with the fewer."""
    for index in count():
        words = np.random.SeedSequence((study_seed, CONFIRMING, index)).generate_state(1)
        if (seed := int(words[0])) not in used:
            used.add(seed)
            yield seed


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

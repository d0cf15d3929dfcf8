"""Carries a race out on a backend: what it asks for is trained, counted, and its winner tested."""

import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep.backends import Segment
from sweep.datasets import Preprocessing
from sweep.dispatch import AHEAD, Dispatch, Tick
from sweep.errors import StudyFailed, SweepError, gist
from sweep.leaders import Question
from sweep.model import Model, is_sound, model_file, remove_models
from sweep.race import Race
from sweep.retrainings import Retrainings
from sweep.spec import StudySpec
from sweep.store import Row
from sweep.winner import saved, tested, train_again
from trainer import Dataset, TrainState

Parts = list[tuple[Dataset, Preprocessing]]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the race is."""

    rounds: int
    """Counted so far."""
    left: tuple[int, ...]
    """The leaders in the race."""
    gone: tuple[int, ...]
    """Those that the last round dropped, if it was counted just now."""
    best: int
    trained: int
    """Retrainings that came back in this process."""
    to_go: int
    """Retrainings that are needed yet if nobody is dropped any more."""


class Left(Exception):
    """The confirmation is left before its end."""


@dataclass(slots=True)
class Racing:
    """A confirmation in the hands of this process."""

    spec: StudySpec
    question: Question
    params: dict[int, Row]
    parts: Parts
    record: Retrainings
    dispatch: Dispatch
    folder: Path
    stop: threading.Event
    first: dict[int, Segment] = field(default_factory=dict)
    """The first retraining of each leader that came to its end: its network is kept."""
    segments: dict[tuple[int, int], Segment] = field(default_factory=dict)

    def carry_out(self) -> Generator[Progress, None, Row | None]:
        """What the confirmation comes to; None if it is left before."""
        try:
            race = yield from self.race()
            return (yield from self.test(race))
        except Left:
            self.dispatch.cancel()
            return None

    def race(self) -> Generator[Progress, None, Race]:
        """Train and count round after round."""
        race = self.question.race(self.spec)
        while not race.is_over:
            self.submit(race)
            segments = {leader: self.segment(leader, race.done) for leader in race.left}
            for segment in segments.values():
                yield from self.heed(self.dispatch.ticks(segment), race)
                self.take(segment)
            gone = race.count({n: self.record.score(s) for n, s in segments.items()})
            self.check(race, list(segments.values()))
            for leader in gone:
                self.dispatch.kill(leader)  # what runs ahead of the race
            yield self.progress(race, gone)
        return race

    def segment(self, leader: int, index: int) -> Segment:
        key = leader, index
        if key not in self.segments:
            params = self.params[leader]
            self.segments[key] = self.question.segment(self.spec, leader, params, index)
        return self.segments[key]

    def submit(self, race: Race) -> None:
        """Send out the next round, and of those after it as much as keeps the backend busy.

        What the race does not ask for in the end is on record and counts for nothing.
        """
        waiting = 0
        for index in range(race.done, race.rounds):
            if index > race.done and waiting >= AHEAD * self.dispatch.backend.cpus:
                return
            for rank, leader in enumerate(race.left):
                segment = self.segment(leader, index)
                self.dispatch.submit(segment, index * len(race.leaders) + rank)
                waiting += not self.dispatch.is_ready(segment)

    def heed(self, ticks: Iterator[Tick], race: Race) -> Generator[Progress, None, Any]:
        """Wait, write down what comes back, and leave if asked to; what `ticks` returns."""
        while True:
            try:
                next(ticks)
            except StopIteration as end:
                self.record.flush()
                return end.value
            self.record.flush()
            yield self.progress(race, [])
            if self.stop.is_set():
                raise Left

    def take(self, segment: Segment) -> None:
        """Take a retraining that came back, and keep the first network of each leader.

        SweepError if it could not be had.
        """
        report, leader = self.dispatch.take(segment), segment.trial
        if self.record.is_fault(report):
            raise SweepError(
                f"trial {leader} could not be trained with seed {segment.seed}: {report.outcome}"
                f"{f' ({gist(report.error)})' if report.error else ''}; what came back is on "
                "record, and the same command goes on"
            )
        if leader not in self.first and self.record.row(segment)["outcome"] == "finished":
            self.first[leader] = segment
            state = self.dispatch.state(segment)
            if isinstance(state, TrainState):
                self.save(segment, state)
        self.dispatch.forget(leader)

    def progress(self, race: Race, gone: list[int]) -> Progress:
        ahead = range(race.done, race.rounds)
        asked = [self.question.key(leader, index) for leader in race.left for index in ahead]
        return Progress(
            rounds=race.done,
            left=tuple(race.left),
            gone=tuple(gone),
            best=race.winner() if race.done else race.leaders[0],
            trained=self.record.trained,
            to_go=sum(not self.record.knows(key) for key in asked),
        )

    def check(self, race: Race, segments: list[Segment]) -> None:
        """Raise StudyFailed if the first round, or the whole race, has no score."""
        rows = [self.record.row(segment) for segment in segments]
        if race.done == 1 and all(row["outcome"] == "error" for row in rows):
            raise StudyFailed(
                f"the first retraining of each leader of {self.spec.name!r} ended in an error; the "
                f"last one: {gist(rows[-1]['error'] or '')}"
            )
        if race.is_over and race.winner() not in self.first:
            outcomes = ", ".join(sorted({row["outcome"] for row in rows}))
            raise StudyFailed(
                f"no retraining of the leaders of {self.spec.name!r} came to its end: {outcomes}"
            )

    def test(self, race: Race) -> Generator[Progress, None, Row]:
        """The winner, and the score of its first network on the test rows."""
        winner = race.winner()
        segment, file = self.first[winner], model_file(self.folder, winner)
        result: Row = {"winner": winner, "seed": segment.seed, "fold": segment.fold}
        if self.spec.train.function is not None:
            return result
        if not is_sound(file):
            state = yield from self.heed(train_again(segment, self.dispatch), race)
            self.save(segment, state)
        remove_models(self.folder, but=file)
        dataset = self.parts[segment.fold][0]
        if dataset.test is None:
            return result
        found = tested(Model.load(file), dataset, self.spec.search.seed)
        return result | {f"test_{name}": value for name, value in found._asdict().items()}

    def save(self, segment: Segment, state: TrainState) -> None:
        preprocessing = self.parts[segment.fold][1]
        saved(model_file(self.folder, segment.trial), segment.config, state, preprocessing)

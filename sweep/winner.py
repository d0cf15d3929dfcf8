"""The model of a study's best trial: kept as the study runs, tested when it is complete."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sweep import verdict
from sweep.backends import Segment, one_thread
from sweep.bootstrap import draws, interval
from sweep.datasets import Preprocessing
from sweep.dispatch import ATTEMPTS, Dispatch, Tick
from sweep.errors import StoreError, SweepError
from sweep.model import Model, model_file, remove_models
from sweep.spec import StudySpec
from sweep.steps import Decide, Trial
from trainer import Dataset, TrainConfig, TrainState
from trainer.archive import ArchiveError


@dataclass(slots=True)
class Winner:
    """The best trial so far, by its first objective and within the constraints."""

    spec: StudySpec
    dataset: Dataset
    preprocessing: Preprocessing
    dispatch: Dispatch
    folder: Path
    best: Decide | None = None

    def see(self, step: Decide) -> None:
        """Keep the model of a trial that has ended if it is the best so far."""
        if step.state != "complete":
            return
        if self.best is not None and not self._beats(step, self.best):
            return
        self.best = step
        first = next((s for s in step.segments if s.replicate == 0), None)
        state = None if first is None else self.dispatch.state(first)
        if isinstance(state, TrainState):
            self._save(step.trial, state)

    def _beats(self, step: Decide, other: Decide) -> bool:
        return verdict.place(self.spec, step) < verdict.place(self.spec, other)

    def test(self) -> Generator[Tick, None, dict[str, Any]]:
        """The winner's number, and its score on the test rows, which nothing touched before, with
        the interval in which 95 % of the scores of resampled test rows lie.

        That of a user's own trainer has no model that could be tested.
        """
        if self.best is None:
            return {}
        trial = self.best.trial
        if self.spec.train.function is not None:
            return {"best": trial.number}
        try:
            model = Model.load(model_file(self.folder, trial.number))
        except (OSError, ArchiveError):
            model = self._save(trial, (yield from self._train_again(trial)))
        remove_models(self.folder, but=model_file(self.folder, trial.number))
        if self.dataset.test is None:
            return {"best": trial.number}
        found = tested(model, self.dataset, self.spec.search.seed)
        return {
            "best": trial.number,
            "test": found.score,
            "test_low": found.low,
            "test_high": found.high,
        }

    def _save(self, trial: Trial, state: TrainState) -> Model:
        file = model_file(self.folder, trial.number)
        return saved(file, trial.config, state, self.preprocessing)

    def _train_again(self, trial: Trial) -> Generator[Tick, None, TrainState]:
        epochs = self.spec.train.epochs
        segment = Segment(trial.number, trial.config, trial.seed, 0, epochs)
        return (yield from train_again(segment, self.dispatch))


def saved(
    file: Path, config: TrainConfig, state: TrainState, preprocessing: Preprocessing
) -> Model:
    """The model of a training, written to its file; StoreError if it cannot be."""
    model = Model(config, state.parameters, preprocessing, state.embedding)
    try:
        model.save(file)
    except OSError as error:
        raise StoreError(f"cannot write the model file {file}: {error.strerror}") from error
    return model


def train_again(segment: Segment, dispatch: Dispatch) -> Generator[Tick, None, TrainState]:
    """The state that a recorded segment reached, when its weights were not kept."""
    for _ in range(ATTEMPTS):  # its node may be lost after it has reported
        dispatch.compute(segment)
        yield from dispatch.ticks(segment)
        report = dispatch.take(segment)
        if (state := dispatch.state(segment)) is not None:
            return state
    raise SweepError(
        f"the weights of the winner, trial {segment.trial}, were not on disk and could not be "
        f"trained again ({report.outcome}); run the command again"
    )


class Tested(NamedTuple):
    """A score on the test rows, and how far it would move on others of their kind."""

    score: float
    low: float | None
    """From here to `high` lie 95 % of the scores of resampled test rows."""
    high: float | None
    standard_error: float | None


def tested(model: Model, dataset: Dataset, seed: int) -> Tested:
    """The score on the test rows of a dataset that has some; `seed` is of the resampling."""
    assert dataset.test is not None
    with one_thread():
        score = model.evaluate(dataset, dataset.test)
        drawn = list(model.evaluate_draws(dataset, dataset.test, draws(len(dataset.test.y), seed)))
    low, high = interval(drawn) or (None, None)
    known = np.array(drawn)[np.isfinite(drawn)]
    error = None if low is None else float(known.std(ddof=1))
    return Tested(score, low, high, error)

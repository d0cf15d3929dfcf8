"""Runs a study: carries out its decisions on a backend and keeps their record."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from sweep import datasets, space, studyfile
from sweep.backends import Backend, Segment, one_thread
from sweep.cost import Shape
from sweep.datasets import Preprocessing
from sweep.decisions import Await, Begin, Decide, Submit, Trial, decisions
from sweep.dispatch import Dispatch, Tick
from sweep.errors import StoreError, StudyChanged, StudyFailed, SweepError
from sweep.journal import Journal
from sweep.model import Model, model_file
from sweep.spec import StudySpec
from sweep.store import Lease, Row, Store, artifacts
from trainer import Dataset, TrainState
from trainer.archive import ArchiveError

HEARTBEAT = 5.0
"""Seconds between renewals of the lease."""

FIRST_ERRORS = 3
"""A sweep whose first so many trials all end in `error` has a fault that more trials won't mend."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The study is this process's to run; `recorded` trials were begun before."""

    spec: StudySpec
    recorded: int


@dataclass(frozen=True, slots=True)
class Ready:
    """The backend computes, on so many CPUs."""

    cpus: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The study was left as `complete` or `stopped`."""

    state: str


Event = Opened | Ready | Begin | Decide | Tick | Ended


def run(
    spec: StudySpec,
    store: Store,
    start_backend: Callable[[Dataset], Backend],
    stop: threading.Event | None = None,
) -> Iterator[Event]:
    """Run a study, or go on with it, until it is complete or `stop` is set.

    Every decision that is yielded is durable. Raises StudyChanged if the stored study of this
    name asks another question, StudyLocked if another process runs it, StudyFailed if its first
    trials all end in an error.
    """
    dataset, preprocessing = datasets.load(spec.data)
    space.check_data(spec, dataset)
    data_fingerprint = datasets.fingerprint(dataset)
    known = store.find(spec.name)
    if known is not None:
        _check_same_question(spec, data_fingerprint, known, store)
        if known["state"] == "complete" and _has_its_model(known, store):
            yield Opened(spec, spec.search.trials)
            yield Ended("complete")
            return
    lease = store.claim(spec.name, studyfile.to_json(spec), data_fingerprint, version("sweep"))
    final: dict[str, Any] = {"state": "stopped"}
    try:
        with _heartbeat(store, lease):
            if known is not None and known["state"] == "failed":
                store.clear(lease)
            journal = Journal(store, lease)
            yield Opened(spec, len(journal.proposed))
            with start_backend(dataset.without_test()) as backend:
                yield Ready(backend.cpus)
                dispatch = Dispatch(backend, journal)
                running = _Running(spec, dataset, preprocessing, dispatch, journal, store)
                if (yield from running.carry_out(stop or threading.Event())):
                    final = {"state": "complete"} | (yield from running.test_winner())
    except StudyFailed:
        final = {"state": "failed"}
        raise
    finally:
        store.release(lease, **final)
    yield Ended(final["state"])


@dataclass(slots=True)
class _Running:
    """A study in the hands of this process."""

    spec: StudySpec
    dataset: Dataset
    preprocessing: Preprocessing
    dispatch: Dispatch
    journal: Journal
    store: Store
    best: Decide | None = None
    ended: int = 0
    failed: int = 0
    errors: int = 0

    def carry_out(self, stop: threading.Event) -> Generator[Event, None, bool]:
        """Take every step of the study; whether it came to its end."""
        if not self.journal.proposed:
            self._remove_models()  # those of an earlier study whose store was deleted
        steps = decisions(self.spec, Shape.of(self.dataset), self.journal.proposed)
        unseen: list[Event] = []  # taken, but not yet durable
        reply = None
        while not stop.is_set():
            try:
                step = steps.send(reply)
            except StopIteration:
                yield from self._show(unseen)
                return True
            reply = None
            if isinstance(step, Submit):
                self.dispatch.submit(step.segment)
            elif isinstance(step, Await):
                if not self.dispatch.is_ready(step.segment):
                    yield from self._show(unseen)
                for tick in self.dispatch.ticks(step.segment):
                    yield tick
                    if stop.is_set():
                        return False
                reply = self.dispatch.take(step.segment)
            else:
                unseen.append(step)
                if isinstance(step, Begin):
                    self.journal.begin(step)
                elif self._decide(step):
                    yield from self._show(unseen)
                    raise StudyFailed(self._why(step))
        yield from self._show(unseen)
        return False

    def _show(self, unseen: list[Event]) -> Iterator[Event]:
        self.journal.flush()
        yield from unseen
        unseen.clear()

    def _decide(self, step: Decide) -> bool:
        """Record a decision; whether it leaves no hope for the study."""
        self.journal.decide(step, self.dispatch.attempts[step.segment])
        if self._is_best(step):
            self.best = step
            if (state := self.dispatch.state(step.segment)) is not None:
                self._save(step.trial, state)
        self.dispatch.forget(step.segment, trial_ended=step.state != "running")
        self.ended += step.state != "running"
        self.failed += step.state == "failed"
        self.errors += step.outcome == "error"
        return self.errors == self.ended == min(FIRST_ERRORS, self.spec.search.trials)

    def _is_best(self, step: Decide) -> bool:
        return step.state == "complete" and (self.best is None or step.beats(self.best))

    def _why(self, step: Decide) -> str:
        last = (step.report.error or "").strip().splitlines()[-1:]
        return (
            f"the first {self.errors} trials of {self.spec.name!r} all ended in an error, so the "
            f"sweep stopped; the last one: {''.join(last)}"
        )

    def _save(self, trial: Trial, state: TrainState) -> Model:
        model = Model(trial.config, state.parameters, self.preprocessing)
        file = model_file(artifacts(self.store.path, self.spec.name), trial.number)
        try:
            model.save(file)
        except OSError as error:
            raise StoreError(f"cannot write the model file {file}: {error.strerror}") from error
        return model

    def test_winner(self) -> Generator[Tick, None, dict[str, Any]]:
        """The winner's number and its score on the test rows, which nothing touched before."""
        if self.failed == self.ended:
            raise StudyFailed(
                f"all {self.ended} trials of {self.spec.name!r} failed; sweep show "
                f"{self.spec.name} says how, and the study begins anew when it is run again"
            )
        if self.best is None:
            return {}
        trial = self.best.trial
        file = model_file(artifacts(self.store.path, self.spec.name), trial.number)
        try:
            model = Model.load(file)
        except (OSError, ArchiveError):
            model = self._save(trial, (yield from self._train_again(trial)))
        self._remove_models(but=trial)
        if (test := self.dataset.test) is None:
            return {"best": trial.number}
        with one_thread():
            return {"best": trial.number, "test": model.score(self.dataset, test)}

    def _remove_models(self, but: Trial | None = None) -> None:
        folder = artifacts(self.store.path, self.spec.name)
        kept = None if but is None else model_file(folder, but.number)
        for file in folder.glob("trial-*.npz"):
            if file != kept:
                file.unlink()

    def _train_again(self, trial: Trial) -> Generator[Tick, None, TrainState]:
        segment = Segment(trial.number, trial.config, trial.seed, 0, self.spec.train.epochs)
        self.dispatch.compute(segment)
        yield from self.dispatch.ticks(segment)
        report = self.dispatch.take(segment)
        if (state := self.dispatch.state(segment)) is None:
            raise SweepError(
                f"the weights of the winner, trial {trial.number}, were not on disk and could not "
                f"be trained again ({report.outcome}); run the command again"
            )
        return state


def _check_same_question(spec: StudySpec, data_fingerprint: str, known: Row, store: Store) -> None:
    # Through the spec, so that keys which are newer than the record have their defaults there too.
    stored = studyfile.to_json(studyfile.from_json(known["spec"]))
    changed = studyfile.differences(stored, studyfile.to_json(spec))
    if not changed and known["data_fingerprint"] != data_fingerprint:
        changed = [f"the rows of {spec.data.source}: not those that the study began with"]
    if changed:
        raise StudyChanged(
            f"study {spec.name!r} in {store.path} asks another question than the file:\n  "
            + "\n  ".join(changed)
            + "\nrun the file as a new study with --name NEW_NAME, or put the file back"
        )


def _has_its_model(known: Row, store: Store) -> bool:
    best = known["best"]
    return best is None or model_file(artifacts(store.path, known["name"]), best).is_file()


@contextmanager
def _heartbeat(store: Store, lease: Lease) -> Iterator[None]:
    """Renew the lease while the study is in hand, however long a segment lasts."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(HEARTBEAT):
            try:
                store.renew(lease)
            except SweepError:
                return  # the next write says it, where it can be told to the user

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()

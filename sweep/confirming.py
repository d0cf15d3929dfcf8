"""Confirms the leaders of a study: trains them on fresh seeds, in a race, and tests the winner."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

from sweep import datasets, leaders, studyfile
from sweep.cost import Shape
from sweep.dispatch import Dispatch
from sweep.errors import StudyFailed, StudyFileError, UsageError
from sweep.leaders import Question
from sweep.loop import Ended, Ready
from sweep.model import is_sound, model_file, remove_models
from sweep.orchestrator import StartBackend, heartbeat
from sweep.question import check_code
from sweep.racing import Parts, Progress, Racing
from sweep.retrainings import Retrainings
from sweep.spec import StudySpec
from sweep.store import Lease, Row, Store


@dataclass(frozen=True, slots=True)
class Began:
    """The confirmation of this number is this process's to carry out."""

    spec: StudySpec
    number: int
    question: Question


Event = Began | Ready | Progress | Ended


def confirm(
    name: str,
    store: Store,
    start_backend: StartBackend,
    stop: threading.Event | None = None,
    *,
    top: int = 10,
    seeds: int = 20,
    folds: int | None = None,
    allow_code: bool = False,
    take_over: bool = False,
) -> Iterator[Event]:
    """Confirm the best `top` trials of a study, or go on with it, to its end or until `stop`.

    Each retraining is durable when it has come back, and is trained once: a confirmation that asks
    for it again, for more leaders or seeds, takes it from the record. The study itself stays as it
    is, and complete or stopped. The test rows are touched once the winner is decided, by its
    network alone.

    Raises UsageError if there is nothing to confirm so, StudyLocked if a process runs the study,
    StudyFailed if no retraining of the first round or of all came to its end, SweepError where
    workers were lost again and again.
    """
    row = store.study(name)
    spec = studyfile.from_json(row["spec"])
    check_code(spec, allow_code)
    question = leaders.ask(spec, store.trials(row["id"]), top, seeds, folds)
    if (known := _known(store, row["id"], question)) is not None and _is_done(store, known, spec):
        yield Began(spec, known["number"], question)
        yield Ended("complete")
        return
    parts = _load(spec, question.folds, row["data_fingerprint"])
    lease = store.hold(name, take_over=take_over)
    ended = "stopped"
    try:
        with heartbeat(store, lease):
            trials = store.trials(lease.study)  # nobody else changes them from here on
            question = leaders.ask(spec, trials, top, seeds, folds)
            known = _known(store, lease.study, question)
            number = known["number"] if known else len(store.confirmations(lease.study))
            yield Began(spec, number, question)
            with start_backend(tuple(dataset.without_test() for dataset, _ in parts)) as backend:
                if known is None:  # begun on record once there is what can carry it out
                    _begin(store, lease, number, question)
                yield Ready(backend.cpus)
                shape = Shape.of(parts[0][0], spec.edition)
                record = Retrainings(spec, shape, question.folds, store, lease)
                work = Racing(
                    spec=spec,
                    question=question,
                    params={trial["number"]: trial["params"] for trial in trials},
                    parts=parts,
                    record=record,
                    dispatch=Dispatch(backend, record, None, record.limits),
                    folder=leaders.folder_of(store.place, name, number),
                    stop=stop or threading.Event(),
                )
                try:
                    result = yield from work.carry_out()
                except StudyFailed:
                    store.end_confirmation(lease, number, "failed", None)
                    ended = "failed"
                    raise
                if result is not None:
                    store.end_confirmation(lease, number, "complete", result)
                    ended = "complete"
    finally:
        if ended == "stopped":
            store.let_go(lease)
    yield Ended(ended)


def _begin(store: Store, lease: Lease, number: int, question: Question) -> None:
    # Those of a study of this name that was deleted.
    remove_models(leaders.folder_of(store.place, lease.name, number))
    store.begin_confirmation(lease, number, question.to_json(), version("sweep"))


def _known(store: Store, study: int, question: Question) -> Row | None:
    """The last confirmation with this question; one that failed is begun anew."""
    asked = question.to_json()
    same = [row for row in store.confirmations(study) if row["question"] == asked]
    return next((row for row in reversed(same) if row["state"] != "failed"), None)


def _is_done(store: Store, known: Row, spec: StudySpec) -> bool:
    if known["state"] != "complete":
        return False
    winner = known["result"]["winner"]
    file = model_file(leaders.folder_of(store.place, spec.name, known["number"]), winner)
    return spec.train.function is not None or is_sound(file)


def _load(spec: StudySpec, folds: int, fingerprint: str) -> Parts:
    """The rows of the study, in these folds."""
    parts = datasets.load_parts(spec)
    if datasets.fingerprint(*(dataset for dataset, _ in parts)) != fingerprint:
        raise UsageError(
            f"the rows of {spec.data.name} are not those that {spec.name!r} began with: what is "
            "trained on them would confirm nothing; put them back"
        )
    if folds == len(parts):
        return parts
    try:
        return datasets.load_folds(spec.data, folds)
    except StudyFileError as error:
        raise UsageError(str(error).replace("search.replicates", "folds")) from None

"""Runs a study: carries out its decisions on a backend and keeps their record."""

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from sweep import datasets, space, studyfile
from sweep.backends import Backend, Limits
from sweep.budget import CLOCKED, Clock
from sweep.checkpoints import Checkpoints
from sweep.control import Control
from sweep.cost import Shape
from sweep.datasets import Preprocessing
from sweep.dispatch import Dispatch
from sweep.errors import StoreError, StudyFailed, StudyLocked
from sweep.journal import Journal
from sweep.loop import Ended, Event, Loop, Notice, Opened, Ready
from sweep.model import remove_models
from sweep.overview import ended
from sweep.question import check, check_code, is_done, same_question
from sweep.spec import StudySpec
from sweep.store import Batch, Lease, Row, Store, artifacts
from sweep.warm import warm_start
from sweep.winner import Winner
from trainer import Dataset

HEARTBEAT = 5.0
"""Seconds between renewals of the lease."""

StartBackend = Callable[[tuple[Dataset, ...]], Backend]


def run(
    spec: StudySpec,
    store: Store,
    start_backend: StartBackend,
    stop: threading.Event | None = None,
    *,
    allow_code: bool = False,
    take_over: bool = False,
) -> Iterator[Event]:
    """Run a study, or go on with it, until it is complete or `stop` is set.

    Every decision that is yielded is durable. Raises StudyChanged if the stored study of this
    name asks another question, StudyLocked if another process runs it (`take_over` takes it from
    one that is known to be gone), StudyFailed if its first trials all end in an error, UsageError
    if it has a trainer of the user's own and `allow_code` is not set.
    """
    parts, notes = _load(spec)
    data_fingerprint = datasets.fingerprint(*(dataset for dataset, _ in parts))
    known = store.find(spec.name)
    if known is None or not store.count_trials(known["id"]):
        check(spec, store, allow_code=allow_code)
    check_code(spec, allow_code)
    if known is not None:
        spec = same_question(spec, data_fingerprint, known, store)
        if is_done(known, store):
            yield Opened(spec, spec.search.trials)
            yield Ended("complete")
            return
    lease = store.claim(
        spec.name, studyfile.to_json(spec), data_fingerprint, version("sweep"), take_over=take_over
    )
    final: dict[str, Any] = {"state": "stopped"}
    try:
        with heartbeat(store, lease):
            recorded = _open(spec, store, lease, known, data_fingerprint)
            yield Opened(spec, recorded, ended(store.outcomes(lease.study)))
            yield from map(Notice, notes)
            with start_backend(tuple(dataset.without_test() for dataset, _ in parts)) as backend:
                store.session(lease, cpus=backend.cpus, ready=datetime.now(UTC))
                yield Ready(backend.cpus)
                final = yield from _carry_out(
                    spec, store, lease, backend, parts[0], stop or threading.Event()
                )
    except StudyFailed:
        final = {"state": "failed"}
        raise
    finally:
        store.release(lease, **final)
    yield Ended(final["state"])


def _load(spec: StudySpec) -> datasets.Loaded:
    loaded = datasets.load_study(spec)
    for dataset, _ in loaded.parts:
        space.check_data(spec, dataset)
    return loaded


def _open(
    spec: StudySpec, store: Store, lease: Lease, known: Row | None, data_fingerprint: str
) -> int:
    """Have the record say what is asked, and of which rows; how many trials it has."""
    if known is not None and known["state"] == "failed":
        store.clear(lease)
    if not (recorded := store.count_trials(lease.study)):
        begun = {"spec": studyfile.to_json(spec), "data_fingerprint": data_fingerprint}
        store.write(lease, Batch(), **begun)
    elif known is not None and known["spec"]["data"]["source"] != spec.data.source:
        store.write(lease, Batch(), spec=studyfile.to_json(spec))  # they were moved
    return recorded


def _carry_out(
    spec: StudySpec,
    store: Store,
    lease: Lease,
    backend: Backend,
    data: tuple[Dataset, Preprocessing],
    stop: threading.Event,
) -> Generator[Event, None, dict[str, Any]]:
    """Run the study to its end, or until someone asks otherwise; how it is left."""
    folder = artifacts(store.place, spec.name)
    limits = limits_of(spec)
    clock = Clock.start(spec, store.sessions(lease.study))
    with Checkpoints(folder / "checkpoints") as checkpoints:
        journal = Journal(store, lease)
        dispatch = Dispatch(backend, journal, checkpoints, limits)
        while True:
            winner = Winner(spec, *data, dispatch, folder)
            if not journal.proposed:  # those of an earlier study whose store was deleted
                remove_models(folder)
                checkpoints.clear()
            control = Control(store, lease, journal, dispatch, spec)
            warm = warm_start(spec, store, lease, journal)
            shape = Shape.of(data[0], spec.edition)
            loop = Loop(
                spec, shape, warm, journal, dispatch, winner, control, clock, stop, backend.cpus
            )
            left = yield from loop.carry_out()
            waited = {"recording": journal.recording, "recording_median": journal.recording_median}
            store.session(lease, **waited)
            if left == "complete":
                loop.check_success()
                left, tested = yield from loop.finish()
                if left == "complete":
                    return {"state": "complete"} | tested
            if left != "extend":
                dispatch.cancel()
                return {"state": "stopped"}
            before, search = spec.search, control.spec.search
            more = [name for name in CLOCKED if getattr(search, name) != getattr(before, name)]
            clock.spec = spec = spec.model_copy(update={"search": search})
            store.roll_back(lease, journal.full_step, studyfile.to_json(spec), more)
            journal = Journal(store, lease)
            dispatch.go_on(journal)
            yield Opened(spec, len(journal.proposed))


def limits_of(spec: StudySpec) -> Limits:
    """What a training of the study may use."""
    megabytes = spec.train.memory_limit
    return Limits(
        seconds=spec.train.time_limit,
        memory=None if megabytes is None else round(megabytes * 1e6),
    )


@contextmanager
def heartbeat(store: Store, lease: Lease) -> Iterator[None]:
    """Renew the lease while the study is in hand, however long a segment lasts."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(HEARTBEAT):
            try:
                store.renew(lease)
            except StudyLocked:
                return  # the next write says it, where it can be told to the user
            except StoreError:
                continue  # the same; but it may have come back by then

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()

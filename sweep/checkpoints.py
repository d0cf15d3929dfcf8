"""The states that long trials have reached, on disk, so that a crash costs one segment of each."""

import hashlib
import re
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np

from sweep.backends import Segment
from trainer import TrainState, archive, checkpoint

WORTH = 5.0
"""A state that would take longer to recompute, in predicted seconds, is written."""

SCHEMA = "sweep.Checkpoint 1"

Fetch = Callable[[], TrainState | None]


class Checkpoints:
    """One file for each trial and replicate, with the newest state, until the trial ends.

    A thread of its own writes and removes, whole files or none, so that nobody waits for the disk.
    A state that cannot be written is one that a crash makes recompute: `problem` says why, and the
    study goes on. Those of a user's own function are not written, as they are of any kind.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._replicates: dict[int, set[int]] = defaultdict(set)
        self._wanted: dict[tuple[int, int], tuple[Segment, Fetch] | None] = {}
        """What is yet to be done to each file: the state to write, or None to remove it."""
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self.problem: OSError | None = None
        for file in folder.iterdir() if folder.is_dir() else ():
            if (name := re.fullmatch(r"(\d+)-(\d+)\.npz", file.name)) is not None:
                self._replicates[int(name[1])].add(int(name[2]))
            elif file.name.startswith("."):
                file.unlink(missing_ok=True)  # of a write that was cut off

    def keep(self, segment: Segment, cost: float, fetch: Fetch) -> None:
        """Write the state after `segment` if it took `cost` > WORTH predicted seconds to reach.

        `fetch` gives it, in the thread that writes.
        """
        if cost <= WORTH or segment.function is not None or segment.until >= segment.config.epochs:
            return
        self._replicates[segment.trial].add(segment.replicate)
        self._want((segment.trial, segment.replicate), (segment, fetch))

    def load(self, segment: Segment) -> TrainState | None:
        """The state to begin `segment` from, if there is one; ArchiveError if it is damaged."""
        if segment.replicate not in self._replicates.get(segment.trial, ()):
            return None
        try:
            arrays = archive.read(self._file(segment.trial, segment.replicate), SCHEMA)
        except FileNotFoundError:
            return None
        if str(arrays.pop("training")) != _training(segment):
            return None  # of another study that had this folder
        state = checkpoint.from_arrays(arrays)
        return state if state.epoch <= segment.start else None

    def remove(self, trial: int) -> None:
        """Forget a trial."""
        for replicate in self._replicates.pop(trial, ()):
            self._want((trial, replicate), None)

    def clear(self) -> None:
        """Forget every trial."""
        for trial in list(self._replicates):
            self.remove(trial)

    def close(self) -> None:
        """Wait until all is written."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _file(self, trial: int, replicate: int) -> Path:
        return self._folder / f"{trial}-{replicate}.npz"

    def _want(self, key: tuple[int, int], wanted: tuple[Segment, Fetch] | None) -> None:
        with self._changed:
            self._wanted[key] = wanted  # a newer one takes the place of one not yet written
            self._changed.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._closed)
                if not self._wanted:
                    return
                key = next(iter(self._wanted))
                wanted = self._wanted.pop(key)
            try:
                self._carry_out(key, wanted)
            except OSError as error:
                self.problem = error

    def _carry_out(self, key: tuple[int, int], wanted: tuple[Segment, Fetch] | None) -> None:
        file = self._file(*key)
        if wanted is None:
            file.unlink(missing_ok=True)
            return
        segment, fetch = wanted
        if (state := fetch()) is not None:
            training = {"training": np.array(_training(segment))}
            archive.write(file, checkpoint.to_arrays(state) | training, SCHEMA)


def _training(segment: Segment) -> str:
    """A digest of all that decides about a state, but for the rows of data."""
    named = (segment.config, segment.seed, segment.fold)
    return hashlib.sha256(repr(named).encode()).hexdigest()

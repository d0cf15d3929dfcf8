"""A large table: how long it takes to read, and where it is in memory while a study trains on it.

python -m tests.benchmarks.large [npz|parquet|csv] [ROWS] [COLUMNS]

Writes a table of random numbers with a target of two classes into a temporary folder (by default an
.npz of 1,000,000 x 100 float32), reads it in a process of its own, and then runs a small study on a
local Ray with 2 CPUs. Prints the seconds and the peak of each process's memory: resident memory
(RSS) counts what is shared with others, such as Ray's object store, and private memory (USS, of
/proc/PID/smaps_rollup) does not.
"""

import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from sweep import datasets, studyfile
from sweep.backends.ray import RayBackend
from sweep.loop import Ready
from sweep.orchestrator import run
from sweep.store import Store

CPUS = 2
PAUSE = 0.2
"""Seconds between two looks at the processes' memory."""
MB = 1e6


class Memory(NamedTuple):
    """Bytes of a process."""

    resident: int
    private: int


def write(file: Path, rows: int, columns: int) -> None:
    """Rows of float32 and a target that has to do with them."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, columns), dtype=np.float32)
    y = (x[:, :10].sum(axis=1) + rng.standard_normal(rows, dtype=np.float32) > 0).astype(np.int64)
    if file.suffix == ".npz":
        np.savez(file, x=x, y=y)
        return
    names = {f"x_{i}": pa.array(column) for i, column in enumerate(x.T.round(4))}
    table = pa.table(names | {"y": pa.array(y)})
    parquet.write_table(table, file) if file.suffix == ".parquet" else csv.write_csv(table, file)


def study(file: Path) -> studyfile.StudySpec:
    """A few trials of a few epochs."""
    return studyfile.from_json(
        {
            "name": "large",
            "data": {"source": str(file), "target": "y"},
            "space": {
                "neurons": {"low": 32, "high": 64},
                "batch_size": 1024,
                "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True},
            },
            "train": {"epochs": 2},
            "search": {"trials": 4, "workers": 4, "pruner": "none", "sampler": "random"},
        }
    )


def memory(pid: int | str) -> Memory | None:
    """Of a process, if it is still there and ours to look at."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return None
    sizes = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines}
    return Memory(sizes["Rss"], sizes["Private_Clean"] + sizes["Private_Dirty"])


def workers() -> list[int]:
    """The Ray workers of this process that train."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "cmdline").read_bytes().startswith(b"ray::_compute"):
                found.append(int(folder.name))
        except OSError:
            continue
    return [pid for pid in found if os.getpid() in ancestors(pid)]


def ancestors(pid: int) -> list[int]:
    """The processes that a process was started from, nearest first."""
    found = []
    while pid > 1:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            break
        pid = int(status.split("PPid:")[1].split()[0])
        found.append(pid)
    return found


def shared() -> int:
    """Bytes in the memory that Ray's object store is in."""
    space = os.statvfs("/dev/shm")
    return (space.f_blocks - space.f_bfree) * space.f_frsize


class Peaks:
    """The largest memory of this process, of each worker, and of the object store."""

    def __init__(self) -> None:
        self.resident, self.private = Counter[str](), Counter[str]()
        self.before, self.store = shared(), 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Peaks":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(PAUSE):
            self.store = max(self.store, shared() - self.before)
            named = {"driver": os.getpid()} | {f"worker {pid}": pid for pid in workers()}
            for name, pid in named.items():
                if (found := memory(pid)) is not None:
                    self.resident[name] = max(self.resident[name], found.resident)
                    self.private[name] = max(self.private[name], found.private)


def read(file: Path) -> None:
    """Read, share out and scale the table; in a process of its own."""
    began = time.perf_counter()
    start = memory("self")
    dataset, _ = datasets.load(study(file).data)
    seconds = time.perf_counter() - began
    status = Path("/proc/self/status").read_text()
    peak = 1024 * int(status.split("VmHWM:")[1].split()[0])
    arrays = (dataset.train, dataset.validation, dataset.test)
    size = sum(array.nbytes for part in arrays if part is not None for array in part)
    print(
        f"read, shared out and scaled in {seconds:.1f} s, {time.process_time():.1f} s of them on a "
        f"CPU; peak {peak / MB:.0f} MB "
        f"(of which {start.resident / MB if start else 0:.0f} MB before), arrays {size / MB:.0f} MB"
    )


def main() -> None:
    ending, rows, columns = (sys.argv[1:] + ["npz", "1000000", "100"][len(sys.argv) - 1 :])[:3]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"large.{ending}"
        writer = multiprocessing.get_context("spawn").Process(
            target=write, args=(file, int(rows), int(columns))
        )
        writer.start()
        writer.join()
        print(f"{rows} x {columns} as {ending}: a file of {file.stat().st_size / MB:.0f} MB")
        reader = multiprocessing.get_context("spawn").Process(target=read, args=(file,))
        reader.start()
        reader.join()
        began = time.perf_counter()
        with Peaks() as peaks, Store(Path(folder) / "sweep.db") as store:
            for event in run(study(file), store, lambda sets: RayBackend(sets, cpus=CPUS)):
                if isinstance(event, Ready):
                    print(f"Ray ready after {time.perf_counter() - began:.1f} s")
        print(f"the study took {time.perf_counter() - began:.1f} s")
        print(f"object store: {peaks.store / MB:.0f} MB more than before")
        for name in peaks.resident:
            print(
                f"{name}: RSS {peaks.resident[name] / MB:.0f} MB, "
                f"private {peaks.private[name] / MB:.0f} MB"
            )


if __name__ == "__main__":
    main()

"""Small studies that the tests run, and what they ask of one."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event as Flag
from typing import Any

from sweep import studyfile
from sweep.backends import Backend
from sweep.backends.serial import SerialBackend
from sweep.loop import Event
from sweep.orchestrator import run
from sweep.results import Study, load
from sweep.spec import StudySpec
from sweep.store import Store
from trainer import Dataset

Start = Callable[[tuple[Dataset, ...]], Backend]

SMALL = """
name = "small"

[data]
source = "sklearn:iris"

[space]
layers = { low = 0, high = 2 }
neurons = { low = 2, high = 16, log = true }
activation = ["relu", "tanh", "signum"]
optimizer = ["sgd", "momentum", "adam"]
batch_size = { low = 4, high = 64, log = true }
learning_rate = { low = 1e-4, high = 1.0, log = true }

[train]
epochs = 9

[search]
trials = 24
workers = 4
"""


EMBEDDED = SMALL.replace(
    "[space]",
    """[space]
embedding = ["none", "piecewise_linear", "periodic"]
bins = { low = 2, high = 16, log = true }
frequencies = { low = 1, high = 8 }
frequency_scale = { low = 0.01, high = 1.0, log = true }""",
)


def write(folder: Path, text: str = SMALL) -> Path:
    """A study file in this folder."""
    file = folder / "study.toml"
    file.write_text(text)
    return file


def small(folder: Path, text: str = SMALL, **search: Any) -> StudySpec:
    """The small study, or another, with other values in its [search] table."""
    lines = text.strip().splitlines()
    keys = {line.split(" = ")[0] for line in lines}
    for key, value in search.items():
        if key in keys:
            lines = [line for line in lines if not line.startswith(f"{key} = ")]
        lines.append(f"{key} = {value!r}".replace("'", '"'))
    return studyfile.load(write(folder, "\n".join(lines)))


def finish(
    spec: StudySpec, path: Path, start: Start = SerialBackend, *, allow_code: bool = False
) -> Study:
    """Run a study to its end and load it."""
    for _ in events(spec, path, start, allow_code=allow_code):
        pass
    return load(spec.name, path)


def events(
    spec: StudySpec,
    path: Path,
    start: Start = SerialBackend,
    stop: Flag | None = None,
    *,
    allow_code: bool = False,
) -> Iterator[Event]:
    """The events of a study in the store at `path`."""
    with Store(path) as store:
        yield from run(spec, store, start, stop, allow_code=allow_code)

"""Where the record is kept."""

import os
from pathlib import Path

from sweep.errors import StoreError

DEFAULT = Path("runs") / "sweep.db"


def locate(store: str | Path | None = None) -> Path:
    """The file of the store: as given, else SWEEP_STORE, else the nearest runs/sweep.db upwards of
    here (so that a notebook in studies/digits finds it), else runs/sweep.db."""
    given = str(store or os.environ.get("SWEEP_STORE") or "")
    if given:
        return _file(given)
    here = Path.cwd()
    found = (folder / DEFAULT for folder in (here, *here.parents) if (folder / DEFAULT).is_file())
    return next(found, here / DEFAULT)


def artifacts(store: Path, study: str) -> Path:
    """The folder of a study's model files; `study` is a name that the study file's rules allow.

    Beside runs/sweep.db it is in runs/artifacts; another store has a folder of its own.
    """
    folder = "artifacts" if store.name == DEFAULT.name else f"{store.stem}-artifacts"
    return store.parent / folder / study


def _file(given: str) -> Path:
    scheme, separator, rest = given.partition("://")
    if not separator:
        return Path(given).expanduser()
    if scheme == "sqlite" and rest.startswith("/"):
        return Path(rest[1:]).expanduser()
    raise StoreError(
        f"store {scheme}://...: this release keeps its record in SQLite; "
        "give the path of a file, such as runs/sweep.db"
    )

"""Where the record is kept."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from sweep.errors import StoreError

DEFAULT = Path("runs") / "sweep.db"

HEAD, MODELS = "studies.parquet", "models"
"""The file by which the folder of an exported study is known, and where it keeps model files."""

_ALLOWED = "give the path of a file, such as runs/sweep.db, or postgresql://USER@HOST/DATABASE"


@dataclass(frozen=True, slots=True)
class Location:
    """The place of a store: the file of a SQLite store, the URL of a PostgreSQL database or the
    folder of an exported study, which is only read.

    Its text can be shown to anyone: passwords in a URL are left out.
    """

    place: Path | URL

    def __str__(self) -> str:
        if isinstance(self.place, Path):
            return str(self.place)
        secrets = [key for key in self.place.query if "password" in key]
        url = self.place.difference_update_query(secrets).set(drivername="postgresql")
        return url.render_as_string(hide_password=True)

    def __repr__(self) -> str:
        return f"Location({str(self)!r})"

    @property
    def is_export(self) -> bool:
        """Whether it is a folder that `Study.to_parquet` wrote."""
        return isinstance(self.place, Path) and (self.place / HEAD).is_file()

    def artifacts(self, study: str) -> Path:
        """The folder of a study's model files; `study` is a name that the study file's rules allow.

        Beside runs/sweep.db it is in runs/artifacts; another store has a folder of its own. A
        PostgreSQL database has one in the nearest runs/ upwards of here, or in SWEEP_ARTIFACTS.
        """
        if isinstance(self.place, Path):
            if self.is_export:
                return self.place / MODELS
            own = "artifacts" if self.place.name == DEFAULT.name else f"{self.place.stem}-artifacts"
            return self.place.parent / own / study
        if given := os.environ.get("SWEEP_ARTIFACTS"):
            return Path(given).expanduser() / study
        own = re.sub(r"[^\w.-]", "_", f"{self.place.database}-artifacts")
        return _upwards(DEFAULT.parent).absolute() / own / study


def locate(store: str | Path | Location | None = None) -> Location:
    """The place of the store: as given, else SWEEP_STORE, else the nearest runs/sweep.db upwards of
    here (so that a notebook in studies/digits finds it), else runs/sweep.db."""
    if isinstance(store, Location):
        return store
    if isinstance(store, Path):
        return Location(store.expanduser())
    given = store or os.environ.get("SWEEP_STORE") or ""
    return _parse(given) if given else Location(_upwards(DEFAULT))


def artifacts(store: str | Path | Location, study: str) -> Path:
    """The folder of the model files of a study in this store."""
    return locate(store).artifacts(study)


def _upwards(name: Path) -> Path:
    here = Path.cwd()
    found = (folder / name for folder in (here, *here.parents) if (folder / name).exists())
    return next(found, here / name)


def _parse(given: str) -> Location:
    scheme, separator, rest = given.partition("://")
    if not separator:
        return Location(Path(given).expanduser())
    if scheme == "sqlite" and rest.startswith("/"):
        return Location(Path(rest[1:]).expanduser())
    # What cannot be read is not repeated: a password may be in it.
    if scheme not in ("postgresql", "postgresql+psycopg"):
        raise StoreError(f"store {scheme}://...: there is none of that kind; {_ALLOWED}")
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise StoreError(f"store {scheme}://...: this is no URL; {_ALLOWED}") from None
    if not url.database:
        raise StoreError(f"store {scheme}://...: the URL names no database; {_ALLOWED}")
    return Location(url.set(drivername="postgresql+psycopg"))

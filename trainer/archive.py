"""Named arrays in an .npz file: no pickle, written whole or not at all, and checked when read."""

import hashlib
import io
import os
import uuid
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

ZIP = b"PK\x03\x04"
"""What every .npz file with something in it starts with."""


class ArchiveError(ValueError):
    """A file that is damaged, or of another schema."""


def write(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray], schema: str) -> None:
    """Write the arrays to `path`, which holds the old content or the new one at every moment.

    `schema` says what the arrays mean; `read` asks for it. Folders on the way are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("xb") as file:
            file.write(to_bytes(arrays, schema))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read(path: str | os.PathLike[str], schema: str) -> dict[str, np.ndarray]:
    """The arrays written to `path`; ArchiveError if they are damaged or of another schema."""
    try:
        return from_bytes(Path(path).read_bytes(), schema)
    except ArchiveError as error:
        raise ArchiveError(f"{os.fspath(path)}: {error}") from error


def to_bytes(arrays: Mapping[str, np.ndarray], schema: str) -> bytes:
    """The archive: the arrays, the schema and a digest of them all."""
    content = {"schema": np.array(schema), **arrays}
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, sha256=np.array(_digest(content)), **content)
    return file.getvalue()


def from_bytes(data: bytes, schema: str) -> dict[str, np.ndarray]:
    """The arrays in an archive made by `to_bytes`; ArchiveError as `read`."""
    if not (data.startswith(ZIP) and zipfile.is_zipfile(io.BytesIO(data))):
        raise ArchiveError("not a whole archive: it is no .npz file, or a part of one")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = dict(archive)
        if not {"schema", "sha256"} <= arrays.keys():
            raise ArchiveError("it has no schema or no SHA-256: it was not written by this package")
        sound = arrays.pop("sha256").item() == _digest(arrays)
        found = str(arrays.pop("schema"))
    except ArchiveError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds on damaged bytes
        if "Object arrays" in str(error):
            raise ArchiveError("it holds pickled objects, which are never read") from None
        raise ArchiveError(f"not a whole archive: {error}") from error
    if not sound:
        raise ArchiveError("the contents do not match their SHA-256")
    if found != schema:
        raise ArchiveError(f"holds {found!r}, but {schema!r} is read here")
    return arrays


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()

"""Arrays of an .npz as a table: the columns of x, and every array of one dimension."""

import zipfile
from typing import BinaryIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweep.datasets.problems import DataProblem, listed
from sweep.errors import first_line

NAMES = ("features", "feature_names")
"""The arrays that may name the columns of x."""


def size(file: BinaryIO) -> int:
    """Bytes of all arrays, as the archive says; 0 if it is none."""
    try:
        with zipfile.ZipFile(file) as archive:
            return sum(item.file_size for item in archive.infolist())
    except Exception:  # of damaged bytes; reading them will tell
        return 0


def whole(file: BinaryIO, name: str) -> pd.DataFrame:
    """The arrays as columns, each matrix's named after it: x_0, x_1, ...; DataProblem if unfit."""
    arrays = _load(file, name)
    named = next((arrays.pop(key) for key in NAMES if key in arrays), None)
    if not arrays:
        raise DataProblem(f"{name} has no arrays; it needs x (rows, columns) and y (rows,)")
    rows = _rows(arrays, name)
    if rows == 0:
        raise DataProblem(f"{name} has no rows")
    parts = [_columns(key, array, named, name) for key, array in arrays.items()]
    # Without a copy of the large one.
    return parts[0] if len(parts) == 1 else pd.concat(parts, axis=1)


def _load(file: BinaryIO, name: str) -> dict[str, NDArray[np.generic]]:
    file.seek(0)
    if file.read(2) != b"PK":
        raise DataProblem(f"{name} is no .npz archive: write it with numpy.savez(file, x=x, y=y)")
    file.seek(0)
    found = {}
    try:
        with np.load(file, allow_pickle=False) as archive:
            for key in archive.files:
                found[key] = np.asarray(archive[key])
    except ValueError as error:
        if "allow_pickle" in str(error):
            raise DataProblem(
                f"{name}: an array holds Python objects, which are never unpickled, as that would "
                "run code; save it as numbers or texts: x.astype(float), y.astype(str)"
            ) from None
        raise DataProblem(f"{name} is damaged: {first_line(error)[:120]}; write it again") from None
    except Exception as error:  # zipfile, zlib and NumPy raise a dozen kinds on damaged bytes
        raise DataProblem(f"{name} is damaged: {first_line(error)[:120]}; write it again") from None
    return found


def _rows(arrays: dict[str, NDArray[np.generic]], name: str) -> int:
    for key, array in arrays.items():
        if array.ndim not in (1, 2):
            hint = f"; reshape it: {key}.reshape(len({key}), -1)" if array.ndim > 2 else ""
            raise DataProblem(
                f"{name}: {key} has the shape {array.shape}, which is neither (rows,) nor "
                f"(rows, columns){hint}"
            )
        if array.dtype.kind not in "fiubUSM":
            raise DataProblem(
                f"{name}: {key} has the type {array.dtype}; numbers, truths, texts and times can "
                "be read"
            )
    lengths = {key: len(array) for key, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        told = listed(tuple(f"{key} has {rows} rows" for key, rows in lengths.items()))
        raise DataProblem(
            f"{name}: {told}; all arrays must be as long (but for `features`, the names of x's "
            "columns)"
        )
    return next(iter(lengths.values()))


def _columns(
    key: str, array: NDArray[np.generic], named: NDArray[np.generic] | None, name: str
) -> pd.DataFrame:
    if array.dtype.kind == "S":
        array = np.char.decode(array.astype(np.bytes_), "latin-1")
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    if array.dtype.kind == "M":
        array = array.astype("M8[us]")
    if array.ndim == 1:
        values = pd.Series(array, dtype="str") if array.dtype.kind == "U" else array
        return pd.DataFrame({key: values})
    names = [f"{key}_{i}" for i in range(array.shape[1])]
    if named is not None and key in ("x", "X"):
        if named.shape != (array.shape[1],):
            raise DataProblem(
                f"{name}: there are {named.size} names of features, and {key} has "
                f"{array.shape[1]} columns"
            )
        names = [str(text) for text in named]
    if array.dtype.kind == "U":
        return pd.DataFrame(array, columns=names, dtype="str")
    return pd.DataFrame(array, columns=names, copy=False)

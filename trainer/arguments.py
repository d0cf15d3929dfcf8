"""Arguments of a call, checked: a refusal names the argument, and says what it must be."""

from typing import Any

import numpy as np

AT_LEAST = {0: "an integer of at least 0", 1: "a positive integer"}
"""Words for the least value of an integer."""


def check_type(name: str, value: object, kind: type) -> None:
    """Raise ValueError if an argument is not of a class of ours."""
    if not isinstance(value, kind):
        raise ValueError(
            f"{name} must be a {kind.__name__}, not of the type {type(value).__name__}"
        )


def is_whole(value: object) -> bool:
    """Whether it is an integer of Python's or NumPy's, which True is not."""
    return type(value) is int or isinstance(value, np.integer)


def shown(value: object) -> str:
    """A value in a message: a number of NumPy's as what it is, and that this is what is wrong."""
    if isinstance(value, np.generic):
        return f"{value.item()!r} of NumPy's type {value.dtype}; use .item()"
    return repr(value)


def check_integer(name: str, value: Any, least: int) -> None:
    """Raise ValueError if an argument is no integer, or below `least`, 0 or 1."""
    if not is_whole(value) or value < least:
        plain = value.item() if isinstance(value, np.generic) else value
        raise ValueError(f"{name} must be {AT_LEAST[least]}, not {plain!r}")


def check_numbers(name: str, array: np.ndarray, columns: str) -> None:
    """Raise ValueError if `array` is not (rows, columns) of finite numbers."""
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
        raise ValueError(f"{name} must be an array of real numbers, not {described(array)}")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{name} must have shape (rows, {columns}), at least one of each, not {array.shape}"
        )
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(
            f"{name} must be finite; row {row}, column {column} is {array[row, column]}: "
            "fill it or drop the row"
        )


def described(value: object) -> str:
    """The dtype of an array, or the type of anything else."""
    dtype = getattr(value, "dtype", None)
    return f"of dtype {dtype}" if dtype is not None else type(value).__name__

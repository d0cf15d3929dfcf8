"""What users give the estimators, checked: a refusal is one line that names the argument."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from trainer.config import TrainConfig
from trainer.effects import without_effect
from trainer.modelfile import plain

LARGEST = {"float32": 1e38, "float64": 1e100}
"""Beyond it, numbers overflow in float32, and weighted sums of their squares in float64."""

LEAST = {"float32": 1e-40, "float64": 1e-100}
"""Columns that vary by less are constant in float32, or have a variance of 0 in float64."""

FLOATS = (np.float64, np.float32)

SHOWN = 10
"""Labels named in a message, at most."""


def validated(model: Any, reset: bool, **arrays: Any) -> Any:
    """What scikit-learn's `validate_data` makes of X, or of X and y, as real numbers, by rows: that
    is how batches are gathered, at a quarter of the time that columns take."""
    try:
        return validate_data(model, reset=reset, dtype=FLOATS, order="C", **arrays)
    except ValueError as error:
        raise ValueError(_in_one_line(str(error))) from None


def _in_one_line(text: str) -> str:
    """A refusal of scikit-learn's without its advice; some words its own checks look for."""
    if text.startswith("Input X contains NaN"):
        return "Input X contains NaN: fill these values, or drop their rows"
    if text.startswith("Expected 2D array"):
        found = text.partition("got ")[2].partition(" instead")[0]
        return (
            f"X must have shape (rows, features), not be a {found}. Reshape your data: "
            "X.reshape(-1, 1) of one feature, X.reshape(1, -1) of one row"
        )
    if text.startswith("could not convert"):
        return f"X must be numbers: {text}"
    # Its checks hold the lines of this one.
    return text if text.startswith("The feature names") else " ".join(text.split())


def numbers(name: str, values: np.ndarray) -> np.ndarray:
    """In float64; ValueError where these are words."""
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be numbers, not {plain(values.flat[0])!r}") from None


def check_range(name: str, values: np.ndarray, dtype: str) -> None:
    """Raise ValueError if a value (rows, columns) is too large for this dtype."""
    limit = LARGEST[dtype]
    if max(values.max(), -values.min()) <= limit:
        return
    row, column = np.argwhere(np.absolute(values) > limit)[0]
    other = " or use dtype='float64'" if dtype == "float32" else ""
    raise ValueError(
        f"{name} must be within +/- {limit:g}, or it overflows {dtype}; row {row}, column {column} "
        f"is {values[row, column]:.3g}: scale it{',' if other else ''}{other}"
    )


def check_spread(name: str, values: np.ndarray, dtype: str) -> None:
    """Raise ValueError if every column (rows, columns) that varies vanishes in this dtype, and warn
    if some do."""
    least, spread = LEAST[dtype], np.ptp(values, axis=0)
    vanishing = (spread > 0) & (spread < least)
    if not vanishing.any():
        return
    column = int(vanishing.argmax())
    other = ", or use dtype='float64'" if dtype == "float32" else ""
    text = (
        f"column {column} of {name} varies by {spread[column]:.3g}, and less than {least:g} "
        f"vanishes in {dtype}: scale it{other}"
    )
    if (spread < least).all():
        raise ValueError(text)
    warnings.warn(f"{text}; it counts as constant", UserWarning, stacklevel=2)


def sample_weights(given: Any, rows: int) -> np.ndarray:
    """(rows,) in float64; one number is that of all."""
    try:
        weights = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"sample_weight must be {rows} numbers, one a row, not {_shown(given)}"
        ) from None
    if weights.ndim == 0:
        weights = np.full(rows, weights)
    if weights.shape != (rows,):
        raise ValueError(
            f"sample_weight must have shape ({rows},), one number a row, not {weights.shape}"
        )
    with np.errstate(over="ignore"):
        total = float(weights.sum())
    if not (np.isfinite(weights).all() and weights.min() >= 0):
        worst = weights[~(np.isfinite(weights) & (weights >= 0))][0]
        raise ValueError(f"sample_weight must be 0 or above, and finite, not {worst:g}")
    if not total:
        raise ValueError("sample_weight must be more than zero in some row, and is 0 in all")
    _check_total("sample_weight", total)
    return weights


def class_weights(
    given: Any, classes: np.ndarray, labels: np.ndarray, weights: np.ndarray | None
) -> np.ndarray:
    """(classes,) factors of the rows' weights; `labels` (rows,) count from 0.

    "balanced" is rows / (number of classes * rows of the class), with rows counted by their
    weights; a mapping may leave out classes, which then count 1.
    """
    if isinstance(given, str) and given == "balanced":
        counts = np.bincount(labels, weights, minlength=len(classes))
        return np.asarray(counts.sum() / (len(classes) * np.where(counts > 0, counts, math.inf)))
    if not isinstance(given, Mapping):
        raise ValueError(
            'class_weight must be None, "balanced" or a mapping of labels to numbers, '
            f"not {_shown(given)}"
        )
    known = classes.tolist()
    for label, weight in given.items():
        if label not in known:
            raise ValueError(
                f"class_weight must be of the labels {listed(classes)}, not of {plain(label)!r}"
            )
        if not _is_number(weight) or not 0 <= weight < math.inf:
            raise ValueError(
                f"class_weight must be a finite number, 0 or above, for each label; that of "
                f"{plain(label)!r} is {_shown(weight)}"
            )
    factors = np.array([float(given.get(label, 1)) for label in known])
    with np.errstate(over="ignore"):
        total = float((factors[labels] * (1 if weights is None else weights)).sum())
    _check_total("class_weight", total)
    return factors


def _check_total(name: str, total: float) -> None:
    if not LEAST["float64"] < total < LARGEST["float64"]:
        raise ValueError(
            f"{name} must leave a total weight between {LEAST['float64']:g} and "
            f"{LARGEST['float64']:g}, not {total:g}"
        )


def check_parameters(model: Any) -> None:
    """Raise ValueError for a parameter of an estimator that is none of TrainConfig's fields."""
    if not isinstance(model.standardize, (bool, np.bool_)):
        raise ValueError(f"standardize must be True or False, not {_shown(model.standardize)}")
    fraction = model.validation_fraction
    if not _is_number(fraction) or not 0 < fraction < 1:
        raise ValueError(
            f"validation_fraction must be a number between 0 and 1, not {_shown(fraction)}"
        )
    try:
        sound = not isinstance(model.random_state, (bool, np.bool_))
        check_random_state(model.random_state)
    except (TypeError, ValueError):
        sound = False
    if not sound:
        raise ValueError(
            "random_state must be None, an integer from 0 to 2**32 - 1 or a RandomState, "
            f"not {_shown(model.random_state)}"
        )


def warn_of_idle(model: Any, config: TrainConfig) -> None:
    """Warn of every parameter of an estimator that does nothing beside the others."""
    idle = without_effect(config)
    if model.validation_fraction != type(model).validation_fraction and not config.patience:
        fraction = plain(model.validation_fraction)
        idle.append(f"validation_fraction {fraction} has no effect without patience; set patience")
    for line in idle:
        warnings.warn(line, UserWarning, stacklevel=3)


def listed(values: np.ndarray) -> str:
    """Some of the values (n,), as Python writes them."""
    shown = ", ".join(repr(value) for value in values[:SHOWN].tolist())
    return f"[{shown}{', ...' if len(values) > SHOWN else ''}]"


def _shown(value: object) -> str:
    """A value in a few words of one line."""
    text = " ".join(repr(plain(value)).split())
    return text if len(text) <= 60 else f"{text[:60]}..."


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)

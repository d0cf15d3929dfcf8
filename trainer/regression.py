"""Metrics of values (rows, outputs), as scikit-learn defines them.

Each is the mean of every output's own, in float64.
"""

import numpy as np


def mse(predictions: np.ndarray, values: np.ndarray) -> float:
    """Mean squared error."""
    return float(_squared_errors(predictions, values).mean(axis=0).mean())


def rmse(predictions: np.ndarray, values: np.ndarray) -> float:
    """Root of the mean squared error."""
    return float(np.sqrt(_squared_errors(predictions, values).mean(axis=0)).mean())


def rmsle(predictions: np.ndarray, values: np.ndarray) -> float:
    """Root of the mean squared error of log(1 + y), for values above -1.

    A prediction of -1 or less, of which scikit-learn gives no value, counts as one just above.
    """
    least = np.finfo(np.float64).eps - 1
    logarithms = np.log1p(np.maximum(predictions, least, dtype=np.float64))
    return rmse(logarithms, np.log1p(values, dtype=np.float64))


def mae(predictions: np.ndarray, values: np.ndarray) -> float:
    """Mean absolute error."""
    return float(_errors(predictions, values).mean())


def median_absolute_error(predictions: np.ndarray, values: np.ndarray) -> float:
    """Median of the absolute errors."""
    return float(np.median(_errors(predictions, values), axis=0).mean())


def max_error(predictions: np.ndarray, values: np.ndarray) -> float:
    """Largest absolute error; scikit-learn has it for one output only."""
    return float(_errors(predictions, values).max(axis=0).mean())


def mape(predictions: np.ndarray, values: np.ndarray) -> float:
    """Mean of |error / value|, a share and no percentage; huge where a value is 0."""
    least = np.finfo(np.float64).eps
    sizes = np.maximum(np.absolute(values, dtype=np.float64), least)
    return float((_errors(predictions, values) / sizes).mean())


def r2(predictions: np.ndarray, values: np.ndarray) -> float:
    """1 - squared error / variance of the targets; constant targets score 1 if exact, else 0."""
    errors = _squared_errors(predictions, values).sum(axis=0)
    spread = _squared_errors(values, values.mean(axis=0, dtype=np.float64)).sum(axis=0)
    return _explained(errors, spread)


def explained_variance(predictions: np.ndarray, values: np.ndarray) -> float:
    """As r2, of errors less their mean: what is predicted too high throughout is no error."""
    errors = np.subtract(values, predictions, dtype=np.float64)
    return _explained(errors.var(axis=0), values.var(axis=0, dtype=np.float64))


def _explained(errors: np.ndarray, spread: np.ndarray) -> float:
    ratio = np.divide(errors, spread, out=(errors > 0).astype(np.float64), where=spread > 0)
    return float((1 - ratio).mean())


def _errors(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.absolute(np.subtract(a, b, dtype=np.float64)))


def _squared_errors(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.square(np.subtract(a, b, dtype=np.float64)))

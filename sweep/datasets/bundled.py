"""The sets that come with scikit-learn."""

from collections.abc import Callable
from typing import Any

import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine

TARGET = "target"
"""The name of the column to predict: class indices, or values."""

LOADERS: dict[str, Callable[[], Any]] = {
    "sklearn:breast_cancer": load_breast_cancer,
    "sklearn:diabetes": load_diabetes,
    "sklearn:digits": load_digits,
    "sklearn:iris": load_iris,
    "sklearn:wine": load_wine,
}


def whole(source: str) -> tuple[pd.DataFrame, NDArray[Any] | None]:
    """The features as float64 and the target; and the name of each class, if there are classes."""
    bunch = LOADERS[source]()
    frame = pd.DataFrame(bunch.data, columns=[str(name) for name in bunch.feature_names])
    frame[TARGET] = bunch.target
    return frame, bunch.get("target_names")

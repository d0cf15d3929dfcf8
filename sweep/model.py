"""A trained network with its preprocessing: raw rows in, labels or values out."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sweep.datasets import Preprocessing
from trainer import LOSSES, Dataset, Split, TrainConfig, archive, evaluate, predict

if TYPE_CHECKING:
    from pandas import DataFrame

SCHEMA = "sweep model 2"

RawRows = Union["DataFrame", ArrayLike]
"""A table whose columns are found by name, whatever their order and whatever others there are, or
an array (rows, columns) of all features of the data in its order."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """The winner of a study, or any of its trials.

    Raw rows that lack a column or hold a value of another kind raise ValueError, which names it.
    """

    config: TrainConfig
    parameters: NDArray[Any]
    preprocessing: Preprocessing

    def predict(self, x: RawRows) -> NDArray[Any]:
        """Labels (rows,), 0 or 1 for each of several labels (rows, labels), or values
        (rows, targets), as the data has them."""
        return self.decide(self.outputs(x))

    def predict_proba(self, x: RawRows) -> NDArray[Any]:
        """The probability of each class (rows, classes), or of each of several labels
        (rows, labels); ValueError if the model gives none."""
        if refusal := self.refuses_probabilities:
            raise ValueError(refusal)
        return self.outputs(x)

    @property
    def refuses_probabilities(self) -> str:
        """Why the model gives no probabilities; nothing if it does."""
        if self.preprocessing.target.task == "regression":
            return "a regression gives values and no probabilities; use predict"
        if LOSSES[self.config.loss].probabilities is None:
            return (
                f"a network trained with the loss {self.config.loss} gives scores, not "
                "probabilities; use predict, or train with softmax_cross_entropy"
            )
        return ""

    def outputs(self, x: RawRows) -> NDArray[Any]:
        """Probabilities or scores (rows, classes or labels), or values as they were trained."""
        rows = self.preprocessing.transform(x)
        target = self.preprocessing.target
        several = target.task == "multilabel"
        return predict(self.config, self.parameters, rows, target.n_outputs, indicators=several)

    def decide(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """What `predict` makes of `outputs`."""
        target = self.preprocessing.target
        if target.task == "classification":
            return target.labels(outputs.argmax(axis=1))
        if target.task == "multilabel":
            return (outputs >= 0.5).astype(np.int64)
        return target.values(outputs)

    def score(self, dataset: Dataset, split: Split) -> float:
        """The study's metric on one of the splits of its dataset."""
        return evaluate(self.config, self.parameters, dataset, split)[1]

    def save(self, path: Path) -> None:
        """Write the model as .npz, without pickle."""
        arrays = {
            "config": np.array(json.dumps(asdict(self.config))),
            "parameters": self.parameters,
            **self.preprocessing.to_arrays(),
        }
        archive.write(path, arrays, SCHEMA)

    @classmethod
    def load(cls, path: Path) -> "Model":
        """The model that `save` wrote; trainer.archive.ArchiveError if it is damaged, or of
        another release."""
        arrays = archive.read(path, SCHEMA)
        fields = json.loads(str(arrays.pop("config")))
        config = TrainConfig(**fields | {"neurons": tuple(fields["neurons"])})
        parameters = arrays.pop("parameters")
        return cls(config, parameters, Preprocessing.from_arrays(arrays))


def model_file(folder: Path, trial: int) -> Path:
    """Where the model of a trial is kept."""
    return folder / f"trial-{trial:05d}.npz"

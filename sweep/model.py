"""A trained network with its preprocessing: raw rows in, labels or values out."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sweep.datasets import Preprocessing
from trainer import Dataset, Split, TrainConfig, archive, evaluate, evaluate_draws, predict

SCHEMA = "sweep model 1"


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """The winner of a study, or any of its trials."""

    config: TrainConfig
    parameters: NDArray[Any]
    preprocessing: Preprocessing

    def predict(self, x: ArrayLike) -> NDArray[Any]:
        """Labels (rows,), or values (rows, outputs), of raw rows (rows, features)."""
        outputs = self._outputs(self.preprocessing.transform(x))
        if self.preprocessing.classes is None:
            return self.preprocessing.targets(outputs)
        return self.preprocessing.labels(outputs.argmax(axis=1))

    def predict_proba(self, x: ArrayLike) -> NDArray[Any]:
        """The probability of each class, (rows, classes); ValueError if the model gives none."""
        if self.config.loss == "mean_squared":
            raise ValueError(
                "a network trained with the loss mean_squared gives scores, not probabilities; "
                "use predict, or train with softmax_cross_entropy"
            )
        return self._outputs(self.preprocessing.transform(x))

    def score(self, dataset: Dataset, split: Split) -> float:
        """The study's metric on one of the splits of its dataset."""
        return evaluate(self.config, self.parameters, dataset, split)[1]

    def scores(
        self, dataset: Dataset, split: Split, draws: Iterable[NDArray[Any]]
    ) -> Iterator[float]:
        """The study's metric on each draw (rows,) of a split's rows."""
        return evaluate_draws(self.config, self.parameters, dataset, split, draws)

    def _outputs(self, x: NDArray[Any]) -> NDArray[Any]:
        classes = self.preprocessing.classes
        n_outputs = len(self.preprocessing.target_mean) if classes is None else len(classes)
        return predict(self.config, self.parameters, x, n_outputs)

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
        """The model that `save` wrote; trainer.archive.ArchiveError if it is damaged."""
        arrays = archive.read(path, SCHEMA)
        fields = json.loads(str(arrays.pop("config")))
        config = TrainConfig(**fields | {"neurons": tuple(fields["neurons"])})
        parameters = arrays.pop("parameters")
        return cls(config, parameters, Preprocessing.from_arrays(arrays))


def model_file(folder: Path, trial: int) -> Path:
    """Where the model of a trial is kept."""
    return folder / f"trial-{trial:05d}.npz"

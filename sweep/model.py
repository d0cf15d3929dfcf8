"""A trained network with its preprocessing: raw rows in, labels or values out."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sweep.datasets import Preprocessing
from trainer import Dataset, Split, TrainConfig, archive, embeddings, evaluate, predict

SCHEMA = "sweep model 1"


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """The winner of a study, or any of its trials."""

    config: TrainConfig
    parameters: NDArray[Any]
    preprocessing: Preprocessing
    embedding: embeddings.Embedding | None = None
    """The TrainState's, between the two."""

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
        return evaluate(self.config, self.parameters, dataset, split, self.embedding)[1]

    def _outputs(self, x: NDArray[Any]) -> NDArray[Any]:
        classes = self.preprocessing.classes
        n_outputs = len(self.preprocessing.target_mean) if classes is None else len(classes)
        return predict(self.config, self.parameters, x, n_outputs, embedding=self.embedding)

    def save(self, path: Path) -> None:
        """Write the model as .npz, without pickle."""
        arrays = {
            "config": np.array(json.dumps(asdict(self.config))),
            "parameters": self.parameters,
            **embeddings.to_arrays(self.embedding),
            **self.preprocessing.to_arrays(),
        }
        archive.write(path, arrays, SCHEMA)

    @classmethod
    def load(cls, path: Path) -> "Model":
        """The model that `save` wrote; trainer.archive.ArchiveError if it is damaged."""
        arrays = archive.read(path, SCHEMA)
        fields = json.loads(str(arrays.pop("config")))
        config = TrainConfig(**fields | {"neurons": tuple(fields["neurons"])})
        parameters, embedding = arrays.pop("parameters"), embeddings.from_arrays(arrays)
        rest = {name: array for name, array in arrays.items() if not name.startswith("embedding")}
        return cls(config, parameters, Preprocessing.from_arrays(rest), embedding)


def model_file(folder: Path, trial: int) -> Path:
    """Where the model of a trial is kept."""
    return folder / f"trial-{trial:05d}.npz"

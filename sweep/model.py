"""A trained network with its preprocessing: raw rows in, labels or values out."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sweep.datasets import Preprocessing
from trainer import (
    LOSSES,
    Dataset,
    Split,
    TrainConfig,
    archive,
    build_network,
    embeddings,
    evaluate,
    evaluate_draws,
)
from trainer.dataset import encode
from trainer.prediction import judge, raw_outputs, to_labels, to_predictions

if TYPE_CHECKING:
    from pandas import DataFrame

SCHEMA = "sweep model 2"

RawRows = Union["DataFrame", ArrayLike]
"""A table whose columns are found by name, whatever their order and whatever others there are, or
an array (rows, columns) of all features of the data in its order."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Model:
    """The winner of a study, or any of its trials.

    Raw rows that lack a column or hold a value of another kind raise ValueError, which names it.
    """

    config: TrainConfig
    parameters: NDArray[Any]
    preprocessing: Preprocessing
    embedding: embeddings.Embedding | None = None
    """The TrainState's, between the two."""

    def __repr__(self) -> str:
        target, widths = self.preprocessing.target, " x ".join(map(str, self.config.neurons))
        return (
            f"<Model: {target.task} of {', '.join(target.names[:3])}"
            f"{', ...' if len(target.names) > 3 else ''}, {len(self.preprocessing.features)} "
            f"inputs, layers of {widths} neurons, {target.n_outputs} outputs, "
            f"{self.parameters.size} parameters, metric {self.config.metric}>"
        )

    def predict(self, x: RawRows) -> NDArray[Any]:
        """Labels (rows,), 0 or 1 for each of several labels (rows, labels), or values
        (rows, targets), as the data has them."""
        return self.decide(self.outputs(x))

    def predict_proba(self, x: RawRows) -> NDArray[Any]:
        """The probability of each class (rows, classes), or of each of several labels
        (rows, labels); ValueError if the model gives none."""
        if refusal := self.lacks_probabilities:
            raise ValueError(refusal)
        return self.predictions(self.outputs(x))

    @property
    def lacks_probabilities(self) -> str:
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
        """The network's raw outputs (rows, outputs), of which the rest is made."""
        rows, target = self.preprocessing.transform(x), self.preprocessing.target
        network = build_network(
            self.config, self.parameters, rows.shape[1], target.n_outputs, self.embedding
        )
        with np.errstate(all="ignore"):
            return raw_outputs(network, self.embedding, rows)

    def predictions(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """Probabilities or scores (rows, classes or labels), or values as they were trained."""
        several = self.preprocessing.target.task == "multilabel"
        with np.errstate(all="ignore"):
            return to_predictions(self.config, outputs.copy(), values=several)

    def decide(self, outputs: NDArray[Any]) -> NDArray[Any]:
        """What `predict` makes of raw outputs."""
        target = self.preprocessing.target
        if target.task == "regression":
            return target.values(self.predictions(outputs))
        several = target.task == "multilabel"
        labels = to_labels(self.config, outputs.copy(), several)
        return labels if several else target.labels(labels)

    def score(self, dataset: Dataset, split: Split) -> float:
        """The study's metric on one of the splits of its dataset."""
        return evaluate(self.config, self.parameters, dataset, split, self.embedding)[1]

    def scores(
        self, dataset: Dataset, split: Split, draws: Iterable[NDArray[Any]]
    ) -> Iterator[float]:
        """The study's metric on each draw (rows,) of a split's rows."""
        return evaluate_draws(self.config, self.parameters, dataset, split, draws, self.embedding)

    def score_of(self, outputs: NDArray[Any], y: NDArray[Any]) -> float:
        """The study's metric of raw outputs against targets as Target.encode gives them."""
        target = self.preprocessing.target
        rows = Split(np.zeros((len(y), 1), np.float32), y)
        dataset = Dataset(
            train=rows,
            validation=rows,
            n_classes=None if target.classes is None else len(target.classes),
            multilabel=target.task == "multilabel",
            target_scale=target.scale,
            target_mean=target.mean,
        )
        encoded = np.empty((target.n_outputs, len(y)), outputs.dtype)
        encode(y, encoded)
        with np.errstate(all="ignore"):
            return judge(self.config, dataset, outputs.copy(), y, encoded)[1]

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
        """The model that `save` wrote; trainer.archive.ArchiveError if it is damaged, or of
        another release."""
        arrays = archive.read(path, SCHEMA)
        fields = json.loads(str(arrays.pop("config")))
        config = TrainConfig(**fields | {"neurons": tuple(fields["neurons"])})
        parameters, embedding = arrays.pop("parameters"), embeddings.from_arrays(arrays)
        return cls(config, parameters, Preprocessing.from_arrays(arrays), embedding)


def model_file(folder: Path, trial: int) -> Path:
    """Where the model of a trial is kept."""
    return folder / f"trial-{trial:05d}.npz"


def is_sound(file: Path) -> bool:
    """Whether there is a model in a file, whole and of this release."""
    try:
        Model.load(file)
    except (OSError, archive.ArchiveError):
        return False
    return True

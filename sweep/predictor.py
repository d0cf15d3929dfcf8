"""A trained network with its preprocessing: raw rows in, labels or values out."""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self, Union

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
class Predictor:
    """A network with what was learned of its rows.

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
            f"<{type(self).__name__}: {target.task} of {', '.join(target.names[:3])}"
            f"{', ...' if len(target.names) > 3 else ''}, {len(self.preprocessing.features)} "
            f"inputs, layers of {widths} neurons, {target.n_outputs} outputs, "
            f"{self.parameters.size} parameters, metric {self.config.metric}>"
        )

    def predict(self, x: RawRows) -> NDArray[Any]:
        """Labels (rows,), 0 or 1 for each of several labels (rows, labels), or values (rows,), of
        several targets (rows, targets), as the data has them."""
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
        return self.raw(self.preprocessing.transform(x))

    def raw(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The same of rows as the network takes them (rows, inputs)."""
        target = self.preprocessing.target
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
            values = target.values(self.predictions(outputs))
            return values if len(target.names) > 1 else values[:, 0]
        several = target.task == "multilabel"
        labels = to_labels(self.config, outputs.copy(), several)
        return labels if several else target.labels(labels)

    def evaluate(self, dataset: Dataset, split: Split) -> float:
        """The study's metric on one of the splits of its dataset."""
        return evaluate(self.config, self.parameters, dataset, split, self.embedding)[1]

    def evaluate_draws(
        self, dataset: Dataset, split: Split, draws: Iterable[NDArray[Any]]
    ) -> Iterator[float]:
        """The study's metric on each draw (rows,) of a split's rows."""
        return evaluate_draws(self.config, self.parameters, dataset, split, draws, self.embedding)

    def score_of(self, outputs: NDArray[Any], y: NDArray[Any]) -> float:
        """The study's metric of raw outputs against targets as Target.encode gives them."""
        dataset = self.dataset(Split(np.zeros((len(y), 1), np.float32), y))
        encoded = np.empty((dataset.n_outputs, len(y)), outputs.dtype)
        encode(y, encoded)
        with np.errstate(all="ignore"):
            return judge(self.config, dataset, outputs.copy(), y, encoded)[1]

    def dataset(self, split: Split) -> Dataset:
        """A dataset of these rows, with what the study's own dataset says of its targets."""
        target = self.preprocessing.target
        return Dataset(
            train=split,
            validation=split,
            n_classes=None if target.classes is None else len(target.classes),
            multilabel=target.task == "multilabel",
            target_scale=target.scale,
            target_mean=target.mean,
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as .npz, without pickle and without its study's rows."""
        arrays = {
            "config": np.array(json.dumps(asdict(self.config))),
            "parameters": self.parameters,
            **embeddings.to_arrays(self.embedding),
            **self.preprocessing.to_arrays(),
        }
        archive.write(path, arrays, SCHEMA)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The model that `save` wrote; trainer.archive.ArchiveError if it is damaged, or of
        another release."""
        arrays = archive.read(path, SCHEMA)
        fields = json.loads(str(arrays.pop("config")))
        config = TrainConfig(**fields | {"neurons": tuple(fields["neurons"])})
        parameters, embedding = arrays.pop("parameters"), embeddings.from_arrays(arrays)
        return cls(config, parameters, Preprocessing.from_arrays(arrays), embedding)

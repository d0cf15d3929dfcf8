"""What a training has come to: enough to go on from, and to predict with."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from trainer.config import TrainConfig
from trainer.embeddings import Embedding
from trainer.memory import aligned_copy
from trainer.progress import Progress


@dataclass(frozen=True, slots=True, eq=False)
class TrainState:
    """Everything that training needs to go on from the end of an epoch."""

    epoch: int
    """Epochs completed."""

    steps: int
    """Updates made."""

    parameters: np.ndarray
    """To predict with, flat: for each layer the weights (n_in, n_out), then the biases (n_out,);
    then what a norm has. They are averaged under `ema`, and the best epoch's under `patience`."""

    moments: Mapping[str, np.ndarray] = field(default_factory=dict)
    """The optimizer's, flat like the parameters that it moves, by name."""

    diverged: bool = False
    """Whether a loss, metric, gradient or parameter stopped being finite: training ended there."""

    current: np.ndarray | None = None
    """The parameters to go on from, under `ema` or `patience`; else they are `parameters`."""

    average: np.ndarray | None = None
    """The averaged parameters, under `ema`."""

    progress: Progress = field(default_factory=Progress)
    """The validation metric's course."""

    embedding: Embedding | None = None
    """What stands in front of the network, if the configuration has one; it never changes."""

    config: TrainConfig | None = None
    """What it was last trained under, so that what has changed since can be named, if known."""

    def copy(self) -> "TrainState":
        """The same in arrays of its own, for training to move."""
        return replace(
            self,
            parameters=aligned_copy(self.parameters),
            moments={name: aligned_copy(moment) for name, moment in self.moments.items()},
            current=None if self.current is None else aligned_copy(self.current),
            average=None if self.average is None else aligned_copy(self.average),
        )

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Every array that training moves, by the name that a checkpoint gives it."""
        named = {"parameters": self.parameters, "current": self.current, "average": self.average}
        moments = {f"moments.{name}": moment for name, moment in self.moments.items()}
        return {name: array for name, array in named.items() if array is not None} | moments

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return sum(array.nbytes for array in self.arrays.values())

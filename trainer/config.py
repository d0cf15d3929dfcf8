"""The configuration of one training."""

import difflib
import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

from trainer.activations import ACTIVATIONS
from trainer.initializers import INITIALIZERS
from trainer.losses import LOSSES
from trainer.metrics import METRICS
from trainer.optimizers import OPTIMIZERS
from trainer.schedules import SCHEDULES

DTYPES = ("float32", "float64")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """What to train and how; a value that cannot work raises ValueError when it is built."""

    neurons: tuple[int, ...]
    """Width of each hidden layer; () is a linear model."""

    activation: str = "relu"
    """Of every hidden layer; a name in ACTIVATIONS."""

    loss: str = "softmax_cross_entropy"
    """A name in LOSSES."""

    metric: str = "accuracy"
    """Of the validation set, each epoch; a name in METRICS."""

    optimizer: str = "adam"
    """A name in OPTIMIZERS."""

    schedule: str = "constant"
    """Of the learning rate, over `epochs`; a name in SCHEDULES."""

    initializer: str = "auto"
    """A name in INITIALIZERS, or "auto" for the one that suits each layer's activation."""

    batch_size: int = 32
    """Rows a step; the last batch of an epoch has what is left."""

    learning_rate: float = 1e-3
    """Before the schedule."""

    momentum: float = 0.9
    """Of the optimizer "momentum"."""

    l2: float = 0.0
    """Adds l2 / 2 times the sum of the squared weights, biases apart, to the objective."""

    epochs: int = 20
    """Passes over the training set."""

    dtype: str = "float32"
    """Of parameters, moments and all computation."""

    def __post_init__(self) -> None:
        if type(self.neurons) is not tuple or not all(_is_count(n) for n in self.neurons):
            raise ValueError(
                f"neurons must be a tuple of positive integers, one a hidden layer, "
                f"not {self.neurons!r}"
            )
        for field in ("batch_size", "epochs"):
            if not _is_count(value := getattr(self, field)):
                raise ValueError(f"{field} must be a positive integer, not {value!r}")
        for field, (fits, allowed) in _NUMBERS.items():
            value = getattr(self, field)
            if type(value) not in (int, float) or not math.isfinite(value) or not fits(value):
                raise ValueError(f"{field} must be {allowed}, not {value!r}")
        for field, choices in _CHOICES.items():
            if (value := getattr(self, field)) not in choices:
                raise ValueError(_unknown(field, value, choices))
        if METRICS[self.metric].needs_probabilities and not LOSSES[self.loss].probabilities:
            usable = sorted(name for name, loss in LOSSES.items() if loss.probabilities)
            raise ValueError(
                f"metric {self.metric!r} needs probabilities, which loss {self.loss!r} does not "
                f"give; use one of the losses {', '.join(usable)}"
            )

    @property
    def layers(self) -> int:
        """Number of hidden layers."""
        return len(self.neurons)


def _is_count(value: object) -> bool:
    # Not isinstance: True is an int.
    return type(value) is int and value >= 1


def _unknown(field: str, value: object, choices: Collection[str]) -> str:
    close = difflib.get_close_matches(str(value), choices, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"{field} must be one of {', '.join(sorted(choices))}, not {value!r}{hint}"


_NUMBERS: dict[str, tuple[Callable[[float], bool], str]] = {
    "learning_rate": (lambda value: value > 0, "a finite number above 0"),
    "momentum": (lambda value: 0 <= value < 1, "a number from 0 up to, but not, 1"),
    "l2": (lambda value: value >= 0, "a finite number, 0 or above"),
}

_CHOICES: dict[str, Collection[str]] = {
    "activation": ACTIVATIONS,
    "loss": LOSSES,
    "metric": METRICS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "initializer": ("auto", *INITIALIZERS),
    "dtype": DTYPES,
}

"""The configuration of one training."""

import difflib
import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from trainer.activations import ACTIVATIONS
from trainer.arguments import AT_LEAST, shown
from trainer.embeddings import EMBEDDINGS
from trainer.initializers import INITIALIZERS
from trainer.losses import LOSSES
from trainer.metrics import METRICS
from trainer.norms import NORMS
from trainer.optimizers import OPTIMIZERS
from trainer.schedules import SCHEDULES

DTYPES = ("float32", "float64")
CLASS_WEIGHTS = ("none", "balanced")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """What to train and how; a value that cannot work raises ValueError when it is built."""

    neurons: tuple[int, ...]
    """Width of each hidden layer; () is a linear model."""

    activation: str | tuple[str, ...] = "relu"
    """Of every hidden layer, or of each in turn; names in ACTIVATIONS."""

    norm: str = "none"
    """Of every hidden layer's pre-activations; "none" or a name in NORMS."""

    embedding: str = "none"
    """Of every numeric column, in front of the first layer; "none" or a name in EMBEDDINGS. It is
    fitted to the training rows when training begins, and then fixed."""

    bins: int = 32
    """Of the embedding "piecewise_linear": how many a column has, at most."""

    frequencies: int = 16
    """Of the embedding "periodic": how many a column has."""

    frequency_scale: float = 0.1
    """Of the embedding "periodic": their standard deviation, in cycles a standard deviation of the
    column."""

    loss: str = "softmax_cross_entropy"
    """A name in LOSSES."""

    huber_delta: float = 1.0
    """Of the loss "huber": the error where it turns from squared to absolute."""

    quantile: float = 0.5
    """Of the loss "quantile": which one is predicted."""

    label_smoothing: float = 0.0
    """Share of each row's label, in training, that is spread over all the classes."""

    class_weight: str = "none"
    """"balanced" weights each training row by 1 / the rows of its class."""

    metric: str = "accuracy"
    """Of the validation set, each epoch; a name in METRICS."""

    optimizer: str = "adam"
    """A name in OPTIMIZERS, or "lbfgs", which needs full batches and has its own learning rate."""

    momentum: float = 0.9
    """Of the optimizers "momentum" and "nesterov"."""

    beta1: float | None = None
    """Of the optimizers that have one, such as "adam": how the gradient is averaged; None is the
    optimizer's own."""

    beta2: float | None = None
    """Of the optimizers that have one: how the squared gradient is averaged; None as in beta1."""

    learning_rate: float = 1e-3
    """Before the schedule."""

    schedule: str = "constant"
    """Of the learning rate, over the epochs after `warmup`; a name in SCHEDULES."""

    decay: float = 0.1
    """Of the schedules "step" and "exponential": the factor that they end at."""

    drops: int = 2
    """Of the schedule "step": how many steps it takes."""

    restarts: int = 3
    """Of the schedule "cosine_restarts"."""

    warmup: float = 0.0
    """Epochs over which the learning rate first rises, step by step, from near 0."""

    plateau: int = 0
    """Epochs without a better validation metric after which the learning rate is reduced; 0 is
    never."""

    plateau_factor: float = 0.1
    """By which `plateau` reduces it."""

    initializer: str = "auto"
    """A name in INITIALIZERS, or "auto" for the one that suits each layer's activation."""

    batch_size: int | str = 32
    """Rows a step, or "full" for all; the last batch of an epoch has what is left. A single row
    left over has no variance: under the norm "batch", it joins the batch before it."""

    l1: float = 0.0
    """Adds l1 times the sum of the absolute weights, biases apart, to the objective."""

    l2: float = 0.0
    """Adds l2 / 2 times the sum of the squared weights, biases apart, to the objective."""

    weight_decay: float = 0.0
    """Of the optimizers "adamw" and "lion": shrinks the weights, biases apart, by this times the
    learning rate at each step."""

    dropout: float = 0.0
    """Share of the hidden activations that each step leaves out."""

    input_dropout: float = 0.0
    """Share of the inputs that each step leaves out."""

    max_norm: float = 0.0
    """Largest norm of the weights into a hidden unit; 0 is no limit."""

    clip_norm: float = 0.0
    """Largest norm of a step's gradient, penalties included; 0 is no limit."""

    clip_value: float = 0.0
    """Largest element of a step's gradient, after `clip_norm`; 0 is no limit."""

    ema: float = 0.0
    """Discount, a step, of the average of the parameters that is judged and kept in their place;
    0 is no average."""

    patience: int = 0
    """Epochs without a better validation metric after which training ends; the best epoch's
    parameters are kept. 0 trains to the end and keeps the last."""

    epochs: int = 20
    """Passes over the training set."""

    dtype: str = "float32"
    """Of parameters, moments and all computation."""

    record_layers: bool = False
    """Whether the records hold statistics of each layer, which takes time."""

    def __post_init__(self) -> None:
        for check in (_check_numbers, _check_names, _check_together):
            check(self)

    @property
    def layers(self) -> int:
        """Number of hidden layers."""
        return len(self.neurons)

    @property
    def activations(self) -> tuple[str, ...]:
        """Of each hidden layer."""
        if isinstance(self.activation, str):
            return (self.activation,) * self.layers
        return self.activation

    def options(self, names: Iterable[str]) -> dict[str, float]:
        """The fields of these names, as a table's entry takes them, without those that are None."""
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    def batch_rows(self, rows: int) -> int:
        """Rows a step where there are so many to train on."""
        return rows if isinstance(self.batch_size, str) else min(self.batch_size, rows)

    def last_batch_rows(self, rows: int) -> int:
        """Rows of an epoch's last step, where there are so many to train on."""
        size = self.batch_rows(rows)
        left = rows % size or size
        return size + 1 if left == 1 < size and self.norm == "batch" else left


def _check_numbers(config: TrainConfig) -> None:
    if type(config.neurons) is not tuple or not all(_is_integer(n, 1) for n in config.neurons):
        raise ValueError(
            f"neurons must be a tuple of positive integers, one a hidden layer, "
            f"not {config.neurons!r}"
        )
    if config.batch_size != "full" and not _is_integer(config.batch_size, 1):
        raise ValueError(
            f'batch_size must be a positive integer or "full", not {shown(config.batch_size)}'
        )
    for field, least in _INTEGERS.items():
        if not _is_integer(value := getattr(config, field), least):
            raise ValueError(f"{field} must be {AT_LEAST[least]}, not {shown(value)}")
    for field, (fits, allowed) in _NUMBERS.items():
        value = getattr(config, field)
        if value is None and field in _OPTIONAL:
            continue
        if type(value) not in (int, float) or not math.isfinite(value) or not fits(value):
            raise ValueError(f"{field} must be {allowed}, not {shown(value)}")


def _check_names(config: TrainConfig) -> None:
    if type(config.activation) is tuple and len(config.activation) != config.layers:
        raise ValueError(
            f"activation must be one name or {config.layers}, one a hidden layer, "
            f"not {config.activation!r}"
        )
    for field, choices in _CHOICES.items():
        value = getattr(config, field)
        for name in value if field == "activation" and type(value) is tuple else (value,):
            # Not all values can be looked up in a table: a list has no hash.
            if type(name) is not type(next(iter(choices))) or name not in choices:
                raise ValueError(_unknown(field, name, choices))


def _check_together(config: TrainConfig) -> None:
    """What takes more than one field to see."""
    if METRICS[config.metric].needs_probabilities and not LOSSES[config.loss].probabilities:
        usable = sorted(name for name, loss in LOSSES.items() if loss.probabilities)
        raise ValueError(
            f"metric {config.metric!r} needs probabilities, which loss {config.loss!r} does not "
            f"give; use one of the losses {', '.join(usable)}"
        )
    if config.norm == "batch" and config.batch_size == 1:
        raise ValueError(
            "batch_size must be at least 2, or \"full\", under norm 'batch', not 1: one row has no "
            "variance"
        )
    if config.optimizer == "lbfgs":
        for field, value in (("batch_size", "full"), ("dropout", 0), ("input_dropout", 0)):
            if (found := getattr(config, field)) != value:
                raise ValueError(
                    f"{field} must be {value!r} with optimizer 'lbfgs', whose line search needs "
                    f"the same objective each time, not {found!r}"
                )


def _is_integer(value: object, least: int) -> bool:
    # Not isinstance: True is an int.
    return type(value) is int and value >= least


def _unknown(field: str, value: object, choices: Collection[object]) -> str:
    close = difflib.get_close_matches(str(value).lower(), map(str, choices), n=1)
    hint = f"; did you mean {close[0]!r}?" if close and isinstance(value, str) else ""
    allowed = ", ".join(sorted(map(str, choices)))
    return f"{field} must be one of {allowed}, not {value!r}{hint}"


_INTEGERS = {
    "bins": 1,
    "frequencies": 1,
    "epochs": 1,
    "drops": 1,
    "restarts": 1,
    "plateau": 0,
    "patience": 0,
}
"""The least value of each."""

_ABOVE_0 = (lambda value: value > 0, "a finite number above 0")
_FROM_0 = (lambda value: value >= 0, "a finite number, 0 or above")
_SHARE = (lambda value: 0 <= value < 1, "a number from 0 up to, but not, 1")
_FACTOR = (lambda value: 0 < value <= 1, "a number above 0, up to 1")

_NUMBERS: dict[str, tuple[Callable[[float], bool], str]] = {
    "frequency_scale": (lambda value: 0 < value <= 1e6, "a number above 0, up to 1e6"),
    "learning_rate": _ABOVE_0,
    "momentum": _SHARE,
    "beta1": _SHARE,
    "beta2": _SHARE,
    "decay": _FACTOR,
    "warmup": _FROM_0,
    "plateau_factor": _FACTOR,
    "huber_delta": _ABOVE_0,
    "quantile": (lambda value: 0 < value < 1, "a number between 0 and 1"),
    "label_smoothing": _SHARE,
    "l1": _FROM_0,
    "l2": _FROM_0,
    "weight_decay": _FROM_0,
    "dropout": _SHARE,
    "input_dropout": _SHARE,
    "max_norm": _FROM_0,
    "clip_norm": _FROM_0,
    "clip_value": _FROM_0,
    "ema": _SHARE,
}

_OPTIONAL = ("beta1", "beta2")
"""May be None."""

_CHOICES: dict[str, Collection[object]] = {
    "activation": ACTIVATIONS,
    "norm": ("none", *NORMS),
    "embedding": ("none", *EMBEDDINGS),
    "loss": LOSSES,
    "class_weight": CLASS_WEIGHTS,
    "metric": METRICS,
    "optimizer": (*OPTIMIZERS, "lbfgs"),
    "schedule": SCHEDULES,
    "initializer": ("auto", *INITIALIZERS),
    "dtype": DTYPES,
    "record_layers": (False, True),
}

"""A multilayer perceptron in NumPy with a full forward and backward pass."""

from trainer.activations import ACTIVATIONS
from trainer.archive import ArchiveError
from trainer.checkpoint import load, save
from trainer.config import TrainConfig
from trainer.dataset import Dataset, Split, check_fit
from trainer.initializers import INITIALIZERS
from trainer.losses import LOSSES
from trainer.metrics import METRICS
from trainer.network import Network
from trainer.optimizers import OPTIMIZERS
from trainer.prediction import build_network, evaluate, predict
from trainer.schedules import SCHEDULES
from trainer.training import (
    EpochRecord,
    TrainState,
    run,
    train,
)

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "LOSSES",
    "METRICS",
    "OPTIMIZERS",
    "SCHEDULES",
    "ArchiveError",
    "Dataset",
    "EpochRecord",
    "Network",
    "Split",
    "TrainConfig",
    "TrainState",
    "build_network",
    "check_fit",
    "evaluate",
    "load",
    "predict",
    "run",
    "save",
    "train",
]

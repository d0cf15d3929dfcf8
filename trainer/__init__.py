"""A multilayer perceptron in NumPy with a full forward and backward pass."""

from typing import TYPE_CHECKING, Any

from trainer.activations import ACTIVATIONS
from trainer.archive import ArchiveError
from trainer.checkpoint import load, save
from trainer.config import TrainConfig
from trainer.dataset import Dataset, Split, check_defined, check_fit, check_metric
from trainer.diagnosis import Diagnosis, Verdict, diagnose, diagnose_all
from trainer.embeddings import EMBEDDINGS, Periodic, PiecewiseLinear
from trainer.initializers import INITIALIZERS
from trainer.losses import LOSSES
from trainer.metrics import METRICS
from trainer.network import Network
from trainer.norms import NORMS
from trainer.onnx import to_onnx
from trainer.optimizers import OPTIMIZERS
from trainer.prediction import build_network, evaluate, evaluate_draws, predict
from trainer.progress import Progress
from trainer.replicates import train_many
from trainer.schedules import SCHEDULES
from trainer.state import TrainState
from trainer.statistics import LayerStatistics
from trainer.training import EpochRecord, kept, run, train
from trainer.understanding import Significance, Summary, feature_significance, summary

if TYPE_CHECKING:
    from trainer.estimators import MLPClassifier, MLPRegressor

__all__ = [
    "ACTIVATIONS",
    "EMBEDDINGS",
    "INITIALIZERS",
    "LOSSES",
    "METRICS",
    "NORMS",
    "OPTIMIZERS",
    "SCHEDULES",
    "ArchiveError",
    "Dataset",
    "Diagnosis",
    "EpochRecord",
    "LayerStatistics",
    "MLPClassifier",
    "MLPRegressor",
    "Network",
    "Periodic",
    "PiecewiseLinear",
    "Progress",
    "Significance",
    "Split",
    "Summary",
    "TrainConfig",
    "TrainState",
    "Verdict",
    "build_network",
    "check_defined",
    "check_fit",
    "check_metric",
    "diagnose",
    "diagnose_all",
    "evaluate",
    "evaluate_draws",
    "feature_significance",
    "kept",
    "load",
    "predict",
    "run",
    "save",
    "summary",
    "to_onnx",
    "train",
    "train_many",
]


def __getattr__(name: str) -> Any:
    # Imported when used: they need scikit-learn, which the rest does without.
    if name in ("MLPClassifier", "MLPRegressor"):
        from trainer import estimators

        return getattr(estimators, name)
    raise AttributeError(f"module 'trainer' has no attribute {name!r}")

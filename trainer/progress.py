"""How far a training has come: the best epoch, how long ago, and what follows from it."""

import math
from dataclasses import dataclass, replace

from trainer.config import TrainConfig
from trainer.metrics import METRICS
from trainer.schedules import SCHEDULES


@dataclass(frozen=True, slots=True)
class Progress:
    """The validation metric's course so far, as far as early stopping and the plateau need it."""

    best: float = math.nan
    """The best value of the validation metric."""

    stale: int = 0
    """Epochs since then."""

    waited: int = 0
    """Epochs since then or since the learning rate was last reduced, whichever is fewer."""

    factor: float = 1.0
    """Of the learning rate, by the plateau's reductions."""


def observe(config: TrainConfig, progress: Progress, metric: float) -> Progress:
    """The progress after an epoch of this validation metric, with `stale` 0 if it is the best.

    NaN, as of rows on which a metric has no value, is never better than a number.
    """
    sign = 1 if METRICS[config.metric].direction == "maximize" else -1
    if math.isnan(progress.best) or sign * metric > sign * progress.best:
        return replace(progress, best=metric, stale=0, waited=0)
    waited, factor = progress.waited + 1, progress.factor
    if waited == config.plateau:
        waited, factor = 0, factor * config.plateau_factor
    return Progress(progress.best, progress.stale + 1, waited, factor)


def has_ended(config: TrainConfig, progress: Progress) -> bool:
    """Whether patience is at its end."""
    return config.patience > 0 and progress.stale >= config.patience


def learning_rate(config: TrainConfig, epoch: int, progress: Progress) -> float:
    """Of the epoch that follows `epoch` completed ones, at the end of any warm-up.

    The schedule runs over the epochs after the warm-up.
    """
    schedule = SCHEDULES[config.schedule]
    fraction = max(epoch - config.warmup, 0) / max(config.epochs - config.warmup, 1)
    factor = schedule.function(fraction, **config.options(schedule.options))
    return config.learning_rate * factor * progress.factor

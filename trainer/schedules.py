"""Schedules: the factor on the learning rate, given the progress of training from 0 to 1."""

import math
from collections.abc import Callable
from typing import NamedTuple

PEAK, START, END = 0.3, 1 / 25, 1 / 250_000
"""Of `one_cycle`: when its factor is 1, and what it starts from and ends at; PyTorch's defaults."""


class Schedule(NamedTuple):
    """A schedule and the fields of TrainConfig that it takes as keywords."""

    function: Callable[..., float]
    """`function(progress, **options)`, where progress is the fraction of training completed."""

    options: tuple[str, ...] = ()


def constant(progress: float) -> float:
    """1 throughout."""
    return 1.0


def step(progress: float, *, decay: float = 0.1, drops: int = 2) -> float:
    """From 1 to `decay` in equal ratios, by `drops` drops that are equally far apart."""
    # 29 / 100 * 100 is 28.999999999999996.
    drop = math.floor(progress * (drops + 1) + 1e-9)
    return float(decay ** (drop / drops))


def exponential(progress: float, *, decay: float = 0.1) -> float:
    """From 1 to `decay`, by the same ratio every epoch."""
    return float(decay**progress)


def cosine(progress: float) -> float:
    """From 1 to 0 along half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5)."""
    return (1 + math.cos(math.pi * progress)) / 2


def cosine_restarts(progress: float, *, restarts: int = 3) -> float:
    """`cosine` run through restarts + 1 times (arXiv:1608.03983, section 3, with T_mult = 1)."""
    cycles = progress * (restarts + 1)
    return cosine(cycles - math.floor(cycles + 1e-9))


def one_cycle(progress: float) -> float:
    """From 1/25 up to 1 over 30 % of training, then down to 1/250000, along half cosines.

    Smith and Topin 2018, arXiv:1708.07120, in the form of PyTorch's OneCycleLR.
    """
    if progress < PEAK:
        return 1 + (START - 1) * cosine(progress / PEAK)
    return END + (1 - END) * cosine((progress - PEAK) / (1 - PEAK))


SCHEDULES = {
    "constant": Schedule(constant),
    "cosine": Schedule(cosine),
    "cosine_restarts": Schedule(cosine_restarts, ("restarts",)),
    "exponential": Schedule(exponential, ("decay",)),
    "one_cycle": Schedule(one_cycle),
    "step": Schedule(step, ("decay", "drops")),
}

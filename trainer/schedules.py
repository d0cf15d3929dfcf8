"""Schedules: the factor on the learning rate, given the fraction of the epochs completed."""

import math


def constant(fraction: float) -> float:
    """1 throughout."""
    return 1.0


def cosine(fraction: float) -> float:
    """From 1 to 0 along half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983, eq. 5)."""
    return (1 + math.cos(math.pi * fraction)) / 2


SCHEDULES = {"constant": constant, "cosine": cosine}

"""Whether the order of the best is that of their seeds."""

from collections.abc import Iterator

from sweep.advice.finding import Advice
from sweep.noise import Noise
from sweep.spec import StudySpec

MUCH = 0.5
"""The part of the variance among the best that noise alone would make, from which on more seeds
tell more than more trials."""


def luck(spec: StudySpec, noise: Noise, *, confirmed: bool = False) -> Iterator[Advice]:
    """Whether seeds alone would make half of what the best trials differ by, where these were not
    trained again yet."""
    if noise.top_share >= MUCH and not confirmed:
        facts = noise.record()
        text = facts.pop("text")
        yield Advice("noise", text, facts, (f"sweep confirm {spec.name}",))

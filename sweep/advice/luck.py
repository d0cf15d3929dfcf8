"""Whether the order of the best is that of their seeds."""

from collections.abc import Iterator

from sweep.advice.finding import Advice
from sweep.noise import SOURCES, Noise
from sweep.spec import StudySpec

MUCH = 0.5
"""The part of the variance among the best that noise alone would make, from which on more seeds
tell more than more trials."""


def luck(spec: StudySpec, noise: Noise, *, confirmed: bool = False) -> Iterator[Advice]:
    """Whether seeds alone would make half of what the best trials differ by, where these were not
    trained again yet."""
    if confirmed or noise.top_share < MUCH:
        return
    way, most = ("may be", "at most ") if noise.is_bound else ("is mostly", "")
    text = (
        f"The order of the best {noise.top} {way} luck: their {noise.objective} varies by "
        f"{noise.top_spread:.3g} (standard deviation), and with the seed alone by {most}"
        f"{noise.standard_deviation:.3g} (from {SOURCES[noise.source]}). To train them again on "
        "fresh seeds would tell more than more trials."
    )
    facts = {"top": noise.top, "spread": noise.top_spread, "noise": noise.standard_deviation}
    facts |= {"share": noise.top_share, "source": noise.source}
    yield Advice("noise", text, facts, (f"sweep confirm {spec.name}",))

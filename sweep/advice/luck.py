"""Whether the order of the best is that of their seeds."""

from collections.abc import Iterator

from sweep.advice.finding import Advice
from sweep.noise import MUCH, Noise
from sweep.spec import StudySpec


def luck(
    spec: StudySpec, noise: Noise, *, leader: int | None = None, confirmed: int | None = None
) -> Iterator[Advice]:
    """Whether seeds alone would make half of what the best trials differ by or, where these were
    trained again, whether another trial than the search's `leader` was `confirmed` as the best."""
    if confirmed is None and noise.top_share >= MUCH:
        facts = noise.record()
        text = facts.pop("text")
        yield Advice("noise", text, facts, (f"sweep confirm {spec.name}",))
    elif confirmed is not None and confirmed != leader:
        text = (
            f"Trial {leader} won the search; trained again on fresh seeds, trial {confirmed} is "
            f"the best: sweep predict {spec.name} --confirmed uses its network."
        )
        yield Advice("noise", text, {"leader": leader, "confirmed": confirmed})

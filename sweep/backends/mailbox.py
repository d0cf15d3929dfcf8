"""Signs of life of the segments that run on Ray: an actor keeps the last of each."""

from contextlib import suppress
from functools import cache
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sweep.backends.segment import Beat

NAME = "sweep signs of life"


def tell(number: int, beat: Beat) -> None:
    """Leave a sign of life of the segment of this number; a worker does."""
    # No mailbox yet, or no memory for it: the next one may arrive.
    with suppress(ValueError, RayError, MemoryError):
        _box().tell.remote(number, beat)


@cache
def _box() -> Any:
    return ray.get_actor(NAME)


class _Box:
    """The actor."""

    def __init__(self) -> None:
        self._beats: dict[int, Beat] = {}

    def tell(self, number: int, beat: Beat) -> None:
        self._beats[number] = beat

    def read(self, running: frozenset[int]) -> dict[int, Beat]:
        self._beats = {number: b for number, b in self._beats.items() if number in running}
        return self._beats


class Mailbox:
    """The driver's end of it, which never waits."""

    def __init__(self) -> None:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
        actor = ray.remote(num_cpus=0, max_restarts=-1)(_Box)
        self._box: Any = actor.options(name=NAME, scheduling_strategy=here).remote()
        self._reading: ray.ObjectRef[Any] | None = None

    def look(self, running: frozenset[int]) -> dict[int, Beat]:
        """What the actor has sent since the last look, by number; asks it for those that run."""
        beats: dict[int, Beat] = {}
        if self._reading is not None and ray.wait([self._reading], timeout=0)[0]:
            with suppress(RayError):  # its node went; Ray starts it again elsewhere
                beats = ray.get(self._reading)
            self._reading = None
        if self._reading is None:
            self._reading = self._box.read.remote(running)
        return beats

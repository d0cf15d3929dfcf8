"""Drivers that die at a named point of their work: before and after each write, and between."""

from dataclasses import dataclass, field
from typing import Any

from sweep.checkpoints import Checkpoints
from sweep.store import Store
from trainer import archive

WRITES = ("claim", "session", "write", "roll_back", "release")
CONFIRMING = ("hold", "begin_confirmation", "write", "end_confirmation")
WHEN = ("begins", "uncommitted", "committed")
SENDING = ("submit: begins", "submit: sent", "wait: begins", "wait: received")
POINTS = (
    *(f"{write}: {when}" for write in WRITES for when in WHEN),
    *SENDING,
    "checkpoint: begins",
    "checkpoint: half written",
    "checkpoint: written",
    "checkpoint: removed",
)
CONFIRMING_POINTS = (*(f"{write}: {when}" for write in CONFIRMING for when in WHEN), *SENDING)


class Crash(BaseException):
    """The driver is dead: nothing that it does from here on has an effect."""


def die(point: str) -> None:
    raise Crash(point)


@dataclass
class Doom:
    """Death when `point` is passed for the `time`-th time; never without a point."""

    point: str | None = None
    time: int = 1
    die: Any = die
    is_dead: bool = False
    passed: set[str] = field(default_factory=set)

    def at(self, point: str) -> None:
        self.passed.add(point)
        if point == self.point:
            self.time -= 1
            self.is_dead |= self.time == 0
        if self.is_dead:
            self.die(point)


class PerilousStore(Store):
    """A store whose driver may die around and within each transaction."""

    def __init__(self, place: Any, doom: Doom) -> None:
        self.doom, self.writes = doom, "open"
        self.undone: list[int] = []
        super().__init__(place)

    def _write(self, work: Any) -> Any:
        writes = self.writes

        def perilous(connection: Any) -> Any:
            found = work(connection)
            self.doom.at(f"{writes}: uncommitted")
            return found

        self.doom.at(f"{writes}: begins")
        found = super()._write(perilous)
        self.doom.at(f"{writes}: committed")
        return found

    def roll_back(self, lease: Any, step: int, spec: Any, more: Any = ()) -> None:
        self.writes = "roll_back"
        try:
            super().roll_back(lease, step, spec, more)
        finally:
            self.undone.append(step)

    def _named(name: str) -> Any:  # type: ignore[misc]
        def method(self: "PerilousStore", *arguments: Any, **named: Any) -> Any:
            self.writes = name
            return getattr(super(), name)(*arguments, **named)

        return method

    claim, session, write, release = map(_named, ("claim", "session", "write", "release"))
    hold, begin_confirmation, end_confirmation = map(
        _named, ("hold", "begin_confirmation", "end_confirmation")
    )


class PerilousCheckpoints(Checkpoints):
    """Checkpoints whose driver may die while one is written or removed."""

    doom = Doom()

    def _carry_out(self, key: Any, wanted: Any) -> None:
        file = self._file(*key)
        if wanted is None:
            super()._carry_out(key, wanted)
            self.doom.at("checkpoint: removed")
            return
        self.doom.at("checkpoint: begins")
        if self.doom.point == "checkpoint: half written" and not self.doom.is_dead:
            self._folder.mkdir(parents=True, exist_ok=True)
            half = archive.to_bytes({}, "half")[:100]
            file.with_name(f".{file.name}.0123456789abcdef").write_bytes(half)
            self.doom.at("checkpoint: half written")
        super()._carry_out(key, wanted)
        self.doom.at("checkpoint: written")


def perilous(backend: type, doom: Doom) -> type:
    """A backend whose driver may die around what it asks of it."""

    class Perilous(backend):  # type: ignore[misc]
        def submit(self, *arguments: Any) -> None:
            doom.at("submit: begins")
            super().submit(*arguments)
            doom.at("submit: sent")

        def wait(self, timeout: float) -> Any:
            doom.at("wait: begins")
            results = super().wait(timeout)
            if results:
                doom.at("wait: received")
            return results

    return Perilous

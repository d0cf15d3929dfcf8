"""What users ask of a running study, from any terminal that reaches its store."""

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sweep import space as spaces
from sweep.dispatch import Dispatch
from sweep.errors import SweepError
from sweep.journal import Journal
from sweep.question import edited, extended
from sweep.spec import StudySpec
from sweep.store import Batch, Lease, Row, Store

_NONE_LEFT = "; none is left to begin, so extend the study to make room (sweep extend)"

POLL = 0.5
"""Seconds between two looks at the requests."""

Detail = Mapping[str, Any]


@dataclass(slots=True)
class Control:
    """Heeds requests: some at once, and `commands` when the study comes to its next decision."""

    store: Store
    lease: Lease
    journal: Journal
    dispatch: Dispatch
    spec: StudySpec
    """With the limits and the space that were asked for last."""
    leaving: str | None = None
    """`stop` when what runs has ended, `cancel` or `extend` at once."""
    commands: deque[Row] = field(default_factory=deque)
    _seen: set[int] = field(default_factory=set)
    _next: float = 0.0

    def heed(self, *, at_once: bool = False) -> list[str]:
        """Look for requests, if it is time; what was done about each, in words."""
        if time.monotonic() < self._next and not at_once:
            return []
        self._next = time.monotonic() + POLL
        said = []
        for request in self.store.pending(self.lease.study):
            if request["id"] not in self._seen:
                self._seen.add(request["id"])
                if (answer := self._heed(request)) is not None:
                    self.journal.answer(request["id"], answer)
                    said.append(answer)
        if said:
            self.journal.flush()
        return said

    def take_commands(self) -> Iterator[tuple[str, Detail]]:
        """The commands that wait for a decision, as names and details of their events."""
        while self.commands:
            request = self.commands.popleft()
            left = "" if self.journal.full_step == sys.maxsize else _NONE_LEFT
            self.journal.answer(
                request["id"], f"{request['request']}: from the next trial on{left}"
            )
            yield request["request"], request["detail"]

    def _heed(self, request: Row) -> str | None:
        try:
            return _ACTIONS[request["request"]](self, request)
        except SweepError as error:
            return f"refused: {error}"
        except (KeyError, TypeError, ValueError) as error:  # of a release that asks otherwise
            return f"refused: this is no request that this release understands: {error!r}"


def _stop(control: Control, request: Row) -> str:
    control.leaving, control.dispatch.hold = "stop", True
    control.journal.remark("stop")
    return "stopping when what runs has ended"


def _cancel(control: Control, request: Row) -> str:
    control.leaving = "cancel"
    control.journal.remark("cancel")
    return "stopping at once"


def _pause(control: Control, request: Row) -> str:
    control.dispatch.hold = True
    control.store.write(control.lease, Batch(), state="paused")
    control.journal.remark("pause")
    return "paused: what runs goes on to its rung, and nothing new begins"


def _resume(control: Control, request: Row) -> str:
    control.leaving, control.dispatch.hold = None, False  # a stop that has not yet come to pass
    control.store.write(control.lease, Batch(), state="running")
    control.journal.remark("resume")
    return "going on"


def _kill(control: Control, request: Row) -> str:
    trial = int(request["detail"]["trial"])
    if not control.dispatch.kill(trial):
        return f"refused: trial {trial} is not running"
    control.journal.remark("kill", trial)
    return f"killed trial {trial}"


def _extend(control: Control, request: Row) -> str:
    limits = request["detail"]
    for name, value in limits.items():
        current = getattr(control.spec.search, name)
        if value is None or (current is not None and value < current):
            return f"refused: {name} is {current} already, and {value} is less"
    control.leaving, control.spec = "extend", extended(control.spec, limits)
    control.journal.remark("extend", **limits)
    return f"extended to {', '.join(f'{name} {value}' for name, value in limits.items())}"


def _enqueue(control: Control, request: Row) -> None:
    params = spaces.check_params(control.spec.space, request["detail"]["params"])
    control.commands.append(request | {"detail": {"params": params}})


def _edit(control: Control, request: Row) -> None:
    control.spec = edited(control.spec, request["detail"]["changes"])
    control.commands.append(request)


_ACTIONS: dict[str, Callable[[Control, Row], str | None]] = {
    "stop": _stop,
    "cancel": _cancel,
    "pause": _pause,
    "resume": _resume,
    "kill": _kill,
    "extend": _extend,
    "enqueue": _enqueue,
    "edit": _edit,
}
"""What can be asked for."""

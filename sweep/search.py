"""The search: which parameters each trial has, given all that was asked and told before."""

import math
from collections import deque
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from sweep import draws, samplers
from sweep.entries import extremes
from sweep.errors import StudyChanged
from sweep.past import Params, Past
from sweep.samplers import COMPLETE_ONLY, REMEMBERS, SAMPLERS, Model
from sweep.space import Space, configuration, distributions, is_constant, parameters
from sweep.spec import StudySpec, cost_sign
from sweep.tpe import TPE


class History:
    """What the sampler knows of the trials so far.

    The same calls in the same order give the same parameters. Where a record has the answer to
    `ask`, `known` gives it: the sampler is then in the state that it would have been in.
    """

    def __init__(self, spec: StudySpec) -> None:
        samplers.check(spec)
        self._spec = spec
        self._original = distributions(spec.space)
        self._space: Space | None = None
        self._searched: draws.Searched = {}
        self._names: tuple[str, ...] = ()
        self._held: Params = {}
        self._past: list[Past] = []
        self._earlier = 0
        self._seen: set[Hashable] = set()
        self._model: Model | TPE | None = None
        self._points: deque[tuple[Any, ...]] = deque()
        self._signs = [cost_sign(name) for name in spec.objectives]
        self._worst: tuple[float, ...] | None = None

    def add(self, params: Mapping[str, Any], values: Sequence[float]) -> None:
        """A complete trial of another study, before the first `ask`; the samplers that model the
        objective learn from it if it lies in this study's space."""
        assert self._space is None, "a study has begun: nothing more can be added to it"
        self._past.append(Past(dict(params)))
        self._end(self._past[-1], "complete", values, ())
        self._earlier += 1

    def exhausted(self, space: Space) -> bool:
        """Whether a grid has no point left that no trial has had."""
        self._enter(space)
        return self._spec.search.sampler == "grid" and self._next_point(space) is None

    def ask(
        self,
        number: int,
        space: Space,
        seed: int,
        *,
        known: Mapping[str, Any] | None = None,
        fixed: Mapping[str, Any] | None = None,
    ) -> Params:
        """The parameters of the trial that begins now; numbers count from 0.

        The space may be another than before (`space.edit`): trials outside of it are then
        forgotten, and what is frozen is a parameter still. `fixed` replaces what is proposed.
        With `known`, the recorded parameters, nothing is proposed where that leaves no trace;
        StudyChanged if a sampler that must propose again proposes something else.
        """
        self._enter(space)
        place = len(self._past)
        assert number == place - self._earlier, f"trial {number} is asked for out of turn"
        if self._model:
            assert self._model.begin() == place
        params = known
        if known is None or self._spec.search.sampler in REMEMBERS:
            params = self._proposal(number, space, seed, fixed or {})
            if known is not None and params != known:
                raise _changed(number, known, params)
        assert params is not None
        if self._model:
            self._model.settle(place, params)
        if self._spec.search.sampler == "grid":
            self._seen.add(configuration(space, params))
        self._past.append(Past(params))
        return dict(params)

    def report(self, number: int, step: int, value: float) -> None:
        """The value of a running trial at a rung."""
        self._past[self._earlier + number].reports[step] = value

    def tell(
        self,
        number: int,
        state: str,
        values: Sequence[float] | None = None,
        violations: Sequence[float] = (),
    ) -> None:
        """A trial has ended as `complete`, with the values of the objectives, or as `pruned`,
        `diverged` or `failed`.

        A violation is how far a constraint is from being kept, 0 if it is. A diverged trial ranks
        below all others; of a failed one nothing is learned.
        """
        past = self._past[self._earlier + number]
        self._end(past, state, values, violations)
        if self._model:
            self._model.tell(self._earlier + number, past)

    def _enter(self, space: Space) -> None:
        """Search this space from now on."""
        if space is self._space:
            return
        begins, searched = self._space is None, distributions(space)
        self._space = space
        entries = parameters(space)
        self._names = tuple(entries)
        self._held = {
            name: extremes(entries[name])[0]
            for name in self._original
            if name in entries and is_constant(entries[name])
        }
        if searched == self._searched and not begins:
            return
        self._searched = searched
        if self._spec.search.sampler == "tpe":
            self._model = TPE(self._spec, space, self._past)
        elif self._spec.search.sampler in SAMPLERS:
            self._model = Model(self._spec, space, self._past)
        elif self._spec.search.sampler == "grid":
            self._points = deque(draws.grid(space, self._spec.search.seed))

    def _proposal(self, number: int, space: Space, seed: int, fixed: Mapping[str, Any]) -> Params:
        """What is searched, and what was when the study began, in the order of the space."""
        drawn = self._held | self._propose(number, space, seed) | dict(fixed)
        return {name: drawn[name] for name in self._names if name in drawn}

    def _propose(self, number: int, space: Space, seed: int) -> Params:
        if not self._searched:
            return {}
        if self._model:
            return self._model.propose(self._earlier + number, seed)
        match self._spec.search.sampler:
            case "grid":
                return self._next_point(space) or draws.random(self._searched, seed)
            case "quasi_random":
                return draws.quasi_random(self._searched, self._spec.search.seed, number)
        return draws.random(self._searched, seed)

    def _next_point(self, space: Space) -> Params | None:
        """The first point of the grid that no trial has had."""
        while self._points:
            point = dict(zip(self._searched, self._points[0], strict=True))
            if configuration(space, point) not in self._seen:
                return point
            self._points.popleft()
        return None

    def _end(
        self, past: Past, state: str, values: Sequence[float] | None, violations: Sequence[float]
    ) -> None:
        """Write into a trial what the sampler is to know of its end."""
        past.state = "pruned" if state == "diverged" else state
        if state == "diverged":
            past.reports = {}  # Optuna ranks a pruned trial without a value below all others
        past.values = None if values is None else tuple(values)
        if self._spec.search.sampler in COMPLETE_ONLY and past.state == "pruned":
            # What such a sampler is to keep away from has to have a value: the last, or the worst.
            last = past.reports[max(past.reports)] if past.reports else None
            past.values = self._worst if last is None else (last,)
            past.state = "failed" if past.values is None else "complete"
        if past.values is not None:
            ranked = zip(self._signs, past.values, self._worst or past.values, strict=True)
            self._worst = tuple(sign * max(sign * x, sign * y) for sign, x, y in ranked)
        if self._spec.search.constraints and self._spec.search.sampler != "cma_es":
            # Of one that is unknown, as of a trial of another study, nothing is held against it.
            known = violations or (0.0,) * len(self._spec.search.constraints)
            past.violations = tuple(math.inf if math.isnan(v) else float(v) for v in known)


def _changed(number: int, known: Mapping[str, Any], params: Params) -> StudyChanged:
    changes = "; ".join(
        f"{name} = {known.get(name)!r} in the record, now {params.get(name)!r}"
        for name in {**known, **params}
        if known.get(name) != params.get(name)
    )
    return StudyChanged(
        f"trial {number} would now have other parameters than it had: {changes}. Its sampler goes "
        "on only where it repeats itself: use the versions of optuna, cmaes and NumPy, and the "
        "kind of processor, that the study began with, or begin it again under another name"
    )

"""What another sampler, pruner or number of workers would have come to, without training."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from math import nan
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from sweep import datasets, overview, studyfile, tables
from sweep.best_so_far import best_so_far
from sweep.cost import MEASURES, Shape
from sweep.course import Course, Record, course, is_recorded
from sweep.entries import did_you_mean
from sweep.errors import SweepError, UsageError
from sweep.journal import COMMANDS, command
from sweep.recorded import Recorded
from sweep.spec import StudySpec
from sweep.steps import Command
from sweep.store import Row
from sweep.surrogate import Error
from sweep.warm import Known

KEYS = (
    *("sampler", "pruner", "workers", "trials", "seed", "reduction_factor", "min_epochs"),
    *("percentile", "patience", "p_threshold", "repeats", "max_parameters", "max_flops", "flops"),
)
"""The keys of [search] that a replay can change."""

CLOCKS = {
    **dict.fromkeys(("datetime_start", "datetime_complete"), pd.NaT),
    "seconds": 0.0,
    "attempts": 0,
    "node": None,
    "error": None,
}
"""The columns of trials that only those have that were trained."""


@dataclass(frozen=True)
class Cost:
    """What a course came to. Seconds are those of the machines that ran the study."""

    trials: int
    """That were begun and not refused as duplicates or too large."""
    complete: int
    pruned: int
    failed: int
    epochs: int
    makespan: float
    """Seconds with a CPU for each virtual worker."""
    cpu_seconds: float
    """In which epochs are trained."""


@dataclass(frozen=True, repr=False)
class Replay:
    """A study replayed: the course that its decisions take with other keys of [search]."""

    study: str
    spec: StudySpec
    """The question that was replayed."""
    changes: Mapping[str, Any]
    """The keys of [search] that are others than the recorded."""
    trials: pd.DataFrame
    """One row a trial, the columns of `study.trials` without its times, then `began` and `ended`,
    in seconds from the beginning."""
    curve: pd.DataFrame
    """One row whenever a trial ended: `trial`, `seconds`, `cpu_seconds`, `epochs`, and the `best`
    value so far."""
    cost: Cost
    recorded: Cost
    """What the study itself came to."""
    best: float | None
    """The winner's value."""
    recorded_best: float | None
    share: float
    """Of the epochs, those that are recorded; the others are predicted."""
    error: Error | None
    """Of the predictions; None where there were none."""
    notes: tuple[str, ...] = ()
    """What the replay leaves out."""

    @property
    def text(self) -> str:
        """What it comes to, in words."""
        then, now = self.recorded, self.cost
        found = [
            f"{self.study} with {self.title}: {now.trials} trials ({now.complete} complete) and "
            f"{now.epochs:,} epochs for {now.cpu_seconds:.3g} CPU seconds, {now.makespan:.3g} s on "
            f"{self.spec.search.workers} workers, best {_said(self.best)}; recorded "
            f"{then.epochs:,} epochs, {then.cpu_seconds:.3g} CPU seconds, {then.makespan:.3g} s, "
            f"best {_said(self.recorded_best)}."
        ]
        if self.error is None:
            found.append("Every epoch is recorded.")
        else:
            found.append(
                f"{1 - self.share:.0%} of the epochs are predicted, from the recorded curves by "
                f"randomized trees: {self.error}."
            )
            found += [self.error.warning] if self.error.warning else []
        return " ".join([*found, *self.notes])

    @property
    def title(self) -> str:
        """The keys that were changed."""
        return title(self.changes)

    def __repr__(self) -> str:
        return f"<Replay of {self.text}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{then:,.4g}</td><td>{now:,.4g}</td></tr>"
            for name, then, now in [
                *((name, v, getattr(self.cost, name)) for name, v in asdict(self.recorded).items()),
                ("best", _number(self.recorded_best), _number(self.best)),
            ]
        )
        return (
            f"<p>{escape(self.text)}</p><table><tr><th></th><th>recorded</th>"
            f"<th>{escape(self.title)}</th></tr>{rows}</table>"
        )

    def plot(self) -> go.Figure:
        """The best value so far over the seconds of training."""
        return figure(self.study, self.spec, [(self.title, self.curve)], self.recorded_best)


def replay(study: Recorded, **search: Any) -> Replay:
    """The study with other KEYS of its [search], over the recorded curves.

    UsageError for keys that cannot be replayed and records that are too thin; StudyFileError for
    values that a study file could not have.
    """
    return rerun(study, record_of(study), asked(study.spec, search))


def asked(spec: StudySpec, search: Mapping[str, Any]) -> StudySpec:
    """The question with other keys of [search]; UsageError or StudyFileError if it cannot be."""
    if unknown := [name for name in search if name not in KEYS]:
        raise UsageError(
            f"a replay cannot change {unknown[0]}; it can change {', '.join(KEYS)}"
            f"{did_you_mean(unknown[0], KEYS)}"
        )
    measured = {*spec.objectives, *spec.search.constraints} - {*MEASURES, spec.train.metric}
    if measured:
        raise UsageError(
            f"study {spec.name!r} is decided by {', '.join(sorted(measured))} beside "
            f"{spec.train.metric}, of which no curves are recorded: it cannot be replayed"
        )
    recorded = studyfile.to_json(spec)
    return studyfile.from_json({**recorded, "search": {**recorded["search"], **search}})


@dataclass(frozen=True)
class Source:
    """What a study's record says beside its curves."""

    record: Record
    warm: Known
    commands: Mapping[int, Sequence[Command]]
    """What its users asked for, by the step at which it took effect."""
    makespan: float
    """In virtual seconds."""
    was_closed: bool
    """Whether a budget of time ended it."""


def record_of(study: Recorded) -> Source:
    """A study's record with the shape of its data, which are read again; SweepError if they are
    not those that it began with."""
    with study._store() as store:
        row = store.study(study.name)
        events, attempts = store.events(row["id"]), store.attempts(row["id"])
    trials, epochs = study._curves()
    parts = datasets.load_parts(study.spec)
    if datasets.fingerprint(*(dataset for dataset, _ in parts)) != row["data_fingerprint"]:
        raise SweepError(
            f"the rows of {study.spec.data.name} are not those that {study.name!r} began with, so "
            "that it cannot be replayed: what trials cost depends on them"
        )
    commands: dict[int, list[Command]] = {}
    for event in events:
        if event["event"] in COMMANDS:
            asked = command(event["event"], event["detail"])
            commands.setdefault(event["step"], []).append(asked)
    warm = [event["detail"]["trials"] for event in events if event["event"] == "warm_start"]
    shape = Shape.of(parts[0][0], study.spec.edition)
    return Source(
        record=Record(study.spec, shape, trials, epochs, attempts),
        warm=[(trial["params"], trial["values"]) for trial in (warm[0] if warm else ())],
        commands=commands,
        makespan=max((event["virtual_time"] or 0.0 for event in events), default=0.0),
        was_closed=any(event["event"] == "close" for event in events),
    )


def rerun(study: Recorded, source: Source, spec: StudySpec) -> Replay:
    """The replay of a question over a record."""
    record = source.record
    unchanged, notes = is_recorded(record.spec, spec), []
    most = record.predicted if source.was_closed and not unchanged else None
    if not unchanged:
        if most is not None:
            notes.append("It ends with the seconds of training after which the study was closed.")
        if len(source.commands) > source.was_closed:
            notes.append("What its users edited or tried by hand is left out.")
    commands = source.commands if unchanged else {}
    found = course(record, spec, source.warm, commands, most)
    pace = record.seconds / record.predicted if record.predicted else 1.0
    curve = pd.DataFrame(found.ends, columns=["trial", "seconds", "cpu_seconds", "epochs", "best"])
    curve[["seconds", "cpu_seconds"]] *= pace
    epochs = found.recorded + found.predicted
    changes = {
        name: getattr(spec.search, name)
        for name in KEYS
        if getattr(spec.search, name) != getattr(record.spec.search, name)
    }
    makespan = max((row.get("ended", 0.0) for row in found.trials), default=0.0)
    spent = float(curve["cpu_seconds"].max()) if len(curve) else 0.0
    leader = study.leader
    return Replay(
        study=study.name,
        spec=spec,
        changes=changes,
        trials=_trials(spec, found, pace),
        curve=curve,
        cost=_cost(found.trials, epochs, pace * makespan, spent),
        recorded=_cost(record.trials, len(record.epochs), pace * source.makespan, record.seconds),
        best=None if found.best is None else overview.first_value(found.best),
        recorded_best=None if leader is None else overview.first_value(record.trials[leader]),
        share=found.recorded / epochs if epochs else 1.0,
        error=record.surrogate.error if found.predicted else None,
        notes=tuple(notes),
    )


def _cost(trials: Sequence[Row], epochs: int, makespan: float, seconds: float) -> Cost:
    counts = overview.counts_of(overview.begun(trials))
    return Cost(
        trials=sum(counts.values()),
        **{state: counts.get(state, 0) for state in overview.ENDED},
        epochs=epochs,
        makespan=makespan,
        cpu_seconds=seconds,
    )


def _trials(spec: StudySpec, found: Course, pace: float) -> pd.DataFrame:
    frame = tables.trials(spec, [{**CLOCKS, **row} for row in found.trials])
    frame = frame.drop(columns=[*CLOCKS, "duration"])
    for name in ("began", "ended"):
        times = [row.get(name) for row in found.trials]
        frame[name] = pace * pd.Series(times, dtype="float64")
    return frame


def title(changes: Mapping[str, Any]) -> str:
    """Changed keys of [search] in a line."""
    return ", ".join(f"{name} = {value}" for name, value in changes.items()) or "nothing changed"


def figure(
    study: str, spec: StudySpec, curves: Sequence[tuple[str, pd.DataFrame]], best: float | None
) -> go.Figure:
    """The best values so far over the seconds of training."""
    known = [(name, curve.dropna(subset="best")) for name, curve in curves]
    found = best_so_far(
        [(name, curve["cpu_seconds"], curve["best"]) for name, curve in known],
        title=f"What {study} would have come to",
        x="seconds of training on one CPU",
        y=f"best {spec.objectives[0]} so far",
    )
    if best is not None:
        found.add_hline(y=best, line={"color": "#888", "width": 1}, annotation_text="recorded best")
    return found


def _said(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"


def _number(value: float | None) -> float:
    return nan if value is None else value

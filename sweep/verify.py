"""Whether a study's record is what its file leads to: its decisions again, and some trainings."""

from collections import defaultdict
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from math import isfinite

from sweep import datasets, studyfile
from sweep.backends import Report, Segment
from sweep.backends.serial import SerialBackend
from sweep.cost import Shape
from sweep.decisions import decisions
from sweep.errors import StudyChanged, SweepError
from sweep.fingerprint import TRIALS
from sweep.journal import Journal
from sweep.question import check_code
from sweep.rows import MEASURES, begun_row, decided_row
from sweep.steps import Await, Begin, Decide, Full, Promote, Reply, Step, Turn
from sweep.store import Lease, Row, Store
from sweep.verdict import may_stop
from sweep.warm import warm_start
from trainer import EpochRecord


@dataclass(frozen=True, slots=True)
class Decided:
    """So many decisions came out as recorded, each proposal of the sampler's included."""

    decisions: int
    trials: int


@dataclass(frozen=True, slots=True)
class Trained:
    """A trial was trained again."""

    trial: int
    epochs: int
    differences: tuple[str, ...]
    """What came out otherwise than recorded, to the last bit; empty if nothing did."""


class Differs(SweepError):
    """A record that is not what its study leads to."""


def verify(
    name: str, store: Store, retrain: int = 0, *, allow_code: bool = False
) -> Iterator[Decided | Trained]:
    """Take every decision of a study again from its file and its reports, then train some trials.

    Raises Differs at the first decision that comes out otherwise. The trials that are trained are
    spread evenly over those that have epochs; their records are compared bit for bit.
    """
    row = store.study(name)
    spec = studyfile.from_json(row["spec"])
    check_code(spec, allow_code)
    parts = datasets.load_parts(spec)
    if datasets.fingerprint(*(dataset for dataset, _ in parts)) != row["data_fingerprint"]:
        raise Differs(f"the rows of {spec.data.name} are not those that {name!r} began with")
    lease = Lease(row["id"], name, 0, "nobody")  # it only reads
    journal = Journal(store, lease)
    warm = warm_start(spec, store, lease, journal)
    steps = decisions(spec, Shape.of(parts[0][0], spec.edition), {}, warm)
    decided, trained = _decide_again(journal, steps, store.trials(row["id"]))
    yield decided
    with SerialBackend(tuple(dataset.without_test() for dataset, _ in parts)) as backend:
        for segments in _spread(list(trained.values()), retrain):
            yield _train_again(segments, journal, backend)


Segments = dict[int, Segment]
"""The last segment of each replicate of a trial."""


def _decide_again(
    journal: Journal, steps: Generator[Step, Reply, None], trials: list[Row]
) -> tuple[Decided, dict[int, Segments]]:
    """Count the decisions on record as they come out again, and say what each trial trained."""
    trained: dict[int, Segments] = defaultdict(dict)
    final: dict[int, Row] = {}
    count = 0
    reply: Reply = None
    while journal.is_replaying:
        try:
            step = steps.send(reply)
            reply = None
            match step:
                case Await():
                    reply = _recalled(journal, step.segment)
                    trained[step.segment.trial][step.segment.replicate] = step.segment
                case Turn():
                    reply = journal.commands(step.step)
                case Begin():
                    _check_params(journal, step)
                    journal.begin(step, 0.0)
                    begun = begun_row(step.trial) | {"epochs": 0}
                    final[step.trial.number] = dict.fromkeys(TRIALS) | begun
                case Promote():
                    journal.promote(step)
                    final[step.last.trial.number] |= decided_row(step.last, "running", 0.0, 0)
                case Full():
                    journal.full(step)
                case Decide():
                    journal.decide(step)
                    final[step.trial.number] |= decided_row(step, step.state, 0.0, 0)
                    count += 1
        except StudyChanged as error:
            raise Differs(
                f"after {count} decisions as recorded: {error}; or else the record was altered"
            ) from None
        except StopIteration:
            raise Differs(
                f"after {count} decisions as recorded the study is at its end, but its record goes "
                "on: the record was altered"
            ) from None
    for row in trials:
        _check_trial(row, final.get(row["number"]))
    return Decided(count, len(journal.proposed)), trained


def _recalled(journal: Journal, segment: Segment) -> Report:
    """The report of a segment, which must be whole."""
    what = f"epochs {segment.start + 1} to {segment.until} of trial {segment.trial}"
    report = journal.recall(segment)
    if report is None:
        raise StudyChanged(f"{what} have no result on record")
    if report.outcome == "finished":
        found = [record.epoch for record in report.records]
        due = list(range(segment.start + 1, segment.until + 1))
        if found != (due[: len(found)] if may_stop(segment.config) else due):
            raise StudyChanged(f"{what} are recorded as {len(found)} of {len(due)}")
        if missing := [name for name in segment.metrics if name not in dict(report.metrics)]:
            raise StudyChanged(f"{what} are recorded without {', '.join(missing)}")
    return report


def _check_params(journal: Journal, step: Begin) -> None:
    number, params = step.trial.number, step.trial.params
    recorded = journal.proposed.get(number)
    if params != recorded:
        raise StudyChanged(f"trial {number} is recorded with {recorded}, but has {params} now")


def _check_trial(recorded: Row, decided: Row | None) -> None:
    """Whether a trial's row says what was decided about it."""
    number = recorded["number"]
    if decided is None:
        raise Differs(f"trial {number} is on record, but no decision began it")
    for column in TRIALS:
        if recorded[column] != decided[column]:
            raise Differs(
                f"trial {number} is recorded with {column} = {recorded[column]!r}, but its "
                f"decisions make it {decided[column]!r}: the record was altered"
            )


def _spread(trained: list[Segments], count: int) -> list[Segments]:
    """So many trials, evenly spread."""
    if count >= len(trained):
        return trained
    return [trained[i * len(trained) // count] for i in range(count)]


def _train_again(segments: Segments, journal: Journal, backend: SerialBackend) -> Trained:
    differences: list[str] = []
    epochs = 0
    for last in segments.values():
        whole = replace(last, start=0)
        backend.submit(whole)
        (result,) = backend.wait(0)
        recorded = journal.epochs(whole)
        epochs += len(recorded)
        found = zip(recorded, result.report.records, strict=False)
        differences += [text for then, now in found if (text := _difference(then, now))]
        if len(result.report.records) < len(recorded):
            differences.append(f"only {len(result.report.records)} epochs of {len(recorded)}")
    return Trained(last.trial, epochs, tuple(differences))


def _difference(then: EpochRecord, now: EpochRecord) -> str:
    """The first measure of an epoch that is not the same to the last bit."""
    for name in MEASURES:
        old, new = getattr(then, name), getattr(now, name)
        if old != new and (isfinite(old) or isfinite(new)):
            return f"epoch {then.epoch}: {name} {old!r} on record, {new!r} now"
    return ""

"""Trials cut into segments, and a record in memory for what comes back of them."""

from collections import defaultdict

from sweep import datasets
from sweep.backends import Segment
from sweep.spec import DataSpec
from trainer import TrainConfig, run

CONFIG = TrainConfig(neurons=(8,), learning_rate=0.05, epochs=6)
RUNGS = (1, 3, 6)
LONG = TrainConfig(neurons=(256, 256), learning_rate=0.01, batch_size=1, epochs=60)
"""Lasts for seconds, and its state is too large for Ray to keep outside its object store."""


def iris():
    return datasets.load(DataSpec(source="sklearn:iris"))[0].without_test()


def own(name, start=0, until=3, trial=0, **params):
    """A segment of a trainer in tests/sweep/trainers.py."""
    function = f"tests.sweep.trainers:{name}"
    return Segment(trial, tuple(params.items()), 7, start, until, function=function)


class Memory:
    """The journal's part that Dispatch knows: every attempt, and the accepted ones recalled."""

    def __init__(self):
        self.attempts = defaultdict(list)

    def recall(self, segment):
        accepted = [a.report for a in self.attempts.get(segment, ()) if a.accepted]
        assert len(accepted) <= 1, "a segment was answered twice"
        return accepted[0] if accepted else None

    def arrived(self, segment, attempt):
        assert self.recall(segment) is None, "a segment was computed again"
        self.attempts[segment].append(attempt)

    @property
    def causes(self):
        """How each attempt ended, in order, by segment; those that went well at once left out."""
        found = {s: [a.report.outcome for a in tries] for s, tries in self.attempts.items()}
        return {s: causes for s, causes in found.items() if causes != ["finished"]}


def whole(dispatch, segments):
    """Answers of `segments` asked for one after the other."""
    reports = []
    for number, segment in enumerate(segments):
        dispatch.submit(segment, float(number), 100.0)
        for _ in dispatch.ticks(segment):
            pass
        reports.append(dispatch.take(segment))
    return reports


def trial(number=0, config=CONFIG, rungs=RUNGS):
    """The segments of a trial."""
    return [
        Segment(number, config, 7 + number, start, until)
        for start, until in zip((0, *rungs), rungs, strict=False)
    ]


def listen(backend):
    """Wait until signs of life are heard, for which Ray first has to start a process."""
    first = own("slow", until=10_000, seconds=0.1)
    backend.submit(first)
    while not backend.beats():
        backend.wait(timeout=0.1)
    backend.kill(first)
    assert backend.wait(timeout=30)


def curve(reports):
    """All that is deterministic in the records of these reports."""
    return [measures(record) for report in reports for record in report.records]


def measures(record):
    return record.epoch, record.train_loss, record.validation_metric, record.gradient_norm


def undisturbed(config):
    """The curve of a trial that was trained here, in one go."""
    return [measures(record) for record in run(config, iris(), 7)[0]]

"""What a study would run, before anything is trained."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, pairwise, takewhile
from math import fsum
from typing import Any

from sweep import datasets, pruners, space, studyfile
from sweep.cost import Shape, flops, parameters
from sweep.datasets import files, splits
from sweep.datasets.targets import Target
from sweep.dataspec import SOURCES, DataSpec
from sweep.decisions import decisions
from sweep.errors import StudyNotFound
from sweep.question import in_its_edition
from sweep.spec import StudySpec
from sweep.steps import Begin, Trial, Turn
from sweep.store import Store, locate
from sweep.warm import Known, trials_of
from trainer import Dataset, TrainConfig

SUGGESTIONS = 5
SAMPLE = 64
"""Trials drawn at random whose predicted costs are averaged."""

WORKER = 150_000_000
"""Bytes of a Ray worker that has loaded the trainer, measured: before data and networks."""

VECTORS = 6
"""As long as the parameters: they, their gradient, two moments, and states that come and go."""

Bracket = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study amounts to before anything is trained; predicted, and for no machine's CPUs."""

    spec: StudySpec
    found: Mapping[str, str]
    """What the keys that the file does not give are for these rows, such as data.split."""
    notes: tuple[str, ...]
    """What its user should know of the data."""
    shape: Shape
    rungs: tuple[Bracket, ...]
    """The epochs at which trials are judged, for each bracket."""
    first: tuple[Trial, ...]
    seconds: float
    """Of a trial that is not pruned, in the mean."""
    flops: float | None
    least: float
    """The share of all trials' epochs that is trained if the pruner lets as few go on as it can:
    each of its rungs the best 1 / `reduction_factor`; 0 where that is not known."""
    data_bytes: int
    """Of the rows for training and validation, which the workers of a machine share."""
    worker_bytes: int
    """Of the worker with the largest network of the sample, beside the data."""

    def record(self) -> dict[str, Any]:
        """The plan in JSON values."""
        trials = self.spec.search.trials
        return {
            "name": self.spec.name,
            "study": studyfile.to_json(self.spec),
            "data": {
                "train_rows": self.shape.train_rows,
                "validation_rows": self.shape.validation_rows,
                "features": self.shape.n_inputs,
                "outputs": self.shape.n_outputs,
                "bytes": self.data_bytes,
            },
            "notes": list(self.notes),
            "searched": list(space.distributions(self.spec.space)),
            "rungs": self.rungs,
            "first": [
                {
                    "number": trial.number,
                    "params": space.active(self.spec.space, trial.params),
                    "predicted_seconds": trial.predicted_cost,
                }
                for trial in self.first
            ],
            "trial_seconds": self.seconds,
            "trial_flops": self.flops,
            "most_seconds": trials * self.seconds,
            "most_flops": None if self.flops is None else trials * self.flops,
            "least_seconds": self.least * trials * self.seconds,
            "worker_bytes": self.worker_bytes,
        }


def plan(spec: StudySpec, store: str | None = None) -> Plan:
    """The plan of a study, in the edition of that of its name in the store if there is one;
    StudyFileError if its data cannot be used."""
    spec = _as_it_would_run(spec, store)
    parts, notes = datasets.load_study(spec)
    for dataset, _ in parts:
        space.check_data(spec, dataset)
    shape = Shape.of(parts[0][0], spec.edition)
    sample = _draw(spec, shape)
    brackets = _brackets(spec)
    return Plan(
        spec=spec,
        found=dict(_found(spec.data, parts[0][1].target)),
        notes=notes,
        shape=shape,
        rungs=brackets,
        first=_first(spec, shape, store),
        seconds=fsum(trial.predicted_cost for trial in sample) / len(sample),
        flops=_mean_flops(spec, shape, sample),
        least=_least(spec, brackets),
        data_bytes=sum(_bytes(dataset) for dataset, _ in parts),
        worker_bytes=WORKER + max(_network_bytes(trial.config, shape) for trial in sample),
    )


def _as_it_would_run(spec: StudySpec, store: str | None) -> StudySpec:
    """In the edition of the study that has begun, if there is one."""
    try:
        with Store(locate(store), read_only=True) as record:
            known = record.find(spec.name)
            if known is None or not record.count_trials(known["id"]):
                return spec
            return in_its_edition(spec, studyfile.from_json(known["spec"]))
    except StudyNotFound:  # there is no store yet
        return spec


def _found(data: DataSpec, target: Target) -> Iterator[tuple[str, str]]:
    """What was found from the rows for keys of [data] that have no value."""
    yield "data.task", target.task
    yield "data.split", splits.way_of(data, target.classes is not None)
    if target.task == "regression":
        yield "data.target_scaling", target.scaler.kind
    if target.classes is not None and len(target.classes) == 2:
        yield "data.positive", str(target.classes[-1])
    if data.source not in SOURCES and (delimiter := files.delimiter_of(data)) is not None:
        yield "data.delimiter", repr(delimiter)


def _brackets(spec: StudySpec) -> tuple[Bracket, ...]:
    if spec.search.pruner == "wilcoxon":
        return ()
    if spec.search.pruner != "hyperband":
        return (pruners.rungs(spec, 0),)
    found = {pruners.bracket(spec, number): pruners.rungs(spec, number) for number in range(1000)}
    return tuple(found[bracket] for bracket in sorted(found))


def _least(spec: StudySpec, brackets: tuple[Bracket, ...]) -> float:
    """The share of its epochs that a trial trains in the mean, if as few go on as can."""
    search = spec.search
    if search.pruner == "none":
        return 1.0
    if search.pruner not in pruners.HALVING:
        return 0.0
    if search.pruner != "hyperband":
        return _epochs(brackets[0], search.reduction_factor) / spec.train.epochs
    numbers = range(search.trials)
    epochs = [_epochs(pruners.rungs(spec, n), search.reduction_factor) for n in numbers]
    return fsum(epochs) / len(epochs) / spec.train.epochs


def _epochs(rungs: Bracket, factor: int) -> float:
    lengths = enumerate(until - start for start, until in pairwise((0, *rungs)))
    return fsum(length / factor**k for k, length in lengths)


def _first(spec: StudySpec, shape: Shape, store: str | None) -> tuple[Trial, ...]:
    """The trials that begin before any has ended."""
    warm: Known = []
    if (other := spec.search.warm_start) is not None:
        with Store(locate(store), read_only=True) as record:
            warm = [(row["params"], row["values"]) for row in trials_of(spec, other, record)]
    most = min(SUGGESTIONS, spec.search.trials)
    return tuple(islice(_begun(spec, shape, SUGGESTIONS, warm), most))


def _draw(spec: StudySpec, shape: Shape) -> list[Trial]:
    """Trials from all over the space, whatever the sampler."""
    free = {"sampler": "random", "repeats": True, "trials": SAMPLE, "flops": None}
    free |= {"max_parameters": None, "max_flops": None}
    search = spec.search.model_copy(update=free)
    return list(_begun(spec.model_copy(update={"search": search}), shape, SAMPLE, []))


def _begun(spec: StudySpec, shape: Shape, at_once: int, warm: Known) -> Iterator[Trial]:
    search = spec.search.model_copy(update={"workers": max(at_once, spec.search.workers)})
    steps = decisions(spec.model_copy(update={"search": search}), shape, {}, warm)
    before = takewhile(lambda step: not isinstance(step, Turn), steps)
    return islice((step.trial for step in before if isinstance(step, Begin)), at_once)


def _mean_flops(spec: StudySpec, shape: Shape, sample: list[Trial]) -> float | None:
    if not all(isinstance(trial.config, TrainConfig) for trial in sample):
        return None
    total = fsum(flops(trial.config, shape) for trial in sample)
    return spec.search.replicates * total / len(sample)


def _bytes(dataset: Dataset) -> int:
    splits = (dataset.train, dataset.validation)
    return sum(split.x.nbytes + split.y.nbytes for split in splits)


def _network_bytes(config: Any, shape: Shape) -> int:
    """Bytes of the vectors of a training and of a batch in every layer; none of a user's own."""
    if not isinstance(config, TrainConfig):
        return 0
    size = 8 if config.dtype == "float64" else 4
    units = shape.n_inputs + 3 * (sum(config.neurons) + shape.n_outputs)
    numbers = VECTORS * parameters(config, shape) + config.batch_rows(shape.train_rows) * units
    return int(size * numbers)

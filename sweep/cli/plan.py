"""What a study would run: `sweep run --dry-run`."""

from itertools import islice

from rich.console import Console

from sweep import datasets, pruners, space
from sweep.cost import Shape
from sweep.decisions import decisions
from sweep.spec import StudySpec
from sweep.steps import Begin, Trial

SUGGESTIONS = 5


def print_plan(spec: StudySpec) -> None:
    """The question, the rungs, the first trials and their predicted time; nothing is trained."""
    parts, notes = datasets.load_study(spec)
    for dataset, _ in parts:
        space.check_data(spec, dataset)
    shape = Shape.of(parts[0][0])
    search, searched = spec.search, ", ".join(space.distributions(spec.space))
    console = Console(highlight=False, soft_wrap=True)
    rows = [
        (
            "data",
            f"{spec.data.name}: {shape.train_rows} rows to train on, "
            f"{shape.validation_rows} to validate, {shape.n_inputs} features",
        ),
        ("objective", ", ".join(spec.objectives)),
        ("searched", searched or "nothing: every key is constant"),
        ("sampler", search.sampler),
        ("pruner", search.pruner),
        *(("note", note) for note in notes),
        *_rungs(spec),
        ("trials", f"{search.trials}, {search.workers} at a time in virtual order"),
    ]
    if search.pruner == "promotion":
        needed = search.reduction_factor ** (len(pruners.rungs(spec, 0)) - 1)
        if search.trials < needed:
            rows.append(
                ("note", f"promotion brings a trial to its end about every {needed} trials")
            )
    first = _first(spec, shape)
    mean = sum(trial.predicted_cost for trial in first) / len(first)
    rows.append(
        (
            "predicted",
            f"{mean:.2g} s for a trial that is not pruned, by the first "
            f"{len(first)}; at most {_duration(search.trials * mean)} of CPU time in all",
        )
    )
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        console.print(f"{name:<{width}}  {value}")
    console.print("first trials", style="bold")
    for trial in first:
        settings = " ".join(
            f"{k}={_short(v)}" for k, v in space.active(spec.space, trial.params).items()
        )
        console.print(f"  {trial.number}  {settings}")


def _rungs(spec: StudySpec) -> list[tuple[str, str]]:
    """The epochs at which trials are judged, for each bracket if they differ."""
    if spec.search.pruner == "wilcoxon":
        return [("rungs", f"after each of {spec.search.replicates} replicates")]
    if spec.search.pruner != "hyperband":
        return [("rungs", _say(pruners.rungs(spec, 0)))]
    found = {pruners.bracket(spec, number): pruners.rungs(spec, number) for number in range(1000)}
    return [(f"rungs, bracket {bracket}", _say(found[bracket])) for bracket in sorted(found)]


def _say(rungs: tuple[int, ...]) -> str:
    return "after epoch " + ", ".join(map(str, rungs))


def _first(spec: StudySpec, shape: Shape) -> list[Trial]:
    """The trials that begin before any has ended."""
    search = spec.search.model_copy(update={"workers": max(SUGGESTIONS, spec.search.workers)})
    steps = decisions(spec.model_copy(update={"search": search}), shape, {})
    begun = (step.trial for step in steps if isinstance(step, Begin))
    return list(islice(begun, min(SUGGESTIONS, search.trials)))


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"

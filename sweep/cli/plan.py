"""What a study would run: `sweep run --dry-run`."""

from rich.console import Console
from rich.text import Text

from sweep import space, studyfile
from sweep.cli.picture import settings
from sweep.cpus import usable_cpus
from sweep.plan import Bracket, Plan
from sweep.spec import StudySpec


def print_plan(found: Plan) -> None:
    """The question in full, the rungs, the first trials, and what they are predicted to take."""
    spec, shape, search = found.spec, found.shape, found.spec.search
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(studyfile.to_toml(spec, found.found)))
    searched = ", ".join(space.distributions(spec.space))
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
        *(("note", note) for note in found.notes),
        *_rung_rows(spec, found.rungs),
        ("trials", f"{search.trials}, {search.workers} at a time in virtual order"),
        *_predictions(found),
        (
            "memory",
            f"about {_size(found.worker_bytes)} for each worker, and {_size(found.data_bytes)} of "
            "data that those of a machine share",
        ),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        console.print(Text(f"{name:<{width}}  {value}"))
    console.print("first trials", style="bold")
    for trial in found.first:
        console.print(Text(f"  {trial.number}  {' '.join(settings(spec, trial.params))}"))


def _predictions(found: Plan) -> list[tuple[str, str]]:
    search, most = found.spec.search, found.spec.search.trials * found.seconds
    rows = []
    if search.pruner == "promotion":
        needed = search.reduction_factor ** (len(found.rungs[0]) - 1)
        if search.trials < needed:
            rows.append(
                ("note", f"promotion brings a trial to its end about every {needed} trials")
            )
    rows.append(("predicted", f"{found.seconds:.2g} s for a trial that is not pruned, in the mean"))
    operations = "" if found.flops is None else f" and {search.trials * found.flops:.2g} FLOPs"
    cpus = min(usable_cpus(), max(1, search.workers // 2))
    rows += [
        ("in all", f"at most {_duration(most)} of CPU time{operations}{_pruned(found)}"),
        ("here", f"at most {_duration(most / cpus)} on {cpus} CPUs, beside starting and proposing"),
    ]
    return rows


def _pruned(found: Plan) -> str:
    """What is known of a study whose trials do not all go to their end."""
    if found.least == 1.0:
        return ""
    least = found.least * found.spec.search.trials * found.seconds
    known = f", and {_duration(least)} if as few go on as can" if found.least else ""
    return f"; less as trials are pruned{known}"


def _rung_rows(spec: StudySpec, brackets: tuple[Bracket, ...]) -> list[tuple[str, str]]:
    if not brackets:
        return [("rungs", f"after each of {spec.search.replicates} replicates")]
    name = "rungs, bracket {}" if spec.search.pruner == "hyperband" else "rungs"
    return [
        (name.format(i), "after epoch " + ", ".join(map(str, rungs)))
        for i, rungs in enumerate(brackets)
    ]


def _size(count: float) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e9 else f"{count / 1e6:.3g} MB"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"

"""The study file that `sweep init` proposes for a table: what is decided, and why."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sweep.commented import Choice, assignment, comment, toml, toml_key
from sweep.datasets.columns import inputs
from sweep.datasets.problems import listed, shown
from sweep.datasets.survey import Survey
from sweep.dataspec import SOURCES, DataSpec

MOST_CATEGORIES = 32


class Size(NamedTuple):
    """What suits tables of up to so many rows for training: more rows, larger everything."""

    rows: float
    layers: tuple[int, int]
    neurons: tuple[int, int]
    batch_size: tuple[int, int]
    epochs: int
    trials: int


SIZES = (
    Size(500, (1, 2), (4, 64), (8, 64), 81, 60),
    Size(5_000, (1, 3), (16, 256), (16, 128), 81, 60),
    Size(50_000, (1, 4), (32, 256), (64, 512), 81, 60),
    Size(500_000, (2, 4), (64, 512), (256, 2048), 27, 40),
    Size(float("inf"), (2, 4), (64, 512), (1024, 8192), 9, 30),
)

MOST_BINNED = 30
"""Columns of numbers: with more, their bins would be too many inputs."""
BINS = (8, 64)
MOST_NUMBERS = 50_000_000
"""That bins may make of the rows for training, which every worker holds: 200 MB."""
MANY_STEPS = 5_000
"""Rows for training, from which on an epoch has steps enough to average over."""
FEW = 400
"""Rows for training, below which a single share for validation judges by chance."""
FOLDS = 5
RARELY_JUDGED = 10
"""Rows of a class in a part, below which it is chance whether they are found."""
RARE_ROWS = 25
"""Of a class, from which on a ranking of the validation rows by it can be judged."""


def proposal(found: Survey, name: str, source: str, cpus: int) -> str:
    """A study file in TOML: `source` is as the file is to say it, `cpus` are this machine's."""
    lines = [
        *comment(_TITLE.format(target=listed(found.data.target) or "its target", source=source)),
        "",
        f"name = {toml(name)}",
    ]
    for section, choices in decided(found, source, cpus).items():
        lines += ["", *comment(_SECTIONS[section]), f"[{section}]"]
        for choice in choices:
            lines += assignment(choice)
        if section == "data":
            lines += _about_columns(found)
    return "\n".join(lines) + "\n"


def decided(found: Survey, source: str, cpus: int) -> dict[str, tuple[Choice, ...]]:
    """The tables of the study file, with the reason for each value."""
    size = next(size for size in SIZES if _train_rows(found) <= size.rows)
    return {
        "data": tuple(_data(found, source)),
        "space": tuple(_space(found, size)),
        "train": tuple(_train(found, size)),
        "search": tuple(_search(found, size, cpus)),
    }


def _data(found: Survey, source: str) -> Iterator[Choice]:
    given = _given(found.data)
    yield Choice("source", source)
    yield from given.values()
    yield from (choice for choice in _of_data(found) if choice.key not in given)


def _given(data: DataSpec) -> dict[str, Choice]:
    """What is known of the table before it is looked at, and how its file is written."""
    found = data.model_dump(mode="json", exclude_unset=True, exclude={"source", "target", "task"})
    return {
        key: Choice(key, value, "as the file is written" if key in _WRITTEN else "as given to init")
        for key, value in found.items()
    }


def _of_data(found: Survey) -> Iterator[Choice]:
    data, task = found.data, found.task
    if data.source not in SOURCES:
        target = data.target[0] if len(data.target) == 1 else list(data.target)
        yield Choice("target", target)
        yield Choice("task", task.task, f"the target has {task.reason}")
    if (rare := _rare_of_two(found)) is not None:
        yield Choice("positive", rare, "the rarer class: metrics such as f1 are about finding it")
    if found.marks is not None:
        why = f"the column {shown(found.marks)} says which rows are for what"
        yield Choice("split", "column", why)
        yield Choice("by", found.marks)
    validation, test = _shares(found)
    if "validation" not in found.marked:
        whose = "those for training" if found.marks else "the rows"
        yield Choice("validation", validation, f"share of {whose} that trials are judged by")
    if not found.marks:
        yield Choice("test", test, "share that is set aside first and used once: for the winner")
    if found.far:
        far = f"{listed(found.far, 4)} {'has' if len(found.far) == 1 else 'have'}"
        yield Choice("scaling", "quantile", f"{far} values far from the others: ranks are safer")
    else:
        yield Choice("scaling", "standard", "every column of numbers to mean 0 and deviation 1")


def _space(found: Survey, size: Size) -> Iterator[Choice]:
    rows, task = _train_rows(found), found.task
    if _has_bins(found):
        why = "numbers as they are, or each by the bins that it is in: better for most tables"
        yield Choice("embedding", ["none", "piecewise_linear"], why)
        yield Choice("bins", _range(*BINS) | {"step": BINS[0]})
    yield Choice("layers", _range(*size.layers))
    why = f"for {rows} rows to learn from and about {_inputs(found)} inputs"
    yield Choice("neurons", _range(*size.neurons, log=True), why)
    yield Choice("widths", "same", "all layers of a network are as wide: one number to search")
    yield Choice("activation", ["relu", "gelu", "tanh"])
    yield Choice("loss", _LOSSES[task.task], "what training makes small")
    if task.is_imbalanced and task.task == "classification":
        why = '"balanced" makes rare classes count as much as frequent ones'
        yield Choice("class_weight", ["none", "balanced"], why)
    yield Choice("optimizer", ["adamw", "nadam"])
    low, high = size.batch_size
    if high <= rows // 4:
        yield Choice("batch_size", _range(low, high, log=True), "more rows, larger batches")
    else:
        yield Choice("batch_size", "full", "all rows at once: there are few")
    yield Choice("learning_rate", _range(3e-4, 2e-2, log=True))
    yield Choice("schedule", "cosine", "the learning rate falls to 0 towards the end")
    yield Choice("dropout", _range(0.0, 0.5), "against learning by heart, as are these two")
    yield Choice("l2", _range(1e-7, 1e-2, log=True))
    yield Choice("weight_decay", _range(1e-4, 1e-1, log=True))
    if rows >= MANY_STEPS:
        yield Choice("ema", 0.99, "networks are averages over about 100 steps: steadier")
    yield Choice("patience", size.epochs // 3, "epochs without a gain that end a trial")


def _train(found: Survey, size: Size) -> Iterator[Choice]:
    yield Choice("epochs", size.epochs, "passes over the rows, for trials that get to the end")
    yield Choice("metric", *_metric(found))


def _search(found: Survey, size: Size, cpus: int) -> Iterator[Choice]:
    yield Choice("trials", size.trials, "networks to try: `sweep extend` adds more at any time")
    yield Choice("sampler", "tpe", "learns from the trials so far where to look next")
    why = "only the best third of the trials goes on beyond 3, 9, 27 ... epochs"
    yield Choice("pruner", "successive_halving", why if size.epochs > 9 else "")
    yield Choice("min_epochs", 3 if size.epochs > 9 else 1)
    if _folds(found):
        why = f"few rows: each trial is judged on {FOLDS} parts of them in turn"
        yield Choice("replicates", FOLDS, why)
        yield Choice("resample", "folds")
    why = (
        f"networks at a time: twice the {cpus} CPUs of the machine that wrote this. It is part of "
        "the question: with another number, other networks are tried, on any machine"
    )
    yield Choice("workers", 2 * cpus, why)
    yield Choice("seed", 0, "another seed, another search")


def _metric(found: Survey) -> tuple[str, str]:
    """The metric that decides, and why."""
    task = found.task
    if task.task == "regression":
        return "rmse", "the root of the mean squared error, in units of the target"
    if task.task == "multilabel":
        if task.is_imbalanced:
            return "f1_macro", "finding each label counts alike, however rare it is"
        return "f1_micro", "how well the labels of all rows are found"
    if not task.is_imbalanced:
        return "accuracy", "the share of rows whose class is found; the classes are even enough"
    share = f"only {100 * min(task.shares):.2g} % of the rows are of the rarest class"
    if len(task.shares) == 2 and min(task.shares) * found.rows >= RARE_ROWS:
        return "average_precision", f"{share}: accuracy would hide whether they are found"
    return "balanced_accuracy", f"{share}: every class counts alike"


def _rare_of_two(found: Survey) -> str | None:
    task = found.task
    if task.classes is None or len(task.classes) != 2 or not task.is_imbalanced:
        return None
    return str(task.classes[task.shares.index(min(task.shares))])


def _folds(found: Survey) -> bool:
    """Whether every trial is to be judged several times."""
    least = min(found.task.shares, default=1.0) * found.rows
    is_random = found.marks is None and found.data.split != "time"
    return _train_rows(found) < FEW and least >= 4 * FOLDS and is_random


def _has_bins(found: Survey) -> bool:
    """Whether bins of the columns of numbers are worth their inputs, have rows enough, and fit."""
    numbers = sum(column.kind in ("numeric", "date") for column in found.columns)
    rows = _train_rows(found)
    fit = rows * numbers * BINS[1] <= MOST_NUMBERS
    return 1 <= numbers <= MOST_BINNED and rows >= FEW and fit


def _train_rows(found: Survey) -> int:
    """About how many rows there are to learn from."""
    validation, test = _shares(found)
    if not found.marks:
        return round((1 - validation - test) * found.rows)
    rows = found.marked["train"]
    return rows if "validation" in found.marked else round((1 - validation) * rows)


def _shares(found: Survey) -> tuple[float, float]:
    """Of the rows, those for validation and those for testing."""
    share, data = 0.1 if found.rows >= 100_000 else 0.2, found.data
    given = data.model_fields_set
    return (
        data.validation if "validation" in given else share,
        data.test if "test" in given else share,
    )


def _judging(found: Survey) -> dict[str, float]:
    """Of all rows, those that each part holds by which networks are judged."""
    validation, test = _shares(found)
    if found.marks:
        marked = {part: count / found.rows for part, count in found.marked.items()}
        return {"validation": validation * marked.pop("train")} | marked
    return {"validation": 1 - test if _folds(found) else validation} | (
        {"test": test} if test else {}
    )


def cautions(found: Survey) -> Iterator[str]:
    """What to know of classes or labels that are so rare that a score of them is chance."""
    least = min(found.task.shares, default=1.0)
    count = round(least * found.rows)
    if found.task.classes is None:
        rare = "the rarest label"
    else:
        rare = f"class {shown(found.task.classes[found.task.shares.index(least)])}"
    if count == 1:
        yield (
            f"{rare} has a single row: it can be learned or judged, but not both; gather more of "
            "them, join it with another, or leave the row out"
        )
    elif found.task.is_imbalanced:
        held = {part: round(count * share) for part, share in _judging(found).items()}
        parts = " and ".join(f"{rows} for {_PARTS[part]}" for part, rows in held.items())
        chance = min(held.values()) < RARELY_JUDGED
        yield f"{rare} has {count} rows, about {parts}" + (
            ": the score will be mostly chance; gather more of them" if chance else ""
        )


def _inputs(found: Survey) -> int:
    return inputs(found.columns, MOST_CATEGORIES)


def _about_columns(found: Survey) -> list[str]:
    """What the columns are taken for, as comments, and how to say otherwise."""
    if found.data.source in SOURCES:
        return []
    lines = ["", *comment("What the columns are taken for:")]
    for kind in ("numeric", "boolean", "categorical", "date"):
        if names := tuple(column.name for column in found.columns if column.kind == kind):
            lines += comment(f"  {kind}: {listed(names, 40)}")
    dropped = [column for column in found.columns if column.kind == "drop"]
    lines += [
        line
        for column in dropped[:20]
        for line in comment(f"  not learned from: {shown(column.name)}, as {column.reason}")
    ]
    if len(dropped) > 20:
        lines += comment(f"  and {len(dropped) - 20} more")
    example = dropped[0] if dropped else found.columns[0]
    other = "categorical" if example.kind != "categorical" else "drop"
    if not found.data.columns:
        lines += comment(
            "If one is taken wrongly, say what it is: numeric, boolean, categorical, date or drop:"
        )
        lines += [f"# columns = {{ {toml_key(example.name)} = {toml(other)} }}"]
    if found.data.split is not None or found.marks is not None:
        return lines
    if found.groups:
        lines += comment(
            f"If {shown(found.groups[0])} says whom a row is about, and the network is to predict "
            "for others, let the rows of each stay together:"
        )
        lines += ['# split = "grouped"', f"# by = {toml(found.groups[0])}"]
    if dates := [column.name for column in found.columns if column.kind == "date"]:
        lines += comment(
            "If the network is to predict what comes after, let it be judged by the latest rows"
            + (", and take replicates and resample out of [search]:" if _folds(found) else ":")
        )
        lines += ['# split = "time"', f"# by = {toml(dates[0])}"]
    return lines


def _range(low: float, high: float, *, log: bool = False) -> dict[str, Any]:
    return {"low": low, "high": high} | ({"log": True} if log else {})


_WRITTEN = ("charset", "decimal", "delimiter")
_PARTS = {"validation": "validation", "test": "testing"}
_TITLE = (
    "Which network predicts {target} best? Proposed by `sweep init` for {source}.\n"
    "Every line is yours to change before the first run; docs/data.md and docs/searching.md tell "
    "what else may stand here."
)
_SECTIONS = {
    "data": "Which rows: the table, what is to be predicted, and how the rows are shared out.",
    "space": "What is searched: a range, a list of choices, or a constant.",
    "train": "How long a network trains, and which metric of the validation rows decides.",
    "search": "How many networks are tried, and how the next ones are chosen.",
}
_LOSSES = {
    "classification": "softmax_cross_entropy",
    "multilabel": "sigmoid_cross_entropy",
    "regression": "mean_squared",
}

"""What `sweep init` prints of a table and of what it proposes."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from sweep.commented import toml
from sweep.datasets.problems import listed, shown
from sweep.datasets.survey import Survey
from sweep.proposal import cautions, decided

MOST_DROPPED = 10
"""Columns that are told to be dropped, and why."""
TOLD = (
    *("task", "positive", "split", "scaling", "loss", "class_weight", "neurons", "batch_size"),
    *("embedding", "epochs", "metric", "trials", "pruner", "replicates", "workers"),
)
"""The keys whose reasons are printed."""


def record(found: Survey, source: str, cpus: int) -> dict[str, Any]:
    """What was found and decided in JSON values."""
    return {
        "rows": found.rows,
        "target": found.data.target,
        "task": found.task.task,
        "columns": [asdict(column) for column in found.columns],
        "notes": [*found.notes, *cautions(found)],
        "decided": [
            {"table": table} | choice._asdict()
            for table, choices in decided(found, source, cpus).items()
            for choice in choices
        ],
    }


def summary(found: Survey, seconds: float, cpus: int) -> Iterator[str]:
    """What was found, what was decided and why, and how long it takes, a line each.

    `seconds` is the CPU time of the study, by prediction.
    """
    name = found.data.name
    count = len(found.columns) + len(found.apart)
    yield f"{name}: {found.rows} rows, {count} columns beside the target"
    for kind in ("numeric", "boolean", "categorical", "date"):
        if names := tuple(column.name for column in found.columns if column.kind == kind):
            yield f"  {kind:<13}{len(names)}: {listed(names)}"
    dropped = [column for column in found.columns if column.kind == "drop"]
    for column in dropped[:MOST_DROPPED]:
        yield f"  {'dropped':<13}{shown(column.name)}: {column.reason}"
    if len(dropped) > MOST_DROPPED:
        yield f"  {'dropped':<13}and {len(dropped) - MOST_DROPPED} more"
    if gaps := [column for column in found.columns if column.missing and column.kind != "drop"]:
        worst = max(gaps, key=lambda column: column.missing)
        share = 100 * worst.missing / found.rows
        yield (
            f"  {'missing':<13}values of {len(gaps)} columns, most in {shown(worst.name)} "
            f"({share:.2g} % of the rows)"
        )
    if found.task.is_imbalanced:
        least = 100 * min(found.task.shares)
        yield f"  {'imbalance':<13}the rarest class is {least:.2g} % of the rows"
    yield from (f"  {'note':<13}{note}" for note in (*found.notes, *cautions(found)))
    yield "decided"
    tables = decided(found, "", cpus)
    for key, choice in ((choice.key, choice) for table in tables.values() for choice in table):
        if key in TOLD and choice.why:
            yield f"  {key:<13}{toml(choice.value)}: {choice.why}"
    trials = next(choice.value for choice in tables["search"] if choice.key == "trials")
    yield (
        f"  {'time':<13}about {_duration(seconds / cpus)} for {trials} trials on the {cpus} CPUs "
        "here"
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(10, round(seconds, -1)):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

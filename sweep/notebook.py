"""A notebook that analyses a study: the sections that apply to it, each cell ready to run."""

import json
import textwrap
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, NamedTuple

from sweep.captions import CAPTIONS
from sweep.errors import UsageError
from sweep.results import Study
from sweep.spec import StudySpec, direction
from trainer import METRICS

WIDTH = 100


class Cell(NamedTuple):
    kind: str
    """`markdown` or `code`."""
    source: str


def text(source: str) -> Cell:
    """A cell of Markdown, its paragraphs wrapped."""
    parts = source.strip().split("\n\n")
    return Cell("markdown", "\n\n".join(map(_wrapped, parts)))


def code(source: str) -> Cell:
    return Cell("code", source.strip())


def written(cells: Iterable[Cell]) -> str:
    """Cells as a notebook file, version 4.5 of its format (nbformat.readthedocs.io); the same cells
    give the same text."""
    made = _NOTEBOOK | {"cells": [_json(i, cell) for i, cell in enumerate(cells)]}
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def cells_of(study: Study, store: str | None = None) -> list[Cell]:
    """The cells that suit the study as it stands: a study that goes on may need others later.

    `store` is named to `sweep.load`; None for the one that it finds.
    """
    parts = (
        (_beginning(study, store), _trials(study), _waiting(study))
        if not study.counts.get("complete")
        else (
            _beginning(study, store),
            _trials(study),
            _values(study),
            _front(study),
            _training(study),
            _parameters(study),
            _noise(study),
            _winner(study),
        )
    )
    return [*chain(*parts), *_failures(study), *_time(study), *_end(study)]


def _beginning(study: Study, store: str | None) -> Iterator[Cell]:
    spec = study.spec
    search, own = spec.search, spec.train.function
    ways = {"maximize": "the highest", "minimize": "the least"}
    asked = " and ".join(f"{ways[direction(name)]} {name}" for name in spec.objectives)
    yield text(f"""
# {spec.name}

Which {"network has" if own is None else f"parameters of `{own}` have"} {asked} on
`{spec.data.name}`? The sampler `{search.sampler}` proposed up to {search.trials} trials of at most
{spec.train.epochs} epochs; the pruner was `{search.pruner}`. {_replicates(spec)}This notebook reads
the study's record, and can be run again at any time, also while the study runs.
""")
    named = ", ".join(json.dumps(each) for each in (spec.name, store) if each is not None)
    yield code(f"import pandas as pd\n\nimport sweep\n\nstudy = sweep.load({named})\nstudy")


def _replicates(spec: StudySpec) -> str:
    search = spec.search
    if search.replicates == 1:
        return "Each trial was trained once, so that its value has a part of luck. "
    over = "folds of the rows" if search.resample == "folds" else "seeds"
    return (
        f"Each trial was trained on {search.replicates} {over}: its value is their mean, with a "
        "standard error. "
    )


def _trials(study: Study) -> Iterator[Cell]:
    complete = bool(study.counts.get("complete"))
    yield text(f"""
## Trials

`study.trials` has a row for each trial, in the columns of Optuna's `trials_dataframe()` and ours;
`study.epochs` has one for each trial and epoch.
{"The best of those that came to their end:" if complete else "No trial has come to its end yet."}
""")
    shown = "^(number|outcome|value|standard_error|epochs|(values|params|violation)_.*)$"
    yield code(f'study.{"top(10)" if complete else "trials"}.filter(regex="{shown}")')
    if study.spec.search.constraints:
        yield text("""
A `violation_` is how far a trial is from meeting a constraint, 0 if it meets it. Trials that break
fewer come first, whatever their values.
""")


def _waiting(study: Study) -> Iterator[Cell]:
    yield text(f"""
What mattered, the winner and its model can be looked at when trials are complete: `sweep notebook
{study.name} --force` then writes a notebook that has them. The learning curves so far:
""")
    yield code("study.epochs.tail()")


def _values(study: Study) -> Iterator[Cell]:
    yield text("## How the search went")
    yield from _figure("history")
    yield code("""
trials = study.trials
complete = trials[trials["state"] == "COMPLETE"]
print(f"{len(complete)} of {len(trials)} trials came to their end.")
complete["value"].describe()
""")


def _front(study: Study) -> Iterator[Cell]:
    objectives = study.spec.objectives
    if len(objectives) < 2:
        return
    yield text("## Several objectives")
    yield from _figure("pareto")
    yield text("""
The trials of the front, by the first objective, which also decides about the winner below:
""")
    rising = direction(objectives[0]) == "minimize"
    yield code(f"""
values = [f"values_{{name}}" for name in study.spec.objectives]
front = study.pareto.sort_values("values_{objectives[0]}", ascending={rising})
front[["number", *values]]
""")


def _training(study: Study) -> Iterator[Cell]:
    yield text("## Training")
    yield from _figure("curves")
    if study.spec.search.pruner not in ("none", "wilcoxon"):
        yield from _figure("rungs")
    if study.spec.train.function is not None:
        return
    yield text("""
Each training has a verdict, from its losses alone: how many there are of each, by what became of
the trial. A training that was pruned after a few epochs is mostly "still improving".
""")
    yield code("""
verdicts = study.diagnoses.merge(study.trials, left_on="trial", right_on="number")
pd.crosstab(verdicts["verdict"], verdicts["outcome"])
""")


def _parameters(study: Study) -> Iterator[Cell]:
    yield text("## What mattered")
    if not study.importances:
        yield text(f"""
The record does not say which parameters mattered: {study.importances_basis}. The values over each
parameter:
""")
        if (
            any(name.startswith("params_") for name in study.trials)
            and study.counts["complete"] > 1
        ):
            yield code("study.plot.slice()")
        return
    yield from _figure("importances")
    yield from _figure("slice")


def _noise(study: Study) -> Iterator[Cell]:
    try:
        study.noise()
    except UsageError:  # too few trials to tell
        return
    yield text("""
## Noise

The same parameters with another seed give another value. How much of what the trials differ by is
that, and so whether more trials or more seeds would help:
""")
    yield code("noise = study.noise()\nprint(noise.text)")


def _winner(study: Study) -> Iterator[Cell]:
    spec = study.spec
    metric = spec.train.metric
    yield text(f"""
## The winner

The best of many noisy values is also the luckiest of them, so that its validation {metric} is
likely better than it would be on new rows. The test rows, which the search did not see, tell: the
interval is where 95 % of its scores on resampled test rows lie.
""")
    yield code(f"""
best = study.best
error = "" if best.standard_error is None else f" ± {{best.standard_error:.4f}}"
print(f"trial {{best.number}}: validation {metric} {{best.value:.4f}}{{error}}")
if best.test is not None:
    interval = "" if best.interval is None else " ({{:.4f}} to {{:.4f}})".format(*best.interval)
    print(f"test {metric} {{best.test:.4f}}{{interval}}")
best.params
""")
    yield from _confirmation(study)
    if spec.train.function is not None:
        yield text(f"""
The study trains with `{spec.train.function}`, of whose models nothing is kept here.
""")
        return
    yield text("""
`study.best.model`, the network of the search's winner, has its preprocessing in it and takes raw
rows. What it is, and which columns of the data matter to it: `significance` is how far a column
moves the output in the mean, `permutation` how much worse the metric is when the column is shuffled
among the validation rows.
""")
    yield code("model = best.model\nmodel")
    yield code("model.feature_significance().head(15)")
    yield from _TASKS.get(task_of(study) or "", _none)(study)


def _confirmation(study: Study) -> Iterator[Cell]:
    if study.confirmation is None:
        yield text(f"""
Whether it is the best, or was lucky, `sweep confirm {study.name} --top 10 --seeds 20` finds out: it
trains the leaders again on fresh seeds. It is not done yet.
""")
        return
    yield text("""
The leaders were trained again on fresh seeds, in a race from which those that are plainly worse
drop out. `optimism` is by how much a trial's original value flattered it, and `p_best` how often it
is the best if the rounds are drawn again; `study.confirmation.model` is the network of its winner.
""")
    yield code("print(study.confirmation.text)\nstudy.confirmation.table")


def _none(study: Study) -> Iterator[Cell]:
    yield from ()


def _classes(study: Study) -> Iterator[Cell]:
    yield text("""
Which validation rows it takes for what: rows are the true classes, columns the predicted ones, and
the diagonal is right.
""")
    yield code("""
confusion = model.confusion()
right = sum(confusion.iloc[i, i] for i in range(len(confusion)))
print(f"{right} of {confusion.to_numpy().sum()} right")
confusion
""")
    yield from _calibration()


def _labels(study: Study) -> Iterator[Cell]:
    yield text("How often each label is rightly and wrongly found among the validation rows:")
    yield code("model.confusion()")
    yield from _calibration()


def _calibration() -> Iterator[Cell]:
    yield text("""
Whether its probabilities come true: of the rows for which it says 80 %, are 80 % right? `observed`
should be within a few standard errors of `predicted` where a bin has many rows.
""")
    yield code("model.lacks_probabilities or model.calibration()")


def _numbers(study: Study) -> Iterator[Cell]:
    yield text("""
How its predictions for the validation rows compare with what is true. Points on the line are right;
a cloud that is flatter than the line says that it predicts extremes too mildly.
""")
    yield code("""
import plotly.express as px

rows = model.rows.held_out("validation")
target = model.preprocessing.target
compared = pd.DataFrame(
    {"true": target.values(rows.y).ravel(), "predicted": model.decide(model.raw(rows.x)).ravel()}
)
error = ((compared["predicted"] - compared["true"]) ** 2).mean() ** 0.5
print(f"root mean squared error on the {len(rows.y)} validation rows: {error:.4g}")
figure = px.scatter(compared, x="true", y="predicted", template="plotly_white")
ends = [compared["true"].min(), compared["true"].max()]
figure.add_scatter(x=ends, y=ends, mode="lines", line_color="black", showlegend=False)
""")


def _failures(study: Study) -> Iterator[Cell]:
    if study.failures.empty:
        return
    yield text("""
## Failures

Trials that failed, and trainings that diverged, by their cause. That a training diverges is a
result: the sampler keeps away from there.
""")
    yield code("""
failures = study.failures
failures.groupby(["outcome", "gist"], dropna=False).size().rename("trials").reset_index()
""")


def _time(study: Study) -> Iterator[Cell]:
    if study.attempts.dropna(subset=["worker", "started", "finished"]).empty:
        return
    yield text("## Where the time went")
    yield from _figure("ledger")


def _end(study: Study) -> Iterator[Cell]:
    yield text("""
## What to do next

What the record supports, each sentence with its numbers, and what to type:
""")
    yield code("""
for found in study.advice():
    print("-", found.text)
    for command in found.commands:
        print("   ", command)
""")
    yield text(f"""
## The same again

The same study file gives the same table, on one CPU or on many, stopped and resumed or not. This
hash is over all trials and epochs; `sweep verify {study.name} --trials 3` takes every decision
again and trains three trials again, bit for bit.
""")
    yield code("study.fingerprint")


def _figure(name: str) -> Iterator[Cell]:
    yield text(CAPTIONS[name].text)
    yield code(f"study.plot.{name}()")


def task_of(study: Study) -> str | None:
    """The task of a study with complete trials, as far as its file and its winner tell."""
    spec = study.spec
    if spec.task is not None:
        return spec.task
    names = [name for name in spec.objectives if name in METRICS]
    kinds = {kind for name in names for kind in METRICS[name].kinds}
    for name in names:
        kinds &= set(METRICS[name].kinds)
    if len(kinds) == 1:
        return kinds.pop()
    best = study.best
    return best.model.preprocessing.target.task if best.file.is_file() else None


def _wrapped(paragraph: str) -> str:
    if paragraph.startswith(("#", "|", "- ", "```")):
        return paragraph
    return textwrap.fill(" ".join(paragraph.split()), WIDTH, break_on_hyphens=False)


def _json(number: int, cell: Cell) -> dict[str, Any]:
    made = {
        "cell_type": cell.kind,
        "id": f"cell-{number:02}",
        "metadata": {},
        "source": cell.source.splitlines(keepends=True),
    }
    return made | ({"execution_count": None, "outputs": []} if cell.kind == "code" else {})


_NOTEBOOK: dict[str, Any] = {
    "cells": [],
    "metadata": {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    },
    "nbformat": 4,
    "nbformat_minor": 5,
}

_TASKS = {"classification": _classes, "multilabel": _labels, "regression": _numbers}

"""A study as one HTML page: what was asked, what came out, and how to make it again."""

from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from platform import python_version
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from sweep import studyfile
from sweep.advice import Advice
from sweep.captions import CAPTIONS
from sweep.errors import UsageError
from sweep.overview import REFUSED
from sweep.page import figure, page, pairs, section, shown, table, text
from sweep.plots import PLOTS
from sweep.results import Study
from sweep.spec import StudySpec, direction
from sweep.telling import command

BEST = 10
"""Trials in the table of the best."""

MOST = 1000
"""Trials in the table of all, the best first."""

PARTS = {
    "summary": "Summary",
    "advice": "What the record supports",
    "trials": "Trials",
    "figures": "Figures",
    "training": "How trainings went",
    "failures": "Failures",
    "machines": "Where it ran",
    "question": "The question",
    "again": "The same again",
}


class Report(NamedTuple):
    html: str
    figures: tuple[str, ...]
    left_out: dict[str, str]
    """Figures that the study does not have, and why."""


def report(study: Study) -> Report:
    """The report of a study as it stands, running ones and those without a winner included."""
    study = study.read_once()
    figures, left_out = _figures(study)
    advised = study.advice()
    made = {
        "summary": section("summary", PARTS["summary"], _summary(study, advised)),
        "advice": section("advice", PARTS["advice"], _advice(advised)),
        "trials": section("trials", PARTS["trials"], *_trials(study)),
        "figures": section("figures", PARTS["figures"], *_drawn(figures)),
        "training": section("training", PARTS["training"], *_training(study)),
        "failures": section("failures", PARTS["failures"], *_failures(study)),
        "machines": section("machines", PARTS["machines"], *_machines(study)),
        "question": section("question", PARTS["question"], *_question(study)),
        "again": section("again", PARTS["again"], *_again(study)),
    }
    links = "".join(
        f'<li><a href="#{name}">{text(PARTS[name])}</a></li>' for name, part in made.items() if part
    )
    counts = study.counted or "no trials yet"
    head = (
        f"<header><h1>{text(study.name)}</h1><p>{text(study.state)}: {text(counts)}</p>"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>'
    )
    body = f"{head}\n<main>{''.join(made.values())}</main>\n{_foot()}"
    return Report(page(f"{study.name}: a study", body, figures), tuple(figures), left_out)


def _foot() -> str:
    """What made the page."""
    names = {"sweep": "sweep", "numpy": "NumPy", "optuna": "Optuna", "ray": "Ray"}
    versions = [f"{title} {version(name)}" for name, title in names.items()]
    versions.insert(1, f"Python {python_version()}")
    said = f"Made with {', '.join(versions)}."
    return f"<footer>{text(said)}</footer>"


def _figures(study: Study) -> tuple[dict[str, go.Figure], dict[str, str]]:
    found, left_out = {}, {}
    for name in CAPTIONS:
        try:
            found[name] = PLOTS[name](study)
        except UsageError as error:
            left_out[name] = str(error)
    return found, left_out


def _drawn(figures: dict[str, go.Figure]) -> Iterator[str]:
    for name in figures:
        yield figure(name, *CAPTIONS[name])


def _summary(study: Study, advised: list[Advice]) -> str:
    rows = [("asked", _asked(study.spec))]
    if not study.counts.get("complete"):
        return pairs([*rows, ("winner", "none: no trial has come to its last epoch")])
    best, metric = study.best, study.spec.objectives[0]
    error = "" if best.standard_error is None else f" ± {best.standard_error:.4f}"
    rows += [
        ("winner", f"trial {best.number}"),
        (f"validation {metric}", f"{best.value:.4f}{error}"),
    ]
    rows += [(f"breaks {name}", f"by {by:.4g}") for name, by in best.violations.items()]
    if best.test is not None:
        interval = _between(best.interval)
        rows.append((f"test {study.spec.train.metric}", f"{best.test:.4f}{interval}"))
    rows.append(("with", ", ".join(f"{name} {shown(v)}" for name, v in best.params.items())))
    if len(study.spec.objectives) > 1:
        rows.append(("front", f"{len(study.pareto)} trials that no other beats in every objective"))
    if (confirmation := study.confirmation) is not None:
        rows.append(("confirmed", confirmation.text))
    if all(each.about != "noise" for each in advised):
        with suppress(UsageError):  # too few trials to tell
            rows.append(("noise", study.noise().text))
    return pairs(rows)


def _between(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else " (95 % interval {:.4f} to {:.4f})".format(*interval)


def _asked(spec: StudySpec) -> str:
    ways = {"maximize": "highest", "minimize": "least"}
    aims = " and ".join(f"{ways[direction(name)]} {name}" for name in spec.objectives)
    search = spec.search
    replicates = f" with {search.replicates} {search.resample}" if search.replicates > 1 else ""
    return (
        f"the {aims} on {spec.data.name}, of up to {search.trials} trials of at most "
        f"{spec.train.epochs} epochs{replicates}; sampler {search.sampler}, pruner "
        f"{search.pruner}, {search.workers} virtual workers, seed {search.seed}"
    )


def _advice(found: list[Advice]) -> str:
    items = []
    for each in found:
        typed = "\n".join(map(text, each.commands))
        items.append(f"<li>{text(each.text)}{f'<pre>{typed}</pre>' if typed else ''}</li>")
    return f"<ul>{''.join(items)}</ul>" if items else ""


CONFIRMED = ("trial", "original", "rounds", "mean", "standard_error", "low", "high", "p_best")
"""What the report tells of each leader that was trained again; `optimism` comes after."""


def _trials(study: Study) -> Iterator[str]:
    trials = study.trials
    trials = trials[~trials["outcome"].isin(REFUSED)]
    if trials.empty:
        return
    if (confirmation := study.confirmation) is not None and confirmation.rows:
        leaders = confirmation.table[[*CONFIRMED, "optimism"]]
        yield table(leaders, "The leaders, trained again on fresh seeds")
    kept = ("standard_error", "values_", "params_", "violation_")
    columns = ["number", "value", *(name for name in trials if str(name).startswith(kept))]
    if study.counts.get("complete"):
        best = study.top(BEST)
        yield table(_renamed(best[[*columns, "epochs", "seconds"]]), f"The best {len(best)} trials")
    up = study.direction == "minimize"
    ranked = trials.sort_values("value", ascending=up, na_position="last", kind="stable")
    columns = ["number", "outcome", *columns[1:], "epochs", "seconds"]
    what = f"All {len(trials)} trials" if len(trials) <= MOST else f"{MOST} of {len(trials)} trials"
    caption = f"{what}, by value; those that were pruned by their last one"
    yield (
        f"<details><summary>{text(what)}</summary>"
        f"{table(_renamed(ranked[columns].head(MOST)), caption)}</details>"
    )


def _renamed(trials: pd.DataFrame) -> pd.DataFrame:
    """The columns by the names that they have in the study file."""
    return trials.rename(columns=lambda name: name.removeprefix("params_").removeprefix("values_"))


def _training(study: Study) -> Iterator[str]:
    complete = study.trials.loc[study.trials["state"] == "COMPLETE", "number"]
    if study.spec.train.function is not None or complete.empty:
        return
    verdicts = study.diagnoses
    verdicts = verdicts[verdicts["trial"].isin(complete)]
    counts = verdicts["verdict"].value_counts().rename_axis("verdict").reset_index(name="trainings")
    yield table(counts, "Verdicts on the trainings that came to their end, from their losses")
    winner = verdicts[verdicts["trial"] == study.leader]
    for each in winner.head(1).itertuples():
        yield f"<p>The winner is {text(each.verdict)}: {text(each.text)}</p>"


def _failures(study: Study) -> Iterator[str]:
    failures = study.failures
    if failures.empty:
        return
    grouped = failures.groupby(["outcome", "gist"], dropna=False)["number"]
    found = grouped.agg(trials="count", first="min").reset_index()
    found = found.sort_values("trials", ascending=False, kind="stable")
    found = found.rename(columns={"gist": "error", "first": "first trial"})
    yield table(found, "Trials that failed or diverged, by cause", long=("error",))


def _machines(study: Study) -> Iterator[str]:
    ledger = study.ledger
    rows: list[tuple[str, object]] = [
        ("release of sweep", study._row()["version"]),
        ("edition of the rules", study.spec.edition),
    ]
    if ledger.cpu_seconds:
        rows.append(
            ("CPU time", f"{ledger.cpu_seconds:.4g} s, of which {ledger.share:.0%} trained")
        )
    rows.append(("sessions", ledger.sessions))
    yield pairs(rows)
    if platforms := study.platforms:
        yield table(pd.DataFrame(platforms), "Kinds of machine that trained")
    attempts = study.attempts
    nodes = attempts.groupby("node", dropna=True)
    of_node = nodes.agg(segments=("trial", "size"), seconds=("training", "sum")).reset_index()
    if not of_node.empty:
        yield table(of_node, "Nodes, the segments they were sent, and the seconds they trained")


def _question(study: Study) -> Iterator[str]:
    spec = study.spec
    data = spec.data.model_copy(update={"source": spec.data.name})
    asked = studyfile.to_toml(spec.model_copy(update={"data": data}))
    yield "<p>The study file with every default written out.</p>"
    yield f'<pre tabindex="0"><code>{text(asked)}</code></pre>'


def _again(study: Study) -> Iterator[str]:
    row = study._row()
    yield (
        "<p>The same study file gives the same table, however many CPUs or nodes there are. With "
        "the file above as study.toml:</p>"
    )
    code = " --allow-code" if study.spec.train.function is not None else ""
    verify = f"sweep verify {study.name} --trials 3{code}"
    typed = [f"sweep run study.toml{code}", verify]
    if (confirmation := study.confirmation) is not None:
        typed.append(f"{command(study.spec, confirmation.question)}{code}")
    lines = "\n".join(map(text, typed))
    yield f"<pre>{lines}</pre>"
    yield pairs(
        [
            ("fingerprint", study.fingerprint),
            ("data fingerprint", row["data_fingerprint"]),
            ("store", str(study.place)),
            ("created", f"{row['datetime_created']:%Y-%m-%d %H:%M} UTC"),
            ("last change", f"{row['datetime_changed']:%Y-%m-%d %H:%M} UTC"),
        ]
    )

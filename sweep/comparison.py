"""Several studies side by side, and whether one of them found better values."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from itertools import combinations
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sweep import datasets, difference
from sweep.best_so_far import best_so_far
from sweep.bootstrap import draws
from sweep.difference import Outcome
from sweep.entries import did_you_mean
from sweep.errors import SweepError, UsageError
from sweep.results import Study, load
from sweep.store import Location

AXES = {
    "trials": "trials that have ended",
    "predicted_seconds": "predicted seconds of training",
    "seconds": "seconds of training",
}
"""What a study spends until it has found a value."""

SAMPLE = 5000
"""Values of a study that are compared; of more, as many evenly spread."""


@dataclass(frozen=True, repr=False)
class Comparison:
    """Studies of the same metric side by side."""

    metric: str
    direction: str
    trials: pd.DataFrame
    """The trials of all, with a column `study` in front."""
    summary: pd.DataFrame
    """One row a study."""
    curves: pd.DataFrame
    """The best value so far: `axis` is one of AXES, `x` every place on it at which a trial of any
    of the studies ended, and `best` each study's value there, as far as it went."""
    test: pd.DataFrame
    """One row for each two studies and question: of the `winners`, and of the `values` of all
    complete trials, which says nothing about the winners. `p_holm` is corrected for the number of
    pairs."""
    notes: tuple[str, ...] = ()
    """What the tests do not say."""

    @property
    def text(self) -> str:
        """What the tests come to, in words."""
        return " ".join([*self.test["text"], *self.notes])

    def __repr__(self) -> str:
        return f"<Comparison by {self.metric}>\n{self.summary}\n{self.text}"

    def _repr_html_(self) -> str:
        table = self.summary.to_html(index=False, float_format="{:.4g}".format)
        said = "".join(f"<p>{escape(text)}</p>" for text in [*self.test["text"], *self.notes])
        return str(table) + said

    def plot(self, axis: str = "seconds") -> go.Figure:
        """The best values so far over one of AXES."""
        if axis not in AXES:
            known = tuple(AXES)
            raise UsageError(
                f"axis = {axis!r}: must be one of {', '.join(known)}{did_you_mean(axis, known)}"
            )
        of_axis = self.curves[self.curves["axis"] == axis].groupby("study", sort=False)
        curves = [(str(name), curve["x"], curve["best"]) for name, curve in of_axis]
        title = f"Best {self.metric} so far"
        return best_so_far(curves, title=title, x=AXES[axis], y=self.metric)


def compare(
    studies: Sequence[str | Study],
    store: str | Path | Location | None = None,
    *,
    other_data: bool = False,
) -> Comparison:
    """Two studies or more side by side: names in one store, or studies from anywhere.

    UsageError if they are of different metrics, or, unless `other_data`, of different rows.
    """
    if isinstance(studies, str) or len(studies) < 2:
        raise UsageError(f"compare takes a list of two studies or more, not {studies!r}")
    found = [each if isinstance(each, Study) else load(each, store) for each in studies]
    names = [study.name for study in found]
    if twice := [name for i, name in enumerate(names) if name in names[:i]]:
        raise UsageError(f"study {twice[0]!r} is given twice; name different studies")
    _check(found, other_data)
    trials = {study.name: study.trials for study in found}
    rows = [
        row
        for first, second in combinations(found, 2)
        for row in _tests(first, second, trials, other_data)
    ]
    return Comparison(
        metric=found[0].spec.objectives[0],
        direction=found[0].direction,
        trials=pd.concat(trials, names=["study", None]).reset_index("study").reset_index(drop=True),
        summary=pd.DataFrame([_summary(study, trials[study.name]) for study in found]),
        curves=_curves(found, trials),
        test=_corrected(found[0], rows),
        notes=_notes(found, other_data),
    )


def _check(studies: Sequence[Study], other_data: bool) -> None:
    """Refuse studies that cannot be compared."""
    metrics = {study.name: study.spec.objectives[0] for study in studies}
    if len(set(metrics.values())) > 1:
        said = ", ".join(f"{name} for {metric}" for name, metric in metrics.items())
        raise UsageError(f"only studies of the same metric can be compared; they search: {said}")
    if not other_data and len({study._row()["data_fingerprint"] for study in studies}) > 1:
        raise UsageError(
            f"{', '.join(metrics)} have not the same training, validation and test rows, so that "
            "their values cannot be told apart from their data; other_data=True compares them all "
            "the same"
        )


def _summary(study: Study, trials: pd.DataFrame) -> dict[str, Any]:
    search, complete = study.spec.search, trials[trials["state"] == "COMPLETE"]
    best = study.best if len(complete) else None
    low, high = (best.interval if best else None) or (nan, nan)
    begun, ended = trials["datetime_start"].min(), trials["datetime_complete"].max()
    return {
        "study": study.name,
        "state": study.state,
        "sampler": search.sampler,
        "pruner": search.pruner,
        "workers": search.workers,
        "trials": len(trials),
        "complete": len(complete),
        "best": best.value if best else nan,
        "test": nan if best is None or best.test is None else best.test,
        "test_low": low,
        "test_high": high,
        "epochs": int(trials["epochs"].sum()),
        "cpu_seconds": float(trials["seconds"].sum()),
        "seconds": (ended - begun).total_seconds(),
    }


def _curves(studies: Sequence[Study], trials: dict[str, pd.DataFrame]) -> pd.DataFrame:
    found = []
    progress = {study.name: _progress(study, trials[study.name]) for study in studies}
    for axis in AXES:
        places = np.unique(np.concatenate([each[axis] for each in progress.values()]))
        for name, each in progress.items():
            steps = each.groupby(axis)["best"].last()
            best = steps.reindex(places).ffill()[places <= steps.index.max()].dropna()
            columns = {"study": name, "axis": axis, "x": best.index, "best": best.to_numpy()}
            found.append(pd.DataFrame(columns))
    return pd.concat(found, ignore_index=True)


def _progress(study: Study, trials: pd.DataFrame) -> pd.DataFrame:
    """What had been spent, and the best value so far, whenever a trial had ended."""
    ended = trials[trials["datetime_complete"].notna() & (trials["epochs"] > 0)]
    ended = ended.sort_values(["datetime_complete", "number"])
    value = _first(study, ended).where(_is_complete(study, ended))
    best = value.cummax() if study.direction == "maximize" else value.cummin()
    share = ended["epochs"] / study.spec.train.epochs
    return pd.DataFrame(
        {
            "trials": np.arange(1.0, len(ended) + 1),
            "predicted_seconds": (share * ended["predicted_cost"]).cumsum().to_numpy(),
            "seconds": ended["seconds"].cumsum().to_numpy(),
            "best": best.ffill().to_numpy(),
        }
    )


def _first(study: Study, trials: pd.DataFrame) -> "pd.Series[float]":
    """The values of the first objective."""
    several = f"values_{study.spec.objectives[0]}"
    return trials[several if several in trials else "value"]


def _is_complete(study: Study, trials: pd.DataFrame) -> "pd.Series[bool]":
    """Whether trials are complete and break no constraint."""
    complete: pd.Series[bool] = trials["state"] == "COMPLETE"
    for name in study.spec.search.constraints:
        complete &= trials[f"violation_{name}"] == 0
    return complete


def _tests(
    first: Study, second: Study, trials: dict[str, pd.DataFrame], other_data: bool
) -> list[dict[str, Any]]:
    a, b = (
        _first(study, frame)[_is_complete(study, frame)].to_numpy()
        for study, frame in ((s, trials[s.name]) for s in (first, second))
    )
    sign = 1 if first.direction == "maximize" else -1
    a, b = (values[:: -(-len(values) // SAMPLE) or 1] for values in (a, b))
    values = difference.ranks(a, b, sign=sign, seed=first.spec.search.seed)
    rows = [("values", "all complete trials", values)]
    if len(a) and len(b) and (found := _winners(first, second, other_data)) is not None:
        rows.insert(0, ("winners", *found))
    return [
        {"first": first.name, "second": second.name, "question": question, "by": by}
        | {k: v for k, v in asdict(outcome).items() if k not in ("n", "interval")}
        | dict(zip(("n_first", "n_second"), outcome.n, strict=True))
        | dict(zip(("low", "high"), outcome.interval, strict=True))
        for question, by, outcome in rows
    ]


def _winners(first: Study, second: Study, other_data: bool) -> tuple[str, Outcome] | None:
    """The test of the two winners by the best evidence that there is; None without any."""
    confirmed = [_retrainings(study) for study in (first, second)]
    if all(len(values) > 1 for values in confirmed):
        a, b = confirmed
        if not other_data and set(a.index) == set(b.index):
            folds = a.index.get_level_values("fold").nunique()
            corrected = folds if folds > 1 else None
            same = "retrainings on the same seeds"
            return same, difference.paired(a, b.reindex(a.index), corrected)
        return "retrainings on fresh seeds", difference.welch(a, b)
    replicated = [_replicates(study) for study in (first, second)]
    if all(len(values) > 1 for values in replicated):
        a, b = replicated
        folds = all(s.spec.search.resample == "folds" for s in (first, second))
        matched = folds and len(a) == len(b) and not other_data
        outcome = difference.paired(a, b, len(a)) if matched else difference.welch(a, b)
        return "replicates that chose the winners", outcome
    return None if other_data else _on_test_rows(first, second)


def _retrainings(study: Study) -> "pd.Series[float]":
    """The values of the confirmed winner by fresh seed and fold; empty without a confirmation."""
    confirmation = study.confirmation
    if confirmation is None or confirmation.winner is None:
        return pd.Series(dtype="float64")
    found = confirmation.retrainings
    mine = found[found["trial"] == confirmation.winner].dropna(subset="value")
    values: pd.Series[float] = mine.set_index(["seed", "fold"])["value"]
    return values


def _replicates(study: Study) -> np.ndarray:
    """The winner's value in each of its replicates."""
    epochs = study.curves([study.best.number]).groupby("replicate")["validation_metric"]
    if not study.best.params.get("patience", getattr(study.spec.space, "patience", 0)):
        found = epochs.last()
    else:
        found = epochs.max() if study.direction == "maximize" else epochs.min()
    return np.asarray(found, float)


def _on_test_rows(first: Study, second: Study) -> tuple[str, Outcome] | None:
    """The winners on the same draws of the test rows, if the weights of both are there."""
    dataset, _ = datasets.load_parts(first.spec)[0]
    if (rows := dataset.test) is None or first.spec.train.function or second.spec.train.function:
        return None
    seed, scores, drawn = first.spec.search.seed, [], []
    for study in (first, second):
        try:
            model = study.best.model
        except SweepError:
            return None
        scores.append(model.evaluate(dataset, rows))
        drawn.append(list(model.evaluate_draws(dataset, rows, draws(len(rows.y), seed))))
    gap = scores[0] - scores[1]
    return "test rows", difference.resampled(*drawn, difference=gap, rows=len(rows.y))


def _corrected(study: Study, rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    for _, group in frame.groupby("question"):
        frame.loc[group.index, "p_holm"] = difference.holm(list(group["p_value"]))
    sign = 1 if study.direction == "maximize" else -1
    frame["text"] = [_sentence(row, sign, len(rows)) for row in frame.to_dict("records")]
    return frame


def _sentence(row: dict[str, Any], sign: int, count: int) -> str:
    a, b, gap = row["first"], row["second"], sign * row["difference"]
    whose = "The winner of" if row["question"] == "winners" else "The median complete trial of"
    tested = f"{row['test']} of {row['by']}, n = {row['n_first']} and {row['n_second']}"
    p = row["p_holm"]
    if p != p:
        return f"{whose} {a} and that of {b}: too few scores for a test ({tested})."
    p_said = f"p = {p:.2g}{' by Holm' if count > 2 else ''}"
    interval = f"{a} less {b}: {row['low']:.2g} to {row['high']:.2g} with 95 %"
    if gap == 0:
        return f"{whose} {a} and that of {b} are equally good ({p_said}; {interval}; {tested})."
    better, worse = (a, b) if gap > 0 else (b, a)
    verdict = "more than luck" if p < 0.05 else "which may be luck"
    return (
        f"{whose} {better} is better than that of {worse} by {abs(gap):.2g}, {verdict} "
        f"({p_said}; {interval}; {tested})."
    )


def _notes(studies: Sequence[Study], other_data: bool) -> tuple[str, ...]:
    notes = ["The values of a study's trials depend on each other and say nothing of its winner."]
    confirmed = all(len(_retrainings(study)) > 1 for study in studies)
    if not confirmed and any(study.spec.search.replicates > 1 for study in studies):
        notes.append(
            "Replicates that chose a winner flatter it: confirm the winners (sweep confirm)."
        )
    elif not confirmed:
        notes.append(
            "The winners are one network each, and another seed may differ: confirm them (sweep "
            "confirm)."
        )
    if other_data:
        notes.append("The studies are of different rows: what differs may be the data.")
    return tuple(notes)

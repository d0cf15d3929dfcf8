"""How much of the spread among a study's trials is the noise of their seeds."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log, sqrt
from typing import Any

import numpy as np
from scipy.stats import chi2

from sweep.entries import Range
from sweep.errors import UsageError
from sweep.leaders import Key
from sweep.overview import complete, first_value, place
from sweep.space import actives, configurations, parameters
from sweep.spec import StudySpec
from sweep.store import Row

TOP = 10
"""Trials that are looked at as the best, but no more than half of those that are complete."""

MUCH = 0.5
"""The part of the variance among the best that noise alone would make, from which on more seeds
tell more than more trials."""

ENOUGH = 5
"""Degrees of freedom before a source says anything."""

MOST = 1000
"""Trials among which neighbours are looked for; of more, some evenly spread."""

LEVEL = 0.95

SOURCES = {
    "confirmation": "the retrainings of confirmed leaders",
    "replicates": "the replicates of the trials",
    "repeats": "trials of the same configuration",
    "neighbours": "pairs of trials that are alike",
}


@dataclass(frozen=True, slots=True)
class Noise:
    """By how much a value moves from seed to seed, in the unit of the first objective."""

    standard_deviation: float
    """Of the value of a trial over seeds: of the mean over replicates in a study that has some."""
    low: float
    """From here to `high` it lies with 95 % confidence, by chi-square (of normal noise)."""
    high: float
    degrees: int
    """Degrees of freedom."""
    source: str
    """`confirmation`, `replicates`, `repeats`, or `neighbours`."""
    is_bound: bool
    """Whether it is rough: neighbours differ also in their parameters, so that it is no less than
    the noise among all trials; a pruner lets the lucky go on, who differ less."""
    trials: int
    """Complete trials."""
    spread: float
    """The standard deviation of their values."""
    top: int
    """How many of the best trials `top_spread` is about."""
    top_spread: float
    objective: str

    @property
    def share(self) -> float:
        """The part of the variance among the complete trials that is noise, at most 1."""
        return _share(self.standard_deviation, self.spread)

    @property
    def top_share(self) -> float:
        """The part of the variance among the best trials that noise alone would make, at most 1."""
        return _share(self.standard_deviation, self.top_spread)

    @property
    def text(self) -> str:
        """What it means, in sentences with the numbers."""
        deviation = f"{self.standard_deviation:.3g}"
        known = f"95 %: {self.low:.3g} to {self.high:.3g}; from {SOURCES[self.source]}"
        if self.is_bound:
            deviation, known = f"roughly {deviation} or less", f"from {SOURCES[self.source]}"
        said = (
            f"With its seed alone the {self.objective} of a trial varies by {deviation} "
            f"(standard deviation; {known}, {self.degrees} degrees of freedom). "
            f"The {self.trials} complete trials vary by {self.spread:.3g}, of whose variance this "
            f"is {self.share:.0%}, and the best {self.top} by {self.top_spread:.3g}. "
        )
        if self.top_share < MUCH:
            return said + "The best differ by more than luck: more trials may find better ones."
        if self.is_bound:
            return said + "The order of the best may be luck: sweep confirm measures it."
        how = "" if self.source == "confirmation" else " (sweep confirm)"
        return said + (
            f"The order of the best is mostly luck: more seeds for them{how} would tell more than "
            "more trials."
        )

    def __repr__(self) -> str:
        return f"<Noise: {self.text}>"

    def record(self) -> dict[str, Any]:
        """The numbers in JSON values."""
        return asdict(self) | {
            "share": self.share, "top_share": self.top_share, "text": self.text,
        }  # fmt: skip


def noise(spec: StudySpec, trials: Sequence[Row], retrained: Mapping[Key, float]) -> Noise:
    """The noise of a study by the best source there is: retrainings of confirmed leaders, else
    replicates, else trials of the same configuration, else pairs of neighbours.

    `retrained` are the values of retrainings by their keys. UsageError if there are too few trials
    for any.
    """
    rows = sorted(complete(trials), key=lambda row: place(spec, row))
    values = [first_value(row) for row in rows]
    if len(values) < 3:
        raise UsageError(
            f"study {spec.name!r} has {len(values)} complete trials: too few to say what is noise"
        )
    top = max(2, min(TOP, len(values) // 2))
    best = {row["number"] for row in rows[:top]}  # a bad leader may be noisier than all others
    kept = {key: value for key, value in retrained.items() if key[0] in best}
    found = next((each for each in _sources(spec, rows, kept) if each[1][1] >= ENOUGH), None)
    if found is None:
        raise UsageError(
            f"study {spec.name!r} has too few complete trials ({len(values)}) to say what is "
            f"noise; sweep confirm {spec.name} measures it"
        )
    source, (squares, degrees), averaged = found
    scale = degrees * averaged
    low, high = (
        sqrt(squares / (chi2.ppf(p, degrees) * averaged))
        for p in ((1 + LEVEL) / 2, (1 - LEVEL) / 2)
    )
    return Noise(
        standard_deviation=sqrt(squares / scale),
        low=low,
        high=high,
        degrees=degrees,
        source=source,
        is_bound=source == "neighbours",
        trials=len(values),
        spread=float(np.std(values, ddof=1)),
        top=top,
        top_spread=float(np.std(values[:top], ddof=1)),
        objective=spec.objectives[0],
    )


Squares = tuple[float, int]
"""A sum of squares about means, and its degrees of freedom."""


def _sources(
    spec: StudySpec, rows: Sequence[Row], retrained: Mapping[Key, float]
) -> Iterator[tuple[str, Squares, int]]:
    """What may be known of the noise, the best first, and of how many values a trial's is the mean
    where single ones were looked at."""
    yield "confirmation", _within(_by_leader(retrained)), spec.search.replicates
    yield "replicates", _over_replicates(rows, spec), 1
    yield "repeats", _within(_by_configuration(spec, rows)), 1
    yield "neighbours", _neighbours(spec, rows), 1


def _share(noise: float, spread: float) -> float:
    return min(1.0, noise**2 / spread**2) if spread else 1.0


def _within(groups: Iterable[Sequence[float]]) -> Squares:
    """The squares about the mean of each group."""
    squares, degrees = 0.0, 0
    for group in groups:
        if len(group) > 1:
            squares += float(np.var(group) * len(group))
            degrees += len(group) - 1
    return squares, degrees


def _by_leader(retrained: Mapping[Key, float]) -> Iterable[list[float]]:
    """The values of each leader on the same rows, of which only the seeds differ."""
    groups: dict[tuple[int, int, int], list[float]] = defaultdict(list)
    for (trial, folds, fold, _), value in retrained.items():
        groups[trial, folds, fold].append(value)
    return groups.values()


def _by_configuration(spec: StudySpec, rows: Sequence[Row]) -> Iterable[list[float]]:
    groups: dict[Any, list[float]] = defaultdict(list)
    keys = configurations(spec.space, (row["params"] for row in rows))
    for key, row in zip(keys, rows, strict=True):
        groups[key].append(first_value(row))
    return groups.values()


def _over_replicates(rows: Sequence[Row], spec: StudySpec) -> Squares:
    """Each squared standard error has replicates - 1 degrees of freedom; that of folds has the
    spread of the folds in it, which all trials share, and is no measure of the seeds."""
    of_seeds = spec.search.resample == "seeds" and len(spec.objectives) == 1
    errors = [row["standard_error"] for row in rows if row["standard_error"] is not None]
    if not of_seeds:
        return 0.0, 0
    degrees = spec.search.replicates - 1
    return degrees * float(np.sum(np.square(errors))), degrees * len(errors)


def _neighbours(spec: StudySpec, rows: Sequence[Row]) -> Squares:
    """Half the squared differences of the closest disjoint pairs, which are half of the trials:
    half the expected square is the variance of the noise, and more as far as their
    parameters make a difference (Rice, Bandwidth choice for nonparametric regression, 1984)."""
    step = -(-len(rows) // MOST)
    rows = sorted(rows, key=lambda row: int(row["number"]))[::step]
    values = np.array([first_value(row) for row in rows])
    distances = _distances(spec, rows)
    count, pairs = max(1, len(rows) // 4), list[tuple[int, int]]()
    free = np.ones(len(rows), dtype=bool)
    upper = np.triu_indices(len(rows), 1)
    for index in np.argsort(distances[upper], kind="stable"):
        i, j = int(upper[0][index]), int(upper[1][index])
        if free[i] and free[j]:
            free[[i, j]] = False
            pairs.append((i, j))
        if len(pairs) == count:
            break
    return float(sum((values[i] - values[j]) ** 2 / 2 for i, j in pairs)), len(pairs)


def _distances(spec: StudySpec, rows: Sequence[Row]) -> np.ndarray:
    """Between trials (trials, trials): the mean difference of their parameters as parts of their
    ranges, 1 for another choice or one that the other has not (Gower 1971)."""
    entries = parameters(spec.space)
    chosen = list(actives(spec.space, (row["params"] for row in rows)))
    total = np.zeros((len(rows), len(rows)))
    for name in {name: None for params in chosen for name in params}:
        values = [params.get(name) for params in chosen]
        numeric = [value for value in values if isinstance(value, int | float)]
        if len(numeric) == sum(value is not None for value in values) and len(set(numeric)) > 2:
            entry = entries[name]
            is_log = isinstance(entry, Range) and entry.log
            x = np.array([np.nan if v is None else log(v) if is_log else float(v) for v in values])
            spread = np.nanmax(x) - np.nanmin(x)
            apart = np.abs(x[:, None] - x[None, :]) / spread
        else:
            _, codes = np.unique([repr(value) for value in values], return_inverse=True)
            apart = (codes[:, None] != codes[None, :]).astype(float)
            x = np.array([np.nan if value is None else 0.0 for value in values])
        lacking = np.isnan(x)
        apart[lacking[:, None] != lacking[None, :]] = 1.0
        apart[lacking[:, None] & lacking[None, :]] = 0.0
        total += apart
    return total

"""How well our TPE searches, beside Optuna's.

python -m tests.benchmarks.regret [TRIALS] [KERNELS] [SEEDS]

As long as at most `tpe.KERNELS` trials speak against, ours takes Optuna's choices: the column
`equal` counts the trials, of three runs of 60, that have the same parameters to the bit. Of more,
those far from its candidates are left out. What that costs is measured on a smaller scale: TRIALS
(500) with KERNELS (100) against, and the same with all of them. Shown are the medians over SEEDS
(20) of the simple regret at the end (for recorded studies, of the value), and the p-values of
Wilcoxon's signed-rank test that leaving some out is worse, as they are and after Holm's correction
over all rows.

The recorded studies are searches over networks on scikit-learn's sets (data/*.csv: the parameters
and the validation error or loss). A random forest fitted to their trials stands in for training.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import TPESampler
from scipy.stats import wilcoxon
from sklearn.ensemble import RandomForestRegressor

from sweep import studyfile, tpe
from sweep.decisions import seeds
from sweep.entries import Range
from sweep.past import Past
from sweep.space import distributions

RECORDED = Path(__file__).parent / "data"
ALONE = 60
"""Trials of a run with Optuna's sampler."""

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to minimize."""

    space: Mapping[str, Any]
    value: Callable[[Params], float]
    least: float
    noise: float = 0.0


def _cube(
    dimensions: int, low: float, high: float, of: Callable[[Any], Any], least: float = 0.0
) -> Problem:
    space = {f"x{i}": Range[float](low=low, high=high) for i in range(dimensions)}
    return Problem(space, lambda p: float(of(np.array([p[name] for name in space]))), least)


def _rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def _rastrigin(x: Any) -> Any:
    return 10 * len(x) + np.sum(x**2 - 10 * np.cos(2 * np.pi * x))


def _ackley(x: Any) -> Any:
    waves = np.exp(np.mean(np.cos(2 * np.pi * x)))
    return 20 + np.e - 20 * np.exp(-0.2 * np.sqrt(np.mean(x**2))) - waves


def _branin(x: Any) -> Any:
    u, v = 7.5 + 7.5 * np.array([x[0] - 1 / 3, x[1]])  # from [-1, 1] to [-5, 10] x [0, 15]
    curve = v - 5.1 / (4 * np.pi**2) * u**2 + 5 / np.pi * u - 6
    return curve**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(u) + 10


def _hartmann(x: Any) -> Any:
    a = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14]]
    a += [[3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
    p = [[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991]]
    p += [[2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]]
    inner = np.sum(np.array(a) * (x - np.array(p) / 1e4) ** 2, axis=1)
    return -np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-inner)


def _levy(x: Any) -> Any:
    w = 1 + (x - 1) / 4
    middle = np.sum((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:-1] + 1) ** 2))
    last = (w[-1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[-1]) ** 2)
    return np.sin(np.pi * w[0]) ** 2 + middle + last


def _styblinski_tang(x: Any) -> Any:
    return np.sum(x**4 - 16 * x**2 + 5 * x) / 2


def _conditional(p: Params) -> float:
    """Layers of widths of which some have no effect, a rate on a log scale, a choice that shifts
    its best value: what a space of networks is like."""
    rate = np.log10(p["rate"]) + {"sgd": 1.0, "momentum": 2.0, "adam": 3.0}[p["optimizer"]]
    widths = [np.log2(p[f"width{i}"] / 64) for i in range(p["layers"])]
    inertia = 10 * (p["momentum"] - 0.9) ** 2 if p["optimizer"] == "momentum" else 0.05
    return float(rate**2 + 0.1 * np.sum(np.square(widths)) + 0.2 * abs(p["layers"] - 2) + inertia)


def _choices(p: Params) -> float:
    """A sum over six lists of choices, with a term for each pair of neighbours."""
    places = ["abcdef".index(p[f"c{i}"]) for i in range(6)]
    single = sum((i * place) % 6 for i, place in enumerate(places, start=1))
    return single + sum((x - y) % 6 for x, y in pairwise(places)) / 2


LAYERS = {f"width{i}": Range[int](low=8, high=512, log=True) for i in range(4)}
MIXED = {
    "layers": Range[int](low=1, high=4),
    **LAYERS,
    "rate": Range[float](low=1e-5, high=1.0, log=True),
    "optimizer": ("sgd", "momentum", "adam"),
    "momentum": Range[float](low=0.0, high=0.99),
}


def _noisy() -> Problem:
    sphere = _cube(4, -5, 5, lambda x: np.sum((x - 1) ** 2))
    return Problem(sphere.space, sphere.value, 0.0, noise=1.0)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "sphere 5": lambda: _cube(5, -5, 5, lambda x: np.sum((x - 1) ** 2)),
    "rosenbrock 4": lambda: _cube(4, -2, 2, _rosenbrock),
    "rastrigin 4": lambda: _cube(4, -5.12, 5.12, lambda x: _rastrigin(x - 1)),
    "ackley 5": lambda: _cube(5, -10, 10, lambda x: _ackley(x - 2)),
    "branin": lambda: _cube(2, -1, 1, _branin, 0.397887),
    "hartmann 6": lambda: _cube(6, 0, 1, _hartmann, -3.32237),
    "levy 5": lambda: _cube(5, -10, 10, _levy),
    "styblinski-tang 4": lambda: _cube(4, -5, 5, _styblinski_tang, -39.16617 * 4),
    "networks": lambda: Problem(MIXED, _conditional, 0.0),
    "choices": lambda: Problem({f"c{i}": tuple("abcdef") for i in range(6)}, _choices, 0.0),
    "noisy sphere 4": _noisy,
    "digits": lambda: recorded("digits"),
    "breast_cancer": lambda: recorded("breast_cancer"),
    "wine": lambda: recorded("wine"),
    "diabetes": lambda: recorded("diabetes"),
}


def recorded(name: str) -> Problem:
    """A study of ours, whose trainings a random forest foretells."""
    table = pd.read_csv(RECORDED / f"{name}.csv")
    known = [column for column in table if column not in ("value", "epochs")]
    space = {column: _entry(column, table[column]) for column in known}
    entries = distributions(space)
    epochs = table.get("epochs", pd.Series(0.0, table.index))
    rows = np.array([_inner(entries, row) for row in table[known].to_dict("records")])
    forest = RandomForestRegressor(100, random_state=0, n_jobs=1)
    forest.fit(np.column_stack([rows, epochs]), table["value"])
    trees = [tree.tree_ for tree in forest.estimators_]

    def value(params: Params) -> float:
        row = np.array([[*_inner(entries, params), epochs.max()]], dtype=np.float32)
        return float(np.mean([tree.predict(row) for tree in trees]))

    return Problem(space, value, 0.0)


LOGARITHMIC = ("neurons", "batch_size", "learning_rate", "l2")


def _entry(name: str, column: "pd.Series[Any]") -> Any:
    if not pd.api.types.is_numeric_dtype(column):
        return tuple(sorted(set(column)))
    low, high = column.min().item(), column.max().item()
    kind = Range[int] if isinstance(low, int) else Range[float]
    return kind(low=low, high=high, log=name.startswith(LOGARITHMIC))


def _inner(entries: Mapping[str, BaseDistribution], params: Params) -> list[float]:
    """A point for the forest: numbers as they are, a column for each choice."""
    point: list[float] = []
    for name, entry in entries.items():
        if isinstance(entry, CategoricalDistribution):
            point += [float(choice == params[name]) for choice in entry.choices]
        else:
            point.append(float(params[name]))
    return point


@cache
def _spec() -> studyfile.StudySpec:
    return studyfile.from_json(
        {
            "name": "regret",
            "data": {"source": "sklearn:iris"},
            "space": {"layers": {"low": 1, "high": 2}},
            "train": {"metric": "log_loss"},
            "search": {"pruner": "none"},
        }
    )


def run(problem: Problem, trials: int, seed: int) -> tuple[list[dict[str, Any]], list[float]]:
    """Parameters and values (without noise) of one trial after the other."""
    model, rng = tpe.TPE(_spec(), problem.space, ()), np.random.default_rng(seed)
    asked, values = [], []
    for number in range(trials):
        place = model.begin()
        params = model.propose(place, seeds(seed, number)[1])
        model.settle(place, params)
        values.append(problem.value(params))
        told = values[-1] + problem.noise * rng.standard_normal()
        model.tell(place, Past(params, "complete", (told,)))
        asked.append(params)
    return asked, values


def optuna_s(problem: Problem, trials: int, seed: int) -> list[dict[str, Any]]:
    """The parameters of Optuna's trials."""
    entries, rng = distributions(problem.space), np.random.default_rng(seed)
    study, asked = optuna.create_study(), []
    for number in range(trials):
        study.sampler = TPESampler(seed=seeds(seed, number)[1])
        trial = study.ask(entries)
        study.tell(trial, problem.value(trial.params) + problem.noise * rng.standard_normal())
        asked.append(trial.params)
    return asked


@dataclass(frozen=True, slots=True)
class Row:
    """What a problem's runs come to."""

    name: str
    equal: str
    all: float
    some: float
    p: float


def measure(name: str, trials: int, kernels: int, runs: int) -> Row:
    """Compare the samplers on one problem."""
    problem, ends = PROBLEMS[name](), []
    tpe.KERNELS = trials
    same = [
        ours == theirs
        for seed in range(3)
        for ours, theirs in zip(
            run(problem, ALONE, seed)[0], optuna_s(problem, ALONE, seed), strict=True
        )
    ]
    for most in (trials, kernels):
        tpe.KERNELS = most
        ends.append([min(run(problem, trials, seed)[1]) for seed in range(runs)])
    every, some = np.array(ends) - problem.least
    p = wilcoxon(some, every, alternative="greater").pvalue if np.any(some != every) else 1.0
    return Row(name, f"{sum(same)}/{len(same)}", np.median(every), np.median(some), p)


def main(trials: int = 500, kernels: int = 100, runs: int = 20) -> None:
    """Print the table."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print(f"{trials} trials, {runs} seeds; all speak against, or at most {kernels}")
    show([measure(name, trials, kernels, runs) for name in PROBLEMS], kernels)


def show(rows: list[Row], kernels: int) -> None:
    print(f"{'':18} {'equal':>8} {'all':>10} {kernels:>10} {'p':>7} {'p (Holm)':>9}")
    for row, corrected in zip(rows, _holm(np.array([row.p for row in rows])), strict=True):
        print(
            f"{row.name:18} {row.equal:>8} {row.all:10.4g} {row.some:10.4g} {row.p:7.3f} "
            f"{corrected:9.3f}"
        )


def _holm(p: Any) -> Any:
    """Holm 1979, Scandinavian Journal of Statistics 6."""
    order = np.argsort(p)
    scaled = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(scaled, 1.0)
    return corrected


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

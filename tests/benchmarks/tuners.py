"""The same sweep by several tuners, each as its users would write it.

`python -m tests.benchmarks.tuners TUNER WORK SEED TRIALS` runs one in this process and prints a
line of JSON: when trials ended and when the target was reached, in seconds since 1970, and the best
value.
A tuner trains the same networks as the others on the same rows, with at most two trials at once:
ours with NumPy, the others with scikit-learn's `partial_fit` or a loop in PyTorch.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ |= {"RAY_DEDUP_LOGS": "0", "RAY_AIR_NEW_OUTPUT": "0", "OMP_NUM_THREADS": "1"}
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}

AT_ONCE = 2
"""Trials that run at the same time."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is searched, and for how long."""

    source: str
    """Rows that scikit-learn has; none for trials that do nothing."""
    epochs: int
    metric: str
    sampler: str = "tpe"
    halving: bool = False
    """Whether trials are stopped early, by asynchronous successive halving."""
    target: float | None = None

    @property
    def sign(self) -> int:
        return 1 if self.metric == "accuracy" else -1

    def reached(self, value: float) -> bool:
        return self.target is not None and self.sign * value >= self.sign * self.target


WORKS = {
    "empty-random": Work("", 1, "accuracy", "random"),
    "empty-tpe": Work("", 1, "accuracy"),
    "digits": Work("sklearn:digits", 20, "accuracy"),
    "one": Work("sklearn:digits", 20, "accuracy", "random"),
    "digits-97": Work("sklearn:digits", 27, "accuracy", halving=True, target=0.97),
    "digits-98": Work("sklearn:digits", 27, "accuracy", halving=True, target=0.98),
    "diabetes": Work("sklearn:diabetes", 27, "rmse", halving=True, target=54.0),
}
ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "sigmoid": "logistic"}
"""Ours, and scikit-learn's names."""

SPACE: dict[str, Any] = {
    "layers": {"low": 1, "high": 2},
    "neurons": {"low": 16, "high": 128, "log": True},
    "activation": list(ACTIVATIONS),
    "optimizer": ["sgd", "adam"],
    "batch_size": {"low": 16, "high": 128, "log": True},
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
}
SMALL = SPACE | {"batch_size": {"low": 8, "high": 64, "log": True}}


@dataclass(slots=True)
class Watch:
    """Notes when what happened."""

    work: Work
    ended: list[float] = field(default_factory=list)
    reached: float | None = None
    best: float | None = None

    def value(self, value: float) -> bool:
        """A value of a trial after an epoch; whether the target is reached."""
        sign = self.work.sign
        if self.best is None or sign * value > sign * self.best:
            self.best = value
        if self.reached is None and self.work.reached(value):
            self.reached = time.time()
        return self.reached is not None

    def record(self) -> dict[str, Any]:
        return {"ended": self.ended, "reached": self.reached, "best": self.best, "reading": 0.0}


# What trains.


@cache
def rows(source: str) -> Any:
    """The rows that a study of this source trains on."""
    from sweep import datasets
    from sweep.dataspec import DataSpec

    return datasets.load(DataSpec(source=source, scaling="standard"))[0]


def nothing(params: dict[str, Any], work: Work, seed: int) -> Iterator[float]:
    """A trial that does nothing."""
    yield (params["learning_rate"] * 7919) % 1.0


def ours_nothing(
    params: dict[str, Any], dataset: Any, seed: int, state: Any, until: int
) -> Iterator[dict[str, Any]]:
    """The same as a trainer of one's own in `sweep`."""
    (value,) = nothing(params, WORKS["empty-tpe"], seed)
    yield {"epoch": until, "validation_metric": value}


def with_sklearn(params: dict[str, Any], work: Work, seed: int) -> Iterator[float]:
    """The validation metric after each epoch of scikit-learn's network."""
    import numpy as np
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    data = rows(work.source)
    options = {
        "hidden_layer_sizes": widths(params),
        "activation": ACTIVATIONS[params["activation"]],
        "solver": params["optimizer"],
        "batch_size": params["batch_size"],
        "learning_rate_init": params["learning_rate"],
        "momentum": 0.0,
        "random_state": seed,
    }
    if work.metric == "accuracy":
        network, more = MLPClassifier(**options), {"classes": np.arange(data.n_classes)}
    else:
        network, more = MLPRegressor(**options), {}
    y = data.train.y.ravel()
    for _ in range(work.epochs):
        try:
            network.partial_fit(data.train.x, y, **more)
            predicted = network.predict(data.validation.x)
        except ValueError as error:
            if "finite" not in str(error) and "NaN" not in str(error):
                raise
            yield -work.sign * 1e9  # it diverged
            return
        yield score(work, data, predicted)


def with_torch(params: dict[str, Any], work: Work, seed: int) -> Iterator[float]:
    """The same in PyTorch, for classes."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    data, kinds = rows(work.source), {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}
    sizes = [data.n_inputs, *widths(params)]
    layers: list[Any] = []
    for fan_in, fan_out in pairwise(sizes):
        activation = kinds.get(params["activation"], torch.nn.Sigmoid)
        layers += [torch.nn.Linear(fan_in, fan_out), activation()]
    network = torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], data.n_classes))
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[params["optimizer"]]
    optimizer, loss = (
        kind(network.parameters(), params["learning_rate"]),
        torch.nn.CrossEntropyLoss(),
    )
    x, y = torch.from_numpy(data.train.x.copy()), torch.from_numpy(data.train.y.astype("int64"))
    held_out = torch.from_numpy(data.validation.x.copy())
    for _ in range(work.epochs):
        for batch in torch.randperm(len(x)).split(params["batch_size"]):
            optimizer.zero_grad()
            loss(network(x[batch]), y[batch]).backward()
            optimizer.step()
        with torch.no_grad():
            yield score(work, data, network(held_out).argmax(1).numpy())


TRAINERS = {"nothing": nothing, "sklearn": with_sklearn, "torch": with_torch}


def widths(params: dict[str, Any]) -> tuple[int, ...]:
    return tuple(params[f"neurons_{i}"] for i in range(1, params["layers"] + 1))


def score(work: Work, data: Any, predicted: Any) -> float:
    import numpy as np

    known = data.validation.y.ravel()
    if work.metric == "accuracy":
        return float(np.mean(predicted == known))
    scale = float(np.ravel(data.target_scale)[0])
    return scale * float(np.sqrt(np.mean((predicted - known) ** 2)))


# What searches.


def ours(work: Work, seed: int, trials: int) -> dict[str, Any]:
    """The command, as a user types it."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "sweep.db"
        (Path(folder) / "study.toml").write_text(_study(work, seed, trials))
        sweep = [sys.executable, "-m", "sweep.cli", "run", folder, "--store", str(store)]
        subprocess.run([*sweep, "--allow-code"], check=True, capture_output=True)
        began = time.time()
        watch = _watched(work, store)
        return watch.record() | {"reading": time.time() - began}


def _watched(work: Work, store: Path) -> Watch:
    """When a study of ours came to what, from its record."""
    from sweep.results import load

    study, watch = load("bench", store), Watch(work)
    epochs = study.epochs.set_index(["trial", "epoch"])["validation_metric"]
    received = study.attempts.sort_values("received")
    times = received["received"].astype("int64") / 1e6
    for at, row in zip(times, received.itertuples(), strict=True):
        segment = epochs.loc[row.trial].loc[row.start + 1 : row.until].dropna()
        values = segment.max() if work.sign > 0 else segment.min()
        if len(segment) and watch.value(float(values)) and watch.reached > at:
            watch.reached = float(at)
    ended = study.trials["datetime_complete"].astype("int64") / 1e6
    watch.ended = sorted(map(float, ended))
    return watch


def _study(work: Work, seed: int, trials: int) -> str:
    train = {"epochs": work.epochs, "metric": work.metric}
    if work.source:
        loss = "softmax_cross_entropy" if work.metric == "accuracy" else "mean_squared"
        space = (SPACE if work.metric == "accuracy" else SMALL) | {"loss": loss}
    else:
        space = {"neurons_1": SPACE["neurons"], "neurons_2": SPACE["neurons"], **SPACE}
        del space["neurons"]
        train["function"] = "tests.benchmarks.tuners:ours_nothing"
    tables = {
        "data": {"source": work.source or "sklearn:iris", "scaling": "standard"},
        "space": space,
        "train": train,
        "search": {
            "trials": trials,
            "sampler": work.sampler,
            "pruner": "successive_halving" if work.halving else "none",
            "workers": 2 * AT_ONCE,
            "seed": seed,
        },
    }
    lines = ['name = "bench"']
    for table, entries in tables.items():
        lines += [f"[{table}]", *(f"{key} = {_toml(value)}" for key, value in entries.items())]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{key} = {_toml(each)}' for key, each in value.items())} }}"
    return json.dumps(value)


def ray_tune(work: Work, seed: int, trials: int, trainer: str) -> dict[str, Any]:
    """Ray Tune with OptunaSearch and, if trials are stopped early, ASHA."""
    import logging

    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search import ConcurrencyLimiter
    from ray.tune.search.optuna import OptunaSearch

    watch, mode = Watch(work), "max" if work.sign > 0 else "min"

    class Notes(tune.Callback):
        def on_trial_result(self, iteration: Any, trials: Any, trial: Any, result: Any, **_: Any):
            watch.value(result["value"])

        def on_trial_complete(self, iteration: Any, trials: Any, trial: Any, **_: Any) -> None:
            watch.ended.append(time.time())

    class Enough(tune.Stopper):
        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            return False

        def stop_all(self) -> bool:
            return watch.reached is not None

    def trainable(config: dict[str, Any]) -> None:
        for value in TRAINERS[trainer](config, work, seed):
            tune.report({"value": value})

    logging.getLogger("ray").setLevel(logging.ERROR)
    ray.init("local", num_cpus=AT_ONCE, include_dashboard=False, log_to_driver=False)
    space = partial(suggest, work=work)  # which is pickled
    search = OptunaSearch(space, metric="value", mode=mode, sampler=sampler(work, seed))
    asha = ASHAScheduler(max_t=work.epochs, grace_period=1, reduction_factor=3)
    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                metric="value",
                mode=mode,
                search_alg=ConcurrencyLimiter(search, max_concurrent=AT_ONCE),
                scheduler=asha if work.halving else None,
                num_samples=trials,
            ),
            run_config=tune.RunConfig(
                storage_path=folder, verbose=0, callbacks=[Notes()], stop=Enough()
            ),
        )
        tuner.fit()
    ray.shutdown()
    return watch.record()


def optuna_alone(work: Work, seed: int, trials: int, trainer: str, storage: str) -> dict[str, Any]:
    """Optuna's own loop with two threads."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    watch = Watch(work)

    def objective(trial: Any) -> float:
        value = 0.0
        suggest(trial, work)
        for epoch, value in enumerate(TRAINERS[trainer](trial.params, work, seed), 1):
            if watch.value(value):
                trial.study.stop()
                break
            if work.halving:
                trial.report(value, epoch)
                if trial.should_prune():
                    raise optuna.TrialPruned
        return value

    with tempfile.TemporaryDirectory() as folder:
        places = {
            "memory": lambda: None,
            "sqlite": lambda: f"sqlite:///{folder}/optuna.db",
            "journal": lambda: JournalStorage(JournalFileBackend(f"{folder}/journal")),
        }
        study = optuna.create_study(
            storage=places[storage](),
            direction="maximize" if work.sign > 0 else "minimize",
            sampler=sampler(work, seed),
            pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
            if work.halving
            else optuna.pruners.NopPruner(),
        )
        note = [lambda study, trial: watch.ended.append(time.time())]
        study.optimize(objective, n_trials=trials, n_jobs=AT_ONCE, callbacks=note)
    return watch.record()


def sampler(work: Work, seed: int) -> Any:
    from optuna.samplers import RandomSampler, TPESampler

    return RandomSampler(seed) if work.sampler == "random" else TPESampler(seed=seed)


def suggest(trial: Any, work: Work) -> None:
    """Ask an Optuna trial for the parameters of the space."""
    space = SPACE if work.metric == "accuracy" else SMALL
    layers = trial.suggest_int("layers", 1, 2)
    for layer in range(1, layers + 1):
        trial.suggest_int(f"neurons_{layer}", **space["neurons"])
    for name in ("activation", "optimizer"):
        trial.suggest_categorical(name, space[name])
    trial.suggest_int("batch_size", **space["batch_size"])
    trial.suggest_float("learning_rate", **space["learning_rate"])


TUNERS: dict[str, Callable[[Work, int, int], dict[str, Any]]] = {
    "sweep": ours,
    "tune-empty": lambda *of: ray_tune(*of, "nothing"),
    "tune-sklearn": lambda *of: ray_tune(*of, "sklearn"),
    "tune-torch": lambda *of: ray_tune(*of, "torch"),
    "optuna-empty-memory": lambda *of: optuna_alone(*of, "nothing", "memory"),
    "optuna-empty-sqlite": lambda *of: optuna_alone(*of, "nothing", "sqlite"),
    "optuna-empty-journal": lambda *of: optuna_alone(*of, "nothing", "journal"),
    "optuna-sklearn": lambda *of: optuna_alone(*of, "sklearn", "memory"),
}


def main(tuner: str, work: str, seed: str, trials: str) -> None:
    """Run one, and print what it did."""
    print(json.dumps(TUNERS[tuner](WORKS[work], int(seed), int(trials))))


if __name__ == "__main__":
    # By its name: Ray Tune's workers import what is pickled from where it was.
    from tests.benchmarks import tuners

    tuners.main(*sys.argv[1:])

"""Small random studies, and what users ask of them."""

import random
from typing import Any

from sweep import studyfile
from sweep.spec import PRUNERS, StudySpec

NAME = "simulated"


def a_study(luck: random.Random) -> StudySpec:
    """A small random study."""
    own, several = luck.random() < 0.15, luck.random() < 0.1
    pruner = "none" if several else luck.choice(PRUNERS)
    sampler = luck.choices(
        ("random", "quasi_random", "tpe", "nsga2", "cma_es"), (80, 8, 5, 3, 0 if several else 4)
    )[0]
    epochs = luck.randint(1, 12)
    search: dict[str, Any] = {
        "trials": luck.randint(4, 12),
        "workers": luck.randint(1, 6),
        "seed": luck.randrange(1000),
        "sampler": sampler,
        "pruner": pruner,
        "reduction_factor": luck.randint(2, 4),
        "min_epochs": luck.randint(1, min(2, epochs)),
        "replicates": luck.randint(2, 3) if pruner == "wilcoxon" or luck.random() < 0.2 else 1,
        "repeats": luck.random() < 0.3,
    }
    if search["replicates"] > 1:
        search["resample"] = luck.choice(("seeds", "folds"))
    if luck.random() < 0.15:
        search[luck.choice(("wall_time", "cpu_time"))] = luck.uniform(5.0, 60.0)
    train: dict[str, Any] = {"epochs": epochs, "metric": luck.choice(("accuracy", "loss"))}
    if luck.random() < 0.1:
        train["time_limit"] = luck.uniform(1.0, 10.0)
    if several and not own:
        search["objectives"] = [train["metric"], "parameters"]
    if own:
        train["function"] = "tests.sweep.trainers:plain"
        space: dict[str, Any] = {
            "depth": {"low": 1, "high": 3},
            "rate": {"low": 0.1, "high": 1.0},
            "kind": ["a", "b"],
        }
    else:
        space = {
            "layers": {"low": 0, "high": 2},
            "neurons": {"low": 2, "high": 8},
            "optimizer": ["sgd", "adam"],
            "learning_rate": {"low": 1e-3, "high": 1.0, "log": True},
        }
        if luck.random() < 0.2:  # few configurations, hence duplicates
            space = {"layers": {"low": 0, "high": 1}, "neurons": {"low": 2, "high": 4}}
    raw = {"name": NAME, "data": {"source": "sklearn:iris"}, "edition": luck.choice((1, 2))}
    return studyfile.from_json(raw | {"space": space, "train": train, "search": search})


def a_request(luck: random.Random, spec: StudySpec) -> tuple[str, dict[str, Any]]:
    """Something that a user asks of it."""
    name = luck.choice(("kill", "kill", "enqueue", "edit", "extend", "pause", "stop", "cancel"))
    own = spec.train.function is not None
    detail: dict[str, Any] = {}
    match name:
        case "kill":
            detail = {"trial": luck.randrange(spec.search.trials)}
        case "enqueue":
            params = {"rate": 0.5} if own else {"layers": luck.randint(0, 1)}
            detail = {"params": params}
        case "edit":
            high = luck.choice((2, 3)) if own else luck.choice((4, 6, 12))
            changes = {"depth" if own else "neurons": {"low": 1 if own else 2, "high": high}}
            detail = {"changes": changes}
        case "extend":
            trials = spec.search.trials + luck.randint(1, 6)
            detail = {"trials": trials}
    return name, detail

"""What is said of studies of which the truth is known."""

import math
import shlex
from datetime import UTC, datetime, timedelta

import numpy as np
import optuna
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from sweep import studyfile, tables
from sweep.advice import (
    advice,
    budget,
    commands,
    failures,
    length,
    parameters,
    pruning,
    ranges,
    steps,
)
from sweep.cli.app import app
from sweep.importances import Basis, basis, importances
from sweep.noise import Noise
from sweep.question import edited
from sweep.results import load
from sweep.space import distributions
from tests.sweep.studies import SMALL, finish, small

SPACE = {
    "learning_rate": {"low": 1e-4, "high": 1.0, "log": True},
    "momentum": {"low": 0.0, "high": 0.9},
    "layers": {"low": 1, "high": 3},
    "neurons": {"low": 4, "high": 64, "log": True},
    "batch_size": {"low": 16, "high": 256},
    "activation": ["relu", "tanh"],
    "optimizer": "momentum",
}
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def spec_of(space=SPACE, metric="accuracy", **search):
    return studyfile.from_json(
        {
            "name": "known",
            "data": {"source": "sklearn:iris"},
            "space": space,
            "train": {"epochs": 9, "metric": metric},
            "search": {"trials": 60, **search},
        }
    )


def row(number, params, value, **columns):
    return {
        "number": number,
        "params": params,
        "state": "complete" if value is not None else "pruned",
        "outcome": "finished" if value is not None else "pruned",
        "value": value,
        "values": None,
        "constraints": None,
        "standard_error": None,
        "epochs": 9,
        "seed": 0,
        "seconds": 1.0,
        "predicted_cost": 1.0,
        "attempts": 1,
        "node": "n",
        "error": None,
        "datetime_start": BEGAN,
        "datetime_complete": BEGAN + timedelta(seconds=number),
        **columns,
    }


def searched(spec, value, sampler, trials=60):
    """The rows of a study in which `value` of the parameters is known."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    known, rows = distributions(spec.space), []
    for number in range(trials):
        trial = study.ask(known)
        found = value(trial.params)
        study.tell(trial, found)
        rows.append(row(number, trial.params, found))
    return rows


def place(params, name):
    """Where a value is in its range, from 0 to 1."""
    entry, value = SPACE[name], params[name]
    if entry.get("log"):
        return math.log(value / entry["low"]) / math.log(entry["high"] / entry["low"])
    return (value - entry["low"]) / (entry["high"] - entry["low"])


def values_of(values):
    """Trials in order with these values, None if pruned, and parameters that do not matter."""
    random = np.random.default_rng(0)
    return [
        row(
            number,
            {
                "learning_rate": float(10 ** random.uniform(-4, 0)),
                "momentum": float(random.uniform(0, 0.9)),
                "layers": int(random.integers(1, 4)),
                **{f"neurons_{i}": int(random.integers(4, 65)) for i in (1, 2, 3)},
                "batch_size": int(random.integers(16, 257)),
                "activation": "relu",
            },
            value,
        )
        for number, value in enumerate(values)
    ]


SAMPLERS = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("seed", range(2))
def test_a_best_beyond_the_end_of_a_range_is_seen(sampler, seed):
    """The larger the rate the better: its high end is the only one named, with the edit."""
    spec = spec_of()
    trials = {"tpe": 60, "random": 200}[sampler]
    sampler = SAMPLERS[sampler](seed)
    rows = searched(spec, lambda p: place(p, "learning_rate") ** 3, sampler, trials)
    (found,) = ranges(spec, tables.trials(spec, rows))
    assert found.facts["parameter"] == "learning_rate"
    assert (found.facts["end"], found.facts["limit"]) == ("high", 1.0)
    assert f"{found.facts['there']} of the {found.facts['best']} best trials" in found.text
    assert "may lie above 1." in found.text
    assert found.commands[0] == (
        "sweep edit known 'learning_rate={ low = 0.0001, high = 10.0, log = true }'"
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("seed", range(2))
def test_a_best_within_the_ranges_is_left_alone(sampler, seed):
    """Also where a sampler gathers near the best, and where nothing matters at all."""
    spec, random = spec_of(), np.random.default_rng(seed)

    def inner(params):
        wrong = abs(place(params, "learning_rate") - 0.6) + abs(place(params, "momentum") - 0.4) / 3
        return 1 - wrong + 0.01 * random.normal()

    for value in (inner, lambda params: random.normal()):
        rows = searched(spec, value, SAMPLERS[sampler](seed), 60)
        assert list(ranges(spec, tables.trials(spec, rows))) == []


@pytest.mark.parametrize(
    ("name", "end", "edit"),
    [
        ("learning_rate", "low", "learning_rate={ low = 1e-05, high = 1.0, log = true }"),
        ("momentum", "high", "momentum={ low = 0.0, high = 0.95 }"),
        ("layers", "high", "layers={ low = 1, high = 4 }"),
        ("layers", "low", "layers={ low = 0, high = 3 }"),
        ("batch_size", "high", "batch_size={ low = 16, high = 376 }"),
        ("momentum", "low", None),
    ],
)
def test_the_edit_extends_the_end(name, end, edit):
    """By a factor of ten or by half; as far as the parameter's values go; none beyond their end."""
    spec = spec_of()
    rows = searched(
        spec,
        lambda p: place(p, name) if end == "high" else 1 - place(p, name),
        optuna.samplers.TPESampler(seed=1),
        60,
    )
    found = list(ranges(spec, tables.trials(spec, rows)))
    typed = [shlex.split(each.commands[0]) for each in found]
    assert typed == ([] if edit is None else [["sweep", "edit", "known", edit]])


def test_widths_of_all_layers_are_one_key():
    """neurons_1 and neurons_2 both at their end are one edit of neurons."""
    spec = spec_of({**SPACE, "layers": 2})
    rows = searched(
        spec, lambda p: p["neurons_1"] + p["neurons_2"], optuna.samplers.TPESampler(seed=0), 80
    )
    (found,) = ranges(spec, tables.trials(spec, rows))
    assert "'neurons={ low = 4, high = 128, log = true }'" in found.commands[0]


@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
def test_a_best_that_grew_to_the_end(metric):
    """Twenty equal steps, whichever way is better: it was still getting better, and by how much."""
    sign = 1 if metric == "accuracy" else -1
    spec = spec_of(metric=metric)
    rows = values_of([sign * i / 100 for i in range(20)])
    (found,) = budget(spec, tables.trials(spec, rows))
    assert found.text.startswith(
        "The best was still getting better: trial 19 improved it as the last of"
    )
    assert (found.facts["before"], found.facts["after"]) == (sign * 0.14, sign * 0.19)
    assert found.facts["gain"] == pytest.approx(5 / 9.5)
    assert found.commands == ("sweep extend known --trials 30", "sweep resume known")


def test_a_best_that_was_found_early():
    """Half of the trials brought nothing, and no more than that is said."""
    spec = spec_of()
    rows = values_of([0.5, None] * 10 + [0.9] + [None, 0.8, 0.9] * 7)
    rows[18]["value"] = 0.9  # begun before trial 20 and as good, but it ended later
    rows[18]["datetime_complete"] = rows[-1]["datetime_complete"] + timedelta(seconds=1)
    (found,) = budget(spec, tables.trials(spec, rows))
    assert found.text == (
        "The best is no longer getting better: of 42 trials, the 22 that ended last (52%) brought "
        "nothing better than trial 18."
    )
    assert found.commands == ()
    (random,) = budget(spec_of(sampler="random"), tables.trials(spec, rows))
    assert random.text == (
        f"{found.text} They were drawn at random: as many again may still bring a better one."
    )


def test_a_best_that_grew_by_next_to_nothing():
    """A late improvement that is slight beside the lead over the median is no reason to go on."""
    spec = spec_of()
    rows = values_of([0.5] * 20 + [0.9] + [0.5] * 18 + [0.9001])
    (found,) = budget(spec, tables.trials(spec, rows))
    assert found.text.startswith("The best is hardly getting better.")
    assert found.facts["gain"] < 0.001


@pytest.mark.parametrize(("deviation", "grew"), [(0.04, True), (0.06, False)])
def test_a_best_that_grew_by_what_a_seed_makes(deviation, grew):
    """Five hundredths are an improvement where seeds alone make four of them, not where six."""
    spec = spec_of()
    table = tables.trials(spec, values_of([i / 100 for i in range(20)]))
    (found,) = budget(spec, table, None, noise_of(standard_deviation=deviation))
    assert found.text.startswith("The best was still getting better") == grew
    assert bool(found.commands) == grew
    if not grew:
        assert found.text.endswith("no more than 0.05, and a seed alone makes about 0.06.")


def test_too_few_to_tell():
    """Nine trials are too few for a judgement of the budget, or of any range."""
    spec = spec_of(wall_time=60.0)
    table = tables.trials(spec, values_of([None] * 4 + [0.1 * i for i in range(5)]))
    (found,) = advice(spec, table, spent="search.wall_time")
    assert found.text.startswith("9 trials tried: too few")
    assert found.commands == ("sweep extend known --wall-time 30", "sweep resume known")
    assert advice(spec, tables.trials(spec, [])) == []
    assert advice(spec, tables.trials(spec, values_of([None] * 5))) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([None, 0.5, 0.6] + [None] * 47, "of 50 trials, the 47 that ended last (94%) brought"),
        ([None] * 40 + [0.1 * i for i in range(9)], "still getting better: trial 48 improved it"),
        ([None] * 8 + [0.4, 0.5], "better: trial 9 improved it as the last of 10 trials"),
        ([0.4] * 7 + [None, 0.5, 0.3], "trial 8 improved it with 1 of 10 trials (10%) still"),
        ([None] * 7 + [0.1, 0.3, 0.5], "from 0.1 to 0.5, 100% of its lead over the median"),
        ([0.5] + [None] * 9, "the 9 that ended last (90%) brought nothing better than trial 0"),
    ],
)
def test_pruned_trials_were_tried(values, said):
    """Few came to their end, and yet it is plain whether the best was still improving."""
    spec = spec_of()
    (found,) = budget(spec, tables.trials(spec, values_of(values)))
    assert said in found.text


@pytest.mark.parametrize("values", [[None] * 57 + [0.5] * 3, [None] * 59 + [0.5]])
def test_the_first_value_is_no_improvement(values):
    """Late, and none after it is better: whether it was still getting better is not known."""
    spec = spec_of()
    (found,) = budget(spec, tables.trials(spec, values_of(values)))
    first = values.index(0.5)
    assert found.text.startswith(f"The first value came late: trial {first} completed with")
    assert found.text.endswith("Too little to tell whether more would help.")
    assert found.facts["last_improvement"] is None
    assert found.commands == ("sweep extend known --trials 30", "sweep resume known")


def test_trials_that_wait_were_tried_when_they_began():
    """Under promotion those that pause end with the study; the best after them is a late one."""
    rows = values_of([0.5] + [None] * 38 + [0.9])
    for each in rows:
        each["datetime_start"] = BEGAN + timedelta(seconds=each["number"])
        if each["state"] == "pruned":
            each["datetime_complete"] = BEGAN + timedelta(hours=1)
    spec = spec_of(pruner="promotion")
    (found,) = budget(spec, tables.trials(spec, rows))
    assert found.facts["since"] == 0


@pytest.mark.parametrize("trials", [60, 4])
def test_an_exhausted_grid_is_not_to_be_extended(trials):
    """All of its four points were tried, one of them diverged: there is nothing to go on to."""
    space = {"learning_rate": [0.1, 0.2, 0.3, 9.0], "neurons": 8}
    spec = spec_of(space, sampler="grid", trials=trials)
    rows = [row(i, {"learning_rate": rate}, rate) for i, rate in enumerate([0.1, 0.2, 0.3])]
    rows.append(row(3, {"learning_rate": 9.0}, None, outcome="diverged"))
    (found,) = budget(spec, tables.trials(spec, rows))
    assert found.text == (
        "The space is exhausted: the 4 points of its grid have been tried, and trial 2 is the best "
        "of them."
    )
    assert found.commands == ()


STATES = st.sampled_from(
    [
        *(("complete", "finished"), ("pruned", "pruned"), ("pruned", "diverged")),
        *(("failed", outcome) for outcome in ("error", "timeout", "worker_lost", "killed")),
        *(("pruned", outcome) for outcome in ("duplicate", "too_large")),
        *(("running", None), ("paused", None)),
    ]
)
NUMBERS = st.floats(-1e9, 1e9) | st.sampled_from([0.0, 0.5, 1.0, math.inf, -math.inf, math.nan])


@given(
    st.lists(st.tuples(STATES, NUMBERS, st.integers(0, 9), st.floats(0, 1)), max_size=40),
    st.sampled_from(["accuracy", "log_loss"]),
    st.sampled_from(["hyperband", "promotion", "none"]),
    st.sampled_from(["complete", "running", "stopped", "paused", "failed"]),
    st.sampled_from([None, "search.trials", "search.flops"]),
)
@settings(max_examples=100)
def test_any_trials_can_be_judged(trials, metric, pruner, state, spent):
    """Whatever became of the trials, in whatever order and with whatever values, nothing is raised
    and every sentence is finite."""
    spec = spec_of(metric=metric, pruner=pruner)
    rows = []
    for number, ((at, outcome), value, ended, share) in enumerate(trials):
        params = values_of([0.0])[0]["params"] | {"learning_rate": 10 ** (-4 + 4 * share)}
        over = None if at in ("running", "paused") else BEGAN + timedelta(seconds=ended)
        known = value if at == "complete" else None
        kept = {"state": at, "outcome": outcome, "datetime_complete": over}
        rows.append(row(number, params, known, **kept))
    table = tables.trials(spec, rows)
    for found in advice(spec, table, state, spent):
        assert "nan" not in found.text
        assert "inf" not in found.text
    assert sum(importances(spec, rows).values()) == pytest.approx(1) or not importances(spec, rows)


@pytest.mark.parametrize(
    ("state", "rest"),
    [
        ("running", []),
        ("stopped", ["sweep resume known"]),
        ("complete", ["sweep extend known --trials 30", "sweep resume known"]),
    ],
)
def test_what_to_type_depends_on_the_state(state, rest):
    """An edit takes effect at once in a study that runs; one that ended has to go on for it. Of a
    budget that is not spent nothing is said."""
    spec = spec_of()
    sampler = optuna.samplers.TPESampler(seed=0)
    rows = searched(spec, lambda p: place(p, "learning_rate"), sampler)
    rows += [
        row(60 + i, {**each["params"], "learning_rate": 0.9}, None, outcome="diverged")
        for i, each in enumerate(rows[:20])
    ]
    found = advice(spec, tables.trials(spec, rows), state)
    assert {each.about for each in found} >= {"range", "failures"}
    assert ("budget" in {each.about for each in found}) == (state == "complete")
    typed = commands(found)
    assert [command for command in typed if "edit" not in command] == rest
    assert typed[: len(typed) - len(rest)] == [each for each in typed if "edit" in each]
    assert len(set(typed)) == len(typed)


def test_trials_that_break_a_constraint_are_no_best():
    """The winner is the best of those that meet it, and so is what is said of the budget."""
    spec = spec_of(constraints={"log_loss": {"high": 0.3}})
    rows = values_of([0.5] * 5 + [0.6] + [0.5] * 14 + [0.99])
    for each in rows:
        each["constraints"] = [1.0 if each["value"] == 0.99 else 0.0]
    (found,) = budget(spec, tables.trials(spec, rows))
    assert found.facts["last_improvement"] == 5


def test_rates_that_diverge_are_cut_off():
    """All above 0.1 diverge: the edit ends the range at the largest rate that did not."""
    spec = spec_of()
    rows = values_of([0.9] * 50)
    for each in rows:
        if each["params"]["learning_rate"] > 0.1:
            each |= {"state": "pruned", "outcome": "diverged", "value": None}
    table = tables.trials(spec, rows)
    (found,) = failures(spec, table)
    bad = int((table["params_learning_rate"] > 0.1).sum())
    good = table.loc[table["params_learning_rate"] <= 0.1, "params_learning_rate"].max()
    assert (found.facts["count"], found.facts["above"], found.facts["others_above"]) == (
        bad,
        bad,
        0,
    )
    assert found.facts["learning_rate"] == good
    edit = f"learning_rate={{ low = 0.0001, high = {good:.3g}, log = true }}"
    assert found.commands == (f"sweep edit known '{edit}'",)


def test_trials_that_diverge_whatever_their_rate():
    """No range of rates would have saved them, and none is named: neither where the shares are the
    same, nor where they differ by chance or, among many, by little."""
    spec = spec_of()
    for trials, step in ((50, 2), (12, 12), (2000, 8)):
        rows = values_of([0.9] * trials)
        for each in rows[::step]:
            each |= {"state": "pruned", "outcome": "diverged", "value": None}
            if trials == 2000:  # none below 0.001, where a quarter of the others is
                each["params"]["learning_rate"] **= 0.75
        (found,) = failures(spec, tables.trials(spec, rows))
        assert found.text == (
            f"{len(rows[::step])} of {trials} trials diverged: their loss or metric was no longer "
            "finite; clip_norm, or norm, may help."
        )
        assert found.commands == ()
        assert "learning_rate" not in found.facts


def test_failures_are_told_by_cause():
    """Each outcome with its count and what to do; of errors the one that most had."""
    spec = spec_of()
    rows = values_of([0.9] * 40)
    trace = "Traceback (most recent call last):\n  File 1\nValueError: {}\n"
    causes = [("error", trace.format("often"))] * 3 + [("error", trace.format("once"))]
    causes += [("timeout", None)] * 2 + [("worker_lost", "gone"), ("out_of_memory", None)]
    causes += [("killed", None)]
    for each, (outcome, error) in zip(rows, causes, strict=False):
        each |= {"state": "failed", "outcome": outcome, "error": error, "value": None}
    found = {each.facts["outcome"]: each for each in failures(spec, tables.trials(spec, rows))}
    assert {name: each.facts["count"] for name, each in found.items()} == {
        "error": 4,
        "timeout": 2,
        "worker_lost": 1,
        "out_of_memory": 1,
        "killed": 1,
    }
    assert found["error"].text == (
        "4 of 40 trials ended in an error, 3 of them in: ValueError: often"
    )
    assert "train.time_limit" in found["timeout"].text
    assert "search.max_parameters" in found["out_of_memory"].text
    assert "sweep show known --ledger" in found["worker_lost"].text


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_mattered(sampler):
    """The one parameter that makes the value has most of the importance; with few trials nothing
    is said."""
    spec = spec_of()
    rows = searched(spec, lambda p: -abs(place(p, "learning_rate") - 0.6), SAMPLERS[sampler](0), 80)
    found = importances(spec, rows)
    assert next(iter(found)) == "learning_rate"
    assert found["learning_rate"] > 0.5
    assert sum(found.values()) == pytest.approx(1)
    assert importances(spec, rows[:29]) == {}


def test_what_mattered_among_pruned_trials():
    """Ten of sixty came to their end; the values of all after the last rung that most of them
    reached say which parameter it is."""
    spec = spec_of()  # with rungs after epochs 1, 3 and 9
    rows = searched(spec, lambda p: place(p, "learning_rate"), SAMPLERS["random"](0))
    epochs = []
    for each in rows:
        number, value = each["number"], each["value"]
        last = 9 if number < 10 else 3 if number < 52 else 1
        if last < 9:
            each |= {"state": "pruned", "outcome": "pruned"}
        epochs += [
            {"trial": number, "epoch": epoch, "validation_metric": value * epoch / 9}
            for epoch in range(1, last + 1)
        ]
    assert importances(spec, rows) == {}
    assert basis(spec, rows, epochs).text == "by accuracy after epoch 3 of 52 trials"
    assert next(iter(importances(spec, rows, epochs))) == "learning_rate"
    few = basis(spec, rows[:29], epochs)
    assert few.text == "too few trials: 10 complete and 29 tried, of 30 that it takes"


def test_nothing_mattered():
    """A study of constants, or of equal values, has no importances."""
    spec = spec_of({"learning_rate": 0.1})
    assert importances(spec, [row(i, {}, 0.5) for i in range(40)]) == {}


def test_the_commands_do_what_they_say(tmp_path, monkeypatch):
    """A study whose rates end too low: what it advises can be typed as it is, and is then so."""
    monkeypatch.setenv("SWEEP_STORE", str(tmp_path / "sweep.db"))
    monkeypatch.setenv("SWEEP_BACKEND", "serial")
    monkeypatch.delenv("COLUMNS", raising=False)
    record = studyfile.to_json(small(tmp_path, trials=40, pruner="none"))
    record["space"] |= {"learning_rate": {"low": 1e-6, "high": 1e-3, "log": True}}
    record["space"] |= {"optimizer": "sgd", "layers": 0, "activation": "relu", "batch_size": 16}
    record["space"] |= {"initializer": "zeros"}  # so that the rate alone decides
    record["train"] |= {"metric": "log_loss"}
    study = finish(studyfile.from_json(record), tmp_path / "sweep.db")
    before = study.best.value
    (found,) = (each for each in study.advice() if each.about == "range")
    assert found.facts["parameter"] == "learning_rate"
    assert found.record() in study.summary()["advice"]
    for command in found.commands:
        done = CliRunner().invoke(app, shlex.split(command)[1:])
        assert done.exit_code == 0, done.output
    longer = load("small", tmp_path / "sweep.db")
    assert len(longer.trials) == 60
    assert longer.state == "complete"
    rates = longer.trials["params_learning_rate"]
    assert rates.iloc[:40].max() <= 1e-3 < rates.iloc[40:].max()
    assert longer.best.value < before
    assert len(longer.optuna_study.trials) == 60, "with values beyond the file's range"
    assert longer.importances["learning_rate"] == 1
    assert not any(each.about == "range" for each in longer.advice())


def with_verdicts(rows, verdict):
    """The table of these trials' verdicts, each a function of its parameters."""
    found = [(row["number"], 0, verdict(row["params"])) for row in rows]
    return pd.DataFrame(found, columns=["trial", "replicate", "verdict"])


def judged_parameters(spec, rows):
    """What is advised about parameters, from the trials alone."""
    shares = importances(spec, rows)
    return list(parameters(spec, tables.trials(spec, rows), basis(spec, rows, []), shares))


def test_what_made_no_difference_is_to_be_fixed():
    """Of seven parameters one decides: some of the others are named with the winner's values, and
    what the study then has is no longer searched."""
    spec, random = spec_of(), np.random.default_rng(0)
    rows = searched(
        spec,
        lambda p: place(p, "learning_rate") + 0.1 * random.normal(),
        SAMPLERS["random"](0),
        200,
    )
    (found,) = judged_parameters(spec, rows)
    idle = found.facts["shares"]
    assert "learning_rate" not in idle
    assert {"activation", "batch_size"} <= idle.keys()
    assert all(share < 0.1 for share in idle.values())
    winner = max(rows, key=lambda row: row["value"])["params"]
    typed = [shlex.split(command) for command in found.commands]
    assert [line[:3] for line in typed] == [["sweep", "edit", "known"]] * len(idle)
    changes = studyfile.settings([line[3] for line in typed])
    assert changes["activation"] == winner["activation"]
    assert changes.keys() == idle.keys()
    frozen = edited(spec, changes)
    assert {name.rstrip("_123") for name in distributions(frozen.space)}.isdisjoint(idle)


@pytest.mark.parametrize(
    "value",
    [
        lambda p: place(p, "learning_rate"),
        lambda p: -2 * abs(place(p, "learning_rate") - 0.5),
    ],
    ids=["slope", "hump"],
)
def test_what_makes_a_difference_is_not_said_to_make_none(value):
    """An effect of a sixth of the spread, noise for the rest: in one of twenty studies at most."""
    spec, wrong = spec_of(), 0
    for seed in range(20):
        random = np.random.default_rng(seed)

        def noisy(params, random=random):
            return 1.6 * value(params) + random.normal()

        rows = searched(spec, noisy, SAMPLERS["random"](seed), 100)
        wrong += any("learning_rate" in a.facts["shares"] for a in judged_parameters(spec, rows))
    assert wrong <= 1


def test_few_or_pruned_trials_say_nothing_of_parameters():
    """Thirty values cannot tell; and those after a few epochs are not of the end."""
    spec = spec_of()
    rows = searched(spec, lambda p: 0.0, SAMPLERS["random"](0), 30)
    assert judged_parameters(spec, rows) == []
    rows = searched(spec, lambda p: place(p, "learning_rate"), SAMPLERS["random"](0), 200)
    early = Basis({row["number"]: row["value"] for row in rows}, "after epoch 1")
    for each in rows[::2]:
        each |= {"state": "pruned", "outcome": "pruned"}
    assert list(parameters(spec, tables.trials(spec, rows), early, {})) == []


@pytest.mark.parametrize("entry", [SPACE["learning_rate"], [1e-4, 1e-3, 1e-2, 1e-1]])
def test_rates_that_are_too_small_are_seen(entry):
    """All below 0.003 still improve at the end and no other does: the cut is there, and a range is
    to begin there; a list of choices has no end to move."""
    spec = spec_of({**SPACE, "learning_rate": entry})
    sampler = SAMPLERS["random"](0)
    rows = searched(spec, lambda p: math.log(p["learning_rate"]), sampler, 100)
    verdicts = with_verdicts(
        rows, lambda p: "still improving" if p["learning_rate"] < 0.003 else "converged"
    )
    (found,) = steps(spec, tables.trials(spec, rows), verdicts)
    rates = [row["params"]["learning_rate"] for row in rows]
    facts = found.facts
    assert facts["there"] == facts["wrong"] == sum(rate < facts["limit"] for rate in rates)
    assert facts["there"] > 0.8 * sum(rate < 0.003 for rate in rates)
    assert f"{facts['wrong']} of the {facts['there']} complete trainings with a learning_rate" in (
        found.text
    )
    assert "still improving at their last epoch" in found.text
    edit = f"learning_rate={{ low = {facts['limit']:.3g}, high = 1.0, log = true }}"
    is_range = isinstance(entry, dict)
    assert found.commands == ((f"sweep edit known '{edit}'",) if is_range else ())


@pytest.mark.parametrize("is_pruned", [False, True])
def test_small_rates_that_were_pruned_are_told_and_not_cut(is_pruned):
    """That they were behind at a rung is all that is known of them; of those that came to their
    last epoch under a pruner it is known how they ended."""
    spec = spec_of(pruner="successive_halving")
    rows = searched(spec, lambda p: math.log(p["learning_rate"]), SAMPLERS["random"](0), 100)
    for each in rows:
        if each["params"]["learning_rate"] < 0.003 and is_pruned:
            each |= {"state": "pruned", "outcome": "pruned", "value": None}
    verdicts = with_verdicts(
        rows, lambda p: "still improving" if p["learning_rate"] < 0.003 else "converged"
    )
    complete = [row["number"] for row in rows if row["state"] == "complete"]
    verdicts = verdicts[verdicts["trial"].isin(complete)]
    (found,) = steps(spec, tables.trials(spec, rows), verdicts)
    assert found.facts["wrong"] == found.facts["there"]
    assert bool(found.commands) != is_pruned
    assert ("were pruned; of the" in found.text) == is_pruned
    assert ("epochs are too few" in found.text) != is_pruned
    assert ("without a pruner they might come as far" in found.text) == is_pruned


def test_rates_and_batches_that_are_too_large_are_seen():
    """Stuck above a rate, and pruned above a batch size, of which no more is said."""
    spec = spec_of()
    rows = searched(spec, lambda p: -p["learning_rate"], SAMPLERS["random"](0), 120)
    for each in rows:
        if each["params"]["batch_size"] > 200:
            each |= {"state": "pruned", "outcome": "pruned", "value": None}
    verdicts = with_verdicts(rows, lambda p: "stuck" if p["learning_rate"] > 0.1 else "converged")
    found = {a.facts["parameter"]: a for a in steps(spec, tables.trials(spec, rows), verdicts)}
    assert found["learning_rate"].facts["end"] == found["batch_size"].facts["end"] == "high"
    assert 0.05 < found["learning_rate"].facts["limit"] < 0.2
    assert 150 < found["batch_size"].facts["limit"] <= 200
    assert "were pruned; of the" in found["batch_size"].text
    assert found["batch_size"].commands == ()


def test_small_batches_that_cost_and_bring_nothing():
    """They take four times as long by prediction and are no better: told with both medians."""
    spec = spec_of(metric="log_loss")
    rows = searched(spec, lambda p: 1 - p["batch_size"] / 256, SAMPLERS["random"](0), 60)
    for each in rows:
        each["predicted_cost"] = 4.0 if each["params"]["batch_size"] < 110 else 1.0
    never = with_verdicts(rows, lambda p: "converged")
    (found,) = steps(spec, tables.trials(spec, rows), never)
    sizes = [row["params"]["batch_size"] for row in rows]
    small = [row["value"] for row in rows if row["params"]["batch_size"] <= found.facts["limit"]]
    assert found.facts["there"] == len(small) >= len(sizes) / 3
    assert found.facts["times"] == 4
    assert f"median log_loss is {np.median(small):.4g}" in found.text


def test_verdicts_by_chance_are_no_advice_about_steps():
    """Verdicts that do not depend on rates or batches: told in one of forty studies at most."""
    spec, told = spec_of(), 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        rows = searched(spec, lambda p, r=random: r.normal(), SAMPLERS["random"](seed), 60)
        kinds = ["still improving", "stuck", "converged"]
        verdicts = with_verdicts(rows, lambda p, r=random: r.choice(kinds))  # noqa: B023
        told += any(steps(spec, tables.trials(spec, rows), verdicts))
    assert told <= 1


@pytest.mark.parametrize(
    ("verdict", "space", "said"),
    [
        ("still improving", {}, "still improving after 9 epochs: longer trainings may be better"),
        ("overfitting", {}, "Try patience, dropout or weight_decay"),
        ("overfitting", {"dropout": {"low": 0.0, "high": 0.5}}, "Try dropout: more of it"),
        ("converged", {}, None),
    ],
)
def test_how_the_best_trainings_ended(verdict, space, said):
    """What most of the five best have in common with the winner; the others do not count."""
    spec = spec_of({**SPACE, **space})
    rows = values_of([i / 100 for i in range(40)])
    for each in rows:
        each["params"] |= {"dropout": 0.1} if space else {}
    best = {39, 38, 36}
    verdicts = pd.DataFrame(
        [(i, 0, verdict if i in best else "converged") for i in range(40)],
        columns=["trial", "replicate", "verdict"],
    )
    found = list(length(spec, tables.trials(spec, rows), verdicts))
    assert len(found) == (said is not None)
    for each in found:
        assert each.text.startswith("The winner, trial 39, and 2 of the 4 next to it")
        assert said in each.text
        assert (each.facts["there"], each.facts["best"]) == (3, 5)


@pytest.mark.parametrize(
    ("pruner", "noise", "said"),
    [
        (
            "none",
            0.05,
            "A pruner that lets the best third go on from there saves 59% of the epochs",
        ),
        ("none", 1.0, None),
        ("successive_halving", 10.0, "the order after epoch 1, the first rung, says little"),
        ("successive_halving", 0.05, None),
        ("median", 10.0, None),
    ],
)
def test_whether_a_rung_tells_the_best(pruner, noise, said):
    """A pruner is worth it where the order early is that of the end, and harms where it is not."""
    record = studyfile.to_json(spec_of(pruner=pruner))
    record["train"]["epochs"] = 81
    spec, random = studyfile.from_json(record), np.random.default_rng(0)
    rows = values_of(list(random.normal(size=200)))
    epochs = pd.DataFrame(
        [
            (row["number"], epoch, row["value"] + noise * random.normal())
            for row in rows
            for epoch in (1, 9)
        ],
        columns=["trial", "epoch", "validation_metric"],
    )
    found = list(pruning(spec, tables.trials(spec, rows), epochs))
    assert len(found) == (said is not None)
    assert all(said in each.text for each in found)


def noise_of(**changed):
    """The noise of ten trials that differ by 0.01, with seeds that make as much."""
    kept = {"standard_deviation": 0.01, "low": 0.008, "high": 0.012, "degrees": 30}
    kept |= {"source": "replicates", "is_bound": False, "trials": 40, "spread": 0.1, "top": 10}
    return Noise(**kept | {"top_spread": 0.01, "objective": "accuracy"} | changed)


@pytest.mark.parametrize(
    ("noise", "confirmed", "told"),
    [
        (noise_of(), None, True),
        (noise_of(), 3, False),
        (noise_of(standard_deviation=0.002), None, False),
    ],
)
def test_a_best_that_is_luck_is_to_be_confirmed(noise, confirmed, told):
    """Where seeds make what the best differ by; not where they were trained again already."""
    spec = spec_of()
    table = tables.trials(spec, [])
    found = advice(spec, table, noise=noise, leader=3, confirmed=confirmed)
    assert [each.about for each in found] == (["noise"] if told else [])
    for each in found:
        assert each.text == noise.text
        assert each.commands == ("sweep confirm known",)
        assert each.facts["top_share"] == 1
        assert each.record()["facts"]["source"] == "replicates"


def test_a_confirmed_winner_that_is_another_is_told():
    """Whoever reads on about the search's winner is to know."""
    (found,) = advice(
        spec_of(), tables.trials(spec_of(), []), noise=noise_of(), leader=3, confirmed=7
    )
    assert found.text.startswith("Trial 3 won the search; trained again on fresh seeds, trial 7 is")


def test_patience_keeps_the_best_epoch():
    """What overfits after its best epoch loses nothing by it, and nothing is said."""
    spec = spec_of({**SPACE, "patience": 3})
    rows = values_of([i / 100 for i in range(40)])
    verdicts = pd.DataFrame(
        [(i, 0, "overfitting") for i in range(40)], columns=["trial", "replicate", "verdict"]
    )
    assert list(length(spec, tables.trials(spec, rows), verdicts)) == []


def test_a_study_gathers_what_it_is_judged_by(tmp_path):
    """`Study.advice` is that of its tables: their verdicts, curves, importances and noise."""
    text = SMALL.replace("low = 1e-4, high = 1.0", "low = 1e-6, high = 1.0")
    spec = small(tmp_path, text, trials=80, pruner="none", sampler="random")
    study = finish(spec, tmp_path / "sweep.db")
    complete = study.trials.query("state == 'COMPLETE'")["number"]
    judged = steps(spec, study.trials, study.verdicts(complete.tolist()))
    found = {(each.about, each.text) for each in study.advice()}
    assert {("steps", each.text) for each in judged} == {f for f in found if f[0] == "steps"}
    assert any(about == "steps" for about, _ in found)
    low = next(a for a in study.advice() if a.about == "steps" and a.facts["end"] == "low")
    assert low.facts["parameter"] == "learning_rate"
    assert low.facts["limit"] < 1e-2

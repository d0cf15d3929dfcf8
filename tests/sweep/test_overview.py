"""How a study stands: the same figures as its tables, without them."""

from datetime import UTC, datetime, timedelta

import pytest

from sweep import overview as overviews
from sweep import studyfile
from sweep.cli.look import status
from sweep.overview import overview, spent_budget, told
from sweep.store import Store
from sweep.verdict import rank
from tests.sweep.studies import SMALL, finish, small, write


def test_the_same_as_the_tables(tmp_path):
    """State, counts and best are those of the study as it is loaded."""
    study = finish(small(tmp_path), tmp_path / "s.db")
    with Store(tmp_path / "s.db", read_only=True) as record:
        found = overview(record, "small")
    assert (found.state, found.counts) == (study.state, study.counts)
    assert found.diverged == 0
    assert (found.best, found.value) == (study.best.number, study.best.value)
    assert found.test == study.best.test
    assert found.begun == 24
    assert found.budget is study.budget is None
    assert found.left is None
    assert found.rate > 0


@pytest.mark.parametrize(
    ("counts", "diverged", "words"),
    [
        ({}, 0, ""),
        ({"complete": 1200, "pruned": 3}, 0, "1,200 complete, 3 pruned"),
        ({"pruned": 152, "failed": 1}, 9, "152 pruned (9 of them diverged), 1 failed"),
    ],
)
def test_counts_in_words(counts, diverged, words):
    """Only where some diverged is it said."""
    assert told(counts, diverged) == words


def test_no_trial_of_a_stopped_study_runs():
    """What was begun waits for the study to go on."""
    counts = {"running": 2, "complete": 1}
    assert told(counts, 0, "paused") == "2 running, 1 complete"
    assert told(counts, 0, "stopped") == "2 unfinished, 1 complete"


def test_what_is_asked_of_a_study_that_waits(tmp_path, capsys):
    """Its status tells it, and what to type, until the study has gone on."""
    path = tmp_path / "s.db"
    finish(small(tmp_path, trials=4), path)
    with Store(path) as store:
        assert overview(store, "small").asked == ()
        store.request("small", "extend", {"trials": 6})
        assert overview(store, "small").asked == ("extend",)
    status("small", str(path))
    found = capsys.readouterr().out
    assert "asked    extend: when the study goes on" in found
    assert "next     sweep resume small" in found
    finish(small(tmp_path, trials=6), path)
    status("small", str(path))
    assert "asked" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("limit", "budget"),
    [
        ("wall_time = 1e-9", "search.wall_time"),
        ("cpu_time = 1e-9", "search.cpu_time"),
        ("flops = 1e5", "search.flops"),
        ("flops = 1e15", None),
        ("wall_time = 1e6", None),
    ],
)
def test_which_budget_ended_a_study(tmp_path, limit, budget):
    """The budget that kept trials from beginning is named by its key, and no other."""
    text = f"{SMALL}{limit}\n"
    study = finish(studyfile.load(write(tmp_path, text)), tmp_path / "s.db")
    assert study.state == "complete"
    assert (study.budget, sum(study.counts.values()) < 24) == (budget, budget is not None)


def test_a_space_that_is_exhausted_is_no_budget(tmp_path):
    """A study that ran out of configurations is complete, whatever it might have spent."""
    text = '[data]\nsource = "sklearn:iris"\n[space]\nneurons = [2, 3]\n[train]\nepochs = 1\n'
    text += "[search]\ntrials = 9\nflops = 1e12\nsampler = 'random'\n"
    for more in ("", "sampler = 'grid'"):
        changed = text.replace("sampler = 'random'", more or "sampler = 'random'")
        folder = tmp_path / (more[-5:-1] or "random")
        folder.mkdir()
        study = finish(studyfile.load(write(folder, changed)), folder / "s.db")
        assert study.counts["complete"] == 2
        assert study.budget is None


def trial(number, outcome="finished", seconds=None, **columns):
    then = None if seconds is None else NOW + timedelta(seconds=seconds)
    return {"number": number, "outcome": outcome, "datetime_complete": then, **columns}


NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_refused_trials_count_towards_nothing(tmp_path):
    """Duplicates and networks that are too large are no trials of the limit."""
    rows = [trial(0), trial(1, "duplicate"), trial(2, "too_large"), trial(3, None)]
    assert [row["number"] for row in overviews.begun(rows)] == [0, 3]
    spec = small(tmp_path, trials=4)
    assert spent_budget(spec, rows, []) is None


def test_the_rate_is_of_the_last_session():
    """What earlier sessions did does not count, and before it is ready there is no rate."""
    trials = [trial(i, seconds=i) for i in range(10)]
    session = {"ready": NOW + timedelta(seconds=4.5), "ended": None}
    assert overviews._rate(trials, session, NOW + timedelta(seconds=9.5)) == 1.0
    assert overviews._rate(trials, session | {"ready": None}, NOW) is None
    assert overviews._rate(trials, session, NOW) is None


def test_equals_in_the_first_objective_go_by_the_further_ones(tmp_path):
    """So that the winner of several objectives is not beaten in all others by its equal."""
    text = SMALL.replace("[search]", '[search]\nobjectives = ["accuracy", "parameters"]')
    spec = small(tmp_path, text, pruner="none")
    small_one, large, better = ([0.9, 50.0], 7), ([0.9, 100.0], 2), ([0.95, 900.0], 9)
    ranked = sorted([large, small_one, better], key=lambda trial: rank(spec, *trial))
    assert ranked == [better, small_one, large]
    assert rank(spec, [0.9, 50.0], 1) < rank(spec, [0.9, 50.0], 2) < rank(spec, [0.99, 1.0], 0, [1])

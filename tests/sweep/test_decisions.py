"""The fold over virtual time, with reports from a formula instead of training."""

import json
import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep import decisions as fold
from sweep import studyfile
from sweep.backends import Report
from sweep.cost import Shape, flops, parameters, predicted_cost
from sweep.decisions import decisions, seeds
from sweep.pruners import rungs
from sweep.rows import Attempt, attempt_row, report_of
from sweep.search import History
from sweep.spec import StudySpec
from sweep.steps import Await, Begin, Close, Decide, Edit, Enqueue, Full, Promote, Submit, Turn
from tests.sweep.studies import small
from trainer import EpochRecord, TrainConfig

SHAPE = Shape(train_rows=90, validation_rows=30, n_inputs=4, n_outputs=3)


def reported(segment, *, diverges=False):
    """The report of a training that learns as its learning rate and seed say."""
    config, noise = segment.config, random.Random(segment.seed)
    best = 1 - abs(math.log10(config.learning_rate) + 2) / 4 + noise.uniform(-0.05, 0.05)
    records = tuple(
        EpochRecord(epoch, config.learning_rate, 1.0, 1.0, best * (1 - 0.5**epoch), 1.0, 0.01)
        for epoch in range(segment.start + 1, segment.until + 1)
    )
    return Report(records, "diverged" if diverges else "finished")


def take(spec, proposed=None, *, diverges=lambda segment: False, commands=None):
    """Every step of a study; `commands` are given at these steps."""
    steps = decisions(spec, SHAPE, proposed or {})
    taken, reply = [], None
    while True:
        try:
            step = steps.send(reply)
        except StopIteration:
            return taken
        taken.append(step)
        reply = None
        if isinstance(step, Await):
            reply = reported(step.segment, diverges=diverges(step.segment))
        elif isinstance(step, Turn):
            reply = (commands or {}).get(step.step)


def table(steps):
    """What the steps decided, as the record would have it."""
    return [
        (s.trial.number, tuple(s.trial.params.items()), s.epochs, s.state, s.value)
        for s in steps
        if isinstance(s, Decide)
    ]


@pytest.mark.parametrize("pruner", ["none", "median", "successive_halving", "hyperband"])
@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_every_trial_ends_once_and_no_worker_does_two_things(tmp_path, sampler, pruner):
    """For each sampler and pruner: all trials begin in order and end, on `workers` at a time."""
    spec = small(tmp_path, trials=40, sampler=sampler, pruner=pruner)
    running, ended, most = set(), [], 0
    for step in take(spec):
        if isinstance(step, Begin):
            running.add(step.trial.number)
            most = max(most, len(running))
        elif isinstance(step, Decide) and step.state not in ("running", "paused"):
            running.remove(step.trial.number)
            ended.append(step.trial.number)
    assert sorted(ended) == list(range(40))
    assert most == spec.search.workers
    assert not running


def test_pruning_happens_at_rungs_only(tmp_path):
    """Segments end at the rungs, and pruned trials among them stop below the last."""
    spec = small(tmp_path, trials=60, pruner="successive_halving")
    decided = [step for step in take(spec) if isinstance(step, Decide)]
    assert rungs(spec, 0) == (1, 3, 9)
    assert {step.epochs for step in decided} == {1, 3, 9}
    assert {step.epochs for step in decided if step.state == "pruned"} == {1, 3}
    assert {step.epochs for step in decided if step.state == "complete"} == {9}


def test_virtual_time_never_goes_back(tmp_path):
    """Decisions come in the order of virtual time, each at its segment's predicted end."""
    spec = small(tmp_path)
    times = [step.virtual_time for step in take(spec) if isinstance(step, Begin | Decide)]
    assert times == sorted(times)
    first = next(step for step in take(spec) if isinstance(step, Decide))
    cost = predicted_cost(first.trial.config, SHAPE, first.epochs)
    assert first.virtual_time == cost


def test_a_study_that_goes_on_decides_as_if_it_had_not_stopped(tmp_path):
    """Parameters recalled from the record lead to the same table as parameters proposed."""
    spec = small(tmp_path, trials=40)
    whole = take(spec)
    proposed = {s.trial.number: s.trial.params for s in whole if isinstance(s, Begin)}
    for begun in (0, 1, 17, 39, 40):
        known = {number: proposed[number] for number in range(begun)}
        assert table(take(spec, known)) == table(whole), f"after {begun} trials"


def test_a_shorter_study_is_a_prefix_of_a_longer_one(tmp_path):
    """Until its last trial begins, a study of 20 trials takes the steps of one of 40."""
    short, long = (take(small(tmp_path, trials=trials)) for trials in (20, 40))
    begun = [i for i, step in enumerate(short) if isinstance(step, Begin)]
    last = begun[-1]
    assert short[: last + 1] == long[: last + 1]
    assert sum(isinstance(step, Begin) for step in long[: last + 1]) == 20


def test_trials_that_diverge_teach_the_sampler_to_keep_away(tmp_path):
    """With rates above 0.03 diverging, TPE proposes them less often than random search does."""

    def high(steps):
        rates = [s.trial.config.learning_rate for s in steps if isinstance(s, Begin)]
        return sum(rate > 0.03 for rate in rates[20:])

    specs = [small(tmp_path, trials=80, sampler=name, pruner="none") for name in ("tpe", "random")]
    tpe, chance = (
        high(take(spec, diverges=lambda segment: segment.config.learning_rate > 0.03))
        for spec in specs
    )
    assert tpe < chance / 2, f"TPE proposed {tpe} of 60, random search {chance}"


def test_a_metric_that_is_not_finite_is_divergence(tmp_path):
    """A NaN where the metric should be ends the trial as diverged and without a value."""
    spec = small(tmp_path, trials=1)
    steps = decisions(spec, SHAPE, {})
    segment = next(step.segment for step in steps if isinstance(step, Await))
    record = EpochRecord(1, 0.1, 1.0, 1.0, math.nan, 1.0, 0.01)
    decided = steps.send(Report((record,)))
    assert (decided.state, decided.outcome, decided.value) == ("pruned", "diverged", None)
    assert segment.start == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_further_metric_that_is_not_finite_is_divergence(tmp_path, value):
    """In the run and in its replay from the record, whose JSON has neither NaN nor infinity."""
    raw = studyfile.to_json(small(tmp_path, trials=1, pruner="none"))
    raw["search"] |= {"constraints": {"log_loss": {"high": 1.0}}}
    steps = decisions(studyfile.from_json(raw), SHAPE, {})
    segment = next(step.segment for step in steps if isinstance(step, Await))
    assert segment.metrics == ("log_loss",)
    report = replace(reported(segment), metrics=(("log_loss", value),))
    row = attempt_row(segment, Attempt(1, 0.0, 0.0, 0.0, report, True), None)
    assert json.loads(json.dumps(row["metrics"], allow_nan=False)) == {"log_loss": None}
    for told in (report, report_of(row, report.records)):
        steps = decisions(studyfile.from_json(raw), SHAPE, {})
        next(step for step in steps if isinstance(step, Await))
        decided = steps.send(told)
        assert (decided.state, decided.outcome, decided.value) == ("pruned", "diverged", None)


def test_seeds_are_those_of_the_study_and_the_trial():
    """Every (study, trial) has its own pair of seeds, the same each time."""
    pairs = {seeds(study, trial) for study in range(20) for trial in range(50)}
    assert len(pairs) == 1000
    assert seeds(3, 4) == seeds(3, 4)


@given(
    layers=st.lists(st.integers(1, 300), max_size=4),
    batch_size=st.integers(1, 200),
    epochs=st.integers(1, 50),
)
def test_cost_grows_with_the_work(layers, batch_size, epochs):
    """Cost is positive, proportional to epochs, and larger with a layer more."""
    config = TrainConfig(neurons=tuple(layers), batch_size=batch_size)
    larger = TrainConfig(neurons=(*layers, 8), batch_size=batch_size)
    cost = predicted_cost(config, SHAPE, 1)
    assert cost > 0
    assert math.isclose(predicted_cost(config, SHAPE, epochs), epochs * cost)
    assert predicted_cost(larger, SHAPE, 1) > cost


@settings(max_examples=25, deadline=None)
@given(epochs=st.integers(1, 200), low=st.integers(1, 200), factor=st.integers(2, 6))
def test_rungs_rise_to_the_last_epoch(epochs, low, factor):
    """Rungs start at `min_epochs`, rise by the factor and end with the training."""
    spec = StudySpec.model_validate(
        {
            "name": "x",
            "data": {"source": "sklearn:iris"},
            "train": {"epochs": epochs},
            "search": {
                "pruner": "successive_halving",
                "min_epochs": min(low, epochs),
                "reduction_factor": factor,
            },
        }
    )
    found = rungs(spec, 0)
    assert list(found) == sorted(set(found))
    assert found[-1] == epochs
    assert found[0] == min(low, epochs)


def points(folder, rates, **search):
    """A study of as many configurations as there are learning rates, drawn at random."""
    raw = studyfile.to_json(small(folder, sampler="random", pruner="none"))
    raw["space"] = {"learning_rate": [0.1 / (i + 1) for i in range(rates)], "layers": 1}
    raw["search"] |= search
    return studyfile.from_json(raw)


def outcomes(steps):
    """Of each trial by number: `duplicate`, `too_large` or how it was trained."""
    ends = (s for s in steps if isinstance(s, Decide) and s.state not in ("running", "paused"))
    return [step.outcome for step in sorted(ends, key=lambda step: step.trial.number)]


def test_a_space_is_exhausted_after_a_hundred_duplicates_in_a_row(tmp_path):
    """Those between which something new came do not count."""
    found = outcomes(take(points(tmp_path, 50, trials=60)))
    last = max(i for i, outcome in enumerate(found) if outcome == "finished")
    assert found[last + 1 :] == ["duplicate"] * 100
    assert found[:last].count("duplicate") > 100, "or there is nothing to see"


def test_a_space_of_too_large_networks_is_given_up(tmp_path):
    """After a thousand of them; one that is as large as may be is trained."""
    spec = points(tmp_path, 2, repeats=True)
    size = int(parameters(take(spec)[0].trial.config, SHAPE))
    assert (
        outcomes(take(points(tmp_path, 2, repeats=True, max_parameters=size - 1)))
        == ["too_large"] * 1000
    )
    fits = points(tmp_path, 2, repeats=True, max_parameters=size)
    assert outcomes(take(fits)) == ["finished"] * 24


def test_an_edited_space_is_searched_anew(tmp_path):
    """One that was exhausted has new points after an edit, and trials are trained there."""
    raw = studyfile.to_json(points(tmp_path, 1))
    raw["space"] |= {"batch_size": {"low": 4, "high": 5}}
    edit = Edit({"batch_size": {"low": 4, "high": 64}})
    steps = take(studyfile.from_json(raw), commands={1: [edit]})
    sizes = [s.trial.config.batch_size for s in steps if isinstance(s, Decide) and s.epochs]
    assert len(sizes) == len(set(sizes)) == 24


def test_commands_take_effect_at_their_step(tmp_path):
    """What is enqueued is the next trial, though it was had before; a closed study begins none."""
    commands = {1: [Enqueue({"learning_rate": 0.1})], 2: [Close("enough")]}
    steps = take(points(tmp_path, 2, workers=2), commands=commands)
    first, second = (steps.index(Turn(step)) for step in (1, 2))
    begun = next(step for step in steps[first:] if isinstance(step, Begin))
    assert begun.trial.params["learning_rate"] == 0.1
    earlier = (s.trial.config for s in steps[:first] if isinstance(s, Begin))
    assert begun.trial.config in earlier
    number = begun.trial.number
    assert outcomes(steps)[number] == "finished"
    assert not any(isinstance(step, Begin) for step in steps[second:])


@pytest.mark.parametrize("replicates", [1, 2])
def test_a_budget_of_operations_is_of_all_replicates(tmp_path, replicates):
    """The last trial begins while something of it is left."""
    options = {"repeats": True, "replicates": replicates}
    each = replicates * flops(take(points(tmp_path, 1, **options))[0].trial.config, SHAPE)
    for budget, trials in ((3 * each, 3), (3 * each + 1, 4), (3 * each - 1, 3)):
        assert len(outcomes(take(points(tmp_path, 1, flops=budget, **options)))) == trials


@pytest.mark.parametrize("options", [{}, {"replicates": 2}, {"replicates": 2, "resample": "folds"}])
@pytest.mark.parametrize("pruner", ["promotion", "successive_halving"])
def test_segments_end_when_their_workers_are_through(tmp_path, pruner, options):
    """A stage of a trial takes its virtual worker its replicates' seconds; what is predicted of a
    segment is what bundles and checkpoints are made by."""
    spec = small(tmp_path, pruner=pruner, **options)
    begun, ends, seeds_ = {}, {}, set()
    for step in take(spec):
        if isinstance(step, Begin | Promote | Decide):
            trial = step.last.trial if isinstance(step, Promote) else step.trial
            if isinstance(step, Decide) and trial.number in ends:
                assert step.virtual_time == ends[trial.number]
            begun[trial.number] = step.virtual_time
        elif isinstance(step, Submit):
            segment = step.segment
            cost = predicted_cost(segment.config, SHAPE, segment.until - segment.start)
            assert segment.seconds == cost
            assert segment.fold == (segment.replicate if "resample" in options else 0)
            assert step.cost == predicted_cost(segment.config, SHAPE, segment.until)
            assert step.virtual_end == begun[segment.trial] + spec.search.replicates * cost
            ends[segment.trial] = step.virtual_end
            seeds_.add((segment.seed, segment.trial, segment.replicate))
    assert len({seed for seed, *_ in seeds_}) == len(seeds_) == 24 * spec.search.replicates


def test_what_stays_paused_is_pruned_in_the_end(tmp_path):
    """By number, at a step after all others, and no trial begins past the step that says so."""
    steps = take(small(tmp_path, pruner="promotion", trials=30))
    turns = [step.step for step in steps if isinstance(step, Turn)]
    last = max(i for i, step in enumerate(steps) if isinstance(step, Turn | Await))
    ends = [s for s in steps[last + 1 :] if isinstance(s, Decide) and s.outcome == "pruned"]
    numbers = [step.trial.number for step in ends]
    assert len(numbers) > 5
    assert numbers == sorted(numbers)
    assert {step.step for step in ends} == {turns[-1] + 1}
    times = [s.virtual_time for s in steps[:last] if isinstance(s, Begin | Promote | Decide)]
    assert times == sorted(times)
    (full,) = (i for i, step in enumerate(steps) if isinstance(step, Full))
    assert Turn(steps[full].step) == next(s for s in steps[full:] if isinstance(s, Turn))
    assert not any(isinstance(step, Begin) for step in steps[full:])


def test_what_the_sampler_is_told(tmp_path, monkeypatch):
    """Of a duplicate the value of its like, if that is known; of too large a network and one that
    diverged to keep away; of others what they came to, from rung to rung."""
    told, reports = {}, {}

    class Noted(History):
        def tell(self, number, state, values=None, violations=()):
            told[number] = state, values, violations
            super().tell(number, state, values, violations)

        def report(self, number, step, value):
            reports.setdefault(number, []).append(step)
            super().report(number, step, value)

    monkeypatch.setattr(fold, "History", Noted)
    raw = studyfile.to_json(points(tmp_path, 12, trials=40, pruner="successive_halving"))
    raw["search"] |= {"max_parameters": 120, "constraints": {"parameters": {"high": 60}}}
    raw["space"]["neurons"] = [4, 8, 40]
    spec = studyfile.from_json(raw)
    steps = take(spec, diverges=lambda segment: segment.config.learning_rate == 0.1)
    first, seen = {}, set()
    for step in steps:
        if not isinstance(step, Decide) or step.state in ("running", "paused"):
            continue
        number = step.trial.number
        state, values, violations = told[number]
        seen.add((step.outcome, state))
        if step.outcome == "duplicate":
            known = first.get(step.trial.config)
            assert (state, values) == (("complete", known) if known else ("failed", None))
        elif step.outcome == "too_large":
            assert (state, values) == ("pruned", None)
        elif step.outcome == "diverged":
            assert (state, values) == ("diverged", None)
        elif step.outcome == "pruned":
            assert (state, reports[number][-1]) == ("pruned", step.epochs)
        else:
            assert (state, values, violations) == ("complete", (step.value,), step.violations)
            assert violations == (max(0.0, parameters(step.trial.config, SHAPE) - 60),)
            first[step.trial.config] = values
    assert {outcome for outcome, _ in seen} == {
        *("duplicate", "too_large", "diverged", "pruned", "finished")
    }
    assert {("duplicate", "complete"), ("duplicate", "failed")} <= seen


def test_replicates_one_after_the_other_end_where_a_trial_is_surely_worse(tmp_path):
    """The best trial so far is what the others are compared with."""
    spec = small(tmp_path, pruner="wilcoxon", replicates=8, trials=30)
    ends = outcomes(take(spec))
    assert {"pruned", "finished"} == set(ends)

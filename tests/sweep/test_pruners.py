"""Pruners: Optuna's own decide the same; promotion against algorithm 2 written out."""

import math
import random
import warnings

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState

from sweep import studyfile
from sweep.pruners import Promotion, bracket, pruner, rungs

optuna.logging.set_verbosity(optuna.logging.ERROR)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ExperimentalWarning)
    REFERENCES = {
        "none": lambda search: optuna.pruners.NopPruner(),
        "median": lambda search: optuna.pruners.MedianPruner(),
        "percentile": lambda search: optuna.pruners.PercentilePruner(search.percentile),
        "patience": lambda search: optuna.pruners.PatientPruner(None, search.patience - 1),
        "successive_halving": lambda search: optuna.pruners.SuccessiveHalvingPruner(
            min_resource=search.min_epochs, reduction_factor=search.reduction_factor
        ),
        "hyperband": lambda search: optuna.pruners.HyperbandPruner(
            min_resource=search.min_epochs,
            max_resource=EPOCHS,
            reduction_factor=search.reduction_factor,
        ),
        "wilcoxon": lambda search: optuna.pruners.WilcoxonPruner(p_threshold=search.p_threshold),
    }
EPOCHS = 30


def spec(metric="accuracy", epochs=EPOCHS, **search):
    return studyfile.from_json(
        {
            "name": "x",
            "data": {"source": "sklearn:iris"},
            "train": {"epochs": epochs, "metric": metric},
            "search": search,
        }
    )


def course(study, number, kind):
    """A trial's values at the steps at which it is judged; coarse ones are often equal."""
    draw = random.Random(number)
    if study.search.pruner == "wilcoxon":
        steps = range(1, study.search.replicates + 1)
    else:
        steps = rungs(study, number)
    level = draw.random()
    for step in steps:
        value = level * (1 - 0.7**step) + draw.uniform(-0.2, 0.2)
        yield step, round(value * 8) / 8 if kind == "coarse" else value


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("kind", ["fine", "coarse"])
@pytest.mark.parametrize("metric", ["accuracy", "log_loss"])
@pytest.mark.parametrize(
    "search",
    [
        {"pruner": "none"},
        {"pruner": "median"},
        {"pruner": "percentile", "percentile": 25.0},
        {"pruner": "percentile", "percentile": 70.0, "min_epochs": 2, "reduction_factor": 2},
        {"pruner": "patience", "patience": 1, "min_epochs": 4},
        {"pruner": "patience", "patience": 3},
        {"pruner": "successive_halving"},
        {"pruner": "successive_halving", "min_epochs": 2, "reduction_factor": 2},
        {"pruner": "hyperband"},
        {"pruner": "hyperband", "min_epochs": 3, "reduction_factor": 2},
        {"pruner": "wilcoxon", "replicates": 8},
        {"pruner": "wilcoxon", "replicates": 5, "p_threshold": 0.2},
    ],
    ids=lambda search: "-".join(map(str, search.values())),
)
def test_as_optuna(search, metric, kind):
    """Each judgement on 150 trials, eight at a time, is Optuna's for the same reports."""
    study = spec(metric, **search)
    ours = pruner(study)
    theirs = optuna.create_study(
        study_name="sweep",
        direction="maximize" if metric == "accuracy" else "minimize",
        pruner=REFERENCES[search["pruner"]](study.search),
    )
    running, judgements, order = [], [], random.Random(5)
    for number in range(150):
        running.append((number, theirs.ask(), course(study, number, kind), []))
        while len(running) == 8 or (number == 149 and running):
            work = running.pop(order.randrange(len(running)))
            number_, asked, steps, values = work
            step, value = next(steps)
            asked.report(value, step)
            values.append(value)
            ends = step == (study.search.replicates if search["pruner"] == "wilcoxon" else EPOCHS)
            if ends:
                whole = math.fsum(values) / len(values)
                told = whole if search["pruner"] == "wilcoxon" else value
                theirs.tell(asked, told)
                ours.end(number_, "complete", told)
            elif number_ % 10 == 9:  # it fails in its second segment
                theirs.tell(asked, state=TrialState.FAIL)
                ours.end(number_, "failed", None)
            else:
                goes_on = ours.judge(number_, step, value)
                assert goes_on != asked.should_prune()
                judgements.append(goes_on)
                if goes_on:
                    running.append(work)
                else:
                    theirs.tell(asked, state=TrialState.PRUNED)
                    ours.end(number_, "pruned", value)
    if search["pruner"] != "none":
        assert len(set(judgements)) == 2


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({"pruner": "none"}, (30,)),
        ({"pruner": "wilcoxon", "replicates": 5}, (30,)),
        ({"pruner": "median"}, (1, 3, 9, 27, 30)),
        ({"pruner": "successive_halving", "min_epochs": 30}, (30,)),
        ({"pruner": "promotion", "min_epochs": 2, "reduction_factor": 4}, (2, 8, 30)),
        ({"pruner": "patience", "min_epochs": 7}, (7, 14, 21, 28, 30)),
        ({"pruner": "patience", "min_epochs": 10}, (10, 20, 30)),
    ],
)
def test_rungs(search, expected):
    """Powers of the factor, equal steps for patience, and always the end."""
    assert rungs(spec(**search), 0) == expected
    assert pruner(spec(**search)).rungs(0) == expected


@settings(max_examples=50, deadline=None)
@given(epochs=st.integers(1, 1500), low=st.integers(1, 1500), factor=st.integers(2, 12))
def test_brackets_are_optuna_s(epochs, low, factor):
    """A trial's Hyperband bracket is the one that Optuna draws, and its rungs begin there."""
    low = min(low, epochs)
    study = spec(epochs=epochs, pruner="hyperband", min_epochs=low, reduction_factor=factor)
    theirs = optuna.pruners.HyperbandPruner(low, epochs, factor)
    reference = optuna.create_study(study_name="sweep", pruner=theirs)
    theirs._try_initialization(reference)
    for number in range(20):
        trial = optuna.trial.create_trial(value=0.0)
        trial.number = number
        assert bracket(study, number) == theirs._get_bracket_id(reference, trial)
        found = rungs(study, number)
        assert list(found) == sorted(set(found))
        assert found[-1] == epochs
        assert found[0] == min(low * factor ** bracket(study, number), epochs)


class AlgorithmTwo:
    """`get_job` of Li et al. 2020, algorithm 2, as it is printed there."""

    def __init__(self, steps, factor):
        self.steps, self.factor = steps, factor
        self.reached = {rung: {} for rung in steps}
        self.promoted = {rung: set() for rung in steps}

    def next_promotion(self):
        for place in reversed(range(len(self.steps) - 1)):
            rung = self.steps[place]
            reached = self.reached[rung]
            ranked = sorted(reached, key=lambda number: (-reached[number], number))
            candidates = ranked[: len(reached) // self.factor]
            for number in candidates:
                if number not in self.promoted[rung]:
                    self.promoted[rung].add(number)
                    return number, self.steps[place + 1]
        return None


@settings(deadline=None)
@given(st.integers(2, 4), st.lists(st.integers(0, 9), min_size=1, max_size=80), st.data())
def test_promotion(factor, values, data):
    """Whatever is reached in whatever order: algorithm 2's promotions, each of a trial that is then
    in the best share of its rung, and those in it are all promoted."""
    study = spec(pruner="promotion", reduction_factor=factor)
    ours, theirs = Promotion(study), AlgorithmTwo(rungs(study, 0), factor)
    running = []
    for number, value in enumerate(values):
        running.append((number, theirs.steps[0], value))
        number_, rung, value_ = running.pop(data.draw(st.integers(0, len(running) - 1)))
        if rung != EPOCHS:
            assert not ours.judge(number_, rung, value_)
            theirs.reached[rung][number_] = value_
        while (found := ours.next_promotion()) is not None:
            assert found == theirs.next_promotion()
            number_, after = found
            reached = theirs.reached[theirs.steps[theirs.steps.index(after) - 1]]
            better = sum(other > reached[number_] for other in reached.values())
            assert better < len(reached) // factor
            running.append((number_, after, values[number_] + after % 2))
        assert theirs.next_promotion() is None
    for rung in theirs.steps[:-1]:
        share = len(theirs.reached[rung]) // factor
        assert share <= len(theirs.promoted[rung]) <= len(theirs.reached[rung])


def test_a_paused_trial_rises():
    """A trial that was not among the best at first is promoted once enough are worse; of equals
    the one begun first; and one that was killed while it paused never."""
    ours = Promotion(spec(pruner="promotion"))
    for number, value in enumerate([0.5, 0.5, 0.4]):
        ours.record(number, 1, value)
    assert ours.next_promotion() == (0, 3)
    assert ours.next_promotion() is None
    for number in range(3, 6):
        ours.record(number, 1, 0.3)
    assert ours.next_promotion() == (1, 3)
    ours.end(2, "failed", None)
    for number in range(6, 9):
        ours.record(number, 1, 0.1)
    assert ours.next_promotion() is None, "the third best was killed; it keeps its place"
    ours.record(0, 3, 0.9)
    ours.record(1, 3, 0.8)
    for number in range(9, 12):
        ours.record(number, 1, 0.1)
    assert ours.next_promotion() == (3, 3)
    ours.record(3, 3, 0.1)
    assert ours.next_promotion() == (0, 9), "the highest rung comes first"

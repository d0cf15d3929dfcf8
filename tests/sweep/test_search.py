"""The history: the same calls give the same parameters, also after a resume or an edit."""

import random
import warnings
from importlib.util import find_spec

import numpy as np
import optuna
import pytest
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import TrialState

from sweep import studyfile
from sweep.errors import StudyChanged, StudyFileError
from sweep.search import History
from sweep.space import configuration, distributions, edit, settings
from sweep.spec import SAMPLERS

SPACE = {
    "layers": {"low": 0, "high": 2},
    "neurons": {"low": 2, "high": 16, "log": True},
    "activation": ["relu", "tanh"],
    "optimizer": ["sgd", "momentum", "adam"],
    "learning_rate": {"low": 1e-4, "high": 1.0, "log": True},
    "momentum": {"low": 0.1, "high": 0.9},
    "l2": {"low": 0.0, "high": 0.3, "step": 0.1},
}
GRID = SPACE | {"learning_rate": [0.001, 0.01, 0.1], "momentum": [0.5, 0.9], "neurons": [2, 4, 8]}
FEW = {name: SPACE[name] for name in ("learning_rate", "activation")}
"""What a Gaussian process goes through fast enough."""

gp = pytest.param(
    "gp",
    marks=pytest.mark.skipif(
        None in (find_spec("torch"), find_spec("greenlet")), reason="needs the extra gp"
    ),
)
MODELS = ["tpe", "cma_es", "nsga2", gp]
ALL = ["random", "quasi_random", "grid", *MODELS]


def spec(sampler, space=None, **search):
    space = space or {"grid": GRID, "gp": FEW}.get(sampler, SPACE)
    return studyfile.from_json(
        {
            "name": "x",
            "data": {"source": "sklearn:iris"},
            "space": space,
            "search": {"sampler": sampler, "pruner": "none", **search},
        }
    )


def small(history):
    """With the populations small enough for 40 trials to be several generations."""
    sampler = getattr(history._model, "_sampler", None)
    if isinstance(sampler, optuna.samplers.NSGAIISampler):
        sampler.population_size = 6


def loss(params):
    """The lower the nearer the learning rate is to 0.01; some noise that the parameters decide."""
    noise = random.Random(repr(sorted(params.items()))).random()
    return abs(np.log10(params.get("learning_rate", 0.01)) + 2) + 0.1 * noise


class Run:
    """Trials in flight on four workers, that end in a shuffled order in every way there is."""

    def __init__(self, study, known=(), workers=4):
        self.study, self.known, self.workers = study, known, workers
        self.history = History(study)
        self.space = study.space
        self.asked, self.flying = [], []

    def begin(self, **more):
        number = len(self.asked)
        known = self.known[number] if number < len(self.known) else None
        params = self.history.ask(number, self.space, 100 + number, known=known, **more)
        small(self.history)
        self.asked.append(params)
        self.flying.append(number)
        if len(self.flying) == self.workers:
            self.end(self.flying.pop(random.Random(number).randrange(self.workers)))
        return params

    def end(self, number):
        value = loss(self.asked[number])
        values = [value, -value][: len(self.study.objectives)]
        violations = [max(0.0, value - 1)] if self.study.search.constraints else []
        match number % 10:
            case 3:
                self.history.report(number, 1, value)
                self.history.tell(number, "diverged")
            case 5:
                self.history.tell(number, "failed")
            case 6 | 7 if len(values) == 1:
                self.history.report(number, 1, value + 1)
                self.history.report(number, 3, value)
                self.history.tell(number, "pruned")
            case _:
                self.history.report(number, 1, value)
                self.history.tell(number, "complete", values, violations)


def run(study, trials, known=(), edits=None, fixed=None):
    """The parameters of so many trials; at the numbers in `edits` the space changes."""
    going = Run(study, known)
    for number in range(trials):
        if edits and number in edits:
            going.space = edit(going.space, edits[number])
        going.begin(fixed=(fixed or {}).get(number))
    return going.asked


def trials(sampler):
    return 16 if sampler == "gp" else 40


def test_every_sampler_is_tested():
    """None is left out here."""
    assert set(SAMPLERS) == {"random", "quasi_random", "grid", "tpe", "cma_es", "nsga2", "gp"}


@pytest.mark.parametrize("sampler", ALL)
def test_resume(sampler):
    """Cut anywhere, with three trials in flight, and rebuilt from the record: the same goes on."""
    study, count = spec(sampler), trials(sampler)
    whole = run(study, count)
    assert len({configuration(study.space, params) for params in whole}) > 0.8 * count
    for cut in (1, 4, count // 2, count - 5, count - 1):
        assert run(study, count, known=whole[:cut]) == whole


@pytest.mark.parametrize("sampler", ALL)
def test_resume_after_edits_and_additions(sampler):
    """The same where the space was narrowed, extended and frozen on the way, and trials were
    enqueued by hand."""
    study, count = spec(sampler), trials(sampler)
    edits = {
        5: {"activation": "tanh"},
        count // 2: {"learning_rate": {"low": 1e-3, "high": 10.0, "log": True}},
        count - 4: {"learning_rate": 0.02},
    }
    if sampler == "grid":
        edits = {5: {"activation": "tanh"}, 20: {"learning_rate": 0.01}}
    fixed = {3: {"activation": "relu"}, count - 6: {"learning_rate": 0.01}}
    whole = run(study, count, edits=edits, fixed=fixed)
    for cut in (4, count // 2 - 1, count // 2 + 2, count - 2):
        assert run(study, count, known=whole[:cut], edits=edits, fixed=fixed) == whole


@pytest.mark.parametrize("sampler", ALL)
def test_edits(sampler):
    """After an edit every proposal lies in the new space, and a frozen parameter stays in it."""
    going = Run(spec(sampler))
    count = trials(sampler)
    for number in range(count):
        if number == count // 2:
            low = [0.01] if sampler == "grid" else {"low": 0.005, "high": 0.05, "log": True}
            changes = {"learning_rate": low, "activation": "tanh"}
            if "layers" in dict(SPACE if sampler != "gp" else FEW):
                changes["layers"] = {"low": 1, "high": 3}
            going.space = edit(going.space, changes)
        params = going.begin()
        searched = distributions(going.space)
        assert searched.keys() <= params.keys()
        for name, entry in searched.items():
            assert entry._contains(entry.to_internal_repr(params[name]))
        if number >= count // 2:
            assert params["activation"] == "tanh"
            assert 0.005 <= params["learning_rate"] <= 0.05
        settings(going.space, params)


@pytest.mark.parametrize("several", [False, True])
def test_tpe_is_optuna_s(several):
    """TPE's proposals are those of a plain Optuna study with a new sampler for each trial, whose
    trials have one name more and end alike."""
    search = {"objectives": ["accuracy", "parameters"]} if several else {}
    study = spec("tpe", **search)
    going = Run(study)
    reference = optuna.create_study(
        directions=["maximize", "minimize"] if several else ["maximize"]
    )
    asked = []
    history, searched = going.history, distributions(study.space)
    for number in range(40):
        reference.sampler = TPESampler(seed=number)
        trial = reference.ask(searched)
        asked.append(trial)
        assert history.ask(number, study.space, number) == trial.params
        if number % 3:
            continue
        for ended in range(max(number - 5, 0), max(number - 2, 0)):
            value = loss(asked[ended].params)
            values = [value, -value] if several else [value]
            if ended % 4 == 3 and not several:
                asked[ended].report(value, 3)
                reference.tell(asked[ended], state=TrialState.PRUNED)
                history.report(ended, 3, value)
                history.tell(ended, "pruned")
            else:
                reference.tell(asked[ended], values)
                history.tell(ended, "complete", values)


def test_random_is_optuna_s():
    """Random proposals are those of Optuna's sampler with the trial's seed."""
    study = spec("random")
    history = History(study)
    for number in range(5):
        reference = optuna.create_study(sampler=RandomSampler(seed=number))
        assert (
            history.ask(number, study.space, number)
            == reference.ask(distributions(study.space)).params
        )


@pytest.mark.parametrize("sampler", ["cma_es", "nsga2"])
def test_a_record_that_the_sampler_does_not_repeat(sampler):
    """Samplers that keep a population refuse to go on from other parameters than theirs."""
    study = spec(sampler)
    known = run(study, 20)
    known[15] = known[15] | {"learning_rate": 0.5}
    with pytest.raises(StudyChanged, match=r"trial 15 .* learning_rate = 0.5 in the record"):
        run(study, 20, known=known)


@pytest.mark.parametrize("sampler", ALL)
def test_fixed(sampler):
    """What is enqueued by hand replaces what is proposed, some or all of it."""
    study = spec(sampler)
    rate = {"learning_rate": 0.01}
    going = Run(study)
    for _ in range(6):
        going.begin()
    assert going.begin(fixed=rate)["learning_rate"] == 0.01
    whole = going.asked[0]
    assert going.begin(fixed=whole) == whole


@pytest.mark.parametrize("sampler", MODELS)
def test_diverged_trials_are_kept_away_from(sampler):
    """Every sampler that learns learns from divergence, also where it had reports before."""
    study, away = spec(sampler, FEW), []
    history = History(study)
    for number in range(40 if sampler == "gp" else 120):
        rate = history.ask(number, study.space, number)["learning_rate"]
        small(history)
        history.report(number, 1, 0.9)
        if rate > 0.03:
            history.tell(number, "diverged")
        else:
            history.tell(number, "complete", [0.5 + random.Random(number).random()])
        away.append(rate > 0.03)
    late = away[len(away) // 2 :]
    assert sum(late) / len(late) < 0.2, "at random it would be 0.38"


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", gp])
def test_constraints(sampler):
    """Feasible trials are preferred, though infeasible ones have the better values."""
    study = spec(sampler, FEW, constraints={"loss": {"high": 1.0}})
    history, late = History(study), []
    count = 30 if sampler == "gp" else 120
    for number in range(count):
        rate = history.ask(number, study.space, number)["learning_rate"]
        small(history)
        value = 2.0 if rate > 0.01 else random.Random(number).random()
        history.tell(number, "complete", [value], [max(0.0, np.log10(rate) + 2)])
        late.append(rate > 0.01)
    late = late[count // 2 :]
    assert sum(late) / len(late) < 0.3, "at random it would be 0.5"


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_several_objectives_resume(sampler):
    """Several objectives and a constraint: cut anywhere, the same goes on."""
    study = spec(
        sampler, objectives=["accuracy", "parameters"], constraints={"loss": {"high": 1.0}}
    )
    whole = run(study, 40)
    for cut in (7, 25, 36):
        assert run(study, 40, known=whole[:cut]) == whole


@pytest.mark.parametrize("sampler", MODELS)
def test_warm_start(sampler):
    """A study that knows another one's trials begins where they were good; those that are not in
    its space are left out."""
    study = spec(sampler, FEW)
    warm, cold = History(study), History(study)
    for number in range(60):
        rate = 10 ** (-4 + 4 * number / 59)
        params = {"learning_rate": rate, "activation": "relu", "layers": 7}
        warm.add(params, [-loss(params)])
        warm.add({"learning_rate": rate, "activation": "swish"}, [1.0])
        warm.add({"learning_rate": 5.0, "activation": "tanh"}, [1.0])

    def distance(history):
        found = []
        for number in range(8):
            rate = history.ask(number, study.space, number)["learning_rate"]
            found.append(abs(np.log10(rate) + 2))
        return np.mean(found)

    assert distance(warm) < distance(cold) / 1.2


def test_a_grid_goes_through_every_configuration_once():
    """Each once, in an order of the seed's, those that were enqueued by hand not again."""
    study = spec("grid", {"layers": [0, 1, 2], "neurons": [2, 4], "optimizer": ["sgd", "momentum"]})
    history, seen = History(study), []
    while not history.exhausted(study.space):
        fixed = {"layers": 2, "neurons_1": 4, "neurons_2": 2} if not seen else None
        params = history.ask(len(seen), study.space, 0, fixed=fixed)
        seen.append(configuration(study.space, params))
    assert len(seen) == len(set(seen)) == 2 * (1 + 2 + 4)
    assert run(study, 14) != run(
        studyfile.from_json(studyfile.to_json(study) | {"search": {"sampler": "grid", "seed": 1}}),
        14,
    )


def test_an_edited_grid():
    """A grid that is frozen on the way goes through what is left; no other is ever exhausted."""
    study = spec("grid", {"activation": ["relu", "tanh"], "learning_rate": [0.1, 0.2, 0.3]})
    going = Run(study)
    first = going.begin()
    going.space = edit(going.space, {"activation": first["activation"]})
    rates = {first["learning_rate"]}
    while not going.history.exhausted(going.space):
        rates.add(going.begin()["learning_rate"])
    assert len(going.asked) == 3
    assert rates == {0.1, 0.2, 0.3}
    assert not History(spec("random")).exhausted(study.space)


def test_a_grid_without_end_is_refused():
    """A grid of too many points is refused before its first trial."""
    study = spec("grid", {"layers": 40, "neurons": {"low": 1, "high": 9}})
    with pytest.raises(StudyFileError, match=r"more than 100000 configurations"):
        History(study).exhausted(study.space)


@pytest.mark.parametrize("sampler", ALL)
def test_nothing_to_search(sampler):
    """A space that is frozen altogether has one configuration, which every trial has."""
    going = Run(spec(sampler, {"optimizer": ["sgd", "adam"]}))
    going.begin()
    going.space = edit(going.space, {"optimizer": "sgd"})
    assert [going.begin() for _ in range(20)] == [{"optimizer": "sgd"}] * 20


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed")
def test_a_gaussian_process_needs_its_extra():
    """Without PyTorch the error names what to install."""
    with pytest.raises(StudyFileError, match=r"pip install 'sweep\[gp\]'"):
        History(spec("gp"))


def test_no_warnings_of_optuna():
    """What Optuna would warn of, experimental options and independent draws, is our own choice."""
    for sampler in ("tpe", "cma_es", "nsga2"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            run(spec(sampler, constraints={"loss": {"high": 1.0}}), 20)

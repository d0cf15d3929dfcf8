"""The plan of a study: what it says is what then comes."""

import tomllib
from dataclasses import replace

import pytest

from sweep import datasets, studyfile
from sweep.errors import StudyFileError
from sweep.plan import SAMPLE, VECTORS, WORKER, plan
from sweep.pruners import rungs
from sweep.results import load
from sweep.spec import StudySpec
from tests.sweep.studies import SMALL, finish, small, write

CASES = {
    "hyperband": "",
    "successive halving": 'pruner = "successive_halving"',
    "promotion": 'pruner = "promotion"',
    "median": 'pruner = "median"',
    "nothing pruned": 'pruner = "none"',
    "few trials": "max_parameters = 100",
    "one after the other": 'pruner = "wilcoxon"\nreplicates = 3',
    "several objectives": 'sampler = "nsga2"\npruner = "none"\nobjectives = ["accuracy", "flops"]',
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_planned_comes(tmp_path, case):
    """The first trials of a study are those of its plan, at the costs that it predicted."""
    text = SMALL.replace("workers = 4", f"workers = 5\n{CASES[case]}")
    spec = studyfile.load(write(tmp_path, text))
    found = plan(spec)
    study = finish(spec, tmp_path / "s.db")
    trials = study.trials.set_index("number")
    for first in found.first:
        for name, value in first.params.items():
            if not trials.isna().loc[first.number, f"params_{name}"]:
                assert trials.loc[first.number, f"params_{name}"] == value
        assert trials.loc[first.number, "predicted_cost"] == first.predicted_cost
    assert 0 <= found.least <= 1
    assert (found.least == 1) == ('pruner = "none"' in text)
    assert found.record()["least_seconds"] <= found.record()["most_seconds"]


def test_constants_cost_what_they_cost(tmp_path):
    """Where there is one configuration, the mean over the space is its own cost."""
    spec = small(tmp_path).model_copy(update={"space": StudySpec.model_fields["space"].default})
    found = plan(spec)
    assert found.seconds == pytest.approx(found.first[0].predicted_cost, rel=1e-12)


def test_the_trials_of_another_study(tmp_path):
    """A plan with a warm start proposes what the study will, from the store that it will have."""
    finish(studyfile.with_name(small(tmp_path), "old"), tmp_path / "s.db")
    write(tmp_path, SMALL + 'warm_start = "old"\n')
    spec = studyfile.load(tmp_path, ['name="new"', "search.trials=6"])
    found = plan(spec, str(tmp_path / "s.db"))
    finish(spec, tmp_path / "s.db")
    trials = load("new", tmp_path / "s.db").trials.set_index("number")
    assert [first.predicted_cost for first in found.first] == list(trials["predicted_cost"][:5])
    cold = spec.model_copy(update={"search": spec.search.model_copy(update={"warm_start": None})})
    assert found.first != plan(cold).first


def test_a_trainer_of_the_users_own(tmp_path):
    """Of it no operations and no bytes are known, and its code is not run."""
    text = '[data]\nsource = "sklearn:iris"\n[space]\nrate = { low = 0.1, high = 1.0 }\n'
    text += '[train]\nfunction = "no.such:train"\nepochs = 3\n'
    found = plan(studyfile.load(write(tmp_path, text)))
    assert found.flops is None
    assert found.record()["most_flops"] is None
    assert found.seconds == 3.0


def test_operations_are_of_all_replicates(tmp_path):
    """A study with replicates takes as many times the operations, seconds and no more memory."""
    one, three = (plan(small(tmp_path, replicates=n)) for n in (1, 3))
    assert three.flops == pytest.approx(3 * one.flops)
    assert three.seconds == pytest.approx(3 * one.seconds)
    assert three.worker_bytes == one.worker_bytes
    assert SAMPLE >= 64


def test_the_question_in_full(tmp_path):
    """The study file that a plan writes out asks the same question as the file it was made from."""
    spec = small(tmp_path)
    text = studyfile.to_toml(spec)
    file = tmp_path / "full.toml"
    file.write_text(text)
    assert studyfile.load(file) == spec
    assert tomllib.loads(text)["search"]["workers"] == 4
    assert replace(plan(spec)).spec == spec


def test_what_was_found_for_keys_without_a_value(tmp_path):
    """Comments say what they are for these rows, or that they are none; the file asks the same."""
    rows = "".join(f"{i};{i % 7};{'no' if i % 3 else 'yes'};{i / 2}\n" for i in range(150))
    (tmp_path / "rows.csv").write_text(f"a;b;c;d\n{rows}")
    for target, said in {
        "c": ["task: classification", "split: stratified", "positive: yes", "target_scaling: none"],
        "d": ["task: regression", "split: random", "positive: none", "target_scaling: standard"],
    }.items():
        text = SMALL.replace('"sklearn:iris"', f'"rows.csv"\ntarget = "{target}"')
        metric = "rmse" if target == "d" else "accuracy"
        loss = "mean_squared" if target == "d" else "softmax_cross_entropy"
        text = text.replace("[space]", f'[space]\nloss = "{loss}"')
        text = text.replace("epochs = 9", f'epochs = 9\nmetric = "{metric}"')
        spec = studyfile.load(write(tmp_path, text))
        whole = studyfile.to_toml(spec, plan(spec).found)
        for line in (*said, "delimiter: ';'", "wall_time: none"):
            assert f"\n# {line}\n" in whole
        (tmp_path / "full.toml").write_text(whole)
        assert studyfile.load(tmp_path / "full.toml") == spec
    given = spec.model_copy(update={"data": spec.data.model_copy(update={"split": "random"})})
    assert '\nsplit = "random"\n' in studyfile.to_toml(given, plan(given).found)


SHARES = {
    # 1 epoch, of a third 2 more and of a ninth 6 more; hyperband's other brackets begin later
    "successive_halving": (((1, 3, 9),), (1 + 2 / 3 + 6 / 9) / 9),
    "promotion": (((1, 3, 9),), (1 + 2 / 3 + 6 / 9) / 9),
    "hyperband": (((1, 3, 9), (3, 9), (9,)), None),
    "none": (((9,),), 1.0),
    "median": (((1, 3, 9),), 0.0),
    "wilcoxon": ((), 0.0),
}


@pytest.mark.parametrize("pruner", SHARES)
def test_the_least_that_is_trained(tmp_path, pruner):
    """The epochs of each rung, of ever fewer trials; of hyperband's as they are shared out."""
    brackets, share = SHARES[pruner]
    spec = small(tmp_path, pruner=pruner, replicates=3 if pruner == "wilcoxon" else 1)
    found = plan(spec)
    assert found.rungs == brackets
    if share is None:
        shares = {(1, 3, 9): (1 + 2 / 3 + 6 / 9) / 9, (3, 9): (3 + 6 / 3) / 9, (9,): 1.0}
        share = sum(shares[rungs(spec, number)] for number in range(24)) / 24
    assert found.least == pytest.approx(share)
    record = found.record()
    assert record["most_seconds"] == 24 * found.seconds
    assert record["least_seconds"] == pytest.approx(share * 24 * found.seconds)
    assert record["most_flops"] == 24 * found.flops


def test_bytes_by_hand(tmp_path):
    """Of every fold's rows; of the largest network its vectors, and a batch in each layer."""
    text = SMALL.replace("[space]", '[space]\ndtype = "float64"')
    text = text.replace("neurons = { low = 2, high = 16, log = true }", "neurons = [2, 16]")
    text = text.replace("layers = { low = 0, high = 2 }", "layers = 1")
    text = text.replace("batch_size = { low = 4, high = 64, log = true }", "batch_size = 32")
    whole, folds = (
        small(tmp_path, text, pruner="none", **options)
        for options in ({}, {"replicates": 3, "resample": "folds"})
    )
    for spec in (whole, folds):
        arrays = [
            array
            for dataset, _ in datasets.load_study(spec)[0]
            for split in (dataset.train, dataset.validation)
            for array in (split.x, split.y)
        ]
        assert plan(spec).data_bytes == sum(array.nbytes for array in arrays)
    found = plan(whole)
    parameters = 5 * 16 + 17 * 3
    numbers = VECTORS * parameters + 32 * (4 + 3 * (16 + 3))
    assert found.worker_bytes == WORKER + 8 * numbers
    dataset, _ = datasets.load(whole.data)
    assert found.record()["data"] == {
        "train_rows": len(dataset.train.y),
        "validation_rows": len(dataset.validation.y),
        "features": 4,
        "outputs": 3,
        "bytes": found.data_bytes,
    }
    assert "data.positive" not in found.found, "of three classes none is the positive one"


def test_the_mean_is_of_the_whole_space(tmp_path):
    """Whatever limits a study has, its trials are predicted by the same sample."""
    free = plan(small(tmp_path))
    for limits in ({"max_parameters": 50}, {"max_flops": 1e6}, {"flops": 1.0}, {"trials": 1}):
        record = studyfile.to_json(small(tmp_path))
        record["search"] |= limits
        assert plan(studyfile.from_json(record)).seconds == free.seconds


def test_only_what_a_trial_uses_is_listed(tmp_path):
    """Without a hidden layer there is no width."""
    first = plan(small(tmp_path, seed=3)).record()["first"]
    layers = [trial["params"]["layers"] for trial in first]
    assert 0 in layers
    assert any(layers)
    for trial in first:
        widths = [name for name in trial["params"] if name.startswith("neurons")]
        assert len(widths) == trial["params"]["layers"]


def test_a_plan_is_of_the_edition_that_would_run(tmp_path):
    """Its own, or that of the study of its name that has begun."""
    spec = small(tmp_path, trials=2)
    first = spec.model_copy(update={"edition": 1})
    assert plan(first).seconds != plan(spec).seconds
    finish(first, tmp_path / "s.db")
    there = plan(spec, str(tmp_path / "s.db"))
    assert there.spec.edition == 1
    assert there.seconds == plan(first).seconds


def test_data_that_does_not_suit_is_refused(tmp_path):
    """Before a plan is shown for it."""
    text = SMALL.replace("epochs = 9", 'epochs = 9\nmetric = "rmse"')
    with pytest.raises(StudyFileError, match="rmse"):
        plan(small(tmp_path, text))


FEW = {
    "a grid of three points": ('sampler = "grid"', 3),
    "a budget for one": ("flops = 1.0", 1),
}


@pytest.mark.parametrize("case", FEW)
def test_a_plan_of_few_trials(tmp_path, case):
    """Where fewer begin than a plan shows, it shows these."""
    search, begun = FEW[case]
    text = '[data]\nsource = "sklearn:iris"\n[space]\nneurons = [2, 4, 8]\n'
    found = plan(studyfile.load(write(tmp_path, f"{text}[search]\ntrials = 24\n{search}\n")))
    assert len(found.first) == begun

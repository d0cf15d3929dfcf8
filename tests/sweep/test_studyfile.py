"""Study files: what loads, and what each mistake is answered with."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep import cost, pruners, samplers, spec, studyfile
from sweep.errors import StudyFileError, UsageError

ROOT = Path(__file__).parents[2]
DATA = '[data]\nsource = "sklearn:digits"\n'


def load(folder, text):
    path = folder / "study.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return studyfile.load(path)


def refusal(folder, text):
    with pytest.raises(StudyFileError) as caught:
        load(folder, text)
    return str(caught.value)


def attempt(function, *args):
    try:
        return function(*args)
    except (StudyFileError, UsageError) as error:
        return error


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mine").mkdir()
    return tmp_path / "mine"


# Lines of a file after its [data] table, and what the answer holds: key, value, what is allowed.
MISTAKES = {
    "unknown table": ("[serch]\ntrials = 3", ["serch = { trials = 3 }", "name, data", '"search"']),
    "unknown key": ("[search]\ntrails = 3", ["search.trails = 3", "trials, wall_time", '"trials"']),
    "unknown key of data": ("sed = 3", ["data.sed = 3", "source, validation", '"seed"']),
    "unknown key of space": ("[space]\nlayer = 3", ["space.layer = 3", "activation", '"layers"']),
    "unknown key of range": (
        "[space]\nl2 = { low = 0, high = 1, max = 2 }",
        ["space.l2.max = 2", "low, high, log, step"],
    ),
    "unknown odd key": ('[search]\n"a\\nb" = 3', [r'search."a\nb" = 3']),
    "key of another table": ("[space]\nepochs = 3", ["space.epochs = 3", "belongs in [train]"]),
    "sampler": (
        '[search]\nsampler = "tpee"',
        ['search.sampler = "tpee"', "random, quasi_random", '"tpe"?'],
    ),
    "pruner": ('[search]\npruner = "x"', ['search.pruner = "x"', "median, percentile"]),
    "losses compared by their own values": (
        '[space]\nloss = ["softmax_cross_entropy", "mean_squared"]\n[train]\nmetric = "loss"',
        ['train.metric = "loss"', "space.loss", "name a metric"],
    ),
    "scaling": ('scaling = "minmax"', ['data.scaling = "minmax"', "standard, robust, quantile"]),
    "activation": ('[space]\nactivation = "rel"', ['space.activation = "rel"', "tanh", "'relu'?"]),
    "a choice": (
        '[space]\nactivation = ["tanh", "rel", "sig"]',
        ['space.activation = ["tanh", "rel", "sig"]', "not 'rel'", "not 'sig'", "leaky_relu"],
    ),
    "loss": ('[space]\nloss = "mse"', ['space.loss = "mse"', "mean_squared"]),
    "optimizer": ('[space]\noptimizer = "Adam"', ['space.optimizer = "Adam"', "'adam'?"]),
    "metric": ('[train]\nmetric = "acc"', ['train.metric = "acc"', "accuracy, average_precision"]),
    "dtype": ('[space]\ndtype = "float16"', ['space.dtype = "float16"', "float32, float64"]),
    "batch size": (
        '[space]\nbatch_size = "ful"',
        ['space.batch_size = "ful"', 'a whole number of at least 1, or "full"'],
    ),
    "a batch size of choices": ("[space]\nbatch_size = [8, 2.5]", ["space.batch_size[1] = 2.5"]),
    "L-BFGS in batches": (
        '[space]\noptimizer = ["adam", "lbfgs"]\nbatch_size = [32, "full"]',
        ["space.batch_size must be 'full' with optimizer 'lbfgs'", "not 32"],
    ),
    "L-BFGS with dropout": (
        '[space]\noptimizer = "lbfgs"\nbatch_size = "full"\ndropout = { low = 0, high = 0.5 }',
        ["space.dropout must be 0 with optimizer 'lbfgs'", "not 0.5"],
    ),
    "batch norm of one row": (
        '[space]\nnorm = ["none", "batch"]\nbatch_size = { low = 1, high = 8 }',
        ["space.batch_size must be at least 2"],
    ),
    "low above high": (
        "[space]\nneurons = { low = 9, high = 8 }",
        ["space.neurons = { low = 9, high = 8 }", "low must be at most high"],
    ),
    "no high": ("[space]\nneurons = { low = 9 }", ["space.neurons.high: is missing"]),
    "log of zero": (
        "[space]\nlearning_rate = { low = 0, high = 1, log = true }",
        ["space.learning_rate = { low = 0, high = 1, log = true }", "above 0 on a log scale"],
    ),
    "log with step": (
        "[space]\nneurons = { low = 8, high = 16, log = true, step = 8 }",
        ["space.neurons = ", "step = 8", "log and step exclude each other"],
    ),
    "step of zero": (
        "[space]\nl2 = { low = 0, high = 1, step = 0 }",
        ["space.l2 = { low = 0, high = 1, step = 0 }", "step must be above 0"],
    ),
    "negative step": (
        "[space]\nneurons = { low = 1, high = 9, step = -2 }",
        ["space.neurons.step = -2", "at least 1"],
    ),
    "uneven steps": (
        "[space]\nneurons = { low = 16, high = 130, step = 16 }",
        ["space.neurons = ", "high must be low plus whole steps, such as 128"],
    ),
    "too many steps": (
        "[space]\nl2 = { low = 0, high = 1e300, step = 1e-300 }",
        ["space.l2 = ", "at most 1e9 steps"],
    ),
    "no choices": ("[space]\nneurons = []", ["space.neurons = []", "at least one"]),
    "a choice twice": ("[space]\nl2 = [0.1, 0.1]", ["space.l2 = [0.1, 0.1]", "given once"]),
    "a number as text": ('[search]\ntrials = "5"', ['search.trials = "5"', "a whole number"]),
    "a number as truth": ("[search]\ntrials = true", ["search.trials = true", "a whole number"]),
    "a fraction": ("[train]\nepochs = 2.5", ["train.epochs = 2.5", "a whole number"]),
    "text for a range": (
        '[space]\nneurons = "1-3"',
        ['space.neurons = "1-3"', "a whole number, a list of choices, or a range such as {"],
    ),
    "text in a range": (
        '[space]\nneurons = { low = "1", high = 3 }',
        ['space.neurons.low = "1"', "a whole number"],
    ),
    "text in choices": ('[space]\nl2 = [0.1, "1"]', ['space.l2[1] = "1"', "must be a number"]),
    "a range of names": (
        "[space]\nactivation = { low = 1, high = 2 }",
        ["space.activation = { low = 1, high = 2 }", "a name or a list of names"],
    ),
    "a number for a name": ("[space]\nloss = 1", ["space.loss = 1", "a text in quotes"]),
    "truth as text": (
        '[space]\nneurons = { low = 1, high = 2, log = "yes" }',
        ['space.neurons.log = "yes"', "true or false"],
    ),
    "no number": ("[space]\nl2 = nan", ["space.l2 = nan", "finite"]),
    "infinity": ("[space]\nl2 = { low = 0, high = inf }", ["space.l2.high = inf", "finite"]),
    "no trials": ("[search]\ntrials = 0", ["search.trials = 0", "at least 1"]),
    "no workers": ("[search]\nworkers = 0", ["search.workers = 0", "at least 1"]),
    "no epochs": ("[train]\nepochs = 0", ["train.epochs = 0", "at least 1"]),
    "negative seed": ("[search]\nseed = -1", ["search.seed = -1", "at least 0"]),
    "factor of one": ("[search]\nreduction_factor = 1", ["search.reduction_factor = 1", "least 2"]),
    "late first rung": (
        "[train]\nepochs = 5\n[search]\nmin_epochs = 6",
        ["search.min_epochs = 6", "at most train.epochs, 5"],
    ),
    "no training rows": (
        "validation = 0.5\ntest = 0.5",
        ["data.validation = 0.5", "data.test = 0.5", "below 1 together"],
    ),
    "no validation rows": ("validation = 0.0", ["data.validation = 0.0", "above 0"]),
    "negative layers": ("[space]\nlayers = -1", ["space.layers = -1", "at least 0"]),
    "countless layers": ("[space]\nlayers = 1000", ["space.layers = 1000", "at most 100"]),
    "no neurons": ("[space]\nneurons = [0, 8]", ["space.neurons[0] = 0", "at least 1"]),
    "half a neuron": ("[space]\nneurons = 0.5", ["space.neurons = 0.5", "a whole number"]),
    "no rows a step": ("[space]\nbatch_size = 0", ["space.batch_size = 0", "at least 1"]),
    "no learning": (
        "[space]\nlearning_rate = { low = 0, high = 1 }",
        ["space.learning_rate = { low = 0, high = 1 }", "above 0, not 0.0"],
    ),
    "too much momentum": ("[space]\nmomentum = [0.5, 1]", ["space.momentum = [0.5, 1]", "not 1.0"]),
    "regression metric": (
        '[train]\nmetric = "rmse"',
        ['train.metric = "rmse"', "does not suit classification; use one of accuracy"],
    ),
    "metric without probabilities": (
        '[space]\nloss = "mean_squared"\n[train]\nmetric = "log_loss"',
        ['train.metric = "log_loss"', "probabilities", "softmax_cross_entropy"],
    ),
    "constraint without probabilities": (
        '[space]\nloss = "mean_squared"\n[search.constraints]\nlog_loss = { high = 1.0 }',
        ['search.constraints = "log_loss"', "probabilities", "softmax_cross_entropy"],
    ),
    "a single objective beside the metric": (
        '[search]\nobjectives = ["log_loss"]',
        ['search.objectives = ["log_loss"]', 'train.metric, which is "accuracy"', "name both"],
    ),
    "a single objective that is no metric": (
        '[search]\nobjectives = ["flops"]',
        ['search.objectives = ["flops"]', "needs a metric beside it"],
    ),
    "a constraint that a trainer of one's own does not report": (
        '[space]\nrate = 1.0\n[train]\nfunction = "a:b"\n[search.constraints]\n'
        "log_loss = { high = 1.0 }",
        ['search.constraints = "log_loss"', "must be one of accuracy"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake(folder, mistake):
    """A mistake is answered with the file, the key, the value and what is allowed, in one line."""
    text, parts = MISTAKES[mistake]
    head, *problems = refusal(folder, DATA + text).splitlines()
    assert head == f"{folder / 'study.toml'} cannot be used:"
    assert len(problems) == 1
    assert [part for part in parts if part not in problems[0]] == []


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ["data: is missing"]),
        ("data = 3", ["data = 3", "must be a table"]),
        ("[data]\nseed = 1", ["data.source: is missing"]),
        (
            '[data]\nsource = "sklearn:digit"',
            ['data.source = "sklearn:digit"', '"sklearn:digits"?'],
        ),
        (
            '[data]\nsource = "sklearn:diabetes"\n[train]\nmetric = "r2"',
            ["space.loss", "regression"],
        ),
        (f'name = "../digits"\n{DATA}', ['name = "../digits"', "letters", "no path"]),
        (f'name = "a\\n"\n{DATA}', [r'name = "a\n"', "letters"]),
        (f"{DATA}[search]\ntrials = 1\ntrials = 2\n", ["not valid TOML", "line 5, column 11"]),
        (f"{DATA}trials 3", ["not valid TOML", "line 3, column 8"]),
        ("data:\n  source: sklearn:digits\n", ["not valid TOML", "looks like YAML"]),
        (DATA.encode("utf-16"), ["not UTF-8", "byte 0xff at position 0"]),
        ("x = " + "[" * 10_000, ["nested too deep"]),
        ("x = " + "9" * 10_000, ["not valid TOML"]),
    ],
)
def test_unusable_file(folder, text, parts):
    """A file that is no study is refused by name, with the place of the mistake."""
    message = refusal(folder, text)
    assert message.startswith(str(folder / "study.toml"))
    assert [part for part in parts if part not in message] == []


def test_all_problems_at_once(folder):
    """Every problem has its line, so that a file is mended in one go."""
    message = refusal(folder, '[data]\nsource = "x"\n[space]\nl2 = -1\n[search]\ntrials = 0\nx = 1')
    keys = [line.split(" = ")[0].strip() for line in message.splitlines()[1:]]
    assert keys == ["data.source", "space.l2", "search.trials", "search.x"]


def test_missing_file(tmp_path, monkeypatch):
    """A missing file is answered with the nearest study file there is."""
    studies = tmp_path / "studies"
    for name in ("digits", "wine"):
        (studies / name).mkdir(parents=True)
        (studies / name / "study.toml").write_text(DATA)
    monkeypatch.chdir(tmp_path)
    for path in ("digits", "studies/digit/study.toml", studies / "digit"):
        with pytest.raises(StudyFileError, match=r"no such file; did you mean .*digits.study.toml"):
            studyfile.load(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(StudyFileError, match=r"^empty.study.toml: there is no such file$"):
        studyfile.load("empty")


def test_folder(folder, monkeypatch):
    """A folder stands for its study.toml, and names the study unless the file does."""
    (folder / "study.toml").write_text(DATA)
    monkeypatch.chdir(folder)
    assert studyfile.load(folder) == studyfile.load("study.toml") == studyfile.load(".")
    assert studyfile.load(".").name == "mine"
    assert load(folder, 'name = "other"\n' + DATA).name == "other"


def test_windows_file(folder):
    """A byte order mark and Windows line ends do no harm."""
    assert load(folder, DATA) == load(folder, b"\xef\xbb\xbf" + DATA.replace("\n", "\r\n").encode())


@given(
    st.binary()
    | st.text().map(str.encode)
    | st.lists(
        st.sampled_from([*DATA.splitlines(), "[space]", "[search]", "l2 = ", "{", "}", "1", "'"])
        | st.text(max_size=3)
    ).map(lambda lines: "\n".join(lines).encode())
)
def test_any_bytes(tmp_path_factory, content):
    """Any bytes are a study or a StudyFileError, and nothing else."""
    answer = attempt(load, tmp_path_factory.getbasetemp(), content)
    assert isinstance(answer, spec.StudySpec) or "study.toml" in str(answer)


@given(st.lists(st.text() | st.from_regex(r"[a-z]{1,9}(\.[a-z]{1,9})?=.{0,9}", fullmatch=True)))
def test_any_changes(tmp_path_factory, changes):
    """Whatever is given to --set gives a study or one of our errors."""
    folder = tmp_path_factory.getbasetemp()
    (folder / "study.toml").write_text(DATA)
    answer = attempt(studyfile.load, folder / "study.toml", changes)
    assert isinstance(answer, spec.StudySpec) or re.search("study.toml|--set", str(answer))


SHIPPED = (ROOT / "studies" / "digits" / "study.toml").read_bytes()


@given(
    st.integers(0, len(SHIPPED)),
    st.integers(0, 40),
    st.binary(max_size=20)
    | st.sampled_from(
        [b"nan", b"1e999", b"[", b"{", b"[[space]]", b"true", b"-1", b"''", b"\xed\xa0\x80", b"\0"]
    ),
)
def test_any_damage(tmp_path_factory, start, length, instead):
    """A study file of which something was lost or overwritten is a study or a StudyFileError."""
    content = SHIPPED[:start] + instead + SHIPPED[start + length :]
    answer = attempt(load, tmp_path_factory.getbasetemp(), content)
    assert isinstance(answer, spec.StudySpec) or "study.toml" in str(answer)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["tanh"]),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["low", "high", "step"]), inner)
    ),
    max_leaves=4,
)
KEYS = [*spec.SpaceSpec.model_fields, *spec.SearchSpec.model_fields, *spec.DataSpec.model_fields]


# A file, changes to it, and the file that would ask the same.
CHANGES = {
    "a key that is not there": ("", ["search.trials=3"], "[search]\ntrials = 3"),
    "a key that is": ("[search]\ntrials = 9", ["search.trials=3"], "[search]\ntrials = 3"),
    "spaces": ("", [" search . trials = 3 "], "[search]\ntrials = 3"),
    "twice": ("", ["search.trials=4", "search.trials=3"], "[search]\ntrials = 3"),
    "its neighbours stay": (
        "[space]\nneurons = 8\nl2 = 0.1",
        ["space.neurons=9"],
        "[space]\nneurons = 9\nl2 = 0.1",
    ),
    "a whole table": ("[space]\nneurons = 8", ["space={ l2 = 0.1 }"], "[space]\nl2 = 0.1"),
    "a range for a constant": (
        "[space]\nneurons = 8",
        ["space.neurons={ low = 1, high = 2 }"],
        "[space]\nneurons = { low = 1, high = 2 }",
    ),
    "an end of a range": (
        "[space]\nneurons = { low = 1, high = 2 }",
        ["space.neurons.high=3"],
        "[space]\nneurons = { low = 1, high = 3 }",
    ),
    "an equals sign in a value": ("", ['data."source"="sklearn:digits" # ='], ""),
}


@pytest.mark.parametrize("case", CHANGES)
def test_changes(folder, case):
    """--set is the file with another value at one key."""
    text, changes, same = CHANGES[case]
    expected = load(folder, DATA + same)
    (folder / "study.toml").write_text(DATA + text)
    assert studyfile.load(folder, changes) == expected


def test_full_batches_for_lbfgs(folder):
    """L-BFGS goes with full batches and no dropout, whichever key comes first."""
    text = '[space]\noptimizer = ["lbfgs"]\nbatch_size = ["full"]\ndropout = 0'
    assert load(folder, DATA + text).space.batch_size == ("full",)


@given(
    st.dictionaries(
        st.sampled_from([*spec.StudySpec.model_fields, "x"]),
        st.dictionaries(st.sampled_from(KEYS), VALUES) | VALUES,
    )
)
def test_any_values(record):
    """Any values at any key are a study or a StudyFileError."""
    record = {"name": "x", "data": {"source": "sklearn:digits"}} | record
    answer = attempt(studyfile.from_json, record)
    if isinstance(answer, spec.StudySpec):
        assert studyfile.from_json(studyfile.to_json(answer)) == answer
        assert studyfile.from_json(tomllib.loads(studyfile.to_toml(answer))) == answer
    else:
        assert "cannot be used:\n" in str(answer)


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("studies/*/study.toml")), ids=lambda p: p.parent.name
)
def test_shipped_studies(path):
    """Every study in this repository loads, and comes back from JSON as it was."""
    loaded = studyfile.load(path)
    assert studyfile.from_json(json.loads(json.dumps(studyfile.to_json(loaded)))) == loaded


def test_defaults_are_written_out(folder):
    """The record holds every default, so that a later default does not change an old study."""
    record = studyfile.to_json(load(folder, DATA))
    assert record["search"]["workers"] == 8
    assert record["space"]["activation"] == "relu"
    assert record["space"].keys() == spec.SpaceSpec.model_fields.keys()
    assert studyfile.differences(record, studyfile.to_json(load(folder, DATA))) == []


def test_differences(folder):
    """What differs from the store is said key by key, both values as a file would write them."""
    old = studyfile.to_json(load(folder, DATA + "[space]\nneurons = { low = 8, high = 16 }"))
    new = studyfile.to_json(load(folder, DATA + 'scaling = "none"\n[search]\ntrials = 100'))
    del old["search"]["workers"]
    assert studyfile.differences(old, new) == [
        'data.scaling: "standard" in the store, "none" in the file',
        "space.neurons: { low = 8, high = 16, log = false } in the store, 64 in the file",
        "search.trials: 64 in the store, 100 in the file",
        "search.workers: nothing in the store, 8 in the file",
    ]


def test_with_name(folder):
    """Another name changes nothing else, and must be a name."""
    first = load(folder, DATA)
    second = studyfile.with_name(first, "again")
    assert second == first.model_copy(update={"name": "again"})
    with pytest.raises(StudyFileError, match="letters"):
        studyfile.with_name(first, "/etc/passwd")


def test_names_agree():
    """The names that a study file may use are those of the tables that hold the things."""
    assert set(spec.SAMPLERS) == {"random", "quasi_random", "grid", "tpe", *samplers.SAMPLERS}
    assert set(spec.PRUNERS) == pruners.PRUNERS.keys()
    assert set(spec.MEASURES) == cost.MEASURES.keys()


def test_cheap_import():
    """Reading a study file needs none of the large libraries, so that the command line is quick."""
    code = "import sweep.studyfile, sys; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout.split()
    assert not {"optuna", "ray", "pandas", "sklearn", "sqlalchemy", "plotly"} & set(loaded)

"""Commands among other programs: exit status, pipes, colours, environment, completion."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from sweep.cli import exits
from sweep.cli.app import app
from sweep.cli.plot import Kind
from tests.sweep.studies import SMALL, finish, small, write

DOCS = Path(__file__).parents[2] / "docs"
COMMANDS = typer.main.get_command(app).commands
SERIAL = ["--backend", "serial"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """The store of a complete study."""
    folder = tmp_path_factory.mktemp("shell")
    finish(small(folder), folder / "sweep.db")
    return str(folder / "sweep.db")


STATUSES = {
    "a study that is complete": (["run", ".", *SERIAL], exits.COMPLETE),
    "all of its trials fail": (["run", "fails", *SERIAL, "--allow-code"], exits.FAILED),
    "a file with a mistake": (["run", ".", *SERIAL, "--set", "search.trials=0"], exits.USAGE),
    "an option with a mistake": (["run", ".", "--cpus", "none"], exits.USAGE),
    "no such command": (["rnu"], exits.USAGE),
    "no such study": (["show", "other", "--store", "{store}"], exits.NOT_FOUND),
    "no such store": (["list", "--store", "none.db"], exits.NOT_FOUND),
    "no store": (["list", "--store", "study.toml"], exits.STORE),
    "a budget of time": (["run", ".", *SERIAL, "--set", "search.wall_time=1e-9"], exits.INCOMPLETE),
    "a budget of operations": (
        ["run", ".", *SERIAL, "--set", "search.flops=1e6"],
        exits.INCOMPLETE,
    ),
}
"""What stop, cancel (5) and Ctrl-C (130) end with takes two processes: test_cli.py."""

FAILS = """
[data]
source = "sklearn:iris"
[space]
rate = { low = 0.1, high = 1.0 }
[train]
function = "tests.sweep.trainers:words"
epochs = 3
[search]
trials = 4
"""


@pytest.mark.parametrize("case", STATUSES)
def test_exit_status(call, tmp_path, store, case):
    """Every way in which a command ends has its status."""
    write(tmp_path)
    (tmp_path / "fails").mkdir()
    write(tmp_path / "fails", FAILS)
    arguments, status = STATUSES[case]
    done = call(*(text.format(store=store) for text in arguments))
    assert done.status == status, done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("command", ["pause", "stop", "cancel", "kill"])
def test_a_study_that_is_complete_has_nothing_to_stop(call, store, command):
    """It was found, so that the status is no 3; the message says how it could go on."""
    trial = ["--trial", "0"] if command == "kill" else []
    done = call(command, "small", "--store", store, *trial)
    assert (done.status, done.out) == (exits.USAGE, "")
    assert "complete" in done.err
    assert done.err.count("\n") == 1
    if command == "kill":
        assert "trial 0 of 'small' has ended already: it is" in done.err
        unknown = call(command, "small", "--store", store, "--trial", "99")
        assert (unknown.status, "has no trial 99" in unknown.err) == (exits.USAGE, True)
    else:
        assert f"nothing to {command}; sweep extend small --trials N" in done.err


def test_an_edit_of_a_complete_study_says_what_it_needs(call, tmp_path):
    """It takes effect with the next trial, and there is none before the study is extended."""
    at = ["--store", str(tmp_path / "sweep.db")]
    finish(small(tmp_path, trials=4), tmp_path / "sweep.db")
    edited = call("edit", "small", "learning_rate=0.01", *at)
    assert "it is complete, and needs sweep extend small --trials N first" in edited.out
    call("extend", "small", "--trials", "2", *at)
    again = call("edit", "small", "learning_rate=0.01", *at)
    assert again.out.endswith("when the study goes on: sweep resume small\n")


@pytest.mark.parametrize(
    ("limit", "more"),
    [
        ("search.wall_time=1e-9", "sweep extend small --wall-time 1, then sweep resume small"),
        ("search.flops=1e6", "a study of another name with a larger search.flops"),
    ],
)
def test_the_budget_that_ended_a_study_is_named(call, tmp_path, limit, more):
    """After how many of its trials it did, and what to do to go on."""
    small(tmp_path)
    done = call("run", str(tmp_path), *SERIAL, "--set", limit, "--store", str(tmp_path / "s.db"))
    assert done.status == exits.INCOMPLETE
    key = limit.partition("=")[0]
    assert re.search(rf"ended by {key} after \d+ of 24 trials; to go on: {more}", done.out)


def test_what_comes_next_for_a_table_of_ones_own(call, tmp_path):
    """Predictions for new rows come first; for a set of scikit-learn's there are no new rows."""
    (tmp_path / "rows.csv").write_text("a,b\n" + "".join(f"{i % 50},{i}\n" for i in range(150)))
    text = SMALL.replace('"sklearn:iris"', '"rows.csv"\ntarget = "b"\ntask = "regression"')
    text = text.replace("epochs = 9", 'epochs = 9\nmetric = "rmse"')
    text = text.replace("[space]", '[space]\nloss = "mean_squared"')
    at = ["--store", str(tmp_path / "s.db"), "--set", "search.trials=3"]
    write(tmp_path, text)
    done = call("run", str(tmp_path), *SERIAL, *at)
    place = "--store s.db"
    typed = "sweep predict small --input new.csv --output predictions.csv"
    assert f"next:\n  {typed} {place}\n" in done.out
    write(tmp_path, SMALL)
    done = call("run", str(tmp_path), *SERIAL, *at, "--name", "other")
    assert f"next:\n  sweep best other {place}\n" in done.out


def test_exit_statuses_are_documented(call):
    """--help, the README and docs/commands.md tell the same statuses."""
    told = re.sub(r"\W+", " ", call("--help").out)
    readme = re.sub(r"\s+", " ", (DOCS.parent / "README.md").read_text())
    page = (DOCS / "commands.md").read_text()
    for status, meaning in exits.MEANING.items():
        assert re.sub(r"\W+", " ", f"{status} {meaning}") in told
        assert f"{status} {meaning}" in readme
        assert f"| {status} | {meaning}" in page


def test_another_value_for_a_key(call, tmp_path):
    """--set is the file with another value, in run and in validate, and is checked like one."""
    write(tmp_path)
    changes = ["--set", "search.trials=3", "--set", "space.layers={ low = 1, high = 2 }"]
    assert "3 trials" in call("validate", ".", *changes).out
    plan = call("run", ".", "--dry-run", *changes, "--set", 'name="other"').out
    for line in ('name = "other"', "trials = 3", "layers = { low = 1, high = 2, log = false }"):
        assert line in plan.splitlines()
    assert call("run", ".", *SERIAL, *changes).status == 0
    assert "3/3" in call("list").out


ENVIRONMENT = [
    ("SWEEP_STORE", "other.db", ["list"], "other.db"),
    ("SWEEP_BACKEND", "nowhere", ["run", "."], "nowhere"),
    ("SWEEP_CPUS", "none", ["run", "."], "SWEEP_CPUS"),
    ("SWEEP_ADDRESS", "there:1", ["run", "."], "there:1"),
    ("RAY_ADDRESS", "there:1", ["run", "."], "there:1"),
]


@pytest.mark.parametrize(("name", "value", "arguments", "said"), ENVIRONMENT)
def test_environment(call, tmp_path, monkeypatch, name, value, arguments, said):
    """What an environment variable says is what the option would say."""
    write(tmp_path)
    monkeypatch.setenv(name, value)
    done = call(*arguments)
    assert done.status != 0
    assert said in done.err


def test_environment_is_documented():
    """docs/commands.md has every variable, and no other."""
    known = {
        name
        for command in COMMANDS.values()
        for param in command.params
        for name in ([param.envvar] if isinstance(param.envvar, str) else param.envvar or [])
    }
    page = (DOCS / "commands.md").read_text()
    named = set(re.findall(r"^\| `([A-Z_]+)`", page, re.M))
    assert known | {"SWEEP_ARTIFACTS", "NO_COLOR"} == named


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help(call, name):
    """Each command says what it does in a paragraph, and how it is used in an example."""
    said = call(name, "--help").out
    assert f"Example: sweep {name} " in f"{' '.join(said.split())} "
    assert f"`sweep {name}" in (DOCS / "commands.md").read_text()


def test_help_imports_little():
    """Help is quick because nothing large is imported for it."""
    large = {"ray", "optuna", "pandas", "numpy", "sklearn", "sqlalchemy", "pydantic", "plotly"}
    code = f"import sys, sweep.cli; print(*{large!r} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def completed(store, *words):
    """What a shell would offer for the last of these words."""
    environment = os.environ | {
        "_SWEEP_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["sweep", *words]),
        "COMP_CWORD": str(len(words)),
        "SWEEP_STORE": store,
    }
    code = "import sys; sys.argv = ['sweep']; from sweep.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_completion(store, tmp_path):
    """The shell offers commands, names of studies and plots, and nothing where there is none."""
    assert completed(store, "val") == ["validate"]
    assert completed(store, "show", "") == ["small"]
    assert completed(store, "show", "other") == []
    assert completed(store, "plot", "small", "hi") == ["history"]
    assert completed(str(tmp_path / "none.db"), "show", "") == []
    assert completed("mysql://nowhere", "show", "") == []


def test_kinds_of_plots():
    """The kinds that the command offers without importing them are those that can be drawn."""
    from sweep.plots import PLOTS

    assert [kind.value for kind in Kind] == list(PLOTS)


def shell(line, **environment):
    return subprocess.run(
        line.replace("SWEEP", f"{sys.executable} -m sweep.cli"),
        shell=True,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        check=False,
    )


def test_a_reader_that_has_seen_enough(store):
    """A pipe that is closed ends a command quietly, whenever it is closed."""
    for line in ("SWEEP show small | true", "SWEEP list --json | head -n 1"):
        assert shell(line, SWEEP_STORE=store).stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", ["list", "status small --json"])
def test_a_full_disk(store, arguments):
    """What could not be written is told, with a status that is not 0."""
    done = shell(f"SWEEP {arguments} > /dev/full", SWEEP_STORE=store)
    assert done.returncode == 1
    assert done.stderr == "sweep: No space left on device\n"


def test_colours(store):
    """A terminal gets colours unless NO_COLOR is set; a pipe gets none."""
    if shutil.which("script") is None:
        pytest.skip("there is no script(1) here to be a terminal")
    shown = {
        name: shell(f"script -qec 'SWEEP list' /dev/null {pipe}", SWEEP_STORE=store, **settings)
        for name, pipe, settings in (
            ("terminal", "", {"TERM": "xterm-256color"}),
            ("NO_COLOR", "", {"TERM": "xterm-256color", "NO_COLOR": "1"}),
        )
    }
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-9]")
    assert "\x1b[" in shown["terminal"].stdout
    assert not coloured.search(shown["NO_COLOR"].stdout)
    assert "\x1b" not in shell("SWEEP list", SWEEP_STORE=store).stdout


def test_names_that_no_encoding_has(call, store, tmp_path):
    """A file whose name is no text is written, and told as well as can be."""
    file = os.fsdecode(b"\xff.csv")
    done = call("export", "small", "--to", file, "--store", store)
    assert done.status == 0, done.err
    assert done.out == "24 trials written to \\udcff.csv\n"

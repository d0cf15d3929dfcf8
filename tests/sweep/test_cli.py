"""The command line as a user meets it: real processes, their output and their exit status."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pandas as pd
import pytest

from sweep.results import load
from sweep.store import Store
from tests.sweep.studies import finish, small, write

FINISHED = ["run", ".", "--backend", "serial"]


def command(*arguments):
    return [sys.executable, "-m", "sweep.cli", *arguments]


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """Run `sweep` with these arguments in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_STORE", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments, **environment):
        return subprocess.run(
            command(*map(str, arguments)),
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
        )

    return run


def test_run_show_and_export(sweep, tmp_path):
    """From a study file to its winner and its table, progress on stderr and results on stdout."""
    write(tmp_path)
    done = sweep(*FINISHED)
    assert done.returncode == 0, done.stderr
    study = load("small", tmp_path / "runs" / "sweep.db")
    for part in ("small is complete", "validation accuracy", "test accuracy", study.fingerprint):
        assert part in done.stdout
    assert "[24/24] trial" in done.stderr
    assert "the best so far" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr, "colours, though this is no terminal"

    shown = sweep("show", "small", COLUMNS="60")
    heading, *rows = shown.stdout.splitlines()
    assert heading.split()[:4] == ["number", "outcome", "epochs", "accuracy"]
    assert sorted(int(row.split()[0]) for row in rows[:24]) == list(range(24))
    assert shown.returncode == 0
    assert shown.stderr == ""
    assert len([line for line in shown.stdout.splitlines() if "finished" in line]) >= 1
    summary = json.loads(sweep("show", "small", "--json").stdout)
    assert summary == {"schema": "sweep.show/1", **study.summary()}

    for name in ("trials.parquet", "trials.csv"):
        assert sweep("export", "small", "--to", name).returncode == 0
    assert len(pd.read_parquet(tmp_path / "trials.parquet")) == 24
    assert len(pd.read_csv(tmp_path / "trials.csv")) == 24


def test_running_a_complete_study_says_so(sweep, tmp_path):
    """The second run prints the same winner at once."""
    write(tmp_path)
    first, second = sweep(*FINISHED), sweep(*FINISHED)
    assert second.returncode == 0
    assert second.stdout == first.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_and_the_same_command_goes_on(tmp_path, number):
    """Ctrl-C leaves a study that is stopped; the same command makes the table of a whole run."""
    spec = small(tmp_path, trials=250)
    path = tmp_path / "sweep.db"
    run = command("run", str(tmp_path), "--backend", "serial", "--store", str(path))
    with subprocess.Popen(run, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as going:
        told = []
        for line in going.stderr:
            told.append(line)
            if line.startswith("[20/"):
                going.send_signal(number)
        rest = going.stdout.read()
    assert going.returncode == 130, rest
    assert "small is stopped" in rest
    assert "fingerprint so far" in rest
    assert f"sweep run {tmp_path}" in rest
    assert load("small", path).state == "stopped"
    assert 20 <= len(load("small", path).trials) < 250
    again = subprocess.run(run, capture_output=True, text=True, check=True)
    ended = int(re.search(r"going on after trial \d+, (\d+) trials ended", again.stderr)[1])
    assert max(counted("".join(told))) == ended
    assert min(counted(again.stderr)) == ended + 1, "trials of the first run are told again"
    assert "fingerprint so far" not in again.stdout
    assert load("small", path).fingerprint == finish(spec, tmp_path / "whole.db").fingerprint


def test_two_runs_of_one_study_at_once(tmp_path):
    """The second is refused with exit status 4 and told who holds the study."""
    small(tmp_path, trials=5000)
    run = command("run", str(tmp_path), "--backend", "serial", "--store", str(tmp_path / "s.db"))
    with subprocess.Popen(run, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stderr.readline()
        second = subprocess.run(run, capture_output=True, text=True, check=False)
        first.send_signal(signal.SIGINT)
        first.communicate()
    assert second.returncode == 4
    assert f"'small' is being run by process {first.pid} on" in second.stderr
    assert "Traceback" not in second.stderr
    assert first.returncode == 130


def test_a_run_is_controlled_from_another_terminal(sweep, tmp_path):
    """Pause, resume, edit, enqueue, extend and stop act on a run elsewhere, each within seconds."""
    small(tmp_path, trials=5000)
    path = tmp_path / "runs" / "sweep.db"
    with running(tmp_path) as going:
        for line in going.stderr:
            if line.startswith("[20/"):
                break
        threading.Thread(target=going.stderr.read, daemon=True).start()
        asked = time.monotonic()
        paused = sweep("pause", "small")
        took = time.monotonic() - asked
        assert paused.stdout.startswith("small: paused"), paused.stderr
        until(lambda: load("small", path).state == "paused")
        time.sleep(1)  # for what was at the backend
        ended = sum(load("small", path).counts.values())
        for arguments in (
            ("edit", "small", "learning_rate={ low = 1e-3, high = 1e-2, log = true }"),
            ("enqueue", "small", "learning_rate=0.005", 'activation="tanh"'),
        ):
            assert "before the study's next decision" in sweep(*arguments).stdout
        assert sum(load("small", path).counts.values()) == ended, "it went on while paused"
        assert sweep("resume", "small").stdout == "small: going on\n"
        assert sweep("kill", "small", "--trial", "0").returncode == 2, "it has ended"
        assert "extended to trials 5010" in sweep("extend", "small", "--trials", "10").stdout
        assert "stopping" in sweep("stop", "small").stdout
        out, _ = going.communicate(timeout=60)
    assert going.returncode == 5
    assert "small is stopped" in out
    assert took < 10, "with the start of a process, on a busy machine"
    study = load("small", path)
    assert study.spec.search.trials == 5010
    assert (study.trials["params_learning_rate"] == 0.005).sum() == 1
    assert {"pause", "resume", "edit", "enqueue", "extend", "stop"} <= set(study.events["event"])
    idle = sweep("stop", "small")
    assert (idle.returncode, idle.stdout) == (3, "")
    assert "is not running; sweep resume small" in idle.stderr
    assert "1 decisions" not in (verified := sweep("verify", "small", "--trials", "2").stdout)
    assert "as recorded" in verified
    assert verified.count("the same to the last bit") == 2
    assert "to train again" not in verified


def counted(text):
    """How many trials had ended, in each line about one."""
    return [int(found) for found in re.findall(r"^\[(\d+)/", text, re.MULTILINE)]


@contextmanager
def running(folder):
    """A run in this folder, which is ended if the test fails."""
    with subprocess.Popen(
        command(*FINISHED), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def until(condition):
    """Wait for what another process does."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_dry_run_shows_the_plan_and_runs_nothing(sweep, tmp_path):
    """Rungs, first trials and predicted time are told, and there is no store afterwards."""
    write(tmp_path)
    done = sweep("run", "study.toml", "--dry-run")
    assert done.returncode == 0, done.stderr
    for part in ("rungs, bracket 0", "after epoch 1, 3, 9", "predicted", "first trials", "layers="):
        assert part in done.stdout
    assert not (tmp_path / "runs").exists()


def test_the_ledger_is_shown(sweep, tmp_path):
    """A row for each trial, the totals, and the share of the CPU time that trained."""
    write(tmp_path)
    assert sweep(*FINISHED).returncode == 0
    shown = sweep("show", "small", "--ledger").stdout
    for part in (
        "waiting for virtual order",
        "recording",
        "CPU seconds trained",
        "platform",
        "predicted, for the epochs trained",
        "times the median in the middle 80 % of them",
    ):
        assert part in shown
    assert len([line for line in shown.splitlines() if line.strip()[:1].isdigit()]) >= 24


MISTAKES = [
    (["status", "small"], 3, ["no store at"]),
    (["list", "--store", "."], 4, ["the store . is a folder", "./sweep.db"]),
    (["run", ".", "--store", "empty"], 4, ["the store empty is a folder"]),
    (["list"], 3, ["no store at", "sweep run STUDY.toml"]),
    (["best", "small"], 3, ["no store at"]),
    (["plot", "small"], 3, ["no store at"]),
    (["plot", "small", "histroy"], 2, ["'KIND': 'histroy' is not one of 'history'"]),
    (["plot", "small", "--to", "all.png"], 2, ["all.png", "name one, or give a folder"]),
    (["plot", "small", "history", "--to", "h.txt"], 2, ["--to h.txt", ".html or .png"]),
    (["validate", "missing.toml"], 2, ["missing.toml", "no such file"]),
    (["validate", "study.yaml"], 2, ["study.yaml", "looks like YAML", "[search]"]),
    (["validate", "twice.toml"], 2, ["twice.toml", "line 3", "given twice"]),
    (["validate", "houses.csv"], 2, ["houses.csv", "table of data", "sweep init houses.csv"]),
    (["validate", "houses.csv.gz"], 2, ["houses.csv.gz", "sweep init houses.csv.gz"]),
    (["validate", "empty"], 2, ["empty/study.toml", "no such file"]),
    (["validate", "binary.toml"], 2, ["binary.toml", "not UTF-8", "0xff"]),
    (["validate", "/dev/zero"], 2, ["/dev/zero", "no study file", "1,000,000 bytes"]),
    (["validate", "study.toml", "--set", "search.trails=3"], 2, ["search.trails = 3", '"trials"']),
    (
        ["validate", "study.toml", "--set", "search.trials", "--set", "space.optimizer=adam"],
        2,
        ["--set search.trials:", "--set space.optimizer=adam:"],
    ),
    (["validate", "study.toml", "--set", "search.trials"], 2, ["--set search.trials", "KEY=VALUE"]),
    (
        ["validate", "study.toml", "--set", "space.optimizer=adam"],
        2,
        ["space.optimizer=adam", "--set 'space.optimizer=\"adam\"'"],
    ),
    (["validate", "study.toml", "--set", "space=3"], 2, ["space = 3", "must be a table"]),
    (["validate", "study.toml", "--set", "space.layers.low=x"], 2, ["--set 'space.layers.low="]),
    (["run", "study.toml", "--set", 'data.source="x"'], 2, ['data.source = "x"', "sklearn:iris"]),
    (["run", "study.toml", "--dry-run", "--set", 'search.warm_start="old"'], 3, ["no store at"]),
    (["edit", "small", "learning_rate"], 3, ["no store"]),
    (["extend", "small"], 2, ["nothing to extend", "--trials"]),
    (["resume", "small"], 3, ["no store"]),
    (["verify", "small"], 3, ["no store"]),
    (["run", "missing.toml"], 2, ["missing.toml", "no such file"]),
    (["run", "bad.toml"], 2, ["bad.toml", "not valid TOML"]),
    (["run", "unknown.toml"], 2, ["unknown.toml", "search.trails", 'did you mean "trials"']),
    (["run", "study.toml", "--name", "../escape"], 2, ["../escape", "letters, digits"]),
    (["run", "study.toml", "--backend", "cloud"], 2, ["not one of 'ray', 'processes', 'serial'"]),
    (["run", "study.toml", "--cpus", "0"], 2, ["--cpus"]),
    (["run", "study.toml", "--store", "study.toml/x.db"], 4, ["cannot write the store"]),
    (["run", "study.toml", "--store", "study.toml"], 4, ["not a database"]),
    (["run", "study.toml", "--store", "mysql://u:secret@h/db"], 4, ["mysql", "postgresql://"]),
    (["run", "study.toml", "--cpus", "2", "--backend", "serial"], 2, ["--cpus"]),
    (["show", "small"], 3, ["no store at", "sweep run STUDY.toml"]),
    (["export", "small", "--to", "t.csv", "--store", "none.db"], 3, ["no store at none.db"]),
    (["shwo"], 2, ["shwo"]),
]


@pytest.mark.parametrize(("arguments", "status", "parts"), MISTAKES)
def test_mistakes_end_with_a_message(call, tmp_path, arguments, status, parts):
    """Each mistake has its exit status, a message that helps, and no traceback."""
    text = write(tmp_path).read_text()
    (tmp_path / "bad.toml").write_text("trials = = 3")
    (tmp_path / "unknown.toml").write_text(text.replace("trials =", "trails ="))
    (tmp_path / "study.yaml").write_text("data:\n  source: sklearn:iris\n")
    (tmp_path / "twice.toml").write_text("[search]\ntrials = 3\ntrials = 4\n[data]\n")
    (tmp_path / "houses.csv").write_text("rooms,price\n3,100000\n")
    (tmp_path / "houses.csv.gz").write_bytes(b"\x1f\x8b")
    (tmp_path / "binary.toml").write_bytes(b'name = "\xff"')
    (tmp_path / "empty").mkdir()
    before = sorted(p for p in tmp_path.rglob("*") if p.suffix != ".lock")
    done = call(*arguments)
    assert done.status == status, done.err
    assert done.out == ""
    assert "Traceback" not in done.err
    for part in parts:
        assert part in done.err
    assert sorted(p for p in tmp_path.rglob("*") if p.suffix != ".lock") == before


def test_another_question_under_the_same_name(sweep, tmp_path):
    """A changed file is refused with exit status 2; --name runs it beside the old study."""
    write(tmp_path)
    assert sweep(*FINISHED).returncode == 0
    small(tmp_path, workers=6)
    refused = sweep(*FINISHED)
    assert refused.returncode == 2
    assert "search.workers: 4 in the store, 6 in the file" in refused.stderr
    assert sweep(*FINISHED, "--name", "fewer").returncode == 0
    with Store(tmp_path / "runs" / "sweep.db", read_only=True) as store:
        assert store.names() == ["fewer", "small"]


def test_help_and_version_are_quick_to_import(sweep):
    """Help names every command, and imports neither Ray, Optuna nor pandas."""
    done = sweep("--help")
    assert done.returncode == 0
    for name in (
        *("run", "resume", "show", "export", "verify", "pause", "stop", "cancel", "kill"),
        *("extend", "enqueue", "edit"),
    ):
        assert name in done.stdout
        assert "Example" in sweep(name, "--help").stdout
    assert sweep("--version").stdout.startswith("sweep 0.")
    code = "import sys, sweep.cli; print(*{'ray', 'optuna', 'pandas', 'numpy'} & set(sys.modules))"
    heavy = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert heavy.stdout.strip() == ""


@pytest.mark.slow
def test_ctrl_c_on_ray_leaves_nothing_behind(tmp_path):
    """Stopped within seconds, stopped in the record, and no noise of Ray's on the terminal."""
    small(tmp_path, trials=2000)
    path = tmp_path / "sweep.db"
    run = command("run", str(tmp_path), "--cpus", "2", "--store", str(path))
    with subprocess.Popen(run, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as going:
        lines = []
        for line in going.stderr:
            lines.append(line)
            if line.startswith("[30/"):
                break
        asked = time.monotonic()
        going.send_signal(signal.SIGINT)
        out, err = going.communicate()
        took = time.monotonic() - asked
    assert going.returncode == 130, err
    assert took < 30
    lines += err.splitlines(keepends=True)
    ours = re.compile(r"small:|running on|\[\d+/2000\] trial|stopping;")
    assert [line for line in lines if not ours.match(line)] == []
    assert "small is stopped" in out


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "here"])
def test_a_cluster_that_is_not_there(sweep, tmp_path, address):
    """The address is named, with what is allowed, at once; the study can be run afterwards."""
    write(tmp_path)
    done = sweep("run", "study.toml", "--address", address)
    assert done.returncode == 1
    assert f"Ray at {address} cannot be used" in done.stderr
    assert "host:port" in done.stderr
    assert "Traceback" not in done.stderr
    assert load("small", tmp_path / "runs" / "sweep.db").state == "stopped"
    assert sweep(*FINISHED).returncode == 0

"""The README and docs say what is so."""

import re
import tomllib
from pathlib import Path

import pytest
import typer.main

from sweep import studyfile
from sweep.cli.app import app
from sweep.spacespec import SpaceSpec
from sweep.spec import DataSpec, SearchSpec, StudySpec, TrainSpec
from trainer import METRICS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCS = {file.name: file.read_text() for file in sorted((ROOT / "docs").glob("*.md"))}


def blocks(language, text=README):
    """The code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("text", [README, *DOCS.values()], ids=["README", *DOCS])
def test_every_command_and_option_is_real(text):
    """Each `sweep COMMAND --option` exists."""
    commands = typer.main.get_command(app).commands
    shown = "\n".join(blocks("sh", text))
    uses = re.findall(r"^[^#\n]*\bsweep ([a-z]+)((?: [^\n#`]*)?)", shown, re.M)
    for name, rest in uses:
        assert name in commands, f"sweep {name}"
        options = {opt for param in commands[name].params for opt in param.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options | {"--help"}, f"sweep {name}{rest}"


def test_every_command_is_documented():
    """No command of the program is missing from the README."""
    for name in typer.main.get_command(app).commands:
        assert f"sweep {name}" in README


@pytest.mark.parametrize("text", blocks("toml"))
def test_study_files_are_valid(tmp_path, text):
    """A study file shown is one that can be run."""
    assert tomllib.loads(text)
    file = tmp_path / "study.toml"
    file.write_text(text)
    assert studyfile.load(file)


@pytest.mark.parametrize("text", [text for page in DOCS.values() for text in blocks("toml", page)])
def test_parts_of_study_files_are_valid(tmp_path, text):
    """A part shown is one that a study of some data can have."""
    asked = tomllib.loads(text)
    metric = asked.get("train", {}).get("metric")
    source = "sklearn:diabetes" if metric == "rmse" else "sklearn:iris"
    file = tmp_path / "study.toml"
    data = "" if "data" in asked else f'[data]\nsource = "{source}"\n'
    file.write_text(f"{text}\n{data}")
    assert studyfile.load(file)


@pytest.mark.parametrize("page", DOCS)
def test_keys_that_the_docs_name_are_keys(page):
    """Every `key = ` and every word in code style that looks like a key of a study is one."""
    tables = (StudySpec, DataSpec, TrainSpec, SearchSpec, SpaceSpec)
    known = {key for table in tables for key in table.model_fields}
    named = set(re.findall(r"`([a-z_]+) = ", DOCS[page]))
    assert named <= known


def test_every_metric_is_documented():
    """README and docs name each, and the docs say which way is better."""
    page = DOCS["searching.md"]
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.count("|") == 5]
    better = {
        name: direction.strip() for names, direction in rows for name in re.findall(r"\w+", names)
    }
    for name, metric in METRICS.items():
        assert re.search(rf"\b{name}\b", README), name
        assert better[name] == {"maximize": "high", "minimize": "low"}[metric.direction], name


def test_the_study_file_shown_is_the_one_shipped():
    """The README's study file asks the same question as studies/digits."""
    (shown,) = blocks("toml")
    shipped = (ROOT / "studies" / "digits" / "study.toml").read_text()
    assert tomllib.loads(shown) == tomllib.loads(shipped)


def test_files_that_it_names_are_there():
    """Links to files of the repository lead somewhere."""
    for folder, text in ((ROOT, README), *((ROOT / "docs", text) for text in DOCS.values())):
        for target in re.findall(r"\]\((?!http)([^)#]+)", text):
            assert (folder / target).exists(), target

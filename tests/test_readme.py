"""The README says what is so."""

import re
import tomllib
from pathlib import Path

import pytest
import typer.main

from sweep import studyfile
from sweep.cli.app import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language):
    """The code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_command_and_option_is_real():
    """Each `sweep COMMAND --option` of the README exists."""
    commands = typer.main.get_command(app).commands
    uses = re.findall(r"^[^#\n]*\bsweep ([a-z]+)((?: [^\n#`]*)?)", "\n".join(blocks("sh")), re.M)
    assert {"run", "show", "export"} <= {name for name, _ in uses}
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


def test_the_study_file_shown_is_the_one_shipped():
    """The README's study file asks the same question as studies/digits."""
    (shown,) = blocks("toml")
    shipped = (ROOT / "studies" / "digits" / "study.toml").read_text()
    assert tomllib.loads(shown) == tomllib.loads(shipped)


def test_files_that_it_names_are_there():
    """Links to files of the repository lead somewhere."""
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (ROOT / target).exists(), target

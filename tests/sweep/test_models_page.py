"""The session of docs/models.md runs, and shows what the page shows."""

import ast
import re
from pathlib import Path

import pandas as pd

from sweep import studyfile
from tests.sweep.studies import finish, write

PAGE = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)


def value_of(code, names):
    """What the last line of some code shows."""
    *lines, last = ast.parse(code).body
    exec(compile(ast.Module(lines, []), "docs/models.md", "exec"), names)
    if isinstance(last, ast.Expr):
        return eval(compile(ast.Expression(last.value), "docs/models.md", "eval"), names)
    exec(compile(ast.Module([last], []), "docs/models.md", "exec"), names)
    return None


def words(text):
    """Without numbers, which other processors may give otherwise in the last digits."""
    return re.findall(r"[a-z_]{3,}", text)


def test_the_session(tmp_path, monkeypatch):
    """Line by line, on the study that it is of; the words of each answer's first line agree."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    assert BLOCKS[0][0] == "toml"
    finish(studyfile.load(write(tmp_path, BLOCKS[0][1])), tmp_path / "runs" / "sweep.db")
    names = {}
    with pd.option_context("display.width", 120, "display.max_columns", 9):
        for (kind, text), (after, shown) in zip(BLOCKS, [*BLOCKS[1:], ("", "")], strict=True):
            if kind != "python":
                continue
            value = value_of(text, names)
            if after == "text":
                first, expected = (each.splitlines()[0] for each in (repr(value), shown))
                assert words(first) == words(expected), text
    right, most = value
    assert right == 1.0
    assert most < 1e-5
    assert {each.name for each in tmp_path.iterdir()} >= {"tumours.npz", "tumours.onnx"}

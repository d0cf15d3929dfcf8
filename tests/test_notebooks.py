"""Every notebook of the repository, run from top to bottom against a real study."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from sweep import studyfile
from tests.sweep.studies import finish

STUDIES = Path(__file__).parents[1] / "studies"
TRIALS = 20


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The digits study, with fewer and shorter trials."""
    record = studyfile.to_json(studyfile.load(STUDIES / "digits"))
    record["search"]["trials"] = TRIALS
    record["train"]["epochs"] = 9
    path = tmp_path_factory.mktemp("digits") / "sweep.db"
    return finish(studyfile.from_json(record), path)


def run(path, store, monkeypatch):
    """The cells' outputs as text, for a notebook run in its own folder."""
    monkeypatch.setenv("SWEEP_STORE", str(store))
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, resources={"metadata": {"path": path.parent}}, timeout=120).execute()
    return {
        cell.source: "".join(
            output.get("text", "") + output.get("data", {}).get("text/plain", "")
            for output in cell.outputs
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    }, notebook


def test_the_digits_notebook_tells_what_the_record_says(digits, monkeypatch):
    """Its winner, scores and fingerprint are the study's, and it has its three figures."""
    outputs, notebook = run(STUDIES / "digits" / "analysis.ipynb", digits.place, monkeypatch)
    text = "\n".join(outputs.values())
    best = digits.best
    assert f"trial {best.number}: validation {best.value:.4f}, test {best.test:.4f}" in text
    assert digits.fingerprint in text
    assert re.search(r"\d+ of 1797 wrong", text)
    figures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "application/vnd.plotly.v1+json" in output.get("data", {})
    ]
    assert len(figures) == 3


@pytest.mark.parametrize("path", list(STUDIES.rglob("*.ipynb")), ids=lambda path: path.parent.name)
def test_notebooks_are_stored_without_outputs(path):
    """Outputs are made by running; in git they would only differ."""
    cells = nbformat.read(path, as_version=4).cells
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)

"""Figures as files, and what they show of a study that has little."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from sweep import gallery
from sweep.errors import UsageError
from sweep.plots import PLOTS
from sweep.results import load
from sweep.store import Store
from sweep.studyfile import to_json
from tests.sweep.studies import SMALL, finish, small, write


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    return finish(small(folder, trials=40), folder / "sweep.db")


def test_importances_are_those_that_are_told(study, tmp_path):
    """The bars are the shares of `show`, and say of what; few trials have none in either."""
    (bars,) = PLOTS["importances"](study).data
    assert dict(zip(bars.y, bars.x, strict=True)) == study.importances != {}
    assert study.importances_basis in PLOTS["importances"](study).layout.title.subtitle.text
    few = finish(small(tmp_path), tmp_path / "sweep.db")
    assert few.importances == {}
    with pytest.raises(UsageError, match="no importances: too few trials: 15 complete"):
        PLOTS["importances"](few)


@pytest.mark.parametrize("kind", PLOTS)
def test_a_study_that_has_only_begun(tmp_path, kind):
    """Before there is anything to show, each plot says what it lacks."""
    spec = to_json(small(tmp_path))
    with Store(tmp_path / "s.db") as store:
        store.release(store.claim("small", spec, "data", "0"), "stopped")
    with pytest.raises(UsageError, match="'small' has"):
        PLOTS[kind](load("small", tmp_path / "s.db"))


def test_nothing_was_searched(tmp_path):
    """A study of one configuration has values and curves, but nothing to compare them by."""
    from sweep import studyfile

    text = re.sub(r"\[space\].*?\[train\]", "[train]", SMALL, flags=re.DOTALL)
    text = text.replace("trials = 24", 'trials = 3\nrepeats = true\npruner = "none"')
    study = finish(studyfile.load(write(tmp_path, text)), tmp_path / "s.db")
    shown = {kind for kind in PLOTS if _draws(kind, study)}
    assert shown == {"history", "curves", "rungs", "edf", "timeline", "ledger", "decision_order"}


def _draws(kind, study):
    try:
        return PLOTS[kind](study)
    except UsageError:
        return None


def test_a_folder(study, tmp_path):
    """A page for each figure and one with all, none of which asks for anything elsewhere."""
    figures = {kind: PLOTS[kind](study) for kind in ("history", "curves")}
    files = list(gallery.write_folder(figures, "<small>", tmp_path / "new" / "folder"))
    names = {"history.html", "curves.html", "index.html"}
    assert {file.name for file in files} == names
    folder = tmp_path / "new" / "folder"
    assert {file.name for file in folder.iterdir()} == {*names, gallery.SCRIPT}
    for file in files:
        text = file.read_text()
        sources = re.findall(r'(?:src|href)="([^"]+)"', text)
        assert gallery.SCRIPT in sources
        assert all((folder / source).is_file() for source in sources)
    index = (folder / "index.html").read_text()
    assert "&lt;small&gt;" in index
    assert "<small>" not in index
    for kind in figures:
        assert f'<section id="{kind}">' in index
    assert len(index) < 1e6


def test_a_page_of_its_own(study, tmp_path):
    """One figure alone is one file that needs no other."""
    gallery.write_file(PLOTS["history"](study), tmp_path / "h.html")
    text = (tmp_path / "h.html").read_text()
    assert "src=" not in re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert len(text) > 1e6


def test_where_nothing_can_be_written(study, tmp_path):
    """A folder that is a file is refused by name."""
    (tmp_path / "taken").touch()
    with pytest.raises(UsageError, match=r"cannot write .*taken: File exists"):
        list(gallery.write_folder({}, "t", tmp_path / "taken"))
    with pytest.raises(UsageError, match=r"cannot write .*h\.html"):
        gallery.write_file(PLOTS["history"](study), tmp_path / "taken" / "h.html")


def test_pictures_without_kaleido(study, tmp_path, monkeypatch):
    """Where pictures cannot be made, one line says what to install."""
    monkeypatch.setattr(gallery, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'sweep\[png\]'.*chromium") as refused:
        gallery.write_file(PLOTS["history"](study), tmp_path / "h.png")
    assert "\n" not in str(refused.value)


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="there is no browser here")
def test_pictures(study, tmp_path):
    """Pictures are PNG files of the size that was asked for, twice as fine."""
    figures = {kind: PLOTS[kind](study) for kind in ("history", "timeline")}
    files = list(gallery.write_folder(figures, "small", tmp_path, png=True))
    pictures = [file for file in files if file.suffix == ".png"]
    assert len(pictures) == 2
    for file in pictures:
        content = file.read_bytes()
        assert content[:8] == b"\x89PNG\r\n\x1a\n"
        assert int.from_bytes(content[16:20]) == 2 * gallery.WIDTH


@pytest.mark.slow
def test_pictures_without_a_browser(study, tmp_path):
    """A machine without a browser is told so in one line."""
    code = "from sweep.cli import main; main()"
    line = ["sweep", "plot", study.name, "history", "--to", "h.png", "--store", str(study.place)]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv = {json.dumps(line)}; {code}"],
        env={"PYTHONPATH": os.getcwd(), "BROWSER_PATH": "/none", "PATH": ""},
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("sweep: PNG takes kaleido")
    assert done.stderr.count("\n") == 1

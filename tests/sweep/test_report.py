"""`sweep report`: one page that says what the record says, is escaped, and draws in a browser."""

import json
import re
import shutil
import subprocess
from collections import Counter
from html.parser import HTMLParser
from importlib.metadata import version
from itertools import pairwise
from platform import python_version

import pandas as pd
import pytest
from typer.testing import CliRunner

from sweep import page, studyfile
from sweep.cli.app import app
from sweep.report import report
from sweep.results import load
from sweep.store import Store
from tests.sweep.studies import SMALL, finish, small, write
from tests.sweep.test_gallery import BROWSERS

HOSTILE = """
name = "hostile"
[data]
source = "sklearn:iris"
[train]
epochs = 3
function = "tests.sweep.trainers:hostile"
[search]
trials = 8
sampler = "random"
pruner = "none"
[space]
rate = { low = 0.0, high = 0.1 }
"<img src=x onerror=alert(1)>" = ["<b>bold</b>", "plain"]
"""

TWO = """
name = "two"
[data]
source = "sklearn:iris"
[space]
neurons = { low = 2, high = 16 }
[train]
epochs = 2
[search]
trials = 12
pruner = "none"
objectives = ["accuracy", "parameters"]
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return finish(small(folder, trials=40), folder / "sweep.db")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A study whose names and errors are programs."""
    folder = tmp_path_factory.mktemp("hostile")
    spec = studyfile.load(write(folder, HOSTILE))
    return finish(spec, folder / "sweep.db", allow_code=True)


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.inside = [], [], []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_endtag(self, tag):
        self.inside = self.inside[: len(self.inside) - 1 - self.inside[::-1].index(tag)]

    def handle_data(self, data):
        if not {"script", "style"} & set(self.inside):
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def words(html):
    """What can be read, in one line."""
    return " ".join(" ".join(Page(html).text).split())


def test_the_page_says_what_the_record_says(study):
    """Winner, scores, the best trials, advice, verdicts, question, fingerprints and machines."""
    said = words(report(study).html)
    best = study.best
    low, high = best.interval
    assert f"winner trial {best.number} validation accuracy {best.value:.4f}" in said
    assert f"test accuracy {best.test:.4f} (95 % interval {low:.4f} to {high:.4f})" in said
    assert study.fingerprint in said
    assert study.data_fingerprint in said
    assert study.platforms[0]["numpy"] in said
    numpy, optuna, ray = map(version, ("numpy", "optuna", "ray"))
    made = f"Python {python_version()}, NumPy {numpy}, Optuna {optuna}, Ray {ray}."
    assert said.endswith(f"Made with sweep {version('sweep')}, {made}")
    assert "sweep verify small --trials 3" in said
    for each in study.advice():
        assert each.text in said
        assert all(command in said for command in each.commands)
    top = study.top(10)
    listed = said[said.index("The best 10 trials") :]
    for number, value in zip(top["number"], top["value"], strict=True):
        assert f"{number} {value:.5g}" in listed
    verdicts = study.diagnoses.merge(study.trials, left_on="trial", right_on="number")
    counts = verdicts[verdicts["state"] == "COMPLETE"]["verdict"].value_counts()
    assert all(f"{verdict} {count}" in said for verdict, count in counts.items())


def test_the_question_is_a_study_file(study, tmp_path):
    """What stands there asks the same again."""
    html = report(study).html
    (asked,) = re.findall(r"<code>(.*?)</code>", html, re.DOTALL)
    parser = Page(asked)
    assert studyfile.load(write(tmp_path, "".join(parser.text))) == study.spec


def test_nothing_of_a_study_is_code(hostile):
    """Tags in names, choices and errors are text; the only scripts are the page's."""
    html = report(hostile).html
    found = Page(html)
    scripts = [attrs.get("type", "") for attrs in found.all("script")]
    assert scripts == ["application/json", "", ""]
    assert not found.all("img")
    assert not found.all("b")
    said = words(html)
    assert "<script>document.title = 'x'</script>" in said
    assert "<img src=x onerror=alert(1)> <b>bold</b>" in said


def test_no_secret_is_told(hostile):
    """Neither of an error's URL nor of the source of the data, in the question or elsewhere."""
    other = load(hostile.name, hostile.place)
    source = "https://me:secret@host/rows.csv?token=hidden"
    data = other.spec.data.model_copy(update={"source": source, "target": ("y",)})
    other.spec = other.spec.model_copy(update={"data": data})
    html = report(other).html
    assert "https://host/rows.csv" in html
    assert "https://host/" in html
    for secret in ("secret", "hidden", "key=k"):
        assert secret not in html.replace(page.get_plotlyjs(), "")


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("postgresql://me:pw@host:5432/db?sslkey=x is away", "postgresql://host:5432/db is away"),
        ('"s3://id:key@bucket/a.csv"', '"s3://bucket/a.csv"'),
        ("no://: url", "no:// url"),
        ("plain", "plain"),
    ],
)
def test_passwords_in_texts(text, public):
    """A URL is shown by its place alone."""
    assert page.public(text) == public


def test_it_can_be_read_by_everybody(study):
    """Headings in order, captions of tables, names of figures, a language, links that lead on."""
    found = Page(report(study).html)
    assert found.all("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert len(found.all("table")) == len(found.all("caption")) > 2
    assert all(each["scope"] == "col" for each in found.all("th"))
    plots = [attrs for attrs in found.all("div") if attrs.get("class") == "plot"]
    assert len(plots) == len(found.all("figcaption")) > 5
    assert all(each["aria-label"] and each["role"] == "img" for each in plots)
    ids = Counter(attrs["id"] for _, attrs in found.tags if "id" in attrs)
    assert max(ids.values()) == 1
    links = [attrs["href"] for attrs in found.all("a")]
    assert links
    assert all(link.removeprefix("#") in ids for link in links)


def test_nothing_is_asked_of_the_network(study):
    """No source or link leads elsewhere, and the policy allows no other script."""
    found = Page(report(study).html)
    assert not [a for _, attrs in found.tags for a in ("src", "srcset", "data") if a in attrs]
    assert not found.all("link")
    policy = next(a["content"] for a in found.all("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    scripts = policy.split("script-src")[1].split(";")[0]
    assert "unsafe" not in scripts


@pytest.mark.parametrize("kind", ["two", "begun", "diverged"])
def test_every_kind_of_study_has_a_report(kind, tmp_path):
    """Of several objectives, without a trial, and without a winner."""
    if kind == "two":
        study = finish(studyfile.load(write(tmp_path, TWO)), tmp_path / "s.db")
        found = report(study)
        assert "pareto" in found.figures
        assert f"front {len(study.pareto)} trials" in words(found.html)
        return
    if kind == "begun":
        spec = studyfile.to_json(small(tmp_path))
        with Store(tmp_path / "s.db") as store:
            store.release(store.claim("small", spec, "data", "0"), "stopped")
        found = report(load("small", tmp_path / "s.db"))
        assert found.figures == ()
        assert "no trials yet" in words(found.html)
        assert "nan%" not in words(found.html)
        return
    text = SMALL.replace("low = 1e-4, high = 1.0", "low = 1e30, high = 1e35")
    text = text.replace('["sgd", "momentum", "adam"]', '"sgd"').replace("trials = 24", "trials = 4")
    text = text.replace('activation = ["relu", "tanh", "signum"]', 'activation = "relu"')
    study = finish(studyfile.load(write(tmp_path, text)), tmp_path / "s.db")
    said = words(report(study).html)
    assert "no trial has come to its last epoch" in said
    assert re.search(r"by cause outcome error trials first trial diverged .* 4 0 ", said)


def test_of_many_trials_the_best_are_listed(study, monkeypatch):
    """A table of ten thousand rows would stall a browser: it says how many it leaves out."""
    monkeypatch.setattr("sweep.report.MOST", 15)
    html = report(study).html
    assert "15 of 40 trials" in words(html)
    (table,) = re.findall(r"<details>.*?</details>", html, re.DOTALL)
    rows = re.findall(r"<tr><td>(\d+)</td>", table)
    ranked = study.trials.sort_values("value", ascending=False, kind="stable")
    assert list(map(int, rows)) == ranked["number"].head(15).tolist()


def test_the_same_record_gives_the_same_page(study):
    """To the last byte: what it says of time is on record."""
    assert report(study).html == report(load(study.name, study.place)).html


def test_values_in_tables():
    """Gaps are a dash, and texts escaped, in the head too."""
    frame = pd.DataFrame({"<a>": [1.0, None], "b": ["x & y", None]})
    html = page.table(frame, "two <rows>")
    assert "&lt;a&gt;" in html
    assert "<td>1</td>" in html
    assert html.count("-</td>") == 2
    assert "x &amp; y" in html
    assert "<caption>two &lt;rows&gt;</caption>" in html


def test_the_command(study, tmp_path, monkeypatch):
    """It writes the page and says which figures; it never writes over what the study needs."""
    monkeypatch.chdir(tmp_path)
    run, store = CliRunner().invoke, ["--store", str(study.place)]
    done = run(app, ["report", "small", *store, "--json"])
    said = json.loads(done.output)
    assert said["file"] == "small.html"
    assert said["bytes"] == (tmp_path / "small.html").stat().st_size
    assert "curves" in said["figures"]
    assert said["left_out"].keys() == {"pareto"}
    (tmp_path / "taken.html").symlink_to(study.place.place)
    refused = run(app, ["report", "small", *store, "--to", "taken.html"])
    assert "is the store" in str(refused.exception)
    refused = run(app, ["report", "small", *store, "--to", "report.pdf"])
    assert "must end in .html" in str(refused.exception)
    refused = run(app, ["report", "small", *store, "--to", "none/report.html"])
    assert "cannot write none/report.html" in str(refused.exception)


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="there is no browser here")
@pytest.mark.parametrize("kind", ["study", "hostile"])
def test_a_browser_draws_it(kind, request, tmp_path):
    """Every figure is there, with the buttons that keep it on this machine, nothing is refused by
    the page's policy, and no script has failed."""
    found = report(request.getfixturevalue(kind))
    file = tmp_path / "report.html"
    file.write_text(found.html)
    browser = next(filter(None, map(shutil.which, BROWSERS)))
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=60000"]
    done = subprocess.run(
        [browser, *options, "--dump-dom", file.as_uri()],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    assert "CONSOLE" not in done.stderr
    drawn = Page(done.stdout)
    assert drawn.all("body") == [{"data-drawn": str(len(found.figures))}]
    svgs = [attrs for attrs in drawn.all("svg") if attrs.get("class") == "main-svg"]
    assert len(svgs) >= len(found.figures)
    buttons = {attrs["data-title"] for attrs in drawn.all("button") if "data-title" in attrs}
    assert "Download plot as a PNG" in buttons
    assert buttons <= {"Download plot as a PNG", "Zoom", "Pan", "Reset axes", "Reset"}
    assert "<title>" in done.stdout
    assert f"<title>{request.getfixturevalue(kind).name}: a study</title>" in done.stdout

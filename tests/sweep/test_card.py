"""What a study shows of itself in a notebook."""

from html.parser import HTMLParser

import pandas as pd
import pytest

from sweep import html, studyfile
from sweep.card import improvements
from sweep.loop import Opened
from sweep.results import load
from tests.sweep.studies import events, finish, small

VOID = ("polyline",)
OUTSIDE = ("src", "href", "xlink:href", "action", "onclick", "onload")


class Page(HTMLParser):
    """Reads a piece of HTML, and holds that its elements are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.attributes, self.tags = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in VOID
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    def __contains__(self, text):
        return text in " ".join(self.text)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    record = studyfile.to_json(small(folder))
    record["space"]["activation"] = ["relu", "tanh"]
    return finish(studyfile.from_json(record), folder / "sweep.db")


def test_a_card_says_how_a_study_stands(study):
    """Name, state, counts, winner and test with its interval, the five best, what is advised; it
    asks nothing of the network, and has names for what is a picture."""
    page, best = Page(study._repr_html_()), study.best
    assert "small" in page
    assert "complete" in page
    for state, count in study.counts.items():
        assert f"{count} {state}" in page
    assert f"{best.value:.4f}" in page
    assert "{:.4f} (95 %: {:.4f} to {:.4f})".format(best.test, *best.interval) in page
    assert page.tags.count("tr") == 6
    for number in study.top(5)["number"]:
        assert str(number) in page.text
    for each in study.advice():
        assert each.text in page
        assert all(command in page for command in each.commands)
    names = [name for name, _ in page.attributes]
    assert not set(names) & {*OUTSIDE}
    assert "script" not in page.tags
    assert ("role", "img") in page.attributes
    assert "aria-label" in names
    assert page.tags.count("caption") == page.tags.count("table") == 1


def test_a_card_of_a_study_that_has_just_begun(tmp_path):
    """Without a trial, and without a complete one, there is no winner and no line."""
    going = events(small(tmp_path), tmp_path / "sweep.db")
    assert isinstance(next(going), Opened)
    study = load("small", tmp_path / "sweep.db")
    page = Page(study._repr_html_())
    assert "no trials yet of 24" in page
    assert not {"table", "svg"} & {*page.tags}
    assert "running" in page
    assert "0 trials" in repr(study.ledger)
    Page(study.ledger._repr_html_())
    going.close()


@pytest.mark.parametrize("value", ["<script>alert(1)</script>", 'a"b', "a&b", "'"])
def test_texts_are_escaped(value):
    """Whatever a name, a text or a command is, it is shown and does nothing."""
    frame = pd.DataFrame({value: [value], "b": [1]})
    for piece in (
        html.table(frame, value),
        html.facts({value: value}),
        html.advised(value, [value]),
        html.staircase([(1, 2.0)], 3, value),
        html.framed(value, html.shown(value)),
    ):
        page = Page(piece)
        assert value in page
        assert "script" not in page.tags


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (pd.NA, ""),
        (pd.NaT, ""),
        (float("nan"), ""),
        (True, "True"),
        (3, "3"),
        (3.0, "3"),
        (0.123456, "0.1235"),
        (1e-7, "1e-07"),
        (float("inf"), "inf"),
        ("a<b", "a&lt;b"),
    ],
)
def test_cells_are_short(value, text):
    """Four digits of a number, and nothing of what is missing."""
    assert html.shown(value) == text


def test_the_line_goes_through_the_improvements(study):
    """Its steps are where a trial was better than all that ended before, and end at the winner."""
    steps = improvements(study.spec, study.trials)
    ended = study.trials.sort_values(["datetime_complete", "number"])
    best, expected = float("-inf"), []
    for place, row in enumerate(ended.itertuples(), 1):
        if row.state == "COMPLETE" and row.value > best:
            best = row.value
            expected.append((place, best))
    assert steps == expected
    assert steps[-1][1] == study.best.value
    assert html.staircase([], 3, "nothing") == ""
    assert "nan" not in html.staircase([(1, 0.5)], 1, "one")


def test_a_ledger_is_readable(study):
    """Each part with its seconds, as text and as a table."""
    ledger = study.ledger
    page = Page(ledger._repr_html_())
    for part, seconds in ledger.total.items():
        assert part in page
        assert part in repr(ledger)
        assert f"{seconds:.2f}" in repr(ledger)
    assert len(repr(ledger).splitlines()) < 12

"""What a running study shows, at any moment and on a terminal of any size."""

import io
import re
from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from sweep.backends import Beat
from sweep.cli.display import BURST, Lines, display
from sweep.cli.picture import picture, sparkline
from sweep.cli.tally import Sign, Standing, Tally, expected_epochs
from sweep.dispatch import Tick
from sweep.results import load
from tests.sweep.studies import events, small

BEGAN = 1_000_000.0


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    return small(tmp_path_factory.mktemp("study"), trials=200)


def params(number):
    return {
        "layers": 1,
        "neurons_1": 2 + number,
        "neurons_2": 7,
        "activation": "relu",
        "optimizer": "adam",
        "batch_size": 32,
        "learning_rate": 0.001,
    }


def standing(number, state="running", **fields):
    return Standing(number, params(number), 2.0, state=state, **fields)


def complete(number, value):
    return standing(
        number,
        "complete",
        outcome="finished",
        epochs=9,
        done=9,
        value=value,
        objective=value,
        place=(0, -value, number),
    )


def tally_of(spec, running=0, values=(), pruned=0, failures=()):
    """A tally that has seen such trials."""
    tally = Tally(spec, "ray", "running", cpus=2, ready=BEGAN)
    for i, value in enumerate(values):
        tally.see(complete(i, value), 9, 1.0)
    for i in range(pruned):
        tally.see(standing(100 + i, "pruned", outcome="pruned", epochs=3, done=3), 3, 0.5)
    for i, error in enumerate(failures):
        tally.see(standing(300 + i, "failed", outcome="error", epochs=1, done=1, error=error), 1)
    for i in range(running):
        tally.see(standing(500 + i, epochs=1, done=1, value=0.5), 1, 0.1)
    return tally


def shown(tally, width, height=100, now=BEGAN + 10):
    """The lines that a terminal of this size would show."""
    console = Console(width=width, height=height, file=io.StringIO(), color_system=None)
    console.print(picture(tally, width, height, now), soft_wrap=False, end="")
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_study_in_the_middle(spec):
    """At 80 columns every fact is there: progress, counts, best, rate, share, trials, failures."""
    tally = tally_of(spec, 2, [0.5, 0.75, 0.75, 0.9375], pruned=6, failures=["boom\nmore"])
    tally.signs = {500: Sign(4, 0.625, BEGAN + 8)}
    assert shown(tally, 80) == [
        "small: 200 trials of up to 9 epochs on sklearn:iris, tpe, hyperband",
        "━━                                        11/200 trials  0:10  about 2:38 left",
        "2 running  4 complete  6 pruned  1 failed  1.1 trials/s  2 CPUs, 46% in training",
        "best: trial 3  accuracy 0.9375  ▁▅▅█",
        "  layers=1 neurons_1=5 activation=relu optimizer=adam batch_size=32 …",
        "  trial  epoch  accuracy  parameters",
        "    500    4/9    0.6250  layers=1 neurons_1=502 activation=relu …",
        "    501    1/9    0.5000  layers=1 neurons_1=503 activation=relu …",
        "last failures",
        "    300  error after epoch 1: boom",
    ]


def test_a_narrow_terminal_drops_columns(spec):
    """At 40 columns what does not fit is left out, and nothing is wrapped."""
    tally = tally_of(spec, 2, [0.5, 0.9375], failures=["a very long line " * 9])
    lines = shown(tally, 40)
    assert lines[2:7] == [
        "2 running  2 complete  0 pruned",
        "best: trial 1  accuracy 0.9375  ▁█",
        "  layers=1 neurons_1=3 activation=relu …",
        "  trial  epoch  accuracy  parameters",
        "    500    1/9    0.5000  layers=1 …",
    ]
    assert lines[-1] == "    300  error after epoch 1: a very lo…"
    assert all(len(line) <= 40 for line in lines)


def test_more_trials_than_lines(spec):
    """The rest of them is counted."""
    tally = tally_of(spec, 30, [0.5, 0.9])
    lines = shown(tally, 80, 23)
    assert len(lines) == 23
    assert lines[-1] == "  and 14 more"
    assert sum(line.startswith("    5") for line in lines) == 16
    assert "and" not in " ".join(shown(tally, 80, 36)[6:])


@pytest.mark.parametrize("width", [40, 80, 200])
@given(
    running=st.integers(0, 40),
    values=st.lists(st.floats(-1e9, 1e9), max_size=30),
    pruned=st.integers(0, 20),
    failures=st.lists(st.text(max_size=300), max_size=5),
    height=st.integers(1, 60),
    seconds=st.floats(0, 1e7),
)
@settings(max_examples=40, deadline=None)
def test_it_fits(spec, width, running, values, pruned, failures, height, seconds):
    """Whatever there is to show, no line is wider than the terminal and none is below it; the
    trials that ended are counted unless there is but one line for them."""
    tally = tally_of(spec, running, values, pruned, failures)
    lines = shown(tally, width, height, BEGAN + seconds)
    assert len(lines) <= height
    assert all(cell_len(line) <= width for line in lines)
    assert f"{tally.total}/200 trials" in " ".join(lines)
    if height > 2:
        assert f"{running} running" in " ".join(lines)


def test_before_there_is_anything(spec):
    """Ray takes seconds to start, and the picture says so."""
    assert shown(Tally(spec, "ray"), 80)[1:] == [" " * 42 + "0/200 trials", "starting ray ..."]


def test_a_sparkline():
    """From the lowest to the highest; the last of each stretch; a constant is low."""
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"
    assert sparkline([1, 1, 1], 8) == "▁▁▁"
    assert sparkline([0.5] * 90 + [1.0] * 10, 10) == "▁▁▁▁▁▁▁▁▁█"
    assert sparkline([-9, *range(20)], 4)[-1] == "█"


def test_how_far_trials_go():
    """The product-limit estimate, by hand: half of the trials are pruned after epoch 1 of 9, and
    of those that go on one of two after epoch 3."""
    assert expected_epochs({}, [1, 1], 9, 0) == 9, "nothing is known yet"
    assert expected_epochs({1: 2, 3: 1}, [3], 9, 0) == pytest.approx(1 + 0.5 * 2 + 0.25 * 6)
    assert expected_epochs({1: 2, 3: 1}, [3], 9, 1) == pytest.approx(2 + 0.5 * 6)
    assert expected_epochs({1: 2, 3: 1}, [3], 9, 3) == 6
    assert expected_epochs({1: 2, 9: 2}, [], 9, 9) == 0


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_the_expected_epochs_are_their_mean(seed):
    """With nothing running, they are the mean of the epochs after which trials ended."""
    random = Random(seed)
    drawn = [random.choice([0, 1, 3, 9]) for _ in range(50)]
    ends = {epochs: drawn.count(epochs) for epochs in set(drawn)}
    assert expected_epochs(ends, [], 9, 0) == pytest.approx(sum(drawn) / 50)
    longer = [epochs for epochs in drawn if epochs > 1]
    assert expected_epochs(ends, [], 9, 1) == pytest.approx(sum(longer) / len(longer) - 1)


def test_the_time_that_is_left(spec):
    """Work that is left by prediction, at the pace of what was done."""
    tally = tally_of(spec, values=[0.5] * 50)  # 50 of 200 trials in 10 s
    assert tally.left(BEGAN + 10) == pytest.approx(30)
    assert tally.left(BEGAN + 1) is None, "too early to tell"
    assert tally.rate(BEGAN + 10) == 5
    tally.spec = replace_search(spec, wall_time=12.0)
    assert tally.left(BEGAN + 10) == pytest.approx(2)
    tally.spec = replace_search(spec, cpu_time=100.0)  # of which 50 are spent
    assert tally.left(BEGAN + 10) == pytest.approx(10)


def test_the_time_that_is_left_counts_what_runs(spec):
    """An epoch of a running segment counts when it ends, not when the trial does."""
    tally = Tally(replace_search(spec, trials=1), cpus=1, ready=BEGAN)
    tally.see(standing(0))
    assert tally.left(BEGAN + 60) is None
    tally.signs = {0: Sign(3, 0.5, BEGAN)}
    assert tally.left(BEGAN + 60) == pytest.approx(120)
    assert tally.share(BEGAN + 60) == pytest.approx(1)


def test_no_time_is_left_to_tell_before_some_is_done(spec):
    """Four of 200 trials, 2 % of the work, are no pace; five are, and so is a twentieth of it."""
    assert tally_of(spec, values=[0.5] * 4).left(BEGAN + 10) is None
    assert tally_of(spec, values=[0.5] * 5).left(BEGAN + 10) == pytest.approx(390)
    few = tally_of(replace_search(spec, trials=40), values=[0.5] * 2)
    assert few.left(BEGAN + 10) == pytest.approx(190)


def replace_search(spec, **changes):
    return spec.model_copy(update={"search": spec.search.model_copy(update=changes)})


def test_a_tally_is_what_the_record_says(tmp_path):
    """From the events of a whole run: counts, best, sparkline and pace are those of its trials."""
    spec = small(tmp_path, trials=40)
    tally = Tally(spec, "serial")
    seen = []
    for i, event in enumerate(events(spec, tmp_path / "sweep.db")):
        if (trial := tally.take(event, BEGAN + i)) is not None:
            seen.append(trial)
    study = load("small", tmp_path / "sweep.db")
    assert dict(tally.counts) == study.counts
    assert tally.best.number == study.best.number
    assert tally.curve[-1] == study.best.value
    assert tally.curve == sorted(tally.curve)
    assert tally.state == "complete"
    assert not tally.running
    assert sorted(trial.number for trial in seen) == list(study.trials["number"])
    epochs = study.trials.loc[~study.trials["outcome"].isin(["duplicate"])]
    assert tally.work == pytest.approx((epochs["predicted_cost"] * epochs["epochs"] / 9).sum())
    assert tally.trained == pytest.approx(study.trials["seconds"].sum())


def test_decisions_of_an_earlier_session_are_no_pace(tmp_path):
    """A study that goes on replays what it knows in no time: it counts, but not as speed."""
    spec = small(tmp_path, trials=20)
    for _ in events(spec, tmp_path / "sweep.db"):
        pass
    longer = small(tmp_path, trials=30)
    tally = Tally(longer, "serial")
    for event in events(longer, tmp_path / "sweep.db"):
        tally.take(event, BEGAN)
    assert tally.counts.total() >= 30
    assert tally.ended <= 10


def test_signs_of_life_are_seen(spec):
    """A tick tells how far running trials are."""
    tally = tally_of(spec, 1)
    beat = Beat(500, 0, BEGAN, 5, 0.75, 0)
    tally.take(Tick({500: beat}), BEGAN)
    assert "5/9    0.7500" in " ".join(shown(tally, 80))


def test_lines_of_a_short_study(spec):
    """A line for each trial, as long as they are not too many at once."""
    written, tally = [], tally_of(spec)
    lines = Lines(written.append)
    for number in range(BURST):
        lines.tell(tally, tally.see(complete(number, 0.5 + number % 7 / 100)), BEGAN)
        lines.sum_up(tally, BEGAN)
    assert len(written) == BURST
    assert (
        written[0] == "[1/200] trial 0 finished after 9 epochs accuracy 0.5000, the best so far\n"
    )
    assert written[7] == "[8/200] trial 7 finished after 9 epochs accuracy 0.5000\n"
    assert sum("the best" in line for line in written) == 7


@pytest.mark.parametrize(("rate", "most"), [(1, 10_000), (2, 10_000), (50, 700), (500, 300)])
def test_ten_thousand_trials_are_no_ten_thousand_lines(spec, rate, most):
    """Unless they are few a second; all of them are counted in lines that sum up."""
    written, tally = [], Tally(replace_search(spec, trials=10_000), cpus=2, ready=BEGAN)
    lines = Lines(written.append)
    for number in range(10_000):
        now = BEGAN + number / rate
        trial = standing(number, "pruned", outcome="pruned", epochs=1, done=1)
        lines.tell(tally, tally.see(trial, 1, 0.0), now)
        lines.sum_up(tally, now)
    lines.sum_up(tally, now, at_once=True)
    single = [line for line in written if " trials ended: " not in line]
    summed = sum(int(line.split()[1]) for line in written if " trials ended: " in line)
    assert len(single) + summed == 10_000
    assert len(written) <= most
    assert written[-1].startswith("[10000/10000]")
    assert (rate <= 2) == (len(single) == 10_000)


def test_a_failure_says_why():
    """Of a traceback the last line, of anything else the first."""
    trace = "Traceback (most recent call last):\n  File 1\nValueError: no such thing\n"
    assert standing(0, error=trace).reason == "ValueError: no such thing"
    assert standing(0, error="killed on request\nby hand").reason == "killed on request"
    assert standing(0, error="\x1b[2Jgone\tbad").reason == "[2Jgone bad"
    assert standing(0).reason == ""


def test_a_study_that_goes_on_tells_what_is_new(tmp_path, capsys):
    """Of an extended study too, some of whose decisions are taken anew; and the best so far is the
    best of all that were told."""
    for trials in (8, 12):
        spec = small(tmp_path, trials=trials)
        display(spec, "serial", events(spec, tmp_path / "s.db"))
    told = capsys.readouterr().err
    assert "going on after trial 7, 8 trials ended" in told
    assert Counter(re.findall(r"\] trial (\d+)", told)) == Counter(map(str, range(12)))
    best = [float(value) for value in re.findall(r"accuracy ([\d.]+), the best so far", told)]
    assert best == sorted(set(best))

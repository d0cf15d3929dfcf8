"""Figures: what their traces hold, on every kind of study, and how much of a large one."""

import re
from collections import Counter
from datetime import timedelta
from functools import cached_property

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from sweep import plots, studyfile
from sweep.errors import UsageError
from sweep.loop import Opened
from sweep.plots import PLOTS, Plots
from sweep.plots.clock import PAUSE, clock
from sweep.plots.order import decisions
from sweep.plots.shown import evenly, tried
from sweep.plots.style import DARK, INK, LIGHT, MIDDLE, SCALE, log_ticks, shown_range
from sweep.plots.survival import fates
from sweep.pruners import rungs as rungs_of
from sweep.results import Study, load
from sweep.store import Store, locate
from sweep.store.batch import Batch
from tests.sweep import records
from tests.sweep.studies import EMBEDDED, SMALL, events, finish, write

OBJECTIVES = """
name = "two"
[data]
source = "sklearn:iris"
[space]
neurons = { low = 2, high = 16 }
learning_rate = { low = 1e-3, high = 1e-1, log = true }
[train]
epochs = 2
[search]
trials = 30
pruner = "none"
sampler = "random"
objectives = ["accuracy", "parameters"]
"""

OWN = """
name = "own"
[data]
source = "sklearn:iris"
[space]
rate = { low = 0.1, high = 1.0 }
size = [16, "full"]
[train]
epochs = 3
function = "tests.sweep.trainers:plain"
[search]
trials = 12
"""


DIVERGING = (
    SMALL.replace("high = 1.0, log", "high = 1e12, log")
    .replace("epochs = 9", 'epochs = 9\nmetric = "log_loss"')
    .replace("trials = 24", 'trials = 32\npruner = "none"\nsampler = "random"')
)


class Once(Study):
    """A study at its end, whose tables are read once."""

    trials = cached_property(lambda self: Study.trials.fget(self))
    events = cached_property(lambda self: Study.events.fget(self))
    attempts = cached_property(lambda self: Study.attempts.fget(self))
    leader = cached_property(lambda self: Study.leader.fget(self))
    importances = cached_property(lambda self: Study.importances.fget(self))


def searched(trials, *lines):
    """The small study with other lines in its [search] table."""
    return "\n".join([SMALL.replace("trials = 24", f"trials = {trials}").rstrip(), *lines])


STUDIES = {
    "hyperband": (searched(40), ()),
    "halving": (searched(40, 'pruner = "successive_halving"', "reduction_factor = 2"), ()),
    "promotion": (searched(24, 'pruner = "promotion"'), ("importances",)),
    "wilcoxon": (searched(12, 'pruner = "wilcoxon"', "replicates = 3"), ("importances",)),
    "folds": (
        searched(12, 'pruner = "none"', "replicates = 3", 'resample = "folds"'),
        ("importances",),
    ),
    "constraint": (
        searched(32, 'pruner = "none"', "constraints = { parameters = { high = 60 } }"),
        (),
    ),
    "conditional": (EMBEDDED.replace("trials = 24", "trials = 16"), ("importances",)),
    "diverging": (DIVERGING, ("importances",)),
    "two": (OBJECTIVES, ()),
    "own": (OWN, ("importances",)),
}
"""Studies, and the figures that they lack beside the Pareto front of one objective."""

HAD = [
    (name, kind)
    for name, (_, lacking) in STUDIES.items()
    for kind in PLOTS
    if kind not in lacking and (kind != "pareto" or name == "two")
]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The studies by name, each run when it is first asked for."""
    known = {}

    def named(name):
        if name not in known:
            folder = tmp_path_factory.mktemp(name)
            spec = studyfile.load(write(folder, STUDIES[name][0]))
            its = finish(spec, folder / "sweep.db", allow_code=True)
            known[name] = Once(its.name, its.place)
        return known[name]

    return named


@pytest.mark.parametrize(("name", "kind"), HAD)
def test_every_figure_of_every_study(study, name, kind):
    """It has data, a title that names the study and its trials, and axes that say what they are."""
    its = study(name)
    figure = PLOTS[kind](its)
    assert figure.data
    assert figure.layout.title.text.endswith(f" of {its.name}")
    under = figure.layout.title.subtitle.text
    assert under.startswith(f"{its.name} · complete · {len(its.trials)} trials: ")
    assert all(len(line) <= 90 for line in under.split("<br>"))
    assert figure.layout.margin.t >= 50 + 15 * len(under.split("<br>"))
    titles = [axis.title.text for axis in (*figure.select_xaxes(), *figure.select_yaxes())]
    named = [*titles, *(each.text for each in figure.layout.annotations)]
    assert any(named)
    if kind not in ("parallel", "slice"):  # where the names of parameters are elsewhere
        ys = () if kind == "ledger" else figure.select_yaxes()  # its y are words
        shown = [axis for axis in (*figure.select_xaxes(), *ys) if _is_outer(axis)]
        assert all(axis.title.text for axis in shown), titles
    assert figure.layout.legend.y is None, "its place is the template's, below the axes"
    assert go.Figure(figure.to_dict()).data, "it is JSON"


def _is_outer(axis):
    return axis.visible is not False and axis.showticklabels is not False and not axis.matches


@pytest.mark.parametrize("name", STUDIES)
def test_figures_that_a_study_lacks(study, name):
    """Each says in a line what is missing."""
    its = study(name)
    for kind in PLOTS:
        if (name, kind) not in HAD:
            with pytest.raises(
                UsageError, match=f"study '{its.name}' has (no importances|one obj)"
            ):
                PLOTS[kind](its)


def test_methods_are_the_functions_of_the_table(study):
    """`study.plot.KIND` is `plots.KIND(study)`, with its options and its docstring."""
    its = study("halving")
    assert isinstance(its.plot, Plots)
    assert {name for name in vars(Plots) if name in PLOTS} == {*PLOTS} <= {*plots.__all__}
    for kind, plot in PLOTS.items():
        assert getattr(plots, kind) is plot
        assert getattr(Plots, kind).__doc__ == plot.__doc__
    assert its.plot.curves([1, 2], log_x=False) == plots.curves(its, [1, 2], log_x=False)


# The values.


def points_of(figure, *groups):
    """The markers of a figure as pairs, of some kinds of trials or of all."""
    return sorted(
        (x, y)
        for trace in figure.data
        if trace.type.startswith("scatter")
        and trace.mode == "markers"
        and (not groups or trace.legendgroup in groups)
        for x, y in zip(trace.x, trace.y, strict=True)
    )


@pytest.mark.parametrize("name", ["hyperband", "constraint", "diverging", "two", "wilcoxon"])
def test_history_has_every_value_and_the_best_so_far(study, name):
    """Markers are the trials that have a value; the line is the best feasible complete one."""
    its = study(name)
    trials = its.trials
    column = "values_accuracy" if name == "two" else "value"
    valued = trials[trials[column].notna()]
    figure = plots.history(its)
    assert points_of(figure) == sorted(zip(valued["number"], valued[column], strict=True))
    feasible = trials[trials["state"] == "COMPLETE"]
    if name == "constraint":
        assert (feasible["violation_parameters"] > 0).any(), "some break it"
        feasible = feasible[feasible["violation_parameters"] == 0]
    best = feasible[column].cummin() if its.direction == "minimize" else feasible[column].cummax()
    (line,) = (trace for trace in figure.data if trace.mode == "lines")
    assert [*line.x] == [*feasible["number"], valued["number"].max()] or name == "diverging"
    assert [*line.y[:-1]] == [*best]
    assert line.y[-1] == its.best.value


def test_history_over_time_and_cost(study):
    """In the order in which trials ended, after so many seconds and so much training."""
    its = study("hyperband")
    ended = its.trials.sort_values("datetime_complete")
    began = its.attempts["queued"].min()
    time, cost = (points_of(plots.history(its, x)) for x in ("time", "cost"))
    begun = min(began, its.events["time"].min())
    seconds = (ended["datetime_complete"] - begun).dt.total_seconds()
    assert [x for x, _ in time] == pytest.approx([*seconds])
    assert [x for x, _ in cost] == pytest.approx([*ended["seconds"].cumsum()])
    assert [y for _, y in time] == [y for _, y in cost] == [*ended["value"]]
    with pytest.raises(UsageError, match="'epoch': must be one of trial, time, cost"):
        plots.history(its, "epoch")


def test_the_distribution_is_that_of_the_values(study):
    """Each line is the empirical distribution, of complete trials and with the pruned ones."""
    its = study("hyperband")
    trials = its.trials
    figure = plots.edf(its)
    for trace, values in zip(
        figure.data, (trials["value"][trials["state"] == "COMPLETE"], trials["value"]), strict=True
    ):
        shares = [(values <= x).mean() for x in trace.x]
        assert np.allclose(trace.y, shares)
    assert figure.data[0].line.dash != figure.data[1].line.dash


@pytest.mark.parametrize("name", ["halving", "folds", "wilcoxon", "diverging", "own"])
def test_curves_are_the_means_of_the_epochs(study, name):
    """Every epoch of every trial, as a mean of its replicates; the best one is the last line."""
    its = study(name)
    means = its.epochs.groupby(["trial", "epoch"])["validation_metric"].mean()
    figure = plots.curves(its)
    drawn = [
        (int(re.search(r"trial (\d+)", text)[1]), x, y)
        for trace in figure.data
        for x, y, text in zip(trace.x, trace.y, trace.hovertext, strict=True)
        if x is not None
    ]
    assert len(drawn) == len(means)
    for trial, epoch, value in drawn:
        assert value == means[trial, epoch] or (np.isnan(value) and np.isnan(means[trial, epoch]))
    assert figure.data[-1].name == f"best: trial {its.best.number}"
    assert figure.data[-1].line.width > 2 * max(trace.line.width for trace in figure.data[:-1])


def test_curves_of_some_trials(study):
    """Those that are named, each with a look of its own; one that is not there is refused."""
    its = study("halving")
    figure = its.plot.curves([3, 1, its.best.number])
    assert {trace.name.split()[-1] for trace in figure.data} == {"1", "3", str(its.best.number)}
    looks = {(trace.line.color, trace.line.dash, trace.marker.symbol) for trace in figure.data}
    assert len(looks) == len(figure.data)
    assert figure.layout.xaxis.type == "log"
    assert [*figure.layout.xaxis.tickvals] == [1, *rungs_of(its.spec, 0)]
    assert its.plot.curves(log_x=False).layout.xaxis.type is None
    with pytest.raises(UsageError, match="no trial 1000"):
        its.plot.curves([1, 1000])


@pytest.mark.parametrize("name", ["hyperband", "halving", "promotion", "diverging", "two"])
def test_rungs_count_who_got_there_and_what_became_of_them(study, name):
    """By the epochs that trials came to, which is another way to count than by events."""
    its = study(name)
    table, trials = fates(its, tried(its)), its.trials
    drawn = Counter()
    for trace in plots.rungs(its).data:
        if trace.type == "bar":
            drawn[trace.legendgroup] += sum(trace.y)
    assert drawn == Counter({fate: table[fate].sum() for fate in drawn})
    for rung, rows in table.groupby("rung"):
        own = [rungs_of(its.spec, number) for number in trials["number"]]
        before = [max((r for r in (0, *its_own) if r < rung), default=0) for its_own in own]
        has = np.array([rung in its_own for its_own in own])
        reached = trials[has & (trials["epochs"] > before)]
        on = reached[
            (reached["epochs"] > rung)
            | ((reached["epochs"] == rung) & (reached["state"] == "COMPLETE"))
        ]
        assert rows["reached"].sum() == len(reached)
        assert rows["on"].sum() == len(on)
        assert rows["failed"].sum() == (reached["value"].isna() & (reached["epochs"] <= rung)).sum()


def test_rungs_of_replicates(study):
    """Wilcoxon's pruner judges after each replicate, so these are the rungs."""
    its = study("wilcoxon")
    count = its.epochs.groupby("trial")["replicate"].nunique()
    table = fates(its, tried(its))
    assert [*table["rung"]] == [1, 2, 3][: len(table)]
    assert [*table["reached"]] == [(count >= rung).sum() for rung in table["rung"]]


# What was searched.


def test_slices_have_every_trial_over_each_parameter(study):
    """The x of a panel is the parameter, y the value; diverged trials are at the worst end."""
    its = study("diverging")
    trials = its.trials
    worst = max(y for _, y in points_of(plots.slice(its, ["optimizer"]), "failed"))
    shown = plots.slice(its).layout.yaxis.range or (0, trials["value"].max())
    assert trials["value"].median() < worst <= shown[1]
    expected = trials["value"].fillna(worst)
    for name in ("learning_rate", "neurons_2", "optimizer"):
        has = trials[f"params_{name}"].notna()
        found = points_of(plots.slice(its, [name]))
        assert found == sorted(zip(trials.loc[has, f"params_{name}"], expected[has], strict=True))
    assert plots.slice(its, ["learning_rate"]).layout.xaxis.type == "log"
    assert plots.slice(its, ["optimizer"]).layout.xaxis.type == "category"
    assert {note.text for note in plots.slice(its).layout.annotations} == {
        name.removeprefix("params_") for name in trials if name.startswith("params_")
    }


@pytest.mark.parametrize("kind", ["slice", "parallel", "contour", "rank"])
def test_parameters_that_are_not_there(study, kind):
    """The error names those that are."""
    with pytest.raises(UsageError, match=r"no parameter 'momentun': use some of layers, .*_rate"):
        getattr(study("halving").plot, kind)(["layers", "momentun"])


def test_parallel_coordinates_are_the_complete_trials(study):
    """A line for each, the darker the better, and the best on top; dotted beyond a constraint."""
    its = study("constraint")
    done = its.trials[its.trials["state"] == "COMPLETE"]
    lines = [
        trace
        for trace in plots.parallel(its).data
        if trace.mode == "lines" and trace.y[0] is not None
    ]
    values = sorted(done["value"])
    drawn = [trace.y[0] * (values[-1] - values[0]) + values[0] for trace in lines]
    assert sorted(drawn) == pytest.approx(values)
    assert f"trial {its.best.number}<" in lines[-1].hovertemplate
    assert (lines[-1].line.color, lines[-1].line.dash) == (INK, "solid")
    dotted = sum(trace.line.dash == "dot" for trace in lines)
    assert dotted == (done["violation_parameters"] > 0).sum() > 0


def test_parallel_coordinates_have_no_half_layers(study):
    """Ticks of whole numbers are whole numbers, and those of others are not left out."""
    figure = plots.parallel(study("halving"))
    names = figure.layout.xaxis.ticktext
    ticks = {name: [] for name in names}
    for each in figure.layout.annotations:
        ticks[names[int(each.x)]].append(each.text)
    assert ticks["layers"] == ["0", "1", "2"]
    assert ticks["batch_size"]
    assert len([text for text in ticks["learning_rate"] if "." in text]) >= 2


def test_contours_have_the_best_of_each_cell(study):
    """The best value is in the surface, and the trials are where their parameters are."""
    its = study("two")
    figure = plots.contour(its, ["learning_rate", "neurons_1"])
    (surface,) = (trace for trace in figure.data if trace.type == "contour")
    assert np.nanmax(np.array(surface.z, dtype=float)) == its.trials["values_accuracy"].max()
    assert points_of(figure) == sorted(
        zip(its.trials["params_learning_rate"], its.trials["params_neurons_1"], strict=True)
    )
    least, most = its.trials["params_learning_rate"].min(), its.trials["params_learning_rate"].max()
    assert all(least <= x <= most for x in surface.x[1:-1]), "the axes were not mixed up"
    swapped = plots.contour(its, ["neurons_1", "learning_rate"]).data[0]
    assert np.array_equal(np.array(swapped.z, float), np.array(surface.z, float).T, equal_nan=True)


def test_ranks_are_those_that_samplers_see(study):
    """Complete trials before pruned ones, of these the later and better first; diverged last."""
    its = study("halving")
    trials = its.trials
    figure = plots.rank(its, ["learning_rate", "batch_size"])
    colours = dict(zip(figure.data[0].x, figure.data[0].marker.color, strict=True))
    drawn = trials["params_learning_rate"].map(colours)
    by = [trials["state"] == "COMPLETE", trials["epochs"], trials["value"]]
    order = np.lexsort([key.to_numpy() for key in reversed(by)])
    assert [*drawn.iloc[order]] == sorted(drawn)
    assert (drawn.min(), drawn.max()) == (0, 1)


def test_importances_of_many_parameters_stay_readable(study, monkeypatch):
    """Beyond the most that are shown, the others are one bar; together they are 1."""
    monkeypatch.setattr(plots.searched, "BARS", 3)
    (bars,) = plots.importances(study("hyperband")).data
    shares = study("hyperband").importances
    assert len(bars.y) == 4
    assert bars.y[0] == f"{len(shares) - 3} others"
    assert sum(bars.x) == pytest.approx(1)
    assert dict(zip(bars.y[:0:-1], bars.x[:0:-1], strict=True)) == dict([*shares.items()][:3])


# Where the time went.


def test_the_ledger_is_the_ledger(study):
    """The bars are its parts, and the share of CPU time that trained."""
    its = study("halving")
    figure, found = plots.ledger(its), its.ledger
    training, loading, rest, parts = figure.data
    assert [*parts.x][::-1] == [*found.total]
    assert training.x[0] + loading.x[0] + rest.x[0] == pytest.approx(found.cpu_seconds)
    assert f"{found.share:.1%} of " in figure.layout.title.subtitle.text


def test_the_timeline_is_that_of_the_attempts(study):
    """A rectangle for each segment, from when it began to when it ended, on its worker's row."""
    its = study("hyperband")
    attempts = its.attempts
    began = attempts["started"].min()
    rows = {
        worker: i for i, worker in enumerate(attempts.sort_values("started")["worker"].unique(), 1)
    }
    expected = sorted(
        (
            (at.started - began).total_seconds(),
            (at.finished - began).total_seconds(),
            rows[at.worker],
        )
        for at in attempts.itertuples()
    )
    drawn = sorted(
        (trace.x[i], trace.x[i + 1], trace.y[i] + 0.4)
        for trace in plots.timeline(its).data
        if trace.fill == "toself"
        for i in range(0, len(trace.x), 5)
    )
    assert np.allclose(drawn, expected)


@pytest.mark.parametrize("name", ["hyperband", "promotion", "wilcoxon", "diverging", "folds"])
def test_decisions_are_about_every_report(study, name):
    """As many as trials came to rungs; each after its reports, in the order of virtual time."""
    its = study(name)
    found = decisions(its)
    assert len(found) == fates(its, tried(its))["reached"].sum()
    assert found["virtual_time"].is_monotonic_increasing
    assert found["decided"].is_monotonic_increasing
    assert (found["decided"] >= found["arrived"]).all()
    received = its.attempts.groupby("trial")["received"].max()
    began = min(its.attempts["queued"].min(), its.events["time"].min())
    last = (received - began).dt.total_seconds()
    assert np.allclose(found.groupby("trial")["arrived"].max(), last)
    figure = plots.decision_order(its)
    by_name = {trace.name: trace for trace in figure.data}
    assert [*by_name["decided"].y] == [*found["decided"]]
    assert [*by_name["report arrived"].y] == [*found["arrived"]]
    assert [*by_name["driver waited"].y[1::3]] == [*found["driver"]]


def test_the_clock_leaves_out_pauses():
    """Of an hour in which nothing was out nothing is counted, of short gaps everything."""
    at = pd.Timestamp("2026-01-01", tz="UTC")
    seconds = [(0, 10), (5, 20), (20 + PAUSE, 100), (4000, 4010)]
    out = pd.DataFrame(
        [(at + pd.Timedelta(seconds=a), at + pd.Timedelta(seconds=b)) for a, b in seconds]
    )
    times = at + pd.to_timedelta(pd.Series([0, 10, 90, 100, 4000, 4010]), unit="s")
    assert [*clock(out)(times)] == [0, 10, 90, 100, 100, 110]
    moments = pd.Series([at + pd.Timedelta(seconds=100 + PAUSE)])
    assert clock(out, moments)(times).iloc[-1] == 100 + PAUSE + 10


# Several objectives.


def test_the_front_is_that_of_the_study(study):
    """Those that nothing beats are drawn apart, all the others once."""
    its = study("two")
    figure = plots.pareto(its)
    front = its.pareto
    marked = points_of(figure, "front", "best")
    columns = ["values_accuracy", "values_parameters"]
    assert {*map(tuple, front[columns].to_numpy())} <= {*marked}
    assert points_of(figure) == sorted(map(tuple, its.trials[columns].to_numpy()))
    assert figure.layout.xaxis.title.text == "accuracy<br>(higher is better)"
    assert figure.layout.yaxis.title.text == "parameters<br>(lower is better)"
    with pytest.raises(UsageError, match="name two or more of accuracy, parameters"):
        its.plot.pareto(["accuracy", "loss"])


# Looks.


def lightness(colour):
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_differ_without_their_hue():
    """In greys, those of figures lie well apart, and the scale of values never turns back."""
    inks = [lightness(colour) for colour in (INK, DARK, MIDDLE, LIGHT, "#ffffff")]
    assert min(np.diff(inks)) > 30
    assert max(np.diff([lightness(colour) for colour in SCALE])) < -30


@pytest.mark.parametrize(
    ("values", "direction", "shown"),
    [
        ([0.1, 0.2, 0.3, 0.99], "maximize", None),
        ([50, 51, 52, 60], "minimize", None),
        ([*range(50, 70), 1e12], "minimize", (48.86, 70.14)),
        ([*range(50, 70), -1e12], "maximize", (48.86, 70.14)),
        ([*range(50, 70), np.nan, np.inf], "minimize", None),
        ([3.0, 3.0, 3.0, 3.0, 5.0], "minimize", None),
        ([1e9], "minimize", None),
    ],
)
def test_axes_leave_out_what_is_far_worse(values, direction, shown):
    """What diverged does not squeeze the rest into a line; shares are shown whole."""
    assert shown_range(values, direction) == (shown and pytest.approx(shown))


def test_ticks_of_log_axes():
    """Powers of ten on a long axis, few on a very long one, 1, 2, 5 on a short one."""
    assert log_ticks(1e-4, 1e-1)["dtick"] == 1
    assert log_ticks(1e-6, 1e6)["dtick"] == 3
    assert [*log_ticks(16, 256)["tickvals"]] == [10, 20, 50, 100, 200, 500]


# Scale.


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Ten thousand trials on record, made up: a third of those at each rung goes on."""
    folder = tmp_path_factory.mktemp("large")
    text = SMALL.replace('name = "small"', 'name = "large"').replace(
        "trials = 24", "trials = 10000"
    )
    spec = studyfile.load(write(folder, text + 'pruner = "successive_halving"\n'))
    luck = np.random.default_rng(0)
    batch, step = Batch(), 0
    for number in range(10_000):
        params = {
            "layers": int(luck.integers(0, 3)),
            "neurons_1": int(luck.integers(2, 17)),
            "neurons_2": int(luck.integers(2, 17)),
            "activation": str(luck.choice(["relu", "tanh", "signum"])),
            "optimizer": str(luck.choice(["sgd", "momentum", "adam"])),
            "batch_size": int(luck.integers(4, 65)),
            "learning_rate": float(10 ** luck.uniform(-4, 0)),
        }
        batch.started.append(records.trial(number, params=params))
        epochs = 9 if number % 9 == 0 else 3 if number % 3 == 0 else 1
        curve = [records.epoch(number, epoch) for epoch in range(1, epochs + 1)]
        value = float(np.round(luck.uniform(), 6))
        batch.epochs += [row | {"validation_metric": value * row["epoch"] / 9} for row in curve]
        for start, until in ((0, 1), (1, 3), (3, 9)):
            if until <= epochs:
                step += 1
                times = _times(step)
                batch.attempts.append(
                    records.attempt(
                        number, start, until, worker=f"w{step % 64}", accepted=True, **times
                    )
                )
                last = "complete" if until == 9 else "pruned"
                event = "running" if until < epochs else last
                row = records.event(step, event, number, until, value)
                batch.events.append(row | {"time": times["received"], "virtual_time": step / 10})
        ended = {"value": value * epochs / 9, "epochs": epochs, "outcome": "finished"}
        ended |= {"datetime_complete": times["received"], "seconds": 0.1 * epochs}
        batch.decided.append(records.decided(number, last if epochs < 9 else "complete", **ended))
    with Store(folder / "s.db") as store:
        lease = store.claim("large", studyfile.to_json(spec), "data", "0")
        store.write(lease, batch)
        store.release(lease, "complete")
    return Once("large", locate(folder / "s.db"))


def _times(step):
    began = records.TIME + timedelta(milliseconds=10 * step)
    ended = began + timedelta(milliseconds=500)
    names = {"queued": began, "sent": began, "started": began, "loaded": began}
    return names | {"finished": ended, "received": ended}


BOUNDS = {
    "history": (5, 12_000, 4),
    "curves": (8, 1_000, 1),
    "rungs": (8, 100, 1),
    "importances": (1, 21, 1),
    "slice": (40, 8_000, 4),
    "parallel": (202, 2_000, 1),
    "contour": (30, 1_500, 2),
    "rank": (30, 6_100, 4),
    "edf": (2, 200, 1),
    "timeline": (8, 100_000, 5),
    "ledger": (4, 10, 1),
    "decision_order": (4, 75_000, 5),
}
"""Of ten thousand trials: the most traces, points, and megabytes of HTML."""


@pytest.mark.parametrize("kind", BOUNDS)
def test_ten_thousand_trials(large, kind):
    """However many trials there are, a figure stays within what a browser shows, and says so if it
    shows a part of them."""
    figure = PLOTS[kind](large)
    traces, points, megabytes = BOUNDS[kind]
    assert len(figure.data) <= traces
    assert sum(len(trace.x) for trace in figure.data if trace.x is not None) <= points
    assert len(figure.to_html(include_plotlyjs=False)) < 1e6 * megabytes
    if kind in ("curves", "slice", "parallel", "contour", "rank"):
        assert re.search(r"of (10,000|1,112)", figure.layout.title.subtitle.text)
    named = {str(trace.name) for trace in figure.data}
    if kind in ("history", "curves", "slice", "contour", "rank"):
        assert f"best: trial {large.leader}" in named, "the best is always shown"


def test_bands_are_quantiles_of_all_curves(large):
    """Of those that reached an epoch, whether their curves are drawn or not."""
    figure = plots.curves(large)
    (median,) = (trace for trace in figure.data if trace.name == "median")
    metric = large.epochs.groupby("epoch")["validation_metric"]
    assert [*median.y] == [*metric.median()]
    (band,) = (trace for trace in figure.data if trace.name == "5% to 95%")
    half = len(band.x) // 2
    assert np.allclose(band.y[:half], metric.quantile(0.05))
    assert np.allclose(band.y[half:], metric.quantile(0.95)[::-1])


def test_a_part_of_the_trials_is_an_even_one(large):
    """Half complete, from the best to the worst by rank; all of them where they are few."""
    trials = tried(large)
    part = evenly(trials, 100)
    done = part[part["state"] == "COMPLETE"]
    assert len(part) in (100, 101)
    assert len(done) in (50, 51)
    assert part["number"].is_monotonic_increasing
    whole = trials[trials["state"] == "COMPLETE"]["objective"]
    assert (done["objective"].min(), done["objective"].max()) == (whole.min(), whole.max())
    assert done["objective"].median() == pytest.approx(whole.median(), abs=0.03)
    assert evenly(trials, 20_000) is trials
    left_out = trials.index.difference(part.index)[5000]
    other = trials.assign(kind=trials["kind"].mask(trials.index == left_out, "best"))
    assert left_out in evenly(other, 100).index, "the best one, wherever it stands"


# Studies that are not at their end.


@pytest.mark.parametrize("kind", PLOTS)
def test_a_running_study(tmp_path, kind):
    """While a study runs, its figures show what there is, or say what is missing."""
    spec = studyfile.load(write(tmp_path, searched(40, 'pruner = "none"')))
    running = events(spec, tmp_path / "s.db")
    assert isinstance(next(running), Opened)
    with pytest.raises(UsageError, match="'small' has"):
        PLOTS[kind](load("small", tmp_path / "s.db"))
    ended = 0
    for event in running:
        ended += getattr(event, "state", None) == "complete"
        if ended == 10:
            break
    its = load("small", tmp_path / "s.db")
    assert its.state == "running"
    if kind in ("importances", "pareto"):
        with pytest.raises(UsageError, match="'small' has"):
            PLOTS[kind](its)
    else:
        assert "small · running · " in PLOTS[kind](its).layout.title.subtitle.text
    running.close()

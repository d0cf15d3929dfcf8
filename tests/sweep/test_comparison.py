"""Studies side by side, and the tests of whether one found better values."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import sweep
from sweep import difference
from sweep.comparison import AXES
from sweep.errors import StudyNotFound, UsageError
from tests.sweep.studies import SMALL, finish, small

FOLDS = SMALL.replace("high = 64", "high = 32")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("comparison")
    path = folder / "sweep.db"
    for name, text, search in (
        ("a", SMALL, {"sampler": "random"}),
        ("b", SMALL, {"sampler": "random", "seed": 7, "trials": 30}),
        ("c", SMALL, {"sampler": "random", "seed": 8, "pruner": "none"}),
        ("loss", SMALL.replace("epochs = 9", 'epochs = 9\nmetric = "log_loss"'), {}),
        ("other", SMALL.replace("sklearn:iris", "sklearn:wine"), {"sampler": "random"}),
        ("folds", FOLDS, {"replicates": 4, "resample": "folds", "trials": 6}),
        ("folds2", FOLDS, {"replicates": 4, "resample": "folds", "trials": 6, "seed": 3}),
        ("seeds", SMALL, {"replicates": 3, "trials": 6}),
        ("seeds2", SMALL, {"replicates": 4, "trials": 6, "seed": 5}),
    ):
        text = text.replace('name = "small"', f'name = "{name}"')
        finish(small(folder, text, **search), path)
    return path


def test_the_trials_of_all_are_one_table(path):
    """Each study's rows, under its name."""
    compared = sweep.compare(["a", "b"], path)
    assert compared.trials.columns[0] == "study"
    for name in ("a", "b"):
        mine = compared.trials[compared.trials["study"] == name].drop(columns="study")
        expected = sweep.load(name, path).trials
        pd.testing.assert_frame_equal(mine.reset_index(drop=True), expected, check_dtype=False)


def test_the_summary_has_a_row_a_study(path):
    """What each found, and what it spent."""
    summary = sweep.compare(["a", "b", "c"], path).summary.set_index("study")
    for name in ("a", "b", "c"):
        study, row = sweep.load(name, path), summary.loc[name]
        assert row["best"] == study.best.value
        assert row["test"] == study.best.test
        assert (row["test_low"], row["test_high"]) == study.best.interval
        assert row["epochs"] == study.trials["epochs"].sum()
        assert row["cpu_seconds"] == pytest.approx(study.epochs["seconds"].sum())


@pytest.mark.parametrize("axis", AXES)
def test_curves_have_their_places_in_common(path, axis):
    """At each place the best value is that of the trials that had ended by then."""
    compared = sweep.compare(["a", "b"], path)
    curves = compared.curves[compared.curves["axis"] == axis]
    wide = curves.pivot(index="x", columns="study", values="best")
    for name in ("a", "b"):
        study, known = sweep.load(name, path), wide[name].dropna()
        assert known.is_monotonic_increasing
        assert known.iloc[-1] == study.best.value
    assert compared.plot(axis).layout.xaxis.title.text == AXES[axis]
    if axis == "trials":
        ended = sweep.load("b", path).trials.sort_values(["datetime_complete", "number"])
        value = ended["value"].where(ended["state"] == "COMPLETE").to_numpy()
        for x, best in wide["b"].dropna().items():
            assert best == np.nanmax(value[: int(x)])


def test_winners_are_compared_on_the_same_test_rows(path):
    """The difference is that of their test scores, and its interval holds it."""
    test = sweep.compare(["a", "b"], path).test.set_index("question")
    row = test.loc["winners"]
    a, b = (sweep.load(name, path).best.test for name in ("a", "b"))
    assert row["difference"] == pytest.approx(a - b)
    assert row["low"] <= row["difference"] <= row["high"]
    assert row["by"] == "test rows"
    values = [
        trials.loc[trials["state"] == "COMPLETE", "value"]
        for trials in (sweep.load(name, path).trials for name in ("a", "b"))
    ]
    assert test.loc["values", "p_value"] == stats.mannwhitneyu(*values).pvalue


def corrected(gaps, folds):
    """The p-value of Nadeau and Bengio's corrected paired t test."""
    n = len(gaps)
    t = np.mean(gaps) / np.sqrt((1 / n + 1 / (folds - 1)) * np.var(gaps, ddof=1))
    return 2 * stats.t.sf(abs(t), n - 1)


def welch(a, b):
    return stats.ttest_ind(a, b, equal_var=False).pvalue


@pytest.mark.parametrize(
    ("names", "reference", "test"),
    [
        (["folds", "folds2"], lambda a, b: corrected(a - b, 4), "paired t, corrected for folds"),
        (["seeds", "seeds2"], lambda a, b: welch(a, b), "Welch's t"),
    ],
)
def test_replicates_are_compared_in_pairs_where_they_are(path, names, reference, test):
    """The same folds make pairs, seeds of their own do not."""
    row = sweep.compare(names, path).test.set_index("question").loc["winners"]
    samples = []
    for name in names:
        study = sweep.load(name, path)
        epochs = study.curves([study.best.number])
        samples.append(epochs[epochs["epoch"] == 9]["validation_metric"].to_numpy())
    assert row["test"] == test
    assert row["p_value"] == pytest.approx(reference(*samples), nan_ok=True)
    assert "confirm" in sweep.compare(names, path).text


@pytest.mark.parametrize(
    ("folds", "seed", "reference", "test"),
    [
        (None, 0, lambda a, b: stats.ttest_rel(a, b).pvalue, "paired t"),
        (None, 5, welch, "Welch's t"),
        (3, 0, lambda a, b: corrected(a - b, 3), "paired t, corrected for folds"),
    ],
)
def test_confirmed_winners_are_compared_by_their_retrainings(
    tmp_path, folds, seed, reference, test
):
    """In pairs where the fresh seeds are the same, which they are of studies of one seed."""
    samples = []
    text = FOLDS.replace("epochs = 9", 'epochs = 9\nmetric = "log_loss"')
    for name, rates, changes in (("one", "1.0", {}), ("two", "0.1", {"seed": seed})):
        text = text.replace(text.splitlines()[1], f'name = "{name}"').replace("1.0", rates)
        study = finish(small(tmp_path, text, trials=6, **changes), tmp_path / "sweep.db")
        confirmed = study.confirm(top=2, seeds=6, folds=folds, backend="serial")
        mine = confirmed.retrainings["trial"] == confirmed.winner
        samples.append(confirmed.retrainings.loc[mine, "value"].to_numpy())
    compared = sweep.compare(["one", "two"], tmp_path / "sweep.db")
    row = compared.test.set_index("question").loc["winners"]
    assert row["test"] == test
    assert row["p_value"] == pytest.approx(reference(*samples), nan_ok=True)


def test_three_studies_are_corrected_for_three_pairs(path):
    """Holm's p-values are not below the plain ones, and the least is three times as large."""
    test = sweep.compare(["a", "b", "c"], path).test
    for _, rows in test.groupby("question"):
        assert len(rows) == 3
        assert (rows["p_holm"] >= rows["p_value"]).all()
        assert rows["p_holm"].min() == pytest.approx(min(1.0, 3 * rows["p_value"].min()))
    assert "by Holm" in test["text"].iloc[0]


def test_a_comparison_shows_itself(path):
    """As text, in a notebook and as a figure."""
    compared = sweep.compare([sweep.load("a", path), "b"], path)
    assert "The winner of" in repr(compared)
    assert "<table" in compared._repr_html_()
    assert [trace.name for trace in compared.plot().data] == ["a", "b"]


@pytest.mark.parametrize(
    ("names", "error", "text"),
    [
        (["a", "loss"], UsageError, "a for accuracy, loss for log_loss"),
        (["a", "other"], UsageError, "not the same training, validation and test rows.*other_data"),
        (["a"], UsageError, "a list of two studies or more"),
        ("ab", UsageError, "a list of two studies or more"),
        (["a", "a"], UsageError, "'a' is given twice"),
        (["a", "nothing"], StudyNotFound, "no study 'nothing'"),
    ],
)
def test_what_cannot_be_compared_is_refused(path, names, error, text):
    """Each refusal names the studies and what differs."""
    with pytest.raises(error, match=text):
        sweep.compare(names, path)
    with pytest.raises(UsageError, match=r"axis = 'second'.*did you mean \"seconds\""):
        sweep.compare(["a", "b"], path).plot("second")


def test_other_data_are_compared_when_asked(path):
    """By the values alone, and with a word about it."""
    compared = sweep.compare(["a", "other"], path, other_data=True)
    assert list(compared.test["question"]) == ["values"]
    assert "what differs may be the data" in compared.text


samples = st.lists(st.floats(-100, 100).map(lambda x: round(x, 2)), min_size=3, max_size=30)


@given(a=samples, b=samples)
def test_tests_are_scipys(a, b):
    """P-values and intervals are those that SciPy gives, and the effects have their sign."""
    found = difference.welch(a, b)
    if np.ptp(a) > 0 and np.ptp(b) > 0:
        expected = stats.ttest_ind(a, b, equal_var=False)
        assert found.p_value == pytest.approx(expected.pvalue)
        assert found.interval == pytest.approx(tuple(expected.confidence_interval()))
    n = min(len(a), len(b))
    gaps = np.subtract(a[:n], b[:n])
    if gaps.std() > 1e-9:
        twin = difference.paired(a[:n], b[:n])
        assert twin.p_value == pytest.approx(stats.ttest_rel(a[:n], b[:n]).pvalue)
        assert np.sign(twin.effect) == np.sign(round(gaps.mean(), 12))
    ranked = difference.ranks(a, b, sign=1)
    assert ranked.p_value == pytest.approx(stats.mannwhitneyu(a, b).pvalue, nan_ok=True)
    wins = np.sign(np.subtract.outer(a, b))
    assert ranked.effect == pytest.approx((wins.mean() + 1) / 2)
    assert difference.ranks(a, b, sign=-1).effect == pytest.approx(1 - ranked.effect)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_is_holms(p_values):
    """Each is the largest of what it and the smaller ones come to; the order stays."""
    found = difference.holm(p_values)
    order = np.argsort(p_values, kind="stable")
    expected, least = np.zeros(len(p_values)), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[i]))
        expected[i] = least
    assert found == pytest.approx(list(expected))


def test_the_paired_bootstrap_sees_a_real_difference_and_no_other():
    """Scores of two models on the same draws: apart where one is better, together where none is."""
    random = np.random.default_rng(0)
    right = random.random(400) < 0.8
    better, alike = right | (random.random(400) < 0.4), random.permutation(right)
    rows = [random.integers(400, size=400) for _ in range(1000)]

    def test(other):
        scores = [[each[row].mean() for row in rows] for each in (other, right)]
        return difference.resampled(*scores, difference=other.mean() - right.mean(), rows=400)

    assert test(better).p_value < 0.01
    assert test(better).interval[0] > 0
    assert test(alike).p_value > 0.5

"""The interval of a test score."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap as reference

from sweep import datasets, studyfile
from sweep.bootstrap import draws, interval
from sweep.results import load
from sweep.store import Store
from tests.sweep.studies import finish, small
from trainer import TrainConfig, evaluate, evaluate_draws, train


@given(st.integers(1, 300), st.integers(0, 2**63 - 1))
@settings(max_examples=50)
def test_draws_are_indices_of_the_rows(rows, seed):
    """As many as there are, all of them rows; the same for a seed."""
    first, second = next(draws(rows, seed)), next(draws(rows, seed))
    assert first.shape == (rows,)
    assert first.min() >= 0
    assert first.max() < rows
    assert (first == second).all()


def test_draws_are_even_and_differ():
    """Over all draws each row comes as often as any other, but for chance."""
    rows = 50
    drawn = np.array(list(draws(rows, 3)))
    assert len(np.unique(drawn, axis=0)) == len(drawn) == 1000
    counts = np.bincount(drawn.ravel(), minlength=rows)
    assert np.abs(counts - 1000).max() < 5 * np.sqrt(1000)
    assert len(list(draws(10**6, 0))) == 200, "fewer of many rows"


@pytest.mark.parametrize("sample", ["normal", "exponential"])
def test_the_interval_is_that_of_scipy(sample):
    """Of a mean, next to the percentile interval of scipy.stats.bootstrap."""
    values = getattr(np.random.default_rng(0), sample)(size=200)
    low, high = interval(float(values[rows].mean()) for rows in draws(200, 0))
    other = reference((values,), np.mean, method="percentile", rng=1).confidence_interval
    assert low == pytest.approx(other.low, abs=0.2 * (high - low))
    assert high == pytest.approx(other.high, abs=0.2 * (high - low))


def test_draws_without_a_score_are_left_out():
    """NaN where a draw lacks a class; None where most do."""
    assert interval([math.nan, 1.0, 2.0, 3.0]) == interval([1.0, 2.0, 3.0])
    assert interval([math.nan, math.nan, 1.0]) is None
    assert interval([math.nan, 1.0]) is None


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("sklearn:iris", {"metric": "accuracy"}),
        ("sklearn:iris", {"metric": "loss"}),
        ("sklearn:diabetes", {"metric": "rmse", "loss": "mean_squared", "activation": "tanh"}),
    ],
)
def test_a_draw_scores_what_its_rows_do(source, fields):
    """Predicted once or for each draw, the metric is the same."""
    data = studyfile.from_json(
        {
            "name": "a",
            "data": {"source": source},
            "train": {"metric": fields["metric"]},
            "space": {"loss": fields.get("loss", "softmax_cross_entropy")},
        }
    ).data
    dataset, _ = datasets.load(data)
    config = TrainConfig(neurons=(8,), epochs=3, **fields)
    steps = train(config, dataset, 0)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            state = end.value
            break
    rows = [np.arange(len(dataset.test.y)), np.array([3, 3, 0, 1])]
    scores = list(evaluate_draws(config, state.parameters, dataset, dataset.test, rows))
    for drawn, score in zip(rows, scores, strict=True):
        part = type(dataset.test)(dataset.test.x[drawn], dataset.test.y[drawn])
        assert score == pytest.approx(evaluate(config, state.parameters, dataset, part)[1])


def test_the_interval_is_kept_with_the_study(tmp_path):
    """It is in the record and in `sweep show`'s summary, and `extend` forgets it."""
    study = finish(small(tmp_path), tmp_path / "sweep.db")
    low, high = study.best.interval
    assert low <= study.best.test <= high
    assert high - low < 0.4
    assert study.summary()["best"]["test_interval"] == [low, high]
    assert finish(small(tmp_path), tmp_path / "again.db").best.interval == (low, high)
    with Store(tmp_path / "sweep.db") as store:
        lease = store.claim("small", {}, "data", "0")
        store.roll_back(lease, 10, studyfile.to_json(study.spec))
        assert store.study("small")["test_low"] is None
    assert load("small", tmp_path / "sweep.db").best.interval is None

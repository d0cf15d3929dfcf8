"""How rows are shared out: what every split holds, and what each kind of it promises."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sweep.datasets.splits import PARTS, folds, split
from sweep.errors import StudyFileError
from sweep.spec import DataSpec


def data(source="sklearn:iris", **given):
    return DataSpec(source=source, **given)


shares = st.tuples(st.floats(0.01, 0.45), st.just(0.0) | st.floats(0.01, 0.45))


@given(st.integers(30, 300), shares, st.integers(0, 2**63 - 1))
def test_split_is_a_partition(rows, shares, seed):
    """Every row is in exactly one part, the parts have the sizes asked for, and order is kept."""
    spec = data(validation=shares[0], test=shares[1], seed=seed)
    parts = split(spec, rows)
    assert sorted(np.concatenate(parts)) == list(range(rows))
    assert all((np.diff(part) > 0).all() for part in parts)
    assert len(parts[1]) == max(1, round(rows * shares[0]))
    assert len(parts[2]) == (max(1, round(rows * shares[1])) if shares[1] else 0)
    assert all(map(np.array_equal, parts, split(spec, rows)))


@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=6),
    st.sampled_from([(0.2, 0.2), (0.1, 0.3), (0.25, 0.0)]),
    st.integers(0, 1000),
)
def test_split_is_stratified(sizes, shares, seed):
    """Each part has each class in its share, to a row, and training lacks none, however rare."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    rows, slack = len(labels), len(sizes) / 2
    assume(rows >= 2 * len(sizes))
    spec = data(validation=shares[0], test=shares[1], seed=seed)
    parts = split(spec, rows, labels)
    for part in parts:
        for label, size in enumerate(sizes):
            fair = size * len(part) / rows
            # A row from rounding at either end of a part, and what other classes' rounding moved.
            assert abs((labels[part] == label).sum() - fair) <= 1 + 2 * slack * size / rows
    assert set(labels[parts[0]]) == set(range(len(sizes)))


def test_seeds_differ():
    """Another seed sets other rows aside."""
    assert not np.array_equal(split(data(), 100)[2], split(data(seed=1), 100)[2])


def test_split_is_the_same_everywhere():
    """A split never changes, with no release of NumPy: seed 0 of ten rows is written here."""
    parts = [part.tolist() for part in split(data(), 10)]
    assert parts == [[0, 4, 5, 6, 7, 9], [1, 8], [2, 3]]


@pytest.mark.parametrize(
    ("shares", "rows", "labels"),
    [
        ((0.5, 0.49), 10, None),
        ((0.2, 0.2), 2, None),
        ((0.45, 0.5), 20, np.arange(20) % 4),
        ((0.4, 0.4), 5, np.array([0, 1, 1, 1, 2])),
    ],
)
def test_split_leaves_too_little(shares, rows, labels):
    """Shares that leave no row of some class to train on are refused by their keys."""
    spec = data(validation=shares[0], test=shares[1])
    with pytest.raises(StudyFileError, match=r"data.validation = .* data.test = .* smaller"):
        split(spec, rows, labels)


SHARES = [(0.2, 0.2), (0.1, 0.3), (0.25, 0.0)]


@st.composite
def grouped(draw, least=4):
    """The group of each row: between a few and many groups, of unequal sizes, in any order."""
    sizes = draw(st.lists(st.integers(1, 30), min_size=least, max_size=40))
    seed = draw(st.integers(0, 1000))
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


def assert_partition(parts, rows):
    """Every row is in one part, in the order of the data, and no part that is asked for lacks."""
    assert sorted(np.concatenate(parts)) == list(range(rows))
    assert all((np.diff(part) > 0).all() for part in parts)
    assert len(parts.train)
    assert len(parts.validation)


@given(grouped(), st.sampled_from(SHARES), st.integers(0, 1000))
def test_groups_stay_together(group, shares, seed):
    """No group is in two parts, and each part has about its share: to the size of one group."""
    rows = len(group)
    spec = data(split="grouped", by="g", validation=shares[0], test=shares[1], seed=seed)
    parts = split(spec, rows, None, group)
    assert_partition(parts, rows)
    members = [set(group[part]) for part in parts]
    assert not members[0] & members[1]
    assert not members[0] & members[2]
    assert not members[1] & members[2]
    largest = np.bincount(group).max()
    assert len(parts.validation) <= rows * shares[0] + 0.5 + largest
    assert len(parts.test) <= (rows * shares[1] + 0.5 + largest if shares[1] else 0)
    assert bool(len(parts.test)) == bool(shares[1])


@given(grouped(), st.sampled_from(SHARES))
def test_the_latest_are_for_testing(moment, shares):
    """No training row is later than a validation row, no validation row later than a test row, and
    rows of one time are in one part."""
    rows = len(moment)
    spec = data(split="time", by="t", validation=shares[0], test=shares[1])
    parts = split(spec, rows, None, moment / 7)
    assert_partition(parts, rows)
    assert moment[parts.train].max() < moment[parts.validation].min()
    if shares[1]:
        assert moment[parts.validation].max() < moment[parts.test].min()
    largest = np.bincount(moment).max()
    assert abs(len(parts.test) - rows * shares[1]) <= largest + 1


def test_a_time_for_each_row():
    """Where all times differ, the parts have the very sizes asked for."""
    moment = np.random.default_rng(0).permutation(100)
    parts = split(data(split="time", by="t"), 100, None, moment)
    assert [len(part) for part in parts] == [60, 20, 20]
    assert sorted(moment[parts.test]) == list(range(80, 100))


@given(st.lists(st.sampled_from(PARTS), min_size=4, max_size=50))
def test_a_column_decides(marks):
    """Every row is where its mark says; without any for validation, they come out of training."""
    marks = np.array(marks)
    assume((marks == "train").sum() > 2)
    parts = split(data(split="column", by="part"), len(marks), None, marks)
    assert_partition(parts, len(marks))
    assert np.array_equal(parts.test, np.flatnonzero(marks == "test"))
    if (marks == "validation").any():
        assert np.array_equal(parts.validation, np.flatnonzero(marks == "validation"))
        assert np.array_equal(parts.train, np.flatnonzero(marks == "train"))
    else:
        assert (marks[parts.validation] == "train").all()
        assert len(parts.validation) == max(1, round(0.2 * (marks == "train").sum()))


def test_a_column_without_validation_is_stratified():
    """The validation rows that come out of training have each class in its share."""
    marks = np.repeat(["train", "test"], [100, 20])
    labels = np.tile([0, 0, 0, 1], 30)
    parts = split(data(split="column", by="part"), 120, labels, marks)
    assert np.bincount(labels[parts.validation]).tolist() == [15, 5]


WAYS = [
    ("random", None),
    ("stratified", None),
    ("grouped", np.arange(120) % 17),
    ("time", np.arange(120) // 2),
    ("column", np.repeat(["test", "train", "validation"], [20, 80, 20])),
]


@pytest.mark.parametrize(("way", "by"), WAYS, ids=[way for way, _ in WAYS])
def test_folds(way, by):
    """Each row outside of the test rows is once for validation (but for the first stretch of time,
    which is only trained on), and the test rows are those of the split."""
    labels = np.arange(120) % 3 if way == "stratified" else None
    spec = data(split=way, by=None if by is None else "b")
    found = folds(spec, 5, 120, labels, by)
    test = split(spec, 120, labels, by).test
    for parts in found:
        assert np.array_equal(parts.test, test)
        assert not set(parts.train) & set(parts.validation)
        assert not (set(parts.train) | set(parts.validation)) & set(test)
    validated = np.concatenate([parts.validation for parts in found])
    assert len(set(validated)) == len(validated)
    if way == "time":
        assert all(by[p.train].max() < by[p.validation].min() for p in found)
        assert set(validated) | set(found[-1].train) | set(test) == set(range(120))
    else:
        assert set(validated) | set(test) == set(range(120))
        assert all(len(p.train) + len(p.validation) + len(test) == 120 for p in found)
    if way == "grouped":
        assert all(not set(by[p.train]) & set(by[p.validation]) for p in found)
    sizes = [len(parts.validation) for parts in found]
    assert max(sizes) - min(sizes) <= (7 if way == "grouped" else 2)


@pytest.mark.parametrize(
    ("spec", "labels", "by", "message"),
    [
        (data(split="grouped", by="g"), None, np.zeros(9), "9 rows and their groups they leave"),
        (data(split="time", by="t"), None, np.zeros(9), "9 rows and their times they leave none"),
        (
            data(split="grouped", by="g"),
            np.array([0] * 8 + [1]),
            np.array([0] * 4 + [1] * 4 + [2]),
            "none of some class",
        ),
        (data(split="column", by="p"), None, np.array(["test"] * 9), 'data.by = "p": of 9 rows'),
    ],
)
def test_splits_that_leave_too_little(spec, labels, by, message):
    """Groups, times or marks that leave nothing to train on are refused by their keys."""
    with pytest.raises(StudyFileError, match=message):
        split(spec, 9, labels, by)


@given(st.integers(30, 200), st.integers(1, 3), st.integers(2, 5), st.integers(0, 1000))
def test_the_first_fold_of_times_is_the_latest(rows, alike, count, seed):
    """Replicate 0, whose model is kept, learns from the most rows, up to the test rows."""
    moment = np.random.default_rng(seed).permutation(np.arange(rows) // alike)
    found = folds(data(split="time", by="t"), count, len(moment), None, moment)
    latest = [moment[parts.validation].max() for parts in found]
    sizes = [len(parts.train) for parts in found]
    assert latest == sorted(latest, reverse=True)
    assert sizes == sorted(sizes, reverse=True)
    assert max(latest) == moment[~np.isin(np.arange(len(moment)), found[0].test)].max()


def test_too_many_folds():
    """More folds than groups or times are refused by the key."""
    for way, by in WAYS[2:4]:
        with pytest.raises(StudyFileError, match=r"search.replicates = 100: .* too few and their"):
            folds(data(split=way, by="b"), 100, 120, None, by)


def test_groups_and_times_are_split_the_same_everywhere():
    """These splits never change either: seed 0 of ten groups of two is written here."""
    group = np.arange(20) // 2
    parts = split(data(split="grouped", by="g"), 20, None, group)
    assert [sorted(set(group[part].tolist())) for part in parts] == GROUPS
    parts = split(data(split="time", by="t"), 20, None, group)
    assert [sorted(set(group[part].tolist())) for part in parts] == [
        [0, 1, 2, 3, 4, 5],
        [6, 7],
        [8, 9],
    ]


GROUPS = [[0, 4, 5, 6, 7, 9], [1, 8], [2, 3]]

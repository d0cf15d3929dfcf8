"""Raw rows as a network takes them: against scikit-learn's own pipelines, and through archives."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from sweep.datasets import preprocessing
from sweep.datasets.categories import Categories
from sweep.datasets.columns import Column
from sweep.datasets.preprocessing import Preprocessing
from sweep.datasets.scaling import Scaler
from sweep.datasets.targets import Target
from sweep.datasets.values import Odd, date_format
from sweep.dataspec import ENCODINGS, SCALINGS, TARGET_SCALINGS, DataSpec
from tests.sweep.tables import FEATURES, KINDS, frames, table

NOTHING = Target("regression", ("y",), None, Scaler("none", 1, {}))


def fit(train, kinds=KINDS, target=NOTHING, **given):
    columns = [
        Column(name, kind, "", 0, 0, (date_format(train[name]) or "") if kind == "date" else "")
        for name, kind in kinds.items()
    ]
    return Preprocessing.fit(
        DataSpec(source="x.csv", target=("y",), **given), columns, train, target
    )


def through_npz(fitted):
    """The same, written to an archive without pickle and read again."""
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **fitted.to_arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        return Preprocessing.from_arrays(dict(arrays))


SCALERS = {
    "standard": StandardScaler(),
    "robust": RobustScaler(),
    "quantile": QuantileTransformer(n_quantiles=150, subsample=None, output_distribution="normal"),
    "none": FunctionTransformer(),
}


@pytest.mark.parametrize("scaling", SCALINGS)
def test_numbers_and_categories_as_scikit_learn_has_them(scaling):
    """Median, scaler, indicators and one-hot columns are those of a ColumnTransformer."""
    frame = table()
    train, kinds = frame[:150], {k: KINDS[k] for k in ("size", "floor", "colour", "street")}
    numbers, words = ["size", "floor"], ["colour", "street"]
    reference = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), SCALERS[scaling]), numbers),
            ("gaps", MissingIndicator(), numbers),
            (
                "words",
                make_pipeline(
                    SimpleImputer(strategy="constant", fill_value="", missing_values=np.nan),
                    OneHotEncoder(
                        sparse_output=False,
                        max_categories=6,
                        handle_unknown="infrequent_if_exist",
                    ),
                ),
                words,
            ),
        ]
    )
    objects = frame.assign(**{name: frame[name].astype(object) for name in words})
    reference.fit(objects[:150])
    fitted = fit(train, kinds, scaling=scaling, max_categories=6)
    found, expected = fitted.transform(frame), reference.transform(objects)
    np.testing.assert_allclose(found, expected.astype(np.float32), rtol=1e-6, atol=1e-6)
    assert found.shape[1] == len(fitted.features)


def test_training_rows_are_centred():
    """Scaled columns of the training rows have mean 0 and standard deviation 1."""
    frame = table()
    fitted = fit(frame[:150])
    x = fitted.transform(frame[:150]).astype(np.float64)
    scaled = [fitted.features.index(name) for name in ("size", "floor", "built, days")]
    np.testing.assert_allclose(x[:, scaled].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(x[:, scaled].std(axis=0), 1, atol=1e-6)
    assert np.median(fit(frame[:150], scaling="robust").transform(frame[:150])[:, 0]) == 0


def test_names():
    """Every input has a name that says where it is from."""
    assert fit(table()).features == [
        *("size", "floor", "built, days", "garden", "size is missing"),
        *(f"built, {part} of {cycle}" for cycle in ("month", "weekday") for part in PARTS),
        *(f"colour = {name}" for name in ("missing", "blue", "green", "red")),
        *(f"street = {name}" for name in "abcdefgh"),
    ]


PARTS = ("sine", "cosine")


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "times", "%Y-%m-%d %H:%M"])
def test_dates(form):
    """A date is its days, and points on the circles of the year, the week and the day."""
    dates = pd.date_range("2023-01-01 00:00", periods=800, freq="31h").to_series(index=range(800))
    timed = form in ("times", "%Y-%m-%d %H:%M")
    dates = dates if timed else dates.dt.floor("D")
    column = dates if form == "times" else dates.dt.strftime(form).astype("str")
    frame = pd.DataFrame({"when": column})
    fitted = fit(frame, {"when": "date"}, scaling="none")
    x = dict(zip(fitted.features, fitted.transform(frame).T.astype(np.float64), strict=True))
    np.testing.assert_allclose(
        x["when, days"], (dates - pd.Timestamp(0)) / pd.Timedelta("1D"), rtol=1e-6
    )
    angles = {
        "month": (dates.dt.month - 1) / 12,
        "weekday": dates.dt.day_of_week / 7,
        "hour": (dates.dt.hour + dates.dt.minute / 60) / 24,
    }
    assert ("when, sine of hour" in x) == timed
    for cycle, turns in angles.items():
        if cycle != "hour" or timed:
            np.testing.assert_allclose(
                x[f"when, sine of {cycle}"], np.sin(2 * np.pi * turns), atol=1e-6
            )
            np.testing.assert_allclose(
                x[f"when, cosine of {cycle}"], np.cos(2 * np.pi * turns), atol=1e-6
            )


def test_what_is_missing():
    """A gap is the median and said so; a date's circles are 0; gaps that training had not are
    filled as well."""
    frame = table()
    train = frame[:150].copy()
    fitted = fit(train, scaling="none")
    row = pd.DataFrame([dict.fromkeys(FEATURES)], columns=FEATURES)
    x = dict(zip(fitted.features, fitted.transform(row)[0], strict=True))
    assert x["size"] == np.float32(train["size"].median())
    assert x["floor"] == train["floor"].median()
    assert x["size is missing"] == 1
    assert x["built, sine of month"] == x["built, cosine of month"] == 0
    assert x["colour = missing"] == 1
    assert not any(value for name, value in x.items() if name.startswith("street"))


def test_rare_and_unseen_categories():
    """The rarest share a column, into which unseen ones fall; without it they are all 0."""
    colours = ["red"] * 5 + ["green"] * 4 + ["blue"] * 2 + ["grey"]
    frame = pd.DataFrame({"c": pd.Series(colours, dtype="str")})
    new = pd.DataFrame({"c": pd.Series(["red", "blue", "pink", None], dtype="str")})
    few = fit(frame, {"c": "categorical"}, max_categories=3)
    assert few.features == ["c = green", "c = red", "c = other"]
    assert few.transform(new).tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1]]
    all_of_them = fit(frame, {"c": "categorical"})
    assert all_of_them.transform(new)[2:].tolist() == [[0] * 4] * 2
    assert few.reading.unseen(new) == all_of_them.reading.unseen(new) == {"c": 2}
    assert few.reading.unseen(frame) == {}


@given(
    st.lists(st.sampled_from(["a", "b", "c", "d", "e", ""]), min_size=1, max_size=40),
    st.lists(st.sampled_from(["a", "b", "c", "d", "e", "", "z"]), min_size=1, max_size=10),
    st.integers(2, 6),
)
def test_categories_as_scikit_learn_has_them(train, new, most):
    """Which categories are common, and the codes, are those of scikit-learn's own encoders."""
    found = Categories.of([(text, train.count(text)) for text in set(train)], most)
    rows = np.array(train, dtype=object)[:, None]
    asked = np.array([*train, *new], dtype=object)[:, None]
    encoder = OneHotEncoder(
        max_categories=most, handle_unknown="infrequent_if_exist", sparse_output=False
    ).fit(rows)
    assert np.array_equal(found.one_hot([*train, *new]), encoder.transform(asked))
    assert len(found.names) == encoder.transform(asked[:1]).shape[1]
    ordinal = OrdinalEncoder(
        max_categories=most, handle_unknown="use_encoded_value", unknown_value=-1
    ).fit(rows)
    assert np.array_equal(found.ordinal(train), ordinal.transform(rows)[:, 0])
    codes = ordinal.transform(asked)[len(train) :, 0]
    rare = len(found.common) if len(found.rare) else -1
    assert np.array_equal(found.ordinal(new), np.where(codes < 0, rare, codes))


def test_ordinal_codes_are_scaled_and_in_order():
    """As numbers, categories that are numbers are in their order, not in that of their digits."""
    frame = pd.DataFrame({"c": pd.Series(["2", "10", "1", "10"], dtype="str")})
    fitted = fit(frame, {"c": "categorical"}, encoding="ordinal", scaling="none")
    assert fitted.features == ["c"]
    assert fitted.transform(frame)[:, 0].tolist() == [1, 2, 0, 2]
    scaled = fit(frame, {"c": "categorical"}, encoding="ordinal").transform(frame)
    assert abs(scaled.mean()) < 1e-6


@pytest.mark.parametrize(
    ("categories", "again"),
    [
        (pd.Series([1, 2, 3]), pd.Series([3.0, np.nan, 1.0])),
        (pd.Series([1.0, 2.0, 3.0]), pd.Series(["3", None, "1"], dtype="str")),
        (pd.Series([True, False, True]), pd.Series(["True", None, "False"], dtype="str")),
        (pd.Series(["a", "b", "c"], dtype="str"), pd.Series([" c", None, "a "], dtype=object)),
    ],
)
def test_a_category_is_its_text(categories, again):
    """A category is the same whether a reader took it for a number, or for a text with spaces."""
    fitted = fit(pd.DataFrame({"c": categories}), {"c": "categorical"})
    rows = fitted.transform(pd.DataFrame({"c": again}))
    assert rows.sum(axis=1).tolist() == [1, 0, 1]


@settings(deadline=None)
@given(frames(), st.sampled_from(SCALINGS), st.sampled_from(ENCODINGS))
def test_any_table(drawn, scaling, encoding):
    """Any table becomes finite numbers, a column for each name; every row by itself and those of
    an archive are the same to the bit."""
    frame, kinds = drawn
    kinds = {
        name: "drop" if kind == "date" and not date_format(frame[name]) else kind
        for name, kind in kinds.items()
    }
    fitted = fit(frame, kinds, scaling=scaling, encoding=encoding, max_categories=3)
    x = fitted.transform(frame)
    assert x.dtype == np.float32
    assert x.shape == (len(frame), len(fitted.features))
    assert np.isfinite(x).all()
    shuffled = frame[list(frame.columns[::-1])].assign(another=1)
    assert np.array_equal(fitted.transform(shuffled), x)
    assert np.array_equal(fitted.transform(frame[1:2]), x[1:2])
    again = through_npz(fitted)
    assert again.features == fitted.features
    assert again.transform(frame).tobytes() == x.tobytes()
    assert again.to_arrays().keys() == fitted.to_arrays().keys()


def test_blocks(monkeypatch):
    """A table is transformed in blocks of rows, to the same bits, in any order of rows."""
    frame = table()
    fitted = fit(frame)
    whole, order = fitted.transform(frame), np.random.default_rng(0).permutation(200)
    monkeypatch.setattr(preprocessing, "BLOCK_ROWS", 7)
    assert np.array_equal(fitted.transform(frame), whole)
    assert np.array_equal(fitted.transform(frame, order), whole[order])
    np.testing.assert_allclose(fit(frame).transform(frame), whole, atol=1e-6)


def test_arrays_of_rows():
    """An array is all features in the order of the table, dropped ones included."""
    frame = table()[["size", "floor"]].assign(nothing=1.0)[["nothing", "size", "floor"]]
    fitted = fit(frame, {"nothing": "drop", "size": "numeric", "floor": "numeric"})
    x = fitted.transform(frame)
    assert np.array_equal(fitted.transform(frame.to_numpy()), x)
    assert np.array_equal(fitted.transform(frame.to_numpy().tolist()), x)
    with pytest.raises(ValueError, match=r"\(1, 2\), not \(rows, 3\): nothing, size, floor"):
        fitted.transform(np.zeros((1, 2)))
    with pytest.raises(ValueError, match=r"\(3,\), not \(rows, 3\)"):
        fitted.transform(np.zeros(3))


def test_columns_that_lack():
    """Missing columns are named, and so is one that is there twice."""
    frame = table()
    fitted = fit(frame)
    with pytest.raises(ValueError, match=r"lacks the columns 'size', 'street', which"):
        fitted.transform(frame.drop(columns=["size", "street"]))
    twice = pd.concat([frame[FEATURES], frame[["size"]]], axis=1)
    with pytest.raises(ValueError, match="column 'size' more than once"):
        fitted.transform(twice)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("size", "large", "column 'size', row 3: \"large\" is not a finite number"),
        ("size", np.inf, "column 'size', row 3: inf is not a finite number"),
        ("garden", "perhaps", "column 'garden', row 3: \"perhaps\" is not true or false"),
        ("built", "long ago", "column 'built', row 3: \"long ago\" is not a date such as"),
    ],
)
def test_values_of_another_kind(column, value, message):
    """A value that is not of its column's kind is told with its row."""
    frame = table()
    fitted = fit(frame)
    odd = frame.astype({column: object})
    odd.loc[3, column] = value
    with pytest.raises(Odd) as caught:
        fitted.transform(odd)
    assert message in str(caught.value)
    assert (caught.value.column, caught.value.row) == (column, 3)


def test_numbers_beyond_float32():
    """Numbers that no network could take are refused by name, and do not become infinite."""
    frame = pd.DataFrame({"x": [1e300, 2e300, 0.0]})
    with pytest.raises(ValueError, match="column 'x', row 0: the number is too large"):
        fit(frame, {"x": "numeric"}, scaling="none").transform(frame)


TARGETS = pd.DataFrame({"a": [10.0, 20.0, 30.0, 60.0], "b": [1.0, 2.0, 2.5, 9.0]})


@pytest.mark.parametrize("scaling", TARGET_SCALINGS)
def test_targets_come_back_in_their_units(scaling):
    """Scaled targets are inverted, through an archive as well; several at once."""
    target = Target.fit("regression", None, TARGETS, scaling)
    fitted = through_npz(fit(table(), target=target))
    y = target.encode(TARGETS)
    assert y.dtype == np.float32
    np.testing.assert_allclose(target.values(y), TARGETS.to_numpy(), rtol=1e-5)
    assert np.array_equal(fitted.target.values(y), target.values(y))
    if scaling == "standard":
        np.testing.assert_allclose(y, StandardScaler().fit_transform(TARGETS), rtol=1e-6)
        np.testing.assert_allclose(target.values(np.zeros((1, 2)))[0], target.mean)
        np.testing.assert_allclose(target.scale, TARGETS.to_numpy().std(axis=0))


@pytest.mark.parametrize(
    ("classes", "column"),
    [
        (np.array(["no", "yes"]), pd.Series(["yes", "no", "yes"], dtype="str")),
        (np.array([3, 7]), pd.Series([7, 3, 7])),
        (np.array([3, 7]), pd.Series([7.0, 3.0, 7.0])),
        (np.array([False, True]), pd.Series([True, False, True])),
    ],
)
def test_labels_keep_their_type(classes, column):
    """Labels become indices and come back as they were, of their own type."""
    frame = column.to_frame("y")
    target = Target.fit("classification", classes, frame, "none")
    again = through_npz(fit(table(), target=target)).target
    assert target.encode(frame).tolist() == again.encode(frame).tolist() == [1, 0, 1]
    assert again.labels([1, 0]).tolist() == classes[[1, 0]].tolist()
    assert again.labels([1, 0]).dtype == classes.dtype
    with pytest.raises(Odd, match=r"row 0: .* is not one of the classes"):
        target.encode(pd.DataFrame({"y": ["maybe"]}))


def test_labels_of_several_targets():
    """Multilabel targets are columns of 0 and 1, whatever words the table has for them."""
    frame = pd.DataFrame({"a": ["yes", "no"], "b": [0, 1]})
    target = Target.fit("multilabel", None, frame, "none")
    assert target.encode(frame).tolist() == [[1, 0], [0, 1]]
    assert target.n_outputs == 2
    with pytest.raises(ValueError, match="a multilabel has no class labels"):
        target.labels([0])
    with pytest.raises(Odd, match="column 'b', row 0: nothing is not a value"):
        target.encode(pd.DataFrame({"a": ["yes"], "b": [None]}))

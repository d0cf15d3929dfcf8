"""A model as ONNX gives what `predict` and `predict_proba` give, of any raw table.

What the network sees agrees to 2e-6 of itself (float32, and the normal quantiles of a polynomial);
probabilities to 1e-4; values to 1e-4 of their spread.
"""

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sweep import datasets
from sweep.datasets.columns import Column
from sweep.datasets.preprocessing import Preprocessing
from sweep.datasets.scaling import Scaler
from sweep.datasets.targets import Target
from sweep.datasets.values import WORDS, date_format, numbers
from sweep.dataspec import ENCODINGS, SCALINGS, DataSpec
from sweep.errors import UsageError
from sweep.model import Model
from tests.sweep.tables import FEATURES, frames, table
from trainer import EMBEDDINGS, TrainConfig, run


def outputs(model, frame, path):
    """Those of the exported model by name, fed as docs/models.md says."""
    model.to_onnx(path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    forms = {i.name: i.form for i in model.preprocessing.reading.inputs if i.kind == "date"}
    rows = {}
    for each in session.get_inputs():
        column = frame[each.name]
        if each.name in forms:
            column = pd.Series(numbers(column, "date", forms[each.name]))
        if each.type == "tensor(string)":
            rows[each.name] = column.astype("str").fillna("").to_numpy(str)[:, np.newaxis]
        else:
            rows[each.name] = column.to_numpy(np.float64, na_value=np.nan)[:, np.newaxis]
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(None, rows), strict=True))


def fitted(train, kinds, **given):
    """A preprocessing of columns of these kinds."""
    columns = [
        Column(
            name, kind, "", 0, 0, date_format(train[name]) or "ISO8601" if kind == "date" else ""
        )
        for name, kind in kinds.items()
    ]
    target = Target("regression", ("y",), None, Scaler("none", 1, {}))
    return Preprocessing.fit(
        DataSpec(source="x.csv", target=("y",), **given), columns, train, target
    )


def echo(preprocessing):
    """A model that predicts its own inputs, which thereby can be seen from outside."""
    width = len(preprocessing.features)
    names = tuple(f"y{i}" for i in range(width))
    target = Target("regression", names, None, Scaler("none", width, {}))
    config = TrainConfig(neurons=(), loss="mean_squared", metric="rmse")
    identity = np.vstack([np.eye(width), np.zeros(width)]).astype(np.float32).ravel()
    made = Preprocessing(preprocessing.reading, preprocessing.measures, target)
    return Model(config, identity, made)


def check_echo(preprocessing, frame, path):
    """That the network of the exported model sees what that of `predict` does."""
    found = outputs(echo(preprocessing), frame, path)["prediction"]
    expected = preprocessing.transform(frame)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=2e-6, atol=1e-6)


def new_rows():
    """Rows that training did not see: unknown and missing texts, gaps everywhere, far values."""
    frame = table(60, seed=9)[FEATURES]
    frame.loc[:9, "colour"] = "violet"
    frame.loc[5:14, "street"] = None
    frame.loc[10:19, ["size", "built"]] = None
    frame.loc[20, "size"], frame.loc[21, "size"] = 1e6, -1e6
    frame.loc[22, "built"] = "1899-12-31"
    frame["floor"] = frame["floor"].astype("float64")
    frame.loc[30:35, "floor"] = np.nan
    return frame


def load(folder, target, **given):
    """The table as a study loads it."""
    table().to_csv(folder / "homes.csv", index=False)
    others = {"price", "rent", "dear", "sunny", "quiet"} - set(target)
    columns = dict.fromkeys(sorted(others), "drop")
    source = str(folder / "homes.csv")
    return datasets.load(DataSpec(source=source, target=target, columns=columns, **given))


TARGETS = {
    "classification": (("dear",), ["softmax_cross_entropy", "sigmoid_cross_entropy", "hinge"]),
    "multilabel": (("sunny", "quiet"), ["sigmoid_cross_entropy"]),
    "regression": (("price",), ["mean_squared", "gaussian_nll", "huber"]),
    "several values": (("price", "rent"), ["mean_squared"]),
}


@pytest.mark.parametrize(
    ("kind", "loss"), [(kind, loss) for kind, (_, losses) in TARGETS.items() for loss in losses]
)
def test_every_kind_of_target(tmp_path, kind, loss):
    """Labels, indicators and values come out as `predict` gives them, with their probabilities."""
    dataset, preprocessing = load(tmp_path, TARGETS[kind][0])
    config = TrainConfig(neurons=(12,), loss=loss, metric="loss", learning_rate=0.01, epochs=20)
    model = Model(config, run(config, dataset, seed=0)[1].parameters, preprocessing)
    frame = new_rows()
    found, expected = outputs(model, frame, tmp_path / "m.onnx"), model.predict(frame)
    assert found["prediction"].shape == expected.shape
    assert ("probabilities" in found) == (not model.lacks_probabilities)
    if model.preprocessing.target.task == "regression":
        spread = model.preprocessing.target.scale
        np.testing.assert_allclose(found["prediction"] / spread, expected / spread, atol=1e-4)
        return
    assert (found["prediction"] == expected).all()
    assert len(np.unique(expected)) > 1
    if "probabilities" in found:
        np.testing.assert_allclose(found["probabilities"], model.predict_proba(frame), atol=1e-4)


@pytest.mark.parametrize("embedding", ["none", *EMBEDDINGS])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("scaling", SCALINGS)
def test_every_preprocessing(tmp_path, scaling, encoding, embedding):
    """Under every scaling, encoding and embedding; rare categories share a place."""
    dataset, preprocessing = load(
        tmp_path, ("price",), scaling=scaling, encoding=encoding, max_categories=3
    )
    config = TrainConfig(
        neurons=(12,), embedding=embedding, loss="mean_squared", metric="rmse", epochs=5
    )
    state = run(config, dataset, seed=0)[1]
    model = Model(config, state.parameters, preprocessing, state.embedding)
    frame = new_rows()
    if scaling == "none":  # or a far value would leave no digits to the others
        frame["size"] = frame["size"].clip(-100, 100)
    found, expected = outputs(model, frame, tmp_path / "m.onnx"), model.predict(frame)
    spread = float(preprocessing.target.scale[0])
    np.testing.assert_allclose(found["prediction"], expected, rtol=1e-4, atol=1e-4 * spread)


@given(frames(), st.sampled_from(SCALINGS), st.sampled_from(ENCODINGS), st.integers(2, 4))
@settings(max_examples=60, deadline=None)
def test_any_table(tmp_path_factory, drawn, scaling, encoding, most):
    """Tables that Hypothesis makes, fitted to their first half and seen whole."""
    frame, kinds = drawn
    options = {"scaling": scaling, "encoding": encoding, "max_categories": most}
    preprocessing = fitted(frame.iloc[: len(frame) // 2 + 1], kinds, **options)
    check_echo(preprocessing, frame, tmp_path_factory.mktemp("onnx") / "m.onnx")


@given(
    st.lists(st.sampled_from([-3.0, 0.0, 0.5, 2.0]) | st.floats(-9, 9), min_size=2, max_size=60),
    st.lists(st.floats(-12, 12), max_size=20),
)
@example([0.0, 0.0], [0.0, 1.0])
@example([0.0, 1.0, 1.0, 1.0, 2.0], [1.0, 1.0 + 1e-9, 1e-8, 2 - 1e-8])
@settings(max_examples=60, deadline=None)
def test_ranks_with_ties(tmp_path_factory, train, others):
    """Quantile scaling is scikit-learn's, at values that come again, between them and beyond."""
    frame = pd.DataFrame({"x": [*train, *others]})
    preprocessing = fitted(frame.iloc[: len(train)], {"x": "numeric"}, scaling="quantile")
    check_echo(preprocessing, frame, tmp_path_factory.mktemp("onnx") / "m.onnx")


def test_every_day_and_hour(tmp_path):
    """Months, weekdays and hours of 800 years, leap years and those before 1970 among them."""
    days = pd.date_range("1582-10-15", "2400-03-02", freq="17h").to_series(index=None)
    frame = pd.DataFrame({"when": days.to_numpy("datetime64[us]")})
    preprocessing = fitted(frame, {"when": "date"}, scaling="none")
    assert len(preprocessing.features) == 7
    check_echo(preprocessing, frame, tmp_path / "m.onnx")


def test_booleans_in_words_and_in_numbers(tmp_path):
    """A column of texts takes every spelling that is understood; one of truths takes 1 and 0."""
    spelled = [word.capitalize() for word in WORDS] + [word.upper() for word in WORDS]
    frame = pd.DataFrame({"words": pd.Series([*WORDS, *spelled, None], dtype="str")})
    frame["truths"] = np.arange(len(frame)) % 3 == 0
    preprocessing = fitted(frame, {"words": "boolean", "truths": "boolean"})
    assert [each.form for each in preprocessing.reading.inputs] == ["words", ""]
    check_echo(preprocessing, frame, tmp_path / "m.onnx")


def test_numbers_as_categories_and_as_labels(tmp_path):
    """Whole numbers are texts without a point; labels keep their type."""
    frame = pd.DataFrame({"zip": np.tile([101, 202, 303], 30), "y": np.tile([3, 7, 5], 30)})
    frame.to_csv(tmp_path / "x.csv", index=False)
    data = DataSpec(source=str(tmp_path / "x.csv"), target=("y",), columns={"zip": "categorical"})
    dataset, preprocessing = datasets.load(data)
    config = TrainConfig(neurons=(4,), epochs=30, learning_rate=0.05)
    model = Model(config, run(config, dataset, seed=0)[1].parameters, preprocessing)
    found = outputs(model, frame, tmp_path / "m.onnx")["prediction"]
    assert found.dtype == np.int64
    assert found.tolist() == model.predict(frame).tolist() == frame["y"].tolist()


@pytest.mark.parametrize("name", ["constant_0", "concat_0", "isnan_1", "x", "y", "a b/ü"])
def test_names_of_columns_are_free(tmp_path, name):
    """A column may be called like a node of the graph, or anything else."""
    frame = pd.DataFrame({name: [1.0, np.nan, 4.0], "other": [1.0, 2.0, 3.0]})
    preprocessing = fitted(frame, {name: "numeric", "other": "numeric"})
    check_echo(preprocessing, frame, tmp_path / "m.onnx")


@pytest.mark.parametrize("name", ["prediction", "probabilities"])
def test_names_of_outputs_are_taken(tmp_path, name):
    """A column that is called like an output is refused, and nothing is written."""
    frame = pd.DataFrame({name: [1.0, 2.0]})
    model = echo(fitted(frame, {name: "numeric"}))
    with pytest.raises(UsageError, match=f"'{name}' has the name of an output.*rename it"):
        model.to_onnx(tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()

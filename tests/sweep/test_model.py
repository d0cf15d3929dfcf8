"""Models of every kind of target: raw tables in, what the data calls its labels and values out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import norm
from sklearn.base import is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.metrics import accuracy_score, get_scorer, r2_score, roc_auc_score
from sklearn.utils.validation import check_is_fitted

import sweep
from sweep import datasets
from sweep.dataspec import DataSpec
from sweep.errors import UsageError
from sweep.model import Model, is_sound
from tests.sweep.tables import FEATURES, table
from trainer import ArchiveError, TrainConfig, archive, run

TARGETS = {
    "classification": (("dear",), "softmax_cross_entropy", "accuracy"),
    "multilabel": (("sunny", "quiet"), "sigmoid_cross_entropy", "f1_macro"),
    "regression": (("price",), "mean_squared", "r2"),
    "several values": (("price", "rent"), "mean_squared", "r2"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model of each kind of target, and the dataset that it learned."""
    file = tmp_path_factory.mktemp("homes") / "homes.csv"
    table().to_csv(file, index=False)

    def train(kind):
        target, loss, metric = TARGETS[kind]
        others = {"price", "rent", "dear", "sunny", "quiet"} - set(target)
        data = DataSpec(
            source=str(file), target=target, columns=dict.fromkeys(sorted(others), "drop")
        )
        dataset, preprocessing = datasets.load(data)
        config = TrainConfig(neurons=(16,), loss=loss, metric=metric, learning_rate=0.01, epochs=40)
        records, state = run(config, dataset, seed=0)
        return Model(config, state.parameters, preprocessing), dataset, records[-1]

    return {kind: train(kind) for kind in TARGETS}


@pytest.mark.parametrize("kind", TARGETS)
def test_repr(trained, kind):
    """A notebook shows a line of what it is, and not its arrays."""
    model, dataset, _ = trained[kind]
    text = repr(model)
    weights = (dataset.n_inputs + 1) * 16 + 17 * dataset.n_outputs
    assert model.preprocessing.target.task in text
    assert f"{dataset.n_inputs} inputs, layers of 16 neurons, {dataset.n_outputs} outputs" in text
    assert f"{weights} parameters, metric {model.config.metric}" in text
    assert len(text) < 200


@pytest.mark.parametrize("kind", TARGETS)
def test_raw_rows_in_answers_out(trained, kind):
    """What it predicts of a raw table is what training scored, in the data's own words."""
    model, dataset, last = trained[kind]
    frame, target = table(), model.preprocessing.target
    predicted = model.predict(frame)
    outputs, y = model.outputs(frame), target.encode(frame)
    assert model.evaluate(dataset, dataset.validation) == last.validation_metric
    validation = [
        np.flatnonzero((dataset.validation.x == row).all(axis=1))
        for row in model.preprocessing.transform(frame)
    ]
    rows = np.array([len(found) > 0 for found in validation])
    assert rows.sum() == len(dataset.validation.x)
    assert np.isclose(model.score_of(outputs[rows], y[rows]), last.validation_metric)
    if kind == "classification":
        assert set(predicted) == {"no", "yes"}
        assert (predicted == frame["dear"]).mean() > 0.8
    elif kind == "multilabel":
        assert predicted.dtype == np.int64
        assert (predicted == frame[["sunny", "quiet"]]).to_numpy().mean() > 0.7
    else:
        errors = predicted - frame[list(target.names)].to_numpy()
        assert (errors.std(axis=0) < frame[list(target.names)].std().to_numpy()).all()


def test_probabilities(trained):
    """Of classes they sum to 1, and the likeliest is predicted; of labels each has its own."""
    frame = table()
    model = trained["classification"][0]
    shares = model.predict_proba(frame)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    classes = model.preprocessing.target.classes
    assert (classes[shares.argmax(axis=1)] == model.predict(frame)).all()
    model = trained["multilabel"][0]
    assert ((model.predict_proba(frame) > 0.5) == model.predict(frame)).all()
    with pytest.raises(ValueError, match="a regression gives values"):
        trained["regression"][0].predict_proba(frame)


@pytest.mark.parametrize("kind", TARGETS)
def test_columns_go_by_name(trained, kind):
    """The order of the columns, and others beside them, change nothing; missing ones are named."""
    model, frame = trained[kind][0], table()
    expected = model.predict(frame)
    assert np.array_equal(model.predict(frame[FEATURES[::-1]].assign(more="x")), expected)
    with pytest.raises(ValueError, match="lacks the column 'street'"):
        model.predict(frame.drop(columns="street"))


@pytest.mark.parametrize("kind", TARGETS)
def test_a_file_says_the_same(trained, tmp_path, kind):
    """A model that was saved predicts to the same bits."""
    model, frame = trained[kind][0], table(50, seed=7)
    model.save(tmp_path / "model.npz")
    again = Model.load(tmp_path / "model.npz")
    assert again.config == model.config
    assert again.outputs(frame).tobytes() == model.outputs(frame).tobytes()
    assert again.predict(frame).tolist() == model.predict(frame).tolist()
    assert is_sound(tmp_path / "model.npz")


def test_damaged_and_older_files(trained, tmp_path):
    """Neither is taken for a model, and the error says which it is."""
    file = tmp_path / "model.npz"
    assert not is_sound(file)
    trained["regression"][0].save(file)
    whole = file.read_bytes()
    for damaged in (b"", whole[:1000], whole[:2000] + b"\0" + whole[2001:]):
        file.write_bytes(damaged)
        assert not is_sound(file)
        with pytest.raises(ArchiveError, match=r"model.npz: (not a whole archive|the contents)"):
            Model.load(file)
    archive.write(file, {"parameters": np.zeros(3)}, "sweep model 1")
    with pytest.raises(ArchiveError, match="holds 'sweep model 1', but 'sweep model 2' is read"):
        Model.load(file)


def test_integer_labels(tmp_path):
    """Labels that are numbers come back as numbers."""
    frame = pd.DataFrame({"x": np.arange(60.0), "y": np.repeat([3, 7], 30)})
    frame.to_csv(tmp_path / "x.csv", index=False)
    dataset, preprocessing = datasets.load(DataSpec(source=str(tmp_path / "x.csv"), target=("y",)))
    config = TrainConfig(neurons=(4,), epochs=30)
    model = Model(config, run(config, dataset, seed=0)[1].parameters, preprocessing)
    predicted = model.predict(frame)
    assert predicted.dtype.kind == "i"
    assert set(predicted) == {3, 7}


def test_it_is_an_estimator_of_scikit_learn(trained):
    """Its functions take it for a fitted classifier or regressor, and score it as their own."""
    frame = table()
    for kind in ("classification", "multilabel"):
        model = trained[kind][0]
        y = frame[list(model.preprocessing.target.names)]
        assert is_classifier(model)
        assert not is_regressor(model)
        assert model.score(frame, y) == accuracy_score(y, model.predict(frame))
    for kind in ("regression", "several values"):
        model = trained[kind][0]
        y = frame[list(model.preprocessing.target.names)]
        assert is_regressor(model)
        assert model.predict(frame).shape == ((200,) if kind == "regression" else (200, 2))
        assert model.score(frame, y) == pytest.approx(r2_score(y, model.predict(frame)))
        with pytest.raises(AttributeError, match="no classes_"):
            _ = model.classes_
    check_is_fitted(trained["regression"][0])
    with pytest.raises(TypeError, match=r"not fitted again.*FrozenEstimator"):
        trained["regression"][0].fit(frame, frame["price"])


def test_scikit_learns_tools_take_it(trained):
    """Scorers, displays and calibrators of a text-labelled classifier on raw columns."""
    model, frame = trained["classification"][0], table(300, seed=3)
    x, y = frame[FEATURES], frame["dear"]
    area = get_scorer("roc_auc")(model, x, y)
    assert area == pytest.approx(roc_auc_score(y == "yes", model.predict_proba(x)[:, 1]))
    assert area > 0.8
    assert list(model.classes_) == ["no", "yes"]
    found = permutation_importance(model, x, y, n_repeats=2, random_state=0)
    assert found.importances_mean.argmax() == FEATURES.index("size")
    frozen = CalibratedClassifierCV(FrozenEstimator(model), method="sigmoid").fit(x, y)
    assert (frozen.predict(x) == model.predict(x)).mean() > 0.9
    grid = partial_dependence(model, x.assign(floor=x["floor"].astype(float)), ["floor"])
    assert np.ptp(grid["average"]) > 0.01


@pytest.mark.parametrize("kind", TARGETS)
def test_arrays_and_arrow_tables(trained, kind):
    """All columns of an array by their place, or those of an Arrow table by name."""
    model, frame = trained[kind][0], table()
    names = model.feature_names_in_.tolist()
    assert model.n_features_in_ == len(names)
    others = [name for name in names if name not in FEATURES]
    array = frame.assign(**dict.fromkeys(others, 0))[names].to_numpy(dtype=object)
    expected = model.predict(frame)
    assert np.array_equal(model.predict(array), expected)
    arrow = pa.Table.from_pandas(frame[FEATURES[::-1]])
    assert np.array_equal(model.predict(arrow), expected)


@pytest.mark.parametrize(
    "give",
    [
        lambda frame, y: (frame, None),
        lambda frame, y: (frame[FEATURES], y),
        lambda frame, y: (frame[FEATURES], y.to_numpy()),
        lambda frame, y: (frame[FEATURES], y.to_numpy().tolist()),
        lambda frame, y: (
            frame[FEATURES],
            y.set_axis([f"t{i}" for i in range(y.shape[1])], axis=1),
        ),
        lambda frame, y: (frame[FEATURES], y.iloc[:, ::-1]),
    ],
)
@pytest.mark.parametrize("kind", TARGETS)
def test_targets_as_they_come(trained, kind, give):
    """In the table, beside it, as arrays, lists, and columns of other names or in another order."""
    model, frame = trained[kind][0], table()
    y = frame[list(model.preprocessing.target.names)]
    assert model.score(*give(frame, y)) == model.score(frame)


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_targets_that_do_not_fit(trained, kind):
    """What is missing or too short or unknown is told, and what to give."""
    model, frame = trained[kind][0], table()
    (name,) = model.preprocessing.target.names
    x, y = frame[FEATURES], frame[name]
    for arguments, told in (
        ((x,), f"the true {name} of these rows is needed"),
        ((x, y[:9]), "X has 200 rows and y has 9"),
        ((x, frame[["sunny", "quiet"]]), f"a column for each of {name}, and has 2"),
    ):
        with pytest.raises(UsageError, match=told):
            model.score(*arguments)
    with pytest.raises(ValueError, match=f"column '{name}', row 0: \"odd\" is not"):
        model.score(x, y.astype(object).where(y.index > 0, "odd"))
    for ask in (model.feature_significance, model.calibration, model.confusion):
        if kind == "classification" or ask == model.feature_significance:
            with pytest.raises(UsageError, match="comes from a file, which holds none"):
                ask()
    with pytest.raises(UsageError, match="y is given without its rows"):
        model.feature_significance(y=y)


def test_confusion(trained):
    """The model's own, with labels; a regression has none."""
    model, frame = trained["classification"][0], table()
    found = model.confusion(frame)
    expected = pd.crosstab(frame["dear"], model.predict(frame))
    assert (found.to_numpy() == expected.to_numpy()).all()
    labels = trained["multilabel"][0].confusion(frame)
    assert labels.index.tolist() == ["sunny", "quiet"]
    assert (labels.sum(axis=1) == len(frame)).all()
    with pytest.raises(UsageError, match="a regression has no classes"):
        trained["regression"][0].confusion(frame)


def test_calibration(trained):
    """That of the probabilities; what says none is refused in words."""
    frame = table()
    model = trained["classification"][0]
    found, shares = model.calibration(frame, bins=5), model.predict_proba(frame).max(axis=1)
    right = model.predict(frame) == frame["dear"]
    observed, predicted = calibration_curve(right, shares, n_bins=5)
    np.testing.assert_allclose(found.table["observed"], observed)
    np.testing.assert_allclose(found.table["predicted"], predicted, rtol=1e-5)
    assert trained["multilabel"][0].calibration(frame).table.index.names == ["label", "bin"]
    with pytest.raises(UsageError, match=r"mean_squared predicts values without.*gaussian_nll"):
        trained["regression"][0].calibration(frame)
    with pytest.raises(UsageError, match="bins must be a positive integer"):
        model.calibration(frame, bins=0)
    hinge = replace(model, config=replace(model.config, loss="hinge"))
    with pytest.raises(UsageError, match="hinge gives scores"):
        hinge.calibration(frame)


@pytest.mark.parametrize(
    ("loss", "options"), [("gaussian_nll", {}), ("quantile", {"quantile": 0.8})]
)
def test_calibration_of_values(tmp_path, loss, options):
    """Shares of the targets in the units that they were trained in are those in the data's own."""
    frame = table(500)[[*FEATURES, "price"]]
    frame.to_csv(tmp_path / "x.csv", index=False)
    data = DataSpec(source=str(tmp_path / "x.csv"), target=("price",))
    dataset, preprocessing = datasets.load(data)
    config = TrainConfig(neurons=(16,), loss=loss, metric="rmse", learning_rate=0.01, epochs=30)
    if loss == "quantile":
        config = replace(config, quantile=0.8)
    model = Model(config, run(config, dataset, seed=0)[1].parameters, preprocessing)
    found = model.calibration(frame)
    if loss == "quantile":
        below = (frame["price"] <= model.predict(frame)).mean()
        assert found.table.loc["price", "observed"] == pytest.approx(below, abs=0.003)
        assert 0.7 < below < 0.9
        return
    _, logs = np.split(model.outputs(frame), 2, axis=1)
    deviation = np.exp(logs[:, 0] / 2) * preprocessing.target.scale[0]
    half = norm.ppf(0.95) * deviation
    within = ((frame["price"] - model.predict(frame)).abs() <= half).mean()
    assert found.table.loc[("price", "90%"), "observed"] == pytest.approx(within, abs=0.003)


def test_a_file_of_anything_else(trained, tmp_path):
    """`sweep.load_model` refuses what is no model, in words, and reads what is one."""
    file = tmp_path / "model.npz"
    with pytest.raises(UsageError, match=r"model\.npz: cannot be read: No such file"):
        sweep.load_model(file)
    file.write_bytes(b"PK no archive")
    with pytest.raises(UsageError, match=r"model\.npz: not a whole archive.*Model\.save"):
        sweep.load_model(file)
    archive.write(file, {"parameters": np.zeros(3)}, "trainer.MLP 1")
    with pytest.raises(UsageError, match=r"holds 'trainer\.MLP 1'.*Model\.save"):
        sweep.load_model(file)
    np.savez(file, a=np.array([{}], dtype=object))
    with pytest.raises(UsageError, match=r"no schema|pickled"):
        sweep.load_model(file)
    trained["regression"][0].save(str(file))
    assert isinstance(sweep.load_model(str(file)), Model)

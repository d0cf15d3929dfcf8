"""Real data: how rows are shared out and scaled, and how new rows are read the same way."""

import io

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.metrics import root_mean_squared_error
from sklearn.preprocessing import StandardScaler

from sweep import datasets
from sweep.datasets import Preprocessing, split
from sweep.errors import StudyFileError
from sweep.spec import SOURCES, DataSpec
from tests.sweep.tables import FEATURES, table
from trainer import TrainConfig, check_fit, predict, run


def data(source="sklearn:iris", **given):
    return DataSpec(source=source, **given)


@pytest.mark.parametrize("source", SOURCES)
def test_every_source(source):
    """Every source gives what the trainer takes, of the kind that the study file expects of it."""
    dataset, preprocessing = datasets.load(data(source))
    regression = SOURCES[source] == "regression"
    assert (dataset.n_classes is None) == (preprocessing.target.classes is None) == regression
    assert dataset.n_inputs == len(preprocessing.features)
    for part in (dataset.train, dataset.validation, dataset.test):
        assert part.x.dtype == np.float32
        assert part.x.flags.c_contiguous
        assert part.y.dtype == (np.float32 if regression else np.int64)
        assert part.y.ndim == (2 if regression else 1)
        assert np.abs(part.x.mean(axis=0)).max() < 1
    assert np.allclose(dataset.train.x.mean(axis=0), 0, atol=1e-5)
    config = TrainConfig(
        neurons=(), loss="mean_squared", metric="r2" if regression else "accuracy", epochs=2
    )
    check_fit(config, dataset)
    assert len(run(config, dataset, seed=0)[0]) == 2


def test_split_of_balanced_classes():
    """Classes of one size are shared out evenly."""
    dataset, _ = datasets.load(data())
    counts = [np.bincount(part.y).tolist() for part in (dataset.train, dataset.validation)]
    assert counts == [[30, 30, 30], [10, 10, 10]]


def test_scaling_is_fitted_on_training_rows_only():
    """The scaler has seen the training rows and no others; scikit-learn's agrees."""
    raw = load_iris()
    dataset, preprocessing = datasets.load(data())
    train, validation, _ = split(data(), len(raw.data), raw.target)
    scaler = StandardScaler().fit(raw.data[train])
    fitted = preprocessing.measures.scaler.arrays
    assert np.allclose(fitted["mean_"], scaler.mean_, rtol=1e-12)
    assert np.allclose(fitted["scale_"], scaler.scale_, rtol=1e-12)
    assert np.array_equal(dataset.validation.x, preprocessing.transform(raw.data[validation]))
    assert np.array_equal(dataset.validation.y, raw.target[validation])


def test_no_scaling():
    """Without scaling, rows and targets are as they were."""
    raw = load_diabetes()
    spec = data("sklearn:diabetes", scaling="none")
    dataset, preprocessing = datasets.load(spec)
    train = split(spec, len(raw.data))[0]
    assert np.array_equal(dataset.train.x, raw.data[train].astype(np.float32))
    assert np.array_equal(dataset.train.y[:, 0], raw.target[train].astype(np.float32))
    assert preprocessing.target.scale.tolist() == dataset.target_scale.tolist() == [1]


def test_constant_columns():
    """A column without spread in training is centred and left so, since 0 would divide it."""
    dataset, preprocessing = datasets.load(data("sklearn:digits"))
    constant = preprocessing.measures.scaler.arrays["scale_"] == 1
    assert preprocessing.features[0] == "pixel_0_0"
    assert constant[0]
    assert not dataset.train.x[:, constant].any()


def test_labels_and_features():
    """Class indices become the data's own labels; a row of another width is refused by name."""
    _, preprocessing = datasets.load(data())
    assert preprocessing.target.labels([2, 0]).tolist() == ["virginica", "setosa"]
    with pytest.raises(ValueError, match=r"\(1, 3\), not \(rows, 4\): sepal length"):
        preprocessing.transform(np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"\(4,\), not \(rows, 4\)"):
        preprocessing.transform(np.zeros(4))


def test_regression_in_units_of_the_data():
    """Standardised targets and their metrics come back in the units of the data."""
    raw = load_diabetes()
    spec = data("sklearn:diabetes")
    dataset, preprocessing = datasets.load(spec)
    validation = split(spec, len(raw.data))[1]
    targets = raw.target[validation, None]
    assert np.allclose(preprocessing.target.values(dataset.validation.y), targets, rtol=1e-5)
    config = TrainConfig(neurons=(8,), loss="mean_squared", metric="rmse", epochs=3)
    records, state = run(config, dataset, 0)
    outputs = predict(config, state.parameters, dataset.validation.x, 1)
    expected = root_mean_squared_error(targets, preprocessing.target.values(outputs))
    assert np.isclose(records[-1].validation_metric, expected)
    with pytest.raises(ValueError, match="no class labels"):
        preprocessing.target.labels([0])


@pytest.mark.parametrize("source", SOURCES)
def test_arrays_without_pickle(source):
    """Preprocessing comes back from an .npz that holds no pickle."""
    _, preprocessing = datasets.load(data(source))
    file = io.BytesIO()
    np.savez(file, **preprocessing.to_arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        again = Preprocessing.from_arrays(arrays)
    assert again.to_arrays().keys() == preprocessing.to_arrays().keys()
    for name, array in preprocessing.to_arrays().items():
        assert np.array_equal(again.to_arrays()[name], array)
        assert again.to_arrays()[name].dtype == array.dtype
    rows = np.random.default_rng(0).random((3, len(again.features)))
    assert np.array_equal(again.transform(rows), preprocessing.transform(rows))


def test_fingerprint():
    """The fingerprint is the same for the same rows, and another for anything else."""
    dataset, _ = datasets.load(data())
    same, _ = datasets.load(data())
    others = [datasets.load(data(**given))[0] for given in ({"seed": 1}, {"scaling": "none"})]
    prints = [datasets.fingerprint(d) for d in (dataset, *others, dataset.without_test())]
    assert datasets.fingerprint(same) == prints[0]
    assert len(set(prints)) == 4
    assert len(prints[0]) == 64


PRINTS = {
    "breast_cancer": "fa26682522ad843ebcbcc45dbc7ead4eb0498d336907d4832c91341cbbb2b068",
    "diabetes": "30528b95a80adb1ba3494621486ea889c8036bd67ad22550ccee4dec306116b6",
    "digits": "a764000296ff3b24b0c1a1196edf161cb5dbaf156c28b312c877679069a4d9e2",
    "iris": "90fd6897fd5ae2751625145f16a55af07ebc9c4d6750fc4b487622515ea8089e",
    "wine": "573c3e80abdf7cdd1805ddb9452f0fa84f2b348938dbd18f30302fd47369cc38",
}


@pytest.mark.parametrize("name", PRINTS)
def test_rows_of_stored_studies(name):
    """The rows are those of the studies of release 0.1.0, to the bit: these go on with them."""
    assert datasets.fingerprint(datasets.load(data(f"sklearn:{name}"))[0]) == PRINTS[name]


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    """A table of a column of each kind, in a CSV file."""
    file = tmp_path_factory.mktemp("homes") / "homes.csv"
    table().to_csv(file, index=False)
    return file


def home(file, target, **given):
    left_out = {"price", "rent", "dear", "sunny", "quiet"} - {*target}
    columns = dict.fromkeys(sorted(left_out), "drop") | given.pop("columns", {})
    return DataSpec(source=str(file), target=target, columns=columns, **given)


@pytest.mark.parametrize(
    ("target", "kind", "outputs"),
    [
        (("price",), "regression", 1),
        (("price", "rent"), "regression", 2),
        (("dear",), "classification", 2),
        (("street",), "classification", 8),
        (("sunny", "quiet"), "multilabel", 2),
    ],
)
def test_every_kind_of_target(homes, target, kind, outputs):
    """What is to be predicted is found from its columns, and trained on and predicted as such."""
    dataset, preprocessing = datasets.load(home(homes, target))
    assert preprocessing.target.task == dataset.kind == kind
    assert dataset.n_outputs == preprocessing.target.n_outputs == outputs
    assert [len(part.x) for part in (dataset.train, dataset.validation, dataset.test)] == [
        120,
        40,
        40,
    ]
    if kind == "regression":
        back = preprocessing.target.values(dataset.train.y)
        np.testing.assert_allclose(back.mean(axis=0), dataset.target_mean, rtol=1e-5)


FORMATS = {
    "homes.csv.gz": lambda frame, file: frame.to_csv(file, index=False),
    "homes.tsv": lambda frame, file: frame.to_csv(file, index=False, sep="\t"),
    "homes.parquet": lambda frame, file: frame.to_parquet(file),
    "homes.feather": lambda frame, file: frame.to_feather(file),
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_rows_from_any_format(homes, tmp_path, name):
    """The fingerprint is that of the rows, wherever they are read from."""
    FORMATS[name](pd.read_csv(homes), tmp_path / name)
    prints = {
        datasets.fingerprint(datasets.load(home(file, ("price",)))[0])
        for file in (homes, tmp_path / name)
    }
    assert len(prints) == 1


@pytest.mark.parametrize("scaling", ["standard", "robust", "quantile"])
@pytest.mark.parametrize("target", [("price",), ("dear",)])
def test_nothing_leaks(homes, tmp_path, scaling, target):
    """What is fitted, and the training rows, stay the same to the bit whatever the validation and
    test rows hold."""
    frame = pd.read_csv(homes)
    marks = np.repeat(["train", "validation", "test"], [120, 40, 40])
    frame["part"] = np.random.default_rng(1).permutation(marks)
    other = frame.copy()
    rest, rng = other["part"] != "train", np.random.default_rng(2)
    other.loc[rest, "size"] = rng.normal(1e4, 1e5, rest.sum())
    other.loc[rest, "floor"] = 1000
    other.loc[rest, "colour"] = "never seen"
    other.loc[rest, "built"] = "1650-01-01"
    other.loc[rest, "street"] = None
    other.loc[rest, "price"] *= 1000
    fitted, trained = [], []
    for number, rows in enumerate((frame, other)):
        file = tmp_path / f"{number}.csv"
        rows.to_csv(file, index=False)
        dataset, preprocessing = datasets.load(
            home(file, target, split="column", by="part", scaling=scaling)
        )
        fitted.append(preprocessing.to_arrays())
        trained.append([*dataset.train])
    assert fitted[0].keys() == fitted[1].keys()
    for name in fitted[0]:
        assert np.array_equal(fitted[0][name], fitted[1][name]), name
    assert all(map(np.array_equal, *trained))


def test_the_columns_apart(homes, tmp_path):
    """Groups, weights and marks are no features; times are one unless they are dropped."""
    frame = pd.read_csv(homes).assign(who=np.arange(200) // 5, much=np.arange(200) / 7)
    frame.to_csv(tmp_path / "x.csv", index=False)

    def load(**given):
        return datasets.load(home(tmp_path / "x.csv", ("price",), **given))

    dataset, preprocessing = load(split="grouped", by="who", weight="much")
    assert preprocessing.reading.needed == FEATURES
    assert dataset.weights.shape == (len(dataset.train.x),)
    train = split(data(split="grouped", by="who"), 200, None, np.arange(200) // 5).train
    np.testing.assert_allclose(dataset.weights, train / 7)
    assert load(split="time", by="built")[1].reading.needed == [*FEATURES, "who", "much"]
    dropped = load(split="time", by="built", columns={"built": "drop"})[1]
    assert "built" not in dropped.reading.needed


def test_the_latest_rows_of_a_file_are_for_testing(homes):
    """A split by time takes the dates of the file: the model is tested on the latest."""
    frame = pd.read_csv(homes)
    dataset, _ = datasets.load(
        home(homes, ("price",), split="time", by="built", target_scaling="none")
    )
    latest = frame.sort_values("built")["price"][-len(dataset.test.y) :]
    np.testing.assert_allclose(sorted(dataset.test.y[:, 0]), sorted(latest), rtol=1e-6)


def test_positive_class(homes):
    """The class of two that is asked for has index 1, which metrics such as f1 are about."""
    for positive in ("yes", "no"):
        dataset, preprocessing = datasets.load(home(homes, ("dear",), positive=positive))
        assert preprocessing.target.classes[1] == positive
        labels = preprocessing.target.labels(dataset.train.y)
        assert np.array_equal(labels == positive, dataset.train.y == 1)
    cancer = datasets.load(data("sklearn:breast_cancer", positive="malignant"))[1]
    assert cancer.target.classes.tolist() == ["benign", "malignant"]


def test_folds_of_a_file(homes):
    """Each fold is described, filled and scaled by its own training rows."""
    parts = datasets.load_folds(home(homes, ("price",)), 4)
    medians = {preprocessing.measures.medians[0] for _, preprocessing in parts}
    assert len(medians) > 1
    assert sum(len(dataset.validation.x) for dataset, _ in parts) == 160


def notes(**given):
    from sweep.studyfile import from_json

    record = {"name": "x", "data": given, "space": {"loss": "softmax_cross_entropy"}}
    return datasets.load_study(from_json(record)).notes


def test_notes(tmp_path):
    """What is left out and why, and a rare class, are said."""
    frame = table().assign(id=np.arange(200), empty=np.nan, same=1)
    frame["fraud"] = np.where(np.arange(200) % 50 == 0, "yes", "no")
    frame.to_csv(tmp_path / "x.csv", index=False)
    found = notes(source=str(tmp_path / "x.csv"), target="fraud")
    (dropped,) = [note for note in found if note.startswith("not learned from: ")]
    assert all(f"{name} (" in dropped for name in ("id", "empty", "same"))
    (rare,) = [note for note in found if "only 2 % of the rows are of class yes" in note]
    assert "balanced_accuracy" in rare
    assert notes(source="sklearn:digits") == ()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"target": ("price",), "weight": "size"},
            r'line \d+: column "size" holds nothing, which is not a weight',
        ),
        (
            {"target": ("price",), "split": "grouped", "by": "colour"},
            r'line \d+: column "colour" holds nothing, which is not a value, which data.split =',
        ),
        (
            {"target": ("price",), "split": "column", "by": "garden"},
            r'column "garden" holds ".*", which is not one of train, validation, test',
        ),
        (
            {"target": ("price",), "split": "time", "by": "street"},
            r'column "street" holds ".", which is not a finite number; mend it, or say what the '
            r"column is in data.columns: numeric, boolean, categorical, date, drop",
        ),
        (
            {"target": ("price",), "columns": {"colour": "numeric"}},
            r'line \d+: column "colour" holds ".*", which is no number; mend the value',
        ),
        ({"target": ("dear",), "positive": "maybe"}, 'positive = "maybe": must be .* no, yes'),
        ({"target": ("street",), "positive": "a"}, 'data.positive = "a": must be one of two'),
        ({"target": ("price",), "positive": "a"}, 'data.positive = "a": .* the target has none'),
        (
            {"target": ("price",), "columns": dict.fromkeys(FEATURES, "drop")},
            "homes.csv: there is no column to predict price by",
        ),
    ],
)
def test_tables_that_do_not_fit(homes, given, message):
    """What a table lacks for the question is told by file, line or column, and value."""
    with pytest.raises(StudyFileError, match=message):
        datasets.load(home(homes, **given))

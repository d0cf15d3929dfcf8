"""Models of every kind of target: raw tables in, what the data calls its labels and values out."""

import numpy as np
import pandas as pd
import pytest

from sweep import datasets
from sweep.dataspec import DataSpec
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

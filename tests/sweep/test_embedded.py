"""Studies that search numeric embeddings."""

import dataclasses

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris

from sweep import datasets, studyfile
from sweep.cost import MEASURES, Shape, flops, predicted_cost, work
from sweep.model import Model
from sweep.results import Study
from sweep.space import train_config
from sweep.store import Store
from sweep.verify import verify
from tests.sweep.studies import EMBEDDED, finish, small
from tests.sweep.test_search import ALL
from trainer import Dataset, Split, TrainConfig, run

EMBEDDINGS = ["piecewise_linear", "periodic"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sweep.db"


def changed(spec, **tables):
    """A spec with other keys in its tables."""
    record = studyfile.to_json(spec)
    for table, keys in tables.items():
        record[table] |= keys
    return studyfile.from_json(record)


def verified(study: Study, path, retrain: int):
    """What checking the record against itself finds."""
    with Store(path, read_only=True) as store:
        return list(verify(study.name, store, retrain))


STEPS = {
    "frequency_scale": [0.05, 0.5],
    "bins": [2, 8],
    "frequencies": [1, 4],
    "learning_rate": [1e-3, 1e-1],
    "neurons": 8,
    "layers": 1,
    "batch_size": 16,
    "activation": "relu",
    "optimizer": "adam",
}
"""Few points, for a grid."""


@pytest.mark.parametrize("sampler", ALL)
def test_every_sampler_searches_embeddings(tmp_path, path, sampler):
    """The table repeats and replays, trials train again to the same bits, options come and go."""
    space = STEPS if sampler == "grid" else {}
    spec = changed(small(tmp_path, EMBEDDED), space=space, search={"sampler": sampler})
    study = finish(spec, path)
    trials = study.trials
    assert not trials["state"].isin(["FAIL", "RUNNING"]).any()
    assert set(trials["params_embedding"]) == {"none", *EMBEDDINGS}
    for option, name in (
        ("bins", "piecewise_linear"),
        ("frequencies", "periodic"),
        ("frequency_scale", "periodic"),
    ):
        assert (trials[f"params_{option}"].notna() == (trials["params_embedding"] == name)).all()
    assert all(each.differences == () for each in verified(study, path, 6)[1:])
    assert study.fingerprint == finish(spec, tmp_path / "again.db").fingerprint


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("source", ["sklearn:iris", "sklearn:diabetes"])
def test_the_winner_is_kept_with_its_embedding(tmp_path, path, embedding, source):
    """Its file alone predicts raw rows as the study measured it, on rows that it never saw."""
    regression = source == "sklearn:diabetes"
    space = {"embedding": embedding, "loss": "mean_squared"} if regression else {}
    metric = "rmse" if regression else "accuracy"
    spec = changed(
        small(tmp_path, EMBEDDED, trials=6, pruner="none"),
        data={"source": source},
        space={"embedding": embedding, "learning_rate": 0.01} | space,
        train={"metric": metric},
    )
    study = finish(spec, path)
    dataset, _ = datasets.load(spec.data)
    model = study.best.model
    assert model.embedding.name == embedding
    assert model.evaluate(dataset, dataset.validation) == study.best.value
    assert model.evaluate(dataset, dataset.test) == study.best.test
    model.save(tmp_path / "copy.npz")
    copy = Model.load(tmp_path / "copy.npz")
    raw = load_diabetes() if regression else load_iris()
    np.testing.assert_array_equal(copy.predict(raw.data), model.predict(raw.data))
    order = datasets.split(spec.data, len(raw.data), None if regression else raw.target)
    test = order[2]
    if regression:
        error = np.sqrt(np.mean((copy.predict(raw.data[test]) - raw.target[test]) ** 2))
        assert error == pytest.approx(study.best.test, rel=1e-5)
    else:
        labels = raw.target_names[raw.target[test]]
        assert (copy.predict(raw.data[test]) == labels).mean() == pytest.approx(study.best.test)


def columns(rng, rows=200):
    """Training rows with columns of two, three, few and many values, constant and skewed ones."""
    return np.column_stack(
        [
            rng.integers(0, 2, rows),
            rng.integers(0, 3, rows),
            np.zeros(rows),
            rng.normal(size=rows),
            np.maximum(rng.normal(size=rows), 1.5),
        ]
    ).astype(np.float32)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("count", [1, 3, 16, 300])
def test_the_cost_is_of_the_widened_network(embedding, count):
    """Its inputs, parameters and time are those of a network that has the features as columns."""
    rng = np.random.default_rng(0)
    x, y = columns(rng), rng.integers(0, 2, 200)
    dataset = Dataset(Split(x, y), Split(x[:50], y[:50]), n_classes=2)
    config = TrainConfig(
        neurons=(5,), embedding=embedding, bins=count, frequencies=count, frequency_scale=3.0
    )
    _, state = run(config, dataset, seed=0, until=0)
    shape = Shape.of(dataset)
    assert shape.inputs(config) == state.embedding.n_features
    assert MEASURES["parameters"](config, shape) == state.parameters.size
    plain = dataclasses.replace(config, embedding="none")
    wide = dataclasses.replace(shape, n_inputs=state.embedding.n_features)
    assert work(config, shape) == work(plain, wide)
    assert flops(config, shape) == flops(plain, wide)
    assert predicted_cost(config, shape, 4) == predicted_cost(plain, wide, 4)
    assert shape.inputs(plain) == 5


def test_objectives_and_limits_count_the_features(tmp_path, path):
    """`parameters` is that of the network with its features, and so is what is too large."""
    spec = changed(
        small(tmp_path, EMBEDDED, sampler="nsga2", pruner="none"),
        search={"objectives": ["accuracy", "parameters", "log_loss"], "max_parameters": 150},
    )
    study = finish(spec, path)
    trials = study.trials
    assert (trials["outcome"] == "too_large").any()
    dataset, _ = datasets.load(spec.data)
    complete = trials[trials["state"] == "COMPLETE"]
    with Store(path, read_only=True) as store:
        params = {row["number"]: row["params"] for row in store.trials(1)}
    for row in complete.itertuples():
        config = train_config(spec, params[row.number])
        _, state = run(config, dataset, seed=0, until=0)
        assert row.values_parameters == state.parameters.size <= 150
    assert complete["values_log_loss"].between(0, 40).all()


@pytest.mark.parametrize("pruner", ["hyperband", "promotion"])
def test_states_go_on_with_their_embedding(tmp_path, path, pruner):
    """A trial that went through rungs ends as one that was trained in one go."""
    spec = small(tmp_path, EMBEDDED, pruner=pruner)
    study = finish(spec, path)
    dataset, _ = datasets.load(spec.data)
    with Store(path, read_only=True) as store:
        rows = store.trials(1)
    whole = [row for row in rows if row["state"] == "complete"]
    assert whole
    for row in whole:
        records, _ = run(train_config(spec, row["params"]), dataset, row["seed"])
        assert records[-1].validation_metric == row["value"]
    assert set(study.trials["params_embedding"]) == {"none", *EMBEDDINGS}

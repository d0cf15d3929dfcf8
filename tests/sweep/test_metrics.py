"""Studies by each of the metrics: as the objective, to stop by, and as further ones."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes

from sweep import datasets, studyfile
from sweep.errors import StudyFileError
from sweep.model import Model
from sweep.results import Study
from sweep.space import check_data
from tests.sweep.studies import finish
from tests.trainer.test_metrics import REFERENCES
from trainer import METRICS

SEARCH = {"trials": 3, "sampler": "random", "pruner": "none", "workers": 2}
SPACE = {"layers": 1, "neurons": 8, "learning_rate": {"low": 0.001, "high": 0.01, "log": True}}


def spec(metric, source="sklearn:breast_cancer", *, data=None, search=None, **space):
    return studyfile.from_json(
        {
            "name": "x",
            "data": {"source": source} | (data or {}),
            "space": SPACE | space,
            "train": {"epochs": 6, "metric": metric},
            "search": SEARCH | (search or {}),
        }
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "sweep.db"


def response(study: Study, name: str, rows: np.ndarray) -> np.ndarray:
    """What the winner says of raw rows, as the metric takes it."""
    model, method = study.best.model, METRICS[name].response_method
    assert isinstance(model, Model)
    if method == "predict":
        predicted = model.predict(rows)
        return predicted[:, np.newaxis] if predicted.dtype.kind == "f" else predicted
    # Without a decision function, the probability of class 1 ranks the rows.
    probabilities = model.predict_proba(rows)
    return probabilities if method == "predict_proba" else probabilities[:, 1]


LABELS = [name for name, metric in METRICS.items() if "classification" in metric.kinds]
VALUES = [name for name, metric in METRICS.items() if "regression" in metric.kinds]


@pytest.mark.parametrize("name", [name for name in (*LABELS, *VALUES) if name != "loss"])
def test_every_metric_can_be_the_objective(path, name):
    """The winner has the best value, and it is scikit-learn's of the winner's own predictions."""
    regression = name in VALUES
    if regression:
        asked, raw = spec(name, "sklearn:diabetes", loss="mean_squared"), load_diabetes()
    else:
        asked, raw = spec(name), load_breast_cancer()
    study = finish(asked, path)
    best = max if METRICS[name].direction == "maximize" else min
    assert study.best.value == best(study.trials["value"])
    parts = datasets.split(asked.data, len(raw.target), None if regression else raw.target)
    targets = raw.target[:, np.newaxis] if regression else raw.target
    for value, rows in ((study.best.value, parts[1]), (study.best.test, parts[2])):
        said = response(study, name, raw.data[rows])
        if said.dtype.kind == "U":
            said = (said == raw.target_names[1]).astype(int)
        assert value == pytest.approx(REFERENCES[name](said, targets[rows]), rel=1e-4, abs=1e-6)


def test_trials_stop_early_by_the_area(tmp_path, path):
    """A trial ends `patience` epochs after its best roc_auc, which is its value."""
    record = studyfile.to_json(spec("roc_auc", patience=3))
    record["train"]["epochs"] = 60
    record["search"] |= {"trials": 8, "pruner": "hyperband"}
    asked = studyfile.from_json(record)
    study = finish(asked, path)
    complete = study.trials[study.trials["state"] == "COMPLETE"].set_index("number")
    curves = study.epochs.groupby("trial")["validation_metric"]
    early = complete[complete["epochs"] < 60]
    assert len(early)
    for number, row in early.iterrows():
        curve = curves.get_group(number).to_numpy()
        assert row["value"] == curve.max()
        assert len(curve) == curve.argmax() + 1 + 3
    dataset, _ = datasets.load(asked.data)
    assert study.best.model.evaluate(dataset, dataset.validation) == study.best.value
    assert study.fingerprint == finish(asked, tmp_path / "again.db").fingerprint


def test_metrics_as_further_objectives_and_constraints(path):
    """Each is measured beside the study's own, whatever it takes of a network."""
    search = {
        "sampler": "nsga2",
        "trials": 8,
        "objectives": ["roc_auc", "brier_score"],
        "constraints": {"recall": {"low": 0.9}, "f1_macro": {"low": 0.5}},
    }
    study = finish(spec("roc_auc", search=search), path)
    trials = study.trials
    assert (trials["state"] == "COMPLETE").all()
    assert trials["values_roc_auc"].between(0.5, 1).all()
    assert trials["values_brier_score"].between(0, 0.5).all()
    met = trials[trials["violation_recall"] == 0]
    assert study.best.value == met["values_roc_auc"].max()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            spec("f1", "sklearn:digits"),
            "train.metric = \"f1\" does not suit sklearn:digits: .* use 'f1_macro'",
        ),
        (
            spec("accuracy", "sklearn:iris", search={"objectives": ["accuracy", "roc_auc"]}),
            "search.objectives = \"roc_auc\" .* use 'roc_auc_ovr'",
        ),
        (
            spec("accuracy", "sklearn:wine", search={"constraints": {"recall": {"low": 0.5}}}),
            "search.constraints = \"recall\" .* use 'recall_macro'",
        ),
        (
            spec("roc_auc_ovr", "sklearn:iris", data={"validation": 0.01}),
            r'train.metric = "roc_auc_ovr" .* validation.y has only one kind for label 0; use more',
        ),
        (
            spec("roc_auc_ovr", "sklearn:iris", data={"test": 0.01}),
            r'train.metric = "roc_auc_ovr" .* test.y has only one kind',
        ),
    ],
)
def test_metrics_that_the_rows_do_not_have(asked, message):
    """A study whose metric could not have a value is refused before its first trial."""
    dataset, _ = datasets.load(asked.data)
    with pytest.raises(StudyFileError, match=message):
        check_data(asked, dataset)

"""The estimators keep scikit-learn's conventions, and say what the trainer says."""

import dataclasses
import inspect
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import onnxruntime
import pandas
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils import estimator_checks

from trainer import ArchiveError, TrainConfig
from trainer.estimators import MLPClassifier, MLPRegressor
from trainer.rows import held_out

BATCHES = {
    "check_sample_weight_equivalence_on_dense_data": "a row of weight 2 and a row given twice fall "
    "into other batches, and float32 sums differ in the seventh digit; "
    "test_weights_count_as_repetitions runs it with full batches in float64"
}


QUICK = {"epochs": 40, "learning_rate": 0.01}


@estimator_checks.parametrize_with_checks(
    [MLPClassifier(**QUICK), MLPRegressor(**QUICK)],
    expected_failed_checks=lambda estimator: BATCHES,
)
def test_scikit_learn_checks(estimator, check):
    """Every check of check_estimator, but for one that runs below."""
    if check.func is not estimator_checks.check_array_api_input:
        check(estimator)


@pytest.mark.slow
@estimator_checks.parametrize_with_checks(
    [
        MLPClassifier(),
        MLPRegressor(),
        MLPClassifier(loss="sigmoid_cross_entropy", metric="loss"),
        MLPRegressor(norm="layer", dropout=0.1, optimizer="adamw", weight_decay=0.01),
        MLPClassifier(embedding="piecewise_linear", bins=8),
        MLPRegressor(embedding="periodic", frequencies=4),
    ],
    expected_failed_checks=lambda estimator: BATCHES,
)
def test_scikit_learn_checks_at_length(estimator, check):
    """The same of the defaults, which train for longer, and of others."""
    if check.func is not estimator_checks.check_array_api_input:
        check(estimator)


def test_scikit_learn_array_api_check():
    """The check that scikit-learn skips unless SciPy was imported with this set."""
    program = (
        "from trainer.estimators import MLPClassifier, MLPRegressor\n"
        "from sklearn.utils.estimator_checks import check_array_api_input\n"
        "for model in MLPClassifier(), MLPRegressor():\n"
        "    check_array_api_input('', model, 'numpy', expect_only_array_outputs=False)"
    )
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_weights_count_as_repetitions(kind):
    """Integer weights equal so many copies of a row."""
    model = kind(batch_size="full", dtype="float64")
    estimator_checks.check_sample_weight_equivalence_on_dense_data(kind.__name__, model)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_parameters_are_the_configurations(kind):
    """Every field of TrainConfig is a parameter, with its default where that is not the point."""
    found = {name: p.default for name, p in inspect.signature(kind).parameters.items()}
    fields = {field.name: field.default for field in dataclasses.fields(TrainConfig)}
    own = {"standardize", "validation_fraction", "random_state"}
    if kind is MLPRegressor:
        fields.pop("class_weight")
    assert set(found) == set(fields) | own
    meant = {"neurons", "epochs", "class_weight"} | ({"loss", "metric"} & set(fields))
    for name in set(fields) - meant:
        assert found[name] == fields[name], name


def test_learns_digits():
    """A default classifier reaches 96 % in cross-validation, whatever the labels are called."""
    x, y = load_digits(return_X_y=True)
    names = np.array([f"digit {d}" for d in range(10)], dtype=object)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    scores = cross_val_score(MLPClassifier(epochs=15, random_state=0), x, names[y], cv=folds)
    assert scores.mean() > 0.96


def test_linear_classifier_is_logistic_regression():
    """Without hidden layers, L-BFGS finds what scikit-learn's logistic regression finds."""
    x, y = load_iris(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    ours = MLPClassifier(
        neurons=(), optimizer="lbfgs", batch_size="full", l2=0.1, dtype="float64"
    ).fit(x, y)
    theirs = LogisticRegression(C=1 / (0.1 * len(x)), tol=1e-10, max_iter=1000).fit(x, y)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), atol=1e-5)


def test_same_seed_same_bits():
    """random_state decides everything; None does not."""
    x, y = load_iris(return_X_y=True)
    a, b, c = (
        MLPClassifier(epochs=3, random_state=s).fit(x, y).predict_proba(x).tobytes()
        for s in (1, 1, 2)
    )
    assert a == b != c


def test_target_scale_does_not_matter():
    """Targets are standardised and given back in their units, for several outputs too."""
    x, y = load_diabetes(return_X_y=True)
    y = np.column_stack([y, -y + x[:, 0]])
    model = MLPRegressor(epochs=30, random_state=0)
    plain, scaled = model.fit(x, y).predict(x), clone(model).fit(x, 1e6 * y + 1e7).predict(x)
    np.testing.assert_allclose(scaled, 1e6 * plain + 1e7, rtol=1e-4)
    assert r2_score(y, plain) > 0.4
    records = model.history_
    assert records[-1].validation_metric == pytest.approx(model.score(x, y), abs=1e-4)


def test_counts_keep_their_units():
    """Poisson targets are not shifted below 0; the predictions are means."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2))
    y = rng.poisson(np.exp(0.5 + x[:, 0])).astype(float)
    model = MLPRegressor(loss="poisson", metric="loss", epochs=20, random_state=0).fit(x, y)
    assert (model.predict(x) > 0).all()
    assert model.predict(x).mean() == pytest.approx(y.mean(), rel=0.1)


@pytest.mark.parametrize("loss", ["gaussian_nll", "quantile", "huber", "mean_absolute"])
def test_every_regression_loss_predicts_in_units(loss):
    """Losses of other kinds have values as predictions too."""
    x, y = load_diabetes(return_X_y=True)
    model = MLPRegressor(loss=loss, metric="rmse", epochs=40, random_state=0).fit(x, y)
    assert model.score(x, y) > 0.3


def test_class_weight():
    """Balanced weights find more of the rare class; a mapping that says the same does the same."""
    rng = np.random.default_rng(0)
    y = np.where(rng.random(600) < 0.05, "rare", "common")
    x = rng.normal(size=(600, 2)) + (y == "rare")[:, None]
    counts = {label: (y == label).sum() for label in ("rare", "common")}
    weights = {label: 600 / (2 * count) for label, count in counts.items()}
    settings = {"neurons": (8,), "epochs": 20, "random_state": 0, "batch_size": 64}
    plain, balanced, mapped = (
        MLPClassifier(class_weight=w, **settings).fit(x, y) for w in (None, "balanced", weights)
    )
    assert (balanced.predict(x) == "rare").sum() > 2 * (plain.predict(x) == "rare").sum()
    np.testing.assert_allclose(balanced.predict_proba(x), mapped.predict_proba(x), rtol=1e-6)
    assert len(balanced.feature_significance(x[y == "rare"], y[y == "rare"])) == 2
    with pytest.raises(ValueError, match="give it a mapping"):
        balanced.partial_fit(x, y)


def test_losses_without_probabilities():
    """predict_proba is there only where the loss gives probabilities."""
    x, y = load_iris(return_X_y=True)
    model = MLPClassifier(loss="hinge", epochs=50, random_state=0).fit(x, y)
    assert not hasattr(model, "predict_proba")
    assert model.score(x, y) > 0.9


def test_rows_of_several_labels(tmp_path):
    """Indicators are learned, predicted, saved and exported, each label on its own."""
    x, y = load_digits(return_X_y=True)
    indicators = np.column_stack([y % 2 == 0, y > 4, y == 0]).astype(int)
    model = MLPClassifier(loss="sigmoid_cross_entropy", epochs=20, patience=5, random_state=0).fit(
        x, indicators
    )
    assert model.score(x, indicators) > 0.95
    assert model.predict(x).shape == indicators.shape
    np.testing.assert_allclose(model.predict_proba(x) > 0.5, model.predict(x))
    model.save(tmp_path / "m.npz")
    again = MLPClassifier.load(tmp_path / "m.npz")
    assert again.predict_proba(x).tobytes() == model.predict_proba(x).tobytes()
    model.to_onnx(tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    (found,) = session.run(["y"], {"x": x.astype(np.float32)})
    np.testing.assert_allclose(found, model.predict_proba(x), atol=1e-5)
    with pytest.raises(ValueError, match="class_weight must be None"):
        model.set_params(class_weight="balanced").fit(x, indicators)
    with pytest.raises(ValueError, match="1d array"):
        MLPClassifier().fit(x, indicators)


def test_patience_holds_rows_out():
    """Early stopping ends before `epochs`, on held-out rows in the classes' proportions."""
    x, y = load_digits(return_X_y=True)
    model = MLPClassifier(patience=3, epochs=300, metric="log_loss", random_state=0).fit(x, y)
    assert len(model.history_) < 300
    assert model.n_rows_ == len(x) - len(x) // 10
    mask = held_out(y, model.validation_fraction, model.seed_)
    np.testing.assert_allclose(np.bincount(y[mask]), np.bincount(y) / 10, atol=2)
    with pytest.raises(ValueError, match="validation_fraction must hold out at least 1 of the 9"):
        model.fit(x[:9], y[:9])


def test_diagnosis_says_what_it_saw():
    """Without patience no rows are held out, and the diagnosis does not speak of any."""
    x, y = load_iris(return_X_y=True)
    settings = {"epochs": 30, "learning_rate": 0.01, "random_state": 0}
    blind = MLPClassifier(**settings).fit(x, y).diagnosis_
    assert "No rows were held out" in blind.text
    assert "validation loss" not in blind.text
    assert "validation loss" in MLPClassifier(patience=30, **settings).fit(x, y).diagnosis_.text


def test_partial_fit_goes_on():
    """Epochs of partial_fit on the same rows are those of fit, and batches of one class work."""
    x, y = load_iris(return_X_y=True)
    whole = MLPClassifier(epochs=4, random_state=0).fit(x, y)
    parts = MLPClassifier(epochs=4, random_state=0)
    for _ in range(4):
        parts.partial_fit(x, y, classes=[0, 1, 2])
    assert parts.predict_proba(x).tobytes() == whole.predict_proba(x).tobytes()
    parts.partial_fit(x[:50], y[:50])
    assert [record.epoch for record in parts.history_] == [1, 2, 3, 4, 5]
    MLPClassifier().partial_fit(x[:50], y[:50], classes=[0, 1, 2])
    with pytest.raises(ValueError, match="classes must hold every label"):
        MLPClassifier().partial_fit(x, y)
    with pytest.raises(ValueError, match="y must hold labels of"):
        parts.partial_fit(x, y + 1)


@pytest.mark.parametrize("changes", [{"patience": 2}, {"ema": 0.9}, {"ema": 0.9, "patience": 2}])
def test_partial_fit_after_early_stopping(changes):
    """partial_fit goes on from whatever fit kept."""
    x, y = load_iris(return_X_y=True)
    model = MLPClassifier(epochs=5, random_state=0, **changes).fit(x, y)
    done = len(model.history_)
    assert len(model.partial_fit(x, y).history_) == done + 1


def test_partial_fit_of_values():
    """A regressor's units come from the first rows, and its outputs may not change."""
    x, y = load_diabetes(return_X_y=True)
    model = MLPRegressor(random_state=0)
    for _ in range(20):
        model.partial_fit(x, y)
    assert model.score(x, y) > 0.4
    with pytest.raises(ValueError, match="y must have 1 outputs, not 2"):
        model.partial_fit(x, np.column_stack([y, y]))


def models() -> list:
    """Fitted estimators of every kind of attribute, with rows to predict."""
    x, y = load_iris(return_X_y=True, as_frame=True)
    words = pandas.Series(np.array(["setosa", "versicolor", "virginica"], dtype=object)[y])
    return [
        (MLPClassifier(epochs=2, record_layers=True, neurons=[7, 5]).fit(x, words), x, words),
        (MLPClassifier(epochs=2, class_weight={0: 1.0, 1: 2.0, 2: 1.0}).fit(x, y), x, y),
        (
            MLPRegressor(epochs=2, patience=1, ema=0.5, norm="batch").fit(x, x.iloc[:, :2]),
            x,
            x.iloc[:, :2],
        ),
        (MLPRegressor(epochs=2, activation=("tanh",), random_state=np.int64(3)).fit(x, y), x, y),
    ]


@pytest.mark.parametrize("number", range(4))
def test_save_and_load(tmp_path, number):
    """A file gives back the same estimator: parameters, predictions, history, and training."""
    model, x, y = models()[number]
    path = tmp_path / "model.npz"
    model.save(path)
    again = type(model).load(path)
    copies = again, pickle.loads(pickle.dumps(model))
    for copy in copies:
        assert copy.predict(x).tolist() == model.predict(x).tolist()
        assert copy.history_ == model.history_
        assert copy.diagnosis_ == model.diagnosis_
        assert copy.config_ == model.config_
        assert copy.feature_names_in_.tolist() == model.feature_names_in_.tolist()
        assert copy.partial_fit(x, y).score(x, y) == clone_of(model).partial_fit(x, y).score(x, y)
    expected = {k: tuple(v) if isinstance(v, list) else v for k, v in model.get_params().items()}
    assert again.get_params() == expected
    if isinstance(model, MLPClassifier):
        assert again.classes_.dtype == model.classes_.dtype
        assert again.classes_.tolist() == model.classes_.tolist()


def clone_of(model):
    """A copy, fitted as it is."""
    return pickle.loads(pickle.dumps(model))


def test_files_of_another_kind(tmp_path):
    """A file of the other estimator, and what cannot be written, are refused."""
    x, y = load_iris(return_X_y=True)
    MLPClassifier(epochs=1).fit(x, y).save(tmp_path / "m.npz")
    with pytest.raises(ArchiveError, match=r"holds MLPClassifier.*use MLPClassifier\.load"):
        MLPRegressor.load(tmp_path / "m.npz")
    with pytest.raises(TypeError, match="set_params"):
        MLPRegressor(epochs=1, random_state=np.random.RandomState(0)).fit(x, y).save("unused")


def test_grid_search_over_a_pipeline():
    """NumPy's scalars and lists, as grids have them, are parameters."""
    x, y = load_iris(return_X_y=True)
    grid = {
        "mlpclassifier__learning_rate": np.logspace(-3, -2, 2),
        "mlpclassifier__neurons": [[8], (8, 8)],
        "mlpclassifier__batch_size": np.array([16]),
    }
    pipeline = make_pipeline(MinMaxScaler(), MLPClassifier(epochs=20, random_state=0))
    assert GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(x, y).best_score_ > 0.8


def test_divergence_is_an_error():
    """Training that diverges raises, with the diagnosis."""
    x, y = load_diabetes(return_X_y=True)
    with pytest.raises(ValueError, match=r"epoch 1 ended with .*Use a smaller learning_rate"):
        MLPRegressor(optimizer="momentum", learning_rate=1e6).fit(x, y)


def test_wrong_parameters_are_named():
    """A parameter that cannot work is refused when fitting, by TrainConfig's own message."""
    x, y = load_iris(return_X_y=True)
    with pytest.raises(ValueError, match="activation must be"):
        MLPClassifier(activation="rleu").fit(x, y)
    with pytest.raises(ValueError, match="sample_weight must be 0 or above"):
        MLPClassifier().fit(x, y, sample_weight=-np.ones(len(y)))


def test_constant_columns():
    """A column that never varies, near a number that floats round, is not blown up."""
    x, y = load_diabetes(return_X_y=True)
    x[:, 3] = 0.1
    model = MLPRegressor(epochs=2, random_state=0).fit(x, y)
    assert model.input_scale_[3] == 1


def test_input_gradient_is_in_units():
    """Slopes are those of the raw outputs along the data's own units."""
    x, y = load_iris(return_X_y=True)
    model = MLPClassifier(
        neurons=(5,), activation="tanh", epochs=3, dtype="float64", random_state=0
    ).fit(100 * x, y)
    slopes = model.input_gradient(100 * x)
    step = np.array([0, 1e-3, 0, 0])

    def differences(z):
        logits = np.log(model.predict_proba(z))
        return logits[:, 1] - logits[:, 0]

    expected = (differences(100 * x + step) - differences(100 * x - step)) / 2e-3
    np.testing.assert_allclose(slopes[:, 1, 1] - slopes[:, 0, 1], expected, rtol=1e-4)


def test_understanding():
    """The summary and the significance table speak of this estimator's data."""
    x, y = load_iris(return_X_y=True, as_frame=True)
    model = MLPClassifier(neurons=(5,), epochs=20, random_state=0).fit(x, y)
    assert model.summary().parameters == 5 * 5 + 6 * 3
    table = pandas.DataFrame(model.feature_significance(x, y))
    assert table["feature"].tolist() == x.columns.tolist()
    assert table["permutation"].max() > 0.1
    # Rows of one class are rows.
    assert len(model.feature_significance(x[:50], y[:50])) == 4


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_onnx_takes_the_datas_units(tmp_path, kind):
    """The exported model predicts from raw rows what the estimator does."""
    x, y = load_iris(return_X_y=True)
    x, y = 1000 + 50 * x, y if kind is MLPClassifier else 1000.0 + x[:, :2]
    model = kind(epochs=5, random_state=0).fit(x, y)
    model.to_onnx(tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    (found,) = session.run(["y"], {"x": x.astype(np.float32)})
    expected = model.predict_proba(x) if kind is MLPClassifier else model.predict(x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_importing_the_trainer_is_cheap():
    """`import trainer` imports neither scikit-learn nor onnx."""
    program = (
        "import json, sys, trainer\n"
        "print(json.dumps([m for m in ('sklearn', 'onnx', 'pandas') if m in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert json.loads(found.stdout) == []


def test_a_training_that_diverges_leaves_nothing_to_predict_with():
    """A fit that diverged is no fit; a part that diverged leaves the network that was there."""
    x, y = load_iris(return_X_y=True)
    diverged = MLPClassifier(neurons=(16,), optimizer="sgd", learning_rate=1e9, random_state=0)
    with pytest.raises(ValueError, match="training loss of nan"):
        diverged.fit(x, y)
    assert diverged.diagnosis_.verdict.name == "DIVERGED"
    with pytest.raises(NotFittedError):
        diverged.predict(x)
    good = MLPClassifier(neurons=(16,), random_state=0).fit(x, y)
    before = good.predict_proba(x)
    with pytest.raises(ValueError, match="training loss of nan"):
        good.set_params(learning_rate=1e38).partial_fit(x, y)
    np.testing.assert_array_equal(good.predict_proba(x), before)

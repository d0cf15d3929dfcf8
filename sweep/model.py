"""A study's model in the hands of a user: a fitted estimator that can be asked about itself."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sweep import assessment, onnx
from sweep.assessment import Calibration
from sweep.errors import UsageError
from sweep.heldout import StudyRows
from sweep.predictor import Predictor, RawRows
from sweep.significance import significance
from trainer import METRICS, Split, archive
from trainer.gradients import LEAST_LOG_VARIANCE
from trainer.prediction import to_labels


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Model(Predictor):
    """The winner of a study, or any of its trials, as scikit-learn has its fitted estimators.

    What asks for true targets too takes them as `y`, or finds them in the table X by their names.
    Without X, it takes the study's rows for validation, by which the trials were chosen, or with
    `on="test"` those for testing: what is chosen after looking at these is no longer tested by
    them. UsageError for a model from a file, which has no rows.
    """

    rows: StudyRows | None = None
    """Of the study that it comes from; None for one from a file."""

    def score(self, X: RawRows, y: Any = None) -> float:
        """The accuracy, or R2 of a regression, which scikit-learn's estimators are scored by."""
        split = self._given(X, y)
        if self.preprocessing.target.task == "regression":
            metric, predicted = "r2", self.predictions(self.raw(split.x))
        else:
            metric, predicted = "accuracy", self._labels(split.x)
        function = METRICS[metric].function
        assert function is not None
        return function(predicted, split.y)

    def feature_significance(
        self,
        X: RawRows | None = None,
        y: Any = None,
        *,
        on: str = "validation",
        repeats: int = 5,
        seed: int = 0,
    ) -> pd.DataFrame:
        """How much each raw column matters, the most significant first.

        `significance` is how far a column moves the network's output from that for the mean row, in
        the mean over rows with its `standard_error`: integrated gradients, summed over what the
        column becomes (its categories, its cycles, whether it is missing), in logits of the
        predicted class or standard deviations of the targets. `share` is its part of all. With true
        targets, `permutation` is how much worse the study's metric is with the column shuffled
        among the rows, the mean over `repeats` (0 leaves it out), and `permutation_std` its
        standard deviation over them (Breiman 2001). Of more than 2,048 rows, it looks at some,
        evenly chosen.
        """
        split = self._rows(X, y, on, needs_y=False)
        return significance(self, split, repeats=repeats, seed=seed)

    def confusion(
        self, X: RawRows | None = None, y: Any = None, *, on: str = "validation"
    ) -> pd.DataFrame:
        """How many rows of each class (rows) are taken for which (columns); of several labels, how
        often each (rows) is rightly and wrongly found. UsageError for a regression."""
        target = self.preprocessing.target
        if target.task == "regression":
            raise UsageError(
                "a regression has no classes to confuse; compare y with predict(X), or see "
                "feature_significance()"
            )
        split = self._rows(X, y, on)
        predicted = self._labels(split.x)
        if target.classes is None:
            return assessment.label_confusion(split.y, predicted, target.names)
        return assessment.confusion(split.y, predicted, target.classes)

    def calibration(
        self, X: RawRows | None = None, y: Any = None, *, on: str = "validation", bins: int = 10
    ) -> Calibration:
        """Whether probabilities come true as often as they say.

        Of classes, that of the predicted class, in bins of one width (Guo et al. 2017); of several
        labels, that of each. Of values with a variance (loss "gaussian_nll"), how many lie in the
        intervals that should hold a given share; of a quantile, how many lie below it. UsageError
        for a model that says no shares.
        """
        if type(bins) is not int or bins < 1:
            raise UsageError(f"bins must be a positive integer, not {bins!r}")
        target, loss = self.preprocessing.target, self.config.loss
        if target.task == "regression" and loss not in ("gaussian_nll", "quantile"):
            raise UsageError(
                f"a network trained with the loss {loss} predicts values without saying how sure "
                "it is; train with gaussian_nll (values and their variance) or quantile"
            )
        if target.task != "regression" and (refusal := self.lacks_probabilities):
            raise UsageError(refusal)
        split = self._rows(X, y, on)
        outputs = self.raw(split.x).astype(np.float64)
        if loss == "gaussian_nll":
            means, logs = np.split(outputs, 2, axis=1)
            deviations = np.exp(np.maximum(logs, LEAST_LOG_VARIANCE) / 2)
            return assessment.of_intervals(split.y, means, deviations, target.names)
        if loss == "quantile":
            return assessment.of_quantile(split.y, outputs, self.config.quantile, target.names)
        shares = self.predictions(outputs)
        if target.task == "multilabel":
            return assessment.of_labels(split.y, shares, target.names, bins)
        return assessment.of_classes(split.y, shares, bins)

    @property
    def classes_(self) -> NDArray[Any]:
        """(classes,) the labels, in the order of `predict_proba`'s columns; of several labels, 0, 1
        and so on; AttributeError of a regression."""
        target = self.preprocessing.target
        if target.task == "regression":
            raise AttributeError("a regression has no classes_")
        return np.arange(len(target.names)) if target.classes is None else target.classes

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """The columns of a table that `predict` takes as an array, those that it drops included."""
        return np.array([each.name for each in self.preprocessing.reading.inputs], dtype=object)

    @property
    def n_features_in_(self) -> int:
        """How many these are."""
        return len(self.preprocessing.reading.inputs)

    def fit(self, X: Any, y: Any = None) -> NoReturn:
        """Raises TypeError: it is fitted; scikit-learn takes what has no `fit` for no estimator."""
        raise TypeError(
            "this model was trained by a study and is not fitted again; run a study of the new "
            "rows, or give sklearn.frozen.FrozenEstimator(model) to what calls fit"
        )

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, RegressorTags, Tags, TargetTags

        target = self.preprocessing.target
        several = len(target.names) > 1
        tags = Tags(
            estimator_type="regressor" if target.task == "regression" else "classifier",
            target_tags=TargetTags(required=True, multi_output=several, single_output=not several),
            input_tags=InputTags(categorical=True, string=True, allow_nan=True),
        )
        if target.task == "regression":
            tags.regressor_tags = RegressorTags()
        else:
            tags.classifier_tags = ClassifierTags(
                multi_class=len(self.classes_) > 2, multi_label=target.task == "multilabel"
            )
        return tags

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the model with its preprocessing as ONNX, which runs without this package.

        Each column is an input (rows, 1) by its name: texts for categories, and for booleans that
        are written in words; numbers in float64 for the rest, dates as days since 1970. Missing are
        NaN and the empty text. The outputs are `prediction`, as of `predict`, and `probabilities`,
        as of `predict_proba`. ImportError without the extra "onnx"; UsageError for a column that is
        called like an output.
        """
        onnx.to_onnx(path, self)

    def _rows(self, X: RawRows | None, y: Any, on: str, *, needs_y: bool = True) -> Split:
        """The rows that are meant, as the network takes them; y is None where it is not known."""
        if X is not None:
            return self._given(X, y, needs_y=needs_y)
        if y is not None:
            raise UsageError("y is given without its rows, X; give both, or neither")
        if self.rows is None:
            raise UsageError(
                "this model comes from a file, which holds none of its study's rows; give rows: X, "
                f"a table of its columns with {', '.join(self.preprocessing.target.names)}, or X, y"
            )
        return self.rows.held_out(on)

    def _given(self, X: RawRows, y: Any, *, needs_y: bool = True) -> Split:
        target = self.preprocessing.target
        names = list(target.names)
        if y is None and isinstance(X, pd.DataFrame) and set(names) <= set(X.columns):
            y = X[names]
        if y is None and needs_y:
            raise UsageError(f"the true {', '.join(names)} of these rows is needed; give it as y")
        x = self.preprocessing.transform(X)
        if y is None:
            return Split(x, None)  # type: ignore[arg-type]
        if not isinstance(y, pd.DataFrame):
            y = np.asarray(y)
            y = pd.DataFrame(y.reshape(len(y), -1))
        if set(names) <= set(y.columns):
            y = y[names]
        elif len(y.columns) == len(names):
            y = y.set_axis(names, axis=1)
        else:
            raise UsageError(
                f"y must have a column for each of {', '.join(names)}, and has {len(y.columns)}"
            )
        if len(y) != len(x):
            raise UsageError(f"X has {len(x)} rows and y has {len(y)}")
        return Split(x, target.encode(y))

    def _labels(self, rows: NDArray[Any]) -> NDArray[Any]:
        return to_labels(
            self.config, self.raw(rows), self.preprocessing.target.task == "multilabel"
        )


def load_model(path: str | os.PathLike[str]) -> Model:
    """The model that `Model.save` wrote, or that a study keeps; UsageError if there is none."""
    try:
        return Model.load(path)
    except OSError as error:
        raise UsageError(f"{os.fspath(path)}: cannot be read: {error.strerror}") from None
    except archive.ArchiveError as error:
        raise UsageError(f"{error}; give a file that Model.save wrote") from None


def model_file(folder: Path, trial: int) -> Path:
    """Where the model of a trial is kept."""
    return folder / f"trial-{trial:05d}.npz"


def remove_models(folder: Path, but: Path | None = None) -> None:
    """Remove the models of all trials whose files are in a folder, but for one of them."""
    for file in folder.glob("trial-*.npz"):
        if file != but:
            file.unlink()


def is_sound(file: Path) -> bool:
    """Whether there is a model in a file, whole and of this release."""
    try:
        Model.load(file)
    except (OSError, archive.ArchiveError):
        return False
    return True

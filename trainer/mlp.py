"""What the estimators share: fitting, and what can be asked of any fitted network."""

import os
from dataclasses import dataclass, field, fields, make_dataclass, replace
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from trainer import inputs, modelfile, onnx, understanding
from trainer.config import TrainConfig
from trainer.diagnosis import diagnose
from trainer.network import Network
from trainer.prediction import build_network, input_gradient, raw_outputs, to_predictions
from trainer.rows import ROWS, Rows, Units, held_out, moments, no_units, standardized
from trainer.state import TrainState
from trainer.training import EpochRecord, initial_state, run

JUDGED = 1024
"""Training rows that each epoch is judged on where none are held out, at most."""

DEFAULTS = {"neurons": (100,), "epochs": 200}
"""As scikit-learn's, where TrainConfig has another or none."""

CONFIGURED = [f for f in fields(TrainConfig) if f.name != "class_weight"]
"""The fields that are parameters of every estimator; a class's weight goes by its label."""

Configured = make_dataclass(
    "Configured",
    [(f.name, f.type, field(default=DEFAULTS.get(f.name, f.default))) for f in CONFIGURED],
    kw_only=True,
    eq=False,
    repr=False,
)


@dataclass(kw_only=True, eq=False, repr=False)
class MLP(BaseEstimator, Configured):  # type: ignore[misc, valid-type]
    """A multilayer perceptron, whatever its targets.

    A subclass knows the targets: its `_encoded(config, rows, reset, classes)` makes labels from 0,
    or values (rows, outputs), of Rows, and sets `n_outputs_` on reset; its `_dataset(config, rows,
    judged)` makes the Dataset of two Rows.
    """

    standardize: bool = True
    """Whether to shift and scale to mean 0 and variance 1."""

    validation_fraction: float = 0.1
    """Share of the rows that fit holds out to stop by, where `patience` is set."""

    random_state: int | np.random.RandomState | None = None
    """Decides the initial weights, the order of the rows, and which are held out."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train afresh for `epochs`, or less where `patience` stops it.

        X (rows, features); y (rows,) or, in regression, (rows, outputs); sample_weight (rows,), 0
        or above. With `patience`, `validation_fraction` of the rows are held out to stop by;
        without, the "validation" figures of `history_` are of rows trained on, at most JUDGED.
        Warns of parameters that do nothing beside the others. Raises ValueError where the training
        diverges.
        """
        config = self._config()
        rows = self._rows(config, X, y, sample_weight, reset=True)
        inputs.warn_of_idle(self, config)
        self._begin()
        if not config.patience:
            return self._train(config, rows)
        mask = held_out(rows.y, self.validation_fraction, self.seed_)
        return self._train(config, rows.where(~mask), judged=rows.where(mask))

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Self:
        state: TrainState | None = getattr(self, "state_", None)
        config = self._config()
        rows = self._rows(config, X, y, sample_weight, reset=state is None, classes=classes)
        if state is None:
            self._begin()
        else:
            # What early stopping kept for going on is not of a training without it.
            current = state.current if config.ema else None
            state = replace(state, current=current, config=replace(self.config_, patience=0))
        until = 1 if state is None else state.epoch + 1
        config = replace(config, epochs=max(config.epochs, until), patience=0)
        return self._train(config, rows, state, until)

    def _config(self) -> TrainConfig:
        inputs.check_parameters(self)
        return TrainConfig(**{f.name: modelfile.plain(getattr(self, f.name)) for f in CONFIGURED})

    def _begin(self) -> None:
        self.seed_ = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.history_: list[EpochRecord] = []

    def _train(
        self,
        config: TrainConfig,
        rows: Rows,
        state: TrainState | None = None,
        until: int | None = None,
        judged: Rows | None = None,
    ) -> Self:
        if isinstance(config.batch_size, int):
            config = replace(config, batch_size=min(config.batch_size, len(rows.x)))
        rows = self._weighed(rows)
        if state is None:
            self._learn_units(config, rows)
        sample = rows.where(slice(None, None, -(-len(rows.x) // JUDGED)))
        dataset = self._dataset(config, rows, judged or sample)
        # Not left to `run`: the first rows of a partial_fit may be of one class.
        state = state or initial_state(config, dataset, self.seed_)
        records, reached = run(config, dataset, self.seed_, state, until)
        history = self.history_ + records
        # Not of a part: the baseline would take longer than the epoch.
        whole = dataset if until is None else None
        self.diagnosis_ = diagnose(config, history, reached, whole, held_out=judged is not None)
        if reached.diverged:
            # Nothing to predict with; a part leaves what was there before.
            if until is None and hasattr(self, "state_"):
                delattr(self, "state_")
            raise ValueError(self.diagnosis_.text)
        self.state_, self.history_ = reached, history
        self.config_, self.n_rows_ = config, len(rows.x)
        return self

    def _rows(
        self,
        config: TrainConfig,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        reset: bool = False,
        classes: Any = None,
    ) -> Rows:
        """Checked and encoded, without the rows whose weight is 0."""
        x, y = inputs.validated(self, reset, X=X, y=y, multi_output=True)
        inputs.check_range("X", x, config.dtype)
        rows = Rows(x, y, None)
        if sample_weight is not None:
            weights = inputs.sample_weights(sample_weight, len(x))
            rows = Rows(x, y, weights).where(weights > 0)
        encoded: Rows = self._encoded(config, rows, reset, classes)
        return encoded

    def _weighed(self, rows: Rows) -> Rows:
        """With the weights of their classes."""
        return rows

    def _learn_units(self, config: TrainConfig, rows: Rows) -> None:
        inputs.check_spread("X", rows.x, config.dtype)
        units = no_units(rows.x.shape[1])
        if self.standardize:
            units = moments(rows.x, rows.weights, inputs.LEAST[config.dtype])
        self.input_mean_, self.input_scale_ = units

    def _output_units(self) -> Units | None:
        return None

    def _indicators(self) -> bool:
        """Whether targets are columns of 0 and 1."""
        return False

    def _inputs(self, x: np.ndarray, dtype: str) -> np.ndarray:
        return standardized(x, (self.input_mean_, self.input_scale_), dtype)

    def _checked(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "state_")
        return np.asarray(inputs.validated(self, False, X=X))

    def _outputs(self, X: Any) -> np.ndarray:
        """The network's raw outputs (rows, outputs)."""
        x, embedding = self._checked(X), self.state_.embedding
        network = self._network()
        with np.errstate(all="ignore"):
            parts = [
                raw_outputs(network, embedding, self._inputs(x[i : i + ROWS], "float64"))
                for i in range(0, len(x), ROWS)
            ]
        return np.concatenate(parts)

    def _predictions(self, X: Any) -> np.ndarray:
        """Probabilities, or values in the network's units: (rows, outputs)."""
        outputs = self._outputs(X)
        with np.errstate(all="ignore"):
            return to_predictions(self.config_, outputs, values=self._indicators())

    def _network(self) -> Network:
        # In float32, the other rows given would show in the seventh digit of a row's outputs.
        parameters = self.state_.parameters.astype(np.float64)
        return build_network(
            self.config_, parameters, self.n_features_in_, self.n_outputs_, self.state_.embedding
        )

    def summary(self) -> understanding.Summary:
        """Layers, shapes, parameters and floating-point operations an epoch."""
        check_is_fitted(self, "state_")
        n_inputs = self._network().sizes[0]
        return understanding.summary(self.config_, n_inputs, self.n_outputs_, self.n_rows_)

    def input_gradient(self, X: Any) -> np.ndarray:
        """How far each raw output moves with each input, (rows, outputs, features).

        An output is a logit in classification; in regression it is in the target's standardised
        units.
        """
        x = self._inputs(self._checked(X), "float64")
        slopes = input_gradient(self._network(), self.state_.embedding, x)
        return np.asarray(slopes / self.input_scale_)

    def feature_significance(
        self, X: Any, y: Any, repeats: int = 5, seed: int = 0
    ) -> list[understanding.Significance]:
        """How much each feature matters on these rows; `pandas.DataFrame` takes it as it is."""
        check_is_fitted(self, "state_")
        rows = self._rows(self.config_, X, y)
        dataset = self._dataset(self.config_, rows, rows.where(slice(1)))
        return understanding.feature_significance(
            self.config_,
            self.state_.parameters,
            dataset,
            dataset.train,
            embedding=self.state_.embedding,
            names=getattr(self, "feature_names_in_", None),
            repeats=repeats,
            seed=seed,
        )

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the network as an ONNX model of rows in the data's units; see `trainer.onnx`."""
        check_is_fitted(self, "state_")
        onnx.to_onnx(
            path,
            self.config_,
            self.state_.parameters,
            self.n_features_in_,
            self.n_outputs_,
            embedding=self.state_.embedding,
            input_units=(self.input_mean_, self.input_scale_),
            output_units=self._output_units(),
            indicators=self._indicators(),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to an archive without pickle; `load` reads it.

        Raises TypeError where a parameter or a label is of a kind that cannot be written.
        """
        check_is_fitted(self, "state_")
        fitted = {name: value for name, value in vars(self).items() if name.endswith("_")}
        modelfile.write(path, type(self).__name__, self.get_params(), fitted)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The estimator saved at `path`; ArchiveError if it is damaged or of another kind."""
        parameters, fitted = modelfile.read(path, cls.__name__)
        model = cls(**parameters)
        for name, value in fitted.items():
            setattr(model, name, value)
        return model

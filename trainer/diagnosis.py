"""What became of a training: a verdict from its epoch records, with the numbers that support it.

The rules are read in order, and the first that holds gives the verdict. A loss changes relative to
its scale: the larger of its least size and of how far it has come down, so that losses of any size
are judged alike; where 0 means nothing to a loss, as to `gaussian_nll`, one nat stands for its
size. "In the end" is the mean of the last tenth of the epochs, and "its best" is the least mean of
as many, so that noise is no rise.

1. Diverged: a loss is not finite, or the last state says so.
2. Still improving: there are fewer than FEW epochs.
3. Overfitting: in the end the validation loss is above its best by RISE of its scale, and the
   training loss is below what it was at the least validation loss.
4. Stuck: in the end the training loss is above its best by RISE of its scale.
5. Still improving: a line through the second half of the validation losses falls by more than FLAT
   of the scale, and by more than twice the scatter around it.
6. Stuck: the least validation loss is not below `baseline` by FLAT of it, or of one nat; or, where
   that is not known, neither loss ever came down from its first value by FLAT of its scale.
7. Converged: none of these.

Where no rows were held out, the "validation" losses are of rows trained on: rule 3 is left out, as
nothing can tell, and the words say so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from trainer import passes
from trainer.config import TrainConfig
from trainer.curve import FEW, Curve
from trainer.dataset import Dataset, Split
from trainer.losses import LOSSES
from trainer.prediction import build_network
from trainer.state import TrainState
from trainer.training import EpochRecord, initial_state, run

FLAT = 0.01
RISE = 0.05

CONSTANT_ROWS = 4096
"""Rows that the constant prediction is fitted to, at most about."""


class Verdict(StrEnum):
    """How a training ended."""

    CONVERGED = "converged"
    STILL_IMPROVING = "still improving"
    DIVERGED = "diverged"
    OVERFITTING = "overfitting"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A verdict, why and what to do, and the numbers behind it."""

    verdict: Verdict

    text: str
    """A sentence or two."""

    numbers: Mapping[str, float]
    """Those that the verdict rests on, by name; what cannot be told is left out."""

    def __str__(self) -> str:
        return f"{self.verdict}: {self.text}"


def diagnose(
    config: TrainConfig,
    records: Sequence[EpochRecord],
    state: TrainState | None = None,
    dataset: Dataset | None = None,
    *,
    held_out: bool = True,
) -> Diagnosis:
    """The verdict on a training, by the rules above.

    `held_out` says whether the validation rows are others than those trained on.

    `dataset` gives the baseline. Without it, a network that ignores its inputs but has learned how
    frequent each class is may pass for converged, and one that learned all there is in its first
    epoch for stuck. `state`, the last one, with it says which parameters are not finite. Raises
    ValueError without a record.
    """
    if not records:
        raise ValueError("records must hold at least one epoch; train for one first")
    train = np.array([record.train_loss for record in records])
    validation = np.array([record.validation_loss for record in records])
    bad = ~(np.isfinite(train) & np.isfinite(validation))
    if bad.any():
        return _diverged(config, records[int(bad.argmax())], state, dataset)
    if state is not None and state.diverged:
        return _diverged(config, records[-1], state, dataset)
    baseline = math.nan if dataset is None else constant_loss(config, dataset)
    unit = 1.0 if LOSSES[config.loss].log_density else None
    # Losses near the largest float overflow in the rules, and then no rule holds.
    with np.errstate(over="ignore", invalid="ignore"):
        curves = Curve(train, unit), Curve(validation, unit)
        verdict, text = _judge(*curves, baseline, held_out)
        numbers = _numbers(records, *curves, baseline)
    known = {name: number for name, number in numbers.items() if not math.isnan(number)}
    judged = "validation loss" if held_out else "loss of rows trained on"
    if not held_out and verdict in (Verdict.CONVERGED, Verdict.STILL_IMPROVING):
        text = f"{text} {UNSEEN}"
    return Diagnosis(verdict, text.format(**numbers, judged=judged), known)


def constant_loss(config: TrainConfig, dataset: Dataset) -> float:
    """The validation loss of the best constant prediction: of a network that sees no inputs."""
    (x, y), weights = dataset.train, dataset.weights
    chosen = slice(None, None, -(-len(x) // CONSTANT_ROWS))
    blind = Dataset(
        train=Split(np.zeros((len(y[chosen]), 1)), y[chosen]),
        validation=Split(np.zeros((len(dataset.validation.y), 1)), dataset.validation.y),
        n_classes=dataset.n_classes,
        weights=None if weights is None else weights[chosen],
    )
    constant = TrainConfig(
        neurons=(),
        loss=config.loss,
        class_weight=config.class_weight,
        metric="loss",
        optimizer="lbfgs",
        batch_size="full",
        epochs=50,
        patience=3,
        dtype="float64",
        **{name: getattr(config, name) for name in LOSSES[config.loss].options},
    )
    # From a state, as a training that goes on may see rows of one class.
    records, _ = run(constant, blind, 0, initial_state(constant, blind, seed=0))
    return min(record.validation_loss for record in records)


def _judge(train: Curve, validation: Curve, baseline: float, held_out: bool) -> tuple[Verdict, str]:
    """The verdict on finite losses, and the words for it; a baseline of NaN is not known."""
    least = float(validation.losses.min())
    fall, scatter = validation.trend()
    if len(train.losses) < FEW:
        return Verdict.STILL_IMPROVING, SHORT
    if held_out and validation.rise > RISE and train.end < train.losses[validation.best]:
        return Verdict.OVERFITTING, OVERFITTING
    if train.rise > RISE:
        return Verdict.STUCK, RISING
    if fall > FLAT and fall > 2 * scatter:
        return Verdict.STILL_IMPROVING, FALLING
    if least >= baseline - FLAT * (validation.unit or abs(baseline)):
        return Verdict.STUCK, CONSTANT
    if math.isnan(baseline) and max(train.improvement, validation.improvement) < FLAT:
        return Verdict.STUCK, UNMOVED
    return Verdict.CONVERGED, CONVERGED


def _numbers(
    records: Sequence[EpochRecord], train: Curve, validation: Curve, baseline: float
) -> dict[str, float]:
    fall, scatter = validation.trend()
    return {
        "epochs": len(records),
        "train_first": float(train.losses[0]),
        "train_least": float(train.losses.min()),
        "train_least_epoch": records[train.best].epoch,
        "train_end": train.end,
        "train_at_best": float(train.losses[validation.best]),
        "validation_first": float(validation.losses[0]),
        "validation_least": float(validation.losses.min()),
        "validation_least_epoch": records[validation.best].epoch,
        "validation_end": validation.end,
        "fall": fall,
        "scatter": scatter,
        "baseline": baseline,
    }


def _diverged(
    config: TrainConfig, record: EpochRecord, state: TrainState | None, dataset: Dataset | None
) -> Diagnosis:
    where = ""
    if state is not None and dataset is not None:
        found = _first_not_finite(config, state, dataset)
        where = f"; the first tensor that is not finite is {found}" if found else ""
    text = (
        f"epoch {record.epoch} ended with a training loss of {record.train_loss:.4g} and a "
        f"validation loss of {record.validation_loss:.4g}{where}. Use a smaller learning_rate, "
        f"warmup or clip_norm, and standardised inputs."
    )
    return Diagnosis(Verdict.DIVERGED, text, {"epoch": record.epoch})


def _first_not_finite(config: TrainConfig, state: TrainState, dataset: Dataset) -> str | None:
    """The first of the parameters and, on some training rows, the activations, in the order of a
    forward pass."""
    parameters = state.parameters if state.current is None else state.current
    embedding, x = state.embedding, dataset.train.x[:CONSTANT_ROWS]
    network = build_network(config, parameters, dataset.n_inputs, dataset.n_outputs, embedding)
    with np.errstate(all="ignore"):
        features = x if embedding is None else embedding.transform(x)
        _, batch, run_ = next(passes.batches(network.folded(), features))
        run_.forward(batch)
    names = [f"hidden layer {number}" for number, _ in enumerate(run_.hidden, start=1)]
    values = [*(layer.h for layer in run_.hidden), run_.outputs]
    for name, matrix, result in zip((*names, "the outputs"), network.matrices, values, strict=True):
        for part, tensor in (
            ("weights", matrix[:-1]),
            ("biases", matrix[-1]),
            ("values", result),
        ):
            if not np.isfinite(tensor).all():
                return f"the {part} of {name}"
    return None


OVERFITTING = (
    "the validation loss was least after epoch {validation_least_epoch}, {validation_least:.4g}, "
    "and ended at {validation_end:.4g}, while the training loss fell from {train_at_best:.4g} to "
    "{train_end:.4g}. Stop early (patience), or use dropout, weight_decay, a smaller network or "
    "more data."
)
RISING = (
    "the training loss ended at {train_end:.4g}, above the {train_least:.4g} that it reached "
    "after epoch {train_least_epoch}. Use a smaller learning_rate, a schedule that lowers it, or "
    "clip_norm."
)
CONSTANT = (
    "the least {judged}, {validation_least:.4g}, is no better than the {baseline:.4g} of a "
    "constant prediction. Use a learning_rate 10 times larger or smaller, or another activation "
    "or initializer; or the inputs may say nothing of the targets."
)
UNMOVED = (
    "the training loss went from {train_first:.4g} to {train_least:.4g} at the least, the "
    "{judged} from {validation_first:.4g} to {validation_least:.4g}. Use a larger "
    "learning_rate, or another activation or initializer."
)
SHORT = (
    "too few epochs, {epochs}, with a {judged} of {validation_least:.4g} at the least, to "
    "show a trend. More epochs would help."
)
FALLING = (
    "the {judged}, {validation_end:.4g} in the end, fell by {fall:.1%} of its scale over "
    "the second half of {epochs} epochs. A larger learning_rate or more epochs would help."
)
CONVERGED = (
    "the {judged} is {validation_end:.4g} in the end and was {validation_least:.4g} at its "
    "least, after epoch {validation_least_epoch}; over the second half of {epochs} epochs it fell "
    "by {fall:.1%} of its scale."
)
UNSEEN = (
    "No rows were held out, so that overfitting could not show: set patience, or look at the score "
    "of other rows."
)

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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from trainer import passes
from trainer.config import TrainConfig
from trainer.curve import FEW, Curves
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
    epochs = np.array([[record.epoch for record in records]])
    train = np.array([[record.train_loss for record in records]])
    validation = np.array([[record.validation_loss for record in records]])
    bad = ~(np.isfinite(train) & np.isfinite(validation))[0]
    if bad.any() or (state is not None and state.diverged):
        worst = int(bad.argmax()) if bad.any() else -1
        tensor = None
        if state is not None and dataset is not None:
            tensor = _first_not_finite(config, state, dataset)
        last = records[worst]
        return _diverged(last.epoch, last.train_loss, last.validation_loss, tensor)
    baseline = math.nan if dataset is None else constant_loss(config, dataset)
    (only,) = diagnose_all(config.loss, epochs, train, validation, baseline, held_out=held_out)
    return only


def diagnose_all(
    loss: str,
    epochs: np.ndarray,
    train_losses: np.ndarray,
    validation_losses: np.ndarray,
    baseline: float = math.nan,
    *,
    held_out: bool = True,
) -> list[Diagnosis]:
    """The verdicts on many trainings by one loss, of equally many epochs: what `diagnose` gives of
    each, for a fraction of the time.

    The arrays are (trainings, epochs): the numbers of the epochs and the losses after them. A
    `baseline` of NaN is not known.
    """
    bad = ~(np.isfinite(train_losses) & np.isfinite(validation_losses))
    fine = ~bad.any(axis=1)
    unit = 1.0 if LOSSES[loss].log_density else None
    # Losses near the largest float overflow in the rules, and then no rule holds.
    with np.errstate(over="ignore", invalid="ignore"):
        curves = Curves(train_losses[fine], unit), Curves(validation_losses[fine], unit)
        rules = _rules(*curves, baseline, held_out)
        numbers = list(_numbers(epochs[fine], *curves, baseline))
    judged = iter([_judged(*each, held_out) for each in zip(rules, numbers, strict=True)])
    columns = epochs, train_losses, validation_losses
    return [
        next(judged) if is_fine else _diverged(*(column[i, worst].item() for column in columns))
        for i, (is_fine, worst) in enumerate(zip(fine, bad.argmax(axis=1), strict=True))
    ]


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


def _rules(
    train: Curves, validation: Curves, baseline: float, held_out: bool
) -> list[tuple[Verdict, str]]:
    """The verdict on each training with finite losses, and the words for it; a baseline of NaN is
    not known."""
    fall, scatter = validation.trend()
    is_short = train.losses.shape[1] < FEW
    overfits = (validation.rise > RISE) & (train.end < train.at(validation.best))
    moved = np.maximum(train.improvement, validation.improvement)
    holds = (
        np.full(len(fall), is_short),
        overfits & held_out,
        train.rise > RISE,
        (fall > FLAT) & (fall > 2 * scatter),
        validation.least >= baseline - FLAT * (validation.unit or abs(baseline)),
        (moved < FLAT) & math.isnan(baseline),
        np.full(len(fall), True),
    )
    return [RULES[number] for number in np.argmax(holds, axis=0)]


def _numbers(
    epochs: np.ndarray, train: Curves, validation: Curves, baseline: float
) -> Iterator[dict[str, float]]:
    """Of each training the numbers by their names."""
    fall, scatter = validation.trend()
    rows = np.arange(len(epochs))
    columns = {
        "epochs": np.full(len(epochs), epochs.shape[1]),
        "train_first": train.first,
        "train_least": train.least,
        "train_least_epoch": epochs[rows, train.best],
        "train_end": train.end,
        "train_at_best": train.at(validation.best),
        "validation_first": validation.first,
        "validation_least": validation.least,
        "validation_least_epoch": epochs[rows, validation.best],
        "validation_end": validation.end,
        "fall": fall,
        "scatter": scatter,
        "baseline": np.full(len(epochs), baseline),
    }
    for values in zip(*(column.tolist() for column in columns.values()), strict=True):
        yield dict(zip(columns, values, strict=True))


def _judged(rule: tuple[Verdict, str], numbers: Mapping[str, float], held_out: bool) -> Diagnosis:
    verdict, text = rule
    known = {name: number for name, number in numbers.items() if not math.isnan(number)}
    judged = "validation loss" if held_out else "loss of rows trained on"
    if not held_out and verdict in (Verdict.CONVERGED, Verdict.STILL_IMPROVING):
        text = f"{text} {UNSEEN}"
    return Diagnosis(verdict, text.format(**numbers, judged=judged), known)


def _diverged(
    epoch: int, train_loss: float, validation_loss: float, tensor: str | None = None
) -> Diagnosis:
    where = "" if tensor is None else f"; the first tensor that is not finite is {tensor}"
    text = (
        f"epoch {epoch} ended with a training loss of {train_loss:.4g} and a "
        f"validation loss of {validation_loss:.4g}{where}. Use a smaller learning_rate, "
        "warmup or clip_norm, and standardised inputs."
    )
    return Diagnosis(Verdict.DIVERGED, text, {"epoch": epoch})


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

RULES = (
    (Verdict.STILL_IMPROVING, SHORT),
    (Verdict.OVERFITTING, OVERFITTING),
    (Verdict.STUCK, RISING),
    (Verdict.STILL_IMPROVING, FALLING),
    (Verdict.STUCK, CONSTANT),
    (Verdict.STUCK, UNMOVED),
    (Verdict.CONVERGED, CONVERGED),
)
"""The verdicts on finite losses and the words for each, in the order of the rules."""

"""PyTorch's trajectories, for test_torch.py: `python tests/trainer/make_fixtures.py`.

Needs PyTorch (2.13.0 made those in the repository) and NumPy, not this project. Every optimizer
trains 200 steps in float64, with each activation under softmax cross-entropy, each loss after tanh,
and each of `EXTRAS` after ReLU; and those in `FEW` so with each of `SCHEDULES` and `REGULARIZERS`.
Stored are the data, the order of the batches, and each network's
parameters before the first step and after the 20th and the last, flat: for each layer the weights
(n_in, n_out) and the biases, then scale and shift of each norm, then its running statistics.
"""

import copy
from collections.abc import Sequence
from itertools import pairwise, zip_longest
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

ROWS, BATCH, STEPS, WAYPOINT = 64, 16, 200, 20

EPOCHS, STEPS_PER_EPOCH = STEPS * BATCH // ROWS, ROWS // BATCH

HIDDEN, INPUTS, TARGETS = (6, 5), 4, 3

ACTIVATIONS = {
    "elu": F.elu,
    "gelu": lambda z: F.gelu(z, approximate="tanh"),
    "hard_tanh": F.hardtanh,
    "identity": lambda z: z,
    "leaky_relu": F.leaky_relu,
    "mish": F.mish,
    "relu": F.relu,
    "selu": F.selu,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "softplus": F.softplus,
    "tanh": torch.tanh,
}

LOSSES = {
    "gaussian_nll": lambda z, t: F.gaussian_nll_loss(z[:, :TARGETS], t, z[:, TARGETS:].exp()),
    "huber": lambda z, t: F.huber_loss(z, t, delta=0.7),
    "mean_absolute": F.l1_loss,
    "mean_squared": F.mse_loss,
    "poisson": F.poisson_nll_loss,
    "sigmoid_cross_entropy": F.binary_cross_entropy_with_logits,
    "softmax_cross_entropy": lambda z, t: F.cross_entropy(z, t.argmax(dim=1)),
}

TARGETS_OF = {
    "poisson": "counts",
    "sigmoid_cross_entropy": "classes",
    "softmax_cross_entropy": "classes",
}

NORMS = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}

EXTRAS = ("batch", "clip_value", "l2", "label_smoothing", "layer", "weights")

CLIP_VALUE, L2, LABEL_SMOOTHING, WEIGHT_DECAY = 0.02, 0.01, 0.1, 0.1

CLIP_NORM, DROPOUT, EMA, L1 = 0.1, 0.3, 0.9, 0.003

REGULARIZERS = ("clip_norm", "dropout", "ema", "input_dropout", "l1")

FEW = ("adam", "momentum")
"""The optimizers that meet what acts on gradients and learning rates alike, whoever uses them."""

SCHEDULES = {
    "cosine": lambda opt: lr_scheduler.CosineAnnealingLR(opt, T_max=EPOCHS),
    "cosine_restarts": lambda opt: lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=EPOCHS // 5),
    "exponential": lambda opt: lr_scheduler.ExponentialLR(opt, gamma=0.01 ** (1 / EPOCHS)),
    # PyTorch's ends at its last step, and ours would after the last epoch; the peak is at 30 %.
    "one_cycle": lambda opt: lr_scheduler.OneCycleLR(
        opt,
        max_lr=opt.param_groups[0]["lr"],
        total_steps=EPOCHS + 1,
        pct_start=(0.3 * EPOCHS + 1) / (EPOCHS + 1),
        cycle_momentum=False,
    ),
    # PyTorch waits for one epoch more than its patience.
    "plateau": lambda opt: lr_scheduler.ReduceLROnPlateau(
        opt, factor=0.5, patience=1, threshold=0, eps=0
    ),
    "step": lambda opt: lr_scheduler.StepLR(opt, step_size=EPOCHS // 5, gamma=0.1 ** (1 / 4)),
    "warmup": lambda opt: lr_scheduler.LinearLR(
        opt, start_factor=1 / 10, end_factor=1, total_iters=9
    ),
}
"""The first five last `EPOCHS`; "warmup" counts steps: 10 of them, two epochs and a half."""

OPTIMIZERS = {
    "adadelta": (torch.optim.Adadelta, {"lr": 1.0}),
    "adagrad": (torch.optim.Adagrad, {"lr": 0.05}),
    "adam": (torch.optim.Adam, {"lr": 0.01}),
    "adamw": (torch.optim.AdamW, {"lr": 0.01, "weight_decay": WEIGHT_DECAY}),
    "amsgrad": (torch.optim.Adam, {"lr": 0.01, "amsgrad": True}),
    "momentum": (torch.optim.SGD, {"lr": 0.01, "momentum": 0.9}),
    # Ours has no schedule of beta1: with this decay PyTorch's is over before the first step.
    "nadam": (torch.optim.NAdam, {"lr": 0.01, "momentum_decay": 1e9}),
    "nesterov": (torch.optim.SGD, {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    "rmsprop": (torch.optim.RMSprop, {"lr": 0.002}),
    "sgd": (torch.optim.SGD, {"lr": 0.05}),
}

CASES = [
    *(("softmax_cross_entropy", activation, "none") for activation in ACTIVATIONS),
    *((loss, "tanh", "none") for loss in LOSSES if loss != "softmax_cross_entropy"),
    ("mean_squared", "relu", "none"),
    *(("softmax_cross_entropy", "relu", extra) for extra in (*EXTRAS, *SCHEDULES, *REGULARIZERS)),
]


def main() -> None:
    """Write fixtures/torch.npz."""
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    rng = np.random.default_rng(20)
    x = rng.normal(size=(ROWS, INPUTS))
    signal = np.tanh(x @ rng.normal(size=(INPUTS, TARGETS)))
    arrays = {
        "x": x,
        "values": signal + 0.3 * rng.normal(size=signal.shape),
        "counts": rng.poisson(np.exp(signal)).astype(float),
        "classes": np.eye(TARGETS)[(signal + 0.3 * rng.normal(size=signal.shape)).argmax(axis=1)],
        "order": np.concatenate([rng.permutation(ROWS) for _ in range(STEPS * BATCH // ROWS)])
        .reshape(STEPS, BATCH)
        .astype(np.uint8),
    }
    arrays["weights"] = rng.exponential(size=ROWS)
    start = {outputs: initial(outputs, rng) for outputs in (TARGETS, 2 * TARGETS)}
    arrays |= {f"start {outputs}": flat(linears(layers)) for outputs, layers in start.items()}
    for loss, activation, extra in CASES:
        layers = linears(start[2 * TARGETS if loss == "gaussian_nll" else TARGETS])
        for optimizer in OPTIMIZERS:
            if (optimizer, extra) == ("adamw", "l2"):
                continue  # PyTorch has one name for both decays
            if extra in (*SCHEDULES, *REGULARIZERS) and optimizer not in FEW:
                continue
            arrays[f"{optimizer} {loss} {activation} {extra}"] = trajectory(
                optimizer, loss, activation, extra, copy.deepcopy(layers), arrays
            )
    np.savez_compressed(Path(__file__).parent / "fixtures" / "torch.npz", **arrays)


def initial(outputs: int, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Random weights (n_out, n_in) and biases (n_out,) of each layer."""
    sizes = (INPUTS, *HIDDEN, outputs)
    return [
        (rng.normal(size=(n_out, n_in)) / np.sqrt(n_in), rng.normal(size=n_out) / 4)
        for n_in, n_out in pairwise(sizes)
    ]


def linears(layers: list[tuple[np.ndarray, np.ndarray]]) -> list[nn.Linear]:
    """PyTorch's layers of these weights and biases."""
    made = []
    for weights, biases in layers:
        linear = nn.Linear(weights.shape[1], weights.shape[0])
        linear.load_state_dict(
            {"weight": torch.from_numpy(weights), "bias": torch.from_numpy(biases)}
        )
        made.append(linear)
    return made


def flat(layers: list[nn.Linear], norms: Sequence[nn.Module] = ()) -> np.ndarray:
    """One vector of all parameters and running statistics."""
    parts = [part for layer in layers for part in (layer.weight.T, layer.bias)]
    parts += [part for norm in norms for part in (norm.weight, norm.bias)]
    parts += [
        part
        for norm in norms
        if isinstance(norm, nn.BatchNorm1d)
        for part in (norm.running_mean, norm.running_var)
    ]
    return np.concatenate([part.detach().numpy().ravel() for part in parts])


def trajectory(
    optimizer: str,
    loss: str,
    activation: str,
    extra: str,
    layers: list[nn.Linear],
    arrays: dict[str, np.ndarray],
) -> np.ndarray:
    """Parameters (2, parameters) at the waypoint and at the end."""
    norms = [NORMS[extra](n) for n in HIDDEN] if extra in NORMS else []
    make, options = OPTIMIZERS[optimizer]
    if extra == "l2":
        options = options | {"weight_decay": L2}
    if extra == "plateau":
        options = options | {"lr": 0.1}  # else it keeps on improving
    others = [layer.bias for layer in layers] + [p for norm in norms for p in norm.parameters()]
    descent = make(
        [
            {"params": [layer.weight for layer in layers]},
            {"params": others, "weight_decay": 0},
        ],
        **options,
    )
    schedule = SCHEDULES[extra](descent) if extra in SCHEDULES else None
    model = nn.ModuleList(layers)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(EMA))
    x, targets = (torch.from_numpy(arrays[k]) for k in ("x", TARGETS_OF.get(loss, "values")))
    weights = torch.from_numpy(arrays["weights"] / arrays["weights"].mean())
    waypoints = []
    for step, rows in enumerate(arrays["order"].astype(int), start=1):
        epoch, batch = divmod(step - 1, STEPS_PER_EPOCH)
        if batch == 0:
            rng = np.random.default_rng(epoch)
            kept = draw((ROWS, INPUTS), rng) if extra == "input_dropout" else None
        z, t = x[rows], targets[rows]
        if kept is not None:
            z = z * kept[batch * BATCH : (batch + 1) * BATCH]
        for layer, norm in zip_longest(layers[:-1], norms, fillvalue=nn.Identity()):
            z = ACTIVATIONS[activation](norm(layer(z)))
            if extra == "dropout":
                z = z * draw((layer.out_features, BATCH), rng).T
        descent.zero_grad()
        objective(loss, extra, layers, layers[-1](z), t, weights[rows]).backward()
        clip(extra, [p for group in descent.param_groups for p in group["params"]])
        descent.step()
        average.update_parameters(model)
        if extra == "ema" and step == 1:
            first = flat(layers)
        if schedule is not None and (extra == "warmup" or batch == STEPS_PER_EPOCH - 1):
            schedule.step(*[judge(layers, activation, loss, x, targets)] * (extra == "plateau"))
        if step in (WAYPOINT, STEPS):
            waypoints.append(flat(layers, norms))
        if extra == "ema" and step in (WAYPOINT, STEPS):
            # PyTorch's average starts at the first parameters; ours corrects for a start at zero.
            start = EMA**step
            waypoints[-1] = (flat(list(average.module)) - start * first) / (1 - start)
    return np.stack(waypoints)


def draw(shape: tuple[int, int], rng: np.random.Generator) -> torch.Tensor:
    """The factors of inverted dropout, of the same random numbers as ours."""
    return torch.from_numpy((rng.random(shape) >= DROPOUT) / (1 - DROPOUT))


def objective(
    loss: str,
    extra: str,
    layers: list[nn.Linear],
    z: torch.Tensor,
    t: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    """What a step goes down, of raw outputs and targets (rows, outputs) and weights (rows,)."""
    if extra == "weights":
        return (F.cross_entropy(z, t.argmax(dim=1), reduction="none") * weights).mean()
    if extra == "label_smoothing":
        return F.cross_entropy(z, t.argmax(dim=1), label_smoothing=LABEL_SMOOTHING)
    penalty = L1 * sum(layer.weight.abs().sum() for layer in layers) if extra == "l1" else 0
    return LOSSES[loss](z, t) + penalty


def clip(extra: str, parameters: list[nn.Parameter]) -> None:
    """Clip the gradients, if that is what there is extra."""
    if extra == "clip_value":
        nn.utils.clip_grad_value_(parameters, CLIP_VALUE)
    if extra == "clip_norm":
        # clip_grad_norm_ adds 1e-6 to the norm, which ours does not: not the same to 1e-9.
        norm = nn.utils.get_total_norm([p.grad for p in parameters])
        for parameter in parameters:
            parameter.grad.mul_(min(1.0, CLIP_NORM / float(norm)))


def judge(
    layers: list[nn.Linear], activation: str, loss: str, x: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """The loss of all rows."""
    with torch.no_grad():
        for layer in layers[:-1]:
            x = ACTIVATIONS[activation](layer(x))
        return LOSSES[loss](layers[-1](x), targets)


if __name__ == "__main__":
    main()

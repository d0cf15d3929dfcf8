"""PyTorch's trajectories, for test_torch.py: `python tests/trainer/make_fixtures.py`.

Needs PyTorch (2.13.0 made those in the repository) and NumPy, not this project. Every optimizer
trains 200 steps in float64, with each activation under softmax cross-entropy, each loss after tanh,
and each of `EXTRAS` after ReLU. Stored are the data, the order of the batches, and each network's
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

ROWS, BATCH, STEPS, WAYPOINT = 64, 16, 200, 20

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
    *(("softmax_cross_entropy", "relu", extra) for extra in EXTRAS),
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
    others = [layer.bias for layer in layers] + [p for norm in norms for p in norm.parameters()]
    descent = make(
        [
            {"params": [layer.weight for layer in layers]},
            {"params": others, "weight_decay": 0},
        ],
        **options,
    )
    x, targets = arrays["x"], arrays[TARGETS_OF.get(loss, "values")]
    weights = arrays["weights"] / arrays["weights"].mean()
    waypoints = []
    for step, rows in enumerate(arrays["order"], start=1):
        z, t = torch.from_numpy(x[rows]), torch.from_numpy(targets[rows])
        for layer, norm in zip_longest(layers[:-1], norms, fillvalue=nn.Identity()):
            z = ACTIVATIONS[activation](norm(layer(z)))
        z = layers[-1](z)
        descent.zero_grad()
        if extra == "weights":
            each = F.cross_entropy(z, t.argmax(dim=1), reduction="none")
            (each * torch.from_numpy(weights[rows])).mean().backward()
        elif extra == "label_smoothing":
            F.cross_entropy(z, t.argmax(dim=1), label_smoothing=LABEL_SMOOTHING).backward()
        else:
            LOSSES[loss](z, t).backward()
        if extra == "clip_value":
            nn.utils.clip_grad_value_([layer.weight for layer in layers] + others, CLIP_VALUE)
        descent.step()
        if step in (WAYPOINT, STEPS):
            waypoints.append(flat(layers, norms))
    return np.stack(waypoints)


if __name__ == "__main__":
    main()

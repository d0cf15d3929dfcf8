"""The same training in other libraries, each as its users would write a fast loop.

A maker takes a shape and returns a function that trains one more epoch of it in float32: Adam at a
learning rate of 1e-3, ReLU, l2 of 1e-4, the rows shuffled once an epoch. `None` in PEERS is a
library that is not installed (`pip install -e '.[bench]'`).
"""

import os
import time
from collections.abc import Callable
from typing import NamedTuple

# XLA reads this once; one thread for everyone.
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from trainer import Dataset, Split, TrainConfig, train

try:
    import torch
except ImportError:
    torch = None
try:
    import jax
    import jax.numpy as jnp
except ImportError:
    jax = None

ROWS, L2, LEARNING_RATE = 16_384, 1e-4, 1e-3

Epoch = Callable[[], object]


class Shape(NamedTuple):
    """A network and its batches; one output is a regression."""

    inputs: int
    hidden: tuple[int, ...]
    outputs: int
    batch: int

    def __str__(self) -> str:
        return f"{self.inputs}-{'-'.join(map(str, self.hidden))}-{self.outputs} b{self.batch}"

    @property
    def sizes(self) -> tuple[int, ...]:
        """Inputs, hidden widths and outputs."""
        return (self.inputs, *self.hidden, self.outputs)


def rows(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Random features, and labels, or values if there is one output."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, shape.inputs), dtype=np.float32)
    if shape.outputs == 1:
        return x, rng.standard_normal((ROWS, 1), dtype=np.float32)
    return x, rng.integers(0, shape.outputs, ROWS)


def dataset(shape: Shape) -> Dataset:
    """The rows, and 64 of them to validate."""
    x, y = rows(shape)
    n_classes = None if shape.outputs == 1 else shape.outputs
    return Dataset(Split(x, y), Split(x[:64], y[:64]), n_classes=n_classes)


def config(shape: Shape, epochs: int) -> TrainConfig:
    """Ours."""
    return TrainConfig(
        neurons=shape.hidden,
        batch_size=shape.batch,
        loss="mean_squared" if shape.outputs == 1 else "softmax_cross_entropy",
        metric="r2" if shape.outputs == 1 else "accuracy",
        l2=L2,
        learning_rate=LEARNING_RATE,
        epochs=epochs,
    )


def ours(shape: Shape) -> Epoch:
    """This repository's; an epoch includes scoring 64 validation rows."""
    epochs = train(config(shape, epochs=1000), dataset(shape), seed=0)
    return lambda: next(epochs)


def products(shape: Shape) -> Epoch:
    """The matrix products of an epoch of ours, in the same layout, and nothing else."""
    pairs = list(zip(shape.sizes[:-1], shape.sizes[1:], strict=True))
    x = _small(ROWS // shape.batch, shape.batch, shape.inputs + 1).swapaxes(1, 2)
    weights, gradients = ([_small(n_in + 1, n_out) for n_in, n_out in pairs] for _ in range(2))
    activations = [_small(n + 1, shape.batch) for n in shape.sizes[1:]]
    deltas = [_small(n, shape.batch) for n in shape.sizes[1:]]
    below = [
        (*arrays, weight[:-1])
        for *arrays, weight in zip(
            activations, gradients[1:], deltas[1:], deltas, weights[1:], strict=False
        )
    ][::-1]

    def epoch() -> None:
        for batch in x:
            inputs = batch
            for weight, h in zip(weights, activations, strict=True):
                weight.T.dot(inputs, h[:-1])
                inputs = h
            for h, gradient, delta, delta_below, weight in below:
                h.dot(delta.T, gradient)
                weight.dot(delta, delta_below)
            batch.dot(deltas[0].T, gradients[0])

    return epoch


def torch_products(shape: Shape) -> Epoch:
    """The matrix products of an epoch of PyTorch's, in its layout, and nothing else."""
    torch.set_num_threads(1)
    pairs = list(zip(shape.sizes[:-1], shape.sizes[1:], strict=True))
    x = torch.from_numpy(_small(ROWS // shape.batch, shape.batch, shape.inputs))
    weights, gradients = (
        [torch.from_numpy(_small(n_out, n_in)) for n_in, n_out in pairs] for _ in range(2)
    )
    biases = [torch.zeros(n) for n in shape.sizes[1:]]
    activations, deltas = (
        [torch.from_numpy(_small(shape.batch, n)) for n in shape.sizes[1:]] for _ in range(2)
    )
    below = list(zip(activations, gradients[1:], deltas[1:], deltas, weights[1:], strict=False))[
        ::-1
    ]

    @torch.no_grad()
    def epoch() -> None:
        for batch in x:
            inputs = batch
            for weight, bias, h in zip(weights, biases, activations, strict=True):
                torch.addmm(bias, inputs, weight.T, out=h)
                inputs = h
            for h, gradient, delta, delta_below, weight in below:
                torch.mm(delta.T, h, out=gradient)
                torch.mm(delta, weight, out=delta_below)
            torch.mm(deltas[0].T, batch, out=gradients[0])

    return epoch


def _small(*shape: int) -> np.ndarray:
    """Numbers of which no product or sum overflows or becomes subnormal."""
    return np.full(shape, 0.01, np.float32)


def scikit_learn(shape: Shape) -> Epoch:
    """Its estimators, an epoch by partial_fit."""
    x, y = rows(shape)
    options = {
        "hidden_layer_sizes": shape.hidden,
        "batch_size": shape.batch,
        "alpha": L2,
        "random_state": 0,
    }
    if shape.outputs == 1:
        regressor = MLPRegressor(**options)
        return lambda: regressor.partial_fit(x, y[:, 0])
    classifier = MLPClassifier(**options)
    return lambda: classifier.partial_fit(x, y, classes=np.arange(shape.outputs))


def torch_eager(shape: Shape) -> Epoch:
    """PyTorch with the fastest of its three implementations of Adam."""
    candidates = [
        _torch_epoch(shape, compiled=False, **{name: True}) for name in ("fused", "foreach")
    ]
    candidates.append(_torch_epoch(shape, compiled=False, foreach=False))
    return min(candidates, key=_second_run)


def torch_compiled(shape: Shape) -> Epoch:
    """PyTorch with its forward pass, loss and backward pass compiled, and fused Adam."""
    return _torch_epoch(shape, compiled=True, fused=True)


def _torch_epoch(shape: Shape, compiled: bool, **adam: bool) -> Epoch:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    layers: list[object] = []
    for n_in, n_out in zip(shape.sizes[:-1], shape.sizes[1:], strict=True):
        layers += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    objective = torch.nn.MSELoss() if shape.outputs == 1 else torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, weight_decay=L2, **adam)
    x, y = map(torch.from_numpy, rows(shape))

    def evaluate(inputs, targets):
        return objective(model(inputs), targets)

    if compiled:
        evaluate = torch.compile(evaluate)

    def epoch() -> None:
        order = torch.randperm(ROWS)
        for inputs, targets in zip(
            x[order].split(shape.batch), y[order].split(shape.batch), strict=True
        ):
            optimizer.zero_grad(set_to_none=True)
            evaluate(inputs, targets).backward()
            optimizer.step()

    return epoch


def jax_jitted(shape: Shape) -> Epoch:
    """JAX with a whole epoch in one compiled scan; the first call compiles."""
    x, y = map(jnp.asarray, rows(shape))
    rng = np.random.default_rng(0)
    weights = [
        (
            jnp.asarray(rng.normal(0, (2 / n_in) ** 0.5, (n_in, n_out)), jnp.float32),
            jnp.zeros(n_out),
        )
        for n_in, n_out in zip(shape.sizes[:-1], shape.sizes[1:], strict=True)
    ]

    def objective(parameters, inputs, targets):
        for weight, bias in parameters[:-1]:
            inputs = jax.nn.relu(inputs @ weight + bias)
        outputs = inputs @ parameters[-1][0] + parameters[-1][1]
        penalty = L2 / 2 * sum(jnp.vdot(weight, weight) for weight, _ in parameters)
        if shape.outputs == 1:
            return jnp.square(outputs - targets).mean() + penalty
        chosen = jnp.take_along_axis(jax.nn.log_softmax(outputs), targets[:, None], axis=1)
        return penalty - chosen.mean()

    def step(carry, batch):
        parameters, first, second, count = carry
        loss, gradient = jax.value_and_grad(objective)(parameters, *batch)
        count += 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        rate = LEARNING_RATE * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
        parameters = jax.tree.map(
            lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), parameters, first, second
        )
        return (parameters, first, second, count), loss

    def run(carry, key, x, y):
        order = jax.random.permutation(key, ROWS)
        batches = (
            x[order].reshape(-1, shape.batch, shape.inputs),
            y[order].reshape(-1, shape.batch, *y.shape[1:]),
        )
        return jax.lax.scan(step, carry, batches)

    compiled = jax.jit(run, donate_argnums=0)
    zeros = jax.tree.map(jnp.zeros_like, (weights, weights))
    state = [(weights, *zeros, jnp.zeros(())), jax.random.key(0)]

    def epoch() -> None:
        state[1], key = jax.random.split(state[1])
        state[0], losses = compiled(state[0], key, x, y)
        jax.block_until_ready(losses)

    return epoch


def _second_run(epoch: Epoch) -> float:
    epoch()
    return seconds(epoch)


def seconds(call: Epoch) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


PRODUCTS = {"ours": products, "torch": None if torch is None else torch_products}
"""Bare matrix products, by whose they are."""

PEERS = {
    "scikit-learn": scikit_learn,
    "torch": None if torch is None else torch_eager,
    "compiled": None if torch is None else torch_compiled,
    "jax": None if jax is None else jax_jitted,
}

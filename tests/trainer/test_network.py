"""Forward and backward against central differences and against plain row-major NumPy."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.trainer.test_activations import DIFFERENTIABLE, FORMULAS, KINKS
from trainer import ACTIVATIONS, INITIALIZERS, LOSSES, NORMS, Network, passes
from trainer.network import initial_parameters, parameter_count
from trainer.passes import EVALUATION_ROWS, Pass

ALL_NORMS = [None, *sorted(NORMS)]


def random_network(sizes, activation, rng, norm=None):
    """A float64 network with every parameter random, biases included; variances are positive."""
    names = activation if isinstance(activation, list) else [activation] * (len(sizes) - 2)
    norm = NORMS.get(norm)
    parameters = rng.normal(size=parameter_count(sizes, norm)) / 2
    network = Network(sizes, [ACTIVATIONS[name] for name in names], parameters, norm)
    for _, variance in network.running:
        np.square(variance, out=variance)
    network.names = names
    return network


def random_targets(loss, rows, n_outputs, rng):
    """One-hot (n_outputs, rows) for a loss of labels, counts for Poisson, else real values."""
    if "regression" not in LOSSES[loss].kinds:
        return np.eye(n_outputs)[:, rng.integers(0, n_outputs, rows)]
    targets = rng.normal(size=(n_outputs // LOSSES[loss].outputs_per_target, rows))
    return np.abs(targets) if loss == "poisson" else targets


def standardize(z, axis):
    """z less its mean, by the root of its variance and epsilon, along an axis."""
    return (z - z.mean(axis, keepdims=True)) / np.sqrt(z.var(axis, keepdims=True) + 1e-5)


def forward(network, x, in_use=True):
    """What each layer's activation is given (rows, n_out), and the outputs, in row-major NumPy."""
    zs = []
    for layer, matrix in enumerate(network.matrices):
        z = x @ matrix[:-1] + matrix[-1]
        if network.norm is not None and layer < len(network.names):
            if network.norm is NORMS["layer"]:
                z = standardize(z, 1)
            elif in_use:
                mean, variance = network.running[layer]
                z = (z - mean) / np.sqrt(variance + 1e-5)
            else:
                z = standardize(z, 0)
            scale, shift = network.affine[layer]
            z = scale * z + shift
        zs.append(z)
        if layer < len(network.names):
            x = FORMULAS[network.names[layer]](z)
    return zs


def mean_loss(network, loss, x, targets):
    """The loss, and its gradient (trainable,), by the code under test."""
    run = Pass(network, len(x))
    batch = np.vstack([x.T, np.ones(len(x))])
    outputs = run.forward(batch)
    LOSSES[loss].gradient(outputs, targets, run.delta)
    value = LOSSES[loss].function(outputs, targets)
    gradient = np.full(network.trainable, np.nan)
    run.backward(batch, run.delta, network.split(gradient))
    return value, gradient


def slope(network, direction, function, step=1e-6):
    """Central difference of `function()` as the trainable parameters move along a direction."""
    start = network.parameters.copy()
    network.parameters[: network.trainable] += step * direction
    above = function()
    network.parameters[:] = start
    network.parameters[: network.trainable] -= step * direction
    below = function()
    network.parameters[:] = start
    return (above - below) / (2 * step)


def away_from_kinks(network, x, in_use=True):
    """Whether no hidden pre-activation can cross a kink within a step of the difference."""
    return all(
        np.abs(z - kink).min() > 1e-4
        for z, name in zip(forward(network, x, in_use), network.names, strict=False)
        for kink in KINKS.get(name, ())
    )


def smooth_case(sizes, activation, norm, rows, in_use=True):
    """A random network and rows that are away from kinks."""
    for seed in itertools.count():
        rng = np.random.default_rng(seed)
        network = random_network(sizes, activation, rng, norm)
        x = rng.normal(size=(rows, sizes[0]))
        if away_from_kinks(network, x, in_use):
            return network, x, rng


@pytest.mark.parametrize("norm", ALL_NORMS)
@pytest.mark.parametrize(
    ("activation", "loss"),
    [
        *itertools.product(["tanh"], sorted(LOSSES)),
        *itertools.product(DIFFERENTIABLE, ["mean_squared"]),
        (["relu", "gelu"], "softmax_cross_entropy"),
    ],
)
def test_gradient(activation, loss, norm):
    """Every partial derivative matches its central difference."""
    network, x, rng = smooth_case((4, 5, 3, 4), activation, norm, 7, in_use=False)
    targets = random_targets(loss, 7, 4, rng)
    _, gradient = mean_loss(network, loss, x, targets)
    for index, unit in enumerate(np.eye(len(gradient))):
        expected = slope(network, unit, lambda: mean_loss(network, loss, x, targets)[0])
        assert gradient[index] == pytest.approx(expected, rel=1e-6, abs=1e-7), (
            f"parameter {index}: backward gives {gradient[index]}, differences give {expected}"
        )


@settings(deadline=None)
@given(
    n_inputs=st.integers(1, 5),
    neurons=st.lists(st.integers(1, 6), max_size=3),
    n_outputs=st.integers(1, 2),
    rows=st.integers(2, 8),
    activations=st.data(),
    loss=st.sampled_from(sorted(LOSSES)),
    norm=st.sampled_from(ALL_NORMS),
    seed=st.integers(0, 2**32 - 1),
)
def test_gradient_along_a_random_direction(
    n_inputs, neurons, n_outputs, rows, activations, loss, norm, seed
):
    """For any shape, activation of each layer, loss and norm, the gradient gives the slope."""
    names = [activations.draw(st.sampled_from(DIFFERENTIABLE)) for _ in neurons]
    rng = np.random.default_rng(seed)
    network = random_network((n_inputs, *neurons, 2 * n_outputs), names, rng, norm)
    x = rng.normal(size=(rows, n_inputs))
    zs = forward(network, x, in_use=False)
    assume(away_from_kinks(network, x, in_use=False))
    # A norm of numbers that are all but equal is too steep for a difference.
    plain = [z.std(0 if norm == "batch" else 1).min() for z in zs[:-1]] if norm else [1]
    assume(min(plain, default=1) > 1e-2)
    targets = random_targets(loss, rows, 2 * n_outputs, rng)
    # Hinge, absolute, Huber and quantile losses have kinks too.
    assume(np.abs(zs[-1].T[: len(targets)] - targets).min() > 1e-4)
    assume(np.abs(np.abs(zs[-1]) - 1).min() > 1e-4)
    direction = rng.normal(size=network.trainable)
    direction /= np.linalg.norm(direction)
    _, gradient = mean_loss(network, loss, x, targets)
    expected = slope(network, direction, lambda: mean_loss(network, loss, x, targets)[0])
    assert gradient @ direction == pytest.approx(expected, rel=1e-4, abs=1e-6), (
        f"backward gives {gradient @ direction}, differences give {expected}"
    )


def test_signum_lets_gradients_straight_through():
    """With signum, backward is that of clipping to [-1, 1] at the same pre-activations."""
    rng = np.random.default_rng(0)
    network = random_network((4, 6, 5, 3), "signum", rng)
    x = 2 * rng.normal(size=(9, 4))
    zs = forward(network, x)
    targets = rng.normal(size=(3, 9))

    delta = 2 * (zs[-1] - targets.T) / targets.size
    expected = []
    for layer in (2, 1, 0):
        h = np.sign(zs[layer - 1]) if layer else x
        expected[:0] = [(h.T @ delta).ravel(), delta.sum(axis=0)]
        if layer:
            delta = (delta @ network.matrices[layer][:-1].T) * (np.abs(zs[layer - 1]) <= 1)

    inside = np.abs(np.concatenate([z.ravel() for z in zs[:-1]])) <= 1
    assert inside.any()
    assert not inside.all()
    _, gradient = mean_loss(network, "mean_squared", x, targets)
    np.testing.assert_allclose(gradient, np.concatenate(expected), atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("activation", "norm"),
    [*itertools.product(sorted(ACTIVATIONS), [None]), ("tanh", "batch"), ("silu", "layer")],
)
def test_outputs(activation, norm, dtype):
    """Outputs over several batches are those of a plain row-major network in use."""
    rng = np.random.default_rng(1)
    network = random_network((4, 8, 8, 3), activation, rng, norm)
    rounded = network.parameters.astype(dtype)
    narrow = Network(network.sizes, network.activations, rounded, network.norm)
    narrow.names = network.names
    x = rng.normal(size=(2 * EVALUATION_ROWS + 7, 4)).astype(dtype)
    outputs, expected = passes.outputs(narrow, x), forward(narrow, x)[-1]
    assert outputs.dtype == dtype
    tolerance = 2e3 * np.finfo(dtype).eps * max(1, np.abs(expected).max())
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("norm", sorted(NORMS))
def test_norm_in_training(norm):
    """In training, batch norm goes by the rows of the batch, and layer norm by each row's units."""
    rng = np.random.default_rng(0)
    network = random_network((4, 8, 6, 3), "gelu", rng, norm)
    x = rng.normal(size=(9, 4))
    expected = forward(network, x, in_use=False)[-1]
    run = Pass(network, 9)
    found = run.forward(np.vstack([x.T, np.ones(9)]))
    np.testing.assert_allclose(found.T, expected, atol=1e-12)


def test_running_statistics():
    """Batch norm keeps a tenth of each batch's mean and unbiased variance, and moves no more."""
    rng = np.random.default_rng(0)
    network = random_network((4, 8, 3), "relu", rng, "batch")
    before = network.parameters.copy()
    x = rng.normal(size=(9, 4))
    z = x @ network.matrices[0][:-1] + network.matrices[0][-1]
    Pass(network, 9).forward(np.vstack([x.T, np.ones(9)]))
    ((mean, variance),) = network.running
    kept = before[network.trainable :]
    np.testing.assert_allclose(mean, 0.9 * kept[:8] + 0.1 * z.mean(axis=0))
    np.testing.assert_allclose(variance, 0.9 * kept[8:] + 0.1 * z.var(axis=0, ddof=1))
    np.testing.assert_array_equal(
        network.parameters[: network.trainable], before[: network.trainable]
    )


def test_folded():
    """A batch norm folds into a network without one; without batch norm there is none to fold."""
    network = random_network((4, 8, 8, 3), "tanh", np.random.default_rng(0), "batch")
    folded = network.folded()
    assert folded.norm is None
    assert len(folded.parameters) == parameter_count(network.sizes)
    x = np.random.default_rng(1).normal(size=(5, 4))
    np.testing.assert_array_equal(passes.outputs(folded, x), passes.outputs(network, x))
    for norm in (None, "layer"):
        network = random_network((4, 8, 3), "tanh", np.random.default_rng(0), norm)
        assert network.folded() is network


def test_dropout_of_a_layer():
    """A dropped activation is 0 and the others are scaled; gradients go where outputs came from."""
    rng = np.random.default_rng(0)
    for activation in ("relu", "silu"):  # one keeps its input, the other its output
        network = random_network((4, 50, 3), activation, rng)
        batch = np.vstack([rng.normal(size=(4, 9)), np.ones(9)])
        run = Pass(network, 9, dropout=True)
        run.drop(0.25, rng)
        (hidden,) = run.hidden
        assert set(np.unique(hidden.mask)) == {0, 1 / 0.75}
        run.forward(batch)
        plain = FORMULAS[activation](network.matrices[0].T @ batch)
        np.testing.assert_allclose(hidden.h[:-1], plain * hidden.mask, atol=1e-12)
        assert (hidden.h[-1] == 1).all()


def test_share_of_dropped_activations():
    """A mask drops the share asked for and has mean 1, in both dtypes."""
    for dtype in (np.float32, np.float64):
        network = random_network((1, 400, 1), "relu", np.random.default_rng(0))
        network = Network(network.sizes, network.activations, network.parameters.astype(dtype))
        run = Pass(network, 300, dropout=True)
        run.drop(0.2, np.random.default_rng(0))
        (hidden,) = run.hidden
        assert hidden.mask.dtype == dtype
        assert (hidden.mask == 0).mean() == pytest.approx(0.2, abs=0.01)
        assert hidden.mask.mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("activation", "norm"),
    [*itertools.product(DIFFERENTIABLE, [None]), ("tanh", "batch"), ("tanh", "layer")],
)
def test_input_gradient(activation, norm):
    """The input gradient of every row and output matches central differences of the outputs."""
    network, x, _ = smooth_case((3, 6, 5, 2), activation, norm, 5)
    step = 1e-6
    expected = np.stack(
        [
            (passes.outputs(network, x + step * unit) - passes.outputs(network, x - step * unit))
            / (2 * step)
            for unit in np.eye(3)
        ],
        axis=2,
    )
    np.testing.assert_allclose(passes.input_gradient(network, x), expected, rtol=1e-6, atol=1e-7)


def test_input_gradient_of_a_linear_model():
    """Without hidden layers the input gradient is the weights, in every batch."""
    network = random_network((3, 2), "relu", np.random.default_rng(0))
    gradient = passes.input_gradient(network, np.zeros((EVALUATION_ROWS + 2, 3)))
    weights = network.matrices[0][:-1].T
    np.testing.assert_array_equal(gradient, np.broadcast_to(weights, gradient.shape))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_auto_initializer(activation):
    """ "auto" follows each layer's activation; biases start at zero."""
    sizes, suited = (200, 100, 50, 3), ACTIVATIONS[activation].initializer
    activations = [ACTIVATIONS[activation], ACTIVATIONS["tanh"]]
    parameters = initial_parameters(sizes, activations, "auto", np.random.default_rng(0))
    rng = np.random.default_rng(0)
    for matrix, initializer in zip(
        Network(sizes, activations, parameters).matrices,
        (suited, ACTIVATIONS["tanh"].initializer, "glorot_uniform"),
        strict=True,
    ):
        draw = INITIALIZERS[initializer](len(matrix) - 1, matrix.shape[1], rng)
        np.testing.assert_array_equal(matrix[:-1], draw)
        assert not matrix[-1].any()


@pytest.mark.parametrize("norm", sorted(NORMS))
def test_norms_start_as_the_identity(norm):
    """Scales and variances start at 1, shifts and means at 0, and the weights as without a norm."""
    sizes, activations = (4, 3, 2, 1), [ACTIVATIONS["tanh"]] * 2
    plain, normed = (
        initial_parameters(sizes, activations, "auto", np.random.default_rng(0), kind)
        for kind in (None, NORMS[norm])
    )
    np.testing.assert_array_equal(normed[: len(plain)], plain)
    network = Network(sizes, activations, normed, NORMS[norm])
    assert [(s.tolist(), t.tolist()) for s, t in network.affine] == [
        ([1, 1, 1], [0, 0, 0]),
        ([1, 1], [0, 0]),
    ]
    assert network.trainable == len(plain) + 10
    assert [(m.tolist(), v.tolist()) for m, v in network.running] == (
        [([0, 0, 0], [1, 1, 1]), ([0, 0], [1, 1])] if norm == "batch" else []
    )


def test_wrong_shapes():
    """Parameters, activations or rows of another number are refused with both numbers."""
    network = random_network((3, 2), "relu", np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"\(3, 4\) has 16 parameters, not an array of .*\(8,\)"):
        Network((3, 4), network.activations, network.parameters)
    with pytest.raises(ValueError, match=r"\(3, 2\) has 0 hidden layers, not 1 activations"):
        Network((3, 2), [ACTIVATIONS["relu"]], network.parameters)
    with pytest.raises(ValueError, match=r"x must have shape \(rows, 3\), not \(5, 4\)"):
        passes.outputs(network, np.zeros((5, 4)))

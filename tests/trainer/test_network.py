"""Forward and backward against central differences and against independent references."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.special import expit, log_expit, log_softmax

from trainer import ACTIVATIONS, INITIALIZERS, LOSSES, Network
from trainer.network import EVALUATION_ROWS, Pass, initial_parameters, parameter_count

FORMULAS = {
    "identity": lambda z: z,
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "relu": lambda z: np.where(z > 0, z, 0),
    "sigmoid": expit,
    "signum": np.sign,
    "tanh": np.tanh,
}

DIFFERENTIABLE = sorted(set(ACTIVATIONS) - {"signum"})


def random_network(sizes, activation, rng):
    """A float64 network with every parameter random, biases included."""
    parameters = rng.normal(size=parameter_count(sizes)) / 2
    return Network(sizes, ACTIVATIONS[activation], parameters)


def random_targets(loss, rows, n_outputs, rng):
    """One-hot (n_outputs, rows) for a cross-entropy, real values for the others."""
    if LOSSES[loss].kind == "classification":
        return np.eye(n_outputs)[:, rng.integers(0, n_outputs, rows)]
    return rng.normal(size=(n_outputs, rows))


def forward(network, x, activation):
    """Every pre-activation (rows, n_out), layer by layer, in plain row-major NumPy."""
    zs = []
    for matrix in network.matrices:
        zs.append(x @ matrix[:-1] + matrix[-1])
        x = FORMULAS[activation](zs[-1])
    return zs


def mean_loss(network, loss, x, targets):
    """The loss, and its gradient (parameters,), by the code under test."""
    run = Pass.allocate(network, len(x))
    batch = np.vstack([x.T, np.ones(len(x))])
    value = LOSSES[loss].function(run.forward(batch), targets, run.delta)
    gradient = np.full_like(network.parameters, np.nan)
    run.backward(batch, run.delta, network.split(gradient))
    return value, gradient


def slope(network, direction, function, step=1e-6):
    """Central difference of `function()` as the parameters move along a direction."""
    start = network.parameters.copy()
    network.parameters[:] = start + step * direction
    above = function()
    network.parameters[:] = start - step * direction
    below = function()
    network.parameters[:] = start
    return (above - below) / (2 * step)


def away_from_kinks(network, x, activation):
    """Whether no hidden pre-activation can cross zero within a step of the difference."""
    hidden = forward(network, x, activation)[:-1]
    return all(np.abs(z).min() > 1e-4 for z in hidden)


@pytest.mark.parametrize(
    ("activation", "loss"), list(itertools.product(DIFFERENTIABLE, sorted(LOSSES)))
)
def test_gradient(activation, loss):
    """Every partial derivative matches its central difference."""
    for seed in itertools.count():
        rng = np.random.default_rng(seed)
        network = random_network((4, 5, 3, 3), activation, rng)
        x = rng.normal(size=(7, 4))
        if away_from_kinks(network, x, activation):
            break
    targets = random_targets(loss, 7, 3, rng)
    _, gradient = mean_loss(network, loss, x, targets)
    for index, unit in enumerate(np.eye(len(gradient))):
        expected = slope(network, unit, lambda: mean_loss(network, loss, x, targets)[0])
        assert abs(gradient[index] - expected) < 1e-7, (
            f"parameter {index}: backward gives {gradient[index]}, differences give {expected}"
        )


@given(
    n_inputs=st.integers(1, 5),
    neurons=st.lists(st.integers(1, 6), max_size=3),
    n_outputs=st.integers(1, 4),
    rows=st.integers(1, 8),
    activation=st.sampled_from(DIFFERENTIABLE),
    loss=st.sampled_from(sorted(LOSSES)),
    seed=st.integers(0, 2**32 - 1),
)
def test_gradient_along_a_random_direction(
    n_inputs, neurons, n_outputs, rows, activation, loss, seed
):
    """For any shape, the gradient gives the slope along a random direction."""
    rng = np.random.default_rng(seed)
    network = random_network((n_inputs, *neurons, n_outputs), activation, rng)
    x = rng.normal(size=(rows, n_inputs))
    assume(away_from_kinks(network, x, activation))
    targets = random_targets(loss, rows, n_outputs, rng)
    direction = rng.normal(size=network.parameters.shape)
    direction /= np.linalg.norm(direction)
    _, gradient = mean_loss(network, loss, x, targets)
    expected = slope(network, direction, lambda: mean_loss(network, loss, x, targets)[0])
    assert gradient @ direction == pytest.approx(expected, rel=1e-6, abs=1e-7), (
        f"backward gives {gradient @ direction}, differences give {expected}"
    )


def test_signum_lets_gradients_straight_through():
    """With signum, backward is that of clipping to [-1, 1] at the same pre-activations."""
    rng = np.random.default_rng(0)
    network = random_network((4, 6, 5, 3), "signum", rng)
    x = 2 * rng.normal(size=(9, 4))
    zs = forward(network, x, "signum")
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
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_outputs(activation, dtype):
    """Outputs over several batches are those of a plain row-major network."""
    rng = np.random.default_rng(1)
    network = random_network((4, 8, 8, 3), activation, rng)
    network = Network(network.sizes, network.activation, network.parameters.astype(dtype))
    x = rng.normal(size=(2 * EVALUATION_ROWS + 7, 4)).astype(dtype)
    outputs = network.outputs(x)
    assert outputs.dtype == dtype
    np.testing.assert_allclose(
        outputs, forward(network, x, activation)[-1], rtol=0, atol=2e3 * np.finfo(dtype).eps
    )


@pytest.mark.parametrize("activation", DIFFERENTIABLE)
def test_input_gradient(activation):
    """The input gradient of every row and output matches central differences of the outputs."""
    for seed in itertools.count():
        rng = np.random.default_rng(seed)
        network = random_network((3, 6, 5, 2), activation, rng)
        x = rng.normal(size=(5, 3))
        if away_from_kinks(network, x, activation):
            break
    step = 1e-6
    expected = np.stack(
        [
            (network.outputs(x + step * unit) - network.outputs(x - step * unit)) / (2 * step)
            for unit in np.eye(3)
        ],
        axis=2,
    )
    np.testing.assert_allclose(network.input_gradient(x), expected, atol=1e-7)


def test_input_gradient_of_a_linear_model():
    """Without hidden layers the input gradient is the weights, in every batch."""
    network = random_network((3, 2), "relu", np.random.default_rng(0))
    gradient = network.input_gradient(np.zeros((EVALUATION_ROWS + 2, 3)))
    weights = network.matrices[0][:-1].T
    np.testing.assert_array_equal(gradient, np.broadcast_to(weights, gradient.shape))


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_activation_in_place(activation):
    """An activation computes its formula, also into its own input where it says it can."""
    function = ACTIVATIONS[activation].function
    z = np.linspace(-40, 40, 201)
    out = np.empty_like(z)
    function(z, out)
    np.testing.assert_allclose(out, FORMULAS[activation](z), atol=1e-15)
    if not ACTIVATIONS[activation].keeps_input:
        function(z, z)
        np.testing.assert_array_equal(z, out)


REFERENCES = {
    "mean_squared": lambda z, t: ((z - t) ** 2).mean(),
    "sigmoid_cross_entropy": lambda z, t: -(t * log_expit(z) + (1 - t) * log_expit(-z)).mean(),
    "softmax_cross_entropy": lambda z, t: -(t * log_softmax(z, axis=0)).sum(axis=0).mean(),
}


@pytest.mark.parametrize("scale", [1e-3, 1, 30, 1000])
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_loss(loss, scale):
    """Losses equal SciPy's formulas and stay finite for large outputs."""
    rng = np.random.default_rng(2)
    outputs = scale * rng.normal(size=(4, 50))
    targets = random_targets(loss, 50, 4, rng)
    expected = REFERENCES[loss](outputs, targets)
    gradient = np.empty_like(outputs)
    assert LOSSES[loss].function(outputs.copy(), targets, gradient) == pytest.approx(expected)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("loss", sorted(name for name in LOSSES if LOSSES[name].probabilities))
def test_probabilities(loss):
    """Probabilities are finite, sum to one and rank as the outputs do, even in the extreme."""
    outputs = np.array([[-2000.0, 1000, 0.5], [-1990, 0, 0.1], [-1999, -1000, 0.2]])
    probabilities = LOSSES[loss].probabilities(outputs)
    np.testing.assert_allclose(probabilities.sum(axis=0), 1)
    np.testing.assert_array_equal(probabilities.argmax(axis=0), outputs.argmax(axis=0))


@pytest.mark.parametrize(
    ("initializer", "variance"),
    [
        ("glorot_normal", 2 / 500),
        ("glorot_uniform", 2 / 500),
        ("he_normal", 2 / 200),
        ("he_uniform", 2 / 200),
    ],
)
def test_initializer(initializer, variance):
    """Weights have the variance of the paper."""
    weights = INITIALIZERS[initializer](200, 300, np.random.default_rng(0))
    assert weights.shape == (200, 300)
    assert weights.var() == pytest.approx(variance, rel=0.02)
    assert abs(weights.mean()) < 0.01 * np.sqrt(variance) * 2


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_auto_initializer(activation):
    """ "auto" follows the activation in hidden layers; biases start at zero."""
    sizes, suited = (200, 100, 3), ACTIVATIONS[activation].initializer
    parameters = initial_parameters(
        sizes, ACTIVATIONS[activation], "auto", np.random.default_rng(0)
    )
    hidden, last = Network(sizes, ACTIVATIONS[activation], parameters).matrices
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(hidden[:-1], INITIALIZERS[suited](200, 100, rng))
    np.testing.assert_array_equal(last[:-1], INITIALIZERS["glorot_uniform"](100, 3, rng))
    assert not hidden[-1].any()
    assert not last[-1].any()


def test_wrong_shapes():
    """Parameters or rows of another size are refused with both sizes."""
    network = random_network((3, 2), "relu", np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"\(3, 4\) has 16 parameters, not an array of .*\(8,\)"):
        Network((3, 4), network.activation, network.parameters)
    with pytest.raises(ValueError, match=r"x must have shape \(rows, 3\), not \(5, 4\)"):
        network.outputs(np.zeros((5, 4)))

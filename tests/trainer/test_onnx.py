"""ONNX models compute what `trainer.predict` does."""

import numpy as np
import onnxruntime
import pytest

from trainer import ACTIVATIONS, LOSSES, TrainConfig, predict
from trainer.network import parameter_count
from trainer.norms import NORMS
from trainer.onnx import ACTIVATION_NODES, HEAD_NODES, to_onnx
from trainer.prediction import layer_sizes

N_INPUTS, N_OUTPUTS, ROWS = 5, 3, 40


def session(path) -> onnxruntime.InferenceSession:
    """The model at `path`, on one CPU."""
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def problem(config: TrainConfig, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Random parameters, all above 0 where they are variances, and inputs."""
    rng = np.random.default_rng(seed)
    sizes = layer_sizes(config, N_INPUTS, N_OUTPUTS)
    parameters = rng.normal(size=parameter_count(sizes, NORMS.get(config.norm)))
    if config.norm == "batch":
        widths = config.neurons
        tail = parameters[-2 * sum(widths) :]
        tail[:] = np.absolute(tail) + 0.5
    x = rng.normal(size=(ROWS, N_INPUTS))
    return parameters.astype(config.dtype), x.astype(np.float32)


def check(path, config: TrainConfig, **options) -> None:
    """Export and compare, to float32's accuracy."""
    parameters, x = problem(config)
    to_onnx(path, config, parameters, N_INPUTS, N_OUTPUTS, **options)
    (found,) = session(path).run(["y"], {"x": x})
    expected = predict(config, parameters, x, N_OUTPUTS, **options)
    assert found.shape == (ROWS, N_OUTPUTS)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


def test_every_name_exports():
    """No activation, and no way to predictions, is missing."""
    assert set(ACTIVATION_NODES) == set(ACTIVATIONS)
    heads = {loss.probabilities for loss in LOSSES.values()}
    assert heads | {loss.values for loss in LOSSES.values()} == set(HEAD_NODES)


@pytest.mark.parametrize("norm", ["none", *sorted(NORMS)])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_activation(tmp_path, activation, norm):
    """Every activation under every norm."""
    check(tmp_path / "m.onnx", TrainConfig(neurons=(6, 4), activation=activation, norm=norm))


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_loss(tmp_path, loss):
    """Every loss's predictions, from a network with a layer of each of two activations."""
    config = TrainConfig(neurons=(6, 4), activation=("tanh", "relu"), loss=loss, metric="loss")
    check(tmp_path / "m.onnx", config)


def test_float64_and_no_hidden_layer(tmp_path):
    """Parameters in float64 export in float32, and a linear model exports."""
    check(tmp_path / "m.onnx", TrainConfig(neurons=(), dtype="float64"))


def test_folders_are_made(tmp_path):
    """Folders on the way are made, as by all that writes files here."""
    check(tmp_path / "a" / "b" / "m.onnx", TrainConfig(neurons=(2,)))


def test_indicators(tmp_path):
    """Columns of 0 and 1 export as each one's own probability."""
    config = TrainConfig(neurons=(4,), loss="sigmoid_cross_entropy", metric="loss")
    check(tmp_path / "m.onnx", config, indicators=True)


def test_sign_at_zero(tmp_path):
    """signum(0) is 0 in the model as it is here."""
    config = TrainConfig(neurons=(3,), activation="signum", loss="mean_squared", metric="rmse")
    # The identity, then a sum of 1, 10 and 100 times the signs.
    parameters = np.array([*np.eye(3).ravel(), 0, 0, 0, 1, 10, 100, 0], np.float32)
    to_onnx(tmp_path / "m.onnx", config, parameters, 3, 1)
    x = np.array([[0, -2, 3], [0, 0, 0], [-0.0, 1, -1]], np.float32)
    (y,) = session(tmp_path / "m.onnx").run(["y"], {"x": x})
    assert y.ravel().tolist() == [90, 0, -90]


def test_units(tmp_path):
    """Inputs are standardised and values given back in their units within the model."""
    config = TrainConfig(neurons=(4,), loss="mean_squared", metric="rmse", activation="tanh")
    parameters, x = problem(config)
    inputs = np.arange(5.0), np.array([1.0, 2, 3, 4, 5])
    outputs = np.array([10.0, -10, 0]), np.array([2.0, 3, 4])
    path = tmp_path / "m.onnx"
    to_onnx(path, config, parameters, 5, 3, input_units=inputs, output_units=outputs)
    (found,) = session(path).run(["y"], {"x": x})
    scaled = ((x - inputs[0]) / inputs[1]).astype(np.float32)
    expected = predict(config, parameters, scaled, 3) * outputs[1] + outputs[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)

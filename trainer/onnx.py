"""A trained network as an ONNX model; needs the extra "onnx"."""

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import numpy as np

from trainer import losses
from trainer.activations import LEAK, SELU_ALPHA, SELU_SCALE
from trainer.config import TrainConfig
from trainer.embeddings import Embedding, Periodic, PiecewiseLinear
from trainer.losses import LOSSES
from trainer.norms import EPSILON
from trainer.prediction import build_network

OPSETS = {"": 20, "ai.onnx.ml": 3}
"""Versions of the operators, the first with Gelu and those that came before it."""
IR_VERSION = 9
"""Of the file, what these came with."""

ML = "ai.onnx.ml"
"""The domain of LabelEncoder."""


class Graph:
    """Nodes under construction; each has one output, and is known by its name.

    Raises ImportError without the extra "onnx".
    """

    def __init__(self, taken: Collection[str] = ()) -> None:
        """`taken` are names of inputs and outputs, which no node in between may have."""
        try:
            from onnx import helper, numpy_helper
        except ImportError as error:
            raise ImportError("to_onnx needs the package onnx: pip install onnx") from error
        self._helper, self._numpy_helper = helper, numpy_helper
        self._taken = taken
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """A node of this operator; the name of its output."""
        output = output or self._free(f"{operator.lower()}_{len(self.nodes)}")
        node = self._helper.make_node(operator, list(inputs), [output], **attributes)
        self.nodes.append(node)
        return output

    def constant(self, value: np.ndarray | float | list[int]) -> str:
        """The name of a constant; real numbers are in float32."""
        array = np.asarray(value)
        return self.exact(array.astype(np.float32) if array.dtype.kind == "f" else array)

    def exact(self, value: Any) -> str:
        """The name of a constant of the type that NumPy gives it."""
        array = np.asarray(value)
        name = self._free(f"constant_{len(self.initializers)}")
        # Contiguous, but not by ascontiguousarray, which makes scalars vectors.
        self.initializers.append(self._numpy_helper.from_array(array.copy(order="C"), name))
        return name

    def input(self, name: str, dtype: str, width: int, text: str = "") -> str:
        """An input (rows, width) of a type of TensorProto's, and what it is."""
        self.inputs.append(self._value(name, dtype, ["rows", width], text))
        return name

    def output(self, x: str, name: str, dtype: str, *widths: int) -> None:
        """What is named x as an output (rows, *widths)."""
        self.add("Identity", x, output=name)
        self.outputs.append(self._value(name, dtype, ["rows", *widths], ""))

    def write(self, path: str | os.PathLike[str], name: str, producer: str) -> None:
        """The model as a file, checked; folders on the way are made, as by all that writes here."""
        from onnx import checker, save

        helper = self._helper
        model = helper.make_model(
            helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.initializers),
            opset_imports=[helper.make_opsetid(*of) for of in OPSETS.items()],
            ir_version=IR_VERSION,
            producer_name=producer,
        )
        checker.check_model(model, full_check=True)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        save(model, os.fspath(path))

    def _value(self, name: str, dtype: str, shape: list[Any], text: str) -> Any:
        from onnx import TensorProto

        kind = getattr(TensorProto, dtype)
        return self._helper.make_tensor_value_info(name, kind, shape, doc_string=text)

    def _free(self, name: str) -> str:
        while name in self._taken:
            name = f"_{name}"
        return name


def to_onnx(
    path: str | os.PathLike[str],
    config: TrainConfig,
    parameters: np.ndarray,
    n_inputs: int,
    n_outputs: int,
    *,
    embedding: Embedding | None = None,
    input_units: tuple[np.ndarray, np.ndarray] | None = None,
    output_units: tuple[np.ndarray, np.ndarray] | None = None,
    indicators: bool = False,
) -> None:
    """Write a model of `trainer.predict`, from "x" (rows, n_inputs) to "y" (rows, n_outputs).

    All is in float32. y are class probabilities where the loss gives them, else values, and with
    `indicators` each column's own probability. `embedding` is the TrainState's, and becomes part of
    the model. Units are (means, scales), of shape (n_inputs,) or (n_outputs,): what the inputs were
    standardised with, and what values are multiplied by and moved to. Folders on the way are made,
    as by all that writes here. Raises ImportError without the extra "onnx".
    """
    graph = Graph()
    x = graph.input("x", "FLOAT", n_inputs)
    if input_units is not None:
        mean, scale = input_units
        x = graph.add("Div", graph.add("Sub", x, graph.constant(mean)), graph.constant(scale))
    x = raw_nodes(graph, x, config, parameters, n_inputs, n_outputs, embedding)
    x = prediction_node(graph, x, config, indicators)
    if output_units is not None:
        mean, scale = output_units
        x = graph.add("Add", graph.add("Mul", x, graph.constant(scale)), graph.constant(mean))
    graph.output(x, "y", "FLOAT", n_outputs)
    graph.write(path, "network", "trainer")


def raw_nodes(
    graph: Graph,
    x: str,
    config: TrainConfig,
    parameters: np.ndarray,
    n_inputs: int,
    n_outputs: int,
    embedding: Embedding | None,
) -> str:
    """The network and its embedding, from x (rows, n_inputs) to raw outputs (rows, n_outputs).

    A loss's outputs below its values, such as log variances, are left out.
    """
    network = build_network(config, parameters, n_inputs, n_outputs, embedding).folded()
    if isinstance(embedding, PiecewiseLinear):
        x = _piecewise_linear(graph, x, embedding)
    elif isinstance(embedding, Periodic):
        x = _periodic(graph, x, embedding)
    *hidden, top = network.matrices
    for layer, matrix in enumerate((*hidden, top[:, :n_outputs])):
        x = graph.add("Gemm", x, graph.constant(matrix[:-1]), graph.constant(matrix[-1]))
        if layer < config.layers:
            # Batch norm is folded into the matrices: what is left to normalise is a layer.
            if network.affine:
                affine = (graph.constant(vector) for vector in network.affine[layer])
                x = graph.add("LayerNormalization", x, *affine, axis=1, epsilon=EPSILON)
            x = ACTIVATION_NODES[config.activations[layer]](graph, x)
    return x


def prediction_node(graph: Graph, x: str, config: TrainConfig, values: bool) -> str:
    """Raw outputs to what `trainer.prediction.to_predictions` makes of them."""
    loss = LOSSES[config.loss]
    head = loss.values if values or loss.probabilities is None else loss.probabilities
    return HEAD_NODES[head](graph, x)


Build = Callable[[Graph, str], str]
"""Appends nodes to a graph: from the name of a tensor to that of the result."""


def _piecewise_linear(graph: Graph, x: str, embedding: PiecewiseLinear) -> str:
    x = graph.add("Gather", x, graph.constant(embedding.column), axis=1)
    x = graph.add("Sub", x, graph.constant(embedding.start))
    x = graph.add("Div", x, graph.constant(embedding.width))
    # Not Clip, whose bounds are scalars.
    x = graph.add("Max", x, graph.constant(embedding.bottom))
    return graph.add("Min", x, graph.constant(embedding.top))


def _periodic(graph: Graph, x: str, embedding: Periodic) -> str:
    z = graph.add("Sub", x, graph.constant(embedding.mean))
    z = graph.add("Div", z, graph.constant(embedding.scale))
    angles = graph.add("Gather", z, graph.constant(embedding.column), axis=1)
    angles = graph.add("Mul", angles, graph.constant(2 * np.pi * embedding.frequency))
    return graph.add("Concat", z, graph.add("Sin", angles), graph.add("Cos", angles), axis=1)


def _mish(graph: Graph, z: str) -> str:
    return graph.add("Mul", z, graph.add("Tanh", graph.add("Softplus", z)))


def _normalized_sigmoid(graph: Graph, z: str) -> str:
    log_sigmoid = graph.add("Neg", graph.add("Softplus", graph.add("Neg", z)))
    return graph.add("Softmax", log_sigmoid, axis=1)


ACTIVATION_NODES: dict[str, Build] = {
    "elu": lambda graph, z: graph.add("Elu", z),
    "gelu": lambda graph, z: graph.add("Gelu", z, approximate="tanh"),
    "hard_tanh": lambda graph, z: graph.add("Clip", z, graph.constant(-1.0), graph.constant(1.0)),
    "identity": lambda graph, z: z,
    "leaky_relu": lambda graph, z: graph.add("LeakyRelu", z, alpha=LEAK),
    "mish": _mish,
    "relu": lambda graph, z: graph.add("Relu", z),
    "selu": lambda graph, z: graph.add("Selu", z, alpha=SELU_ALPHA, gamma=SELU_SCALE),
    "sigmoid": lambda graph, z: graph.add("Sigmoid", z),
    "signum": lambda graph, z: graph.add("Sign", z),
    "silu": lambda graph, z: graph.add("Mul", z, graph.add("Sigmoid", z)),
    "softplus": lambda graph, z: graph.add("Softplus", z),
    "tanh": lambda graph, z: graph.add("Tanh", z),
}

HEAD_NODES: dict[Callable[[np.ndarray], np.ndarray] | None, Build] = {
    None: lambda graph, z: z,
    losses.means: lambda graph, z: z,
    losses.normalized_sigmoid: _normalized_sigmoid,
    losses.sigmoid: lambda graph, z: graph.add("Sigmoid", z),
    losses.softmax: lambda graph, z: graph.add("Softmax", z, axis=1),
    np.exp: lambda graph, z: graph.add("Exp", z),
}
"""By what turns raw outputs into predictions, in LOSSES."""

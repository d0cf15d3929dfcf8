"""A model with its preprocessing as ONNX: raw columns in, labels or values out."""

import os
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sweep.datasets import Preprocessing
from sweep.datasets.reading import CYCLES, IN_WORDS, Input
from sweep.datasets.scaling import Scaler
from sweep.datasets.targets import Target
from sweep.datasets.values import WORDS
from sweep.errors import UsageError
from sweep.predictor import Predictor
from trainer import LOSSES, TrainConfig
from trainer.onnx import ML, Graph, prediction_node, raw_nodes

PREDICTION, PROBABILITIES = "prediction", "probabilities"
"""The outputs."""

DAYS_OF_ERA, EPOCH = 146_097, 719_468
"""Days of 400 years, and of those from the 1st of March of the year 0 to 1970."""

BOUND = 1e-7
"""QuantileTransformer's: nearer to an end than so much is at the end."""


def to_onnx(path: str | os.PathLike[str], model: Predictor) -> None:
    """Write what `predict` and `predict_proba` compute; see `Model.to_onnx`.

    What is read and scaled is so in float64, as in training, and the network is in float32.
    """
    preprocessing = model.preprocessing
    reading, measures, target = preprocessing.reading, preprocessing.measures, preprocessing.target
    for name in (PREDICTION, PROBABILITIES):
        if name in reading.needed:
            raise UsageError(
                f"to_onnx: the column {name!r} has the name of an output of the model; rename it "
                "in the data and run the study again"
            )
    graph = Graph({*reading.needed, PREDICTION, PROBABILITIES})
    for each in reading.inputs:
        if each.kind != "drop":
            graph.input(each.name, *_kind(each))
    parts = []
    if reading.measured:
        measured = [_measured(graph, each, preprocessing) for each in reading.measured]
        x = graph.add("Concat", *measured, axis=1)
        missing = graph.add("IsNaN", x)
        filled = graph.add("Where", missing, graph.exact(measures.medians), x)
        parts.append(_scaled(graph, filled, measures.scaler, len(measured)))
        if measures.gaps.any():
            gaps = graph.exact(np.flatnonzero(measures.gaps))
            parts.append(_cast(graph, graph.add("Gather", missing, gaps, axis=1), "DOUBLE"))
        for place, each in enumerate(reading.measured):
            if each.kind == "date":
                column = graph.exact(np.array([place]))
                days, gap = (graph.add("Gather", of, column, axis=1) for of in (filled, missing))
                parts.append(_cycles(graph, days, gap, each.cycles))
    parts += [_one_hot(graph, name, preprocessing) for name in reading.indicating]
    x = _cast(graph, graph.add("Concat", *parts, axis=1), "FLOAT")
    raw = raw_nodes(
        graph,
        x,
        model.config,
        model.parameters,
        len(preprocessing.features),
        target.n_outputs,
        model.embedding,
    )
    _HEADS[target.task](graph, raw, model.config, target)
    graph.write(path, "model", "sweep")


def _kind(each: Input) -> tuple[str, int, str]:
    """The type, the width and the description of a column's input."""
    if each.kind == "categorical":
        return "STRING", 1, "a text without spaces around it; missing is the empty text"
    if each.kind == "boolean" and each.form == IN_WORDS:
        return (
            "STRING",
            1,
            "yes or no, true or false, t, f, y, n, on, off, 1 or 0; missing is empty",
        )
    text = {"boolean": "1 or 0", "date": "days since 1970-01-01, in UTC"}.get(each.kind, "a number")
    return "DOUBLE", 1, f"{text}; missing is NaN"


def _measured(graph: Graph, each: Input, preprocessing: Preprocessing) -> str:
    """A measured column (rows, 1) in float64."""
    if each.kind == "boolean" and each.form == IN_WORDS:
        spelled = {spelling: value for word, value in WORDS.items() for spelling in _spelt(word)}
        return _encoded(graph, each.name, list(spelled), list(spelled.values()), np.nan)
    if each.kind == "categorical":
        found = preprocessing.reading.categories[each.name]
        known = [*found.common.tolist(), *found.rare.tolist()]
        unknown = len(found.common) if len(found.rare) else -1
        return _encoded(graph, each.name, known, found.ordinal(known).tolist(), unknown)
    return each.name


def _spelt(word: str) -> list[str]:
    """A word in capitals and not, letter by letter."""
    return ["".join(letters) for letters in product(*({c, c.upper()} for c in word))]


def _encoded(graph: Graph, x: str, texts: list[str], numbers: list[float], otherwise: float) -> str:
    found = graph.add(
        "LabelEncoder",
        x,
        domain=ML,
        keys_strings=texts,
        values_floats=numbers,
        default_float=float(otherwise),
    )
    return _cast(graph, found, "DOUBLE")


def _one_hot(graph: Graph, name: str, preprocessing: Preprocessing) -> str:
    """(rows, categories) in float64."""
    found = preprocessing.reading.categories[name]
    width = len(found.names)
    known = [*found.common.tolist(), *found.rare.tolist()]
    places = [min(place, width - 1) for place in range(len(known))]
    unknown = width - 1 if len(found.rare) else -1
    place = _encoded(graph, name, known, [float(p) for p in places], unknown)
    return _cast(graph, graph.add("Equal", place, graph.exact(np.arange(float(width)))), "DOUBLE")


def _scaled(graph: Graph, x: str, scaler: Scaler, width: int) -> str:
    """The first columns as the scaler has them, and the others as they are."""
    if scaler.kind == "quantile" and scaler.arrays:
        columns = [graph.add("Gather", x, graph.exact([j]), axis=1) for j in range(width)]
        references = scaler.arrays["references_"]
        for j, quantiles in enumerate(scaler.arrays["quantiles_"].T):
            columns[j] = _normal_quantile(graph, _share(graph, columns[j], quantiles, references))
        return graph.add("Concat", *columns, axis=1)
    if not scaler.arrays:
        return x
    shift, scale = np.zeros(width), np.ones(width)
    shift[: scaler.width] = scaler.arrays.get("mean_", scaler.arrays.get("center_"))
    scale[: scaler.width] = scaler.arrays["scale_"]
    return graph.add("Div", graph.add("Sub", x, graph.exact(shift)), graph.exact(scale))


def _share(
    graph: Graph, x: str, quantiles: NDArray[np.float64], references: NDArray[np.float64]
) -> str:
    """The share of the training rows below each of x (rows, 1), between quantiles by a line.

    A line is a sum of one ramp from 0 to 1 for each of its pieces. Where quantiles are the same
    there is a step, half of it at the value itself.
    """
    edges, first, count = np.unique(quantiles, return_index=True, return_counts=True)
    low, high = references[first], references[first + count - 1]
    above = graph.add("Sub", x, graph.exact(edges))
    steps = graph.add("Mul", graph.add("Sign", above), graph.exact(0.5))
    steps = graph.add("Add", steps, graph.exact(0.5))
    share = graph.add("MatMul", steps, graph.exact((high - low)[:, np.newaxis]))
    if len(edges) > 1:
        ramps = graph.add("Sub", x, graph.exact(edges[:-1]))
        ramps = graph.add("Div", ramps, graph.exact(np.diff(edges)))
        ramps = graph.add("Clip", ramps, graph.exact(0.0), graph.exact(1.0))
        rises = graph.exact((low[1:] - high[:-1])[:, np.newaxis])
        share = graph.add("Add", share, graph.add("MatMul", ramps, rises))
    last = graph.add("Greater", x, graph.exact(edges[-1] - BOUND))
    share = graph.add("Where", last, graph.exact(1.0), share)
    first_ = graph.add("Less", x, graph.exact(edges[0] + BOUND))
    return graph.add("Where", first_, graph.exact(0.0), share)


def _normal_quantile(graph: Graph, share: str) -> str:
    """Where the normal distribution has this share below, by Giles 2012, Approximating the erfinv
    function, table 5: single precision."""
    ends = graph.exact(BOUND), graph.exact(1 - BOUND)
    share = graph.add("Clip", share, *ends)
    rest = graph.add("Sub", graph.exact(1.0), share)
    w = graph.add("Log", graph.add("Mul", graph.add("Mul", share, rest), graph.exact(4.0)))
    w = graph.add("Neg", w)
    middle = _polynomial(graph, graph.add("Sub", w, graph.exact(2.5)), MIDDLE)
    tail = _polynomial(graph, graph.add("Sub", graph.add("Sqrt", w), graph.exact(3.0)), TAIL)
    is_middle = graph.add("Less", w, graph.exact(5.0))
    factor = graph.add("Where", is_middle, middle, tail)
    return graph.add("Mul", factor, graph.add("Sub", share, rest))


def _polynomial(graph: Graph, x: str, coefficients: tuple[float, ...]) -> str:
    value = graph.exact(coefficients[0])
    for coefficient in coefficients[1:]:
        value = graph.add("Add", graph.add("Mul", value, x), graph.exact(coefficient))
    return value


ROOT = float(np.sqrt(2))
MIDDLE = tuple(
    ROOT * c
    for c in (
        *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
        *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
    )
)
TAIL = tuple(
    ROOT * c
    for c in (
        *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
        *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
    )
)


def _cycles(graph: Graph, days: str, missing: str, cycles: tuple[str, ...]) -> str:
    """Sine and cosine of where a date (rows, 1) is in its cycles, 0 where it is missing."""
    whole = graph.add("Floor", days)
    hours = graph.add("Mul", graph.add("Sub", days, whole), graph.exact(24.0))
    weekday = _modulo(graph, graph.add("Add", whole, graph.exact(3.0)), 7)
    place = {"month": _month(graph, whole), "weekday": weekday, "hour": hours}
    waves = [_waves(graph, place[cycle], CYCLES[cycle]) for cycle in cycles]
    return graph.add("Where", missing, graph.exact(0.0), graph.add("Concat", *waves, axis=1))


def _waves(graph: Graph, place: str, every: int) -> str:
    """Sine and cosine (rows, 2), those of whole places from a table: where they are 0 but for the
    last bit, an embedding may have a bin as narrow as that."""
    angles = 2 * np.pi * np.arange(float(every)) / every
    whole = graph.add("Floor", place)
    row = graph.add("Squeeze", _cast(graph, whole, "INT64"), graph.exact([1]))
    known = graph.add("Gather", graph.exact(np.column_stack([np.sin(angles), np.cos(angles)])), row)
    angle = graph.add("Mul", place, graph.exact(2 * np.pi / every))
    # Not every runtime has a cosine of float64.
    angle = graph.add("Add", angle, graph.exact(np.array([0, np.pi / 2])))
    is_whole = graph.add("Equal", place, whole)
    return graph.add("Where", is_whole, known, graph.add("Sin", angle))


def _month(graph: Graph, days: str) -> str:
    """The month from 0 of whole days since 1970, by the arithmetic of years that begin in March
    (Hinnant 2013, chrono-Compatible Low-Level Date Algorithms, civil_from_days)."""
    day = _modulo(graph, graph.add("Add", days, graph.exact(float(EPOCH))), DAYS_OF_ERA)
    by_leap_years = [
        graph.add("Mul", _floored(graph, day, every), graph.exact(sign))
        for every, sign in ((1460.0, -1.0), (36_524.0, 1.0), (146_096.0, -1.0))
    ]
    year = _floored(graph, graph.add("Sum", day, *by_leap_years), 365.0)
    before = graph.add("Mul", year, graph.exact(365.0))
    before = graph.add("Add", before, _floored(graph, year, 4.0))
    before = graph.add("Sub", before, _floored(graph, year, 100.0))
    of_year = graph.add("Sub", day, before)
    fifths = graph.add("Add", graph.add("Mul", of_year, graph.exact(5.0)), graph.exact(2.0))
    month = graph.add("Add", _floored(graph, fifths, 153.0), graph.exact(2.0))
    return _modulo(graph, month, 12)


def _floored(graph: Graph, x: str, by: float) -> str:
    return graph.add("Floor", graph.add("Div", x, graph.exact(by)))


def _modulo(graph: Graph, x: str, by: int) -> str:
    whole = graph.add("Mul", _floored(graph, x, float(by)), graph.exact(float(by)))
    return graph.add("Sub", x, whole)


def _cast(graph: Graph, x: str, dtype: str) -> str:
    from onnx import TensorProto

    return graph.add("Cast", x, to=getattr(TensorProto, dtype))


def _classes(graph: Graph, raw: str, config: TrainConfig, target: Target) -> None:
    assert target.classes is not None
    shares = prediction_node(graph, raw, config, values=False)
    chosen = graph.add("ArgMax", shares, axis=1, keepdims=0)
    dtype, numpys = _LABELS[target.classes.dtype.kind]
    labels = graph.exact(target.classes.astype(numpys))
    graph.output(graph.add("Gather", labels, chosen), PREDICTION, dtype)
    if LOSSES[config.loss].probabilities is not None:
        graph.output(shares, PROBABILITIES, "FLOAT", target.n_outputs)


def _labels(graph: Graph, raw: str, config: TrainConfig, target: Target) -> None:
    shares = prediction_node(graph, raw, config, values=True)
    chosen = _cast(graph, graph.add("Greater", shares, graph.constant(0.5)), "INT64")
    graph.output(chosen, PREDICTION, "INT64", target.n_outputs)
    graph.output(shares, PROBABILITIES, "FLOAT", target.n_outputs)


def _values(graph: Graph, raw: str, config: TrainConfig, target: Target) -> None:
    values = _cast(graph, prediction_node(graph, raw, config, values=True), "DOUBLE")
    values = graph.add("Mul", values, graph.exact(target.scale))
    values = graph.add("Add", values, graph.exact(target.mean))
    if target.n_outputs == 1:
        graph.output(graph.add("Squeeze", values, graph.exact([1])), PREDICTION, "DOUBLE")
    else:
        graph.output(values, PREDICTION, "DOUBLE", target.n_outputs)


_LABELS: dict[str, tuple[str, Any]] = {
    "U": ("STRING", object),
    "O": ("STRING", object),
    "b": ("BOOL", np.bool_),
    "i": ("INT64", np.int64),
    "u": ("INT64", np.int64),
    "f": ("DOUBLE", np.float64),
}
"""By the kind of the classes' own type."""

_HEADS = {"classification": _classes, "multilabel": _labels, "regression": _values}

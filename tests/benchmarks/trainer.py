"""An epoch of ours against other libraries', on one core: `python -m tests.benchmarks.trainer`.

A first table times an epoch in milliseconds and gives the others' as ratios to it (above 1: ours
is faster). The libraries take turns, so that a busy machine slows them alike, and every figure is
a median; a library that is not installed is a dash. "x products" is an epoch as a multiple of its
bare matrix products in the same library, ours and then PyTorch's: a ratio times ours is the most
that a trainer on NumPy's BLAS could reach. "sgemm" is the share of the machine's peak, "MB" the
memory that a training takes besides its data, and "bound" what it may take. The second table is of
`train_many`.
"""

import multiprocessing
import os
import re
import statistics
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from tests.benchmarks.peers import (
    PEERS,
    PRODUCTS,
    ROWS,
    Epoch,
    Shape,
    config,
    dataset,
    ours,
    seconds,
)
from trainer import run, train_many
from trainer.network import parameter_count

RUNS, JAX_EPOCHS, REPLICATES = 5, 20, 8

SHAPES = (
    Shape(64, (64, 64), 10, 32),
    Shape(64, (64, 64), 10, 256),
    Shape(64, (256, 256), 10, 32),
    Shape(64, (256, 256), 10, 128),
    Shape(784, (512, 512), 10, 128),
    Shape(16, (16,), 2, 8),
    Shape(30, (32, 32, 32), 1, 16),
    Shape(100, (1024, 1024), 10, 512),
)

SMALL = [shape for shape in SHAPES if shape.batch <= 32 and max(shape.hidden) <= 64]


def main() -> None:
    """Print the tables."""
    peak = sgemm_peak()
    columns = [*PEERS, "jax+compile"]
    print(f"an epoch of {ROWS} rows, medians of {RUNS}; sgemm peak {peak / 1e9:.0f} GFLOP/s")
    print(
        f"{'shape':<22}{'ours, ms':>9}"
        + "".join(f"{name:>14}" for name in columns)
        + f"{'x products':>14}{'torch':>7}{'sgemm':>8}{'MB':>8}{'bound':>8}"
    )
    table: dict[str, list[float]] = {name: [] for name in columns}
    for shape in SHAPES:
        mine, others, multiples = compare(shape)
        for name, ratio in others.items():
            table[name].append(ratio)
        print(
            f"{shape!s:<22}{1000 * mine:>9.1f}"
            + "".join(_cell(others.get(name)) for name in columns)
            + _cell(multiples["ours"])
            + _cell(multiples.get("torch"), width=7)
            + f"{operations(shape) / mine / peak:>8.0%}"
            + f"{megabytes(shape):>8.1f}{bound(shape):>8.1f}",
            flush=True,
        )
    means = {name: statistics.geometric_mean(ratios) for name, ratios in table.items() if ratios}
    print(f"{'geometric mean':<31}" + "".join(_cell(means.get(name)) for name in columns))

    print(f"\n{REPLICATES} networks at once, networks a second against one after another")
    for shape in SMALL:
        print(f"{shape!s:<22}{replicates(shape):>9.2f}", flush=True)


def compare(shape: Shape) -> tuple[float, dict[str, float], dict[str, float]]:
    """Median seconds of an epoch of ours, and the other libraries' as ratios to it.

    Then an epoch as a multiple of its bare matrix products, by library.
    """
    epochs: dict[str, Epoch] = {"ours": ours(shape)}
    epochs |= {name: make(shape) for name, make in PEERS.items() if make is not None}
    bare = {f"{name} bare": make(shape) for name, make in PRODUCTS.items() if make is not None}
    first = {name: seconds(epoch) for name, epoch in (epochs | bare).items()}
    medians = interleaved(epochs | bare)
    multiples = {
        name: medians[name] / medians.pop(f"{name} bare")
        for name, make in PRODUCTS.items()
        if make is not None
    }
    mine = medians.pop("ours")
    if "jax" in medians:
        medians["jax+compile"] = medians["jax"] + (first["jax"] - medians["jax"]) / JAX_EPOCHS
    return mine, {name: median / mine for name, median in medians.items()}, multiples


def replicates(shape: Shape) -> float:
    """How many times faster `train_many` trains, for the same networks."""
    setting, data, seeds = config(shape, epochs=1), dataset(shape), range(REPLICATES)
    medians = interleaved(
        {
            "alone": lambda: [run(setting, data, seed) for seed in seeds],
            "together": lambda: train_many(setting, data, seeds),
        }
    )
    return medians["alone"] / medians["together"]


def interleaved(epochs: dict[str, Epoch]) -> dict[str, float]:
    """Median seconds of each function, called in turn."""
    rounds = [{name: seconds(epoch) for name, epoch in epochs.items()} for _ in range(RUNS)]
    return {name: statistics.median(times[name] for times in rounds) for name in epochs}


def operations(shape: Shape) -> int:
    """Floating-point operations of an epoch's matrix products.

    Three of 2 n_in n_out a row and layer; the first layer's inputs need no gradient.
    """
    products = [a * b for a, b in zip(shape.sizes[:-1], shape.sizes[1:], strict=True)]
    return 2 * ROWS * (3 * sum(products) - products[0])


def sgemm_peak() -> float:
    """Floating-point operations a second of a large float32 matrix product, at best."""
    n = 1024
    a, b = np.ones((2, n, n), np.float32)
    out = np.empty_like(a)
    return 2 * n**3 / min(seconds(lambda: np.matmul(a, b, out=out)) for _ in range(20))


def bound(shape: Shape) -> float:
    """Megabytes of the training rows, four vectors of parameters and two batches' activations."""
    floats = ROWS * (shape.inputs + shape.outputs) + 4 * parameter_count(shape.sizes)
    return 4 * (floats + 2 * shape.batch * sum(shape.sizes)) / 1e6


def megabytes(shape: Shape) -> float:
    """Peak resident memory of a training of ours, above that of its data, in its own process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_megabytes, (shape,))


def _peak_megabytes(shape: Shape) -> float:
    status, data = Path("/proc/self/status"), dataset(shape)
    # Loads what a first training loads, and what BLAS keeps for itself.
    sgemm_peak()
    run(config(Shape(2, (2,), 2, 8), epochs=1), dataset(Shape(2, (2,), 2, 8)), seed=0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here

    def kilobytes(name: str) -> int:
        return int(re.search(rf"{name}:\s+(\d+) kB", status.read_text())[1])

    before = kilobytes("VmRSS")
    run(config(shape, epochs=1), data, seed=0)
    return (kilobytes("VmHWM") - before) * 1024 / 1e6


def _cell(ratio: float | None, width: int = 14) -> str:
    return f"{'-' if ratio is None else format(ratio, '.2f'):>{width}}"


if __name__ == "__main__":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with threadpool_limits(1):
        main()

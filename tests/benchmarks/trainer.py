"""An epoch of ours against scikit-learn's, on one thread: `python -m tests.benchmarks.trainer`.

Both train in float32 on the same rows with Adam and ReLU; the epochs take turns, and the table
shows medians. Ours includes scoring 64 validation rows and making an epoch record.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor
from threadpoolctl import threadpool_limits

from trainer import Dataset, Split, TrainConfig, train

ROWS, EPOCHS = 16_384, 7

SHAPES = (
    # inputs, hidden, outputs, batch
    (64, (64, 64), 10, 32),
    (64, (256, 256), 10, 128),
    (30, (32, 32, 32), 1, 16),
    (784, (512, 512), 10, 128),
    (16, (16,), 2, 8),
)


def main() -> None:
    """Print one row a shape."""
    print(
        f"{'shape':<26}{'ours, ms':>10}{'sklearn, ms':>13}{'ratio':>8}   (an epoch of {ROWS} rows)"
    )
    ratios = []
    for n_inputs, neurons, n_outputs, batch_size in SHAPES:
        epochs = (
            ours(n_inputs, neurons, n_outputs, batch_size),
            theirs(n_inputs, neurons, n_outputs, batch_size),
        )
        mine, other = (1000 * t for t in medians(epochs))
        ratios.append(other / mine)
        name = f"{n_inputs}-{'-'.join(map(str, neurons))}-{n_outputs} b{batch_size}"
        print(f"{name:<26}{mine:>10.1f}{other:>13.1f}{other / mine:>8.2f}")
    print(f"{'geometric mean':<26}{'':>23}{statistics.geometric_mean(ratios):>8.2f}")


def medians(epochs: tuple[Callable[[], object], ...]) -> list[float]:
    """Median seconds of each function, called in turn; the first round is not counted."""
    seconds: list[list[float]] = [[] for _ in epochs]
    for _ in range(EPOCHS + 1):
        for epoch, times in zip(epochs, seconds, strict=True):
            start = time.perf_counter()
            epoch()
            times.append(time.perf_counter() - start)
    return [statistics.median(times[1:]) for times in seconds]


def rows(n_inputs: int, n_outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Random features, and labels, or values if there is one output."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((ROWS, n_inputs), dtype=np.float32)
    if n_outputs == 1:
        return x, rng.standard_normal((ROWS, 1), dtype=np.float32)
    return x, rng.integers(0, n_outputs, ROWS)


def ours(
    n_inputs: int, neurons: tuple[int, ...], n_outputs: int, batch_size: int
) -> Callable[[], object]:
    """A function that trains one more epoch."""
    x, y = rows(n_inputs, n_outputs)
    regression = n_outputs == 1
    dataset = Dataset(
        Split(x, y), Split(x[:64], y[:64]), n_classes=None if regression else n_outputs
    )
    config = TrainConfig(
        neurons=neurons,
        batch_size=batch_size,
        loss="mean_squared" if regression else "softmax_cross_entropy",
        metric="r2" if regression else "accuracy",
        l2=1e-4,
        epochs=EPOCHS + 1,
    )
    epochs = train(config, dataset, seed=0)
    return lambda: next(epochs)


def theirs(
    n_inputs: int, neurons: tuple[int, ...], n_outputs: int, batch_size: int
) -> Callable[[], object]:
    """The same of scikit-learn."""
    x, y = rows(n_inputs, n_outputs)
    options = {"hidden_layer_sizes": neurons, "batch_size": batch_size, "alpha": 1e-4}
    if n_outputs == 1:
        regressor = MLPRegressor(random_state=0, **options)
        return lambda: regressor.partial_fit(x, y[:, 0])
    classifier = MLPClassifier(random_state=0, **options)
    return lambda: classifier.partial_fit(x, y, classes=np.arange(n_outputs))


if __name__ == "__main__":
    with threadpool_limits(1):
        main()

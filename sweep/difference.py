"""Whether two samples of scores differ by more than luck."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

LEVEL = 0.95
DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a two-sided test comes to."""

    test: str
    n: tuple[int, int]
    difference: float
    """Of the means or medians, the first less the second, in units of the scores."""
    interval: tuple[float, float]
    """Where the difference lies, with LEVEL confidence."""
    effect: float
    measure: str
    """What `effect` is: Cohen's d, or the probability of superiority."""
    p_value: float
    """NaN where scores are too few for a test, or all alike."""


def paired(a: ArrayLike, b: ArrayLike, folds: int | None = None) -> Outcome:
    """The paired t test of scores that were taken under the same conditions, such as seeds.

    Scores on the same `folds` share training rows; the variance of their mean is then larger by
    1 / (folds - 1) of a score's (Nadeau and Bengio 2003, equation 9).
    """
    gaps = np.asarray(a, float) - np.asarray(b, float)
    n, mean = len(gaps), float(gaps.mean())
    test = "paired t" if folds is None else "paired t, corrected for folds"
    if n < 2 or _is_constant(gaps):
        return _untested(test, (n, n), mean)
    spread = float(gaps.std(ddof=1))
    error = spread * sqrt(1 / n + (0.0 if folds is None else 1 / (folds - 1)))
    p = 2 * float(stats.t.sf(abs(mean) / error, n - 1))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * error
    interval = (mean - reach, mean + reach)
    return Outcome(test, (n, n), mean, interval, mean / spread, "Cohen's d", p)


def welch(a: ArrayLike, b: ArrayLike) -> Outcome:
    """Welch's t test of the means of independent scores; their variances may differ."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    mean = float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2 or _is_constant(a) or _is_constant(b):
        return _untested("Welch's t", (len(a), len(b)), mean)
    spread = sqrt((a.var(ddof=1) + b.var(ddof=1)) / 2)
    found = stats.ttest_ind(a, b, equal_var=False)
    low, high = found.confidence_interval(LEVEL)
    interval, p = (float(low), float(high)), float(found.pvalue)
    return Outcome("Welch's t", (len(a), len(b)), mean, interval, mean / spread, "Cohen's d", p)


def ranks(a: ArrayLike, b: ArrayLike, *, sign: int, seed: int = 0) -> Outcome:
    """The Mann-Whitney U test of whether values of one sample tend to be better than those of the
    other: `sign` is 1 if more is better, else -1.

    The effect is the probability that a value of the first is better than one of the second,
    equals counted half; the interval, of the difference of medians, is the percentile bootstrap.
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    sizes = len(a), len(b)
    if not min(sizes):
        return Outcome("Mann-Whitney U", sizes, nan, (nan, nan), nan, "superiority", nan)
    found = stats.mannwhitneyu(sign * a, sign * b, alternative="two-sided")
    random = np.random.default_rng(seed)
    gaps = _medians(a, random) - _medians(b, random)
    return Outcome(
        test="Mann-Whitney U",
        n=sizes,
        difference=float(np.median(a) - np.median(b)),
        interval=_middle(gaps),
        effect=float(found.statistic) / (sizes[0] * sizes[1]),
        measure="superiority",
        p_value=float(found.pvalue),
    )


def resampled(a: ArrayLike, b: ArrayLike, *, difference: float, rows: int) -> Outcome:
    """The paired bootstrap: scores of two models on the same draws of the same `rows`, whose scores
    on all of them differ by `difference`.

    The p-value is that of Efron and Tibshirani 1993, section 15.4: twice the smaller share of draws
    on either side of 0.
    """
    gaps = np.asarray(a, float) - np.asarray(b, float)
    gaps = gaps[np.isfinite(gaps)]
    if not len(gaps):
        none = (nan, nan)
        return Outcome("paired bootstrap", (rows, rows), difference, none, nan, "Cohen's d", nan)
    side = min((gaps <= 0).sum(), (gaps >= 0).sum())
    p = min(1.0, 2 * (int(side) + 1) / (len(gaps) + 1))
    spread = float(gaps.std())
    effect = difference / spread if spread else nan
    sizes = rows, rows
    return Outcome(
        "paired bootstrap", sizes, difference, _middle(gaps), effect, "standard errors", p
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values as they are when so many tests were made (Holm 1979, Scand. J. Statist. 6); NaN
    stays and counts for none."""
    known = sorted((p, i) for i, p in enumerate(p_values) if p == p)
    found, least = [nan] * len(p_values), 0.0
    for rank, (p, i) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * p))
        found[i] = least
    return found


def _is_constant(values: NDArray[np.float64]) -> bool:
    """Whether values do not vary but by rounding: their variance then says nothing."""
    return bool(values.std() <= 1e-12 * np.abs(values).max())


def _untested(test: str, n: tuple[int, int], difference: float) -> Outcome:
    return Outcome(test, n, difference, (nan, nan), nan, "Cohen's d", nan)


def _medians(values: NDArray[np.float64], random: np.random.Generator) -> NDArray[np.float64]:
    draws = random.integers(len(values), size=(DRAWS, len(values)))
    medians: NDArray[np.float64] = np.median(values[draws], axis=1)
    return medians


def _middle(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)

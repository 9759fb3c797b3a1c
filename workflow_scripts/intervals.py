"""Every interval of the project: 95 %, and what it is over is said where it is shown.

- A share of rows (every value 0 or 1) has Wilson's interval (1927, JASA 22, 209-212), which knows
  that 0 of 17 rows is not 0 of all rows.
- Any other mean over rows has the percentile bootstrap (Efron and Tibshirani 1993, chapter 13):
  rows are drawn with replacement, and the interval holds the middle of the resampled means.
- A mean over seeds has Student's t interval.

Written with NumPy: `scipy.stats` has the same and takes longer to import than a run to score.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

LEVEL = 0.95
RESAMPLES = 1000
DRAWN_AT_ONCE = 2_000_000  # rows; bounds the memory at some 40 MB


def wilson(hits: int, rows: int) -> tuple[float, float]:
    """(low, high) of a share, `hits` of `rows`."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    share, scale = hits / rows, 1 + z**2 / rows
    middle = share + z**2 / (2 * rows)
    half = z * math.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2))
    low, high = (middle - half) / scale, (middle + half) / scale
    return (low if hits else 0.0), (high if hits < rows else 1.0)


def mean_over_rows(values: ArrayLike) -> tuple[float, float, float]:
    """(mean, low, high) of one value a row; equal input gives equal output."""
    values = np.asarray(values, dtype=float)
    if np.isin(values, (0, 1)).all():
        return float(values.mean()), *wilson(int(values.sum()), len(values))
    return _bootstrap(values)


def difference_over_rows(first: ArrayLike, second: ArrayLike) -> tuple[float, float, float]:
    """(difference, low, high) of mean(first) - mean(second), both measured on the same rows.

    Raises ValueError when they are not of the same length.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} rows against {len(second)}: not the same rows")
    return _bootstrap(first - second)


def mean_over_seeds(values: Sequence[float]) -> tuple[float, float, float]:
    """(mean, low, high) of one value a seed; the interval is NaN for a single value."""
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return mean, math.nan, math.nan
    from scipy.special import stdtrit

    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    half = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * math.sqrt(variance / count)
    return mean, mean - half, mean + half


def _bootstrap(values: np.ndarray) -> tuple[float, float, float]:
    generator = np.random.default_rng(0)
    at_once = max(1, DRAWN_AT_ONCE // len(values))
    sizes = [min(at_once, RESAMPLES - start) for start in range(0, RESAMPLES, at_once)]
    draws = (generator.integers(0, len(values), (size, len(values))) for size in sizes)
    means = np.concatenate([values[draw].mean(axis=1) for draw in draws])
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(values.mean()), float(low), float(high)

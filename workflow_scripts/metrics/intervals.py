"""Intervals over rows: how far a mean could move with other rows of the same kind.

Shares (every value is 0 or 1) have Wilson's interval (1927), which knows that 0 of 17 rows is not
0 of all rows. Other means have the percentile bootstrap (Efron and Tibshirani, 1993, chapter 13):
rows are drawn with replacement, and the interval holds the middle share of the resampled means.
Neither says anything about other seeds or other training rows.
"""

import numpy as np
from numpy.typing import ArrayLike

from workflow_scripts.shares import wilson

RESAMPLES = 1000
LEVEL = 0.95
CHUNK = 2_000_000  # rows drawn at a time: bounds the memory at some 40 MB


def mean_interval(
    values: ArrayLike, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> tuple[float, float, float]:
    """(mean, low, high) of one value a row; equal input gives equal output."""
    values = np.asarray(values, dtype=float)
    if np.isin(values, (0, 1)).all():
        return float(values.mean()), *wilson(int(values.sum()), len(values), level)
    return _bootstrap(values, seed, resamples, level)


def paired_difference(
    first: ArrayLike,
    second: ArrayLike,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> tuple[float, float, float]:
    """(difference, low, high) of mean(first) - mean(second), both measured on the same rows.

    Raises ValueError when they are not of the same length.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} rows against {len(second)}: not the same rows")
    return _bootstrap(first - second, seed, resamples, level)


def _bootstrap(
    values: np.ndarray, seed: int, resamples: int, level: float
) -> tuple[float, float, float]:
    return float(values.mean()), *_middle(_resampled_means(values, seed, resamples), level)


def _resampled_means(values: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    at_once = max(1, CHUNK // len(values))
    sizes = [min(at_once, resamples - start) for start in range(0, resamples, at_once)]
    draws = (generator.integers(0, len(values), (size, len(values))) for size in sizes)
    return np.concatenate([values[draw].mean(axis=1) for draw in draws])


def _middle(means: np.ndarray, level: float) -> tuple[float, float]:
    outside = (1 - level) / 2
    low, high = np.quantile(means, [outside, 1 - outside])
    return float(low), float(high)

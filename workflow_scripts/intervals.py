"""Every interval of the project: 95 %, and what it is over is said where it is shown.

None has the width zero: that no row differs among the few that were looked at doesn't mean that
no row ever will.

- A share of rows (every value 0 or 1) has Wilson's interval (1927, JASA 22, 209-212), which knows
  that 0 of 17 rows is not 0 of all rows. The difference of two shares of the same rows has
  Newcombe's (1998, Statistics in Medicine 17, 2635-2650, method 10), which is made from Wilson's.
- Any other mean over rows has the percentile bootstrap (Efron and Tibshirani 1993, chapter 13):
  rows are drawn with replacement, and the interval holds the middle of the resampled means. Where
  all rows have one value there is nothing to draw: rows with another value may be as frequent as
  Wilson's interval says of what was never seen, and these may have any value of the scale.
- A mean over seeds has Student's t interval, and none where all seeds agree. A single run of
  somebody else's is compared with Student's interval for one more value.

Written with NumPy: `scipy.stats` has some of it and takes longer to import than a run to score.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

LEVEL = 0.95
RESAMPLES = 1000
DRAWN_AT_ONCE = 2_000_000  # rows; bounds the memory at some 40 MB
ROUNDING = 1e-12  # numbers that are closer are equal
Interval = tuple[float, float, float]  # mean, low, high


def wilson(hits: int, rows: int) -> tuple[float, float]:
    """(low, high) of a share, `hits` of `rows`."""
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    share, scale = hits / rows, 1 + z**2 / rows
    middle = share + z**2 / (2 * rows)
    half = z * math.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2))
    low, high = (middle - half) / scale, (middle + half) / scale
    return (low if hits else 0.0), (high if hits < rows else 1.0)


def newcombe(both: int, first: int, second: int, neither: int) -> tuple[float, float]:
    """(low, high) of the share in `both` or `first` minus that in `both` or `second`.

    Counts of rows: hit both times, only the first time, only the second time, never.
    """
    rows = both + first + second + neither
    hits = both + first, both + second
    (p1, p2), ((low1, high1), (low2, high2)) = (
        [each / rows for each in hits],
        [wilson(each, rows) for each in hits],
    )
    together = both * neither - first * second
    if together > 0:  # with Newcombe's correction for continuity
        together = max(together - rows / 2, 0)
    sizes = math.prod((*hits, *(rows - each for each in hits)))
    phi = together / math.sqrt(sizes) if sizes else 0.0

    def reach(one: float, other: float) -> float:
        return math.sqrt(one**2 - 2 * phi * one * other + other**2)

    difference = (first - second) / rows
    return difference - reach(p1 - low1, high2 - p2), difference + reach(high1 - p1, p2 - low2)


def mean_over_rows(values: ArrayLike) -> Interval:
    """Mean of one value a row; equal input gives equal output.

    The interval is NaN where all rows have one value, and that is not on a scale from 0 to 1.
    """
    values = np.asarray(values, dtype=float)
    if np.isin(values, (0, 1)).all():
        return float(values.mean()), *wilson(int(values.sum()), len(values))
    return _over_rows(values, 0)


def difference_over_rows(first: ArrayLike, second: ArrayLike) -> Interval:
    """Mean(first) - mean(second), scores from 0 to 1 that were measured on the same rows.

    Raises ValueError when they are not of the same length.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} rows against {len(second)}: not the same rows")
    if not np.isin((first, second), (0, 1)).all():
        return _over_rows(first - second, -1)
    cells = ((first == a) & (second == b) for a, b in ((1, 1), (1, 0), (0, 1), (0, 0)))
    return float((first - second).mean()), *newcombe(*(int(cell.sum()) for cell in cells))


def mean_over_seeds(values: Sequence[float]) -> Interval:
    """Mean of one value a seed; the interval is NaN for a single value or equal ones."""
    count = len(values)
    mean = math.fsum(values) / count
    if max(values) - min(values) < ROUNDING:
        return mean, math.nan, math.nan
    from scipy.special import stdtrit

    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    half = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * math.sqrt(variance / count)
    return mean, mean - half, mean + half


def one_more_seed(values: Sequence[float]) -> Interval:
    """The mean, and where one more seed's value lies: Student's prediction interval.

    The interval of a mean shrinks with every seed; another run strays as far from it as ever.
    """
    mean, low, high = mean_over_seeds(values)
    wider = math.sqrt(len(values) + 1)
    return mean, mean - (mean - low) * wider, mean + (high - mean) * wider


def _over_rows(values: np.ndarray, least: float) -> Interval:
    """`values` lie on a scale from `least` to 1."""
    mean = float(values.mean())
    if np.ptp(values) > ROUNDING:
        return mean, *_bootstrap(values)
    if not least <= mean <= 1:
        return mean, math.nan, math.nan
    unseen = wilson(0, len(values))[1]
    return mean, mean - unseen * (mean - least), mean + unseen * (1 - mean)


def _bootstrap(values: np.ndarray) -> tuple[float, float]:
    generator = np.random.default_rng(0)
    at_once = max(1, DRAWN_AT_ONCE // len(values))
    sizes = [min(at_once, RESAMPLES - start) for start in range(0, RESAMPLES, at_once)]
    draws = (generator.integers(0, len(values), (size, len(values))) for size in sizes)
    means = np.concatenate([values[draw].mean(axis=1) for draw in draws])
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)

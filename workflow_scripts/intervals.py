"""Every interval of the project: 95 %, and what it is over is said where it is shown.

None has the width zero: that no row differs among the few that were looked at doesn't mean that
no row ever will.

- A mean of values from 0 to 1, over rows or over rows and seeds, has Wilson's interval (1927, JASA
  22, 209-212), which knows that 0 of 17 rows is not 0 of all rows and stays between 0 and 1. How
  many rows it counts with follows from the variance of the mean: that over rows plus that over
  seeds, and Student's t with the degrees of freedom by Satterthwaite (1946, Biometrics Bulletin 2,
  110-114). Of shares it never counts more than there are rows: seeds answer the same ones. Where
  rows were drawn as whole databases, these are what varies, and rows of one stay together.
  (Resampling rows and seeds instead covers a share of 0.5% in 85 cases of 100, one of two seeds
  in 91.)
- The difference of two shares of the same rows has Newcombe's (1998, Statistics in Medicine 17,
  2635-2650, method 10), which is made from Wilson's. Any other difference has the percentile
  bootstrap over rows (Efron and Tibshirani 1993, chapter 13); where all rows have one value, rows
  with another may be as frequent as Wilson's interval says of what was never seen, and may have any
  value of the scale.
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
    return _wilson(hits / rows, rows, _student(math.inf))


def _wilson(share: float, rows: float, z: float) -> tuple[float, float]:
    scale = 1 + z**2 / rows
    middle = share + z**2 / (2 * rows)
    half = z * math.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2))
    low, high = (middle - half) / scale, (middle + half) / scale
    return (low if share > 0 else 0.0), (high if share < 1 else 1.0)


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


def mean_over_rows(values: ArrayLike, clusters: Sequence[str] | None = None) -> Interval:
    """Mean of one value per row, or per row and seed: a table with a column per seed.

    NaN in a table: that seed was not asked that row. `clusters`: which rows belong together. The
    interval is NaN where all values are one and that is not on a scale from 0 to 1.
    """
    table = np.asarray(values, dtype=float)
    table = table.reshape(len(table), -1)
    by_row, by_seed = np.nanmean(table, axis=1), np.nanmean(table, axis=0)
    rows, mean = len(by_row), float(by_seed.mean())
    of_rows, row_degrees = by_row.var() / rows, math.inf
    groups = np.unique(clusters if clusters is not None else [], return_inverse=True)[1]
    if (count := len(set(groups))) > 1:
        sums = np.bincount(groups, by_row - by_row.mean())
        of_rows = max(of_rows, count / (count - 1) * float((sums**2).sum()) / rows**2)
        row_degrees = count - 1
    of_seeds = by_seed.var(ddof=1) / len(by_seed) if len(by_seed) > 1 else 0.0
    if np.isnan(table).any():  # each seed has rows of its own, so seeds differ by their rows too
        of_rows, of_seeds = (of_rows, 0.0) if of_rows > of_seeds else (0.0, of_seeds)
    variance = of_rows + of_seeds
    spread = of_rows**2 / row_degrees + of_seeds**2 / max(len(by_seed) - 1, 1)
    t = _student(variance**2 / spread if spread > ROUNDING**2 else row_degrees)
    if not 0 <= np.nanmin(table) <= np.nanmax(table) <= 1:
        half = t * math.sqrt(variance) if variance > ROUNDING**2 else math.nan
        return mean, mean - half, mean + half
    known = mean * (1 - mean) / variance if variance > ROUNDING**2 else rows
    if np.isin(table[~np.isnan(table)], (0, 1)).all():
        known = min(known, rows)
    return mean, *_wilson(mean, known, t)


def _student(degrees: float, comparisons: int = 1) -> float:
    quantile = 1 - (1 - LEVEL) / 2 / comparisons
    if degrees == math.inf:
        return NormalDist().inv_cdf(quantile)
    from scipy.special import stdtrit

    return float(stdtrit(degrees, quantile))


def difference_over_rows(first: ArrayLike, second: ArrayLike) -> Interval:
    """Mean(first) - mean(second), scores from 0 to 1 that were measured on the same rows.

    Raises ValueError when they are not of the same length.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.shape != second.shape:
        raise ValueError(f"{len(first)} rows against {len(second)}: not the same rows")
    if not np.isin((first, second), (0, 1)).all():
        return _over_rows(first - second)
    cells = ((first == a) & (second == b) for a, b in ((1, 1), (1, 0), (0, 1), (0, 0)))
    return float((first - second).mean()), *newcombe(*(int(cell.sum()) for cell in cells))


def mean_over_seeds(values: Sequence[float], comparisons: int = 1) -> Interval:
    """Mean of one value a seed; the interval is NaN for a single value or equal ones.

    Of several `comparisons` all intervals are right together in 95 cases of 100 (Bonferroni).
    """
    count = len(values)
    mean = math.fsum(values) / count
    if max(values) - min(values) < ROUNDING:
        return mean, math.nan, math.nan
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    half = _student(count - 1, comparisons) * math.sqrt(variance / count)
    return mean, mean - half, mean + half


def one_more_seed(values: Sequence[float]) -> Interval:
    """The mean, and where one more seed's value lies: Student's prediction interval.

    The interval of a mean shrinks with every seed; another run strays as far from it as ever.
    """
    mean, low, high = mean_over_seeds(values)
    wider = math.sqrt(len(values) + 1)
    return mean, mean - (mean - low) * wider, mean + (high - mean) * wider


def _over_rows(differences: np.ndarray) -> Interval:
    mean = float(differences.mean())
    if np.ptp(differences) > ROUNDING:
        return mean, *_bootstrap(differences)
    unseen = wilson(0, len(differences))[1]
    return mean, mean - unseen * (mean + 1), mean + unseen * (1 - mean)


def _bootstrap(values: np.ndarray) -> tuple[float, float]:
    generator = np.random.default_rng(0)
    at_once = max(1, DRAWN_AT_ONCE // len(values))
    sizes = [min(at_once, RESAMPLES - start) for start in range(0, RESAMPLES, at_once)]
    draws = (generator.integers(0, len(values), (size, len(values))) for size in sizes)
    means = np.concatenate([values[draw].mean(axis=1) for draw in draws])
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)

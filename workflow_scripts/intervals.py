"""Every interval of the project: 95 %, and what it is over is said where it is shown.

None has the width zero: that no row differs among the few that were looked at doesn't mean that
no row ever will.

- A mean of values from 0 to 1, over rows or over rows and seeds, has Wilson's interval (1927, JASA
  22, 209-212), which knows that 0 of 17 rows is not 0 of all rows and stays between 0 and 1. How
  many rows it counts with follows from the variance of the mean: that over rows plus that over
  seeds, and Student's t with the degrees of freedom by Satterthwaite (1946, Biometrics Bulletin 2,
  110-114). Of shares it never counts more than there are rows: seeds answer the same ones. Where
  rows were drawn as whole databases, these are what varies, and rows of one stay together; but
  where no value differs, nothing says how much, and rows count as independent. (Resampling rows and
  seeds instead covers a share of 0.5% in 85 cases of 100, one of two seeds in 91.)
- The difference of two such means on the same rows has an interval made from theirs: of two shares
  Newcombe's (1998, Statistics in Medicine 17, 2635-2650, method 10), and in general that of Zou and
  Donner (2008, Statistics in Medicine 27, 1693-1702), which is the same construction for any two
  means that are correlated.
- A mean over seeds has Student's t interval, and none where all seeds agree. A single run of
  somebody else's is compared with Student's interval for one more value.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

LEVEL = 0.95
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


def mean_over_rows(values: ArrayLike, clusters: Sequence[str] | None = None) -> Interval:
    """Mean of one value per row, or per row and seed: a table with a column per seed.

    NaN in a table: that seed was not asked that row. `clusters`: which rows belong together. The
    interval is NaN where all values are one and that is not on a scale from 0 to 1.
    """
    return _interval(_as_table(values), clusters)


def difference_over_rows(
    first: ArrayLike, second: ArrayLike, clusters: Sequence[str] | None = None, comparisons: int = 1
) -> Interval:
    """Mean(first) - mean(second), of scores from 0 to 1 on the same rows (and of the same seeds).

    Of several `comparisons` all intervals are right together in 95 cases of 100 (Bonferroni).
    Raises ValueError when the two are not of the same shape.
    """
    one, other = _as_table(first), _as_table(second)
    if one.shape != other.shape:
        raise ValueError(f"{one.shape} values against {other.shape}: not the same rows")
    (p1, low1, high1), (p2, low2, high2) = (
        _interval(each, clusters, comparisons) for each in (one, other)
    )
    together = _correlation(one, other, clusters)

    def reach(up: float, down: float) -> float:
        return math.sqrt(max(up**2 - 2 * together * up * down + down**2, 0.0))

    return p1 - p2, p1 - p2 - reach(p1 - low1, high2 - p2), p1 - p2 + reach(high1 - p1, p2 - low2)


def _as_table(values: ArrayLike) -> np.ndarray:
    table = np.asarray(values, dtype=float)
    return table.reshape(len(table), -1)


class Spread(NamedTuple):
    """What a mean varies by: variance over rows (or whole clusters of them) and over seeds."""

    of_rows: float
    of_seeds: float
    clusters: int  # 0: rows vary by themselves


def _spread(
    table: np.ndarray, clusters: Sequence[str] | None, other: np.ndarray | None = None
) -> Spread:
    """The variances of a table's mean; with another table, the covariances of both means."""
    both = (table, table if other is None else other)
    by_row = [np.nanmean(each, axis=1) for each in both]
    by_row = [each - each.mean() for each in by_row]
    by_seed = [np.nanmean(each, axis=0) for each in both]
    rows, seeds = table.shape
    of_rows = float(by_row[0] @ by_row[1]) / rows**2
    groups = np.unique(clusters if clusters is not None else [], return_inverse=True)[1]
    count = len(set(groups)) if len(set(groups)) > 1 else 0
    if count:
        sums = [np.bincount(groups, each) for each in by_row]
        of_groups = count / (count - 1) * float(sums[0] @ sums[1]) / rows**2
        of_rows = max(of_rows, of_groups) if other is None else of_groups
    of_seeds = float(np.cov(*by_seed)[0, 1]) / seeds if seeds > 1 else 0.0
    if np.isnan(table).any():  # each seed has rows of its own, so seeds differ by their rows too
        of_rows, of_seeds = (of_rows, 0.0) if of_rows > of_seeds else (0.0, of_seeds)
    return Spread(of_rows, of_seeds, count)


def _interval(table: np.ndarray, clusters: Sequence[str] | None, comparisons: int = 1) -> Interval:
    of_rows, of_seeds, count = _spread(table, clusters)
    variance, mean = of_rows + of_seeds, float(np.nanmean(table, axis=0).mean())
    rows, seeds = table.shape
    degrees = count - 1 if count else math.inf
    parts = of_rows**2 / degrees + of_seeds**2 / max(seeds - 1, 1)
    t = _student(variance**2 / parts if parts > ROUNDING**2 else degrees, comparisons)
    varies = variance > ROUNDING**2
    if not 0 <= np.nanmin(table) <= np.nanmax(table) <= 1:
        half = t * math.sqrt(variance) if varies else math.nan
        return mean, mean - half, mean + half
    known = mean * (1 - mean) / variance if varies else rows
    if np.isin(table[~np.isnan(table)], (0, 1)).all():
        known = min(known, rows)
    return mean, *_wilson(mean, known, t)


def _correlation(one: np.ndarray, other: np.ndarray, clusters: Sequence[str] | None) -> float:
    """Of two means; Newcombe's correction takes half a row (or cluster) from what they share."""
    variances = [sum(_spread(each, clusters)[:2]) for each in (one, other)]
    if min(variances) <= ROUNDING**2:
        return 0.0
    of_rows, of_seeds, count = _spread(one, clusters, other)
    if of_rows > 0:
        of_rows = max(of_rows - 1 / (2 * (count or len(one)) ** 2), 0.0)
    together = (of_rows + of_seeds) / math.sqrt(math.prod(variances))
    return min(max(together, -1.0), 1.0)


def _student(degrees: float, comparisons: int = 1) -> float:
    return float(stdtrit(degrees, 1 - (1 - LEVEL) / 2 / comparisons))


def mean_over_seeds(values: Sequence[float], comparisons: int = 1) -> Interval:
    """Mean of one value per seed; the interval is NaN for one value or equal ones."""
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

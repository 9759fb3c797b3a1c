"""The interval of a share: Wilson (1927), JASA 22, 209-212."""

import math
from statistics import NormalDist


def wilson(hits: int, rows: int, level: float = 0.95) -> tuple[float, float]:
    """(low, high) of a share, `hits` of `rows`."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    share, scale = hits / rows, 1 + z**2 / rows
    middle = share + z**2 / (2 * rows)
    half = z * math.sqrt(share * (1 - share) / rows + z**2 / (4 * rows**2))
    low, high = (middle - half) / scale, (middle + half) / scale
    return (low if hits else 0.0), (high if hits < rows else 1.0)

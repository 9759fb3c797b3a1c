"""Numbers of the tables: intervals over seeds, and how numbers are written."""

import math

import pandas as pd

# Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom; 1.96 beyond.
# fmt: off
T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)
# fmt: on


def mean_and_interval(values: list[float]) -> tuple[float, float, float]:
    """Mean and 95 % t-interval; the interval is NaN for a single value."""
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return mean, math.nan, math.nan
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    quantile = T_QUANTILES[count - 2] if count - 2 < len(T_QUANTILES) else 1.96
    half = quantile * math.sqrt(variance / count)
    return mean, mean - half, mean + half


def to_csv(frame: pd.DataFrame) -> str:
    """Twelve digits: the value that was measured, and the same bytes on every machine."""
    return frame.to_csv(index=False, float_format="%.12g", lineterminator="\n")


def rate(value: float) -> str:
    """A learning rate as people write it: 1e-4."""
    mantissa, exponent = f"{value:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"

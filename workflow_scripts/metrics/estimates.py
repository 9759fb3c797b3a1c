"""From the metrics of single rows to those of many: a row counts where it has the metric."""

import math
from collections.abc import Iterable, Mapping

from workflow_scripts.intervals import mean_over_rows
from workflow_scripts.runs import Estimate


def columns(rows: Iterable[Mapping[str, float]]) -> dict[str, list[float]]:
    """metric -> the values of the rows that have it, in order."""
    gathered: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            gathered.setdefault(name, []).append(value)
    return gathered


def averages(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(values) / len(values) for name, values in columns(rows).items()}


def estimate(values: list[float]) -> Estimate:
    """The mean of one value a row, with its interval over rows where it has one."""
    value, *limits = mean_over_rows(values)
    low, high = (None if math.isnan(limit) else limit for limit in limits)
    return Estimate(value=value, low=low, high=high, n=len(values))

"""From metrics of single rows to metrics of all: a row counts where it has the metric."""

from collections.abc import Iterable, Mapping


def columns(rows: Iterable[Mapping[str, float]]) -> dict[str, list[float]]:
    """metric -> the values of the rows that have it, in order."""
    gathered: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            gathered.setdefault(name, []).append(value)
    return gathered


def averages(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    return {name: sum(values) / len(values) for name, values in columns(rows).items()}

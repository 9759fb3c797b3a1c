"""The project's metrics for Hugging Face `evaluate`, from this file and without a hub.

    metric = evaluate.load("workflow_scripts/metrics/essence.py", "rouge_l")
    metric.compute(predictions=["a b"], references=["a b c"])

`metric.inputs_description` says what one takes. `workflow_scripts` has to be importable: start
Python in the project's folder, or name that folder in PYTHONPATH.
"""

import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path

import datasets
import evaluate
import pandas as pd

from workflow_scripts.metrics.agents import decomposer_metrics, refiner_metrics, selector_metrics
from workflow_scripts.metrics.execution import REPEAT, Case, judge, sql_match
from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.text.similarity import exact_match, rouge_l


def execution(predictions, references, databases, seconds=30.0, repeat=REPEAT) -> dict[str, float]:
    """SQL by what it returns when it runs, reading only, on SQLite files (paths of them).

    executable_rate; execution_accuracy, also apart for references that return nothing;
    execution_match; soft_f1; ves and r_ves, unless `repeat` (timed runs) is 0; and the metrics of
    sql_match. Definitions: `workflow_scripts.metrics.execution`.
    """
    cases = map(Case, references, predictions, map(Path, databases))
    judged = judge(cases, Sandbox(Limits(seconds=seconds)), repeat)
    return averages({**line, "gold_rows": None} for line in judged)


@functools.wraps(refiner_metrics, ("__doc__",))
def refiner(predictions, references, old_sql, databases, seconds=30.0) -> dict[str, float]:
    also = ({"old_accuracy": old} for old in old_sql)
    cases = map(Case, references, predictions, map(Path, databases), also)
    judged = judge(cases, Sandbox(Limits(seconds=seconds)), repeat=0)
    return averages(
        {"executable_rate": new.get("executable_rate")}
        | refiner_metrics(
            new["prediction"], old, new.get("execution_accuracy"), new["old_accuracy"]
        )
        for new, old in zip(judged, old_sql, strict=True)
    )


def averages(rows: Iterable[dict]) -> dict[str, float]:
    """The mean of each metric over the rows that have it."""
    return pd.DataFrame(rows).select_dtypes("float").mean().dropna().to_dict()


def by_row(metric: Callable) -> Callable[..., dict[str, float]]:
    """The means of a metric of single rows; its inputs keep their order."""

    @functools.wraps(metric)
    def means(**inputs):
        values = map(metric, *inputs.values())
        return averages(v if isinstance(v, dict) else {metric.__name__: v} for v in values)

    return means


PAIR = ("predictions", "references")
METRICS: dict[str, tuple[Callable, tuple[str, ...]]] = {  # name -> what computes it, its inputs
    "exact_match": (by_row(exact_match), PAIR),
    "rouge_l": (by_row(rouge_l), PAIR),
    "sql_match": (by_row(sql_match), PAIR),
    "execution": (execution, (*PAIR, "databases")),
    "selector": (by_row(selector_metrics), (*PAIR, "schemas", "gold_sql")),
    "decomposer": (by_row(decomposer_metrics), (*PAIR, "schemas")),
    "refiner": (refiner, (*PAIR, "old_sql", "databases")),
}


class Essence(evaluate.Metric):
    def _info(self) -> evaluate.MetricInfo:
        if self.config_name not in METRICS:
            raise ValueError(f"no metric {self.config_name!r}; there are {', '.join(METRICS)}")
        compute, inputs = METRICS[self.config_name]
        return evaluate.MetricInfo(
            description=inspect.getdoc(compute),
            citation="",
            inputs_description=f"{', '.join(inputs)}: lists of texts, one a row.",
            features=datasets.Features(dict.fromkeys(inputs, datasets.Value("string"))),
        )

    def _compute(self, **inputs) -> dict[str, float]:
        return METRICS[self.config_name][0](**inputs)

"""Refiner answers one by one: is the query repaired, left broken, spoilt or untouched?

The task is MAC-SQL's (Wang et al. 2023, https://arxiv.org/abs/2312.11242, section 3.4), which has
no metric of its own for it. Right and wrong are execution accuracy's.
"""

from workflow_scripts.metrics.execution_verdicts import Verdict
from workflow_scripts.metrics.sql_match import same_query


def refiner_metrics(new: Verdict, old: Verdict) -> dict[str, float]:
    """Metrics of one repair, from the verdicts on the new and on the old SQL (same gold).

    `fix_rate`: right now, among those that were wrong; `regression_rate`: wrong now, among those
    that were right; `executable_rate`: it runs; `unchanged_rate`: the same SQL as before, in
    whatever spelling. `unchanged_rate` alone where gold can't be run.
    """
    row = {"unchanged_rate": float(same_query(new.prediction or "", old.prediction or ""))}
    if new.execution_accuracy is None or old.execution_accuracy is None:
        return row
    row["executable_rate"] = float(new.executable_rate)
    if old.execution_accuracy:
        row["regression_rate"] = 1.0 - new.execution_accuracy
    else:
        row["fix_rate"] = new.execution_accuracy
    return row

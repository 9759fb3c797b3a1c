"""Refiner answers one by one: is the query repaired, left broken, spoilt or untouched?

The task is MAC-SQL's (Wang et al. 2023, https://arxiv.org/abs/2312.11242, section 3.4), which has
no metric of its own for it. Right and wrong are execution accuracy's.
"""

from workflow_scripts.metrics.execution import same_query


def refiner_metrics(
    predicted_sql: str | None,
    old_sql: str | None,
    execution_accuracy: float | None,
    old_accuracy: float | None,
) -> dict[str, float]:
    """Metrics of one repair, from the new SQL and the old SQL and their accuracies (same gold).

    `fix_rate`: right now, among those that were wrong; `regression_rate`: wrong now, among those
    that were right; `unchanged_rate`: the same SQL as before, in whatever spelling, and alone where
    gold can't be run.
    """
    row = {"unchanged_rate": float(same_query(predicted_sql or "", old_sql or ""))}
    if execution_accuracy is None or old_accuracy is None:
        return row
    if old_accuracy:
        return row | {"regression_rate": 1.0 - execution_accuracy}
    return row | {"fix_rate": execution_accuracy}

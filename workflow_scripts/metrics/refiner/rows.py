"""Refiner answers one by one: is the query repaired, left broken, spoilt or untouched?

The task is MAC-SQL's (Wang et al. 2023, section 3.4). Right and wrong are execution accuracy's.
"""

from workflow_scripts.metrics.execution_verdicts import Verdict
from workflow_scripts.sql.parse import normalise


def refiner_row(new: Verdict, old: Verdict) -> dict[str, float]:
    """Metrics of one repair, from the verdicts on the new and on the old SQL (same gold).

    `fix_rate`: right now, among those that were wrong; `regression_rate`: wrong now, among those
    that were right; `executable_rate`: it runs; `unchanged_rate`: the same SQL as before, in
    whatever spelling. Empty when gold can't be run.
    """
    row = {"unchanged_rate": float(unchanged(new.prediction, old.prediction))}
    if new.execution_accuracy is None or old.execution_accuracy is None:
        return row
    row["executable_rate"] = float(new.executable_rate)
    if old.execution_accuracy:
        row["regression_rate"] = 1.0 - new.execution_accuracy
    else:
        row["fix_rate"] = new.execution_accuracy
    return row


def unchanged(new: str | None, old: str | None) -> bool:
    new, old = (new or "").strip(), (old or "").strip()
    return new == old or (normalise(new) is not None and normalise(new) == normalise(old))

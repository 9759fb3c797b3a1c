"""Gold SQL that can't be run: its predictions are neither right nor wrong, and that is said."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

SHOWN = 5  # reasons


def failing_golds(verdicts: Iterable[Any]) -> dict[str, Any]:
    """Count what has `verdict` and `error`.

    {"count", "share" of the gold SQL that was to be run, "reasons": reason -> count}.
    """
    tried = [verdict for verdict in verdicts if verdict.verdict != "not linked"]
    reasons = Counter(each.error for each in tried if each.verdict == "gold fails")
    count = reasons.total()
    return {
        "count": count,
        "share": count / len(tried) if tried else 0.0,
        "reasons": dict(reasons.most_common()),
    }


def warning(failing: dict[str, Any], rows: int) -> str:
    """One line about `failing_golds` of `rows` verdicts; empty when every gold runs."""
    if not failing["count"]:
        return ""
    reasons = [f"{count} x {reason}" for reason, count in failing["reasons"].items()]
    more = [f"{len(reasons) - SHOWN} more reasons"] if len(reasons) > SHOWN else []
    return (
        f"WARNING: {failing['count']:,} of {rows:,} gold queries can't be run, "
        f"and their predictions are not counted: {'; '.join(reasons[:SHOWN] + more)}"
    )

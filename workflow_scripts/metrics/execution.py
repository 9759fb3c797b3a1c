"""Judge SQL: run it and its gold SQL, compare what they return, and compare the texts."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from workflow_scripts.metrics import compare
from workflow_scripts.metrics.hardness import hardness
from workflow_scripts.sql.databases import instances
from workflow_scripts.sql.parse import as_spider_compares, canonical, orders_rows, parse
from workflow_scripts.sql.sandbox import Job, Result, Sandbox
from workflow_scripts.text.similarity import exact_match

# A prediction may take so many steps of SQLite, or so many times as many as its gold, if that is
# more. docs/scoring.md says what right predictions take.
LEAST_STEPS = 300_000_000
TIMES_GOLD = 100
REPEAT = 10  # timed runs of a right answer and its gold, by turns; BIRD takes 100
RACE_SECONDS = 5.0  # fewer runs of slow ones
SHOWN = 5  # reasons for which gold SQL fails


class Case(NamedTuple):
    """SQL to be judged. `prediction` None: the answer holds none. `database` None: unknown which,
    so nothing is executed."""

    gold: str
    prediction: str | None
    database: Path | None


def judge(cases: Iterable[Case], sandbox: Sandbox, repeat: int = REPEAT) -> list[dict[str, Any]]:
    """Judge each case: {gold, prediction, verdict, error, hardness, gold_rows, and metrics}.

    `verdict` is one of: right, wrong, no sql, refused, step limit, timeout, error, gold fails,
    not linked. A metric that does not apply is left out: all of execution where gold fails, since
    nothing can be said of the prediction then; VES and R-VES where `repeat` is 0.
    `execution_accuracy` counts every row whose gold runs, as BIRD does. Where gold returns nothing
    a wrong query can pass for right, so those rows are also counted apart:
    `execution_accuracy_empty_gold` and `..._nonempty_gold`.
    """
    cases = list(cases)
    linked = [case for case in cases if case.database]
    pairs = run_pairs(linked, sandbox)
    times = (_times(case, *pair, sandbox, repeat) for case, pair in zip(linked, pairs, strict=True))
    lines = map(_executed, linked, pairs, _matches(linked, pairs, sandbox), times)
    not_linked = {"verdict": "not linked", "error": None, "gold_rows": None}
    return [
        {"gold": case.gold, "prediction": case.prediction, "hardness": hardness(case.gold)}
        | sql_match(case.prediction or "", case.gold)
        | (next(lines) if case.database else not_linked)
        for case in cases
    ]


def sql_match(prediction: str, gold: str) -> dict[str, float]:
    """Compare SQL by how it is written; each metric is 0 or 1 and nothing is executed.

    `exact_match`: the same text, final semicolons aside, which gold SQL of Spider and BIRD has or
    lacks; `exact_match_normalised`: the same once sqlglot has written both
    alike (`sql.parse.canonical` says what counts as equal); `parse_rate`: sqlglot can parse it.
    """
    return {
        "exact_match": exact_match(prediction.rstrip("; \t\n"), gold.rstrip("; \t\n")),
        "exact_match_normalised": float(same_query(prediction, gold)),
        "parse_rate": float(parse(prediction.strip()) is not None),
    }


def same_query(one: str, other: str) -> bool:
    """Equal as text, outer white space aside, or in canonical form."""
    one, other = one.strip(), other.strip()
    return one == other or (canonical(one) is not None and canonical(one) == canonical(other))


def accuracies(cases: Iterable[Case], sandbox: Sandbox) -> list[float | None]:
    """Execution accuracy alone, one per case; None where gold fails or the database is unknown."""
    cases = list(cases)
    pairs = iter(run_pairs([case for case in cases if case.database], sandbox))
    found = (next(pairs) if case.database else None for case in cases)
    return [float(_right(*pair)) if pair and pair[0].ok else None for pair in found]


def run_pairs(cases: list[Case], sandbox: Sandbox) -> list[tuple[Result, Result]]:
    """Execute gold SQL, then predictions; one that is its gold to the letter is not run again."""
    gold_results = sandbox.map(Job(case.database, case.gold) for case in cases)
    jobs = (
        Job(case.database, case.gold)
        if case.prediction == case.gold
        else Job(case.database, case.prediction or "", max(LEAST_STEPS, TIMES_GOLD * gold.steps))
        for case, gold in zip(cases, gold_results, strict=True)
    )
    return list(zip(gold_results, sandbox.map(jobs), strict=True))


def _right(gold: Result, predicted: Result) -> bool:
    both = predicted.ok and gold.ok
    return both and compare.execution_accuracy(predicted.rows, gold.rows)


def _matches(cases: list[Case], pairs: list[tuple[Result, Result]], sandbox: Sandbox) -> list[bool]:
    """Execution match over every instance of each database (see `compare.execution_match`)."""
    further: list[list[Case]] = []  # of each case: what is compared on each instance
    for case, (gold, _) in zip(cases, pairs, strict=True):
        texts = [as_spider_compares(sql or "") for sql in case[:2]]
        files = instances(case.database) if gold.ok and case.prediction else []
        further.append([Case(*texts, file) for file in files])
    results = iter(run_pairs(list(chain.from_iterable(further)), sandbox))
    matches = []
    for case, own in zip(cases, further, strict=True):
        ordered = orders_rows(case.gold)
        known = [pair for pair in islice(results, len(own)) if pair[0].ok]  # else it says nothing
        matches.append(
            bool(known)
            and all(
                predicted.ok and compare.execution_match(predicted.rows, gold.rows, ordered)
                for gold, predicted in known
            )
        )
    return matches


def _times(
    case: Case, gold: Result, predicted: Result, sandbox: Sandbox, repeat: int
) -> dict[str, float]:
    """VES and R-VES, 0 for a wrong prediction; nothing when no time is asked for.

    The same text needs no race: it is as fast as gold.
    """
    if not repeat:
        return {}
    if not _right(gold, predicted):
        return {"ves": 0.0, "r_ves": 0.0}
    ratio = 1.0
    if case.prediction.strip() != case.gold.strip():
        race = [Job(case.database, case.prediction), Job(case.database, case.gold)]
        most = max(1, int(RACE_SECONDS / max(predicted.seconds + gold.seconds, 1e-9)))
        times = [result.seconds for result in sandbox.run(race * min(repeat, most))]
        ratio = compare.time_ratio(list(zip(times[::2], times[1::2], strict=True)))
    return {"ves": compare.ves(ratio), "r_ves": compare.r_ves(ratio)}


def _executed(
    case: Case, results: tuple[Result, Result], match: bool, times: dict[str, float]
) -> dict[str, Any]:
    """What executing says of a case."""
    gold, predicted = results
    if not gold.ok:
        return {"verdict": "gold fails", "error": gold.error, "gold_rows": None}
    right = _right(gold, predicted)
    verdict, error = predicted.status, predicted.error
    if not case.prediction:
        verdict, error = "no sql", "the answer holds no SQL"
    elif predicted.ok:
        verdict = "right" if right else "wrong"
    line = {
        "verdict": verdict,
        "error": error,
        "gold_rows": len(gold.rows),
        "executable_rate": float(predicted.ok),
        "execution_accuracy": float(right),
        "execution_match": float(match),
        "soft_f1": compare.soft_f1(predicted.rows, gold.rows) if predicted.ok else 0.0,
    }
    apart = "nonempty" if gold.rows else "empty"
    return line | times | {f"execution_accuracy_{apart}_gold": float(right)}


def failing_gold(judged: pd.DataFrame) -> dict[str, Any]:
    """Count gold SQL that can't be run: its predictions are neither right nor wrong.

    {"count", "share" of the gold SQL that was to be run, "reasons": reason -> count}.
    """
    tried = judged[judged.verdict != "not linked"]
    reasons = Counter(tried.error[tried.verdict == "gold fails"])
    share = reasons.total() / len(tried) if len(tried) else 0.0
    return {"count": reasons.total(), "share": share, "reasons": dict(reasons.most_common())}


def warning(failing: dict[str, Any], rows: int) -> str:
    """One line about `failing_gold` of `rows` verdicts; empty when every gold query runs."""
    if not failing["count"]:
        return ""
    reasons = [f"{count} x {reason}" for reason, count in failing["reasons"].items()]
    more = [f"{len(reasons) - SHOWN} more reasons"] if len(reasons) > SHOWN else []
    return (
        f"WARNING: {failing['count']:,} of {rows:,} gold queries can't be run, "
        f"and their predictions are not counted: {'; '.join(reasons[:SHOWN] + more)}"
    )

"""Judge SQL: run it and its gold SQL, compare what they return, and compare the texts.

What compares results takes rows as lists of tuples, the prediction's first, and keeps the oddities
of the reference implementation that its docstring names.
"""

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

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
MOST_TRIALS = 5_000  # orders of columns tried before two results count as different
Rows = list[tuple]
SHOWN = 5  # reasons for which gold SQL fails


class Case(NamedTuple):
    """SQL to be judged; `prediction` None: there is none; `database` None: it is not executed.

    `also`: metric -> other SQL for the same question, whose execution accuracy the metric is.
    """

    gold: str
    prediction: str | None
    database: Path | None
    also: Mapping[str, str | None] = MappingProxyType({})


def judge(cases: Iterable[Case], sandbox: Sandbox, repeat: int = REPEAT) -> list[dict[str, Any]]:
    """Judge each case: {gold, prediction, verdict, error, hardness, gold_rows, and metrics}.

    `verdict` is one of: right, wrong, no sql, refused, step limit, timeout, error, gold fails,
    not linked. A metric that does not apply is left out or None: all of execution where gold fails,
    VES and R-VES where `repeat` is 0. Where gold returns nothing a wrong query can pass for right,
    so those rows are also counted apart (`execution_accuracy_empty_gold`, `..._nonempty_gold`).
    """
    cases = list(cases)
    runs = [_what_runs(case) for case in cases]
    pairs = iter(run_pairs(list(chain.from_iterable(runs)), sandbox))
    not_linked = {"verdict": "not linked", "error": None, "gold_rows": None}
    lines = []
    for case, own in zip(cases, runs, strict=True):
        results = list(islice(pairs, len(own)))
        line = {"gold": case.gold, "prediction": case.prediction, "hardness": hardness(case.gold)}
        line |= sql_match(case.prediction or "", case.gold)
        line |= _executed(case, results, sandbox, repeat) if results else not_linked
        lines.append(dict.fromkeys(case.also) | line)
    return lines


def _what_runs(case: Case) -> list[Case]:
    """The prediction, then SQL beside it, then what execution match compares on each instance."""
    if not case.database:
        return []
    further = [case._replace(prediction=sql) for sql in case.also.values()]
    texts = [as_spider_compares(sql or "") for sql in (case.gold, case.prediction)]
    return [case, *further, *(Case(*texts, file) for file in instances(case.database))]


def sql_match(prediction: str, gold: str) -> dict[str, float]:
    """Compare SQL by how it is written; each metric is 0 or 1 and nothing is executed.

    `exact_match`: the same text, final semicolons aside; `exact_match_normalised`: the same in
    `sql.parse.canonical` form; `parse_rate`: sqlglot can parse it.
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


def run_pairs(cases: list[Case], sandbox: Sandbox) -> list[tuple[Result, Result]]:
    """Execute gold SQL, then predictions; one that is its gold to the letter is not run again."""
    gold_results = sandbox.map(Job(case.database, case.gold) for case in cases)
    jobs = {
        at: Job(case.database, case.prediction or "", max(LEAST_STEPS, TIMES_GOLD * gold.steps))
        for at, (case, gold) in enumerate(zip(cases, gold_results, strict=True))
        if case.prediction != case.gold
    }
    predicted = dict(zip(jobs, sandbox.map(jobs.values()), strict=True))
    return [(gold, predicted.get(at, gold)) for at, gold in enumerate(gold_results)]


def _executed(
    case: Case, results: list[tuple[Result, Result]], sandbox: Sandbox, repeat: int
) -> dict[str, Any]:
    """What executing says of a case; `results` are those of `_what_runs`."""
    (gold, predicted), *further = results
    if not gold.ok:
        return {"verdict": "gold fails", "error": gold.error, "gold_rows": None}
    accuracy, *of_others = (
        float(each.ok and execution_accuracy(each.rows, gold.rows))
        for _, each in results[: 1 + len(case.also)]
    )
    verdict, error = predicted.status, predicted.error
    if not case.prediction:
        verdict, error = "no sql", "the answer holds no SQL"
    elif predicted.ok:
        verdict = "right" if accuracy else "wrong"
    ordered = orders_rows(case.gold)
    matches = [
        theirs.ok and execution_match(theirs.rows, ours.rows, ordered)
        for ours, theirs in further[len(case.also) :]
        if ours.ok  # an instance on which gold fails says nothing
    ]
    line = {
        "verdict": verdict,
        "error": error,
        "gold_rows": len(gold.rows),
        "executable_rate": float(predicted.ok),
        "execution_accuracy": accuracy,
        "execution_match": float(bool(matches) and all(matches)),
        "soft_f1": soft_f1(predicted.rows, gold.rows) if predicted.ok else 0.0,
    }
    if repeat and verdict == "right":
        ratio = _time_ratio(case, gold, predicted, sandbox, repeat)
        line |= {"ves": ves(ratio), "r_ves": r_ves(ratio)}
    elif repeat:
        line |= {"ves": 0.0, "r_ves": 0.0}
    line[f"execution_accuracy_{'nonempty' if gold.rows else 'empty'}_gold"] = accuracy
    return line | dict(zip(case.also, of_others, strict=True))


def _time_ratio(
    case: Case, gold: Result, predicted: Result, sandbox: Sandbox, repeat: int
) -> float:
    """Time of gold over that of a right prediction; the same text needs no race."""
    if case.prediction.strip() == case.gold.strip():
        return 1.0
    race = [Job(case.database, case.prediction), Job(case.database, case.gold)]
    most = max(1, int(RACE_SECONDS / max(predicted.seconds + gold.seconds, 1e-9)))
    times = [result.seconds for result in sandbox.run(race * min(repeat, most))]
    return time_ratio(list(zip(times[::2], times[1::2], strict=True)))


def execution_accuracy(predicted: Rows, gold: Rows) -> bool:
    """EX: the same set of rows; order and repetition don't matter, the order of columns does.

    Definition: Li et al. 2023, "Can LLM Already Serve as a Database Interface? A BIg Bench for
    Large-Scale Database Grounded Text-to-SQLs" (BIRD), `evaluation.py`.
    """
    return set(predicted) == set(gold)


def execution_match(predicted: Rows, gold: Rows, ordered: bool) -> bool:
    """The same bag of rows for some order of the columns; the same list when `ordered`.

    Definition: Zhong, Yu and Klein 2020, "Semantic Evaluation for Text-to-SQL with Distilled Test
    Suites", `exec_eval.py` (`result_eq`). The original searches at random; here each column of gold
    gets in turn one of the unused columns, as long as the rows so far agree, with the same outcome.
    """
    if not predicted and not gold:
        return True
    if len(predicted) != len(gold) or len(predicted[0]) != len(gold[0]):
        return False
    keep: Callable = list if ordered else Counter
    given, wanted = list(zip(*predicted, strict=True)), list(zip(*gold, strict=True))
    trials, orders = 0, [()]
    while orders:
        order = orders.pop()
        if (width := len(order)) == len(wanted):
            return True
        target = keep(zip(*wanted[: width + 1], strict=True))
        unused = {given[at]: at for at in reversed(range(len(given))) if at not in order}
        for column, at in reversed(unused.items()):  # of equal columns the first is enough
            if keep(column) != keep(wanted[width]):
                continue
            trials += 1
            if trials > MOST_TRIALS:
                return False
            if keep(zip(*(given[i] for i in order), column, strict=True)) == target:
                orders.append((*order, at))
    return False


def soft_f1(predicted: Rows, gold: Rows) -> float:
    """Overlap of values, row by row in the order they come, repeated rows left out; 0 to 1.

    Definition: BIRD mini-dev, `evaluation_f1.py`. Caveat: the n-th row is compared with the n-th
    row, so without ORDER BY the figure depends on the order in which SQLite happens to answer.
    """
    if not predicted and not gold:
        return 1.0
    predicted, gold = list(dict.fromkeys(predicted)), list(dict.fromkeys(gold))
    both = only_predicted = only_gold = 0.0
    for ours, theirs in zip(predicted, gold, strict=False):
        width = len(theirs)
        both += sum(value in theirs for value in ours) / width
        only_predicted += sum(value not in theirs for value in ours) / width
        only_gold += sum(value not in ours for value in theirs) / width
    only_gold += max(len(gold) - len(predicted), 0)
    only_predicted += max(len(predicted) - len(gold), 0)
    precision = both / (both + only_predicted) if both else 0.0
    recall = both / (both + only_gold) if both else 0.0
    return 2 * precision * recall / (precision + recall) if both else 0.0


def time_ratio(times: Sequence[tuple[float, float]]) -> float:
    """Mean of gold's time over the prediction's, measured by turns, outliers left out.

    `times` are (prediction, gold) in seconds. Ratios three standard deviations or more from the
    mean are dropped, as in BIRD's `evaluation_ves.py`. Raises ValueError without measurements.
    """
    ratios = [gold / max(predicted, 1e-9) for predicted, gold in times]
    if not ratios:
        raise ValueError("no times were measured")
    middle, spread = statistics.fmean(ratios), statistics.pstdev(ratios)
    return statistics.fmean([r for r in ratios if abs(r - middle) < 3 * spread] or ratios)


def ves(ratio: float) -> float:
    """Valid Efficiency Score of a right answer; above 1 is faster than gold. A wrong one scores 0.

    Definition: BIRD, `evaluation_ves.py` (printed times 100). Small times are mostly noise.
    """
    return math.sqrt(ratio)


def r_ves(ratio: float) -> float:
    """Reward-based VES of a right answer: the root of a reward in five steps, steadier than VES.

    Definition: BIRD mini-dev, `evaluation_ves.py`, which prints it times 100.
    """
    for least, reward in ((2, 1.25), (1, 1.0), (0.5, 0.75), (0.25, 0.5)):
        if ratio >= least:
            return math.sqrt(reward)
    return math.sqrt(0.25)


def failing_gold(judged: pd.DataFrame) -> dict[str, Any]:
    """Count gold SQL that can't be run, and its share of what was to be run, with the reasons."""
    tried = judged[judged.verdict != "not linked"]
    reasons = Counter(tried.error[tried.verdict == "gold fails"])
    share = reasons.total() / len(tried) if len(tried) else 0.0
    return {"count": reasons.total(), "share": share, "reasons": dict(reasons.most_common())}


def warning(failing: dict[str, Any], rows: int) -> str:
    """One line about `failing_gold` of `rows` verdicts; empty when every gold query runs."""
    if not failing["count"]:
        return ""
    reasons = [f"{count} x {reason}" for reason, count in failing["reasons"].items()]
    if len(reasons) > SHOWN:
        reasons[SHOWN:] = [f"{len(reasons) - SHOWN} more reasons"]
    return (
        f"WARNING: {failing['count']:,} of {rows:,} gold queries can't be run, "
        f"and their predictions are not counted: {'; '.join(reasons)}"
    )

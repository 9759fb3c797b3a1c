"""One verdict a prediction: run it and its gold, compare the results and the texts."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from workflow_scripts.metrics.execution import compare
from workflow_scripts.metrics.hardness import hardness
from workflow_scripts.sql.cache import CachedSandbox
from workflow_scripts.sql.databases import instances
from workflow_scripts.sql.execute import Result
from workflow_scripts.sql.parse import (
    joined_operators,
    normalise,
    orders_rows,
    parse,
    without_distinct,
)

# A prediction may take this many times as long as its gold took, and at least FLOOR seconds: an
# endless query is given up soon. The sandbox's own limit (BIRD waits 30 s) stays the ceiling.
SLACK = 20
FLOOR = 0.5
REPEAT = 10  # timed runs of a right answer and its gold, by turns; BIRD takes 100
RACE_SECONDS = 5.0


@dataclass(frozen=True)
class Case:
    """A prediction to judge. `prediction` None: the answer holds no SQL. `database` None: unknown
    which, so nothing is executed."""

    db_id: str | None
    question: str
    gold: str
    prediction: str | None
    database: Path | None


@dataclass(frozen=True)
class Verdict:
    """What became of a prediction; figures that don't apply are None.

    `verdict` is one of: right, wrong, no sql, refused, timeout, error, gold fails, not linked.
    `gold_rows` counts the rows that gold returns. A gold that fails judges nobody; the figures of
    execution are None then.
    """

    db_id: str | None
    question: str
    gold: str
    prediction: str | None
    verdict: str
    error: str | None
    hardness: str | None
    gold_rows: int | None
    exact_match: float
    exact_match_normalised: float
    parse_rate: float
    executable_rate: float | None = None
    execution_accuracy: float | None = None
    execution_match: float | None = None
    soft_f1: float | None = None
    ves: float | None = None
    r_ves: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


_FACTS = ("db_id", "question", "gold", "prediction", "verdict", "error", "hardness", "gold_rows")
METRICS = tuple(field.name for field in fields(Verdict) if field.name not in _FACTS)


def judge(cases: Iterable[Case], sandbox: CachedSandbox, repeat: int = REPEAT) -> list[Verdict]:
    """Verdicts in the order of the cases. `repeat` 0 leaves VES and R-VES out.

    Every distinct (database, SQL) runs once, over all workers of the sandbox.
    """
    cases = list(cases)
    placed = [case for case in cases if case.database]
    gold = dict(zip(map(id, placed), sandbox.map(_gold_jobs(placed)), strict=True))
    jobs = [(c.database, c.prediction or "", _patience(gold[id(c)], sandbox)) for c in placed]
    predicted = dict(zip(map(id, placed), sandbox.map(jobs), strict=True))
    matched = _matches(placed, gold, sandbox)
    right = [c for c in placed if _right(predicted[id(c)], gold[id(c)])]
    ratios = _ratios(right, gold, predicted, sandbox, repeat) if repeat else {}
    verdicts = [
        _verdict(c, gold.get(id(c)), predicted.get(id(c)), matched.get(id(c)), ratios.get(id(c)))
        for c in cases
    ]
    return verdicts if repeat else [replace(v, ves=None, r_ves=None) for v in verdicts]


def _gold_jobs(cases: list[Case]) -> list[tuple]:
    return [(case.database, case.gold, None) for case in cases]


def _patience(gold: Result, sandbox: CachedSandbox) -> float:
    """Seconds for a prediction, in powers of two so that equal predictions share an answer."""
    most, seconds = sandbox.sandbox.limits.seconds, FLOOR
    while seconds < SLACK * gold.seconds:
        seconds *= 2
    return min(seconds, most)


def _right(predicted: Result, gold: Result) -> bool:
    both = predicted.ok and gold.ok
    return both and compare.execution_accuracy(predicted.rows, gold.rows)


def _matches(cases: list[Case], gold: dict[int, Result], sandbox: CachedSandbox) -> dict[int, bool]:
    """Execution match over every instance of each database (see `compare.execution_match`)."""
    jobs, owners = [], []
    for case in cases:
        if not (gold[id(case)].ok and case.prediction):
            continue
        ours, theirs = (
            without_distinct(joined_operators(sql)) for sql in (case.prediction, case.gold)
        )
        for file in instances(case.database):
            patience = _patience(gold[id(case)], sandbox)
            jobs += [(file, ours, patience), (file, theirs, None)]
            owners.append(case)
    answers = iter(list(sandbox.map(jobs)))
    matched: dict[int, bool] = {}
    for case, ours, theirs in zip(owners, answers, answers, strict=True):
        if not theirs.ok:  # an instance on which gold fails can't judge
            continue
        same = ours.ok and compare.execution_match(ours.rows, theirs.rows, orders_rows(case.gold))
        matched[id(case)] = matched.get(id(case), True) and same
    return matched


def _ratios(cases, gold, predicted, sandbox: CachedSandbox, repeat: int) -> dict[int, float]:
    """Time of gold over time of the prediction; 1 for the same text, which needs no race."""
    ratios = {}
    for case in cases:
        if case.prediction.strip() == case.gold.strip():
            ratios[id(case)] = 1.0
            continue
        seconds = min(RACE_SECONDS, sandbox.sandbox.limits.seconds)
        race = sandbox.race(case.database, case.prediction, case.gold, repeat, seconds)
        alone = [(predicted[id(case)].seconds, gold[id(case)].seconds)]
        ratios[id(case)] = compare.time_ratio(race.times or alone)
    return ratios


def _verdict(
    case: Case,
    gold: Result | None,
    predicted: Result | None,
    matched: bool | None,
    ratio: float | None,
) -> Verdict:
    sql = case.prediction or ""
    normal = normalise(sql)
    text = {
        "exact_match": float(sql.strip() == case.gold.strip()),
        "exact_match_normalised": float(
            sql.strip() == case.gold.strip()
            or (normal is not None and normal == normalise(case.gold))
        ),
        "parse_rate": float(parse(sql) is not None),
    }
    facts = (case.db_id, case.question, case.gold, case.prediction)
    level = hardness(case.gold)
    if gold is None:
        return Verdict(*facts, "not linked", None, level, None, **text)
    if not gold.ok:
        return Verdict(*facts, "gold fails", gold.error, level, None, **text)
    right = _right(predicted, gold)
    word = ("right" if right else "wrong") if predicted.ok else predicted.status
    error = predicted.error
    if not case.prediction:
        word, error = "no sql", "the answer holds no SQL"
    timed = right and ratio is not None
    return Verdict(
        *facts,
        word,
        error,
        level,
        len(gold.rows),
        **text,
        executable_rate=float(predicted.ok),
        execution_accuracy=float(right),
        execution_match=float(bool(matched)),
        soft_f1=compare.soft_f1(predicted.rows, gold.rows) if predicted.ok else 0.0,
        ves=compare.ves(ratio) if timed else 0.0,
        r_ves=compare.r_ves(ratio) if timed else 0.0,
    )

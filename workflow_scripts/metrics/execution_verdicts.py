"""One verdict a prediction: run it and its gold, compare the results and the texts."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path

from workflow_scripts.metrics import compare
from workflow_scripts.metrics.hardness import hardness
from workflow_scripts.metrics.sql_match import sql_match
from workflow_scripts.sql.cache import CachedSandbox, Job, one_spelling
from workflow_scripts.sql.databases import instances
from workflow_scripts.sql.parse import joined_operators, orders_rows, without_distinct
from workflow_scripts.sql.sandbox import Result

# A prediction may take so many steps of SQLite, or so many times as many as its gold, if that is
# more. docs/scoring.md says what right predictions take.
LEAST_STEPS = 300_000_000
TIMES_GOLD = 100
REPEAT = 10  # timed runs of a right answer and its gold, by turns; BIRD takes 100
RACE_SECONDS = 5.0


@dataclass(frozen=True)
class Case:
    """SQL to be judged. `prediction` None: the answer holds none. `database` None: unknown which,
    so nothing is executed."""

    gold: str
    prediction: str | None
    database: Path | None


@dataclass(frozen=True)
class Verdict:
    """What became of a prediction; figures that don't apply are None.

    `verdict` is one of: right, wrong, no sql, refused, step limit, timeout, error, gold fails,
    not linked.
    `gold_rows` counts the rows that gold returns. Where gold fails nothing can be said of the
    prediction: the figures of execution are None then.
    """

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

    @property
    def metrics(self) -> dict[str, float]:
        """The figures that apply.

        `execution_accuracy` counts every row whose gold runs, as BIRD does. Where gold returns
        nothing a wrong query can pass for right, so those rows are also counted apart:
        `execution_accuracy_empty_gold` and `..._nonempty_gold`.
        """
        found = {name: getattr(self, name) for name in METRICS}
        apart = "nonempty" if self.gold_rows else "empty"
        found[f"execution_accuracy_{apart}_gold"] = self.execution_accuracy
        return {name: value for name, value in found.items() if value is not None}


_NAMES = [field.name for field in fields(Verdict)]
METRICS = tuple(_NAMES[_NAMES.index("exact_match") :])


def steps_allowed(gold: Result) -> int:
    return max(LEAST_STEPS, TIMES_GOLD * gold.steps)


def verdicts_on(
    cases: Iterable[Case], sandbox: CachedSandbox, repeat: int = REPEAT
) -> list[Verdict]:
    """Verdicts in the order of the cases. `repeat` 0 leaves VES and R-VES out.

    Every distinct (database, SQL) runs once, over all workers of the sandbox.
    """
    cases = list(cases)
    executed = iter(_executed([case for case in cases if case.database], sandbox, repeat))
    return [_verdict(case, next(executed) if case.database else None) for case in cases]


def execution_accuracies(cases: Iterable[Case], sandbox: CachedSandbox) -> list[float | None]:
    """Execution accuracy alone, one a case; None where gold fails or the database is unknown."""
    cases = list(cases)
    known = [case for case in cases if case.database]
    golds, predictions = _results(known, sandbox)
    results = zip(golds, predictions, strict=True)
    accuracies = (float(_right(ours, gold)) if gold.ok else None for gold, ours in results)
    return [next(accuracies) if case.database else None for case in cases]


@dataclass(frozen=True)
class _Executed:
    """What gold and prediction returned, and how they compare over all instances and in time."""

    gold: Result
    predicted: Result
    match: bool
    times: dict[str, float]


def _executed(cases: list[Case], sandbox: CachedSandbox, repeat: int) -> list[_Executed]:
    golds, predictions = _results(cases, sandbox)
    matches = _matches(cases, golds, sandbox)
    return [
        _Executed(gold, predicted, match, _times(case, gold, predicted, sandbox, repeat))
        for case, gold, predicted, match in zip(cases, golds, predictions, matches, strict=True)
    ]


def _results(cases: list[Case], sandbox: CachedSandbox) -> tuple[list[Result], list[Result]]:
    """Execute gold SQL, then predictions; one that equals its gold is not run again."""
    golds = sandbox.map(Job(case.database, case.gold) for case in cases)
    jobs = (
        Job(case.database, case.gold)
        if one_spelling(case.prediction or "") == one_spelling(case.gold)
        else Job(case.database, case.prediction or "", steps_allowed(gold))
        for case, gold in zip(cases, golds, strict=True)
    )
    return golds, sandbox.map(jobs)


def _right(predicted: Result, gold: Result) -> bool:
    both = predicted.ok and gold.ok
    return both and compare.execution_accuracy(predicted.rows, gold.rows)


def _matches(cases: list[Case], golds: list[Result], sandbox: CachedSandbox) -> list[bool]:
    """Execution match over every instance of each database (see `compare.execution_match`)."""
    pairs: list[tuple[int, Case]] = []  # (place in `cases`, what is compared on one instance)
    for place, (case, gold) in enumerate(zip(cases, golds, strict=True)):
        if gold.ok and case.prediction:
            theirs, ours = (
                without_distinct(joined_operators(sql)) for sql in (case.gold, case.prediction)
            )
            pairs += [(place, Case(theirs, ours, file)) for file in instances(case.database)]
    results = _results([case for _, case in pairs], sandbox)
    matches: list[list[bool]] = [[] for _ in cases]
    for (place, _), theirs, ours in zip(pairs, *results, strict=True):
        if theirs.ok:  # an instance on which gold fails says nothing
            ordered = orders_rows(cases[place].gold)
            same = ours.ok and compare.execution_match(ours.rows, theirs.rows, ordered)
            matches[place].append(same)
    return [bool(found) and all(found) for found in matches]


def _times(
    case: Case, gold: Result, predicted: Result, sandbox: CachedSandbox, repeat: int
) -> dict[str, float]:
    """VES and R-VES, 0 for a wrong prediction; nothing when no time is asked for.

    The same text needs no race: it is as fast as gold.
    """
    if not repeat:
        return {}
    if not _right(predicted, gold):
        return {"ves": 0.0, "r_ves": 0.0}
    ratio = 1.0
    if case.prediction.strip() != case.gold.strip():
        seconds = min(RACE_SECONDS, sandbox.sandbox.limits.seconds)
        race = sandbox.execute(case.database, case.prediction, seconds, case.gold, repeat)
        ratio = compare.time_ratio(race.times or [(predicted.seconds, gold.seconds)])
    return {"ves": compare.ves(ratio), "r_ves": compare.r_ves(ratio)}


def _verdict(case: Case, executed: _Executed | None) -> Verdict:
    def verdict(word: str, error: str | None, gold_rows: int | None = None, **figures) -> Verdict:
        return Verdict(
            case.gold, case.prediction, word, error, hardness(case.gold), gold_rows,
            **sql_match(case.prediction or "", case.gold), **figures,
        )  # fmt: skip

    if executed is None:
        return verdict("not linked", None)
    gold, predicted = executed.gold, executed.predicted
    if not gold.ok:
        return verdict("gold fails", gold.error)
    right = _right(predicted, gold)
    word, error = predicted.status, predicted.error
    if not case.prediction:
        word, error = "no sql", "the answer holds no SQL"
    elif predicted.ok:
        word = "right" if right else "wrong"
    return verdict(
        word,
        error,
        len(gold.rows),
        executable_rate=float(predicted.ok),
        execution_accuracy=float(right),
        execution_match=float(executed.match),
        soft_f1=compare.soft_f1(predicted.rows, gold.rows) if predicted.ok else 0.0,
        **executed.times,
    )

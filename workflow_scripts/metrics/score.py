"""Score anybody's SQL predictions against databases.

    python -m workflow_scripts.metrics.score --predictions FILE --databases DIR --json
    python -m workflow_scripts.metrics.score --predictions predict.txt --gold gold.txt \\
        --databases DIR

FILE holds db_id, gold and prediction, one record each: JSON lines, a JSON array, CSV or Parquet;
with --gold, Spider's predict.txt or BIRD's predict_dev.json. The prediction is SQL, or an answer
that holds it somewhere; with --strict it has to stand in a closed fence, as the pipeline asks of
its models. docs/scoring.md says what is taken for SQL, and how BIRD and Spider differ.

A prediction may take 300 million steps of SQLite, or 100 times those of its gold, and --seconds of
processor time, so a busy machine changes no verdict. The exit status is 1 when more gold SQL than
--max-failing-golds fails.
"""

import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

from workflow_scripts.data.prediction_files import SqlPrediction, read_predictions
from workflow_scripts.errors import EssenceError, check_share
from workflow_scripts.files import check_output, to_json, write_jsonl
from workflow_scripts.formats.answers import extract_sql
from workflow_scripts.metrics.estimates import columns, estimate
from workflow_scripts.metrics.execution_verdicts import (
    REPEAT,
    Case,
    Verdict,
    execution_accuracies,
    verdicts_on,
)
from workflow_scripts.metrics.failing_golds import failing_golds, warning
from workflow_scripts.metrics.hardness import LEVELS
from workflow_scripts.runs import Estimate
from workflow_scripts.sql.cache import CachedSandbox
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.stage import Input, Option, Setting, run_stage


def cases_of(
    lines: Iterable[tuple[str, SqlPrediction]], databases: Path, strict: bool
) -> list[Case]:
    """Raises EssenceError naming the place of a prediction whose database is missing."""
    cases = []
    for place, line in lines:
        try:
            database = find_database(databases, line.db_id)
        except EssenceError as error:
            raise EssenceError(f"{place}: {error}") from error
        sql = extract_sql(line.prediction or "", lenient=not strict)
        cases.append(Case(line.gold, sql, database))
    return cases


def summary(verdicts: Iterable[Verdict]) -> dict[str, Estimate]:
    """metric -> its mean over the rows that have it, with an interval."""
    metrics = columns(verdict.metrics for verdict in verdicts)
    return {name: estimate(values) for name, values in metrics.items()}


def report(verdicts: list[Verdict]) -> dict[str, Any]:
    """What the command prints: metrics, the same by hardness, and counts of verdicts."""
    levels = {level: [v for v in verdicts if v.hardness == level] for level in LEVELS}
    return {
        "metrics": _plain(summary(verdicts)),
        "by_hardness": {level: _plain(summary(rows)) for level, rows in levels.items() if rows},
        "counts": {
            "rows": len(verdicts),
            "gold_empty": sum(v.gold_rows == 0 for v in verdicts),
            **Counter(v.verdict.replace(" ", "_") for v in verdicts),
        },
        "failing_golds": failing_golds(verdicts),
    }


def _plain(estimates: dict[str, Estimate]) -> dict[str, dict[str, float]]:
    return {name: dict(value) for name, value in estimates.items()}


def other_extraction(
    lines: Iterable[SqlPrediction], cases: list[Case], sandbox: CachedSandbox, strict: bool
) -> dict[str, Estimate]:
    """Execution accuracy with the SQL taken in the way that was not chosen.

    Nothing where no prediction holds a fence: plain SQL leaves no choice.
    """
    answers = [line.prediction or "" for line in lines]
    if not any("```" in answer for answer in answers):
        return {}
    other = (extract_sql(answer, lenient=strict) for answer in answers)
    found = execution_accuracies(
        [replace(case, prediction=sql) for case, sql in zip(cases, other, strict=True)], sandbox
    )
    counted = [value for value in found if value is not None]
    name = f"execution_accuracy_{'lenient' if strict else 'strict'}"
    return {name: estimate(counted)} if counted else {}


def score(
    predictions: Annotated[Path, Input("the predictions; see above for the formats")],
    databases: Annotated[Path, Setting("folder of <db_id>/<db_id>.sqlite")],
    gold: Annotated[Path | None, Option("gold SQL, where it is a file of its own")] = None,
    json: Annotated[bool, Option("print JSON instead of a table")] = False,
    strict: Annotated[bool, Option("SQL from closed fences alone, as in the pipeline")] = False,
    rows: Annotated[Path | None, Option("file for one verdict a line")] = None,
    cache: Annotated[Path | None, Option("folder that keeps what was executed")] = None,
    seconds: Annotated[float, Option("processor time of a query, in full")] = Limits.seconds,
    repeat: Annotated[int, Option("timed runs for VES; 0: none")] = REPEAT,
    workers: Annotated[int | None, Option("queries that are executed at a time")] = None,
    max_failing_golds: Annotated[float, Option("share of gold SQL that may fail")] = 0.01,
) -> int:
    """Return 1 when too much gold SQL fails."""
    check_share("--max-failing-golds", max_failing_golds)
    placed = read_predictions(predictions, gold)
    lines, cases = [line for _, line in placed], cases_of(placed, databases, strict)
    if rows:
        check_output(rows, predictions, gold, *{case.database for case in cases})
    with Sandbox(Limits(seconds=seconds), workers) as sandbox:
        cached = CachedSandbox(sandbox, cache)
        verdicts = verdicts_on(cases, cached, repeat)
        other = other_extraction(lines, cases, cached, strict)
    if rows:
        pairs = zip(lines, verdicts, strict=True)
        write_jsonl(rows, (line.model_dump() | asdict(verdict) for line, verdict in pairs))
    answer = {"extraction": "strict" if strict else "lenient", **report(verdicts)}
    answer["metrics"] |= _plain(other)
    failing = answer["failing_golds"]
    if said := warning(failing, len(verdicts)):
        print(said, file=sys.stderr if json else sys.stdout)
    print(to_json(answer) if json else _table(answer), end="")
    return int(failing["share"] > max_failing_golds)


def _table(answer: dict[str, Any]) -> str:
    lines = [f"SQL of the answers: {answer['extraction']}"]
    lines += [
        f"{name:32}{found['value']:7.3f}  [{found['low']:.3f}, {found['high']:.3f}]  n={found['n']}"
        for name, found in answer["metrics"].items()
    ]
    lines.append(", ".join(f"{count} {name}" for name, count in answer["counts"].items()))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_stage(score)

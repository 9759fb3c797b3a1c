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

import math
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from workflow_scripts.data.prediction_files import SqlPrediction, read_predictions
from workflow_scripts.errors import EssenceError, check_share
from workflow_scripts.files import check_output, to_json, write_jsonl
from workflow_scripts.formats.answers import extract_sql
from workflow_scripts.intervals import mean_over_rows
from workflow_scripts.metrics.execution import (
    REPEAT,
    Case,
    accuracies,
    failing_gold,
    judge,
    warning,
)
from workflow_scripts.metrics.hardness import LEVELS
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


def summary(judged: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """metric -> its mean over the rows that have it, with a 95% interval."""
    metrics = judged.select_dtypes("float").drop(columns="gold_rows", errors="ignore")
    return {
        name: estimate(metrics[name].dropna()) for name in metrics if metrics[name].notna().any()
    }


def estimate(values: Sequence[float]) -> dict[str, Any]:
    """{value, low, high, n}; no interval where all values are one that is not from 0 to 1."""
    value, *limits = mean_over_rows(values)
    low, high = (None if math.isnan(limit) else limit for limit in limits)
    return {"value": value, "low": low, "high": high, "n": len(values)}


def report(judged: pd.DataFrame) -> dict[str, Any]:
    """What the command prints: metrics, the same by hardness, and counts of verdicts."""
    levels = dict(list(judged.groupby("hardness")))
    verdicts = judged.verdict.str.replace(" ", "_")
    return {
        "metrics": summary(judged),
        "by_hardness": {level: summary(levels[level]) for level in LEVELS if level in levels},
        "counts": {
            "rows": len(judged),
            "gold_empty": int((judged.gold_rows == 0).sum()),
            **verdicts.groupby(verdicts, sort=False).size().to_dict(),
        },
        "failing_golds": failing_gold(judged),
    }


def other_extraction(
    lines: list[SqlPrediction], cases: list[Case], sandbox: Sandbox, strict: bool
) -> dict[str, dict[str, Any]]:
    """Execution accuracy with the SQL taken in the way that was not chosen.

    Nothing where no prediction holds a fence: plain SQL leaves no choice.
    """
    answers = [line.prediction or "" for line in lines]
    if not any("```" in answer for answer in answers):
        return {}
    other = (extract_sql(answer, lenient=strict) for answer in answers)
    pairs = zip(cases, other, strict=True)
    values = accuracies([case._replace(prediction=sql) for case, sql in pairs], sandbox)
    known = [value for value in values if value is not None]
    name = f"execution_accuracy_{'lenient' if strict else 'strict'}"
    return {name: estimate(known)} if known else {}


def score(
    predictions: Annotated[Path, Input("the predictions; see above for the formats")],
    databases: Annotated[Path, Setting("folder of <db_id>/<db_id>.sqlite")],
    gold: Annotated[Path | None, Option("gold SQL, where it is a file of its own")] = None,
    json: Annotated[bool, Option("print JSON instead of a table")] = False,
    strict: Annotated[bool, Option("SQL from closed fences alone, as in the pipeline")] = False,
    rows: Annotated[Path | None, Option("file for one verdict a line")] = None,
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
    sandbox = Sandbox(Limits(seconds=seconds), workers)
    verdicts = judge(cases, sandbox, repeat)
    keys = dict.fromkeys(chain.from_iterable(verdicts))
    if rows:
        pairs = zip(lines, verdicts, strict=True)
        write_jsonl(rows, (line.model_dump() | keys | verdict for line, verdict in pairs))
    judged = pd.DataFrame([{**line, "gold": "", "prediction": ""} for line in verdicts])
    answer = {"extraction": "strict" if strict else "lenient", **report(judged)}
    answer["metrics"] |= other_extraction(lines, cases, sandbox, strict)
    failing = answer["failing_golds"]
    if text := warning(failing, len(judged)):
        print(text, file=sys.stderr if json else sys.stdout)
    print(to_json(answer) if json else _table(answer), end="")
    return int(failing["share"] > max_failing_golds)


def _table(answer: dict[str, Any]) -> str:
    lines = [f"SQL of the answers: {answer['extraction']}"]
    for name, number in answer["metrics"].items():
        low, high = (math.nan if number[end] is None else number[end] for end in ("low", "high"))
        lines.append(f"{name:32}{number['value']:7.3f}  [{low:.3f}, {high:.3f}]  n={number['n']}")
    lines.append(", ".join(f"{count} {name}" for name, count in answer["counts"].items()))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_stage(score)

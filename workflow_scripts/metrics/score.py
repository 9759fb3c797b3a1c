"""Score anybody's SQL predictions against databases.

    python -m workflow_scripts.metrics.score --predictions FILE --databases DIR --json
    python -m workflow_scripts.metrics.score --predictions predict.txt --gold gold.txt \\
        --databases DIR

FILE holds db_id, gold and prediction, one record each: JSON lines, a JSON array, CSV or Parquet;
with --gold, Spider's predict.txt or BIRD's predict_dev.json. docs/scoring.md says what is taken for
SQL, and what limits a prediction. The exit status is 1 when too much gold SQL fails.
"""

import math
import sys
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from workflow_scripts.data.prediction_files import SqlPrediction, read_predictions
from workflow_scripts.errors import EssenceError, check_share
from workflow_scripts.files import check_output, to_json, write_jsonl
from workflow_scripts.formats.answers import extract_sql
from workflow_scripts.intervals import mean_over_rows
from workflow_scripts.metrics.execution import REPEAT, Case, failing_gold, judge, warning
from workflow_scripts.metrics.hardness import LEVELS
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.stage import Input, Option, Setting, run_stage


def cases_of(lines: list[tuple[str, SqlPrediction]], databases: Path, strict: bool) -> list[Case]:
    """Cases with the SQL that the other extraction takes from fences, too. Raises EssenceError."""
    other = f"execution_accuracy_{'lenient' if strict else 'strict'}"
    fences = any("```" in (line.prediction or "") for _, line in lines)
    cases = []
    for place, line in lines:
        try:
            database = find_database(databases, line.db_id)
        except EssenceError as error:
            raise EssenceError(f"{place}: {error}") from error
        text = line.prediction or ""
        also = {other: extract_sql(text, lenient=strict)} if fences else {}
        cases.append(Case(line.gold, extract_sql(text, lenient=not strict), database, also))
    return cases


def summary(judged: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """metric -> {value, low, high, n} of the rows that have it: the mean, and its 95% interval.

    There is no interval where all values are one that is not from 0 to 1.
    """
    metrics = judged.select_dtypes("float").drop(columns="gold_rows", errors="ignore")
    numbers = {}
    for name in metrics.dropna(axis="columns", how="all"):
        values = metrics[name].dropna()
        value, *limits = mean_over_rows(values)
        low, high = (None if math.isnan(limit) else limit for limit in limits)
        numbers[name] = {"value": value, "low": low, "high": high, "n": len(values)}
    return numbers


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
    verdicts = judge(cases, Sandbox(Limits(seconds=seconds), workers), repeat)
    if rows:
        keys = dict.fromkeys(chain.from_iterable(verdicts))
        pairs = zip(lines, verdicts, strict=True)
        write_jsonl(rows, (line.model_dump() | keys | verdict for line, verdict in pairs))
    judged = pd.DataFrame([{**line, "gold": "", "prediction": ""} for line in verdicts])
    answer = {"extraction": "strict" if strict else "lenient", **report(judged)}
    failing = answer["failing_golds"]
    if text := warning(failing, len(judged)):
        print(text, file=sys.stderr if json else sys.stdout)
    print(to_json(answer) if json else _table(answer), end="")
    return int(failing["share"] > max_failing_golds)


def _table(answer: dict[str, Any]) -> str:
    metrics = pd.DataFrame.from_dict(answer["metrics"], orient="index")
    table = metrics.to_string(float_format="%.3f", na_rep="-")
    counts = ", ".join(f"{count} {name}" for name, count in answer["counts"].items())
    return f"SQL of the answers: {answer['extraction']}\n{table}\n{counts}\n"


if __name__ == "__main__":
    run_stage(score)

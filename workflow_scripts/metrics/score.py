"""Score anybody's SQL predictions against databases.

    python -m workflow_scripts.metrics.score --predictions FILE.jsonl --databases DIR --json

A line is {"db_id", "question", "gold", "prediction"}; the prediction is SQL, or an answer whose
last fence holds it.
"""

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.files import to_json, write_jsonl
from workflow_scripts.intervals import mean_over_rows
from workflow_scripts.metrics.execution_verdicts import METRICS, REPEAT, Case, Verdict, judge
from workflow_scripts.metrics.hardness import LEVELS
from workflow_scripts.sql.cache import CachedSandbox
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.execute import Limits, Sandbox

FENCE = re.compile(r"```[ \t]*(?:sqlite|sql)?[ \t]*\n?(.*?)(?:```|\Z)", re.DOTALL | re.IGNORECASE)


def sql_of(answer: str) -> str | None:
    """The SQL of a free answer: its last fence (cut short or not), else the whole text."""
    answer = answer.strip()
    fences = [fence.strip() for fence in FENCE.findall(answer)] if "```" in answer else [answer]
    fences = [fence for fence in fences if fence]
    return fences[-1] if fences else None


def read_cases(predictions: Path, databases: Path) -> list[Case]:
    """Raises EssenceError naming the line that is no JSON object, lacks a field or a database."""
    cases = []
    try:
        text = predictions.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise EssenceError(f"{predictions}: no such file") from error
    except UnicodeDecodeError as error:
        raise EssenceError(f"{predictions}: not UTF-8 text ({error.reason})") from error
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            cases.append(_case(line, f"{predictions}, line {number}", databases))
    if not cases:
        raise EssenceError(f"{predictions}: no predictions in it")
    return cases


def _case(line: str, place: str, databases: Path) -> Case:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise EssenceError(f"{place}: not JSON ({error})") from error
    if not isinstance(row, dict):
        raise EssenceError(f"{place}: not a JSON object with db_id, question, gold and prediction")
    for key in ("db_id", "gold", "prediction"):
        if not isinstance(row.get(key), str):
            raise EssenceError(f"{place}: {key!r} is missing or not a text")
    if not row["gold"].strip():
        raise EssenceError(f"{place}: 'gold' is empty")
    try:
        database = find_database(databases, row["db_id"])
    except EssenceError as error:
        raise EssenceError(f"{place}: {error}") from error
    question = str(row.get("question") or "")
    return Case(row["db_id"], question, row["gold"], sql_of(row["prediction"]), database)


def summary(verdicts: Iterable[Verdict]) -> dict[str, dict[str, Any]]:
    """metric -> {value, low, high, n} (95% interval over rows), metrics without rows left out.

    `execution_accuracy` counts every row whose gold runs, as BIRD does. Where gold returns nothing
    a wrong query can pass for right, so those rows are also shown apart: `..._empty_gold` and
    `..._nonempty_gold`.
    """
    verdicts = list(verdicts)
    columns = {name: [getattr(v, name) for v in verdicts] for name in METRICS}
    accuracy = columns["execution_accuracy"]
    for name, empty in (("empty_gold", True), ("nonempty_gold", False)):
        columns[f"execution_accuracy_{name}"] = [
            value
            for value, verdict in zip(accuracy, verdicts, strict=True)
            if (verdict.gold_rows == 0) == empty
        ]
    measured = {name: [v for v in values if v is not None] for name, values in columns.items()}
    return {name: interval(values) for name, values in measured.items() if values}


def interval(values: list[float]) -> dict[str, Any]:
    value, low, high = mean_over_rows(values)
    return {"value": value, "low": low, "high": high, "n": len(values)}


def report(verdicts: list[Verdict]) -> dict[str, Any]:
    """What the command prints: metrics, the same by hardness, and counts of verdicts."""
    levels = {level: [v for v in verdicts if v.hardness == level] for level in LEVELS}
    return {
        "metrics": summary(verdicts),
        "by_hardness": {level: summary(rows) for level, rows in levels.items() if rows},
        "counts": {
            "rows": len(verdicts),
            "gold_empty": sum(v.gold_rows == 0 for v in verdicts),
            **Counter(v.verdict.replace(" ", "_") for v in verdicts),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--predictions", required=True, type=Path, help="JSON lines")
    parser.add_argument("--databases", required=True, type=Path, help="<db_id>/<db_id>.sqlite")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--rows", type=Path, help="write a verdict a line here")
    parser.add_argument("--cache", type=Path, help="folder that keeps what was executed")
    parser.add_argument("--seconds", type=float, default=Limits.seconds, help="longest query")
    parser.add_argument("--repeat", type=int, default=REPEAT, help="timed runs for VES; 0: none")
    parser.add_argument("--workers", type=int, default=None)
    given = parser.parse_args()
    cases = read_cases(given.predictions, given.databases)
    with Sandbox(Limits(seconds=given.seconds), given.workers) as sandbox:
        verdicts = judge(cases, CachedSandbox(sandbox, given.cache), given.repeat)
    if given.rows:
        write_jsonl(given.rows, (verdict.as_dict() for verdict in verdicts))
    answer = report(verdicts)
    if given.json:
        print(to_json(answer), end="")
        return
    for name, score in answer["metrics"].items():
        print(f"{name:32}{score['value']:7.3f}  [{score['low']:.3f}, {score['high']:.3f}]"
              f"  n={score['n']}")  # fmt: skip
    print(", ".join(f"{count} {name}" for name, count in answer["counts"].items()))


if __name__ == "__main__":
    run_cli(main)

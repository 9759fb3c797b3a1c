"""A page of the predictions that are not right, by kind of error, to browse.

    python -m workflow_scripts.metrics.score --predictions FILE --databases DIR --rows ROWS.jsonl
    python -m workflow_scripts.report.browse --rows ROWS.jsonl --databases DIR --page errors.html

Question, gold SQL, prediction and what both return stand side by side, in one file that needs
nothing beside it. The queries run again, within the limits of scoring.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from workflow_scripts.data.prediction_files import records
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import check_output, write_text
from workflow_scripts.metrics.execution import Case, execution_match, run_pairs
from workflow_scripts.report import html
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.sandbox import Limits, Result, Sandbox
from workflow_scripts.stage import Input, Option, Output, Setting, run_stage

SHOWN, WIDTH = 10, 100  # rows of a result, and characters of a value
NEEDED = {"place", "predictions_file", "gold_file", "db_id", "question", "gold", "prediction",
          "verdict", "error", "hardness"}  # fmt: skip


def kind_of(line: dict[str, Any], gold: Result, predicted: Result) -> str:
    """What is wrong: of SQL that fails SQLite's words without the names, else what differs."""
    if line["verdict"] == "error":
        words = re.sub(r'^near ".*": ', "", line["error"], flags=re.DOTALL)
        return f"error: {words.partition(':')[0]}"
    if line["verdict"] != "wrong" or not (gold.ok and predicted.ok):
        return line["verdict"]
    wanted, given = set(gold.rows), set(predicted.rows)
    kinds = {
        "returns nothing": not given,
        "number of columns": len(gold.columns) != len(predicted.columns),
        "order of columns": execution_match(predicted.rows, gold.rows, ordered=False),
        "rows missing": given < wanted,
        "rows too many": given > wanted,
        "other values": True,
    }
    return f"wrong: {next(kind for kind, fits in kinds.items() if fits)}"


def as_shown(result: Result) -> dict[str, Any]:
    """The first rows of a result as text, or why there is none."""
    if not result.ok:
        return {"error": result.error}
    rows = [
        ["NULL" if value is None else str(value)[:WIDTH] for value in row]
        for row in result.rows[:SHOWN]
    ]
    return {"columns": result.columns, "rows": rows, "count": len(result.rows)}


def browse(
    rows: Annotated[Path, Input("the verdicts: what metrics.score --rows wrote")],
    databases: Annotated[Path, Setting("folder of <db_id>/<db_id>.sqlite")],
    page: Annotated[Path, Output("the page, one HTML file")],
    seconds: Annotated[float, Option("processor time of a query, in full")] = Limits.seconds,
    workers: Annotated[int | None, Option("queries that are executed at a time")] = None,
) -> None:
    """Raises EssenceError for lines that are no verdicts, or of a database that is not there."""
    lines = [line for _, line in records(rows)]
    if missing := {name for line in lines for name in NEEDED - line.keys()}:
        raise EssenceError(f"{rows}: no {min(missing)} in it; give what metrics.score --rows wrote")
    wrong = [line for line in lines if line["verdict"] != "right"]
    cases = [
        Case(line["gold"], line["prediction"], find_database(databases, line["db_id"]))
        for line in wrong
    ]
    check_output(page, rows, *{case.database for case in cases})
    results = run_pairs(cases, Sandbox(Limits(seconds=seconds), workers))
    data: dict[str, list] = {"rows": [], "answers": []}
    for number, (line, (gold, predicted)) in enumerate(zip(wrong, results, strict=True)):
        row = {name: line[name] for name in ("place", "db_id", "question", "gold")}
        row |= {"idx": number, "split": line["gold_file"], "task": line["hardness"]}
        answer = {"row": number, "prediction": line["prediction"], "result": as_shown(predicted)}
        answer |= {"recipe": line["predictions_file"], "quality": kind_of(line, gold, predicted)}
        data["rows"].append(row | {"result": as_shown(gold)})
        data["answers"].append(answer)
    kinds = Counter(answer["quality"] for answer in data["answers"]).most_common()
    text = html.render(
        "browse.html",
        title=f"{len(wrong):,} of {len(lines):,} predictions are not right",
        kinds=html.tables({"": pd.DataFrame(kinds, columns=["kind of error", "predictions"])}),
        shown=SHOWN,
        data=data | {"qualities": dict.fromkeys(dict(kinds), "bad")},
    )
    write_text(page, text)


if __name__ == "__main__":
    run_stage(browse)

"""A page of the predictions that are not right, by kind of error, to browse.

    python -m workflow_scripts.metrics.score --predictions FILE --databases DIR --rows ROWS.jsonl
    python -m workflow_scripts.report.browse --rows ROWS.jsonl --databases DIR --page errors.html

Question, gold SQL, prediction and what both return stand side by side, in one file that needs
nothing beside it. The queries run again, within the limits of scoring.
"""

import re
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from pydantic import ConfigDict

from workflow_scripts.data.prediction_files import records
from workflow_scripts.files import check_output, write_text
from workflow_scripts.metrics.execution import Case, execution_match, run_pairs
from workflow_scripts.records import Record, parsed
from workflow_scripts.report import html
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.sandbox import Limits, Result, Sandbox
from workflow_scripts.stage import Input, Option, Output, Setting, run_stage

SHOWN, WIDTH = 10, 100  # rows of a result, and characters of a value


class Verdict(Record):
    """A line of `metrics.score --rows`."""

    model_config = ConfigDict(extra="ignore")

    place: str
    predictions_file: str | None
    gold_file: str
    db_id: str
    question: str | None
    gold: str
    prediction: str | None
    verdict: str
    error: str | None
    hardness: str


def kind_of(verdict: Verdict, gold: Result, predicted: Result) -> str:
    """What is wrong: of SQL that fails SQLite's words without the names, else what differs."""
    if verdict.verdict == "error":
        words = re.sub(r'^near ".*": ', "", verdict.error or "", flags=re.DOTALL)
        return f"error: {words.partition(':')[0]}"
    if verdict.verdict != "wrong" or not (gold.ok and predicted.ok):
        return verdict.verdict
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


def page_data(lines: list[tuple[Verdict, str, tuple[Result, Result]]]) -> dict[str, Any]:
    """What the script of templates/predictions.html works on, of (verdict, kind, results)."""
    data: dict[str, Any] = {"rows": [], "answers": [], "schemas": [], "runs": [], "executed": []}
    for number, (verdict, kind, (gold, predicted)) in enumerate(lines):
        row = {"title": verdict.place, "idx": number, "split": verdict.gold_file, "schema": None}
        row |= {"task": verdict.hardness, "db_id": verdict.db_id, "gold": verdict.gold}
        row |= {"question": verdict.question or "", "result": as_shown(gold)}
        answer = {"row": number, "run": "", "recipe": verdict.predictions_file or "gold SQL"}
        answer |= {"quality": kind, "prediction": verdict.prediction or ""}
        data["rows"].append(row)
        data["answers"].append(answer | {"result": as_shown(predicted)})
    parts = {
        "splits": ("rows", "split"),
        "tasks": ("rows", "task"),
        "recipes": ("answers", "recipe"),
    }
    for name, (of, key) in parts.items():
        data[name] = list(dict.fromkeys(each[key] for each in data[of]))
    data["qualities"] = {kind: "bad" for _, kind, _ in lines}
    return data | {"best": dict.fromkeys(data["recipes"], "")}


def browse(
    rows: Annotated[Path, Input("the verdicts: what metrics.score --rows wrote")],
    databases: Annotated[Path, Setting("folder of <db_id>/<db_id>.sqlite")],
    page: Annotated[Path, Output("the page, one HTML file")],
    seconds: Annotated[float, Option("processor time of a query, in full")] = Limits.seconds,
    workers: Annotated[int | None, Option("queries that are executed at a time")] = None,
) -> None:
    """Raises EssenceError for a line that is not a verdict, or of a database that is not there."""
    verdicts = [parsed(Verdict, value, place) for place, value in records(rows)]
    wrong = [verdict for verdict in verdicts if verdict.verdict != "right"]
    cases = [Case(v.gold, v.prediction, find_database(databases, v.db_id)) for v in wrong]
    check_output(page, rows, *{case.database for case in cases})
    results = run_pairs(cases, Sandbox(Limits(seconds=seconds), workers))
    kinds = [kind_of(verdict, *pair) for verdict, pair in zip(wrong, results, strict=True)]
    counts = pd.Series(kinds, dtype=object, name="predictions").value_counts()
    text = html.render(
        "browse.html",
        title=f"{len(wrong):,} of {len(verdicts):,} predictions are not right",
        counts=html.tables(
            {"": counts.rename_axis("kind of error").reset_index(name="predictions")}
        ),
        shown=SHOWN,
        data=page_data(list(zip(wrong, kinds, results, strict=True))),
    )
    write_text(page, text)


if __name__ == "__main__":
    run_stage(browse)

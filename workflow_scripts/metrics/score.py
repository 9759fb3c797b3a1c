"""Score anybody's SQL predictions against databases.

    python -m workflow_scripts.metrics.score --predictions FILE.jsonl --databases DIR --json

A line is {"db_id", "question", "gold", "prediction"}; the prediction is SQL, or an answer that
holds it: in its last fence, perhaps cut short, or else as the whole text. With --strict the SQL is
taken as the pipeline takes it from its models' answers: from the last closed fence alone.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict

from workflow_scripts.artifacts.base import Artifact, parsed
from workflow_scripts.artifacts.runs import Estimate
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import numbered_jsonl, to_json, write_jsonl
from workflow_scripts.formats.answers import extract_sql
from workflow_scripts.metrics.estimates import columns, estimate
from workflow_scripts.metrics.execution_verdicts import REPEAT, Case, Verdict, verdicts_on
from workflow_scripts.metrics.hardness import LEVELS
from workflow_scripts.sql.cache import CachedSandbox
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.stage import Input, Option, Setting, run_stage


class SqlPrediction(Artifact):
    """A line of the predictions; what else stands in it is left alone."""

    model_config = ConfigDict(extra="ignore")

    db_id: str
    question: str | None = None
    gold: str
    prediction: str


def read_predictions(
    path: Path, databases: Path, strict: bool
) -> tuple[list[SqlPrediction], list[Case]]:
    """Raises EssenceError naming the line that is no JSON object, lacks a field or a database."""
    lines, cases = [], []
    for number, value in numbered_jsonl(path):
        place = f"{path}, line {number}"
        line = parsed(SqlPrediction, value, place)
        if not line.gold.strip():
            raise EssenceError(f"{place}: gold: there is no SQL in it")
        try:
            database = find_database(databases, line.db_id)
        except EssenceError as error:
            raise EssenceError(f"{place}: {error}") from error
        lines.append(line)
        cases.append(Case(line.gold, extract_sql(line.prediction, lenient=not strict), database))
    if not lines:
        raise EssenceError(f"{path}: no predictions in it")
    return lines, cases


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
    }


def _plain(estimates: dict[str, Estimate]) -> dict[str, dict[str, float]]:
    return {name: dict(value) for name, value in estimates.items()}


def score(
    predictions: Annotated[Path, Input("JSON lines")],
    databases: Annotated[Path, Setting("folder of <db_id>/<db_id>.sqlite")],
    json: Annotated[bool, Option("print JSON instead of a table")] = False,
    strict: Annotated[bool, Option("SQL from closed fences alone, as in the pipeline")] = False,
    rows: Annotated[Path | None, Option("file for one verdict a line")] = None,
    cache: Annotated[Path | None, Option("folder that keeps what was executed")] = None,
    seconds: Annotated[float, Option("longest query")] = Limits.seconds,
    repeat: Annotated[int, Option("timed runs for VES; 0: none")] = REPEAT,
    workers: Annotated[int | None, Option("queries that are executed at a time")] = None,
) -> None:
    lines, cases = read_predictions(predictions, databases, strict)
    with Sandbox(Limits(seconds=seconds), workers) as sandbox:
        verdicts = verdicts_on(cases, CachedSandbox(sandbox, cache), repeat)
    if rows:
        pairs = zip(lines, verdicts, strict=True)
        write_jsonl(rows, (line.model_dump() | asdict(verdict) for line, verdict in pairs))
    answer = {"extraction": "strict" if strict else "lenient", **report(verdicts)}
    if json:
        print(to_json(answer), end="")
        return
    print(f"SQL of the answers: {answer['extraction']}")
    for name, found in answer["metrics"].items():
        print(f"{name:32}{found['value']:7.3f}  [{found['low']:.3f}, {found['high']:.3f}]"
              f"  n={found['n']}")  # fmt: skip
    print(", ".join(f"{count} {name}" for name, count in answer["counts"].items()))


if __name__ == "__main__":
    run_stage(score)

"""Score anybody's SQL predictions against databases.

    python -m workflow_scripts.metrics.score --databases DIR --predictions FILE
    python -m workflow_scripts.metrics.score --databases DIR --predictions predict.txt \\
        --gold gold.txt
    python -m workflow_scripts.metrics.score --databases DIR --gold gold.txt
    python -m workflow_scripts.metrics.score --databases DIR --predictions a.txt b.txt \\
        --gold old.txt new.txt

FILE holds db_id, gold and prediction, one record each: JSON lines, a JSON array, CSV or Parquet;
with --gold also Spider's predict.txt or BIRD's predict_dev.json. Gold SQL alone is checked: which
fails, which returns nothing. Several files are ranked by execution accuracy under each file of gold
SQL. docs/scoring.md says what is taken for SQL, and what limits a prediction. The exit status is 1
when too much gold SQL fails.
"""

import math
import sys
from itertools import chain, islice, product
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from workflow_scripts.data.prediction_files import SqlPrediction, read_predictions
from workflow_scripts.errors import EssenceError, check_share
from workflow_scripts.files import check_output, to_json, write_jsonl
from workflow_scripts.formats.answers import extract_sql
from workflow_scripts.intervals import difference_over_rows, mean_over_rows
from workflow_scripts.metrics.execution import REPEAT, Case, failing_gold, judge, warning
from workflow_scripts.metrics.hardness import LEVELS
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.stage import Input, Option, Setting, run_stage

Placed = list[tuple[str, SqlPrediction]]  # with the place in the file


def cases_of(lines: Placed, databases: Path, strict: bool) -> list[list[Case]]:
    """A case for each gold query of each prediction. Raises EssenceError.

    Where there are fences, with the SQL that the other extraction takes from them, too.
    """
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
        sql = extract_sql(text, lenient=not strict)
        cases.append([Case(gold, sql, database, also) for gold in line.gold])
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
    }


def ranking(judged: pd.DataFrame) -> pd.DataFrame:
    """The execution accuracy of each file of predictions, and its rank, under each file of gold.

    `difference`: from the first of these ranks, with intervals that hold together.
    `now_right`, `now_wrong`: predictions that were not so under the first file of gold.
    """
    lines, first = [], {}
    judged = judged.assign(right=judged.verdict.eq("right").where(judged.verdict != "gold fails"))
    for gold, of_gold in judged.groupby("gold_file", sort=False):
        files = dict(list(of_gold.groupby("predictions_file", sort=False)))
        best = max(files.values(), key=lambda own: own.right.mean())
        for file, own in files.items():
            right = own.verdict.eq("right").to_numpy()
            before = first.setdefault(file, right)
            counts = {"gold_fails": own.right.isna(), "now_right": right > before}
            counts |= {"now_wrong": right < before}
            accuracy = summary(own).get(
                "execution_accuracy", dict.fromkeys(("value", "low", "high"))
            )
            line = {"gold": gold, "predictions": file, "rank": None, **accuracy}
            line |= _difference(own, best, len(files) - 1)
            lines.append(line | {name: int(each.sum()) for name, each in counts.items()})
    table = pd.DataFrame(lines)
    return table.assign(rank=table.groupby("gold").value.rank(ascending=False, method="min"))


def _difference(own: pd.DataFrame, best: pd.DataFrame, comparisons: int) -> dict[str, float | None]:
    """In pairs of the same question; none of the best itself, or where questions differ."""
    values = (None, None, None)
    if own is not best and own.db_id.tolist() == best.db_id.tolist():
        pairs = pd.DataFrame({"own": own.right.array, "best": best.right.array}).dropna()
        if len(pairs):
            values = difference_over_rows(pairs.own, pairs.best, comparisons=comparisons)
    return dict(zip(("difference", "difference_low", "difference_high"), values, strict=True))


def score(
    databases: Annotated[Path, Setting("folder of <db_id>/<db_id>.sqlite")],
    predictions: Annotated[list[Path], Input("the predictions; see above for the formats")] = [],  # noqa: B006
    gold: Annotated[list[Path], Option("gold SQL, where it is a file of its own")] = [],  # noqa: B006
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
    if not predictions and not gold:
        raise EssenceError("nothing to score: give --predictions FILE, --gold FILE or both")
    read = {
        (file, of_gold): read_predictions(file, of_gold)
        for of_gold, file in product(gold or [None], predictions or [None])
    }
    cases = cases_of([*chain(*read.values())], databases, strict)
    if rows:
        check_output(rows, *predictions, *gold, *{each[0].database for each in cases})
    several = len(predictions) > 1 or len(gold) > 1
    timed = repeat if predictions and not several else 0
    of_cases = iter(judge(chain(*cases), Sandbox(Limits(seconds=seconds), workers), timed))
    verdicts = [max(islice(of_cases, len(each)), key=_agreement) for each in cases]
    keys = dict.fromkeys(chain.from_iterable(verdicts))
    placed = [
        {"predictions_file": str(file or "gold SQL"), "gold_file": str(of_gold or "the same")}
        | {"place": place, **line.model_dump()}
        for (file, of_gold), lines in read.items()
        for place, line in lines
    ]
    lines = [line | keys | verdict for line, verdict in zip(placed, verdicts, strict=True)]
    if rows:
        write_jsonl(rows, lines)
    texts = {"gold": "", "prediction": "", "question": ""}  # may hold half a character
    judged = pd.DataFrame([line | texts for line in lines])
    failing = failing_gold(judged)
    if several and predictions:
        table = ranking(judged)
        answer = {"ranking": table.astype(object).where(table.notna(), None).to_dict("records")}
        text = f"{table.to_string(index=False, float_format='%.3g', na_rep='-')}\n"
    else:
        answer = {"extraction": "strict" if strict else "lenient", **report(judged)}
        text = _table(answer) if predictions else _gold_faults(lines)
        if warned := warning(failing, len(lines)):
            print(warned, file=sys.stderr if json else sys.stdout)
    print(to_json(answer | {"failing_golds": failing}) if json else text, end="")
    return int(failing["share"] > max_failing_golds)


def _agreement(line: dict[str, Any]) -> list[float]:
    """How well a prediction agrees with one of its question's gold queries; least if that fails."""
    return [line.get(name, -1.0) for name in ("execution_accuracy", "execution_match", "soft_f1")]


def _table(answer: dict[str, Any]) -> str:
    metrics = pd.DataFrame.from_dict(answer["metrics"], orient="index")
    table = metrics.to_string(float_format="%.3f", na_rep="-")
    counts = ", ".join(f"{count} {name}" for name, count in answer["counts"].items())
    return f"SQL of the answers: {answer['extraction']}\n{table}\n{counts}\n"


def _gold_faults(lines: list[dict[str, Any]]) -> str:
    faults = [
        f"{line['place']}, {line['db_id']}: {line['error'] or 'returns nothing'}: {line['gold']}\n"
        for line in lines
        if not line["gold_rows"]
    ]
    return (
        f"{len(lines):,} gold queries; fail or return nothing: {len(faults):,}\n{''.join(faults)}"
    )


if __name__ == "__main__":
    run_stage(score)

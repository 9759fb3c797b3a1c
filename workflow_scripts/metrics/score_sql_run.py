"""Score the saved answers of one run by what their SQL does, and each agent by its own metrics.

    python -m workflow_scripts.metrics.score_sql_run --predictions RUN/predictions.parquet
        --rows rows.parquet --links links.parquet --databases DIR --cache DIR
        --out sql_scores.json --verdicts verdicts.parquet

Decomposer and Refiner rows are executed on the database they are linked to, and every one of them
also on databases rebuilt from its prompt (EX-synthetic). `sql_exact_match` compares SQL with SQL,
where `exact_match` of scores.json compares whole answers.
"""

import argparse
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workflow_scripts.data.groups import comparable_text
from workflow_scripts.errors import EssenceError, run_cli
from workflow_scripts.files import write_json, write_parquet
from workflow_scripts.formats.answers import final_sql
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.intervals import mean_over_rows
from workflow_scripts.metrics.averages import columns
from workflow_scripts.metrics.decomposer.rows import decomposer_row
from workflow_scripts.metrics.execution_verdicts import METRICS, REPEAT, Case, Verdict, judge
from workflow_scripts.metrics.hardness import LEVELS, hardness
from workflow_scripts.metrics.refiner.rows import refiner_row
from workflow_scripts.metrics.selector.rows import selector_row
from workflow_scripts.metrics.synthetic import SyntheticCase, ex_synthetic
from workflow_scripts.sql.cache import CachedSandbox
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.execute import Limits, Sandbox

BY_HARDNESS = (
    *("execution_accuracy", "execution_match", "exact_match_normalised", "ex_synthetic"),
    *("executable_rate", "parse_rate"),
)
VERDICTS = pa.schema(
    [
        pa.field("split", pa.string()),
        pa.field("idx", pa.int64()),
        pa.field("task", pa.string()),
        pa.field("db_id", pa.string()),  # null: not linked
        pa.field("how", pa.string()),  # how the row was linked, or why not
        pa.field("question", pa.string()),
        pa.field("schema", pa.string()),
        pa.field("gold", pa.string()),  # SQL; the Selector's: its answer
        pa.field("prediction", pa.string()),  # likewise; null: the answer holds no SQL
        pa.field("answer", pa.string()),  # the prediction as it was written
        pa.field("verdict", pa.string()),
        pa.field("error", pa.string()),
        pa.field("hardness", pa.string()),
        pa.field("gold_rows", pa.int64()),
        *(pa.field(name, pa.float64()) for name in METRICS),
        pa.field("ex_synthetic", pa.float64()),
    ]
)
Row = dict[str, Any]


def score_sql_run(
    predictions: list[Row], rows: list[Row], links: list[Row], databases: Path,
    sandbox: CachedSandbox, synthetic: Path, repeat: int = REPEAT,
) -> list[Row]:  # fmt: skip
    """A verdict row (columns of `VERDICTS`) a prediction, with its metrics under "metrics".

    `rows` and `links` are those of rows.parquet and links.parquet; `synthetic` is the folder of
    rebuilt databases. Raises EssenceError for a prediction whose row or database is missing.
    """
    by_idx, link_of = {r["idx"]: r for r in rows}, {link["idx"]: link for link in links}
    told = [_joined(p, by_idx, link_of, databases) for p in predictions]
    golds = _gold_by_question(rows)
    queries = [row for row in told if row["task"] != "Selector" and row["gold_sql"]]
    made = dict(zip(map(id, queries), _judged(queries, sandbox, synthetic, repeat), strict=True))
    for row in told:
        if row["task"] == "Selector":
            _judge_selector(row, golds.get(comparable_text(row["question"])))
        else:
            _fill(row, *made.get(id(row), (None, None, None)))
    return told


def _joined(prediction: Row, by_idx: dict, link_of: dict, databases: Path) -> Row:
    """One row with what all three tables know of it."""
    idx = prediction["idx"]
    if idx not in by_idx or idx not in link_of:
        raise EssenceError(
            f"predictions: row idx {idx} is not among the rows and links; predict and link again "
            "from the same rows.parquet"
        )
    row, link = by_idx[idx], link_of[idx]
    database = find_database(databases, link["db_id"]) if link["db_id"] else None
    return {
        **{key: row[key] for key in ("question", "schema", "foreign_keys", "gold_sql", "old_sql")},
        "split": prediction["split"],
        "idx": idx,
        "task": prediction["task"],
        "db_id": link["db_id"],
        "how": link["how"],
        "database": database,
        "answer": prediction["prediction"],
        "gold_answer": prediction["gold"],
    }


def _gold_by_question(rows: list[Row]) -> dict[str, str]:
    """The gold SQL of a Selector's question stands in another row with the same question."""
    golds: dict[str, str] = {}
    for row in rows:
        if row["gold_sql"]:
            golds.setdefault(comparable_text(row["question"]), row["gold_sql"])
    return golds


def _judged(
    rows: list[Row], sandbox: CachedSandbox, synthetic: Path, repeat: int
) -> Iterator[tuple[Verdict, Verdict | None, float | None]]:
    """(verdict, the Refiner's verdict on the old SQL, EX-synthetic) of each row."""

    def case(row: Row, sql: str | None) -> Case:
        return Case(row["db_id"], row["question"], row["gold_sql"], sql, row["database"])

    answers = [final_sql(row["task"], row["answer"] or "") for row in rows]
    new = judge(map(case, rows, answers), sandbox, repeat)
    repairs = [row for row in rows if row["task"] == "Refiner"]
    old = dict(
        zip(
            map(id, repairs),
            judge([case(row, row["old_sql"]) for row in repairs], sandbox, repeat=0),
            strict=True,
        )
    )
    made = ex_synthetic(
        [
            SyntheticCase(row["schema"], row["foreign_keys"] or "", row["gold_sql"], sql)
            for row, sql in zip(rows, answers, strict=True)
        ],
        sandbox,
        synthetic,
    )
    for row, verdict, value in zip(rows, new, made, strict=True):
        yield verdict, old.get(id(row)), value


def _fill(row: Row, verdict: Verdict | None, old: Verdict | None, synthetic: float | None) -> None:
    metrics = {"linked_rate": float(row["db_id"] is not None)}
    row.update(gold=row["gold_sql"], prediction=None, verdict="no gold", ex_synthetic=synthetic)
    if verdict:
        facts = verdict.as_dict()
        row.update({key: facts[key] for key in facts if key not in ("db_id", "question")})
        metrics |= {name: facts[name] for name in METRICS if facts[name] is not None}
        metrics["sql_exact_match"] = metrics.pop("exact_match")
        if verdict.execution_accuracy is not None:
            apart = "nonempty" if verdict.gold_rows else "empty"
            metrics[f"execution_accuracy_{apart}_gold"] = verdict.execution_accuracy
    if synthetic is not None:
        metrics["ex_synthetic"] = synthetic
    if row["task"] == "Decomposer":
        metrics |= decomposer_row(row["answer"] or "", row["gold_answer"], row["schema"])
    elif verdict and old:
        metrics |= refiner_row(verdict, old)
    row["metrics"] = metrics


def _judge_selector(row: Row, gold_sql: str | None) -> None:
    metrics = selector_row(row["answer"] or "", row["gold_answer"], row["schema"], gold_sql)
    right = metrics["column_f1"] == 1 and metrics["valid_json"] == 1
    row.update(
        gold=row["gold_answer"].strip(),
        prediction=row["answer"],
        verdict=("right" if right else "wrong") if metrics["valid_json"] else "no json",
        error=None if metrics["valid_json"] else "the answer holds no JSON object of tables",
        hardness=hardness(gold_sql) if gold_sql else None,
        metrics={"linked_rate": float(row["db_id"] is not None), **metrics},
    )


def scores(told: list[Row]) -> Iterator[Row]:
    """A score a split, task and metric, in a fixed order; "all" where tasks share the metric."""
    for split in dict.fromkeys(row["split"] for row in told):
        for task in ("all", *TASKS):
            chosen = [r for r in told if r["split"] == split and task in ("all", r["task"])]
            shared = set(METRICS) | {"sql_exact_match", "linked_rate", "ex_synthetic"}
            for metric, values in sorted(columns(row["metrics"] for row in chosen).items()):
                common = metric in shared or metric.startswith("execution_accuracy")
                if task != "all" or common:
                    yield _score(split, task, metric, values)


def scores_by_hardness(told: list[Row]) -> Iterator[Row]:
    """As `scores`, for a few metrics, with the key "hardness" (of the gold SQL)."""
    for level in LEVELS:
        rows = [
            {**row, "metrics": {k: v for k, v in row["metrics"].items() if k in BY_HARDNESS}}
            for row in told
            if row.get("hardness") == level
        ]
        yield from ({**score, "hardness": level} for score in scores(rows))


def _score(split: str, task: str, metric: str, values: list[float]) -> Row:
    value, low, high = mean_over_rows(values)
    return {
        **{"split": split, "task": task, "metric": metric},
        **{"value": value, "low": low, "high": high, "n": len(values)},
    }


def verdict_table(told: Iterable[Row]) -> pa.Table:
    rows = [{name: row.get(name) for name in VERDICTS.names} for row in told]
    return pa.Table.from_pylist(rows, schema=VERDICTS)


def _read(path: Path, names: list[str]) -> list[Row]:
    try:
        return pq.read_table(path, columns=names).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise EssenceError(f"{path}: can't be read ({error}); make it again") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("predictions", "rows", "links", "databases", "cache", "out", "verdicts"):
        parser.add_argument(f"--{name}", required=True, type=Path)
    parser.add_argument("--recipe")
    parser.add_argument("--run")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--seconds", type=float, default=Limits.seconds, help="longest query")
    parser.add_argument("--repeat", type=int, default=REPEAT, help="timed runs for VES; 0: none")
    parser.add_argument("--workers", type=int, default=min(4, os.cpu_count() or 1))
    given = parser.parse_args()
    of_rows = ["idx", "question", "schema", "foreign_keys", "gold_sql", "old_sql"]
    predictions = _read(given.predictions, ["split", "idx", "task", "gold", "prediction"])
    if not predictions:
        raise EssenceError(f"{given.predictions}: no answers in it. Predict again.")
    with Sandbox(Limits(seconds=given.seconds), given.workers) as sandbox:
        told = score_sql_run(
            predictions, _read(given.rows, of_rows), _read(given.links, ["idx", "db_id", "how"]),
            given.databases, CachedSandbox(sandbox, given.cache / "results"),
            given.cache / "synthetic", given.repeat,
        )  # fmt: skip
    write_parquet(given.verdicts, verdict_table(told))
    write_json(
        given.out,
        {
            "recipe": given.recipe,
            "run": given.run,
            "seed": given.seed,
            "scores": list(scores(told)),
            "by_hardness": list(scores_by_hardness(told)),
        },
    )


if __name__ == "__main__":
    run_cli(main)

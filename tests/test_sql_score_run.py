"""Scoring a run by its SQL: the tables in, the scores and verdicts out."""

import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from workflow_scripts.formats.answers import render_decomposer, render_refiner, render_selector

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = """# Table: item
[
  (id, id.),
  (name, name. Value examples: ['pen', 'ink'].),
  (price, price. Value examples: [1, 4].)
]"""
GOLD = "SELECT name FROM item WHERE price > 2"
NOBODY = "SELECT name FROM item WHERE price > 99"


def row(idx, task, answer, gold_sql=None, question=None, **more) -> dict:
    fields = {"idx": idx, "task": task, "question": question or f"Question {idx}?"}
    fields |= {"schema": SCHEMA, "foreign_keys": "", "gold_sql": gold_sql, "old_sql": None}
    return {**fields, "target": answer, **more}


SELECTION = render_selector({"item": ["name", "price"]})
ROWS = [
    row(0, "Selector", SELECTION, question="Which are dear?"),
    row(1, "Decomposer", render_decomposer([("?", GOLD)]), GOLD, "Which are dear?"),
    row(2, "Refiner", render_refiner(GOLD), GOLD, old_sql="SELECT nam FROM item"),
    row(3, "Decomposer", render_decomposer([("?", NOBODY)]), NOBODY),
    row(4, "Decomposer", render_decomposer([("?", GOLD)]), GOLD),  # not linked
    row(5, "Selector", SELECTION),
]
LINKS = [{"idx": r["idx"], "db_id": "shop", "how": "schema"} for r in ROWS[:4]]
LINKS += [{"idx": i, "db_id": None, "how": "ambiguous"} for i in (4, 5)]


@pytest.fixture
def folder(tmp_path) -> Path:
    path = tmp_path / "databases/shop/shop.sqlite"
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price INTEGER)")
    connection.execute("INSERT INTO item VALUES (1, 'pen', 1), (2, 'ink', 4)")
    connection.commit()
    connection.close()
    write(tmp_path / "rows.parquet", ROWS)
    write(tmp_path / "links.parquet", LINKS)
    return tmp_path


def write(path: Path, rows: list[dict]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def predictions(answers: dict[int, str]) -> list[dict]:
    return [
        {"split": split, "idx": r["idx"], "task": r["task"], "gold": r["target"],
         "prediction": answers.get(r["idx"], r["target"])}
        for split in ("val", "test") for r in ROWS
    ]  # fmt: skip


def score(folder: Path, told: list[dict], *more: str) -> subprocess.CompletedProcess:
    write(folder / "predictions.parquet", told)
    names = {"predictions": ".parquet", "rows": ".parquet", "links": ".parquet", "databases": "",
             "cache": "", "out": ".json", "verdicts": ".parquet"}  # fmt: skip
    flags = [x for name, end in names.items() for x in (f"--{name}", folder / f"{name}{end}")]
    return subprocess.run(
        [sys.executable, "-m", "workflow_scripts.metrics.score_sql_run", *flags, *more],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip


def read(folder: Path) -> tuple[dict, dict]:
    answer = json.loads((folder / "out.json").read_text())
    values = {(s["split"], s["task"], s["metric"]): s for s in answer["scores"]}
    assert len(values) == len(answer["scores"])
    return answer, values


def test_gold_against_gold_is_perfect_and_repeats_to_the_byte(folder):
    done = score(folder, predictions({}), "--recipe", "repaired", "--run", "r1", "--seed", "42")
    assert done.returncode == 0, done.stderr
    answer, values = read(folder)
    assert (answer["recipe"], answer["run"], answer["seed"]) == ("repaired", "r1", 42)
    apart = {
        *("linked_rate", "compression", "unknown_names", "sub_questions", "unchanged_rate"),
    }
    off = {k: s["value"] for k, s in values.items() if k[2] not in apart and s["value"] != 1}
    assert off == {}
    assert values["val", "all", "execution_accuracy"]["n"] == 3
    assert values["val", "all", "linked_rate"]["value"] == pytest.approx(4 / 6)
    assert values["val", "Decomposer", "execution_accuracy_empty_gold"]["n"] == 1
    assert values["val", "all", "ex_synthetic"]["n"] >= 3  # the row without a link among them
    assert values["val", "Selector", "needed_recall"]["n"] == 1  # question 0 has a gold SQL
    files = [(folder / name).read_bytes() for name in ("out.json", "verdicts.parquet")]
    score(folder, predictions({}), "--recipe", "repaired", "--run", "r1", "--seed", "42")
    assert files == [(folder / name).read_bytes() for name in ("out.json", "verdicts.parquet")]


def test_verdicts_and_scores_of_bad_answers(folder):
    endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) SELECT count(*) FROM c"
    answers = {
        0: "no idea",
        1: render_decomposer([("?", "SELECT ghost FROM item")]),
        2: render_refiner("SELECT nam  FROM item;"),
        3: f"Sub question 1: ?\nSQL\n```sql\n{endless}\n```",
        4: "sql SELECT name FROM item",
        5: render_selector({"item": "keep_all"}),
    }
    done = score(folder, predictions(answers), "--repeat", "0")
    assert done.returncode == 0, done.stderr
    answer, values = read(folder)
    verdicts = pq.read_table(folder / "verdicts.parquet").to_pylist()[:6]
    assert [v["verdict"] for v in verdicts] == [
        "no json", "error", "error", "timeout", "not linked", "wrong",
    ]  # fmt: skip
    assert "ghost" in verdicts[1]["error"] and verdicts[1]["prediction"] == "SELECT ghost FROM item"
    assert verdicts[1]["gold"] == GOLD and verdicts[1]["schema"] == SCHEMA
    assert verdicts[4]["prediction"] is None and verdicts[4]["how"] == "ambiguous"
    assert verdicts[0]["hardness"] == "easy" and verdicts[0]["answer"] == "no idea"
    assert values["test", "all", "execution_accuracy"]["value"] == 0
    assert values["test", "Refiner", "unchanged_rate"]["value"] == 1
    assert values["test", "Refiner", "fix_rate"]["value"] == 0
    assert values["test", "Decomposer", "fence_rate"]["value"] == pytest.approx(2 / 3)
    assert values["test", "Selector", "valid_json"]["value"] == 0.5
    levels = {(s["hardness"], s["task"], s["metric"]) for s in answer["by_hardness"]}
    assert ("easy", "Decomposer", "execution_accuracy") in levels
    assert all(s["n"] > 0 and s["low"] <= s["value"] <= s["high"] for s in answer["scores"])


def test_tables_that_do_not_fit_together(folder):
    strange = [{**predictions({})[0], "idx": 99}]
    assert "row idx 99" in score(folder, strange).stderr
    write(folder / "links.parquet", [{**link, "db_id": "gone"} for link in LINKS])
    assert "unknown db_id 'gone'" in score(folder, predictions({})).stderr
    (folder / "links.parquet").write_bytes(b"no table")
    assert "links.parquet" in score(folder, predictions({})).stderr

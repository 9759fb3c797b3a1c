"""The twin: what it promises about its rows, databases, gold SQL and broken SQL."""

import filecmp
from collections import Counter, defaultdict

from test_data_build import check_sql

from tools.twin.build import TwinRows, TwinSettings, build
from workflow_scripts.data.rows import row_from
from workflow_scripts.files import read_jsonl


def test_rows_have_the_real_sets_numbers_and_sql_as_the_answer_sheet_says(twin):
    rows = {row["idx"]: row_from(row, line=1) for row in read_jsonl(twin / "rows.jsonl")}
    truth = {fact["idx"]: fact for fact in read_jsonl(twin / "truth.jsonl")}
    assert list(rows) == sorted(rows) == list(truth)
    counts = {"Decomposer": 2029, "Selector": 1009, "Refiner": 337}
    assert Counter(row.task for row in rows.values()) == counts
    ways = Counter(fact["kind"] for fact in truth.values() if fact["task"] == "Refiner")
    assert len(ways) >= 15 and max(ways.values()) < 60
    asked = defaultdict(set)
    for idx, fact in truth.items():
        row = rows[idx]
        assert (row.task, row.question) == (fact["task"], fact["question"])
        asked[fact["gold_sql"]].add(idx if fact["task"] == "Refiner" else idx // 2)
        if row.task == "Selector":
            assert idx % 2 == 0 and row.db_id == fact["db_id"]
            assert rows[idx + 1].question == row.question
        else:
            assert row.db_id is None and row.gold_sql == fact["gold_sql"]
        check_sql(row, twin / "databases" / fact["db_id"] / f"{fact['db_id']}.sqlite")
    assert all(len(group) == 1 for group in asked.values()), "gold SQL of two questions"


def test_same_seed_same_bytes_other_seed_other_rows(tmp_path):
    few = TwinRows(Selector=20, Decomposer=40, Refiner=30)
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        build(tmp_path / name, TwinSettings(seed=seed, rows=few, rows_per_table=20))
    files = [str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a").rglob("*.*")]
    assert len(files) >= 19
    for other, equal in (("b", files), ("c", [])):
        same, *_ = filecmp.cmpfiles(tmp_path / "a", tmp_path / other, files, shallow=False)
        assert same == equal

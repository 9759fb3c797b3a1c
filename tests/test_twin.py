"""The twin: what it promises about its rows, databases, gold SQL and broken SQL."""

import contextlib
import filecmp
import sqlite3
from collections import Counter, defaultdict

import pytest

from tools.twin import build as twin_build
from tools.twin.build import TwinRows, TwinSettings, build
from workflow_scripts.data.rows import row_from
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_jsonl
from workflow_scripts.formats import answers

SMALL = TwinSettings(rows=TwinRows(Selector=20, Decomposer=40, Refiner=30), rows_per_table=20)


@pytest.fixture(scope="module")
def made(twin):
    """The whole twin: rows and answer sheet by idx."""
    rows = {row["idx"]: row_from(row, line=1) for row in read_jsonl(twin / "rows.jsonl")}
    return rows, {fact["idx"]: fact for fact in read_jsonl(twin / "truth.jsonl")}


@pytest.fixture(scope="module")
def connections(twin):
    with contextlib.ExitStack() as stack:
        yield {
            file.stem: stack.enter_context(
                contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True))
            )
            for file in sorted(twin.glob("databases/*/*.sqlite"))
        }


def test_has_the_real_sets_proportions_and_numbers(made):
    rows, truth = made
    counts = {"Decomposer": 2029, "Selector": 1009, "Refiner": 337}
    assert Counter(row.task for row in rows.values()) == counts
    assert list(rows) == sorted(rows) == list(truth)
    asked = defaultdict(set)
    for idx, fact in truth.items():
        assert (rows[idx].task, rows[idx].question) == (fact["task"], fact["question"])
        asked[fact["gold_sql"]].add(idx if fact["task"] == "Refiner" else idx // 2)
        if fact["task"] == "Selector":
            assert idx % 2 == 0 and rows[idx].db_id == fact["db_id"]
            assert rows[idx + 1].question == fact["question"]
        else:
            assert rows[idx].db_id is None
    assert all(len(group) == 1 for group in asked.values()), "gold SQL of two questions"


def test_gold_sql_and_its_steps_run_and_broken_sql_fails_with_the_error_of_its_row(
    made, connections
):
    rows, truth = made
    ways = Counter(fact["kind"] for fact in truth.values() if fact["task"] == "Refiner")
    assert len(ways) >= 15 and max(ways.values()) < 60
    for idx, fact in truth.items():
        run = connections[fact["db_id"]].execute
        returned = run(fact["gold_sql"]).fetchall()
        assert any(value is not None for row in returned for value in row), fact["gold_sql"]
        if fact["task"] == "Decomposer":
            pairs = answers.parse_decomposer(rows[idx].target)
            assert pairs[-1] == (fact["question"], fact["gold_sql"])
            assert all(run(sql) for _, sql in pairs)
        elif fact["task"] == "Refiner":
            assert answers.extract_sql(rows[idx].target) == fact["gold_sql"]
            with pytest.raises(sqlite3.Error) as caught:
                run(rows[idx].old_sql).fetchall()
            assert str(caught.value) == rows[idx].error
            assert str(caught.type) == rows[idx].exception_class


def test_same_seed_same_bytes_other_seed_other_rows(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        build(tmp_path / name, SMALL.model_copy(update={"seed": seed}))
    files = [str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a").rglob("*.*")]
    assert len(files) >= 19
    same, *others = filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", files, shallow=False)
    assert same == files and others == [[], []]
    same, *_ = filecmp.cmpfiles(tmp_path / "a", tmp_path / "c", files, shallow=False)
    assert not same


def test_an_exhausted_database_is_refused_with_a_cure(tmp_path, monkeypatch):
    monkeypatch.setattr(twin_build, "TRIES", 3)
    with pytest.raises(EssenceError, match=r"school_district.*fewer rows"):
        build(tmp_path, TwinSettings(domains_per_database=7))

"""The twin: what it promises about its rows, databases, gold SQL and broken SQL."""

import contextlib
import filecmp
import re
import sqlite3
from collections import Counter, defaultdict

import pytest

from workflow_scripts.data.rows import row_from
from workflow_scripts.data.twin import build as twin_build
from workflow_scripts.data.twin.build import TwinRows, TwinSettings, build
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_jsonl
from workflow_scripts.formats import answers
from workflow_scripts.formats.schema import parse_schema
from workflow_scripts.records import parsed

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


def test_databases_are_of_different_domains_with_real_keys_and_nulls(connections):
    assert len(connections) >= 16
    names, table_sets, nulls = set(), [], 0
    for db in connections.values():
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master")]
        assert 2 <= len(tables) <= 6
        assert any(db.execute(f"PRAGMA foreign_key_list(`{t}`)").fetchall() for t in tables)
        assert not db.execute("PRAGMA foreign_key_check").fetchall()
        for table in tables:
            columns = db.execute(f"PRAGMA table_info(`{table}`)").fetchall()
            assert sum(column[5] for column in columns) == 1, "one primary key"
            names |= {column[1] for column in columns}
            for column in columns:
                query = f"SELECT COUNT(*) FROM `{table}` WHERE `{column[1]}` IS NULL"
                nulls += db.execute(query).fetchone()[0]
        table_sets.append(frozenset(tables))
    assert len(set(table_sets)) == len(table_sets)
    assert nulls > 100
    assert {"Unit Price (EUR)", "order", "table", "total cost"} <= names, "backticks matter"


def test_every_gold_and_sub_query_executes_and_gold_returns_something(made, connections):
    rows, truth = made
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


def test_every_broken_sql_fails_with_the_error_that_its_row_states(made, connections):
    rows, truth = made
    ways = Counter(fact["kind"] for fact in truth.values() if fact["task"] == "Refiner")
    assert len(ways) >= 15
    assert ways.most_common(1)[0][1] < 60, ways
    for idx, fact in truth.items():
        row = rows[idx]
        if row.task == "Refiner":
            with pytest.raises(sqlite3.Error) as caught:
                connections[fact["db_id"]].execute(row.old_sql).fetchall()
            assert (str(caught.value), str(caught.type)) == (row.error, row.exception_class)


def test_refiner_questions_name_nothing_of_the_schema_and_no_value(made):
    for row in made[0].values():
        if row.task == "Refiner":
            assert not row.evidence and not re.search(r"\d", row.question)
            columns = [(t, c) for t in parse_schema(row.schema) for c in t.columns]
            names = " ".join(f"{t.name} {c.name} {c.description}" for t, c in columns)
            schema, asked = (
                set(re.findall(r"[a-z]{4,}", text.lower())) for text in (names, row.question)
            )
            assert not asked & schema, row.question


def test_selectors_keep_drop_and_list(made):
    rows, truth = made
    selected = [idx for idx, fact in truth.items() if fact["task"] == "Selector"]
    choices = [c for idx in selected for c in answers.parse_selector(rows[idx].target).values()]
    kinds = Counter(each if isinstance(each, str) else "list" for each in choices)
    assert min(kinds[kind] for kind in ("keep_all", "drop_all", "list")) > 200, kinds


def test_questions_are_of_many_shapes_and_much_evidence(made):
    rows, truth = made
    steps = [row for row in rows.values() if row.task == "Decomposer"]
    assert len({truth[row.idx]["kind"] for row in steps}) >= 20
    assert 0.3 < sum(bool(row.evidence) for row in steps) / len(steps) < 0.9


def test_same_seed_same_bytes_other_seed_other_rows(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        build(tmp_path / name, SMALL.model_copy(update={"seed": seed}))
    files = [str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a").rglob("*.*")]
    assert len(files) >= 19
    same, *others = filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", files, shallow=False)
    assert same == files and others == [[], []]
    same, *_ = filecmp.cmpfiles(tmp_path / "a", tmp_path / "c", files, shallow=False)
    assert not same


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sead": 1}, "sead"),
        ({"rows": {"Judge": 1}}, "rows: unknown key Judge"),
        ({"rows": {"Refiner": -1}}, "rows.Refiner"),
        ({"rows_per_table": 5000}, "rows_per_table"),
    ],
)
def test_bad_settings_are_named(given, message):
    with pytest.raises(EssenceError, match=message):
        parsed(TwinSettings, given, "settings")


def test_an_exhausted_database_is_refused_with_a_cure(tmp_path, monkeypatch):
    monkeypatch.setattr(twin_build, "TRIES", 3)
    with pytest.raises(EssenceError, match=r"school_district.*fewer rows"):
        build(tmp_path, TwinSettings(domains_per_database=7))

"""The twin: what it promises about its rows, databases, gold SQL and broken SQL."""

import contextlib
import filecmp
import re
import sqlite3
from collections import Counter, defaultdict

import pytest

from workflow_scripts.artifacts.data import TwinRows, TwinSettings
from workflow_scripts.data.twin import rows as rows_module
from workflow_scripts.data.twin.build import build
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_jsonl
from workflow_scripts.formats import answers
from workflow_scripts.formats.prompts import parse_prompt
from workflow_scripts.formats.schema import parse_schema
from workflow_scripts.records import parsed

SMALL = TwinSettings(rows=TwinRows(Selector=20, Decomposer=40, Refiner=30), rows_per_table=20)


@pytest.fixture(scope="module")
def made(twin):
    """The whole twin: its folder, rows by idx and answer sheet by idx."""
    rows = {row["idx"]: row["messages"] for row in read_jsonl(twin / "rows.jsonl")}
    truth = {fact["idx"]: fact for fact in read_jsonl(twin / "truth.jsonl")}
    return twin, rows, truth


@pytest.fixture(scope="module")
def connections(made):
    with contextlib.ExitStack() as stack:
        yield {
            file.stem: stack.enter_context(
                contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True))
            )
            for file in sorted(made[0].glob("databases/*/*.sqlite"))
        }


def test_has_the_real_sets_proportions(made):
    _, rows, truth = made
    assert Counter(fact["task"] for fact in truth.values()) == {
        "Decomposer": 2029,
        "Selector": 1009,
        "Refiner": 337,
    }
    assert list(rows) == sorted(rows) == list(truth)


def test_selector_rows_share_their_question_with_the_next_decomposer_row(made):
    _, _, truth = made
    for idx, fact in truth.items():
        if fact["task"] == "Selector":
            assert idx % 2 == 0
            assert truth[idx + 1]["task"] == "Decomposer"
            assert truth[idx + 1]["question"] == fact["question"]


def test_gold_sql_is_distinct_between_question_groups(made):
    _, _, truth = made
    groups = defaultdict(set)
    for idx, fact in truth.items():
        groups[fact["gold_sql"]].add(idx if fact["task"] == "Refiner" else idx // 2)
    assert all(len(group) == 1 for group in groups.values())


def test_databases_are_of_different_domains_with_real_keys_and_nulls(made, connections):
    assert len(connections) >= 16
    table_sets, nulls = [], 0
    for db in connections.values():
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master")]
        assert 2 <= len(tables) <= 6
        assert any(db.execute(f"PRAGMA foreign_key_list(`{t}`)").fetchall() for t in tables)
        assert not db.execute("PRAGMA foreign_key_check").fetchall()
        for table in tables:
            columns = db.execute(f"PRAGMA table_info(`{table}`)").fetchall()
            assert sum(column[5] for column in columns) == 1, "one primary key"
            for column in columns:
                query = f"SELECT COUNT(*) FROM `{table}` WHERE `{column[1]}` IS NULL"
                nulls += db.execute(query).fetchone()[0]
        table_sets.append(frozenset(tables))
    assert len(set(table_sets)) == len(table_sets)
    assert nulls > 100


def test_names_make_backticks_matter(connections):
    names = {
        column[1]
        for db in connections.values()
        for (table,) in db.execute("SELECT name FROM sqlite_master").fetchall()
        for column in db.execute(f"PRAGMA table_info(`{table}`)")
    }
    assert {"Unit Price (EUR)", "order", "table", "total cost"} <= names


def test_every_gold_and_sub_query_executes_and_gold_returns_something(made, connections):
    for fact in made[2].values():
        db = connections[fact["db_id"]]
        for _, sql in fact["sub_questions"]:
            db.execute(sql).fetchall()
        rows = db.execute(fact["gold_sql"]).fetchall()
        assert any(value is not None for row in rows for value in row), fact["gold_sql"]


def test_every_broken_sql_fails_with_the_recorded_error(made, connections):
    ways = Counter()
    for idx, fact in made[2].items():
        if fact["task"] != "Refiner":
            continue
        with pytest.raises(sqlite3.Error) as caught:
            connections[fact["db_id"]].execute(fact["old_sql"]).fetchall()
        assert str(caught.value) == fact["error"]
        prompt = parse_prompt(made[1][idx][1]["content"])
        assert (prompt.old_sql, prompt.error) == (fact["old_sql"], fact["error"])
        assert prompt.exception_class == str(type(caught.value))
        assert fact["old_sql"] != fact["gold_sql"]
        ways[fact["broken_by"]] += 1
    assert len(ways) >= 15
    assert ways.most_common(1)[0][1] < 60, ways


def test_refiner_questions_name_nothing_of_the_schema_and_no_value(made):
    for idx, fact in made[2].items():
        if fact["task"] != "Refiner":
            continue
        prompt = parse_prompt(made[1][idx][1]["content"])
        assert not prompt.evidence
        names = " ".join(
            f"{table.name} {column.name} {column.description}"
            for table in parse_schema(prompt.schema)
            for column in table.columns
        )
        schema = set(re.findall(r"[a-z]{4,}", names.lower()))
        asked = set(re.findall(r"[a-z]{4,}", prompt.question.lower()))
        assert not asked & schema, prompt.question
        assert not re.search(r"\d", prompt.question)


def test_answers_parse_and_agree_with_the_answer_sheet(made):
    _, rows, truth = made
    for idx, fact in truth.items():
        answer = rows[idx][2]["content"]
        if fact["task"] == "Selector":
            selection = answers.parse_selector(answer)
            assert selection == fact["selection"]
            for table, choice in selection.items():
                assert (choice != "drop_all") == (table in fact["tables"])
                if isinstance(choice, list):
                    used = {
                        c.split(".", 1)[1] for c in fact["columns"] if c.startswith(table + ".")
                    }
                    assert used <= set(choice)
                    assert len(choice) <= 6
        elif fact["task"] == "Decomposer":
            pairs = answers.parse_decomposer(answer)
            assert pairs[-1] == (fact["question"], fact["gold_sql"])
            assert [list(pair) for pair in pairs] == fact["sub_questions"]
        else:
            assert answers.extract_sql(answer) == fact["gold_sql"]


def test_selector_answers_are_of_all_three_kinds(made):
    kinds = Counter(
        choice if isinstance(choice, str) else "list"
        for fact in made[2].values()
        for choice in fact.get("selection", {}).values()
    )
    assert min(kinds[kind] for kind in ("keep_all", "drop_all", "list")) > 200, kinds


def test_pruned_schemas_hold_what_the_gold_sql_needs(made):
    _, rows, truth = made
    for idx, fact in truth.items():
        prompt = parse_prompt(rows[idx][1]["content"])
        shown = {f"{t.name}.{c.name}" for t in parse_schema(prompt.schema) for c in t.columns}
        assert set(fact["columns"]) <= shown
        assert prompt.question == fact["question"]
        assert prompt.db_id == (fact["db_id"] if fact["task"] == "Selector" else None)


def test_questions_are_of_many_shapes_and_much_evidence(made):
    _, rows, truth = made
    shapes = Counter(f["shape"] for f in truth.values() if f["task"] == "Decomposer")
    assert len(shapes) >= 20
    texts = [rows[i][1]["content"] for i, f in truth.items() if f["task"] == "Decomposer"]
    explained = sum(bool(parse_prompt(text).evidence) for text in texts)
    assert 0.3 < explained / len(texts) < 0.9


def test_same_seed_same_bytes_other_seed_other_rows(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        build(tmp_path / name, SMALL.model_copy(update={"seed": seed}))
    files = sorted(
        str(path.relative_to(tmp_path / "a"))
        for path in (tmp_path / "a").rglob("*.*")
        if path.is_file()
    )
    assert len(files) >= 19
    match, *others = filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", files, shallow=False)
    assert match == files and others == [[], []]
    match, *_ = filecmp.cmpfiles(tmp_path / "a", tmp_path / "c", files, shallow=False)
    assert not match


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"sead": 1}, "sead"),
        ({"rows": {"Judge": 1}}, "rows.Judge"),
        ({"rows": {"Refiner": -1}}, "rows.Refiner"),
        ({"rows_per_table": 5000}, "rows_per_table"),
    ],
)
def test_bad_settings_are_named(given, said):
    with pytest.raises(EssenceError, match=said):
        parsed(TwinSettings, given, "settings")


def test_an_exhausted_database_is_refused_with_a_cure(made, monkeypatch):
    monkeypatch.setattr(rows_module, "TRIES", 3)
    settings = TwinSettings()
    worlds = rows_module.make_worlds(settings)[:1]
    db_id = worlds[0].db_id
    files = {db_id: made[0] / "databases" / db_id / f"{db_id}.sqlite"}
    with pytest.raises(EssenceError, match=f"{db_id}.*fewer rows"):
        rows_module.make_rows(worlds, files, settings)

"""Rows built from questions and databases: read whole, linked, true to gold SQL; their steps."""

import contextlib
import json
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
import sample_rows
from material import SQL_EXAMPLES, Databases, made_database

from workflow_scripts.data.build import build
from workflow_scripts.data.linking import Linker
from workflow_scripts.data.rows import row_from
from workflow_scripts.data.sub_questions import in_words, steps_before
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json, read_jsonl
from workflow_scripts.formats.answers import parse_decomposer, parse_selector
from workflow_scripts.metrics.agents import selector_metrics
from workflow_scripts.sql.databases import list_databases
from workflow_scripts.sql.parse import needed_columns, parse, schema_names
from workflow_scripts.tables import PREDICTIONS, Prediction, Row, write_table

ZOO = """
CREATE TABLE keeper (id INTEGER PRIMARY KEY, town TEXT);
CREATE TABLE animal (id INTEGER PRIMARY KEY, name TEXT, kind TEXT, keeper INTEGER, weight INTEGER);
CREATE VIEW lions AS SELECT name FROM animal WHERE kind = 'lion';
INSERT INTO keeper VALUES (1, 'Bern'), (2, 'Rome');
INSERT INTO animal VALUES (1, 'Rex', 'lion', 1, 190), (2, 'Tom', 'cat', 2, 4);
"""
HEAVY = "SELECT name FROM animal WHERE weight > 100"


class Made:
    """What was built of a few databases, and what it was built from."""

    def __init__(self, folder: Path, databases: Databases):
        self.databases, questions = databases, databases.sample(10_000, seed=5)
        chosen = sorted({question["db_id"] for question in questions})[:5]
        self.questions = [question for question in questions if question["db_id"] in chosen]
        given, out = folder / "questions.json", folder / "rows.jsonl"
        given.write_text(json.dumps(self.questions))
        build("spider", given, databases.folder, out, broken_share=0.5)
        self.rows, self.card = read_built(out)

    def of(self, task: str) -> dict[int, Row]:
        return {row.idx: row for row in self.rows if row.task == task}


def read_built(file: Path) -> tuple[list[Row], dict]:
    """The rows and the card."""
    rows = [row_from(record, line) for line, record in enumerate(read_jsonl(file), 1)]
    return rows, read_json(file.with_suffix(".card.json"))


def opened(file: Path) -> contextlib.closing[sqlite3.Connection]:
    connection = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
    connection.text_factory = bytes
    return contextlib.closing(connection)


def check_sql(row: Row, file: Path) -> None:
    """Gold SQL returns something, its steps run, and broken SQL fails with the error of its row."""
    with opened(file) as connection:
        run = connection.execute
        if row.task != "Selector":
            assert any(value is not None for line in run(row.gold_sql) for value in line)
        if row.task == "Decomposer":
            *steps, last = parse_decomposer(row.target)
            assert last == (row.question, row.gold_sql)
            assert all(run(sql).fetchall() for _, sql in steps)
        if row.task == "Refiner":
            with pytest.raises(sqlite3.Error) as caught:
                run(row.old_sql).fetchall()
            assert (str(caught.value), str(caught.type)) == (row.error, row.exception_class)


@pytest.fixture(scope="module")
def made(real_databases, tmp_path_factory) -> Made:
    return Made(tmp_path_factory.mktemp("built"), real_databases)


@pytest.fixture
def zoo(tmp_path):
    """Builds rows of the zoo's questions; returns the rows and the card."""
    made_database(tmp_path / "databases/zoo/zoo.sqlite", ZOO)

    def built(questions: list[dict], form: str = "spider", **settings):
        records = [{"db_id": "zoo", **question} for question in questions]
        given, out = tmp_path / "questions.json", tmp_path / "rows.jsonl"
        given.write_text(json.dumps(records))
        build(form, given, tmp_path / "databases", out, **settings)
        return read_built(out)

    return built


def test_each_question_gives_rows_that_are_read_and_linked_or_is_dropped_with_a_reason(made):
    assert len({row.idx for row in made.rows}) == len(made.rows)
    assert Counter(row.task for row in made.rows) == made.card["rows"]
    linker = Linker(made.rows, dict(list_databases(made.databases.folder)))
    assert {linker.link(row).how for row in made.rows} == {"stated"}
    dropped = sum(each["questions"] for each in made.card["dropped"].values())
    assert made.card["kept"] + dropped == made.card["questions"] == len(made.questions)
    assert made.card["kept"] == made.card["rows"]["Decomposer"] > 20
    assert sum(made.card["failing_sql"].values()) == made.card["rows"]["Refiner"]
    assert dropped < len(made.questions) / 5


def test_gold_sql_returns_what_was_asked_its_steps_run_and_broken_sql_fails(made):
    for row in made.rows:
        check_sql(row, made.databases.path(row.db_id))
    for row in made.of("Decomposer").values():
        question = made.questions[row.idx // 2]
        assert (row.question, row.db_id) == (question["question"].strip(), question["db_id"])
        with opened(made.databases.path(row.db_id)) as connection:
            run = connection.execute
            assert run(row.gold_sql).fetchall() == run(question["query"]).fetchall()
    assert len(made.card["sub_questions"]) > 1 and len(made.card["failing_sql"]) > 5


def test_selector_answers_and_pruned_schemas_hold_what_the_sql_needs(made):
    decomposed, selected = made.of("Decomposer"), made.of("Selector")
    for row in selected.values():
        gold = decomposed[row.idx + 1]
        metrics = selector_metrics(row.target, row.target, row.schema, gold.gold_sql)
        assert metrics.get("needed_recall", 1) == 1
        pruned, whole = schema_names(gold.schema), schema_names(row.schema)
        assert needed_columns(gold.gold_sql, pruned) == needed_columns(gold.gold_sql, whole)
        assert list(pruned) == list(whole) == [t.lower() for t in parse_selector(row.target)]
        assert sum(map(len, whole.values())) > min(30, 6 * len(whole)), "a small one is not pruned"
    large = {row.db_id for row in selected.values()}
    assert 0 < len(large) == made.card["large_databases"] < made.card["databases"]


def test_the_seed_decides_which_sql_is_broken_and_how(zoo, tmp_path):
    questions = [{"question": f"Over {n}?", "query": f"{HEAVY} + {n}"} for n in range(40)]
    files = []
    for seed in (7, 7, 8):
        zoo(questions, broken_share=0.5, seed=seed)
        files.append((tmp_path / "rows.jsonl").read_bytes())
    assert files[0] == files[1] != files[2]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"db_id": "gone"}, "database is missing"),
        ({"question": " "}, "no question"),
        ({"question": "which  ARE heavy?"}, "asked of this database before"),
        ({"query": "SELECT nme FROM animal"}, "SQL fails"),
        ({"query": "SELECT max(weight) FROM animal WHERE id > 9"}, "returns nothing"),
        ({"query": "SELECT cast(weight AS unsigned big int) FROM animal"}, "cannot be parsed"),
        ({"query": "SELECT name FROM lions"}, "do not show"),
        ({"question": "Who?\n【Foreign keys】\nWhy?"}, "could not be read back"),
    ],
)
def test_what_cannot_be_learned_from_is_dropped_with_its_reason(zoo, record, reason):
    good = {"question": "Which are heavy?", "query": HEAVY}
    rows, card = zoo([good, {**good, "question": "Who weighs a lot?", **record}])
    (found,) = card["dropped"]
    assert reason in found and card["dropped"][found]["examples"][0].startswith("number 1: ")
    assert {row.question for row in rows} == {good["question"]}


def test_bird_gives_evidence_and_tables_json_words_and_keys_that_the_file_lacks(zoo, tmp_path):
    entry = {
        "db_id": "zoo",
        "table_names_original": ["Keeper", "Animal"],
        "column_names_original": [(-1, "*"), (0, "ID"), (0, "Town"), (1, "Keeper")],
        "column_names": [(-1, "*"), (0, "id"), (0, "home  town"), (1, "kept by")],
        "foreign_keys": [(3, 1)],
    }
    (tmp_path / "tables.json").write_text(json.dumps([entry]))
    question = {"question": "Which are heavy?", "SQL": HEAVY, "evidence": "heavy: weight > 100"}
    rows, _ = zoo([question], form="bird", tables=tmp_path / "tables.json")
    assert {row.evidence for row in rows} == {question["evidence"]}
    assert "(town, home town. Value examples: ['Bern', 'Rome']." in rows[0].schema
    assert "(keeper, kept by.)" in rows[0].schema  # a key shows no values
    assert "(weight, weight. Value examples: [4, 190].)" in rows[0].schema
    assert rows[0].foreign_keys == "animal.`keeper` = keeper.`id`"


def test_failing_answers_of_a_model_become_refiner_rows(zoo, tmp_path):
    fails, asked = "SELECT nam FROM animal", "Which are heavy?"
    fenced = f"Sub question 1: Heavy?\nSQL\n```sql\n{fails}\n```\nQuestion Solved."
    answered = [
        ("zoo", "which are HEAVY?", fails),
        (None, asked, fenced),  # the same once more
        ("zoo", asked, "SELECT name FROM animal"),  # nothing fails
        ("zoo", asked, None),
        ("farm", asked, "SELECT x FROM animal"),
        ("zoo", "What else?", "SELECT y FROM animal"),
    ]
    file, parquet = tmp_path / "predictions.jsonl", tmp_path / "predictions.parquet"
    keys = ("db_id", "question", "prediction")
    sample_rows.write(file, (dict(zip(keys, each, strict=True)) for each in answered))
    other = Prediction("val", 1, "Decomposer", None, asked, "", "",
        "```sql\nSELECT name FROM lion\n```", 9, False, 0, True)  # fmt: skip
    write_table(parquet, [other], PREDICTIONS)
    questions = [{"question": asked, "query": HEAVY}]
    rows, card = zoo(questions, predictions=[file, parquet], broken_share=0)
    assert card["failing_sql"] == {"prediction": 2}
    assert {row.old_sql: row.error for row in rows if row.task == "Refiner"} == {
        fails: "no such column: nam",
        "SELECT name FROM lion": "no such table: lion",
    }


@pytest.mark.parametrize(
    ("form", "records", "message"),
    [
        ("bird", [{"db_id": "zoo", "question": "?", "query": "SELECT 1"}], "entry 1: SQL: Field"),
        ("spider", [], "no questions"),
        ("sparc", [], "unknown format 'sparc'; known: spider, bird"),
        ("spider", [{"db_id": "x", "question": "?", "query": "SELECT 1"}],
         "no question can be used; number 0: its database is missing .*no such folder"),
    ],
)  # fmt: skip
def test_bad_input_is_told_with_its_place(tmp_path, form, records, message):
    file = tmp_path / "questions.json"
    file.write_text(json.dumps(records))
    with pytest.raises(EssenceError, match=message):
        build(form, file, tmp_path / "databases", tmp_path / "rows.jsonl")
    assert not (tmp_path / "rows.jsonl").exists()


WORDS = {("", "name"): "full name", ("singer", "name"): "full name"}


@pytest.mark.parametrize("example", SQL_EXAMPLES["steps"])
def test_steps_of_a_query(example):
    steps = steps_before(parse(example["sql"]), WORDS)
    said = [{"said": words, "sql": query.sql(dialect="sqlite")} for words, query in steps]
    assert said == example["steps"]


@pytest.mark.parametrize("example", SQL_EXAMPLES["words"])
def test_a_query_in_words(example):
    assert in_words(parse(example["sql"]), {}) == example["words"]

"""Rows built from questions and databases: read whole, linked, true to gold SQL; their steps."""

import contextlib
import json
import sqlite3
from collections import Counter
from pathlib import Path

import pytest
import sample_rows
from material import Databases, made_database

from workflow_scripts.data.build import build
from workflow_scripts.data.linking import Linker
from workflow_scripts.data.read import read
from workflow_scripts.data.sub_questions import in_words, steps_before
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.formats.answers import parse_decomposer, parse_selector
from workflow_scripts.metrics.agents import selector_metrics
from workflow_scripts.sql.databases import list_databases
from workflow_scripts.sql.parse import needed_columns, parse, schema_names
from workflow_scripts.tables import PREDICTIONS, Prediction, Row, read_rows, write_table

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
        self.rows, self.reading = read_built(out)
        self.card = read_json(folder / "rows.card.json")

    def of(self, task: str) -> list[Row]:
        return [row for row in self.rows if row.task == task]

    def run(self, db_id: str, sql: str) -> list[tuple]:
        file = f"{self.databases.path(db_id).as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(file, uri=True)) as connection:
            connection.text_factory = bytes
            return connection.execute(sql).fetchall()


def read_built(file: Path) -> tuple[list[Row], dict]:
    rows, summary = file.with_suffix(".parquet"), file.with_suffix(".reading.json")
    read(file, rows, file.with_suffix(".quarantine.jsonl"), summary)
    return read_rows(rows), read_json(summary)


@pytest.fixture(scope="module")
def made(real_databases, tmp_path_factory) -> Made:
    return Made(tmp_path_factory.mktemp("built"), real_databases)


@pytest.fixture
def zoo(tmp_path):
    """Builds rows of the zoo's questions; returns the rows and the card."""
    made_database(tmp_path / "databases/zoo/zoo.sqlite", ZOO)

    def built(questions: list[dict], form: str = "spider", **settings):
        key = {"spider": "query", "bird": "SQL"}[form]
        records = [{"db_id": "zoo", **question} for question in questions]
        records = [{key: record.pop("sql"), **record} for record in records]
        given, out = tmp_path / "questions.json", tmp_path / "rows.jsonl"
        given.write_text(json.dumps(records))
        build(form, given, tmp_path / "databases", out, **settings)
        return read_built(out)[0], read_json(tmp_path / "rows.card.json")

    return built


def test_each_question_gives_rows_that_are_read_and_linked_or_is_dropped_with_a_reason(made):
    assert made.reading["quarantined"] == 0
    assert made.reading["tasks"] == made.card["rows"]
    linker = Linker(made.rows, dict(list_databases(made.databases.folder)))
    assert {linker.link(row).how for row in made.rows} == {"stated"}
    dropped = sum(each["questions"] for each in made.card["dropped"].values())
    assert made.card["kept"] + dropped == made.card["questions"] == len(made.questions)
    assert made.card["kept"] == made.card["rows"]["Decomposer"] > 20
    assert sum(made.card["failing_sql"].values()) == made.card["rows"]["Refiner"]
    assert dropped < len(made.questions) / 5


def test_gold_sql_returns_what_was_asked_its_steps_run_and_broken_sql_fails(made):
    counts = Counter()
    for row in made.of("Decomposer"):
        question = made.questions[row.idx // 2]
        assert (row.question, row.db_id) == (question["question"].strip(), question["db_id"])
        assert made.run(row.db_id, row.gold_sql) == made.run(row.db_id, question["query"])
        pairs = parse_decomposer(row.target)
        assert pairs[-1] == (row.question, row.gold_sql)
        assert all(made.run(row.db_id, sql) for _, sql in pairs)
        counts[str(len(pairs))] += 1
    assert counts == made.card["sub_questions"] and len(counts) > 1
    for row in made.of("Refiner"):
        with pytest.raises(sqlite3.Error) as caught:
            made.run(row.db_id, row.old_sql)
        assert (str(caught.value), str(caught.type)) == (row.error, row.exception_class)
        assert made.run(row.db_id, row.gold_sql)
    assert len(made.card["failing_sql"]) > 5


def test_selector_answers_and_pruned_schemas_hold_what_the_sql_needs(made):
    decomposed = {row.idx: row for row in made.of("Decomposer")}
    selected = made.of("Selector")
    for row in selected:
        gold = decomposed[row.idx + 1]
        metrics = selector_metrics(row.target, row.target, row.schema, gold.gold_sql)
        assert metrics.get("needed_recall", 1) == 1
        pruned, whole = schema_names(gold.schema), schema_names(row.schema)
        assert needed_columns(gold.gold_sql, pruned) == needed_columns(gold.gold_sql, whole)
        assert list(pruned) == list(whole) == [t.lower() for t in parse_selector(row.target)]
        assert sum(map(len, whole.values())) > min(30, 6 * len(whole)), "a small one is not pruned"
    large = {row.db_id for row in selected}
    assert 0 < len(large) == made.card["large_databases"] < made.card["databases"]


def test_the_seed_decides_which_sql_is_broken_and_how(zoo, tmp_path):
    questions = [{"question": f"Over {n}?", "sql": f"{HEAVY} + {n}"} for n in range(40)]
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
        ({"sql": "SELECT nme FROM animal"}, "SQL fails"),
        ({"sql": "SELECT max(weight) FROM animal WHERE id > 9"}, "returns nothing"),
        ({"sql": "SELECT cast(weight AS unsigned big int) FROM animal"}, "cannot be parsed"),
        ({"sql": "SELECT name FROM lions"}, "do not show"),
        ({"question": "Who?\n【Foreign keys】\nWhy?"}, "could not be read back"),
    ],
)
def test_what_cannot_be_learned_from_is_dropped_with_its_reason(zoo, record, reason):
    good = {"question": "Which are heavy?", "sql": HEAVY}
    rows, card = zoo([good, {**good, "question": "Who weighs a lot?", **record}])
    (found,) = card["dropped"]
    assert reason in found and card["dropped"][found]["examples"][0].startswith("number 1: ")
    assert {row.question for row in rows} == {good["question"]}


def test_bird_rows_carry_their_evidence(zoo):
    said = {"question": "Which are heavy?", "sql": HEAVY, "evidence": "heavy: weight > 100"}
    rows, _ = zoo([said, {"question": "Who is?", "sql": HEAVY}], form="bird")
    assert [row.evidence for row in rows if row.task == "Decomposer"] == [said["evidence"], ""]


def test_tables_json_gives_words_and_the_keys_that_the_file_lacks(zoo, tmp_path):
    columns = [(-1, "*"), (0, "ID"), (0, "Town"), (1, "id"), (1, "name"), (1, "Keeper")]
    words = [(-1, "*"), (0, "id"), (0, "home  town"), (1, "id"), (1, "name"), (1, "kept by")]
    entry = {
        "db_id": "zoo",
        "table_names_original": ["Keeper", "Animal"],
        "column_names_original": columns,
        "column_names": words,
        "foreign_keys": [(5, 1), (5, 1)],
    }
    (tmp_path / "tables.json").write_text(json.dumps([entry]))
    rows, _ = zoo([{"question": "Who?", "sql": HEAVY}], tables=tmp_path / "tables.json")
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
    questions = [{"question": asked, "sql": HEAVY}]
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
STEPS = {
    "SELECT name FROM singer WHERE age > (SELECT avg(age) FROM singer)": [
        ("What is the average age in singer?", "SELECT AVG(age) FROM singer")
    ],
    "SELECT name FROM singer EXCEPT SELECT DISTINCT name FROM singer WHERE town LIKE '%x%'": [
        ("Find the full name in singer.", "SELECT name FROM singer"),
        (
            "Find the different full name in singer where town contains 'x'.",
            "SELECT DISTINCT name FROM singer WHERE town LIKE '%x%'",
        ),
    ],
    "SELECT T2.name FROM concert AS T1 JOIN singer AS T2 ON T1.singer = T2.id WHERE T1.year = 1": [
        ("Find the singer in concert where year is 1.", "SELECT singer FROM concert WHERE year = 1")
    ],
    # both tables have conditions
    "SELECT a.x FROM a JOIN b ON a.i = b.j WHERE a.x = 1 AND b.y = 2": [],
    # not on their own, or no words for them
    "SELECT x FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.i = a.i)": [],
    "WITH c AS (SELECT x FROM a) SELECT x FROM b WHERE x = (SELECT max(x) FROM c)": [
        ("Find the x in a.", "SELECT x FROM a")
    ],
    "SELECT x FROM a WHERE x = (SELECT y FROM b WHERE z LIKE 'p_q')": [],
}


@pytest.mark.parametrize("sql", STEPS)
def test_steps_of_a_query(sql):
    steps = steps_before(parse(sql), WORDS)
    assert [(said, query.sql(dialect="sqlite")) for said, query in steps] == STEPS[sql]


PHRASES = {
    "SELECT count(*) FROM a": "What is the number of rows in a?",
    "SELECT count(DISTINCT x), sum(y) FROM a": (
        "What is the number of different x and total y in a?"
    ),
    "SELECT x, max(y) FROM a GROUP BY x HAVING count(*) >= 2": (
        "Find the x and highest y in a for each x, where number of rows is at least 2."
    ),
    "SELECT x FROM big_town WHERE x IS NULL OR NOT y IN (1, 'q', 3)": (
        "Find the x in big town where x is unknown or y is not 1, 'q' or 3."
    ),
    "SELECT x FROM a WHERE x BETWEEN -1 AND 2 AND y NOT LIKE 'p%' AND z IS NOT NULL": (
        "Find the x in a where x is between -1 and 2 and y does not begin with 'p' and z is known."
    ),
    "SELECT x FROM a ORDER BY count(*) DESC LIMIT 1": (
        "Find the x in a with the highest number of rows."
    ),
    "SELECT x FROM a ORDER BY y, z DESC LIMIT 3": (
        "Find the x in a in the order of y from low to high and z from high to low, the first 3."
    ),
    "SELECT x FROM a WHERE NOT y LIKE '%p' OR NOT z NOT LIKE 'q'": (
        "Find the x in a where y does not end with 'p' or z is 'q'."
    ),
    "SELECT x FROM a WHERE y NOT IN (SELECT y FROM b)": (
        "Find the x in a where y is not among the y in b."
    ),
}


@pytest.mark.parametrize("sql", PHRASES)
def test_a_query_in_words(sql):
    assert in_words(parse(sql), {}) == PHRASES[sql]

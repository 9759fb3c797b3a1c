"""Linking: right wherever the truth is known, and silent where it can't be."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import sample_rows as made
from material import made_database

from tools.linking_trial import trial
from workflow_scripts.data import read as data_read
from workflow_scripts.data.linking import Link, Linker
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_json
from workflow_scripts.formats.schema import render_schema
from workflow_scripts.sql.databases import list_databases
from workflow_scripts.tables import read_rows

DATABASES = {
    "zoo": "CREATE TABLE animal (id INTEGER PRIMARY KEY, name, kind, keeper);"
    "CREATE TABLE keeper (id INTEGER PRIMARY KEY, town);"
    "INSERT INTO animal VALUES (1, 'Rex', 'lion', 1), (2, 'Tom', 'cat', 1);"
    "INSERT INTO keeper VALUES (1, 'Bern');",
    "shelter": "CREATE TABLE animal (id INTEGER PRIMARY KEY, name, kind, age);"
    "INSERT INTO animal VALUES (1, 'Ada', 'dog', 3), (2, 'Bo', 'dog', 4.5);",
    "bank": "CREATE TABLE account (id INTEGER PRIMARY KEY, owner, amount);",
}


@pytest.fixture
def folder(tmp_path) -> Path:
    for name, script in DATABASES.items():
        made_database(tmp_path / "databases" / name / f"{name}.sqlite", script)
    return tmp_path / "databases"


def schema(table: str, *columns: str) -> str:
    lines = [c if "Value examples" in c else f"{c}, {c}." for c in columns]
    return f"# Table: {table}\n[\n" + ",\n".join(f"  ({line})" for line in lines) + "\n]"


def row(text: str, db_id: str | None = None, question: str = "Who?"):
    return SimpleNamespace(db_id=db_id, question=question, schema=text)


def linked(rows, folder: Path | None):
    files = dict(list_databases(folder)) if folder else None
    return list(map(Linker(rows, files).link, rows))


ZOO = schema("animal", "name", "kind, kind. Value examples: ['lion', 'cat'].")
SHELTER = schema("animal", "name", "kind, kind. Value examples: ['dog'].")
SHELTER_AGE = schema("animal", "name", "age, age. Value examples: [3, 4.5].")
ANN = schema("account", "owner, o. Value examples: ['Ann'].")
WAYS = [
    (row(ZOO, "zoo"), Link("zoo", "stated", ["zoo"])),
    (row(SHELTER_AGE, "zoo"), Link(None, "conflict", ["zoo"])),  # no such column
    (row(SHELTER, "zoo"), Link(None, "conflict", ["zoo"])),  # no such value
    (row(ZOO, "circus"), Link(None, "no file", ["circus"])),
    (row(SHELTER), Link("shelter", "values", ["shelter", "zoo"])),
    (row(schema("animal", "name")), Link(None, "ambiguous", ["shelter", "zoo"])),
    (row(schema("ANIMAL", "Name", "AGE, a. Value examples: [3].")),
     Link("shelter", "schema", ["shelter"])),
    (row(schema("account", "owner")), Link(None, "weak", ["bank"])),
    (row(ANN), Link(None, "conflict", ["bank"])),
    (row(schema("planet", "name")), Link(None, "none", [])),
]  # fmt: skip


@pytest.mark.parametrize("subject, expected", WAYS)
def test_each_way_of_linking(folder, subject, expected):
    assert linked([subject], folder) == [expected]


def test_rows_that_state_a_database_help_the_others(folder):
    """By their questions, and by the schema of a database of which there is no file."""
    rows = [
        row(ZOO, "zoo", "How many animals?"),
        row(schema("animal", "name"), None, "how  many ANIMALS?"),
        row(SHELTER_AGE, None, "How many animals?"),  # another database's question, by chance
        row(ZOO, "circus", "Which one roars?"),
        row(ZOO, None, "Which one roars?"),
        row(schema("account", "owner", "amount", "bic"), "other_bank", "How much?"),
        row(ANN, None, "Whose?"),  # a look-alike
    ]
    assert [(link.database, link.how) for link in linked(rows, folder)] == [
        ("zoo", "stated"), ("zoo", "question"), ("shelter", "schema"),
        (None, "no file"), (None, "no file"), (None, "no file"), (None, "ambiguous"),
    ]  # fmt: skip


def test_without_databases_the_rows_that_state_one_show_its_schema():
    one, other = (render_schema(made.tables(db)) for db in (1, 2))
    part, strange = (render_schema(made.tables(db)[:1]) for db in (2, 3))
    rows = [
        row(one, "farm_1", "How many?"),
        row(other, "farm_2", "How old?"),
        row(one, None, "how  many?"),
        row(part, None, "How many?"),  # the question says farm 1, but its tables are farm 2's
        row(strange),
    ]
    assert [(link.database, link.how) for link in linked(rows, None)[2:]] == [
        ("farm_1", "question"), ("farm_2", "schema"), (None, "none"),
    ]  # fmt: skip
    rows += [row(one, "farm_copy", "Which?"), row(one)]
    assert linked(rows, None)[-1] == Link(None, "ambiguous", ["farm_1", "farm_copy"])


def test_precision_and_recall_on_real_databases(real_databases):
    files = dict(list_databases(real_databases.folder))
    whole, pruned = trial(files, "whole", 1), trial(files, "pruned", 3)
    assert whole["precision"] == 1 and whole["recall"] >= 0.99
    assert pruned["precision"] >= 0.99 and pruned["recall"] >= 0.9
    # With the true database away only twins remain: the same table with the same values
    assert whole["links_without_the_true_database"] == 0
    assert pruned["links_without_the_true_database"] <= 0.01 * pruned["prompts"]


def test_reading_links_each_row_and_says_how(folder, tmp_path):
    """Farm 1 is known by its rows alone."""
    rows = [made.raw(1, "Selector", 1, 1), made.raw(2, "Decomposer", 1, 1)]
    raw = made.write(tmp_path / "raw.jsonl", rows)

    def read(databases=None):
        out = (tmp_path / name for name in ("rows", "quarantine", "summary"))
        data_read.read(raw, *out, databases=databases)
        return [(row.database, row.how) for row in read_rows(tmp_path / "rows")]

    assert read() == [("farm_1", "stated"), ("farm_1", "question")]
    assert read(folder) == [(None, "no file"), (None, "no file")]
    assert read_json(tmp_path / "summary")["linked"]["Decomposer"] == {"no file": 1}
    with pytest.raises(EssenceError, match="no such folder of databases"):
        read(tmp_path / "gone")
    (folder / "ark.sqlite").write_bytes(b"oops" * 999)
    with pytest.raises(EssenceError, match=r"ark.sqlite: not a readable SQLite database"):
        read(folder)

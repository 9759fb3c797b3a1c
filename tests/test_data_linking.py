"""Linking: right wherever the truth is known, and silent where it can't be."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from shell import run_module

from tools.linking_trial import trial
from workflow_scripts.artifacts.data import Links
from workflow_scripts.artifacts.parquet import read_rows, write_rows
from workflow_scripts.artifacts.tables import Link, RowSubject
from workflow_scripts.data.catalog import Catalog
from workflow_scripts.data.link import link_rows
from workflow_scripts.data.linking import Linker
from workflow_scripts.data.rows import row_from
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import read_jsonl

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
        path = tmp_path / "databases" / name / f"{name}.sqlite"
        path.parent.mkdir(parents=True)
        connection = sqlite3.connect(path)
        connection.executescript(script)
        connection.commit()
        connection.close()
    return tmp_path / "databases"


@pytest.fixture
def catalog(folder):
    with Catalog(folder) as catalog:
        yield catalog


def schema(table: str, *columns: str) -> str:
    lines = [c if "Value examples" in c else f"{c}, {c}." for c in columns]
    return f"# Table: {table}\n[\n" + ",\n".join(f"  ({line})" for line in lines) + "\n]"


def row(idx: int, text: str, db_id: str | None = None, question: str = "", task="Decomposer"):
    question = question or f"Question {idx}?"
    return RowSubject(idx, task, db_id, question, None, text)


def linked(rows, catalog):
    return link_rows(rows, Linker(rows, catalog))


ZOO = schema("animal", "name", "kind, kind. Value examples: ['lion', 'cat'].")
SHELTER = schema("animal", "name", "kind, kind. Value examples: ['dog'].")
SHELTER_AGE = schema("animal", "name", "age, age. Value examples: [3, 4.5].")


@pytest.mark.parametrize(
    "subject, expected",
    [
        (row(1, ZOO, "zoo"), Link(1, "zoo", "stated", ["zoo"])),
        (row(1, SHELTER_AGE, "zoo"), Link(1, None, "conflict", ["zoo"])),  # no such column
        (row(1, SHELTER, "zoo"), Link(1, None, "conflict", ["zoo"])),  # no such value
        (row(1, ZOO, "circus"), Link(1, None, "no file", ["circus"])),
        (row(1, SHELTER_AGE), Link(1, "shelter", "schema", ["shelter"])),
        (row(1, SHELTER), Link(1, "shelter", "values", ["shelter", "zoo"])),
        (row(1, schema("animal", "name")), Link(1, None, "ambiguous", ["shelter", "zoo"])),
        (row(1, schema("ANIMAL", "Name", "AGE, a. Value examples: [3]."), question="x"),
         Link(1, "shelter", "schema", ["shelter"])),
        (row(1, schema("account", "owner")), Link(1, None, "weak", ["bank"])),
        (row(1, schema("account", "owner, o. Value examples: ['Ann'].")),
         Link(1, None, "conflict", ["bank"])),
        (row(1, schema("planet", "name")), Link(1, None, "none", [])),
        (row(1, "not a schema"), Link(1, None, "none", [])),
    ],
)  # fmt: skip
def test_each_way_of_linking(catalog, subject, expected):
    assert linked([subject], catalog)[0] == [expected]


def test_same_question_as_a_row_that_states_it(catalog):
    rows = [
        row(1, ZOO, "zoo", "How many animals?", "Selector"),
        row(2, schema("animal", "name"), None, "how  many ANIMALS?"),
        row(3, SHELTER_AGE, None, "How many animals?"),  # another database's question, by chance
        row(4, ZOO, "circus", "Which one roars?", "Selector"),
        row(5, ZOO, None, "Which one roars?"),  # the circus, of which there is no file
    ]
    links, _ = linked(rows, catalog)
    assert [(link.db_id, link.how) for link in links] == [
        ("zoo", "stated"), ("zoo", "question"), ("shelter", "schema"),
        (None, "no file"), (None, "no file"),
    ]  # fmt: skip


def test_a_database_that_is_not_here_keeps_its_rows(catalog):
    """Its schema is known from the rows that state it, so a look-alike is not taken for it."""
    rows = [row(1, schema("account", "owner", "amount", "bic"), "other_bank", task="Selector")]
    rows.append(row(2, schema("account", "owner, o. Value examples: ['Ann'].")))
    assert linked(rows, catalog)[0][1] == Link(2, None, "ambiguous", ["bank", "other_bank"])


def test_one_question_of_two_databases_is_decided_by_schema(catalog):
    rows = [
        row(1, ZOO, "zoo", "How many?", "Selector"),
        row(2, SHELTER, "shelter", "How many?", "Selector"),
        row(3, SHELTER, None, "How many?"),
        row(4, schema("animal", "name"), None, "How many?"),
    ]
    links, report = linked(rows, catalog)
    assert [(link.db_id, link.how) for link in links[2:]] == [
        ("shelter", "values"),
        (None, "ambiguous"),
    ]
    assert report.questions_of_several_databases == 1 and report.ambiguous == [4]
    assert report.tasks["all"].coverage == 0.75
    assert report.tasks["Decomposer"].how == {"ambiguous": 1, "values": 1}


def test_precision_and_recall_on_real_databases(real_databases):
    with Catalog(real_databases.folder) as catalog:
        whole = trial(catalog, "whole", 1)
        pruned = trial(catalog, "pruned", 3)
    assert whole["precision"] == 1 and whole["recall"] >= 0.99
    assert pruned["precision"] >= 0.99 and pruned["recall"] >= 0.9
    # With the true database away only twins remain: the same table with the same values
    assert whole["links_without_the_true_database"] == 0
    assert pruned["links_without_the_true_database"] <= 0.01 * pruned["prompts"]


def test_precision_and_recall_on_the_twin(twin):
    truth = {t["idx"]: t["db_id"] for t in read_jsonl(twin / "truth.jsonl")}
    rows = [row_from(record, at) for at, record in enumerate(read_jsonl(twin / "rows.jsonl"), 1)]
    with Catalog(twin / "databases") as catalog:
        links, _ = linked(rows, catalog)
        hidden, _ = linked([replace(row, db_id=None) for row in rows], catalog)
    for found, recall in ((links, 0.99), (hidden, 0.95)):
        made = [link for link in found if link.db_id]
        right = sum(link.db_id == truth[link.idx] for link in made)
        assert right >= 0.99 * len(made)
        assert right >= recall * len(rows)


def test_command_line_and_bad_files(folder, tmp_path):
    table = tmp_path / "rows.parquet"
    write_rows(table, RowSubject, [row(1, ZOO, "zoo"), row(2, SHELTER)])

    def run(rows, databases):
        out, report = tmp_path / "links.parquet", tmp_path / "links.json"
        given = ["--rows", rows, "--databases", databases, "--links", out, "--report", report]
        return run_module("workflow_scripts.data.link", *given)

    done = run(table, folder)
    assert done.returncode == 0, done.stderr
    links = read_rows(Link, tmp_path / "links.parquet")
    assert [(link.idx, link.db_id, link.how) for link in links] == [
        (1, "zoo", "stated"),
        (2, "shelter", "values"),
    ]
    first = (tmp_path / "links.parquet").read_bytes()
    run(table, folder)
    assert (tmp_path / "links.parquet").read_bytes() == first
    assert Links.read(tmp_path / "links.json").tasks["all"].linked == 2
    assert "no such folder" in run(table, tmp_path / "gone").stderr
    assert "gone.parquet" in run(tmp_path / "gone.parquet", folder).stderr
    (folder / "zoo/zoo.sqlite").write_bytes(b"oops" * 999)
    with pytest.raises(EssenceError, match=r"zoo\.sqlite: not a readable SQLite database"):
        Catalog(folder)

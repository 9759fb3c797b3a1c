"""Schema text: read, written, made compact, drawn from a database."""

import sqlite3

import pytest
from sample_rows import KEYS, SCHEMA

from workflow_scripts.formats.prompts import compact_foreign_keys, compact_schema
from workflow_scripts.formats.schema import (
    Column,
    SchemaError,
    parse_foreign_keys,
    parse_schema,
    render_foreign_keys,
    render_schema,
)
from workflow_scripts.sql.describe import describe_database


def test_the_parts_of_column_lines():
    kiln, pot = parse_schema(SCHEMA)
    assert kiln.columns[0] == Column("kiln_no", "kiln no", None, "")
    assert kiln.columns[1] == Column(
        "Heat (C/h)", "rise of heat", (None, 60, 90.5), "a slow rise (60) is safe"
    )
    assert kiln.columns[2].examples == ("O'Neill", "Brand, Sons].", "12", "None")
    assert pot.columns[0] == Column("pot_no", "number of the pot", None, "it stands on the foot")


def test_schema_and_keys_are_written_as_they_were_read():
    assert render_schema(parse_schema(SCHEMA)) == SCHEMA
    assert parse_foreign_keys(KEYS) == [("pot", "kiln_no", "kiln", "kiln_no")]
    assert render_foreign_keys(parse_foreign_keys(KEYS)) == KEYS
    keys = [("order lines", "Heat (C/h)", "a.b", "no. of x")]
    text = render_foreign_keys(keys)
    assert parse_foreign_keys(text) == keys
    assert compact_foreign_keys(text) == "`order lines`.`Heat (C/h)` = `a.b`.`no. of x`"
    text = "# Table: t\n[\n  (a, first\nsecond. Value examples: [1].),\n  (b, b.)\n]"
    (table,) = parse_schema(text)
    assert table.columns[0] == Column("a", "first\nsecond", (1,))
    assert render_schema([table]) == text


@pytest.mark.parametrize("text", ["", "hello", "[\n  (a, b.)\n]"])
def test_what_is_no_schema_or_key_is_an_error(text):
    with pytest.raises(SchemaError, match="schema"):
        parse_schema(text)
    with pytest.raises(SchemaError, match="pot -> kiln"):
        parse_foreign_keys("pot -> kiln")


def test_the_compact_schema():
    assert compact_schema(SCHEMA) == (
        "kiln: kiln_no, `Heat (C/h)` - rise of heat (None, 60, 90.5)"
        " - a slow rise (60) is safe, "
        "maker (\"O'Neill\", 'Brand, Sons].', '12', 'None'), built (2019-03-01)"
        " | pot: pot_no - number of the pot - it stands on the foot, kiln_no"
    )


def test_value_examples_follow_the_rules_and_nothing_is_written(tmp_path):
    path = tmp_path / "odd name?.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript(
            """
            CREATE TABLE Kiln (no INTEGER PRIMARY KEY, "Heat (C/h)" REAL, maker TEXT, built DATE,
                mail TEXT, site TEXT, story TEXT, Contact_Email TEXT, glazes INTEGER, empty TEXT);
            CREATE TABLE pot (a INTEGER, b INTEGER, kiln INTEGER REFERENCES kiln,
                PRIMARY KEY (a, b));
            """
        )
        for n in range(12):
            db.execute(
                "INSERT INTO Kiln VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                (n, n / 2, None if n == 0 else "abcdefgh"[n % 8], f"2020-01-{n + 1:02}",
                 "x@y.org", "https://x.org", "long " * 11, "none", n % 3),
            )  # fmt: skip
    before = path.read_bytes()
    words = {("kiln", "maker"): ("who made it", "a name")}
    (kiln, pot), keys = describe_database(path, words, [("POT", "A", "kiln", "no"), ("x",) * 4])
    examples = {column.name: column.examples for column in kiln.columns}
    assert examples["no"] is None, "a key"
    assert examples["Heat (C/h)"] is None, "more than 10 numbers"
    assert examples["maker"] == (None, "b", "c", "d", "a", "e", "f"), "by frequency, then value"
    assert examples["built"] == ("2020-01-01",), "one date"
    assert examples["mail"] is examples["site"] is examples["story"] is None
    assert examples["Contact_Email"] is None, "by its name"
    assert examples["glazes"] == (0, 1, 2)
    assert examples["empty"] is None
    assert kiln.columns[2].description == "who made it" and kiln.columns[2].note == "a name"
    assert kiln.columns[7].description == "contact email"
    primary, undeclared = ("pot", "kiln", "Kiln", "no"), ("pot", "a", "Kiln", "no")
    assert keys == [primary, undeclared], "the primary key that is meant, and what exists"
    assert [column.examples for column in pot.columns] == [None] * 3
    assert parse_schema(render_schema([kiln, pot])) == [kiln, pot]
    assert path.read_bytes() == before and [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize(("seconds", "examples"), [(60, ("a",)), (0, None)])
def test_the_time_to_look_for_examples_is_limited(tmp_path, seconds, examples):
    path = tmp_path / "long.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE t (x TEXT)")
        db.executemany("INSERT INTO t VALUES (?)", [("a",)] * 5000)
    ((table,), _) = describe_database(path, seconds=seconds)
    assert table.columns[0].examples == examples

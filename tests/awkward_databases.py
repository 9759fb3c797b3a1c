"""Databases with the awkward traits of real ones, each with questions and gold SQL of its own.

`build(folder)` lays them out as Spider does: `databases/<db_id>/<db_id>.sqlite` and
`questions.json` with rows {db_id, question, query}. Spider may not be copied into this project;
what its databases are hard for is here made by hand, in `awkward/<db_id>.sql` and `.gold.sql`:

kennel    mixed types in a column, NULL keys, repeated rows, dates as text, BLOBs, text that is
          no UTF-8, spaces, quotes, brackets and dots in names, a value with both quotes
order     tables and columns named by keywords, foreign keys without a named column, keys of two
          columns, WITHOUT ROWID, views, one of them broken
cities    names and values in several alphabets, foreign keys in a circle
archive   empty tables, columns without a type, a table without a key, NULL throughout
ledger    20,000 rows and a table of 32 columns
"""

import contextlib
import json
import sqlite3
from pathlib import Path

SCRIPTS = Path(__file__).with_name("awkward")


def build(folder: Path) -> Path:
    """Write databases/ and questions.json into `folder`, the same bytes of rows every time."""
    questions = []
    for db_id in ("kennel_1", "order_2", "cities", "archive", "ledger"):
        file = folder / "databases" / db_id / f"{db_id}.sqlite"
        file.parent.mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(file)) as database:
            database.executescript((SCRIPTS / f"{db_id}.sql").read_text(encoding="utf-8"))
            database.commit()
        gold = (SCRIPTS / f"{db_id}.gold.sql").read_text(encoding="utf-8")
        for number, sql in enumerate(gold.removesuffix(";\n").split(";\n"), 1):
            question = f"What is number {number} of {db_id}?"
            questions.append({"db_id": db_id, "question": question, "query": sql})
    text = json.dumps(questions, ensure_ascii=False, indent=1)
    (folder / "questions.json").write_text(text, encoding="utf-8")
    return folder

"""What may come next in an answer, for decoding that chooses among it (model/constraint.py).

A form has places, which are hashable: an answer starts at `start`, `goes_on` lists what may come
next as (piece, place after it), and at some places it `may_end`. Forms hold words, not grammar: an
answer that keeps to its form can still be wrong, and its SQL can fail.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple


class AnyBut(NamedTuple):
    """A run of any characters but these. It may go on at the place after it, or end before one."""

    characters: str


Piece = str | AnyBut


class SelectorForm:
    """The answers for a schema (table -> columns), as `answers.render_selector` writes them.

    Each table of the schema has its choice, in the order of the schema; a list names columns of
    its own table, each at most once. A place is what stands last, of which table, and the columns
    listed of it so far.
    """

    start = ("nothing", 0, frozenset())

    def __init__(self, schema: Mapping[str, Sequence[str]]):
        def in_json(name: str) -> str:
            return json.dumps(name, ensure_ascii=False)

        self._tables = [(in_json(name), [*map(in_json, schema[name])]) for name in schema]

    def may_end(self, place: tuple) -> bool:
        return place[0] in ("fence", "words")

    def goes_on(self, place: tuple) -> list[tuple[str, tuple]]:
        last, table, listed = place
        choice = ("choice", table, frozenset())
        if last == "nothing":
            return [self._table(0, "\n```json\n{\n")]
        if last in ("table", "column"):
            before = "[" if last == "table" else ", "
            columns = [
                (before + column, ("column", table, listed | {column}))
                for column in self._tables[table][1]
                if column not in listed
            ]
            whole = ['"keep_all"', '"drop_all"'] if last == "table" else ["]"]
            return [(text, choice) for text in whole] + columns
        if last == "choice" and table + 1 < len(self._tables):
            return [self._table(table + 1, ",\n")]
        if last == "choice":
            return [("\n}\n```\n", ("fence", table, listed))]
        return [("Question Solved.\n", ("words", table, listed))] if last == "fence" else []

    def _table(self, table: int, before: str) -> tuple[str, tuple]:
        return f"{before}  {self._tables[table][0]}: ", ("table", table, frozenset())


KEYWORDS = """
    ALL AND AS ASC BETWEEN BY CASE CAST COLLATE CROSS DESC DISTINCT ELSE END ESCAPE EXCEPT EXISTS
    FROM FULL GLOB GROUP HAVING IN INNER INTERSECT IS JOIN LEFT LIKE LIMIT NATURAL NOT NULL OFFSET
    ON OR ORDER OUTER OVER PARTITION REGEXP RIGHT SELECT THEN UNION USING VALUES WHEN WHERE WITH
    INTEGER NOCASE NUMERIC REAL TEXT TRUE FALSE
""".lower().split()
FUNCTIONS = """
    ABS AVG COALESCE COUNT DATE DATETIME GROUP_CONCAT IFNULL IIF INSTR JULIANDAY LENGTH LOWER MAX
    MIN NULLIF PRINTF RANK REPLACE ROUND ROW_NUMBER STRFTIME SUBSTR SUBSTRING SUM TIME TOTAL
    TRIM UPPER
""".lower().split()
ALIASES = [f"t{number}" for number in range(1, 10)]
OPENING, CLOSING = "```sql\n", "```"


class SqlForm:
    """Answers of the Decomposer and the Refiner on a schema's tables and columns.

    Outside quotes, every word of the SQL is one of SQLite's, a table or column of the schema, or an
    alias. Which name stands where is not checked: a table can stand in a column's place, and after
    a table's name and a point any column of the schema. All is in lower case, as the text is to be.

    A place is where an answer is: in prose before or after some SQL (answered), or in SQL, by what
    stands last. gap: a word may begin; word, number: something else must come first; point: after
    `T1.`; text: in quotes.
    """

    start = "prose"

    def __init__(self, tables: Collection[str], columns: Collection[str]):
        columns = _in_sql(columns)
        words = {*KEYWORDS, *FUNCTIONS, *ALIASES, *_in_sql(tables), *columns}
        between = [(mark, "gap") for mark in " \n()[],;*+-/%<>=!|"]
        between += [(CLOSING, "answered"), ("'", "text")]
        digits = [(digit, "number") for digit in "0123456789"]
        self._next: dict[str, list[tuple[Piece, str]]] = {
            "prose": [(AnyBut("`"), "prose"), (OPENING, "gap")],
            "answered": [(AnyBut("`"), "answered"), (OPENING, "gap")],
            "gap": [*((each, "word") for each in sorted(words)), *digits, *between],
            "word": [(".", "point"), *between],
            "number": [*digits, (".", "number"), *between],
            "point": [*((each, "word") for each in sorted(columns)), ("*", "gap")],
            "text": [(AnyBut("'\n`"), "text"), ("'", "gap")],  # '' is an end and a beginning
        }

    def may_end(self, place: str) -> bool:
        return place == "answered"

    def goes_on(self, place: str) -> list[tuple[Piece, str]]:
        return self._next[place]


def _in_sql(names: Collection[str]) -> set[str]:
    """Write names in back quotes, and bare where they are one word."""
    lower = {name.lower() for name in names}
    return {f"`{name}`" for name in lower} | {
        name for name in lower if re.fullmatch(r"[^\W\d]\w*", name)
    }

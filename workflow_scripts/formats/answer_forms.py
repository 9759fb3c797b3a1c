"""What may come next in an answer, for decoding that chooses among it (model/constraint.py).

A form knows places in a text and the pieces that may follow at each. Forms hold words, not grammar:
an answer that keeps to its form can still be wrong, and its SQL can fail.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol


class AnyBut(NamedTuple):
    """A run of any characters but these. It may go on at the place after it, or end before one."""

    characters: str


Piece = str | AnyBut


class Form(Protocol):
    """Places are hashable; an answer starts at the place that it is given with."""

    def goes_on(self, place: Any) -> list[tuple[Piece, Any]]:
        """List everything that may come next as (piece, place after it)."""
        ...

    def may_end(self, place: Any) -> bool: ...


class SelectorPlace(NamedTuple):
    """How far an answer is: what stands last, of which table, and its columns `listed` so far."""

    last: Literal["nothing", "table", "column", "choice", "fence", "words"] = "nothing"
    table: int = 0
    listed: frozenset[str] = frozenset()


class SelectorForm:
    """The answers for a schema (table -> columns), as `answers.render_selector` writes them.

    Each table of the schema has its choice, in the order of the schema; a list names columns of
    its own table, each at most once.
    """

    def __init__(self, schema: Mapping[str, Sequence[str]]):
        self._tables = [(_in_json(name), tuple(map(_in_json, schema[name]))) for name in schema]

    def may_end(self, place: SelectorPlace) -> bool:
        return place.last in ("fence", "words")

    def goes_on(self, place: SelectorPlace) -> list[tuple[str, SelectorPlace]]:
        choice = SelectorPlace("choice", place.table)
        if place.last == "nothing":
            return [self._table(0, "\n```json\n{\n")]
        if place.last == "table":
            whole = [('"keep_all"', choice), ('"drop_all"', choice)]
            return whole + self._columns(place, "[")
        if place.last == "column":
            return [("]", choice), *self._columns(place, ", ")]
        if place.last == "choice" and place.table + 1 < len(self._tables):
            return [self._table(place.table + 1, ",\n")]
        if place.last == "choice":
            return [("\n}\n```\n", SelectorPlace("fence"))]
        return [("Question Solved.\n", SelectorPlace("words"))] if place.last == "fence" else []

    def _table(self, number: int, before: str) -> tuple[str, SelectorPlace]:
        return f"{before}  {self._tables[number][0]}: ", SelectorPlace("table", number)

    def _columns(self, place: SelectorPlace, before: str) -> list[tuple[str, SelectorPlace]]:
        return [
            (before + column, SelectorPlace("column", place.table, place.listed | {column}))
            for column in self._tables[place.table][1]
            if column not in place.listed
        ]


def _in_json(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


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


class SqlPlace(NamedTuple):
    """How far an answer is: in prose, or in SQL, by what stands last there.

    gap: a word may begin; word, number: something else must come first; point: after `T1.`.
    """

    last: Literal["prose", "gap", "word", "number", "point", "text"] = "prose"
    answered: bool = False  # whether some SQL is closed


class SqlForm:
    """Answers of the Decomposer and the Refiner on a schema's tables and columns.

    Outside quotes, every word of the SQL is one of SQLite's, a table or column of the schema, or an
    alias. Which name may stand where is not held: a table can stand in a column's place, and after
    a table's name and a point any column of the schema. All is in lower case, as the text is to be.
    """

    def __init__(self, tables: Collection[str], columns: Collection[str]):
        columns = _in_sql(columns)
        words = {*KEYWORDS, *FUNCTIONS, *ALIASES, *_in_sql(tables), *columns}
        gap, word, number = SqlPlace("gap"), SqlPlace("word"), SqlPlace("number")
        between = [(mark, gap) for mark in " \n()[],;*+-/%<>=!|"]
        between += [(CLOSING, SqlPlace("prose", True)), ("'", SqlPlace("text"))]
        digits = [(digit, number) for digit in "0123456789"]
        self._next: dict[str, list[tuple[Piece, SqlPlace]]] = {
            "gap": [*((each, word) for each in sorted(words)), *digits, *between],
            "word": [(".", SqlPlace("point")), *between],
            "number": [*digits, (".", number), *between],
            "point": [*((each, word) for each in sorted(columns)), ("*", gap)],
            "text": [  # '' is an end and a beginning
                (AnyBut("'\n`"), SqlPlace("text")),
                ("'", gap),
            ],
        }

    def may_end(self, place: SqlPlace) -> bool:
        return place.last == "prose" and place.answered

    def goes_on(self, place: SqlPlace) -> list[tuple[Piece, SqlPlace]]:
        if place.last == "prose":
            return [(AnyBut("`"), place), (OPENING, SqlPlace("gap"))]
        return self._next[place.last]


def _in_sql(names: Collection[str]) -> set[str]:
    """Write names in back quotes, and bare where they are one word."""
    lower = {name.lower() for name in names}
    return {f"`{name}`" for name in lower} | {
        name for name in lower if re.fullmatch(r"[^\W\d]\w*", name)
    }

"""How an answer with SQL may go on: its SQL has words of SQLite, of a schema, aliases and values.

It holds words, not grammar: what it lets pass can fail, but names no table or column that is not
there. Everything is in lower case, as the text is to be.
"""

import re
from collections.abc import Collection
from typing import Literal, NamedTuple

from workflow_scripts.formats.form import AnyBut, Piece

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


class Place(NamedTuple):
    """How far an answer is: in prose, or in SQL, by what stands last there.

    gap: a word may begin; word, number: something else must come first; point: after `T1.`.
    """

    last: Literal["prose", "gap", "word", "number", "point", "text"] = "prose"
    answered: bool = False  # whether some SQL is closed


class SqlForm:
    """Answers of the Decomposer and the Refiner on a schema's tables and columns."""

    def __init__(self, tables: Collection[str], columns: Collection[str]):
        columns = _written(columns)
        words = {*KEYWORDS, *FUNCTIONS, *ALIASES, *_written(tables), *columns}
        gap, word, number = Place("gap"), Place("word"), Place("number")
        between = [(mark, gap) for mark in " \n()[],;*+-/%<>=!|"]
        between += [(CLOSING, Place("prose", True)), ("'", Place("text"))]
        digits = [(digit, number) for digit in "0123456789"]
        self._next: dict[str, list[tuple[Piece, Place]]] = {
            "gap": [*((each, word) for each in sorted(words)), *digits, *between],
            "word": [(".", Place("point")), *between],
            "number": [*digits, (".", number), *between],
            "point": [*((each, word) for each in sorted(columns)), ("*", gap)],
            "text": [(AnyBut("'\n`"), Place("text")), ("'", gap)],  # '' is an end and a beginning
        }

    def may_end(self, place: Place) -> bool:
        return place.last == "prose" and place.answered

    def goes_on(self, place: Place) -> list[tuple[Piece, Place]]:
        """What may come next, each with the place after it."""
        if place.last == "prose":
            return [(AnyBut("`"), place), (OPENING, Place("gap"))]
        return self._next[place.last]


def _written(names: Collection[str]) -> set[str]:
    """Names in back quotes, and bare where they are one word."""
    lower = {name.lower() for name in names}
    return {f"`{name}`" for name in lower} | {
        name for name in lower if re.fullmatch(r"[^\W\d]\w*", name)
    }

"""How a Selector's answer may go on: JSON that names the tables and columns of a schema alone."""

import json
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple


class Place(NamedTuple):
    """How far an answer is: what stands last, of which table, and its columns `listed` so far."""

    last: Literal["nothing", "table", "column", "choice", "fence", "words"] = "nothing"
    table: int = 0
    listed: frozenset[str] = frozenset()


class SelectorForm:
    """The answers for a schema (table -> columns), as `answers.render_selector` writes them.

    Each table has its choice, in the order of the schema; a list has a column at most once.
    """

    def __init__(self, schema: Mapping[str, Sequence[str]]):
        self._tables = [(_quoted(name), tuple(map(_quoted, schema[name]))) for name in schema]

    def may_end(self, place: Place) -> bool:
        return place.last in ("fence", "words")

    def goes_on(self, place: Place) -> list[tuple[str, Place]]:
        """What may come next, each with the place after it."""
        choice = Place("choice", place.table)
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
            return [("\n}\n```\n", Place("fence"))]
        return [("Question Solved.\n", Place("words"))] if place.last == "fence" else []

    def _table(self, number: int, before: str) -> tuple[str, Place]:
        return f"{before}  {self._tables[number][0]}: ", Place("table", number)

    def _columns(self, place: Place, before: str) -> list[tuple[str, Place]]:
        return [
            (before + column, Place("column", place.table, place.listed | {column}))
            for column in self._tables[place.table][1]
            if column not in place.listed
        ]


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)

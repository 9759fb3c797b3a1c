"""Which database each row is about: stated in Selector prompts, worked out for the others."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from workflow_scripts.data.groups import normalised
from workflow_scripts.formats.schema_text import parse_schema

STATED = "stated in the prompt"
BY_QUESTION = "same question as a row that states it"
BY_SCHEMA = "schema is part of one stated database only"
NOT_PLACED = "not placed: grouped by its table names"

Columns = frozenset[tuple[str, str]]


class Linker:
    """Collects (db_id, question, schema text) of every row, then names each row's database.

    A row that states no database gets it from a row with the same question, else from the only
    stated database that has all of its tables and columns (prompts may show a pruned schema).
    A row that fits none, or several, keeps to the rows with the same table names.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[str | None, str, Columns]] = []
        self._parsed: dict[str, Columns] = {}
        self._known: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        self._asked: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, db_id: str | None, question: str | None, schema: str | None) -> None:
        columns = self._columns(schema or "")
        self.rows.append((db_id, normalised(question), columns))
        if db_id:
            self._known[db_id] |= columns
            self._asked[normalised(question)].add(db_id)

    def keys(self) -> tuple[list[str], dict[str, int]]:
        """One database key a row, in the order added, and how many were found in which way."""
        placed = [self._place(*row) for row in self.rows]
        ways = Counter(way for _, way in placed)
        counts = {way: ways[way] for way in (STATED, BY_QUESTION, BY_SCHEMA, NOT_PLACED)}
        return [key for key, _ in placed], counts

    def _place(self, db_id: str | None, question: str, columns: Columns) -> tuple[str, str]:
        if db_id:
            return db_id, STATED
        asked = self._that_hold(columns, self._asked.get(question, ()))
        if len(asked) == 1:
            return asked[0], BY_QUESTION
        holding = self._that_hold(columns, self._known)
        if len(holding) == 1:
            return holding[0], BY_SCHEMA
        return "tables: " + ", ".join(sorted({table for table, _ in columns})), NOT_PLACED

    def _that_hold(self, columns: Columns, databases: Iterable[str]) -> list[str]:
        return [name for name in databases if columns and columns <= self._known[name]]

    def _columns(self, schema: str) -> Columns:
        if schema not in self._parsed:
            self._parsed[schema] = frozenset(
                (table.name.casefold(), column.name.casefold())
                for table in parse_schema(schema)
                for column in table.columns
            )
        return self._parsed[schema]

"""The rows of the three agents for a question with its gold SQL, on a database as prompts show it.

Whatever a question comes from (Spider, BIRD, the twin), its rows are made here.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workflow_scripts.data.breaking import Failure
from workflow_scripts.data.rows import row_from
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.answers import (
    Selection,
    prune,
    render_decomposer,
    render_refiner,
    render_selector,
    select,
)
from workflow_scripts.formats.prompts import Prompt, parse_prompt, render_prompt
from workflow_scripts.formats.schema import Table, parse_foreign_keys, render_schema
from workflow_scripts.sql.parse import Schema, names_in, names_of, needed_columns


@dataclass(frozen=True)
class ShownDatabase:
    """A database as prompts show it; `foreign_keys` are their lines.

    `pruned`: whether a Selector chooses what the other agents see of it. Of the tables that a query
    reads, those of up to `keep_up_to` columns are kept whole, as the Selector's instructions say.
    """

    file: Path
    tables: list[Table]
    foreign_keys: str
    pruned: bool
    keep_up_to: int = 10

    @functools.cached_property
    def columns(self) -> dict[str, list[str]]:
        return {table.name: [column.name for column in table.columns] for table in self.tables}

    @functools.cached_property
    def schema(self) -> Schema:
        return names_of(self.tables)

    @functools.cached_property
    def words(self) -> dict[tuple[str, str], str]:
        """(table, column) -> its description; ("", column) where all tables describe it alike."""
        own, anywhere = {}, {}
        for table in self.tables:
            for column in table.columns:
                own[table.name.lower(), column.name.lower()] = column.description
                anywhere.setdefault(column.name.lower(), set()).add(column.description)
        alike = {("", name): min(words) for name, words in anywhere.items() if len(words) == 1}
        return alike | own

    def selection(self, sql: str) -> Selection:
        """Write the Selector's answer for a query: every column that the query can mean is kept.

        Of a large table the first column, as a rule its key, is listed too, before the others.
        """
        read = names_in(sql).tables
        needed = frozenset().union(*needed_columns(sql, self.schema))
        keys = parse_foreign_keys(self.foreign_keys)
        ends = {(a, x) for a, x, _, _ in keys} | {(b, y) for _, _, b, y in keys}
        used = {
            table: [names[0], *(c for c in names if (table.lower(), c.lower()) in needed)]
            for table, names in self.columns.items()
            if table.lower() in read
        }
        references = {t: [c for c in names if (t, c) in ends] for t, names in self.columns.items()}
        return select(self.columns, used, references, self.keep_up_to)


@dataclass(frozen=True)
class SolvedQuestion:
    """A question with its gold SQL; the methods write the rows of the agents.

    `number` counts the questions of a database set from 0. `steps` are the (sub-question, SQL) of
    a Decomposer's answer, the question itself last. A row that would not be read back as it was
    meant raises EssenceError.
    """

    database: ShownDatabase
    db_id: str
    number: int
    question: str
    evidence: str
    sql: str
    steps: Sequence[tuple[str, str]] = ()

    @functools.cached_property
    def selection(self) -> Selection | None:
        """What the Selector answers; None where it isn't asked."""
        return self.database.selection(self.sql) if self.database.pruned else None

    def rows(self) -> list[dict]:
        """Write the Selector's row, if it is asked, and the Decomposer's."""
        return [*([] if self.selection is None else [self.selector_row()]), self.decomposer_row()]

    def selector_row(self) -> dict:
        prompt = self._prompt("Selector", self.database.tables, db_id=self.db_id)
        return self._row(2 * self.number, prompt, render_selector(self.selection))

    def decomposer_row(self) -> dict:
        prompt = self._prompt("Decomposer", self._visible_tables())
        return self._row(2 * self.number + 1, prompt, render_decomposer(self.steps))

    def refiner_row(self, idx: int, failure: Failure) -> dict:
        prompt = self._prompt("Refiner", self._visible_tables(), **failure._asdict())
        return self._row(idx, prompt, render_refiner(self.sql))

    def _visible_tables(self) -> list[Table]:
        tables = self.database.tables
        return tables if self.selection is None else prune(tables, self.selection)

    def _prompt(self, task: str, tables: list[Table], **own: str) -> Prompt:
        fields = {
            "db_id": None,
            "question": self.question,
            "evidence": self.evidence,
            "schema": render_schema(tables),
            "foreign_keys": self.database.foreign_keys,
        }
        return Prompt(task, **(fields | own))

    def _row(self, idx: int, prompt: Prompt, answer: str) -> dict:
        user = render_prompt(prompt)
        if parse_prompt(user) != prompt:
            raise EssenceError("a text of it looks like a part of the prompt")
        messages = [
            {"role": "system", "content": ""},
            {"role": "user", "content": user},
            {"role": "assistant", "content": answer},
        ]
        row = {"idx": idx, "db_id": self.db_id, "messages": messages}
        row_from(row, line=1)
        return row

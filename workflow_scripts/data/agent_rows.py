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
from workflow_scripts.formats import answers
from workflow_scripts.formats.prompts import Prompt, parse_prompt, render_prompt
from workflow_scripts.formats.schema import Schema, Table, render_schema
from workflow_scripts.sql.parse import names_in, names_of, needed_columns


@dataclass(frozen=True)
class ShownDatabase:
    """A database as prompts show it.

    `pruned`: whether a Selector chooses what the other agents see of it. It keeps tables of up to
    `keep_up_to` columns whole, as its instructions say.
    """

    file: Path
    schema: Schema
    pruned: bool
    keep_up_to: int = 10

    @functools.cached_property
    def words(self) -> dict[tuple[str, str], str]:
        """(table, column) -> its description; ("", column) where all tables describe it alike."""
        own, anywhere = {}, {}
        for table in self.schema.tables:
            for column in table.columns:
                own[table.name.lower(), column.name.lower()] = column.description
                anywhere.setdefault(column.name.lower(), set()).add(column.description)
        alike = {("", name): min(words) for name, words in anywhere.items() if len(words) == 1}
        return alike | own

    def selection(self, sql: str) -> answers.Selection:
        """Write the Selector's answer for a query: every column that the query can mean is kept.

        Of a large table are listed its first column, as a rule its key, the others that are needed,
        and up to six: those of foreign keys, then the rest.
        """
        read = names_in(sql).tables
        needed = frozenset().union(*needed_columns(sql, names_of(self.schema.tables)))
        keys = self.schema.foreign_keys
        ends = {(a, x) for a, x, _, _ in keys} | {(b, y) for _, _, b, y in keys}
        answer: answers.Selection = {}
        for table, names in self.schema.names.items():
            if table.lower() not in read:
                answer[table] = "drop_all"
            elif len(names) <= self.keep_up_to:
                answer[table] = "keep_all"
            else:
                first = {names[0], *(c for c in names if (table.lower(), c.lower()) in needed)}
                rank = {c: 0 if c in first else 1 if (table, c) in ends else 2 for c in names}
                ranked = sorted(names, key=rank.get)
                answer[table] = ranked[: max(answers.MOST_COLUMNS, len(first))]
        return answer


@dataclass(frozen=True)
class SolvedQuestion:
    """A question, counted by `number` from 0, with its gold SQL; its methods write agents' rows.

    `steps` are the (sub-question, SQL) of a Decomposer's answer, the question itself last. A row
    that would not be read back as it was meant raises EssenceError.
    """

    database: ShownDatabase
    db_id: str
    number: int
    question: str
    evidence: str
    sql: str
    steps: Sequence[tuple[str, str]] = ()

    @functools.cached_property
    def selection(self) -> answers.Selection | None:
        """The Selector's answer; None where it isn't asked."""
        return self.database.selection(self.sql) if self.database.pruned else None

    def rows(self) -> list[dict]:
        """Write the Selector's row, if it is asked, and the Decomposer's."""
        return [*([] if self.selection is None else [self.selector_row()]), self.decomposer_row()]

    def selector_row(self) -> dict:
        prompt = self._prompt("Selector", self.database.schema.tables, db_id=self.db_id)
        return self._row(2 * self.number, prompt, answers.render_selector(self.selection))

    def decomposer_row(self) -> dict:
        prompt = self._prompt("Decomposer", self._visible_tables())
        return self._row(2 * self.number + 1, prompt, answers.render_decomposer(self.steps))

    def refiner_row(self, idx: int, failure: Failure) -> dict:
        prompt = self._prompt("Refiner", self._visible_tables(), **failure._asdict())
        return self._row(idx, prompt, answers.render_refiner(self.sql))

    def _visible_tables(self) -> Sequence[Table]:
        tables = self.database.schema.tables
        return tables if self.selection is None else answers.prune(tables, self.selection)

    def _prompt(self, task: str, tables: Sequence[Table], **own: str) -> Prompt:
        texts = {"question": self.question, "evidence": self.evidence}
        keys = self.database.schema.foreign_keys_text
        shown = {"schema": render_schema(tables), "foreign_keys": keys}
        return Prompt(task, **({"db_id": None} | texts | shown | own))

    def _row(self, idx: int, prompt: Prompt, answer: str) -> dict:
        user = render_prompt(prompt)
        if parse_prompt(user) != prompt:
            raise EssenceError("a text of it looks like a part of the prompt")
        said = {"system": "", "user": user, "assistant": answer}
        messages = [{"role": role, "content": content} for role, content in said.items()]
        row = {"idx": idx, "db_id": self.db_id, "messages": messages}
        row_from(row, line=1)
        return row

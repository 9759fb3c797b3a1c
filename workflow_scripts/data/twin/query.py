"""A query of the question grammar, whose clauses may each be asked about, and its SQL."""

import re
from dataclasses import dataclass
from functools import cached_property

from workflow_scripts.formats.schema import quoted

REFERENCE = re.compile(r"\{([^.{}]+)\.([^{}]+)\}")


@dataclass(frozen=True)
class Query:
    """Columns inside expressions are `{table.column}`.

    `joins`: (table, left reference, right reference); `sub` replaces `{sub}` in `where`.
    """

    select: tuple[str, ...]
    table: str
    joins: tuple[tuple[str, str, str], ...] = ()
    where: tuple[str, ...] = ()
    sub: "Query | None" = None
    group: str = ""
    having: str = ""
    order: str = ""
    limit: int = 0
    distinct: bool = False
    either: bool = False

    @cached_property
    def sql(self) -> str:
        """As MAC-SQL's agents write it: backticks, each clause on an indented line of its own."""
        tables = [self.table, *(table for table, _, _ in self.joins)]
        alias = {table: f"T{number}" for number, table in enumerate(tables, 1)}
        name = {t: f"`{t}`" if quoted(t) else t for t in tables}
        named = {t: f"{name[t]} AS {alias[t]}" if self.joins else name[t] for t in tables}
        clauses = [
            ("SELECT DISTINCT" if self.distinct else "SELECT", ", ".join(self.select)),
            ("FROM", named[self.table]),
        ]
        for table, left, right in self.joins:
            clauses += [("INNER JOIN", named[table]), ("ON", f"{left} = {right}")]
        clauses += [
            ("WHERE", (" OR " if self.either else " AND ").join(self.where)),
            ("GROUP BY", self.group),
            ("HAVING", self.having),
            ("ORDER BY", self.order),
            ("LIMIT", str(self.limit or "")),
        ]
        text = "\n  ".join(f"{word} {part}" for word, part in clauses if part)
        column = r"{}.`\2`" if self.joins else r"`\2`"
        text = REFERENCE.sub(lambda match: match.expand(column).format(alias.get(match[1])), text)
        if self.sub:
            inner = self.sub.sql.replace("\n", "\n  ")
            text = text.replace("{sub}", f"(\n    {inner}\n  )")
        return text


def in_line(sql: str) -> str:
    """Write SQL as the base model's training data does: double quotes, one line."""
    return " ".join(sql.replace("`", '"').split()).replace("( ", "(").replace(" )", ")")

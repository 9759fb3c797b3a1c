"""One SQL query as a small tree, written in two styles.

Column references inside expressions are `{table.column}`. `agent_sql` writes them as MAC-SQL's
agents do (backticks, clauses on lines of their own), `plain_sql` as the base model's training data
does (double quotes, one line).
"""

import random
import re
from dataclasses import dataclass

from workflow_scripts.data.breaking import Statement
from workflow_scripts.data.twin.schema import World
from workflow_scripts.formats.schema import quoted

REFERENCE = re.compile(r"\{([^.{}]+)\.([^{}]+)\}")


@dataclass(frozen=True)
class Query:
    """`joins`: (table, left reference, right reference); `sub` replaces `{sub}` in `where`."""

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

    @property
    def tables(self) -> list[str]:
        """Tables in the order they are met, subqueries included."""
        names = [self.table, *(join[0] for join in self.joins)]
        names += self.sub.tables if self.sub else []
        return list(dict.fromkeys(names))

    @property
    def columns(self) -> list[tuple[str, str]]:
        """(table, column) in the order they are met, subqueries included."""
        parts = [*self.select, *self.where, self.group, self.having, self.order]
        parts += [side for join in self.joins for side in join[1:]]
        found = [pair for part in parts for pair in REFERENCE.findall(part)]
        return list(dict.fromkeys(found + (self.sub.columns if self.sub else [])))


def _table(name: str, mark: str) -> str:
    return f"{mark}{name}{mark}" if quoted(name) else name


def _writer(query: Query, mark: str):
    tables = [query.table, *(join[0] for join in query.joins)]
    alias = {table: f"T{number}." for number, table in enumerate(tables, 1)} if query.joins else {}

    def write(text: str) -> str:
        return REFERENCE.sub(lambda m: f"{alias.get(m[1], '')}{mark}{m[2]}{mark}", text)

    return write


def _from(query: Query, mark: str) -> list[str]:
    """The FROM line and two lines for each join."""
    write = _writer(query, mark)
    if not query.joins:
        return [f"FROM {_table(query.table, mark)}"]
    lines = [f"FROM {_table(query.table, mark)} AS T1"]
    for number, (table, left, right) in enumerate(query.joins, 2):
        lines.append(f"INNER JOIN {_table(table, mark)} AS T{number}")
        lines.append(f"ON {write(left)} = {write(right)}")
    return lines


def clauses(query: Query, mark: str) -> list[str]:
    """The query's lines, SELECT first, names between `mark`s; `{sub}` is left in place."""
    write = _writer(query, mark)
    select = ", ".join(write(part) for part in query.select)
    lines = [f"SELECT {'DISTINCT ' if query.distinct else ''}{select}", *_from(query, mark)]
    if query.where:
        joiner = " OR " if query.either else " AND "
        lines.append("WHERE " + joiner.join(write(part) for part in query.where))
    for word, part in (("GROUP BY", query.group), ("HAVING", query.having)):
        if part:
            lines.append(f"{word} {write(part)}")
    if query.order:
        lines.append(f"ORDER BY {write(query.order)}")
    if query.limit:
        lines.append(f"LIMIT {query.limit}")
    return lines


def agent_sql(query: Query) -> str:
    """In the style of MAC-SQL's agents: backticks, each clause on an indented line of its own."""
    lines = clauses(query, "`")
    if query.sub:
        inner = "\n".join("    " + line for line in clauses(query.sub, "`"))
        lines = [line.replace("{sub}", f"(\n{inner}\n  )") for line in lines]
    return "\n  ".join(lines)


def plain_sql(query: Query) -> str:
    """In the style that the base model was trained on: double quotes, one line."""
    line = " ".join(clauses(query, '"'))
    return line.replace("{sub}", f"({plain_sql(query.sub)})") if query.sub else line


def breakable(query: Query, world: World, rng: random.Random) -> Statement:
    """A query in the agents' style, to be broken."""
    return Statement(
        sql=agent_sql(query),
        tables=query.tables,
        columns={name: [c.name for c in table.columns] for name, table in world.tables.items()},
        other_number={
            name: table.one if table.one != name else table.many
            for name, table in world.tables.items()
        },
        rng=rng,
    )

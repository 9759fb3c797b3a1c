"""The Selector's answer to a question, derived from its gold SQL, and the schema it leaves."""

from workflow_scripts.data.twin.query import Query
from workflow_scripts.data.twin.schema import Table, World
from workflow_scripts.formats.schema import Table as TableText

MOST_COLUMNS = 6  # a list keeps this many, and so does a table that was dropped (MAC-SQL)


def select(world: World, query: Query, keep_up_to: int) -> dict[str, str | list[str]]:
    """Table -> "keep_all", "drop_all" or the columns to keep, the most relevant first.

    A table of up to `keep_up_to` columns is kept whole. The real rows are not consistent about
    that number, so it differs between the twin's databases.
    """
    used, answer = query.columns, {}
    for table in world.tables.values():
        if table.name not in query.tables:
            answer[table.name] = "drop_all"
        elif len(table.columns) <= keep_up_to:
            answer[table.name] = "keep_all"
        else:
            answer[table.name] = _ranked(table, [c for t, c in used if t == table.name])
    return answer


def _ranked(table: Table, used: list[str]) -> list[str]:
    """The key, then what the SQL uses in the table's order, then references, then the rest."""
    names = [column.name for column in table.columns]
    refs = [column.name for column in table.of_kind("ref")]
    ranked = [table.key.name, *(n for n in names if n in used), *refs, *names]
    return list(dict.fromkeys(ranked))[:MOST_COLUMNS]


def prune(tables: list[TableText], answer: dict[str, str | list[str]]) -> list[TableText]:
    """The schema that a Decomposer or Refiner sees after this answer, as MAC-SQL prunes it."""
    pruned = []
    for table in tables:
        choice, columns = answer[table.name], table.columns
        if choice == "drop_all":
            columns = columns[:MOST_COLUMNS]
        elif choice != "keep_all":
            columns = tuple(column for column in columns if column.name in choice)
        pruned.append(TableText(table.name, columns))
    return pruned

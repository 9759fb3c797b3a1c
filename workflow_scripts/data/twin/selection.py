"""The Selector's answer to a question of the twin, derived from its gold SQL."""

from workflow_scripts.data.twin.query import Query
from workflow_scripts.data.twin.schema import Table, World
from workflow_scripts.formats import answers
from workflow_scripts.formats.answers import Selection


def select(world: World, query: Query, keep_up_to: int) -> Selection:
    """The answer for a query; of a large table the key comes first.

    A table of up to `keep_up_to` columns is kept whole. The real rows are not consistent about
    that number, so it differs between the twin's databases.
    """
    tables = world.tables
    return answers.select(
        columns={name: _names(table) for name, table in tables.items()},
        used={name: _needed(tables[name], query) for name in query.tables},
        references={name: [c.name for c in t.of_kind("ref")] for name, t in tables.items()},
        keep_up_to=keep_up_to,
    )


def _names(table: Table) -> list[str]:
    return [column.name for column in table.columns]


def _needed(table: Table, query: Query) -> list[str]:
    """The key, then what the SQL uses, in the table's order."""
    used = {column for name, column in query.columns if name == table.name}
    return [table.key.name, *(name for name in _names(table) if name in used)]

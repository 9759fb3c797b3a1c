"""MAC-SQL's rules: when the Selector is asked, and which schema its answer leaves."""

from collections.abc import Mapping, Sequence

from workflow_scripts.formats.answers import Selection
from workflow_scripts.formats.schema import Table, fold_name

MOST_COLUMNS = 6  # an answer lists this many of a table, and so many stay of one that it drops
MEAN_COLUMNS = 6  # of a table, up to which a schema is small ...
ALL_COLUMNS = 30  # ... unless all tables together have more than this


def is_large(
    tables: Sequence[Table], mean_columns: int = MEAN_COLUMNS, all_columns: int = ALL_COLUMNS
) -> bool:
    """Whether a schema is pruned at all: a small one goes whole to the other agents."""
    columns = sum(len(table.columns) for table in tables)
    return columns > mean_columns * len(tables) or columns > all_columns


def prune(tables: Sequence[Table], answer: Selection) -> list[Table]:
    """Reduce a schema to what the other agents see after a Selector's answer.

    Names are compared by `fold_name`. A table that is dropped, that the answer leaves out or of
    which it names no column that is there, keeps its first columns.
    """
    choices = {fold_name(name): choice for name, choice in answer.items()}
    return [
        Table(table.name, _keep_columns(table, choices.get(fold_name(table.name), "drop_all")))
        for table in tables
    ]


def _keep_columns(table: Table, choice: str | Sequence[str]) -> tuple:
    if choice == "keep_all":
        return table.columns
    names = {fold_name(name) for name in choice} if choice != "drop_all" else ()
    listed = tuple(column for column in table.columns if fold_name(column.name) in names)
    return listed or table.columns[:MOST_COLUMNS]


def select(
    columns: Mapping[str, Sequence[str]],
    used: Mapping[str, Sequence[str]],
    references: Mapping[str, Sequence[str]],
    keep_up_to: int,
) -> Selection:
    """Build the Selector's answer for a query; all mappings go from a table to columns of it.

    `used` has the tables that the query reads, with the columns that it needs. Such a table is
    kept whole up to `keep_up_to` columns; of a larger one these columns are listed, then those
    that refer to other tables, then the first, MOST_COLUMNS together or as many as are needed.
    """
    answer: Selection = {}
    for table, names in columns.items():
        if table not in used:
            answer[table] = "drop_all"
        elif len(names) <= keep_up_to:
            answer[table] = "keep_all"
        else:
            needed = dict.fromkeys(used[table])
            ranked = list(dict.fromkeys([*needed, *references.get(table, ()), *names]))
            answer[table] = ranked[: max(MOST_COLUMNS, len(needed))]
    return answer

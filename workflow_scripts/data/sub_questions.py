"""The steps of a Decomposer's answer, derived from the gold SQL.

A nested query is a step before the query around it, each side of a UNION, INTERSECT or EXCEPT a
step before the whole, and so are the rows of a joined table that a condition picks out. Everything
else is answered in one step. A step's question is put in words from its own SQL.
"""

from collections.abc import Iterator, Mapping

from sqlglot import exp

from workflow_scripts.data.sql_words import in_words
from workflow_scripts.sql.parse import own_tables

MOST_STEPS = 3  # before the last
Words = Mapping[tuple[str, str], str]  # (table, column) in lower case -> words for the column


def steps_before(tree: exp.Query, words: Words) -> list[tuple[str, exp.Query]]:
    """(sub-question, query) of the steps before the last, in order; none for a plain query.

    A step stands by itself and is left out where its SQL can't be put in words.
    """
    if isinstance(tree, exp.SetOperation):
        found = [tree.left, tree.right]
    else:
        found = list(_nested(tree)) or list(_picked_rows(tree))
    steps: dict[str, exp.Query] = {}
    for query in found:
        question = in_words(query, words)
        if question and _stands_alone(query):
            steps.setdefault(question, query.copy())
    return list(steps.items())[:MOST_STEPS]


def _nested(tree: exp.Query) -> Iterator[exp.Query]:
    """The queries inside a query, the innermost first."""
    inner = [node for node in tree.find_all(exp.Select) if node is not tree]
    return reversed(inner)


def _stands_alone(query: exp.Query) -> bool:
    """Whether a query names no table of a query around it and nothing that WITH defines there."""
    known = {name for select in query.find_all(exp.Select) for name in own_tables(select)}
    defined = {cte.alias.lower() for cte in query.root().find_all(exp.CTE)}
    read = {table.name.lower() for table in query.find_all(exp.Table)}
    prefixes = {column.table.lower() for column in query.find_all(exp.Column)} - {""}
    return prefixes <= known and not defined & read


def _picked_rows(tree: exp.Query) -> Iterator[exp.Select]:
    """Of a join: the key of one table's rows, where all conditions are on that table."""
    where, joins = tree.args.get("where"), tree.args.get("joins")
    if not where or not joins:
        return
    prefixes = {column.table.lower() for column in where.find_all(exp.Column)}
    table = own_tables(tree).get(prefixes.pop()) if len(prefixes) == 1 else None
    if not isinstance(table, exp.Table):
        return
    name = table.alias_or_name.lower()
    sides = [
        column
        for join in joins
        if join.args.get("on")
        for column in join.args["on"].find_all(exp.Column)
    ]
    key = next((column for column in sides if column.table.lower() == name), None)
    if key:
        picked = exp.select(key.copy()).from_(table.copy()).where(where.this.copy())
        for column in picked.find_all(exp.Column):
            column.set("table", None)
        picked.find(exp.Table).set("alias", None)
        yield picked

"""SQL as a tree (sqlglot, dialect SQLite): does it parse, how is it written, what does it name.

A statement that can't be parsed gives None or is left as it is: model output is never an error.
"""

import functools
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.tokens import TokenType

from workflow_scripts.formats.schema import SchemaError, Table, fold_name, parse_schema

Schema = Mapping[str, tuple[str, ...]]  # table -> columns, names folded
Columns = frozenset[tuple[str, str]]  # (table, column)
ROW_IDS = frozenset({"rowid", "oid", "_rowid_"})  # SQLite's, which every table has
LONGEST = 10_000  # characters; nothing longer is worth the time
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # it remarks on every odd statement


@functools.lru_cache(maxsize=20_000)
def parse(sql: str) -> exp.Query | None:
    """Parse a query to a tree, or None. Shared between callers: copy it before you change it.

    sqlglot is more patient than SQLite: that SQL parses doesn't say that it runs.
    """
    if not sql or len(sql) > LONGEST or "\0" in sql:
        return None
    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect="sqlite") if tree is not None]
    except (sqlglot.errors.SqlglotError, RecursionError, ValueError, TypeError, AttributeError):
        return None
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        return None
    for column in list(trees[0].find_all(exp.Column)):
        if _is_value(column, sql):
            column.replace(exp.Literal.string(column.name))
    return trees[0]


def _is_value(column: exp.Column, sql: str) -> bool:
    """Whether a name alone in double quotes is compared with: right of =, IN, LIKE, BETWEEN ...

    SQLite takes "x" for a text when no column is called x; Spider writes nearly all its values so.
    """
    compared = isinstance(column.parent, exp.Predicate) and column.arg_key != "this"
    start = column.this.meta.get("start", len(sql))
    return compared and not column.table and sql[start : start + 1] == '"'


def tokens_of(sql: str) -> list[sqlglot.tokens.Token]:
    try:
        return sqlglot.tokenize(sql, dialect="sqlite") if len(sql) <= LONGEST else []
    except (sqlglot.errors.SqlglotError, ValueError):
        return []


def as_spider_compares(sql: str) -> str:
    """Remove DISTINCT and join split operators, as Spider's `exec_eval.py` does."""
    for split, joined in (("> =", ">="), ("< =", "<="), ("! =", "!=")):
        sql = sql.replace(split, joined)
    for token in reversed(tokens_of(sql)):
        if token.token_type == TokenType.DISTINCT:
            sql = sql[: token.start] + sql[token.end + 1 :]
    return sql


def orders_rows(sql: str) -> bool:
    """Whether ORDER BY stands anywhere in the SQL: the test suite's rule for "order matters"."""
    kinds = [token.token_type for token in tokens_of(sql)]
    return TokenType.ORDER_BY in kinds if kinds else "order by" in sql.lower()


def canonical(sql: str) -> str | None:
    """Normalise the spelling of a statement; None when it doesn't parse.

    The same: case and quotes of names, white space, `AS`, `<>` and `!=`, a final semicolon, names
    given to tables (`T1`) and the table's name before a column of the only table. Nothing else.
    """
    tree = parse(sql)
    if tree is None:
        return None
    try:
        tree = tree.copy()
        for column in tree.find_all(exp.Column):
            if column.table:
                _rename_table_of(column)
        for select in tree.find_all(exp.Select):
            sources = own_tables(select).values()
            for source, name in zip(sources, _unique_names(select).values(), strict=True):
                plain = isinstance(source, exp.Table) and name == source.name.lower()
                alias = None if plain else exp.TableAlias(this=exp.to_identifier(name))
                source.set("alias", alias)
        for identifier in tree.find_all(exp.Identifier):
            identifier.set("this", identifier.name.lower())
            identifier.set("quoted", True)
        text = tree.sql(dialect="sqlite", comments=False, normalize_functions="upper")
    except (sqlglot.errors.SqlglotError, RecursionError, ValueError):
        return None
    return re.sub(r"\s+", " ", text).strip()


def _rename_table_of(column: exp.Column) -> None:
    """Resolve `t1.x` in the nearest SELECT that knows t1; `x` alone where there is one table."""
    for depth, select in enumerate(_selects_around(column)):
        if name := _unique_names(select).get(column.table.lower()):
            alone = depth == 0 and len(own_tables(select)) == 1
            column.set("table", None if alone else exp.to_identifier(name))
            return


def _unique_names(select: exp.Select) -> dict[str, str]:
    """Name of a table in a SELECT -> its own name, with a number from the second such table on."""
    names: dict[str, str] = {}
    count: Counter = Counter()
    for name, source in own_tables(select).items():
        own = source.name.lower() if isinstance(source, exp.Table) else "subquery"
        count[own] += 1
        names[name] = own if count[own] == 1 else f"{own}_{count[own]}"
    return names


def own_tables(select: exp.Select) -> dict[str, exp.Expr]:
    """The tables and subqueries that a SELECT reads, by the prefix (in lower case) of a column."""
    first = select.args.get("from_")
    sources = [first.this] if first else []
    sources += [join.this for join in select.args.get("joins") or ()]
    return {(source.alias or source.name).lower(): source for source in sources}


def _selects_around(node: exp.Expr) -> Iterator[exp.Select]:
    """From the inside out."""
    while (node := node.find_ancestor(exp.Select)) is not None:
        yield node


class Names(NamedTuple):
    """What a statement takes from the schema, in lower case; `starred`: tables read by `*`.

    `columns` are (table or None, column); None where several tables could be meant.
    """

    tables: frozenset[str] = frozenset()
    columns: frozenset[tuple[str | None, str]] = frozenset()
    starred: frozenset[str] = frozenset()


@functools.lru_cache(maxsize=20_000)
def names_in(sql: str) -> Names | None:
    """Names of a statement, but for those that it makes itself; None when it doesn't parse."""
    tree = parse(sql)
    if tree is None:
        return None
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    made = {alias.alias.lower() for alias in tree.find_all(exp.Alias)}
    made |= {c.name.lower() for alias in tree.find_all(exp.TableAlias) for c in alias.columns}
    columns, starred = set(), set()
    for column in tree.find_all(exp.Column):
        table, is_table = table_of(column, own)
        name = column.name.lower()
        if isinstance(column.this, exp.Star):
            starred.add(table)
        elif is_table and (table or name not in made):
            columns.add((table, name))
    for select in tree.find_all(exp.Select):
        if any(isinstance(item, exp.Star) for item in select.expressions):
            tables = (s for s in own_tables(select).values() if _is_table(s, own))
            starred |= {table.name.lower() for table in tables}
    tables = {table.name.lower() for table in tree.find_all(exp.Table)} - own
    return Names(frozenset(tables - {""}), frozenset(columns), frozenset(starred - {None}))


def table_of(column: exp.Column, own: set[str]) -> tuple[str | None, bool]:
    """(table meant by a column or None, whether the schema can have it); `own`: names of WITH."""
    prefix = column.table.lower()
    around = [own_tables(select) for select in _selects_around(column)]
    if not prefix:  # only where a single SELECT reads a single table is it clear
        sources = list(around[0].values()) if len(around) == 1 else []
        known = len(sources) == 1 and _is_table(sources[0], own)
        return (sources[0].name.lower() if known else None), True
    for tables in around:
        if source := tables.get(prefix):
            known = _is_table(source, own)
            return (source.name.lower() if known else None), known
    return prefix, True


def _is_table(source: exp.Expr, own: set[str]) -> bool:
    return isinstance(source, exp.Table) and source.name.lower() not in own


@functools.lru_cache(maxsize=4096)
def schema_names(schema: str) -> Schema:
    """Read table -> columns of a prompt's schema text; empty when it can't be read."""
    try:
        return names_of(parse_schema(schema))
    except SchemaError:
        return {}


def names_of(tables: Iterable[Table]) -> Schema:
    return {fold_name(t.name): tuple(fold_name(c.name) for c in t.columns) for t in tables}


def columns_of(schema: Schema) -> Columns:
    return frozenset((table, column) for table in schema for column in schema[table])


def needed_columns(sql: str, schema: Schema) -> list[Columns]:
    """Collect the columns that each name in a query can mean: several where it has no prefix.

    `SELECT *` needs every column of its tables. Names that the schema hasn't are left out.
    """
    names = names_in(sql) or Names()
    starred = columns_of({table: schema.get(table, ()) for table in names.starred})
    needed = {frozenset([column]) for column in starred}
    for table, column in names.columns:
        meant = (table,) if table else names.tables
        needed.add(frozenset((t, column) for t in meant if column in schema.get(t, ())))
    return sorted(needed - {frozenset()}, key=sorted)


def unknown_names(sql: str, schema: Schema) -> set[str]:
    """List the tables and columns of a query that are missing from the schema."""
    names = names_in(sql) or Names()
    anywhere = ROW_IDS.union(*schema.values())
    unknown = {table for table in names.tables if table not in schema}
    for table, column in names.columns:
        here = ROW_IDS.union(schema[table]) if table in schema else anywhere
        if column not in here:
            unknown.add(f"{table}.{column}" if table else column)
    return unknown

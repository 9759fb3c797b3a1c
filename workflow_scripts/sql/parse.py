"""SQL as a tree (sqlglot, dialect SQLite): does it parse, what does it name, how is it written.

A statement that can't be parsed gives None or is left as it is: model output is never an error.
"""

import functools
import logging
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.tokens import TokenType

LONGEST = 10_000  # characters; nothing longer is worth the time
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # it remarks on every odd statement
BEFORE_VALUE = {
    *(TokenType.EQ, TokenType.NEQ, TokenType.LT, TokenType.GT, TokenType.LTE, TokenType.GTE),
    *(TokenType.LIKE, TokenType.GLOB, TokenType.BETWEEN),
}


@functools.lru_cache(maxsize=20_000)
def parse(sql: str) -> exp.Query | None:
    """Parse a query to a tree, or None. Shared between callers: copy it before you change it.

    sqlglot is more patient than SQLite: that SQL parses doesn't say that it runs.
    """
    if not sql or len(sql) > LONGEST or "\0" in sql:
        return None
    try:
        trees = sqlglot.parse(_values_quoted_once(sql), dialect="sqlite")
    except (sqlglot.errors.SqlglotError, RecursionError, ValueError, TypeError, AttributeError):
        return None
    trees = [tree for tree in trees if tree is not None]
    return trees[0] if len(trees) == 1 and isinstance(trees[0], exp.Query) else None


def _values_quoted_once(sql: str) -> str:
    """Write "values" in SQL as 'values'.

    SQLite takes "x" for a text when no column is called x; Spider writes nearly all its values so.
    Here, what stands alone in double quotes where a value is expected (after a comparison, LIKE,
    BETWEEN, in a list after IN) counts as one.
    """
    tokens = tokens_of(sql) if '"' in sql else []
    kinds = [token.token_type for token in tokens]
    values: set[int] = set()  # places of tokens that are values
    parts, end = [], 0
    for at, token in enumerate(tokens):
        if kinds[at] == TokenType.STRING:
            values.add(at)
        quoted = kinds[at] == TokenType.IDENTIFIER and sql[token.start] == '"'
        alone = TokenType.DOT not in kinds[max(at - 1, 0) : at + 2]
        if quoted and alone and _expects_value(kinds, at, values):
            values.add(at)
            parts += [sql[end : token.start], "'", token.text.replace("'", "''"), "'"]
            end = token.end + 1
    return "".join(parts) + sql[end:]


def _expects_value(kinds: list[TokenType], at: int, values: set[int]) -> bool:
    before = kinds[max(at - 3, 0) : at]
    last = before[-1] if before else None
    if last in BEFORE_VALUE or before[-2:] == [TokenType.IN, TokenType.L_PAREN]:
        return True
    ends_between = last == TokenType.AND and before[0] == TokenType.BETWEEN
    return at - 2 in values and (last == TokenType.COMMA or ends_between)


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
    given to tables (`T1`) and, in a query over one table, the table's name before a column. Not the
    same: the order of conditions, joins and columns, literals, and any rewriting of the query.
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
            names = _unique_names(select)
            for source in _sources(select):
                name = names[_name_here(source)]
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
            alone = depth == 0 and len(_sources(select)) == 1
            column.set("table", None if alone else exp.to_identifier(name))
            return


def _unique_names(select: exp.Select) -> dict[str, str]:
    """Name of a table in a SELECT -> its own name, with a number from the second such table on."""
    names: dict[str, str] = {}
    count: Counter = Counter()
    for source in _sources(select):
        own = source.name.lower() if isinstance(source, exp.Table) else "subquery"
        count[own] += 1
        names[_name_here(source)] = own if count[own] == 1 else f"{own}_{count[own]}"
    return names


def _name_here(source: exp.Expr) -> str:
    return (source.alias or source.name).lower()


def _sources(select: exp.Select) -> list[exp.Expr]:
    """List the tables and subqueries that a SELECT reads from."""
    first = select.args.get("from_")
    joins = [join.this for join in select.args.get("joins") or ()]
    return ([first.this] if first else []) + joins


def own_tables(select: exp.Select) -> dict[str, exp.Expr]:
    """What a SELECT reads from, by the prefix (in lower case) of its columns."""
    return {_name_here(source): source for source in _sources(select)}


def _selects_around(node: exp.Expr) -> Iterator[exp.Select]:
    """From the inside out."""
    while (node := node.find_ancestor(exp.Select)) is not None:
        yield node


class Names(NamedTuple):
    """What a statement takes from the schema, in lower case.

    `columns` are (table or None, column): the table is the one meant by a prefix, or the only
    one of its SELECT; None where several could be meant. `starred` are tables read by `*`.
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
            starred |= {s.name.lower() for s in _sources(select) if _is_table(s, own)}
    tables = {table.name.lower() for table in tree.find_all(exp.Table)} - own
    return Names(frozenset(tables - {""}), frozenset(columns), frozenset(starred - {None}))


def table_of(column: exp.Column, own: set[str]) -> tuple[str | None, bool]:
    """(table meant by a column or None, whether the schema can have it); `own`: names of WITH."""
    prefix = column.table.lower()
    around = list(_selects_around(column))
    if not prefix:  # only where a single SELECT reads a single table is it clear
        sources = _sources(around[0]) if len(around) == 1 else []
        known = len(sources) == 1 and _is_table(sources[0], own)
        return (sources[0].name.lower() if known else None), True
    for source in (source for select in around for source in _sources(select)):
        if _name_here(source) == prefix:
            known = _is_table(source, own)
            return (source.name.lower() if known else None), known
    return prefix, True


def _is_table(source: exp.Expr, own: set[str]) -> bool:
    return isinstance(source, exp.Table) and source.name.lower() not in own

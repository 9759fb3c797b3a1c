"""SQL as a tree (sqlglot, dialect SQLite): does it parse, what does it name, how is it written.

A statement that can't be parsed gives None or is left as it is: model output is never an error.
"""

import functools
import logging
import re
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.tokens import TokenType

LONGEST = 10_000  # characters; nothing longer is worth the time
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)  # it remarks on every odd statement
# Spider's evaluation joins these before it runs a prediction (exec_eval.py, `postprocess`).
SPLIT_OPERATORS = (("> =", ">="), ("< =", "<="), ("! =", "!="))

BEFORE_VALUE = {
    *(TokenType.EQ, TokenType.NEQ, TokenType.LT, TokenType.GT, TokenType.LTE, TokenType.GTE),
    *(TokenType.LIKE, TokenType.GLOB, TokenType.BETWEEN),
}


@functools.lru_cache(maxsize=20_000)
def parse(sql: str) -> exp.Query | None:
    """The tree of a query, or None. Shared between callers: copy it before you change it.

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
    """SQL with "values" written as 'values'.

    SQLite takes "x" for a text when no column is called x; Spider writes nearly all its values so.
    Here, what stands alone in double quotes where a value is expected (after a comparison, LIKE,
    BETWEEN, in a list after IN) counts as one.
    """
    if '"' not in sql:
        return sql
    tokens = _tokens(sql)
    before = {}
    for at, token in enumerate(tokens):
        quoted = token.token_type == TokenType.IDENTIFIER and sql[token.start] == '"'
        dotted = [
            t.token_type == TokenType.DOT for t in tokens[at - 1 : at] + tokens[at + 1 : at + 2]
        ]
        before[token.start] = quoted and not any(dotted) and _expects_value(tokens, at, before)
    for token in reversed(tokens):
        if before[token.start]:
            text = token.text.replace("'", "''")
            sql = f"{sql[: token.start]}'{text}'{sql[token.end + 1 :]}"
    return sql


def _expects_value(tokens: list, at: int, values: dict[int, bool]) -> bool:
    kinds = [token.token_type for token in tokens[max(at - 3, 0) : at]]
    last = kinds[-1] if kinds else None
    if last in BEFORE_VALUE or kinds[-2:] == [TokenType.IN, TokenType.L_PAREN]:
        return True
    follows = at >= 2 and (values[tokens[at - 2].start] or kinds[-2] == TokenType.STRING)
    in_list = last == TokenType.COMMA and follows
    return in_list or (last == TokenType.AND and kinds[0] == TokenType.BETWEEN and follows)


def _tokens(sql: str) -> list[sqlglot.tokens.Token]:
    try:
        return sqlglot.tokenize(sql, dialect="sqlite") if len(sql) <= LONGEST else []
    except (sqlglot.errors.SqlglotError, ValueError):
        return []


def without_distinct(sql: str) -> str:
    """SQL with every DISTINCT left out, as the Spider test suite compares it."""
    for token in reversed(_tokens(sql)):
        if token.token_type == TokenType.DISTINCT:
            sql = sql[: token.start] + sql[token.end + 1 :]
    return sql


def joined_operators(sql: str) -> str:
    for split, joined in SPLIT_OPERATORS:
        sql = sql.replace(split, joined)
    return sql


def orders_rows(sql: str) -> bool:
    """Whether ORDER BY stands anywhere in the SQL: the test suite's rule for "order matters"."""
    tokens = _tokens(sql)
    if not tokens:
        return "order by" in sql.lower()
    return any(token.token_type == TokenType.ORDER_BY for token in tokens)


def canonical(sql: str) -> str | None:
    """One spelling for statements that differ in writing only; None when it doesn't parse.

    The same: case and quotes of names, white space, `AS`, `<>` and `!=`, a final semicolon, names
    given to tables (`T1`) and, in a query over one table, the table's name before a column. Not the
    same: the order of conditions, joins and columns, literals, and any rewriting of the query.
    """
    tree = parse(sql)
    if tree is None:
        return None
    try:
        tree = tree.copy()
        _rename_tables(tree)
        for identifier in tree.find_all(exp.Identifier):
            identifier.set("this", identifier.name.lower())
            identifier.set("quoted", True)
        text = tree.sql(dialect="sqlite", comments=False, normalize_functions="upper")
    except (sqlglot.errors.SqlglotError, RecursionError, ValueError):
        return None
    return re.sub(r"\s+", " ", text).strip()


def _rename_tables(tree: exp.Expr) -> None:
    """Name the tables of each SELECT after themselves, with a number from the second on."""
    names: dict[int, dict[str, str]] = {}
    sources: dict[int, int] = {}
    for select in tree.find_all(exp.Select):
        own: dict[str, str] = {}
        tables = _sources(select)
        for number, source in enumerate(tables):
            name = source.name.lower() if isinstance(source, exp.Table) else "subquery"
            repeated = sum(_bare(t) == name for t in tables[:number])
            alias = f"{name}_{repeated + 1}" if repeated else name
            own[(source.alias or source.name).lower()] = alias
        names[id(select)], sources[id(select)] = own, len(tables)
    for column in tree.find_all(exp.Column):
        _rename_column(column, names, sources)
    for select in tree.find_all(exp.Select):
        for source in _sources(select):
            alias = names[id(select)].get((source.alias or source.name).lower())
            plain = isinstance(source, exp.Table) and alias == source.name.lower()
            alias = None if plain else exp.TableAlias(this=exp.to_identifier(alias))
            source.set("alias", alias)


def _bare(source: exp.Expr) -> str:
    return source.name.lower() if isinstance(source, exp.Table) else "subquery"


def _sources(select: exp.Select) -> list[exp.Expr]:
    first = select.args.get("from_") or select.args.get("from")
    joins = [join.this for join in select.args.get("joins") or ()]
    return ([first.this] if first else []) + joins


def _rename_column(column: exp.Column, names: dict, sources: dict) -> None:
    """Resolve `t1.x` in the nearest SELECT that knows t1; leave the prefix out where it is idle."""
    if not column.table:
        return
    select = column.find_ancestor(exp.Select)
    while select is not None:
        alias = names[id(select)].get(column.table.lower())
        if alias:
            alone = sources[id(select)] == 1 and select is column.find_ancestor(exp.Select)
            column.set("table", None if alone else exp.to_identifier(alias))
            return
        select = select.find_ancestor(exp.Select)


@dataclass(frozen=True)
class Names:
    """What a statement takes from the schema, in lower case.

    `columns` are (table or None, column): the table is the one meant by a prefix, or the only
    one of its SELECT; None where several could be meant. `starred` are tables read by `*`.
    """

    tables: frozenset[str]
    columns: frozenset[tuple[str | None, str]]
    starred: frozenset[str] = frozenset()


@functools.lru_cache(maxsize=20_000)
def names_in(sql: str) -> Names | None:
    """Tables and columns that a statement names; None when it doesn't parse.

    Names that the statement makes itself (CTEs, aliases of columns and subqueries) are left out.
    """
    tree = parse(sql)
    if tree is None:
        return None
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    made = {a.alias.lower() for a in tree.find_all(exp.Alias)}
    for alias in tree.find_all(exp.TableAlias):
        made |= {column.name.lower() for column in alias.columns}
    tables = {t.name.lower() for t in tree.find_all(exp.Table)} - own
    columns, starred = set(), set()
    for column in tree.find_all(exp.Column):
        table, is_table = table_of(column, own)
        name = column.name.lower()
        if isinstance(column.this, exp.Star):
            starred |= {table} if table else set()
        elif is_table and (table or name not in made):
            columns.add((table, name))
    for select in tree.find_all(exp.Select):
        if any(isinstance(item, exp.Star) for item in select.expressions):
            starred |= {s.name.lower() for s in _sources(select) if isinstance(s, exp.Table)} - own
    return Names(frozenset(tables - {""}), frozenset(columns), frozenset(starred))


def table_of(column: exp.Column, own: set[str]) -> tuple[str | None, bool]:
    """(table meant by a column or None, whether it can be a column of the schema at all)."""
    select = column.find_ancestor(exp.Select)
    prefix = column.table.lower()
    while select is not None:
        sources = _sources(select)
        if not prefix:
            one = sources[0] if len(sources) == 1 else None
            known = isinstance(one, exp.Table) and one.name.lower() not in own
            inner = select.find_ancestor(exp.Select) is not None
            return (one.name.lower() if known and not inner else None), True
        for source in sources:
            if (source.alias or source.name).lower() == prefix:
                known = isinstance(source, exp.Table) and source.name.lower() not in own
                return (source.name.lower(), True) if known else (None, False)
        select = select.find_ancestor(exp.Select)
    return prefix or None, True

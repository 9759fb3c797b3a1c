"""How hard a query is, as Spider counts it: easy, medium, hard or extra.

Definition: Yu et al. 2018, "Spider: A Large-Scale Human-Labeled Dataset", section 4 and its
`evaluation.py` (`eval_hardness`), counted there on Spider's own parse and here on sqlglot's tree,
so that SQL beyond Spider's grammar has a hardness too. The oddities of the original are kept: a
NOT before IN, LIKE or BETWEEN counts as an aggregation, as does every AND and OR in HAVING.
"""

import functools
from collections.abc import Iterable

from sqlglot import exp

from workflow_scripts.sql.parse import parse

LEVELS = ("easy", "medium", "hard", "extra")
CLAUSES = ("where", "group", "order", "limit")


@functools.lru_cache(maxsize=20_000)
def hardness(sql: str) -> str | None:
    """One of `LEVELS`, or None when the SQL doesn't parse."""
    tree = parse(sql)
    if tree is None:
        return None
    nested = int(isinstance(tree, exp.SetOperation))  # UNION, INTERSECT, EXCEPT: a nested query
    select = tree
    while isinstance(select, exp.SetOperation | exp.Subquery):
        select = select.this  # the first of them is looked at
    if not isinstance(select, exp.Select):
        return None
    joins = [join.args.get("on") for join in select.args.get("joins") or ()]
    where, having = (select.args.get(name) for name in ("where", "having"))
    roots = (joins, [where and where.this], [having and having.this])
    conditions = [_take_apart(filter(None, nodes)) for nodes in roots]
    leaves = [leaf for part, _ in conditions for leaf in part]
    nested += sum(map(_nested, leaves))
    clauses = sum(select.args.get(clause) is not None for clause in CLAUSES) + len(joins)
    clauses += sum(isinstance(word, exp.Or) for _, words in conditions for word in words)
    clauses += sum(isinstance(_positive(leaf), exp.Like) for leaf in leaves)
    _, (in_where, _), (in_having, words_of_having) = conditions
    aggregations = _count_aggregations(select) + len(words_of_having)
    aggregations += sum(isinstance(leaf, exp.Not) for leaf in in_where + in_having)
    group = select.args.get("group")
    several = (select.expressions, in_where, group.expressions if group else [])
    return _level(clauses, nested, (aggregations > 1) + sum(len(each) > 1 for each in several))


def _level(clauses: int, nested: int, others: int) -> str:
    if clauses <= 1 and others == 0 and nested == 0:
        return "easy"
    if nested == 0 and ((clauses <= 1 and others <= 2) or (clauses <= 2 and others < 2)):
        return "medium"
    if nested == 0 and ((clauses <= 2 and others > 2) or (clauses == 3 and others <= 2)):
        return "hard"
    return "hard" if clauses <= 1 and others == 0 and nested <= 1 else "extra"


def _take_apart(roots: Iterable[exp.Expr]) -> tuple[list[exp.Expr], list[exp.Expr]]:
    """Single conditions and what connects them, AND and OR."""
    around = exp.Connector | exp.Paren
    nodes = [
        n for root in roots for n in root.walk(prune=lambda each: not isinstance(each, around))
    ]
    leaves = [node for node in nodes if not isinstance(node, around)]
    return leaves, [node for node in nodes if isinstance(node, exp.Connector)]


def _positive(leaf: exp.Expr) -> exp.Expr:
    return leaf.this.unnest() if isinstance(leaf, exp.Not) else leaf


def _nested(leaf: exp.Expr) -> int:
    """Count the queries that a condition compares with (at most two, for BETWEEN)."""
    node = _positive(leaf)
    queries = [node.args.get(name) for name in ("expression", "query", "low", "high")]
    if isinstance(node, exp.Exists):
        queries.append(node.this)
    return sum(isinstance(q.unnest(), exp.Query) for q in queries if isinstance(q, exp.Expr))


def _count_aggregations(select: exp.Select) -> int:
    """Count the columns and orders that aggregate themselves, not in a query inside them."""
    order = select.args.get("order")
    items = [*select.expressions, *(order.expressions if order else ())]
    around = [item.find_ancestor(exp.Subquery) for item in items]
    return sum(
        any(each.find_ancestor(exp.Subquery) is outer for each in item.find_all(exp.AggFunc))
        for item, outer in zip(items, around, strict=True)
    )

"""How hard a query is, as Spider counts it: easy, medium, hard or extra.

Definition: Yu et al. 2018, "Spider: A Large-Scale Human-Labeled Dataset", section 4 and its
`evaluation.py` (`eval_hardness`), counted there on Spider's own parse and here on sqlglot's tree,
so that SQL beyond Spider's grammar has a hardness too. The oddities of the original are kept: a
NOT before IN, LIKE or BETWEEN counts as an aggregation, as does every AND and OR in HAVING.
"""

import functools

from sqlglot import exp

from workflow_scripts.sql.parse import parse

LEVELS = ("easy", "medium", "hard", "extra")


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
    conditions = _conditions(select)
    clauses = _clauses(select, conditions)
    nested += sum(_nested(leaf) for leaves, _ in conditions.values() for leaf in leaves)
    return _level(clauses, nested, _others(select, conditions))


def _level(clauses: int, nested: int, others: int) -> str:
    if clauses <= 1 and others == 0 and nested == 0:
        return "easy"
    if nested == 0 and ((clauses <= 1 and others <= 2) or (clauses <= 2 and others < 2)):
        return "medium"
    if nested == 0 and ((clauses <= 2 and others > 2) or (clauses == 3 and others <= 2)):
        return "hard"
    return "hard" if clauses <= 1 and others == 0 and nested <= 1 else "extra"


def _conditions(select: exp.Select) -> dict[str, tuple[list[exp.Expr], list[type]]]:
    """Single conditions and connecting words of the joins, WHERE and HAVING."""
    roots = {"join": [join.args.get("on") for join in select.args.get("joins") or ()]}
    for name in ("where", "having"):
        roots[name] = [clause.this] if (clause := select.args.get(name)) else []
    return {name: _take_apart([node for node in nodes if node]) for name, nodes in roots.items()}


def _take_apart(nodes: list[exp.Expr]) -> tuple[list[exp.Expr], list[type]]:
    leaves, words = [], []
    while nodes:
        node = nodes.pop().unnest()
        if isinstance(node, exp.And | exp.Or):
            words.append(type(node))
            nodes += [node.expression, node.this]
        else:
            leaves.append(node)
    return leaves, words


def _clauses(select: exp.Select, conditions: dict) -> int:
    """WHERE, GROUP BY, ORDER BY, LIMIT, each further table, each OR and each LIKE."""
    clauses = ("where", "group", "order", "limit")
    count = sum(select.args.get(clause) is not None for clause in clauses)
    count += len(select.args.get("joins") or ())
    for leaves, words in conditions.values():
        count += words.count(exp.Or)
        count += sum(isinstance(_positive(leaf), exp.Like) for leaf in leaves)
    return count


def _positive(leaf: exp.Expr) -> exp.Expr:
    return leaf.this.unnest() if isinstance(leaf, exp.Not) else leaf


def _nested(leaf: exp.Expr) -> int:
    """Queries that a condition compares with (at most two, for BETWEEN)."""
    node = _positive(leaf)
    queries = [node.args.get(name) for name in ("expression", "query", "low", "high")]
    if isinstance(node, exp.Exists):
        queries.append(node.this)
    return sum(isinstance(q.unnest(), exp.Query) for q in queries if isinstance(q, exp.Expr))


def _others(select: exp.Select, conditions: dict) -> int:
    """More than one aggregation, column, condition in WHERE, or column to group by."""
    group, order = select.args.get("group"), select.args.get("order")
    counted = [*select.expressions, *(order.expressions if order else ())]
    aggregations = sum(map(_aggregates, counted)) + len(conditions["having"][1])
    aggregations += sum(
        isinstance(leaf, exp.Not) for part in ("where", "having") for leaf in conditions[part][0]
    )
    grouped = group.expressions if group else []
    return (aggregations > 1) + sum(
        len(several) > 1 for several in (select.expressions, conditions["where"][0], grouped)
    )


def _aggregates(item: exp.Expr) -> bool:
    """Whether an aggregation stands in the item itself, not in a query inside it."""
    around = item.find_ancestor(exp.Subquery)
    return any(each.find_ancestor(exp.Subquery) is around for each in item.find_all(exp.AggFunc))

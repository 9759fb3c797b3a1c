"""What a query tells of the data it expects: values compared with a column, columns joined."""

import functools
from dataclasses import dataclass, field

from sqlglot import exp

from workflow_scripts.sql.parse import parse, table_of

Place = tuple[str | None, str]  # table (None: any that has the column), column; lower case
COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.In, exp.Between)
CALCULATIONS = (exp.Sum, exp.Avg, exp.Sub, exp.Add, exp.Mul, exp.Div)


@dataclass
class Hints:
    """`values`: place -> texts and numbers; `patterns`: place -> LIKE patterns; `joined`: pairs of
    places set equal; `numeric`: places that are summed, averaged or calculated with."""

    values: dict[Place, list[str | int | float]] = field(default_factory=dict)
    patterns: dict[Place, list[str]] = field(default_factory=dict)
    joined: list[tuple[Place, Place]] = field(default_factory=list)
    numeric: set[Place] = field(default_factory=set)


@functools.lru_cache(maxsize=5_000)
def hints_of(sql: str) -> Hints:
    """Empty hints for SQL that doesn't parse."""
    hints, tree = Hints(), parse(sql)
    if tree is None:
        return hints
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for node in tree.find_all(*COMPARISONS):
        _compare(node, own, hints)
    for column in tree.find_all(exp.Column):
        if isinstance(column.parent, CALCULATIONS):
            hints.numeric.add((table_of(column, own)[0], column.name.lower()))
    return hints


def _inside(node: exp.Expr, kind: type) -> list[exp.Expr]:
    """Nodes of a kind within a comparison, not those of a query inside it."""
    return list(node.find_all(kind)) if not node.find(exp.Query) else _outside_queries(node, kind)


def _outside_queries(node: exp.Expr, kind: type) -> list[exp.Expr]:
    walk = node.walk(prune=lambda n: isinstance(n, exp.Query))
    return [n for n in walk if isinstance(n, kind)]


def _columns(node: exp.Expr, own: set[str]) -> list[Place]:
    columns = _inside(node, exp.Column)
    return [(table_of(column, own)[0], column.name.lower()) for column in columns]


def _compare(node: exp.Expr, own: set[str], hints: Hints) -> None:
    places = _columns(node, own)
    plain = isinstance(node.this, exp.Column) and isinstance(
        node.args.get("expression"), exp.Column
    )
    if isinstance(node, exp.EQ) and plain and len(places) == 2:
        hints.joined.append((places[0], places[1]))
        return
    for literal in _inside(node, exp.Literal):
        if isinstance(literal.parent, exp.Anonymous | exp.Func) and not isinstance(
            literal.parent, exp.Binary | exp.In | exp.Between
        ):
            continue  # an argument such as the format of strftime
        value = literal.name if literal.is_string else _number(literal)
        for place in places:
            if isinstance(node, exp.Like):
                hints.patterns.setdefault(place, []).append(str(value))
            else:
                hints.values.setdefault(place, []).append(value)


def _number(literal: exp.Literal) -> int | float:
    value = float(literal.name)
    value = -value if isinstance(literal.parent, exp.Neg) else value
    return int(value) if value.is_integer() else value

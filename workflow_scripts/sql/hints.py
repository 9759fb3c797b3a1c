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
            hints.numeric.add(_place_of(column, own))
    return hints


def _inside(node: exp.Expr, kind: type) -> list[exp.Expr]:
    """Nodes of a kind within a comparison, not those of a query inside it."""
    walk = node.walk(prune=lambda inner: isinstance(inner, exp.Query))
    return [inner for inner in walk if isinstance(inner, kind)]


def _place_of(column: exp.Column, own: set[str]) -> Place:
    return table_of(column, own)[0], column.name.lower()


def _compare(node: exp.Expr, own: set[str], hints: Hints) -> None:
    places = [_place_of(column, own) for column in _inside(node, exp.Column)]
    sides = (node.this, node.args.get("expression"))
    if isinstance(node, exp.EQ) and all(isinstance(side, exp.Column) for side in sides):
        hints.joined.append((places[0], places[1]))
        return
    for literal in _inside(node, exp.Literal):
        if isinstance(literal.parent, exp.Func) and not isinstance(
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

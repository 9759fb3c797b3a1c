"""The steps of a Decomposer's answer, derived from the gold SQL.

A nested query is a step before the query around it, each side of a UNION, INTERSECT or EXCEPT a
step before the whole, and so are the rows of a joined table that a condition picks out. Everything
else is answered in one step. A step's question is put in words from its own SQL.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

import yaml
from sqlglot import exp

from workflow_scripts.formats.schema import name_words
from workflow_scripts.sql.parse import own_tables, table_of

MOST_STEPS = 3  # before the last
Words = Mapping[tuple[str, str], str]  # (table, column) in lower case -> words for the column
USES_FILES = ["sub_questions.yaml"]
SAID = yaml.safe_load(Path(__file__).with_name("sub_questions.yaml").read_text(encoding="utf-8"))


def steps_before(tree: exp.Query, words: Words) -> list[tuple[str, exp.Query]]:
    """(sub-question, query) of the steps before the last, in order; none for a plain query.

    A step stands by itself and is left out where its SQL can't be put in words.
    """
    nested = [node for node in tree.find_all(exp.Select) if node is not tree][::-1]
    sides = [tree.left, tree.right] if isinstance(tree, exp.SetOperation) else None
    steps: dict[str, exp.Query] = {}
    for query in sides or nested or _picked_rows(tree):  # the innermost of the nested ones first
        question = in_words(query, words)
        if question and _stands_alone(query):
            steps.setdefault(question, query.copy())
    return list(steps.items())[:MOST_STEPS]


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
    sides = [join.args["on"].find_all(exp.Column) for join in joins if join.args.get("on")]
    key = next((column for column in chain(*sides) if column.table.lower() == name), None)
    if key:
        picked = exp.select(key.copy()).from_(table.copy()).where(where.this.copy())
        for column in picked.find_all(exp.Column):
            column.set("table", None)
        picked.find(exp.Table).set("alias", None)
        yield picked


class Wordless(Exception):
    """A part of a query for which there are no words here."""


def in_words(query: exp.Query, words: Words) -> str | None:
    """`Find the name in singer where age is more than 20.`; None for what has no words here.

    `words`: what to call a column, (table, column) in lower case; others go by their names.
    """
    try:
        if not isinstance(query, exp.Select):
            return None
        phrase = _Writer(words).query(query)
    except Wordless:
        return None
    one = all(isinstance(each, exp.AggFunc) for each in query.expressions)
    asks = "What is" if one and not query.args.get("group") else "Find"
    return f"{asks} the {phrase}{'?' if asks == 'What is' else '.'}"


class _Writer:
    def __init__(self, words: Words):
        self.words = words

    def query(self, query: exp.Select) -> str:
        """`name in singer where ... for each ...`; all that decides the rows is said."""
        unsaid = {"laterals", "windows", "qualify", "offset", "with_"}
        tables = own_tables(query)
        plain = tables and all(isinstance(table, exp.Table) for table in tables.values())
        if not plain or any(query.args.get(part) for part in unsaid):
            raise Wordless
        text = "different " if query.args.get("distinct") else ""
        text += self.values(query.expressions)
        text += f" in {_listed([name_words(table.name) for table in tables.values()])}"
        if where := query.args.get("where"):
            text += f" where {self.condition(where.this)}"
        if group := query.args.get("group"):
            text += f" for each {self.values(group.expressions)}"
        if having := query.args.get("having"):
            text += f", where {self.condition(having.this)}"
        return text + self.order(query)

    def order(self, query: exp.Select) -> str:
        order, limit = query.args.get("order"), query.args.get("limit")
        count = limit.expression.name if limit else ""
        cut = f", the first {count}" if limit else ""
        if order is None:
            return cut
        by = [(self.value(each.this), bool(each.args.get("desc"))) for each in order.expressions]
        if limit and len(by) == 1:
            value, down = by[0]
            rank = "highest" if down else "lowest"
            return f" with the {rank if count == '1' else f'{count} {rank}'} {value}"
        ways = [f"{value} from {'high to low' if down else 'low to high'}" for value, down in by]
        return f" in the order of {_listed(ways)}{cut}"

    def values(self, nodes: list[exp.Expr]) -> str:
        return _listed([self.value(node) for node in nodes])

    def value(self, node: exp.Expr) -> str:
        inner = node.this
        match node:
            case exp.Alias() | exp.Paren():
                return self.value(inner)
            case exp.Star():
                return "rows"
            case exp.Column():
                if isinstance(inner, exp.Star):
                    return "rows"
                table, _ = table_of(node, set())
                return self.words.get((table or "", node.name.lower())) or name_words(node.name)
            case exp.Count():
                if isinstance(inner, exp.Distinct):
                    return f"number of different {self.values(inner.expressions)}"
                return f"number of {self.value(inner)}"
            case exp.Avg() | exp.Sum() | exp.Max() | exp.Min():
                return f"{SAID['aggregates'][type(node).__name__]} {self.value(inner)}"
            case exp.Literal():
                return f"'{node.name}'" if node.is_string else node.name
            case exp.Neg():
                return f"-{self.value(inner)}"
            case exp.Subquery() if isinstance(inner, exp.Select):
                return f"the {self.query(inner)}"
        raise Wordless

    def condition(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Paren):
            return self.condition(node.this)
        if isinstance(node, exp.And | exp.Or):
            return f"{self.condition(node.left)} {node.key} {self.condition(node.right)}"
        if verb := SAID["comparisons"].get(type(node).__name__):
            return f"{self.value(node.left)} {verb} {self.value(node.right)}"
        inner = node.this if isinstance(node, exp.Not) else node
        negated = isinstance(node, exp.Not) != bool(inner.args.get("negate"))
        verb = self.verb(inner, negated)
        return f"{self.value(inner.this)} {verb}"

    def verb(self, node: exp.Expr, negated: bool) -> str:
        """What a condition says of its left side."""
        does, other = ("is not" if negated else "is"), node.args.get("expression")
        match node:
            case exp.In():
                if query := node.args.get("query"):
                    return f"{does} among {self.value(query)}"
                return f"{does} {_listed([self.value(each) for each in node.expressions], 'or')}"
            case exp.Between():
                return f"{does} between {self.values([node.args['low'], node.args['high']])}"
            case exp.Is() if isinstance(other, exp.Null):
                return "is known" if negated else "is unknown"
            case exp.Like() if isinstance(other, exp.Literal):
                text = other.name.strip("%")
                if text and "%" not in text and "_" not in text:
                    before, after = other.name.startswith("%"), other.name.endswith("%")
                    verbs = SAID["like"]["%" * before + "x" + "%" * after]
                    return f"{verbs[negated]} '{text}'"
        raise Wordless


def _listed(parts: list[str], word: str = "and") -> str:
    """`a, b and c`"""
    *first, last = parts
    return f"{', '.join(first)} {word} {last}" if first else last

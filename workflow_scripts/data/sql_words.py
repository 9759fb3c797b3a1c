"""A query in plain words, as the question of a step."""

from collections.abc import Callable, Mapping

from sqlglot import exp

from workflow_scripts.formats.schema import name_words
from workflow_scripts.sql.parse import own_tables, table_of

Words = Mapping[tuple[str, str], str]
AGGREGATES = {exp.Avg: "average", exp.Sum: "total", exp.Max: "highest", exp.Min: "lowest"}
COMPARISONS = {
    exp.EQ: "is",
    exp.NEQ: "is not",
    exp.GT: "is more than",
    exp.GTE: "is at least",
    exp.LT: "is less than",
    exp.LTE: "is at most",
}


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
        if any(query.args.get(part) for part in unsaid):
            raise Wordless
        tables = own_tables(query)
        if not tables or not all(isinstance(table, exp.Table) for table in tables.values()):
            raise Wordless
        different = "different " if query.args.get("distinct") else ""
        text = different + self.values(query.expressions)
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
        if order is None:
            return f", the first {limit.expression.name}" if limit else ""
        by = [(self.value(each.this), bool(each.args.get("desc"))) for each in order.expressions]
        if limit and len(by) == 1:
            value, descending = by[0]
            count = limit.expression.name
            rank = "highest" if descending else "lowest"
            return f" with the {rank if count == '1' else f'{count} {rank}'} {value}"
        ways = [f"{value} from {'high to low' if down else 'low to high'}" for value, down in by]
        cut = f", the first {limit.expression.name}" if limit else ""
        return f" in the order of {_listed(ways)}{cut}"

    def values(self, nodes: list[exp.Expr]) -> str:
        return _listed([self.value(node) for node in nodes])

    def value(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Alias | exp.Paren):
            return self.value(node.this)
        if isinstance(node, exp.Star):
            return "rows"
        if isinstance(node, exp.Column):
            return "rows" if isinstance(node.this, exp.Star) else self.column(node)
        if isinstance(node, exp.Count):
            return self.count(node.this)
        if type(node) in AGGREGATES:
            return f"{AGGREGATES[type(node)]} {self.value(node.this)}"
        if isinstance(node, exp.Literal):
            return f"'{node.name}'" if node.is_string else node.name
        if isinstance(node, exp.Neg):
            return f"-{self.value(node.this)}"
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select):
            return f"the {self.query(node.this)}"
        raise Wordless

    def count(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Distinct):
            return f"number of different {self.values(node.expressions)}"
        return f"number of {self.value(node)}"

    def column(self, node: exp.Column) -> str:
        table, _ = table_of(node, set())
        name = node.name.lower()
        return self.words.get((table or "", name)) or name_words(node.name)

    def condition(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Paren):
            return self.condition(node.this)
        if isinstance(node, exp.And | exp.Or):
            word = "and" if isinstance(node, exp.And) else "or"
            return f"{self.condition(node.left)} {word} {self.condition(node.right)}"
        inner = node.this if isinstance(node, exp.Not) else node
        negated = isinstance(node, exp.Not) != bool(inner.args.get("negate"))
        for kind, write in self.conditions().items():
            if isinstance(inner, kind):
                return write(inner, "not " if negated else "")
        if type(node) in COMPARISONS:
            return f"{self.value(node.left)} {COMPARISONS[type(node)]} {self.value(node.right)}"
        raise Wordless

    def conditions(self) -> dict[type, Callable[[exp.Expr, str], str]]:
        return {
            exp.In: self.among,
            exp.Like: self.like,
            exp.Between: self.between,
            exp.Is: self.known,
        }

    def among(self, node: exp.In, negated: str) -> str:
        query = node.args.get("query")
        if query is not None:
            return f"{self.value(node.this)} is {negated}among {self.value(query)}"
        values = _listed([self.value(each) for each in node.expressions], "or")
        return f"{self.value(node.this)} is {negated}{values}"

    def like(self, node: exp.Like, negated: str) -> str:
        pattern = node.expression.name
        text = pattern.strip("%")
        if not isinstance(node.expression, exp.Literal) or "%" in text or "_" in text or not text:
            raise Wordless
        before, after = pattern.startswith("%"), pattern.endswith("%")
        verbs = {
            (True, True): ("contains", "contain"),
            (False, True): ("begins with", "begin with"),
            (True, False): ("ends with", "end with"),
            (False, False): ("is", "be"),
        }
        does, do = verbs[before, after]
        return f"{self.value(node.this)} {f'does not {do}' if negated else does} '{text}'"

    def between(self, node: exp.Between, negated: str) -> str:
        low, high = self.value(node.args["low"]), self.value(node.args["high"])
        return f"{self.value(node.this)} is {negated}between {low} and {high}"

    def known(self, node: exp.Is, negated: str) -> str:
        if not isinstance(node.expression, exp.Null):
            raise Wordless
        return f"{self.value(node.this)} is {'known' if negated else 'unknown'}"


def _listed(parts: list[str], word: str = "and") -> str:
    """`a, b and c`"""
    *first, last = parts
    return f"{', '.join(first)} {word} {last}" if first else last

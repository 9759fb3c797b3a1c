"""SQL as MAC-SQL's agents write it: columns in backticks, each clause on a line of its own."""

from sqlglot import exp
from sqlglot.dialects.sqlite import SQLite
from sqlglot.tokens import TokenType

from workflow_scripts.sql.parse import tokens_of

_CLAUSES = {
    *(TokenType.FROM, TokenType.WHERE, TokenType.GROUP_BY, TokenType.HAVING, TokenType.ORDER_BY),
    *(TokenType.LIMIT, TokenType.ON, TokenType.UNION, TokenType.INTERSECT, TokenType.EXCEPT),
    TokenType.SELECT,
}
_JOIN_WORDS = {
    *(TokenType.JOIN, TokenType.INNER, TokenType.LEFT, TokenType.RIGHT, TokenType.FULL),
    *(TokenType.CROSS, TokenType.NATURAL, TokenType.OUTER),
}


class _Agents(SQLite):
    class Tokenizer(SQLite.Tokenizer):
        IDENTIFIERS = ("`", '"', ("[", "]"))  # the first is the one that is written

    class Generator(SQLite.Generator):
        def not_sql(self, expression: exp.Not) -> str:
            """`x NOT IN (...)` and its like, where sqlglot writes `NOT x IN (...)`."""
            inner = expression.this
            kinds = exp.In | exp.Like | exp.Between | exp.Is
            if isinstance(inner, kinds) and not inner.args.get("negate"):
                left, whole = self.sql(inner, "this"), self.sql(inner)
                if whole.startswith(f"{left} "):
                    rest = whole.removeprefix(f"{left} ")
                    is_null = rest.removeprefix("IS ") if isinstance(inner, exp.Is) else None
                    return f"{left} IS NOT {is_null}" if is_null else f"{left} NOT {rest}"
            return super().not_sql(expression)


def agents_sql(tree: exp.Query) -> str:
    """Write a query as the agents do. Raises sqlglot's errors for a tree that can't be written."""
    tree = tree.copy()
    for column in tree.find_all(exp.Column):
        if isinstance(column.this, exp.Identifier):
            column.this.set("quoted", True)
    for join in tree.find_all(exp.Join):
        if join.args.get("on") and not any(map(join.args.get, ("kind", "side", "method"))):
            join.set("kind", "INNER")
    return in_lines(tree.sql(dialect=_Agents, comments=False))


def in_lines(sql: str) -> str:
    """Write one line per clause, indented by 2, and those of a subquery by 4 more."""
    tokens = tokens_of(sql)
    kinds = [token.token_type for token in tokens]
    parts, end = [], 0
    inside: list[bool] = []  # of each bracket that is open: whether it holds a query
    around = zip([None, *kinds], kinds, [*kinds[1:], None], strict=False)
    for token, (before, kind, after) in zip(tokens, around, strict=True):
        depth = sum(inside)
        gap, end = sql[end : token.start], token.end + 1
        if kind == TokenType.R_PAREN and inside and inside.pop():
            gap = "\n" + " " * (4 * depth - 2)
        elif before and _begins_line(before, kind) and (not inside or inside[-1]):
            gap = "\n" + " " * (4 * depth or 2)
        parts += [gap, sql[token.start : end]]
        if kind == TokenType.L_PAREN:
            inside.append(after in (TokenType.SELECT, TokenType.WITH))
    return "".join(parts) + sql[end:]


def _begins_line(before: TokenType, kind: TokenType) -> bool:
    if kind in _JOIN_WORDS:
        return before not in _JOIN_WORDS
    return kind in _CLAUSES or (kind == TokenType.WITH and before == TokenType.L_PAREN)

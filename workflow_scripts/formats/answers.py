"""The answers of the three agents: parsed, written, and what a Selector's does to a schema."""

import json
import re
from collections.abc import Sequence

from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.schema import Table, fold_name

Selection = dict[str, str | list[str]]  # table -> "keep_all" | "drop_all" | columns
MOST_COLUMNS = 6  # an answer lists this many of a table, and so many stay of one that it drops

_READING = re.DOTALL | re.IGNORECASE | re.VERBOSE
# Where a query begins, and any statement. WITH is an English word too. Possessive quantifiers (*+)
# keep the time linear in texts that a stranger's model wrote.
_QUERY = r"""(?: SELECT\b | VALUES\s*\(
    | WITH\s+ (?:RECURSIVE\s+)? [\w`"\[\]]+ \s* (?:\([^()]*\)\s*)?
      AS\s* (?:NOT\s+)? (?:MATERIALIZED\s*)? \( )"""
_STATEMENT = rf"""(?: {_QUERY}
    | (?:INSERT|UPDATE|DELETE|REPLACE|CREATE|DROP|ALTER|PRAGMA|EXPLAIN|ATTACH)\b )"""
_BEGINS_AS_SQL = re.compile(rf"(?>\s+|\(|--[^\n]*\n|/\*.*?\*/)*+ {_STATEMENT}", _READING)

# A fence may name its language: one of SQL's, or any other word that has the line for itself.
_SQL_LANGUAGE = (
    r"(?: sqlite3? | mysql | mariadb | postgres(?:ql)? | psql | t-?sql | sql )(?![\w.\#+-])"
)
_FENCE = re.compile(
    rf"""``` [ \t]*
    (?: (?P<sql> {_SQL_LANGUAGE} | sql(?=SELECT\b) )
      | (?!{_STATEMENT}) (?P<other> [\w.\#+-]+ ) (?=[ \t]*\n) )?
    [ \t]*\n? (?P<body> .*? ) (?P<closed> ``` | \Z )""",
    _READING,
)
_QUERY_BEGINS = (  # in a text without fences, from the surest sign to the weakest
    re.compile(rf"\A .* \bsql\b \s*+ (?: :\s*+ )? (?P<query> {_QUERY} )", _READING),
    re.compile(rf"^[ \t]* (?P<query> {_QUERY} )", _READING | re.MULTILINE),
    re.compile(rf": \s*+ (?P<query> {_QUERY} )", _READING),
    re.compile(r"\b(?P<query>SELECT)\b"),
)
_QUERY_GOES_ON = r"""(?: \) | , | -- | (?: SELECT|FROM|WHERE|GROUP|ORDER|HAVING|LIMIT|UNION
    |INTERSECT|EXCEPT|LEFT|INNER|CROSS|NATURAL|JOIN|AND|OR|ON )\b )"""
_QUERY_ENDS = re.compile(
    rf"""\bQuestion[ ]Solved | \bSub[ -]question\s*\d+\s*:
    | ; \s*? \n (?!\s*+{_STATEMENT}) | \n [ \t]* \n (?!\s*+{_QUERY_GOES_ON})""",
    _READING,
)
_SUB_QUESTION = re.compile(r"^[ \t]*Sub[ -]question\s*\d+\s*:", re.MULTILINE | re.IGNORECASE)


class AnswerError(EssenceError):
    """An answer without the form that its task asks for."""


def parse_selector(text: str) -> Selection:
    """Parse the JSON object of a Selector's answer, fenced or bare. Raises AnswerError."""
    fences = [fence["body"] for fence in _FENCE.finditer(text) if fence["closed"]]
    body = fences[-1] if fences else text[text.find("{") : text.rfind("}") + 1]
    try:
        selection = json.loads(body)
    except json.JSONDecodeError as error:
        raise AnswerError(f"Selector answer: no JSON object ({error.msg})") from error
    if not isinstance(selection, dict) or not selection:
        raise AnswerError("Selector answer: not a JSON object of tables")
    for table, choice in selection.items():
        columns = isinstance(choice, list) and all(isinstance(c, str) for c in choice)
        if not columns and choice not in ("keep_all", "drop_all"):
            raise AnswerError(
                f'Selector answer: table {table!r} is neither "keep_all", "drop_all" nor a list '
                "of columns"
            )
    return selection


def parse_decomposer(text: str) -> list[tuple[str, str]]:
    """Parse (sub-question, SQL or "") pairs. Raises AnswerError where the last one has no SQL."""
    pairs = []
    for part in _SUB_QUESTION.split(text)[1:]:
        question = re.sub(r"(?:\n|(?<=[.?!:]))\s*SQL:?\s*\Z", "", part.partition("```")[0])
        pairs.append((question.strip(), extract_sql(part) or ""))
    if not pairs:
        raise AnswerError("Decomposer answer: no line 'Sub question 1: ...'")
    if not pairs[-1][1]:
        raise AnswerError("Decomposer answer: the last sub question has no fenced SQL")
    return pairs


def extract_sql(answer: str, *, lenient: bool = False) -> str | None:
    """Extract the SQL of an answer without final semicolons, or None; the only place that does.

    Strict: the last closed fence of SQL: one whose language is (sql, sqlite, mysql, ...), or that
    names none and begins like a statement. Lenient, for models that cannot write a fence or were
    asked otherwise: the last fence of SQL that holds anything, its end perhaps missing, else what
    `_find_unfenced_query` finds. Two statements stay two, and are refused when they are run.
    """
    fences = [
        fence
        for fence in _FENCE.finditer(answer)
        if fence["sql"] or (not fence["other"] and _BEGINS_AS_SQL.match(fence["body"]))
    ]
    if not lenient:
        bodies = [fence["body"] for fence in fences if fence["closed"]]
    else:
        bodies = [fence["body"] for fence in fences if fence["body"].strip()]
        bodies = bodies or [_find_unfenced_query(_FENCE.sub("\n", answer))]
    return _strip_semicolons(bodies[-1]) or None if bodies else None


def plain_sql(answer: str) -> str | None:
    """Return an answer that is SQL and nothing else, as MAC-SQL asks for on Spider, or None."""
    begins = _BEGINS_AS_SQL.match(answer) and "```" not in answer
    return _strip_semicolons(answer) if begins else None


def sql_as_asked(answer: str, gold: str) -> str | None:
    """Extract SQL in the form of the gold answer: fenced, or plain SQL where that is plain."""
    return plain_sql(answer) if plain_sql(gold) else extract_sql(answer)


def _find_unfenced_query(text: str) -> str:
    """Find the query after the last word `sql`, else one that begins a line or follows a colon.

    Without either, from the first SELECT in capitals; without any, all. It ends before "Question
    Solved", the next sub-question, and prose that follows a semicolon or a blank line.
    """
    if not _BEGINS_AS_SQL.match(text):
        matches = (begins.search(text) for begins in _QUERY_BEGINS)
        start = next((match.start("query") for match in matches if match), 0)
        text = text[start:]
    ends = _QUERY_ENDS.search(text)
    return text[: ends.start()] if ends else text


def _strip_semicolons(sql: str) -> str:
    return re.sub(r"[\s;]+\Z", "", sql.lstrip())


def render_selector(selection: Selection) -> str:
    lines = [json.dumps({table: c}, ensure_ascii=False)[1:-1] for table, c in selection.items()]
    return "\n```json\n{\n  " + ",\n  ".join(lines) + "\n}\n```\n"


def render_decomposer(pairs: list[tuple[str, str]]) -> str:
    parts = [
        f"Sub question {number}: {question}\nSQL\n```sql\n{sql}\n```\n"
        for number, (question, sql) in enumerate(pairs, 1)
    ]
    return "\n" + "\n".join(parts) + "\nQuestion Solved.\n"


def render_refiner(sql: str) -> str:
    return f"\n```sql\n{sql}\n```\n"


def is_large(tables: Sequence[Table], mean_columns: int = 6, all_columns: int = 30) -> bool:
    """Tell whether a schema is pruned at all, by MAC-SQL's rule; a small one is shown whole."""
    columns = sum(len(table.columns) for table in tables)
    return columns > mean_columns * len(tables) or columns > all_columns


def prune(tables: Sequence[Table], answer: Selection) -> list[Table]:
    """Reduce a schema to what the other agents see after a Selector's answer.

    A table that it drops, leaves out or names no real column of keeps its first columns.
    """
    choices = {fold_name(name): choice for name, choice in answer.items()}
    pruned = []
    for table in tables:
        choice = choices.get(fold_name(table.name), "drop_all")
        names = set() if choice in ("keep_all", "drop_all") else set(map(fold_name, choice))
        columns = tuple(column for column in table.columns if fold_name(column.name) in names)
        few = table.columns if choice == "keep_all" else table.columns[:MOST_COLUMNS]
        pruned.append(Table(table.name, columns or few))
    return pruned

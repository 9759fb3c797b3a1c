"""The questions of one database whose gold SQL can be learned from, and why the others cannot."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import sqlglot

from workflow_scripts.data.questions import Question
from workflow_scripts.data.rows import comparable_text
from workflow_scripts.data.shown_database import ShownDatabase
from workflow_scripts.data.sub_questions import steps_before
from workflow_scripts.sql.layout import agents_sql
from workflow_scripts.sql.parse import parse
from workflow_scripts.sql.sandbox import Result
from workflow_scripts.sql.schema_names import unknown_names

NO_QUESTION = "there is no question"
ASKED_BEFORE = "the same question was asked of this database before"
NOT_PARSED = "its SQL cannot be parsed"
FAILS = "its SQL fails"
NOTHING = "its SQL returns nothing"
NOT_SHOWN = "its SQL reads what prompts do not show (a view, a table of SQLite's own)"

Execute = Callable[[Sequence[str]], list[Result]]  # statements on one database


@dataclass(frozen=True)
class Gold:
    """A question with its SQL as the agents write it, or as given where that is not the same.

    `steps` are the (sub-question, SQL) of a Decomposer's answer, the question itself last.
    """

    number: int  # of the question, from 0
    question: Question
    sql: str
    rewritten: bool
    steps: list[tuple[str, str]]


@dataclass(frozen=True)
class Refusal:
    """A question that gives no row."""

    number: int
    reason: str
    detail: str


def golds_of(
    database: ShownDatabase, asked: Sequence[tuple[int, Question]], execute: Execute
) -> Iterator[Gold | Refusal]:
    """Each question's gold, or why it was dropped, in order."""
    statements = [question.sql for _, question in asked]
    results = dict(zip(statements, execute(statements), strict=True))
    seen: set[str] = set()
    usable: list[tuple[int, Question]] = []
    for number, question in asked:
        reason, detail = _refused(database, question, results[question.sql], seen)
        seen.add(comparable_text(question.question))
        if reason:
            yield Refusal(number, reason, detail)
        else:
            usable.append((number, question))
    yield from _written(database, usable, results, execute)


def _refused(
    database: ShownDatabase, question: Question, result: Result, seen: set[str]
) -> tuple[str, str]:
    """(reason, detail); empty for a question that can be used."""
    if not question.question.strip():
        return NO_QUESTION, question.sql
    if comparable_text(question.question) in seen:
        return ASKED_BEFORE, question.question
    if not result.ok:
        return FAILS, f"{result.error}: {question.sql}"
    if all(value is None for row in result.rows for value in row):
        return NOTHING, question.sql
    if parse(question.sql) is None:
        return NOT_PARSED, question.sql
    unknown = unknown_names(question.sql, database.schema)
    return (NOT_SHOWN, f"{', '.join(sorted(unknown))}: {question.sql}") if unknown else ("", "")


def _written(
    database: ShownDatabase,
    asked: list[tuple[int, Question]],
    results: dict[str, Result],
    execute: Execute,
) -> Iterator[Gold]:
    """Rewrite gold SQL as the agents write it, wherever that returns the very same rows."""
    texts = {question.sql: _agents_sql(question.sql) for _, question in asked}
    steps = {sql: _steps(database, sql) if text else [] for sql, text in texts.items()}
    tried = [text for text in texts.values() if text]
    tried += [sql for pairs in steps.values() for _, sql in pairs]
    answer = dict(zip(tried, execute(tried), strict=True))
    for number, question in asked:
        text = texts[question.sql]
        same = text is not None and answer[text].rows == results[question.sql].rows
        sql = text if same else question.sql.strip().rstrip("; \n")
        pairs = [(said, step) for said, step in steps[question.sql] if answer[step].rows]
        yield Gold(number, question, sql, same, [*pairs, (question.question.strip(), sql)])


def _agents_sql(sql: str) -> str | None:
    try:
        return agents_sql(parse(sql))
    except (sqlglot.errors.SqlglotError, RecursionError, ValueError):
        return None


def _steps(database: ShownDatabase, sql: str) -> list[tuple[str, str]]:
    steps = steps_before(parse(sql), database.words)
    return [(said, agents_sql(query)) for said, query in steps]

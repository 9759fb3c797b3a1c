"""Read an agent's answer, without ever raising, whatever a model wrote."""

import json
from dataclasses import dataclass, field

from workflow_scripts.artifacts.agents import SubQuestion
from workflow_scripts.formats.answers import (
    AnswerError,
    Selection,
    extract_sql,
    parse_decomposer,
    parse_selector,
    plain_sql,
)


@dataclass(frozen=True)
class Reading:
    """The content of an answer; `problem` says why there is neither a selection nor SQL."""

    problem: str | None = None
    selection: Selection | None = None
    sub_questions: list[SubQuestion] = field(default_factory=list)
    sql: str | None = None


def read_answer(agent: str, text: str) -> Reading:
    """Read a Selector's selection, or the SQL of another agent."""
    return _read_selection(text) if agent == "Selector" else _read_query(text)


def _read_selection(text: str) -> Reading:
    try:
        selection = parse_selector(text)
        # JSON can spell half a character, which no name has.
        json.dumps(selection, ensure_ascii=False).encode()
    except (AnswerError, RecursionError, UnicodeEncodeError) as error:
        return Reading(problem=f"{error}; the whole schema is used")
    return Reading(selection=selection)


def _read_query(text: str) -> Reading:
    """Read the last SQL, in a closed fence or as the whole answer."""
    try:
        pairs = [SubQuestion(question=ask, sql=sql) for ask, sql in parse_decomposer(text)]
    except AnswerError:
        pairs = []
    sql = extract_sql(text) or plain_sql(text)
    if not sql:
        return Reading("the answer holds no SQL that is closed by a fence", sub_questions=pairs)
    return Reading(sub_questions=pairs, sql=sql)

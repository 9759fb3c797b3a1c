"""Run Selector, Decomposer and Refiner on a batch of questions.

As in MAC-SQL (Wang et al. 2023, https://arxiv.org/abs/2312.11242): a large schema is pruned, the
question is decomposed, its SQL is executed, and what fails is repaired and executed again. Unlike
the original, the last repair is executed too, a time-out is an error like others, and no SQL is
passed over because the word "error" stands in it.

Nothing that a model answers is an error here: an answer of the Selector that cannot be read leaves
the schema whole, and one without SQL ends the question's way.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from pydantic import NonNegativeInt, PositiveInt

from workflow_scripts.agents.trace import Step, Trace
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.answers import (
    AnswerError,
    extract_sql,
    is_large,
    parse_decomposer,
    parse_selector,
    plain_sql,
    prune,
)
from workflow_scripts.formats.prompts import Prompt, render_prompt
from workflow_scripts.formats.schema import Schema
from workflow_scripts.records import Record
from workflow_scripts.sql.describe import describe_database
from workflow_scripts.sql.sandbox import Job, Result

LONGEST = 2000  # characters of a question, and of its evidence
EXAMPLE_SECONDS = 10.0  # of processor time, to look for value examples; then columns have none
FIRST_ROWS = 5  # among which a NULL makes the Refiner begin, where `repair_on` is nothing
# In the original's words, which its Refiner was shown for SQL that ran.
NO_ROWS = "no data selected"
NULLS = "exist None value, you can add `NOT NULL` in SQL"
# Where SQLite itself did not raise: the class of nearly every error in the rows.
USUAL_EXCEPTION = "<class 'sqlite3.OperationalError'>"


class Loop(Record):
    """How the agents work together; the defaults are MAC-SQL's.

    `selector`: whether the schema is pruned, `large` meaning that its tables have more than
    `mean_columns` columns on average or more than `all_columns` together. `decomposer` false: the
    answer is made to begin as if the question were its only sub-question. `repairs`: at most so
    many. `repair_on`: what makes the Refiner begin, SQL that fails (as MAC-SQL does on Spider), or
    also SQL that returns no row or a NULL in its first rows (as on BIRD). `constrained`: answers
    keep to the forms of formats/answer_forms.py.
    """

    selector: Literal["never", "large", "always"] = "large"
    mean_columns: PositiveInt = 6
    all_columns: PositiveInt = 30
    decomposer: bool = True
    repairs: NonNegativeInt = 3
    repair_on: Literal["error", "nothing"] = "error"
    constrained: bool = False

    @classmethod
    def of(cls, agents: Mapping[str, Any]) -> Self:
        """Take them from the configuration's key `agents`, which has other keys too."""
        return cls(**{key: agents[key] for key in cls.model_fields if key in agents})


@dataclass(frozen=True)
class Answer:
    """`unread_tokens`: how many tokens of the prompt the model did not read, for its length."""

    text: str
    unread_tokens: int = 0


class BackEnd(Protocol):
    """A model in the agents' place (see model.py)."""

    def answer(self, prompts: Sequence[str], beginnings: Sequence[str] = ()) -> list[Answer]:
        """Return one answer per prompt; `beginnings`: the text that each must start with."""


Execute = Callable[[list[Job]], Sequence[Result]]


@dataclass(frozen=True)
class Question:
    """A question about a database with its whole `schema`.

    `sql`, where given, replaces the Decomposer's answer.
    """

    database: Path
    schema: Schema
    text: str
    evidence: str = ""
    sql: str | None = None


def read_question(database: Path, question: str, evidence: str = "") -> Question:
    """Check a user's question and read the schema of its database.

    Raises EssenceError for a text that is empty, too long or no UTF-8, and as `read_schema` does.
    """
    if not question.strip():
        raise EssenceError('the question is empty. Ask one: ask DATABASE "How many ...?"')
    for name, text in {"question": question, "evidence": evidence}.items():
        if len(text) > LONGEST:
            raise EssenceError(
                f"the {name} has {len(text):,} characters; at most {LONGEST:,} are read"
            )
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise EssenceError(f"the {name} is not UTF-8 text") from None
    return Question(database, read_schema(database), question, evidence)


def read_schema(database: Path) -> Schema:
    """Read the schema of a SQLite file as prompts show it, without names that they cannot carry.

    Raises EssenceError saying what is wrong with the file.
    """
    schema = Schema(*describe_database(database, seconds=EXAMPLE_SECONDS)).without_unwritable()
    if not schema.width:
        raise EssenceError(f"{database}: the database has no tables to ask about.")
    return schema


@dataclass
class _Case:
    """A question in progress: the schema that is shown, and the steps so far."""

    question: Question
    schema: Schema
    steps: list[Step] = field(default_factory=list)
    first_result: Result | None = None  # of the question's own SQL

    @property
    def statements(self) -> list[tuple[str, Result]]:
        """List what was executed so far, with its results."""
        own = [(self.question.sql, self.first_result)] if self.first_result else []
        return own + [(step.sql, step.executed) for step in self.steps if step.executed]

    def prompt(self, agent: str, **sections: str | None) -> str:
        fields = {
            "db_id": None,
            "question": _join_lines(self.question.text),
            "evidence": _join_lines(self.question.evidence),
            "schema": self.schema.text,
            "foreign_keys": self.schema.foreign_keys_text,
        }
        return render_prompt(Prompt(agent, **(fields | sections)))

    def error(self, loop: Loop) -> tuple[str, str] | None:
        """Return the error and its class for the Refiner, or None if nothing is to be repaired.

        Where the last answer had no SQL, nothing is. A repair that changed nothing is not asked for
        again either: the same prompt has the same answer.
        """
        *before, (sql, result) = self.statements or [(None, None)]
        last = self.steps[-1] if self.steps else None
        repaired = last is not None and last.agent == "Refiner"
        if sql is None or (last and last.agent != "Selector" and not last.sql):
            return None
        if repaired and sql in [earlier for earlier, _ in before]:
            return None
        if not result.ok:
            return result.error or result.status, result.exception or USUAL_EXCEPTION
        if loop.repair_on == "nothing" and not result.rows:
            return NO_ROWS, ""
        if loop.repair_on == "nothing" and any(None in row for row in result.rows[:FIRST_ROWS]):
            return NULLS, ""
        return None

    def trace(self) -> Trace:
        ran = [pair for pair in self.statements if pair[1].ok]
        sql, result = (ran or self.statements or [(None, None)])[-1]
        return Trace(
            database=self.question.database.stem,
            question=self.question.text,
            evidence=self.question.evidence,
            seen=self.schema.names,
            columns_in_database=self.question.schema.width,
            steps=self.steps,
            sql=sql,
            executed=result,
        )


def run_loop(
    questions: Sequence[Question], loop: Loop, back_end: BackEnd, execute: Execute
) -> list[Trace]:
    """Answer all questions: one trace per question, in order.

    `execute` is `run` or `map` of a sandbox. Each agent is asked for all questions that need it at
    once; the `seconds` of its step are those of the whole batch.
    """
    cases = [_Case(question, question.schema) for question in questions]
    _select([case for case in cases if _needs_selector(case.question.schema, loop)], back_end)
    given = [case for case in cases if case.question.sql]
    results = execute([Job(case.question.database, case.question.sql) for case in given])
    for case, result in zip(given, results, strict=True):
        case.first_result = result
    _decompose([case for case in cases if not case.question.sql], loop, back_end, execute)
    for _ in range(loop.repairs):
        _refine([case for case in cases if case.error(loop)], loop, back_end, execute)
    return [case.trace() for case in cases]


def _needs_selector(schema: Schema, loop: Loop) -> bool:
    large = is_large(schema.tables, loop.mean_columns, loop.all_columns)
    return loop.selector == "always" or (loop.selector == "large" and large)


def _select(cases: list[_Case], back_end: BackEnd) -> None:
    prompts = [
        case.prompt("Selector", db_id=_join_lines(case.question.database.stem)) for case in cases
    ]
    for case, step in zip(cases, _ask("Selector", prompts, back_end), strict=True):
        case.steps.append(step)
        if step.selection:
            tables = prune(case.schema.tables, step.selection)
            case.schema = Schema(tables, case.schema.foreign_keys)  # all stay, as in the rows


def _decompose(cases: list[_Case], loop: Loop, back_end: BackEnd, execute: Execute) -> None:
    prompts = [case.prompt("Decomposer") for case in cases]
    beginnings = [
        f"\nSub question 1: {_join_lines(case.question.text)}\nSQL\n```sql\n"
        for case in cases
        if not loop.decomposer
    ]
    _add_executed(cases, _ask("Decomposer", prompts, back_end, beginnings), execute)


def _refine(cases: list[_Case], loop: Loop, back_end: BackEnd, execute: Execute) -> None:
    prompts = []
    for case in cases:
        error, exception = case.error(loop)
        failure = {"error": _indent_marks(error), "exception_class": exception}
        sql = _indent_marks(case.statements[-1][0])
        prompts.append(case.prompt("Refiner", old_sql=sql, **failure))
    _add_executed(cases, _ask("Refiner", prompts, back_end), execute)


def _ask(
    agent: str, prompts: list[str], back_end: BackEnd, beginnings: Sequence[str] = ()
) -> list[Step]:
    if not prompts:
        return []
    started = time.perf_counter()
    answers = back_end.answer(prompts, beginnings)
    seconds = time.perf_counter() - started
    read = _read_selection if agent == "Selector" else _read_query
    return [
        Step(agent, prompt, answer.unread_tokens, answer.text, seconds=seconds, **read(answer.text))
        for prompt, answer in zip(prompts, answers, strict=True)
    ]


def _read_selection(text: str) -> dict[str, Any]:
    """Read a Selector's answer into fields of its step."""
    try:
        selection = parse_selector(text)
        # JSON can spell half a character, which no name has.
        json.dumps(selection, ensure_ascii=False).encode()
    except (AnswerError, RecursionError, UnicodeEncodeError) as error:
        return {"problem": f"{error}; the whole schema is used"}
    return {"selection": selection}


def _read_query(text: str) -> dict[str, Any]:
    """Read another agent's last SQL, in a closed fence or as the whole answer."""
    try:
        pairs = parse_decomposer(text)
    except AnswerError:
        pairs = []
    sql = extract_sql(text) or plain_sql(text)
    problem = None if sql else "the answer holds no SQL that is closed by a fence"
    return {"problem": problem, "sub_questions": pairs, "sql": sql or None}


def _add_executed(cases: list[_Case], steps: list[Step], execute: Execute) -> None:
    pairs = list(zip(cases, steps, strict=True))
    jobs = [Job(case.question.database, step.sql) for case, step in pairs if step.sql]
    results = iter(execute(jobs))
    for case, step in pairs:
        step.executed = next(results) if step.sql else None
        case.steps.append(step)


def _join_lines(text: str) -> str:
    """Join a user's lines into one, so that none can look like the mark of a section."""
    return " ".join(text.split())


def _indent_marks(text: str) -> str:
    """Indent lines of a model's or SQLite's text that look like the mark of a section."""
    return "\n".join(f" {line}" if line[:1] in "【=" else line for line in text.split("\n"))

"""Run Selector, Decomposer and Refiner on a batch of questions.

As in MAC-SQL (Wang et al. 2023, https://arxiv.org/abs/2312.11242): a large schema is pruned, the
question is decomposed, its SQL is executed, and what fails is repaired and executed again. Unlike
the original, the last repair is executed too, a time-out is an error like others, and no SQL is
passed over because the word "error" stands in it.

Nothing that a model answers is an error here: an answer of the Selector that cannot be read leaves
the schema whole, and one without SQL ends the question's way.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from workflow_scripts.agents.model import Answer, BackEnd
from workflow_scripts.agents.reading import Reading, read_answer
from workflow_scripts.artifacts.agents import AgentStep, Executed, Loop, Trace
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats.answers import is_large, prune
from workflow_scripts.formats.prompts import Prompt, render_prompt
from workflow_scripts.formats.schema import Schema
from workflow_scripts.sql.describe import describe_database
from workflow_scripts.sql.execute import json_rows
from workflow_scripts.sql.sandbox import Result

Execute = Callable[[list[tuple[Path, str]]], Sequence[Result]]

EXAMPLE_SECONDS = 10.0  # of processor time, to look for value examples; then columns have none
SHOWN_ROWS = 1000  # of a result, in a trace
FIRST_ROWS = 5  # among which a NULL makes the Refiner begin, where `repair_on` is nothing
# In the original's words, which its Refiner was shown for SQL that ran.
NO_ROWS = "no data selected"
NULLS = "exist None value, you can add `NOT NULL` in SQL"
# Where SQLite itself did not raise: the class of nearly every error in the rows.
USUAL_EXCEPTION = "<class 'sqlite3.OperationalError'>"


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
    """A question in progress: the steps so far and the pruned schema."""

    question: Question
    schema: Schema
    steps: list[AgentStep] = field(default_factory=list)
    given_result: Executed | None = None  # of the question's own SQL

    @property
    def last(self) -> tuple[str, Executed] | None:
        """The current statement and its result."""
        if self.steps and self.steps[-1].agent != "Selector":
            step = self.steps[-1]
            return (step.sql, step.executed) if step.sql else None
        return (self.question.sql, self.given_result) if self.given_result else None

    def prompt(self, agent: str, **sections: str | None) -> str:
        fields = {
            "db_id": None,
            "question": _join_lines(self.question.text),
            "evidence": _join_lines(self.question.evidence),
            "schema": self.schema.text,
            "foreign_keys": self.schema.foreign_keys_text,
        }
        return render_prompt(Prompt(agent, **(fields | sections)))

    def trace(self) -> Trace:
        ran = [(self.question.sql, self.given_result)] if self.given_result else []
        ran += [(step.sql, step.executed) for step in self.steps if step.executed]
        good = [pair for pair in ran if pair[1].status == "ok"]
        sql, executed = (good or ran or [(None, None)])[-1]
        return Trace(
            database=self.question.database.stem,
            question=self.question.text,
            evidence=self.question.evidence,
            seen=self.schema.names,
            columns_in_database=self.question.schema.width,
            steps=self.steps,
            sql=sql,
            executed=executed,
        )


def run_loop(
    questions: Sequence[Question], loop: Loop, back_end: BackEnd, execute: Execute
) -> list[Trace]:
    """Answer all questions: one trace per question, in order.

    `execute` runs (database, SQL) jobs, reading only. Each agent is asked for all questions that
    need it at once; the `seconds` of its step are those of the whole batch.
    """
    cases = [_Case(question, question.schema) for question in questions]
    _select([case for case in cases if _needs_selector(case.question.schema, loop)], back_end)
    for case, result in zip(
        given := [case for case in cases if case.question.sql],
        execute([(case.question.database, case.question.sql) for case in given]),
        strict=True,
    ):
        case.given_result = executed(result)
    _decompose([case for case in cases if not case.question.sql], loop, back_end, execute)
    for _ in range(loop.repairs):
        _refine([case for case in cases if _find_error(case, loop)], loop, back_end, execute)
    return [case.trace() for case in cases]


def executed(result: Result) -> Executed:
    rows = result.rows or []
    return Executed(
        status=result.status,
        error=result.error,
        exception=result.exception,
        columns=result.columns or [],
        rows=json_rows(rows[:SHOWN_ROWS]),
        row_count=len(rows),
        seconds=result.seconds,
    )


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
            case.schema = Schema(
                prune(case.schema.tables, step.selection), case.schema.foreign_keys
            )


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
        error, exception = _find_error(case, loop)
        failure = {"error": _indent_marks(error), "exception_class": exception}
        prompts.append(case.prompt("Refiner", old_sql=_indent_marks(case.last[0]), **failure))
    _add_executed(cases, _ask("Refiner", prompts, back_end), execute)


def _find_error(case: _Case, loop: Loop) -> tuple[str, str] | None:
    """Return the error and its class for the Refiner, or None if nothing is to be repaired.

    A repair that changed nothing is not asked for again: the same prompt has the same answer.
    """
    if case.last is None:
        return None
    sql, result = case.last
    before = [step.sql for step in case.steps[:-1]] + [case.question.sql]
    if case.steps and case.steps[-1].agent == "Refiner" and sql in before:
        return None
    if result.status != "ok":
        return result.error or result.status, result.exception or USUAL_EXCEPTION
    if loop.repair_on == "nothing":
        if not result.row_count:
            return NO_ROWS, ""
        if any(cell is None for row in result.rows[:FIRST_ROWS] for cell in row):
            return NULLS, ""
    return None


def _ask(
    agent: str, prompts: list[str], back_end: BackEnd, beginnings: Sequence[str] = ()
) -> list[AgentStep]:
    if not prompts:
        return []
    started = time.perf_counter()
    answers = back_end.answer(prompts, beginnings)
    seconds = time.perf_counter() - started
    return [
        _step(agent, prompt, answer, read_answer(agent, answer.text), seconds)
        for prompt, answer in zip(prompts, answers, strict=True)
    ]


def _step(agent: str, prompt: str, answer: Answer, reading: Reading, seconds: float) -> AgentStep:
    return AgentStep(
        agent=agent,
        prompt=prompt,
        unread_tokens=answer.unread_tokens,
        answer=answer.text,
        seconds=seconds,
        **vars(reading),
    )


def _add_executed(cases: list[_Case], steps: list[AgentStep], execute: Execute) -> None:
    jobs = [
        (case.question.database, step.sql)
        for case, step in zip(cases, steps, strict=True)
        if step.sql
    ]
    results = iter(execute(jobs))
    for case, step in zip(cases, steps, strict=True):
        update = {"executed": executed(next(results))} if step.sql else {}
        case.steps.append(step.model_copy(update=update))


def _join_lines(text: str) -> str:
    """Join a user's lines into one, so that none can look like the mark of a section."""
    return " ".join(text.split())


def _indent_marks(text: str) -> str:
    """Indent lines of a model's or SQLite's text that look like the mark of a section."""
    return "\n".join(f" {line}" if line[:1] in "【=" else line for line in text.split("\n"))

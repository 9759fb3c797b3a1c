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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from pydantic import NonNegativeInt, PositiveInt

from workflow_scripts.agents.trace import Question, Step, Trace
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


def run_loop(
    questions: Sequence[Question], loop: Loop, back_end: BackEnd, execute: Execute
) -> list[Trace]:
    """Answer all questions: one trace per question, in order.

    `execute` is `run` or `map` of a sandbox. Each agent is asked for all questions that need it at
    once; the `seconds` of its step are those of the whole batch.
    """
    traces = [Trace(question, question.schema) for question in questions]
    _select([trace for trace in traces if _needs_selector(trace.schema, loop)], back_end)
    with_sql = [trace for trace in traces if trace.question.sql]
    results = execute([Job(each.question.database, each.question.sql) for each in with_sql])
    for trace, result in zip(with_sql, results, strict=True):
        trace.first_result = result
    _decompose([trace for trace in traces if not trace.question.sql], loop, back_end, execute)
    for _ in range(loop.repairs):
        _refine([trace for trace in traces if find_error(trace, loop)], loop, back_end, execute)
    return traces


def find_error(trace: Trace, loop: Loop) -> tuple[str, str] | None:
    """Return the error and its class for the Refiner, or None if nothing is to be repaired.

    Where the last answer had no SQL, nothing is. A repair that changed nothing is not asked for
    again either: the same prompt has the same answer.
    """
    last = trace.steps[-1] if trace.steps else None
    if not trace.statements or (last and last.agent != "Selector" and not last.sql):
        return None
    *before, (sql, result) = trace.statements
    if last and last.agent == "Refiner" and sql in [earlier for earlier, _ in before]:
        return None
    if not result.ok:
        return result.error or result.status, result.exception or USUAL_EXCEPTION
    if loop.repair_on == "nothing" and not result.rows:
        return NO_ROWS, ""
    if loop.repair_on == "nothing" and any(None in row for row in result.rows[:FIRST_ROWS]):
        return NULLS, ""
    return None


def _needs_selector(schema: Schema, loop: Loop) -> bool:
    large = is_large(schema.tables, loop.mean_columns, loop.all_columns)
    return loop.selector == "always" or (loop.selector == "large" and large)


def _select(traces: list[Trace], back_end: BackEnd) -> None:
    prompts = [
        _prompt(trace, "Selector", db_id=_join_lines(trace.question.database.stem))
        for trace in traces
    ]
    for trace, step in zip(traces, _ask("Selector", prompts, back_end), strict=True):
        trace.steps.append(step)
        if step.selection:
            tables = prune(trace.schema.tables, step.selection)
            trace.schema = Schema(tables, trace.schema.foreign_keys)  # all stay, as in the rows


def _decompose(traces: list[Trace], loop: Loop, back_end: BackEnd, execute: Execute) -> None:
    prompts = [_prompt(trace, "Decomposer") for trace in traces]
    beginnings = [
        f"\nSub question 1: {_join_lines(trace.question.text)}\nSQL\n```sql\n"
        for trace in traces
        if not loop.decomposer
    ]
    _add_executed(traces, _ask("Decomposer", prompts, back_end, beginnings), execute)


def _refine(traces: list[Trace], loop: Loop, back_end: BackEnd, execute: Execute) -> None:
    prompts = []
    for trace in traces:
        error, exception = find_error(trace, loop)
        failure = {"error": _indent_marks(error), "exception_class": exception}
        old_sql = _indent_marks(trace.statements[-1][0])
        prompts.append(_prompt(trace, "Refiner", old_sql=old_sql, **failure))
    _add_executed(traces, _ask("Refiner", prompts, back_end), execute)


def _prompt(trace: Trace, agent: str, db_id: str | None = None, **failure: str) -> str:
    question, evidence = map(_join_lines, (trace.question.text, trace.question.evidence))
    schema = (trace.schema.text, trace.schema.foreign_keys_text)
    return render_prompt(Prompt(agent, db_id, question, evidence, *schema, **failure))


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


def _add_executed(traces: list[Trace], steps: list[Step], execute: Execute) -> None:
    pairs = list(zip(traces, steps, strict=True))
    jobs = [Job(trace.question.database, step.sql) for trace, step in pairs if step.sql]
    results = iter(execute(jobs))
    for trace, step in pairs:
        step.executed = next(results) if step.sql else None
        trace.steps.append(step)


def _join_lines(text: str) -> str:
    """Join a user's lines into one, so that none can look like the mark of a section."""
    return " ".join(text.split())


def _indent_marks(text: str) -> str:
    """Indent lines of a model's or SQLite's text that look like the mark of a section."""
    return "\n".join(f" {line}" if line[:1] in "【=" else line for line in text.split("\n"))

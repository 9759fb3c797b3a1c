"""Run Selector, Decomposer and Refiner on a batch of questions.

As in MAC-SQL (Wang et al. 2023, https://arxiv.org/abs/2312.11242): a large schema is pruned, the
question is decomposed, its SQL is executed, and what fails is repaired and executed again. Unlike
the original, the last repair is executed too, a time-out is an error like others, and no SQL is
passed over because the word "error" stands in it. Nothing that a model answers is an error here.
"""

import contextlib
import functools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from pydantic import NonNegativeInt, PositiveInt

from workflow_scripts.agents.narrow import narrow
from workflow_scripts.errors import EssenceError
from workflow_scripts.formats import answers
from workflow_scripts.formats.prompts import Prompt, render_prompt
from workflow_scripts.formats.schema import Schema
from workflow_scripts.records import Record
from workflow_scripts.sql.describe import describe_database
from workflow_scripts.sql.sandbox import Job, Result, json_rows

LONGEST = 2000  # characters of a question, and of its evidence
EXAMPLE_SECONDS = 10.0  # of processor time, to look for value examples; then columns have none
FIRST_ROWS = 5  # among which a NULL makes the Refiner begin, where `repair_on` is nothing
# In the original's words, which its Refiner was shown for SQL that ran.
NO_ROWS = "no data selected"
NULLS = "exist None value, you can add `NOT NULL` in SQL"
# Where SQLite itself did not raise: the class of nearly every error in the rows.
USUAL_EXCEPTION = "<class 'sqlite3.OperationalError'>"
JSON_ROWS = 1000  # of a result, in JSON
TEXT_ROWS = 20  # of a result, in a terminal
CELL_WIDTH = 40  # characters


class Loop(Record, extra="ignore"):  # the configuration's `agents` has other keys too
    """How the agents work together; the defaults, but for `most_tables`, are MAC-SQL's.

    `selector` `large`: a schema is pruned whose tables have more than `mean_columns` columns on
    average or more than `all_columns` together. `most_tables`: of a schema with more the agents see
    those that the question's words point to (narrow.py). `decomposer` false: the answer is made to
    begin as if the question were its only sub-question. `repair_on`: the Refiner begins on SQL that
    fails (as MAC-SQL's on Spider), or also on SQL that returns no row or a NULL in its first rows
    (as on BIRD). `constrained`: answers keep to the forms of formats/answer_grammar.py.
    """

    selector: Literal["never", "large", "always"] = "large"
    mean_columns: PositiveInt = 6
    all_columns: PositiveInt = 30
    most_tables: PositiveInt = 20
    decomposer: bool = True
    repairs: NonNegativeInt = 3
    repair_on: Literal["error", "nothing"] = "error"
    constrained: bool = False


@dataclass
class Step:
    """One agent's prompt and answer, what was read in the answer, and what its SQL returned.

    The agent "given" is a question's own SQL. `unread_tokens` of the prompt lie beyond what the
    model reads. `problem`: why nothing could be read. `sub_questions`: (question, SQL or "").
    """

    agent: str
    prompt: str
    unread_tokens: int
    answer: str
    problem: str | None = None
    selection: answers.Selection | None = None
    sub_questions: list[tuple[str, str]] = field(default_factory=list)
    sql: str | None = None
    executed: Result | None = None
    seconds: float = 0.0


@dataclass
class Trace:
    """A question about a database, its own `sql` if it has any, and what the agents did with it."""

    database: Path
    schema: Schema
    question: str
    evidence: str = ""
    sql: str | None = None
    loop: Loop = field(default_factory=Loop)
    steps: list[Step] = field(default_factory=list)

    @functools.cached_property
    def narrowed(self) -> Schema:
        """Return what the Selector sees."""
        return narrow(self.schema, f"{self.question}\n{self.evidence}", self.loop.most_tables)

    @property
    def shown(self) -> Schema:
        """Return what the next agent sees, after a Selector what that left."""
        schema = self.narrowed
        if not self.steps or not self.steps[0].selection:
            return schema
        tables = answers.prune(schema.tables, self.steps[0].selection)
        return Schema(tables, schema.foreign_keys)  # all keys stay, as in the rows

    @property
    def answer(self) -> tuple[str | None, Result | None]:
        """Return the last statement that ran, or the last one; None: no agent wrote any."""
        executed = [(step.sql, step.executed) for step in self.steps if step.executed]
        good = [(sql, result) for sql, result in executed if result.ok]
        return (good or executed or [(None, None)])[-1]

    @property
    def answered(self) -> bool:
        _, result = self.answer
        return result is not None and result.ok

    def as_json(self, rows: int = JSON_ROWS, times: bool = True) -> dict[str, Any]:
        """Give all of it with the first rows of results; without times it is always the same."""
        shown = functools.partial(result_json, rows=rows, times=times)
        steps = [
            vars(step)
            | {
                "sub_questions": [{"question": q, "sql": sql} for q, sql in step.sub_questions],
                "executed": shown(step.executed),
                "seconds": step.seconds if times else None,
            }
            for step in self.steps
        ]
        sql, result = self.answer
        return {
            "database": self.database.stem,
            "question": self.question,
            "evidence": self.evidence,
            "seen": self.shown.names,
            "columns_in_database": self.schema.width,
            "tables_in_database": len(self.schema.tables),
            "tables_of_agents": len(self.narrowed.tables),
            "steps": steps,
            "sql": sql,
            "executed": shown(result),
        }

    def as_text(self, steps: bool = False) -> str:
        """Show the answer, after each agent's step if `steps`, or why there is none."""
        from jinja2 import Environment  # `essence ask --help` does without

        environment = Environment(
            trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, finalize=_printable
        )
        template = Path(__file__).with_name("trace.txt").read_text(encoding="utf-8")
        sql, result = self.answer
        return environment.from_string(template).render(
            trace=self,
            agents=[step.agent for step in self.steps],
            show_steps=steps,
            sql=sql,
            result=result,
            table=_table(result) if self.answered else (),
            most=TEXT_ROWS,
        )


def result_json(result: Result | None, rows: int, times: bool = True) -> dict[str, Any] | None:
    """Give a result with the first of its rows, all of which are counted."""
    every = (result and result.rows) or []
    return result and {
        **{name: getattr(result, name) for name in ("status", "error", "exception")},
        "columns": result.columns or [],
        "rows": json_rows(every[:rows]),
        "row_count": len(every),
        "seconds": result.seconds if times else None,
    }


class Answer(NamedTuple):
    """`unread_tokens`: how many tokens of the prompt the model did not read, for its length."""

    text: str
    unread_tokens: int = 0


class BackEnd(Protocol):
    """A model in the agents' place (see model.py)."""

    def answer(self, prompts: Sequence[str], beginnings: Sequence[str]) -> list[Answer]:
        """Return one answer per prompt, which must start with the prompt's beginning ("": any)."""


Execute = Callable[[list[Job]], Sequence[Result]]


def read_question(database: Path, question: str, evidence: str = "") -> Trace:
    """Check a user's question and read the schema of its database. Raises EssenceError."""
    if not question.strip():
        raise EssenceError('the question is empty. Ask one, such as "How many wines are there?"')
    for name, text in {"question": question, "evidence": evidence}.items():
        if len(text) > LONGEST:
            raise EssenceError(
                f"the {name} has {len(text):,} characters; at most {LONGEST:,} are read"
            )
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise EssenceError(f"the {name} is not UTF-8 text") from None
    return Trace(database, read_schema(database), question, evidence)


def read_schema(database: Path) -> Schema:
    """Read a database's schema, without names that prompts cannot carry. Raises EssenceError."""
    schema = Schema(*describe_database(database, seconds=EXAMPLE_SECONDS)).without_unwritable()
    if not schema.width:
        raise EssenceError(f"{database}: the database has no tables to ask about.")
    return schema


def run_loop(traces: list[Trace], back_end: BackEnd, execute: Execute) -> list[Trace]:
    """Add the agents' steps to the traces, by `run` or `map` of a sandbox, and return the traces.

    Each agent is asked for all questions that need it at once; so many `seconds` has each such
    step.
    """

    def add(traces: list[Trace], steps: list[Step]) -> None:
        """Execute the steps' SQL and add each step to its trace."""
        pairs = list(zip(traces, steps, strict=True))
        jobs = [Job(trace.database, step.sql) for trace, step in pairs if step.sql]
        results = iter(execute(jobs))
        for trace, step in pairs:
            step.executed = next(results) if step.sql else None
            trace.steps.append(step)

    def ask(agent: str, traces: list[Trace]) -> None:
        prompts = [_prompt(agent, trace) for trace in traces]
        started = time.perf_counter()
        replies = back_end.answer(prompts, [_beginning(agent, trace) for trace in traces])
        seconds = time.perf_counter() - started
        read = _read_selection if agent == "Selector" else _read_query
        steps = [
            Step(agent, prompt, each.unread_tokens, each.text, seconds=seconds, **read(each.text))
            for prompt, each in zip(prompts, replies, strict=True)
        ]
        add(traces, steps)

    if pruned := [trace for trace in traces if _is_pruned(trace)]:
        ask("Selector", pruned)
    given = [trace for trace in traces if trace.sql]
    add(given, [Step("given", "", 0, "", sql=trace.sql) for trace in given])
    if others := [trace for trace in traces if not trace.sql]:
        ask("Decomposer", others)
    while failing := [trace for trace in traces if _find_failure(trace)]:
        ask("Refiner", failing)
    return traces


def _is_pruned(trace: Trace) -> bool:
    loop = trace.loop
    large = answers.is_large(trace.narrowed.tables, loop.mean_columns, loop.all_columns)
    return loop.selector == "always" or (loop.selector == "large" and large)


def _find_failure(trace: Trace) -> dict[str, str]:
    """Return what the Refiner is shown of the last SQL; nothing where nothing is to be repaired.

    After a repair that changed nothing there is not: the same prompt has the same answer.
    """
    *before, last = trace.steps
    result, strict = last.executed, trace.loop.repair_on == "nothing"
    repairs = [step for step in trace.steps if step.agent == "Refiner"]
    repeated = repairs and last.sql in [step.sql for step in before]
    if not result or repeated or len(repairs) >= trace.loop.repairs:
        return {}
    if not result.ok:
        error, exception = result.error or result.status, result.exception or USUAL_EXCEPTION
    elif strict and not result.rows:
        error, exception = NO_ROWS, ""
    elif strict and any(None in row for row in result.rows[:FIRST_ROWS]):
        error, exception = NULLS, ""
    else:
        return {}
    shown = {"old_sql": _indent_marks(last.sql), "error": _indent_marks(error)}
    return shown | {"exception_class": exception}


def _prompt(agent: str, trace: Trace) -> str:
    prompt = Prompt(
        agent,
        _join_lines(trace.database.stem) if agent == "Selector" else None,
        _join_lines(trace.question),
        _join_lines(trace.evidence),
        trace.shown.text,
        trace.shown.foreign_keys_text,
        **(_find_failure(trace) if agent == "Refiner" else {}),
    )
    return render_prompt(prompt)


def _beginning(agent: str, trace: Trace) -> str:
    """Return what an answer is made to begin with in the Decomposer's place."""
    if agent != "Decomposer" or trace.loop.decomposer:
        return ""
    return f"\nSub question 1: {_join_lines(trace.question)}\nSQL\n```sql\n"


def _read_selection(text: str) -> dict[str, Any]:
    """Read a Selector's answer into fields of its step."""
    try:
        selection = answers.parse_selector(text)
        # JSON can spell half a character, which no name has.
        json.dumps(selection, ensure_ascii=False).encode()
    except (answers.AnswerError, RecursionError, UnicodeEncodeError) as error:
        return {"problem": f"{error}; the whole schema is used"}
    return {"selection": selection}


def _read_query(text: str) -> dict[str, Any]:
    """Read another agent's last SQL, in a closed fence or as the whole answer."""
    pairs = []
    with contextlib.suppress(answers.AnswerError):
        pairs = answers.parse_decomposer(text)
    sql = answers.extract_sql(text) or answers.plain_sql(text) or None
    problem = None if sql else "the answer holds no SQL that is closed by a fence"
    return {"problem": problem, "sub_questions": pairs, "sql": sql}


def _join_lines(text: str) -> str:
    """Join a user's lines into one, so that none can look like the mark of a section."""
    return " ".join(text.split())


def _indent_marks(text: str) -> str:
    """Indent lines of a model's or SQLite's text that look like the mark of a section."""
    return "\n".join(f" {line}" if line[:1] in "【=" else line for line in text.split("\n"))


def _table(result: Result) -> list[str]:
    """Align column names and the first rows."""
    rows = [list(map(_cell_text, row)) for row in (result.columns, *result.rows[:TEXT_ROWS])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _cell_text(cell: Any) -> str:
    text = f"x'{cell.hex()}'" if isinstance(cell, bytes) else _printable(cell, kept="")
    text = "NULL" if cell is None else text
    return text if len(text) <= CELL_WIDTH else text[: CELL_WIDTH - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _printable(value: Any, kept: str = "\n\t") -> str:
    """Escape what is not printable, so that no text can control the terminal."""
    return "".join(
        char if char in kept or char.isprintable() else repr(char)[1:-1] for char in str(value)
    )

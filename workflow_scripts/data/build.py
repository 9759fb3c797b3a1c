"""Build Agent-Instruct rows from questions in Spider's or BIRD's form and their SQLite files.

    python -m workflow_scripts.data.build --format spider --questions train_spider.json \\
        --databases database --tables tables.json --out rows.jsonl

Each question gives a Decomposer row and, where its schema is large, a Selector row; a share of them
gives a Refiner row, its gold SQL broken so that SQLite refuses it. So does every answer in
`--predictions` whose SQL fails. Rows are raw (`idx`, `messages`) and state their `db_id`; question
number n of the file, from 0, has the idx 2n (Selector) and 2n + 1 (Decomposer). A card
beside the rows (rows.card.json) says what was built, and which questions were dropped and why.
"""

import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import sqlglot

from workflow_scripts.data.agent_rows import Failure, ShownDatabase, SolvedQuestion
from workflow_scripts.data.questions import (
    Answered,
    Question,
    read_answers,
    read_questions,
    read_tables,
    show_database,
)
from workflow_scripts.data.rows import comparable_text
from workflow_scripts.data.sub_questions import steps_before
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import sha256, write_json, write_jsonl
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.layout import agents_sql
from workflow_scripts.sql.parse import parse
from workflow_scripts.sql.sandbox import Limits, Result, Sandbox
from workflow_scripts.sql.schema_names import unknown_names
from workflow_scripts.stage import Input, Option, Output, Setting, run_stage

PREDICTED = "prediction"  # where SQL that fails comes from, beside the ways to break it
EXAMPLES = 3  # of each reason, in the card

Execute = Callable[[Sequence[str]], list[Result]]  # statements on one database
Numbered = list[tuple[int, Question]]
Failing = tuple[SolvedQuestion, str, Failure]  # the second says where the SQL comes from


@dataclass(frozen=True)
class Refusal:
    """A question that gives no row, and why."""

    number: int
    reason: str
    detail: str


def build(
    format: Annotated[str, Setting("of the questions: spider or bird")],
    questions: Annotated[Path, Input("JSON: db_id, question, query (Spider) or SQL (BIRD), ...")],
    databases: Annotated[Path, Setting("folder of <db_id>/<db_id>.sqlite")],
    out: Annotated[Path, Output("JSONL: the rows; a card goes beside it")],
    tables: Annotated[
        Path | None, Input("tables.json: words for columns, foreign keys that files lack")
    ] = None,
    predictions: Annotated[
        list[Path], Input("answers of an earlier model, to take its failing SQL from")
    ] = [],  # noqa: B006
    broken_share: Annotated[float, Option("share of the questions whose SQL is broken")] = 0.17,
    seed: Annotated[int, Option("decides which SQL is broken, and how")] = 7,
    seconds: Annotated[float, Setting("most processor time of a query")] = Limits.seconds,
) -> None:
    """Raises EssenceError for files of another form, and when no question can be used."""
    given = read_questions(format, questions)
    entries, answers = read_tables(tables) if tables else {}, read_answers(predictions)
    by_database: dict[str, Numbered] = defaultdict(list)
    for number, question in enumerate(given):
        by_database[question.db_id].append((number, question))
    solved: list[SolvedQuestion] = []
    failing: list[Failing] = []
    dropped: list[Refusal] = []
    for count, (db_id, its) in enumerate(by_database.items(), 1):
        try:
            database = show_database(find_database(databases, db_id), entries.get(db_id))
        except EssenceError as error:
            reason = "its database is missing or cannot be used"
            dropped += [Refusal(number, reason, str(error)) for number, _ in its]
        else:
            execute = _executor(database, Limits(seconds=seconds))
            results = list(_solve(database, its, execute))
            dropped += [each for each in results if isinstance(each, Refusal)]
            usable = [each for each in results if isinstance(each, SolvedQuestion)]
            solved += usable
            failing += _broken(usable, broken_share, seed, execute)
            failing += _predicted(usable, answers, execute)
        at = f"{count} of {len(by_database)} databases"
        print(f"{at}: {len(solved)} questions kept, {len(dropped)} dropped", file=sys.stderr)
    if not solved:
        first = dropped[0]
        raise EssenceError(
            f"{questions}: no question can be used; number {first.number}: {first.reason} "
            f"({first.detail})"
        )
    solved.sort(key=lambda each: each.number)
    failing = sorted(filter(_is_readable, failing), key=lambda each: each[0].number)
    rows = [row for each in solved for row in each.rows()]
    rows += [
        each.refiner_row(idx, how) for idx, (each, _, how) in enumerate(failing, 2 * len(given))
    ]
    write_jsonl(out, rows)
    ids = {each.db_id: each.database.pruned for each in solved}
    counts = (len(rows) - len(solved) - len(failing), len(solved), len(failing))
    card = {
        "format": format,
        "seed": seed,
        "questions": len(given),
        "kept": len(solved),
        "dropped": _by_reason(dropped),
        "databases": len(ids),  # of the questions kept
        "large_databases": sum(ids.values()),  # whose schema the Selector prunes
        "rows": dict(zip(TASKS, counts, strict=True)),
        "sub_questions": _count(str(len(each.steps)) for each in solved),  # -> Decomposer rows
        "failing_sql": _count(origin for _, origin, _ in failing),
        "sha256": {"questions": sha256(questions), "rows": sha256(out)},
    }
    write_json(out.with_suffix(".card.json"), card)
    by_task = ", ".join(f"{number} {task}" for task, number in card["rows"].items())
    print(f"{len(solved)} of {len(given)} questions on {len(ids)} databases: {by_task}")
    for reason, each in card["dropped"].items():
        print(f"{each['questions']} dropped: {reason}")


def _executor(database: ShownDatabase, limits: Limits) -> Execute:
    sandbox = Sandbox(limits)
    return lambda statements: sandbox.map((database.file, sql) for sql in statements)


def _solve(
    database: ShownDatabase, asked: Numbered, execute: Execute
) -> Iterator[SolvedQuestion | Refusal]:
    """Give each question of a database its steps and its SQL as the agents write it.

    Where that does not return the very same rows as the SQL given, the SQL given is kept.
    """
    given = [question.sql for _, question in asked]
    results = dict(zip(given, execute(given), strict=True))
    usable, earlier = [], set()
    for number, question in asked:
        refusal = _refuse(database, number, question, results[question.sql], earlier)
        earlier.add(comparable_text(question.question))
        if refusal:
            yield refusal
        else:
            usable.append((number, question))
    written = {question.sql: _as_agents_write(question.sql) for _, question in usable}
    steps = {sql: _steps(database, sql) if text else [] for sql, text in written.items()}
    texts = [text for text in written.values() if text]
    texts += [sql for pairs in steps.values() for _, sql in pairs]
    rows = {sql: result.rows for sql, result in zip(texts, execute(texts), strict=True)}
    for number, question in usable:
        text = written[question.sql]
        same = text and rows[text] == results[question.sql].rows
        sql = text if same else question.sql.strip().rstrip("; \n")
        words = question.question.strip()
        pairs = [*(pair for pair in steps[question.sql] if rows[pair[1]]), (words, sql)]
        evidence = (question.evidence or "").strip()
        solved = SolvedQuestion(database, question.db_id, number, words, evidence, sql, pairs)
        try:
            solved.rows()
        except EssenceError as error:
            yield Refusal(number, "its row could not be read back", str(error))
        else:
            yield solved


def _refuse(
    database: ShownDatabase, number: int, question: Question, result: Result, earlier: set[str]
) -> Refusal | None:
    """Say why a question can't be learned from, if that is so."""
    sql = question.sql
    unknown = unknown_names(sql, database.schema)
    if not question.question.strip():
        return Refusal(number, "there is no question", sql)
    if comparable_text(question.question) in earlier:
        reason = "the same question was asked of this database before"
        return Refusal(number, reason, question.question)
    if not result.ok:
        return Refusal(number, "its SQL fails", f"{result.error}: {sql}")
    if all(value is None for row in result.rows for value in row):
        return Refusal(number, "its SQL returns nothing", sql)
    if parse(sql) is None:
        return Refusal(number, "its SQL cannot be parsed", sql)
    if unknown:
        reason = "its SQL reads what prompts do not show (a view, a table of SQLite's own)"
        return Refusal(number, reason, f"{', '.join(sorted(unknown))}: {sql}")
    return None


def _as_agents_write(sql: str) -> str | None:
    try:
        return agents_sql(parse(sql))
    except (sqlglot.errors.SqlglotError, RecursionError, ValueError):
        return None


def _steps(database: ShownDatabase, sql: str) -> list[tuple[str, str]]:
    return [(words, agents_sql(q)) for words, q in steps_before(parse(sql), database.words)]


def _broken(
    solved: list[SolvedQuestion], share: float, seed: int, execute: Execute
) -> Iterator[Failing]:
    """Break the gold SQL of a share of the questions so that SQLite refuses it.

    In each round, every question whose SQL is not broken yet is tried in one more way.
    """
    waiting = []
    for question in solved:
        rng = random.Random(f"{seed} {question.number}")
        if rng.random() < share:
            waiting.append((question, question.broken(rng, question.ways_to_break(rng))))
    while waiting:
        tried = [(question, more, next(more, None)) for question, more in waiting]
        tried = [each for each in tried if each[2]]
        results = execute([sql for _, _, (_, sql) in tried])
        waiting = []
        for (question, more, (way, sql)), result in zip(tried, results, strict=True):
            if result.exception:
                yield question, way, Failure(sql, result.error, result.exception)
            else:
                waiting.append((question, more))


def _predicted(
    solved: list[SolvedQuestion], answers: Mapping[str, list[Answered]], execute: Execute
) -> Iterator[Failing]:
    """Take each failing statement that a model wrote for a question, once."""
    for question in solved:
        statements = {
            " ".join(answer.sql.split()): answer.sql
            for answer in answers.get(comparable_text(question.question), ())
            if answer.db_id in (None, question.db_id)
        }
        texts = list(statements.values())
        for sql, result in zip(texts, execute(texts), strict=True):
            if result.exception:
                yield question, PREDICTED, Failure(sql, result.error, result.exception)


def _is_readable(failing: Failing) -> bool:
    question, _, failure = failing
    try:
        question.refiner_row(0, failure)
    except EssenceError:  # the SQL holds what looks like a part of the prompt
        return False
    return True


def _by_reason(dropped: list[Refusal]) -> dict[str, dict]:
    """Reason -> how many questions were dropped for it, and the first few."""
    details = defaultdict(list)
    for refusal in sorted(dropped, key=lambda refusal: refusal.number):
        details[refusal.reason].append(f"number {refusal.number}: {refusal.detail}")
    return {
        reason: {"questions": len(each), "examples": each[:EXAMPLES]}
        for reason, each in details.items()
    }


def _count(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


if __name__ == "__main__":
    run_stage(build)

"""Build Agent-Instruct rows from questions in Spider's or BIRD's form and their SQLite files.

    python -m workflow_scripts.data.build --format spider --questions train_spider.json \\
        --databases database --tables tables.json --out rows.jsonl

Each question gives a Decomposer row and, where its schema is large, a Selector row; a share of them
gives a Refiner row, its gold SQL broken so that SQLite refuses it. So does every answer in
`--predictions` whose SQL fails. Rows are raw (`idx`, `messages`) and state their `db_id`; question
number n of the file, from 0, has the idx 2n (Selector) and 2n + 1 (Decomposer). A card
beside the rows (rows.card.json) says what was built, and which questions were dropped and why.
"""

import contextlib
import random
import re
import sqlite3
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import sqlglot

from workflow_scripts.data.agent_rows import ShownDatabase, SolvedQuestion
from workflow_scripts.data.breaking import WAYS, Failure, break_sql
from workflow_scripts.data.questions import (
    Answered,
    Question,
    read_answers,
    read_questions,
    read_tables,
    show_database,
)
from workflow_scripts.data.rows import comparable_text
from workflow_scripts.data.sub_questions import Words, steps_before
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import sha256, write_json, write_jsonl
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.layout import agents_sql
from workflow_scripts.sql.parse import names_of, parse, unknown_names
from workflow_scripts.sql.sandbox import Limits, Result, Sandbox
from workflow_scripts.sql.worker import address
from workflow_scripts.stage import Input, Option, Output, Setting, run_stage

PREDICTED = "prediction"  # where SQL that fails comes from, beside the ways to break it
QUERY = re.compile(r"(SELECT|WITH|VALUES)\b", re.IGNORECASE)  # what the sandbox lets run
EXAMPLES = 3  # of each reason, in the card

Numbered = list[tuple[int, Question]]


class Refusal(EssenceError):
    """Why a question gives no row; the message is what the reason is seen from."""

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason


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
    limits = Limits(seconds=seconds)
    by_database: dict[str, Numbered] = defaultdict(list)
    for number, question in enumerate(given):
        by_database[question.db_id].append((number, question))
    solved: list[SolvedQuestion] = []
    dropped: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for count, (db_id, its) in enumerate(by_database.items(), 1):
        try:
            database = show_database(find_database(databases, db_id), entries.get(db_id))
        except EssenceError as error:
            reason = "its database is missing or cannot be used"
            dropped[reason] += [(number, str(error)) for number, _ in its]
        else:
            for number, result in _solve(database, its, Sandbox(limits)):
                if isinstance(result, Refusal):
                    dropped[result.reason].append((number, str(result)))
                else:
                    solved.append(result)
        without = sum(map(len, dropped.values()))
        at = f"{count} of {len(by_database)} databases"
        print(f"{at}: {len(solved)} questions kept, {without} dropped", file=sys.stderr)
    if not solved:
        reason, [(number, detail), *_] = next(iter(dropped.items()))
        raise EssenceError(
            f"{questions}: no question can be used; number {number}: {reason} ({detail})"
        )
    solved.sort(key=lambda each: each.number)
    rows = [row for each in solved for row in each.rows()]
    counts = Counter(Selector=len(rows) - len(solved), Decomposer=len(solved))
    origins: Counter[str] = Counter()
    for each in solved:
        failures = [*_broken(each, broken_share, seed), *_predicted(each, answers, limits)]
        for origin, failure in failures:
            # SQL may hold what looks like a part of the prompt.
            with contextlib.suppress(EssenceError):
                rows.append(each.refiner_row(2 * len(given) + counts["Refiner"], failure))
                counts["Refiner"] += 1
                origins[origin] += 1
    write_jsonl(out, rows)
    ids = {each.db_id: each.database.pruned for each in solved}
    steps = Counter(str(len(each.steps)) for each in solved)
    card = {
        "format": format,
        "seed": seed,
        "questions": len(given),
        "kept": len(solved),
        "dropped": {
            reason: {
                "questions": len(each),
                "examples": [f"number {n}: {detail}" for n, detail in sorted(each)[:EXAMPLES]],
            }
            for reason, each in dropped.items()
        },
        "databases": len(ids),  # of the questions kept
        "large_databases": sum(ids.values()),  # whose schema the Selector prunes
        "rows": {task: counts[task] for task in TASKS},
        "sub_questions": dict(sorted(steps.items())),  # -> Decomposer rows
        "failing_sql": dict(sorted(origins.items())),
        "sha256": {"questions": sha256(questions), "rows": sha256(out)},
    }
    write_json(out.with_suffix(".card.json"), card)
    by_task = ", ".join(f"{counts[task]} {task}" for task in TASKS)
    print(f"{len(solved)} of {len(given)} questions on {len(ids)} databases: {by_task}")
    for reason, each in dropped.items():
        print(f"{len(each)} dropped: {reason}")


def _solve(
    database: ShownDatabase, asked: Numbered, sandbox: Sandbox
) -> Iterator[tuple[int, SolvedQuestion | Refusal]]:
    """Give each question of a database its steps and its SQL as the agents write it.

    Where that does not return the very same rows as the SQL given, the SQL given is kept.
    """
    written = {given.sql: _as_agents_write(given.sql, database.words) for _, given in asked}
    statements = {*written, *(sql for pairs in written.values() for _, sql in pairs)}
    results = sandbox.map((database.file, sql) for sql in statements)
    by_sql = dict(zip(statements, results, strict=True))
    earlier: set[str] = set()
    for number, question in asked:
        *steps, (_, text) = written[question.sql]
        result = by_sql[question.sql]
        sql = text if by_sql[text].rows == result.rows else _bare(question.sql)
        words, evidence = question.question.strip(), (question.evidence or "").strip()
        pairs = [*(pair for pair in steps if by_sql[pair[1]].rows), (words, sql)]
        solved = SolvedQuestion(database, question.db_id, number, words, evidence, sql, pairs)
        try:
            _check(solved, question, result, earlier)
            yield number, solved
        except Refusal as refusal:
            yield number, refusal
        earlier.add(comparable_text(words))


def _check(
    solved: SolvedQuestion, given: Question, result: Result, earlier: Collection[str]
) -> None:
    """Raises Refusal for a question that can't be learned from, or is one of the `earlier`."""
    sql = given.sql
    if not solved.question:
        raise Refusal("there is no question", sql)
    if comparable_text(given.question) in earlier:
        raise Refusal("the same question was asked of this database before", given.question)
    if not result.ok:
        raise Refusal("its SQL fails", f"{result.error}: {sql}")
    if all(value is None for row in result.rows for value in row):
        raise Refusal("its SQL returns nothing", sql)
    if parse(sql) is None:
        raise Refusal("its SQL cannot be parsed", sql)
    if unknown := unknown_names(sql, names_of(solved.database.schema.tables)):
        reason = "its SQL reads what prompts do not show (a view, a table of SQLite's own)"
        raise Refusal(reason, f"{', '.join(sorted(unknown))}: {sql}")
    try:
        solved.rows()
    except EssenceError as error:
        raise Refusal("its row could not be read back", str(error)) from error


def _as_agents_write(sql: str, words: Words) -> list[tuple[str, str]]:
    """(sub-question, SQL) of the steps of a query, the whole query, without question, last."""
    with contextlib.suppress(sqlglot.errors.SqlglotError, RecursionError, ValueError):
        if tree := parse(sql):
            steps = [(said, agents_sql(query)) for said, query in steps_before(tree, words)]
            return [*steps, ("", agents_sql(tree))]
    return [("", _bare(sql))]


def _bare(sql: str) -> str:
    return sql.strip().rstrip("; \n")


def _broken(question: SolvedQuestion, share: float, seed: int) -> Iterator[tuple[str, Failure]]:
    """Break the gold SQL of a share of the questions so that SQLite refuses it."""
    rng, database = random.Random(f"{seed} {question.number}"), question.database
    if rng.random() < share:
        # The ways take turns from question to question.
        ways = [WAYS[question.number % len(WAYS)], *rng.sample(WAYS, len(WAYS))]
        file = address(str(database.file))
        with contextlib.closing(sqlite3.connect(file, uri=True)) as connection:
            columns, is_query = database.schema.names, QUERY.match
            if broken := break_sql(connection, question.sql, columns, ways, rng, accepts=is_query):
                yield broken


def _predicted(
    question: SolvedQuestion, answers: Mapping[str, list[Answered]], limits: Limits
) -> Iterator[tuple[str, Failure]]:
    """Take each failing statement that a model wrote for a question, once."""
    statements = {
        " ".join(answer.sql.split()): answer.sql
        for answer in answers.get(comparable_text(question.question), ())
        if answer.db_id in (None, question.db_id)
    }
    jobs = [(question.database.file, sql) for sql in statements.values()]
    for (_, sql), result in zip(jobs, Sandbox(limits).map(jobs), strict=True):
        if result.exception:
            yield PREDICTED, Failure(sql, result.error, result.exception)


if __name__ == "__main__":
    run_stage(build)

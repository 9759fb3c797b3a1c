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
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.data import BuiltCard, Dropped
from workflow_scripts.data.agent_rows import Agents, Failure, broken
from workflow_scripts.data.gold import Execute, Refusal, golds_of
from workflow_scripts.data.questions import (
    Answered,
    Question,
    TablesEntry,
    read_answers,
    read_questions,
    read_tables,
)
from workflow_scripts.data.rows import comparable_text
from workflow_scripts.data.shown_database import ShownDatabase, show_database
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import sha256, write_jsonl
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.stage import Input, Option, Output, Setting, run_stage

NO_DATABASE = "its database is missing or cannot be used"
NOT_A_ROW = "its row could not be read back"
PREDICTED = "prediction"  # where SQL that fails comes from, beside the ways to break it
EXAMPLES = 3  # of each reason, in the card


@dataclass
class Built:
    """The questions kept, the SQL that fails with its origin, and the questions dropped, so far."""

    agents: list[Agents] = field(default_factory=list)
    failures: list[tuple[Agents, str, Failure]] = field(default_factory=list)
    dropped: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True)
class Builder:
    """`share`: of the questions, whose SQL is broken; `answers`: a model's, by question."""

    limits: Limits
    seed: int
    share: float
    answers: Mapping[str, list[Answered]]
    built: Built = field(default_factory=Built)

    def add(self, database: ShownDatabase, asked: list[tuple[int, Question]]) -> None:
        """What the questions of one database give."""
        sandbox = Sandbox(self.limits)

        def execute(statements):
            return sandbox.map((database.file, sql) for sql in statements)

        kept = list(self._kept(database, asked, execute))
        self.built.agents += kept
        failing = [*self._broken(kept, execute), *self._predicted(kept, execute)]
        self.built.failures += [found for found in failing if _is_readable(*found)]

    def _kept(
        self, database: ShownDatabase, asked: list[tuple[int, Question]], execute: Execute
    ) -> Iterator[Agents]:
        for found in golds_of(database, asked, execute):
            if isinstance(found, Refusal):
                self.built.dropped.append(found)
                continue
            agents = Agents(database, found)
            try:
                agents.rows()
            except EssenceError as error:
                self.built.dropped.append(Refusal(found.number, NOT_A_ROW, str(error)))
            else:
                yield agents

    def _broken(
        self, kept: list[Agents], execute: Execute
    ) -> Iterator[tuple[Agents, str, Failure]]:
        rngs = [(agents, random.Random(f"{self.seed} {agents.gold.number}")) for agents in kept]
        chosen = [(agents, rng) for agents, rng in rngs if rng.random() < self.share]
        with ThreadPoolExecutor(4) as threads:
            found = threads.map(lambda pair: broken(*pair, execute), chosen)
            for (agents, _), failure in zip(chosen, found, strict=True):
                if failure:
                    yield agents, *failure

    def _predicted(
        self, kept: list[Agents], execute: Execute
    ) -> Iterator[tuple[Agents, str, Failure]]:
        """Each failing statement that a model wrote for a question, once."""
        for agents in kept:
            question = agents.gold.question
            answers = self.answers.get(comparable_text(question.question), ())
            statements = {
                " ".join(answer.sql.split()): answer.sql
                for answer in answers
                if answer.db_id in (None, question.db_id)
            }
            for old_sql, result in zip(
                statements.values(), execute(list(statements.values())), strict=True
            ):
                if result.exception:
                    yield agents, PREDICTED, Failure(old_sql, result.error, result.exception)


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
    asked = read_questions(format, questions)
    entries = read_tables(tables) if tables else {}
    builder = Builder(Limits(seconds=seconds), seed, broken_share, read_answers(predictions))
    _add_all(builder, asked, databases, entries)
    built = builder.built
    if not built.agents:
        first = built.dropped[0]
        raise EssenceError(
            f"{questions}: no question can be used; number {first.number}: {first.reason} "
            f"({first.detail})"
        )
    write_jsonl(out, _rows(built, first_refiner=2 * len(asked)))
    ids = {agents.gold.question.db_id: agents.database.large for agents in built.agents}
    selectors = sum(agents.selection is not None for agents in built.agents)
    card = BuiltCard(
        format=format,
        seed=seed,
        questions=len(asked),
        kept=len(built.agents),
        dropped=_reasons(built.dropped),
        databases=len(ids),
        large_databases=sum(ids.values()),
        rows=dict(zip(TASKS, (selectors, len(built.agents), len(built.failures)), strict=True)),
        sub_questions=_counted(str(len(agents.gold.steps)) for agents in built.agents),
        sql_as_given=sum(not agents.gold.rewritten for agents in built.agents),
        failing_sql=_counted(origin for _, origin, _ in built.failures),
        sha256={"questions": sha256(questions), "rows": sha256(out)},
    )
    card.write(out.with_suffix(".card.json"))
    print(_summary(card))


def _add_all(
    builder: Builder,
    asked: list[Question],
    databases: Path,
    entries: Mapping[str, TablesEntry],
) -> None:
    """Database by database, in the order in which questions name them; tells how far it is."""
    by_database = defaultdict(list)
    for number, question in enumerate(asked):
        by_database[question.db_id].append((number, question))
    for done, (db_id, its) in enumerate(by_database.items(), 1):
        try:
            shown = show_database(find_database(databases, db_id), entries.get(db_id))
        except EssenceError as error:
            refusals = [Refusal(number, NO_DATABASE, str(error)) for number, _ in its]
            builder.built.dropped += refusals
        else:
            builder.add(shown, its)
        kept, dropped = len(builder.built.agents), len(builder.built.dropped)
        at = f"{done} of {len(by_database)} databases"
        print(f"{at}: {kept} questions kept, {dropped} dropped", file=sys.stderr)


def _is_readable(agents: Agents, _origin: str, failure: Failure) -> bool:
    try:
        agents.refiner(0, failure)
    except EssenceError:  # the SQL holds what looks like a part of the prompt
        return False
    return True


def _rows(built: Built, first_refiner: int) -> Iterator[dict]:
    for agents in sorted(built.agents, key=lambda agents: agents.gold.number):
        yield from agents.rows()
    failures = sorted(built.failures, key=lambda found: found[0].gold.number)
    for idx, (agents, _, failure) in enumerate(failures, first_refiner):
        yield agents.refiner(idx, failure)


def _reasons(dropped: list[Refusal]) -> dict[str, Dropped]:
    details = defaultdict(list)
    for refusal in sorted(dropped, key=lambda refusal: refusal.number):
        details[refusal.reason].append(f"number {refusal.number}: {refusal.detail}")
    return {
        reason: Dropped(questions=len(found), examples=found[:EXAMPLES])
        for reason, found in details.items()
    }


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))


def _summary(card: BuiltCard) -> str:
    rows = ", ".join(f"{count} {task}" for task, count in card.rows.items())
    lines = [f"{card.kept} of {card.questions} questions on {card.databases} databases: {rows}"]
    lines += [f"{each.questions} dropped: {reason}" for reason, each in card.dropped.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    run_stage(build)

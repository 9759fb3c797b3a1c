"""Make the twin: rows in the real form, the databases behind them, and the answer sheet.

    python -m tools.twin.build --out resources/twin --settings '{"seed": 7}'

writes rows.jsonl, databases/<db_id>/<db_id>.sqlite, truth.jsonl (for tests alone) and card.json.
The grammar asks questions of the databases; their rows are made as those of any other questions
(`agent_rows.py`). The seed decides everything; with one version of SQLite the bytes are the same.
"""

import random
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Annotated

from pydantic import Field, NonNegativeInt

from tools.twin.shapes import Draft, draft, vague_question
from tools.twin.worlds import World, in_memory, make_worlds, write_database
from workflow_scripts.data.agent_rows import ShownDatabase, SolvedQuestion
from workflow_scripts.data.breaking import WAYS, Failure, break_sql
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import sha256, write_json, write_jsonl
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.formats.schema import Column, Schema, Table
from workflow_scripts.records import Record
from workflow_scripts.sql.describe import describe_database
from workflow_scripts.stage import Setting, run_stage

EXAMPLE_LETTERS = 40  # text examples of a column together, to keep schemas short
TRIES = 400  # questions that may fail in a row before a database counts as exhausted
TRIES_OF_A_WAY = 60  # questions that may fail before another way to break SQL is drawn


class TwinRows(Record):
    Selector: NonNegativeInt = 1009
    Decomposer: NonNegativeInt = 2029
    Refiner: NonNegativeInt = 337


class TwinSettings(Record):
    """What the twin is made from; see rules/config.schema.yaml."""

    seed: int = 7
    rows: TwinRows = TwinRows()
    rows_per_table: int = Field(default=40, ge=10, le=150)
    domains_per_database: int = Field(default=1, ge=1, le=7)


def build(
    out: Annotated[Path, Setting("folder of the twin")],
    settings: Annotated[TwinSettings, Setting("JSON: what differs from the defaults")],
) -> None:
    folder = out / "databases"
    shutil.rmtree(folder, ignore_errors=True)
    sizes = settings.rows_per_table, settings.domains_per_database
    worlds = make_worlds(settings.seed, *sizes)
    files = [folder / world.db_id / f"{world.db_id}.sqlite" for world in worlds]
    for world, file in zip(worlds, files, strict=True):
        file.parent.mkdir(parents=True)
        write_database(world, file).close()
    rows, truth = make_rows(worlds, files, settings)
    write_jsonl(out / "rows.jsonl", rows)
    write_jsonl(out / "truth.jsonl", truth)
    files += [out / "rows.jsonl", out / "truth.jsonl"]
    counts = Counter(fact["task"] for fact in truth)
    card = {
        "what": "An embedded twin of the Agent-Instruct rows: same form, our own sentences.",
        "settings": settings.model_dump(),
        "rows": {task: counts[task] for task in TASKS},
        "sha256": {str(file.relative_to(out)): sha256(file) for file in files},
    }
    write_json(out / "card.json", card)
    by_task = ", ".join(f"{counts[task]} {task}" for task in TASKS)
    print(f"twin: {len(worlds)} databases, rows: {by_task}")


def make_rows(
    worlds: list[World], files: list[Path], settings: TwinSettings
) -> tuple[list[dict], list[dict]]:
    """Make rows and their answer sheet, by idx: even idx Selector, odd Decomposer, then Refiner."""
    counts, rows, truth = settings.rows, [], []
    rng, seen = random.Random(settings.seed), set()
    examiners = [
        Examiner(world, file, rng, seen) for world, file in zip(worlds, files, strict=True)
    ]

    def add(task: str, row: dict, question: SolvedQuestion, kind: str) -> None:
        if task == "Selector" and question.database.keep_up_to == 6:
            row["messages"][-1]["content"] += "Question Solved.\n"  # as some of the real answers
        db_id = row.pop("db_id")  # as in the real rows: prompts alone say what they are about
        rows.append(row)
        facts = {"question": question.question, "gold_sql": question.sql, "kind": kind}
        truth.append({"idx": row["idx"], "task": task, "db_id": db_id, **facts})

    groups = max(counts.Decomposer, counts.Selector)
    for number in range(groups):
        question, shape = examiners[number % len(worlds)].ask(number)
        if number < counts.Selector:
            add("Selector", question.selector_row(), question, shape)
        if number < counts.Decomposer:
            add("Decomposer", question.decomposer_row(), question, shape)
    for number in range(counts.Refiner):
        question, way, failure = examiners[number % len(worlds)].ask_vaguely(number)
        add("Refiner", question.refiner_row(2 * groups + number, failure), question, way)
    return rows, truth


@dataclass
class Examiner:
    """Asks questions of one database, each with gold SQL that is new and returns something.

    `seen` collects questions and gold SQL of all databases. Raises EssenceError when the database
    is exhausted.
    """

    world: World
    file: Path
    rng: random.Random
    seen: set[str]

    def __post_init__(self):
        notes = {
            (table.name.lower(), column.name.lower()): (column.phrase, column.note)
            for table in self.world.tables.values()
            for column in table.columns
        }
        tables, keys = describe_database(self.file, notes)
        tables = [Table(t.name, tuple(map(_shortened, t.columns))) for t in tables]
        # The real rows are not consistent about how large a table is kept whole.
        keep_up_to = 6 if len(self.world.db_id) % 2 else 10
        self.database = ShownDatabase(self.file, Schema(tables, keys), True, keep_up_to)
        self.connection = in_memory(self.world)

    def ask(self, number: int) -> tuple[SolvedQuestion, str]:
        """Ask a question that a Selector and a Decomposer can answer: (question, its shape)."""
        for _ in range(TRIES):
            item, question = self._draft(number)
            if item.question not in self.seen and self._is_usable(item.sql):
                self.seen |= {item.sql, item.question}
                return question, item.shape
        raise EssenceError(
            f"twin: no new question found on {self.world.db_id} after {TRIES} tries; "
            "ask for fewer rows (twin settings: rows) or larger tables (rows_per_table)"
        )

    def ask_vaguely(self, number: int) -> tuple[SolvedQuestion, str, Failure]:
        """Ask a Refiner's question: (question, how its SQL was broken, SQLite's error).

        The ways to break SQL take turns; where no question allows one, another is drawn.
        """
        way = WAYS[number % len(WAYS)]
        for attempt in range(TRIES):
            if attempt > TRIES_OF_A_WAY:
                way = self.rng.choice(WAYS)
            item, question = self._draft(number)
            columns, other_number = self.database.schema.names, self.world.other_number
            broken = break_sql(
                self.connection, question.sql, columns, [way], self.rng, other_number
            )
            if broken and self._is_usable(question.sql):
                self.seen.add(question.sql)
                vague = vague_question(self.world, item, self.rng)
                return replace(question, question=vague, evidence=""), *broken
        raise EssenceError(
            f"twin: no SQL on {self.world.db_id} could be broken; ask for fewer rows"
        )

    def _draft(self, number: int) -> tuple[Draft, SolvedQuestion]:
        item = draft(self.world, self.rng)
        texts = item.question, item.evidence, item.sql, item.steps
        return item, SolvedQuestion(self.database, self.world.db_id, number, *texts)

    def _is_usable(self, sql: str) -> bool:
        """Tell whether SQL is new and returns something, not just NULL or a count of nothing."""
        if sql in self.seen:
            return False
        rows = self.connection.execute(sql).fetchall()
        return any(value is not None for row in rows for value in row) and rows != [(0,)]


def _shortened(column: Column) -> Column:
    if not any(isinstance(value, str) for value in column.examples or ()):
        return column
    letters = list(accumulate(len(str(value)) for value in column.examples))
    count = sum(total <= EXAMPLE_LETTERS for total in letters)
    return replace(column, examples=column.examples[: max(1, count)])


if __name__ == "__main__":
    run_stage(build)

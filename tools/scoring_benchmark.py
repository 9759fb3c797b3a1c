"""How fast is scoring? 1,000 predictions over 100 databases, hostile ones among them.

    python -m tools.scoring_benchmark [--databases DIR --questions FILE]

Without a folder the databases are made up. Prints seconds by the clock and of the workers'
processor time, statements executed and verdicts.
"""

import random
import resource
import sqlite3
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

from tools.perturbed_sql import perturbed, read_questions
from workflow_scripts.errors import EssenceError
from workflow_scripts.files import to_json
from workflow_scripts.metrics.execution_verdicts import Case, verdicts_on
from workflow_scripts.metrics.score import report
from workflow_scripts.sql.cache import CachedSandbox
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.sandbox import Limits, Sandbox
from workflow_scripts.stage import Option, run_stage

HOSTILE = (
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
    "WITH RECURSIVE c(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM c) SELECT max(s) FROM c",
    "SELECT hex(hex(hex(hex(hex(hex(hex(hex(printf('%.5000c', 'x')))))))))",
    "SELECT randomblob(1000000000)",
    "SELECT " + "(" * 5000 + "1" + ")" * 5000,
    "SELECT 1; DROP TABLE t",
    "ATTACH '/tmp/x' AS x",
    "PRAGMA writable_schema = ON",
    "SELECT load_extension('x')",
    "SELECT '\0'",
    "not SQL at all",
)


def made_up(folder: Path, databases: int, rng: random.Random) -> list[dict[str, str]]:
    """Write databases with 2 tables of some hundred rows; returns questions with their gold."""
    rows = []
    for number in range(databases):
        name = f"shop_{number}"
        path = folder / name / f"{name}.sqlite"
        path.parent.mkdir(parents=True)
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price REAL)")
        connection.execute("CREATE TABLE sale (item_id INTEGER, day TEXT, amount INTEGER)")
        items = [(i, f"item {i}", rng.randint(1, 900) / 10) for i in range(100)]
        sales = [(rng.randrange(100), f"2020-01-{rng.randint(1, 28):02}", i) for i in range(400)]
        connection.executemany("INSERT INTO item VALUES (?, ?, ?)", items)
        connection.executemany("INSERT INTO sale VALUES (?, ?, ?)", sales)
        connection.commit()
        connection.close()
        for least in range(10):
            gold = (
                "SELECT T1.name , count(*) FROM item AS T1 JOIN sale AS T2 ON T1.id = T2.item_id "
                f"WHERE T1.price > {least * 9} GROUP BY T1.id ORDER BY count(*) DESC"
            )
            rows.append({"db_id": name, "gold": gold})
    return rows


def cases(
    rows: list[dict[str, str]], databases: Path, count: int, hostile: float, rng: random.Random
) -> list[Case]:
    """`count` cases spread over the databases of `rows`; a share of them hostile."""
    by_database: dict[str, list[str]] = {}
    for row in rows:
        by_database.setdefault(row["db_id"], []).append(row["gold"])
    names = sorted(by_database)[:100]
    made = []
    for number in range(count):
        name = names[number % len(names)]
        gold = rng.choice(by_database[name])
        bad = rng.random() < hostile
        sql = rng.choice(HOSTILE) if bad else perturbed(rng, gold, by_database[name])
        made.append(Case(gold, sql, find_database(databases, name)))
    return made


def benchmark(
    databases: Annotated[Path | None, Option("<db_id>/<db_id>.sqlite")] = None,
    questions: Annotated[Path | None, Option("their gold SQL: JSON or JSON lines")] = None,
    predictions: Annotated[int, Option("how many")] = 1000,
    hostile: Annotated[float, Option("share of hostile predictions")] = 0.05,
    workers: Annotated[int, Option("queries that are executed at a time")] = 2,
    seconds: Annotated[float, Option("processor time of a query")] = Limits.seconds,
) -> None:
    if bool(databases) != bool(questions):
        raise EssenceError("give --databases and --questions together, or neither")
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        where = databases or Path(folder)
        rows = read_questions(questions) if questions else made_up(where, 100, rng)
        todo = cases(rows, where, predictions, hostile, rng)
        started = time.perf_counter()
        with Sandbox(Limits(seconds=seconds), workers) as sandbox:
            cached = CachedSandbox(sandbox)
            verdicts = verdicts_on(todo, cached)
        answer = report(verdicts)
        taken = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        to_json(
            {
                "seconds": round(taken, 2),
                "processor seconds": round(used.ru_utime + used.ru_stime, 2),
                "predictions": len(todo),
                "databases": len({case.database for case in todo}),
                "hostile": sum(case.prediction in HOSTILE for case in todo),
                "executed": cached.executed,
                "verdicts": Counter(verdict.verdict for verdict in verdicts),
                "execution_accuracy": answer["metrics"]["execution_accuracy"],
            }
        ),
        end="",
    )


if __name__ == "__main__":
    run_stage(benchmark)

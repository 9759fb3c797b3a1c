"""Does our scoring agree with BIRD's and with Spider's, prediction by prediction?

    python -m tools.scoring_agreement --questions FILE --databases DIR \\
        [--spider FOLDER --spider-python PYTHON] [--toolkit-python PYTHON]

FILE holds rows with db_id and query or gold_sql (JSON or JSON lines). The predictions are gold SQL
changed in one place or another, others of the same database, and other spellings of a gold.
Ours are compared with BIRD's definition, which is written out below, and, where there is a copy of
https://github.com/taoyds/test-suite-sql-eval, with that script: FOLDER is the copy, PYTHON an
interpreter that has its packages (sqlparse, tqdm); and with text2sql-eval-toolkit, where PYTHON is
an interpreter that has it. Prints counts and every difference.
"""

import contextlib
import json
import random
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

from tools.perturbed_sql import perturbed, read_questions
from workflow_scripts.files import to_json
from workflow_scripts.formats.answers import extract_sql
from workflow_scripts.metrics.execution import Case, judge, run_pairs
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.sandbox import Sandbox
from workflow_scripts.sql.worker import STEPS
from workflow_scripts.stage import Input, Option, Setting, run_stage

SECONDS = 30  # BIRD's
JOIN = re.compile(r"(\b\w+\.\w+)\s*=\s*(\w+\.\w+)")
SPELLINGS = (
    lambda gold: JOIN.sub(r"+\1 = +\2", gold),  # no index helps: as slow as a join can be
    str.lower,
    lambda gold: f"{gold.rstrip('; ')} ;",
    lambda gold: gold.replace(" , ", ",  ").replace(">=", "> ="),
    lambda gold: gold.replace("SELECT ", "SELECT DISTINCT ", 1),
    lambda gold: f"{gold.rstrip('; ')} LIMIT 1",
    lambda gold: f"SELECT * FROM ({gold.rstrip('; ')}) ORDER BY 1",
)
# Runs beside a copy of the script, in its own interpreter. A child a prediction, because its time
# limit does not stop a query. The script's `evaluation.py` replaces "value" in the same way, so
# predictions with a column of that name are wrong there and may be right here.
SPIDER = """
import json, os, signal, sys
sys.path.insert(0, sys.argv[1])
from exec_eval import eval_exec_match
for line in sys.stdin:
    database, prediction, gold = json.loads(line)
    if not (child := os.fork()):
        signal.alarm(60)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        try:
            sql = prediction.replace("value", "1")
            found = eval_exec_match(database, sql, gold, False, False, False)
        except AssertionError:
            found = 2
        os._exit(found)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

# Prints what the package's own evaluation makes of a prediction: [as BIRD does, its own accuracy].
TOOLKIT = """
import json, os, sys
out = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # it writes its log there
from func_timeout import FunctionTimedOut, func_timeout
from text2sql_eval_toolkit.evaluation.evaluation_tools import evaluate_prediction
from text2sql_eval_toolkit.execution.execution_tools import run_sqlite_query
def run(database, sql):
    try:
        return func_timeout(60, run_sqlite_query, args=(database, sql))
    except (Exception, FunctionTimedOut):
        return None
for line in sys.stdin:
    database, prediction, gold = json.loads(line)
    answer = {"predicted_sql": prediction, "predicted_df": run(database, prediction)}
    said = evaluate_prediction({"sql": gold, "gt_df": run(database, gold)}, answer)
    names = ("bird_execution_accuracy", "execution_accuracy")
    print(json.dumps([bool(said[each]) for each in names]), file=out, flush=True)
"""


def predictions(rows: list[dict[str, str]], count: int, seed: int) -> list[tuple[str, str, str]]:
    """(db_id, gold, prediction) of `count` predictions, the questions in turn."""
    rng, by_database = random.Random(seed), defaultdict(list)
    for row in rows:
        by_database[row["db_id"]].append(row["gold"])
    order = rng.sample(rows, len(rows))
    made = []
    for number in range(count):
        row = order[number % len(order)]
        gold, others = row["gold"], by_database[row["db_id"]]
        kind = rng.random()
        if kind < 0.6:
            sql = perturbed(rng, gold, others)
        else:
            sql = rng.choice(SPELLINGS)(gold) if kind < 0.85 else rng.choice(others)
        made.append((row["db_id"], gold, sql))
    return made


def by_bird(case: tuple[Path, str, str]) -> bool:
    """BIRD's execution accuracy: equal sets of rows; an error or no answer in time is wrong."""
    database, gold, prediction = case
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    with contextlib.closing(connection):
        try:
            return _rows(connection, prediction) == _rows(connection, gold)
        except (sqlite3.Error, sqlite3.Warning):
            return False


def _rows(connection: sqlite3.Connection, sql: str) -> set[tuple]:
    end = time.monotonic() + SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > end, 10_000)
    return set(connection.execute(sql).fetchall())


def by_spider(cases: list[tuple[Path, str, str]], script: Path, python: str) -> list[bool | str]:
    """Execution match by the script; a word where it gives no verdict."""
    words = {"0": False, "1": True, "2": "gold fails", "-14": "out of time"}
    answers = _answers(cases, python, SPIDER, script.resolve())
    return [words.get(line, f"exit code {line}") for line in answers]


def _answers(cases: list[tuple[Path, str, str]], *command: str | Path) -> list[str]:
    """A line for each case, by an interpreter that runs a text."""
    python, *program = command
    lines = [json.dumps([str(file), sql, gold]) for file, gold, sql in cases]
    done = subprocess.run(
        [python, "-c", *program],
        input="\n".join(lines), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def ours(
    cases: list[tuple[Path, str, str]], workers: int
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """The verdicts, and the most steps of SQLite that a right prediction took."""
    sandbox = Sandbox(workers=workers)
    to_judge = [Case(gold, extract_sql(sql, lenient=True), file) for file, gold, sql in cases]
    verdicts = judge(to_judge, sandbox, repeat=0)
    pairs = run_pairs(to_judge, sandbox)
    right = [
        (predicted.steps, gold.steps)
        for (gold, predicted), verdict in zip(pairs, verdicts, strict=True)
        if verdict.get("execution_accuracy")
    ]
    return verdicts, {
        "of a right prediction": max(own for own, _ in right),
        "of a right prediction, times its gold's": max(
            own / max(gold, STEPS) for own, gold in right
        ),
        "of a gold": max(gold for _, gold in right),
    }


def compared(
    verdicts: list[dict[str, Any]], theirs: list[bool | str], metric: str, cases: list
) -> dict[str, Any]:
    """Counts of (ours, theirs) and the predictions on which they differ."""
    counts: Counter = Counter()
    differences = []
    for verdict, other, (database, gold, sql) in zip(verdicts, theirs, cases, strict=True):
        value = verdict.get(metric)
        mine = "gold fails" if value is None else bool(value)
        counts[f"{mine} / {other}"] += 1
        if mine != other:
            said = {
                "ours": mine,
                "theirs": other,
                "verdict": verdict["verdict"],
                "error": verdict["error"],
            }
            differences.append(said | {"db_id": database.stem, "gold": gold, "prediction": sql})
    return {"ours / theirs": counts, "differences": differences}


def agreement(
    questions: Annotated[Path, Input("their gold SQL: JSON or JSON lines")],
    databases: Annotated[Path, Setting("folder of <db_id>/<db_id>.sqlite")],
    spider: Annotated[Path | None, Option("folder of test-suite-sql-eval")] = None,
    spider_python: Annotated[str, Option("an interpreter with its packages")] = sys.executable,
    toolkit_python: Annotated[str, Option("one with text2sql-eval-toolkit")] = "",
    count: Annotated[int, Option("predictions")] = 3000,
    seed: Annotated[int, Option("of the predictions")] = 0,
    workers: Annotated[int, Option("queries that are executed at a time")] = 2,
) -> None:
    made = predictions(read_questions(questions), count, seed)
    cases = [(find_database(databases, name), gold, sql) for name, gold, sql in made]
    started = time.perf_counter()
    verdicts, most_steps = ours(cases, workers)
    seconds = time.perf_counter() - started
    with ThreadPoolExecutor(workers) as threads:
        bird = list(threads.map(by_bird, cases))
    found = {
        "predictions": len(cases),
        "seconds of ours": round(seconds, 1),
        "most steps": most_steps,
        "BIRD, execution accuracy": compared(verdicts, bird, "execution_accuracy", cases),
    }
    if spider:
        parts = [cases[start::workers] for start in range(workers)]
        with ThreadPoolExecutor(workers) as threads:
            answers = list(threads.map(lambda part: by_spider(part, spider, spider_python), parts))
        match = [answers[place % workers][place // workers] for place in range(len(cases))]
        found["Spider, execution match"] = compared(verdicts, match, "execution_match", cases)
    if toolkit_python:
        theirs = zip(*map(json.loads, _answers(cases, toolkit_python, TOOLKIT)), strict=True)
        for metric, values in zip(("execution_accuracy", "execution_match"), theirs, strict=True):
            found[f"text2sql-eval-toolkit, {metric}"] = compared(verdicts, values, metric, cases)
    print(to_json(found), end="")


if __name__ == "__main__":
    run_stage(agreement)

"""How many of fifty easy questions about real databases `ask` answers: right, wrong, refused.

    python -m tools.ask_trial --databases spider/database --model results/runs/... --constrained

Prints a line for each question and the sums. An answer is right where it returns the rows of the
SQL in tools/easy_questions.yaml (execution accuracy).
"""

import time
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import yaml

from workflow_scripts.agents.ask import answer_question, load_back_end
from workflow_scripts.agents.loop import Loop, read_question
from workflow_scripts.metrics.execution import Case, judge
from workflow_scripts.sql.databases import find_database
from workflow_scripts.sql.sandbox import Sandbox
from workflow_scripts.stage import Option, run_stage

QUESTIONS = Path(__file__).with_name("easy_questions.yaml")
CONFIG = Path(__file__).parents[1] / "config.yaml"


def trial(
    databases: Annotated[Path, Option("Spider's folder of databases")],
    model: Annotated[Path | None, Option("folder of a model or a run; the best run")] = None,
    endpoint: Annotated[Path | None, Option("a configuration file with an endpoint")] = None,
    constrained: Annotated[bool, Option("answers keep to names of the schema")] = False,
    threads: Annotated[int, Option("CPU threads of torch")] = 1,
) -> None:
    """Raises EssenceError when a database or the model cannot be used."""
    back_end = load_back_end(model, endpoint, threads, constrained)
    loop = Loop(**yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["agents"])
    sandbox, counts, seconds = Sandbox(), Counter(), []
    questions: dict[str, Any] = yaml.safe_load(QUESTIONS.read_text(encoding="utf-8"))
    for name, pairs in questions.items():
        database = find_database(databases, name)
        for words, gold in pairs.items():
            started = time.perf_counter()
            answer = answer_question(read_question(database, words), loop, back_end, sandbox)
            seconds.append(time.perf_counter() - started)
            sql = answer.answer[0]
            [verdict] = judge([Case(gold, sql, database)], sandbox, repeat=0)
            outcome = "refused" if not answer.answered else "wrong"
            outcome = "right" if verdict["verdict"] == "right" else outcome
            counts[outcome] += 1
            print(f"{outcome:8}{name}: {words} {' '.join((sql or '').split())}", flush=True)
    sums = ", ".join(f"{counts[kind]} {kind}" for kind in ("right", "wrong", "refused"))
    print(f"{sums} of {len(seconds)}; {sum(seconds) / len(seconds):.1f} s per question")


if __name__ == "__main__":
    run_stage(trial)

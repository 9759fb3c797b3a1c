"""All answers on held-out rows: a page to look through them, and predictions.csv.

The page shows a row once, with the answers of all recipes side by side, and works offline.
Questions and gold are stored once, however many runs answered them.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from workflow_scripts.artifacts.csv import write_csv
from workflow_scripts.artifacts.parquet import iter_rows
from workflow_scripts.artifacts.runs import BestRuns
from workflow_scripts.artifacts.tables import TEST_SPLITS, Judged, Prediction
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.pages import html
from workflow_scripts.report.pages.answer_quality import QUALITIES, quality_of
from workflow_scripts.report.pages.html import write_page
from workflow_scripts.report.runs import Run, by_address
from workflow_scripts.stage import Input, Output, Setting, run_stage

CAPTION = """\
Every answer on held-out rows: a row at a time, with the answers of all recipes side by side. The
page opens on the best run of each recipe. Of several seeds it shows the first.

**How to read it.** The page explains its verdicts. *Cut off* is artefact A5, and *exact as decoded*
is what the original notebooks counted as right. ``results/tables/predictions.csv`` has the same
answers, of all seeds.
"""

USES_FILES = ["templates/predictions.html"]
SHOWN = (*TEST_SPLITS, "val")


@dataclass(frozen=True)
class Answer:
    """predictions.csv: one answer; `executed` is None where its SQL was not executed."""

    recipe: str
    run: str
    seed: int
    split: str
    idx: int
    task: str
    db_id: str | None
    question: str
    gold: str
    prediction: str
    quality: str
    executed: str | None
    error: str | None


def judged_answers(run: Run) -> dict[tuple[str, int], Judged]:
    """(split, idx) -> what executing an answer's SQL gave; empty where nothing was executed."""
    path = run.folder / "verdicts.parquet"
    if not path.is_file():
        return {}
    return {(judged.split, judged.idx): judged for judged in iter_rows(Judged, path)}


def answers_of(run: Run) -> Iterator[tuple[Answer, str | None]]:
    """Its answers on held-out rows, each with the schema of the row's database, where known."""
    judged_by_row = judged_answers(run)
    for answer in iter_rows(Prediction, run.folder / "predictions.parquet"):
        if answer.split not in SHOWN:
            continue
        judged = judged_by_row.get((answer.split, answer.idx))
        executed = judged if judged and judged.task != "Selector" else None  # writes no SQL
        yield (
            Answer(
                recipe=run.recipe,
                run=run.name,
                seed=run.seed,
                split=answer.split,
                idx=answer.idx,
                task=answer.task,
                db_id=answer.db_id,
                question=answer.question,
                gold=answer.gold,
                prediction=answer.prediction,
                quality=quality_of(answer),
                executed=executed.verdict if executed else None,
                error=executed.error if executed else None,
            ),
            judged.schema if judged else None,
        )


OF_ROW = ("split", "idx", "task", "db_id", "question", "gold")


def collect(runs: list[Run], best: BestRuns) -> dict[str, Any]:
    """What the script of the page works on: rows and schemas once, and its menus.

    An answer's `row` is its place among the rows, a row's `schema` its place among the schemas.
    """
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    schemas: dict[str, int] = {}
    answers = []
    for answer, schema in (each for run in runs for each in answers_of(run)):
        told = asdict(answer)
        row = {name: told.pop(name) for name in OF_ROW}
        row["schema"] = None if schema is None else schemas.setdefault(schema, len(schemas))
        place = rows.setdefault((answer.split, answer.idx), {**row, "place": len(rows)})["place"]
        answers.append({**told, "row": place})
    splits = {row["split"] for row in rows.values()}
    return {
        "rows": list(rows.values()),
        "schemas": list(schemas),
        "answers": answers,
        "best": {name: each.run for name, each in best.recipes.items()},
        "runs": list(dict.fromkeys(run.name for run in runs)),
        "recipes": list(dict.fromkeys(run.recipe for run in runs)),
        "splits": [split for split in SHOWN if split in splits],
        "tasks": TASKS,
        "qualities": QUALITIES,
        "executed": sorted({each["executed"] for each in answers if each["executed"]}),
    }


def browse_predictions(
    runs: Annotated[list[Run], Setting("run folders of all recipes")],
    best: Annotated[BestRuns, Input("best_runs.json")],
    table: Annotated[Path, Output("predictions.csv")],
) -> html.Page:
    write_csv(table, Answer, (answer for run in runs for answer, _ in answers_of(run)))
    first_seeds = [run for run, *_ in by_address(runs).values()]
    values = {"data": collect(first_seeds, best)}
    return html.Page("All answers on held-out rows", values, "predictions.html")


if __name__ == "__main__":
    run_stage(browse_predictions, write_page)

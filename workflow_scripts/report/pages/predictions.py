"""A page to look through predictions: search, filter by task, run and verdict; works offline.

One page for a recipe: the held-out answers (validation and test rows) of all its runs. Questions
and gold are stored once, however many runs answered them.
"""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from workflow_scripts.artifacts.parquet import iter_rows
from workflow_scripts.artifacts.tables import TEST_SPLITS, Judged, Prediction
from workflow_scripts.formats.prompts import TASKS
from workflow_scripts.report.pages import html
from workflow_scripts.report.pages.answer_quality import QUALITIES, quality_of
from workflow_scripts.report.pages.html import write_page
from workflow_scripts.report.runs import Run
from workflow_scripts.stage import Setting, run_stage

CAPTION = """\
Every answer on held-out rows, to search and to filter by run, task and verdict. The page works
without a network. Of several seeds the first is shown.

**How to read it.** The page explains its verdicts. *cut* is artefact A5, and *equal after loss* is
what the original notebooks counted as right.
"""

USES_FILES = ["templates/predictions.html"]
SHOWN = (*TEST_SPLITS, "val")


@dataclass
class ShownRow:
    """What all runs were asked alike; `schema` is its place among the page's schemas."""

    split: str
    idx: int
    task: str
    db_id: str | None
    question: str
    gold: str
    schema: int | None


@dataclass
class ShownAnswer:
    """`row` is its place among the page's rows; `executed` None: its SQL was not executed."""

    run: str
    row: int
    text: str
    quality: str
    executed: str | None
    error: str | None


def judged_answers(run: Run) -> dict[tuple[str, int], Judged]:
    """(split, idx) -> what executing an answer's SQL gave; empty where nothing was executed."""
    path = run.folder / "verdicts.parquet"
    if not path.is_file():
        return {}
    return {(judged.split, judged.idx): judged for judged in iter_rows(Judged, path)}


def collect(runs: list[Run]) -> dict[str, Any]:
    """What the script of the page works on: rows and schemas once, answers by run, its menus."""
    rows: dict[tuple[str, int], ShownRow] = {}
    places: dict[tuple[str, int], int] = {}
    schemas: dict[str, int] = {}
    answers = []
    for run in runs:
        judged_by_row = judged_answers(run)
        for answer in iter_rows(Prediction, run.folder / "predictions.parquet"):
            if answer.split not in SHOWN:
                continue
            key = (answer.split, answer.idx)
            judged = judged_by_row.get(key)
            if key not in rows:
                schema = schemas.setdefault(judged.schema, len(schemas)) if judged else None
                places[key] = len(rows)
                rows[key] = ShownRow(
                    *key, answer.task, answer.db_id, answer.question, answer.gold, schema
                )
            executed = judged if judged and judged.task != "Selector" else None  # writes no SQL
            answers.append(
                ShownAnswer(
                    run=run.name,
                    row=places[key],
                    text=answer.prediction,
                    quality=quality_of(answer),
                    executed=executed.verdict if executed else None,
                    error=executed.error if executed else None,
                )
            )
    splits = {row.split for row in rows.values()}
    return {
        "rows": [asdict(row) for row in rows.values()],
        "schemas": list(schemas),
        "answers": [asdict(answer) for answer in answers],
        "runs": [run.name for run in runs],
        "splits": [split for split in SHOWN if split in splits],
        "tasks": TASKS,
        "qualities": list(QUALITIES),
        "colours": QUALITIES,
        "executed": sorted({answer.executed for answer in answers if answer.executed}),
    }


def browse_predictions(
    runs: Annotated[list[Run], Setting("run folders of one recipe, a seed of each")],
) -> html.Page:
    title = f"Predictions of the recipe {runs[0].recipe}"
    return html.Page(title, {"data": collect(runs)}, "predictions.html")


if __name__ == "__main__":
    run_stage(browse_predictions, write_page)

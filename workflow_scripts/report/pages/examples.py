"""Experiment 4: what the best run of each recipe answers to a few rows of each task, beside gold.

Rows from all rows may have been trained on, as in the report: each answer says where its run met
the row.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.parquet import iter_rows, read_rows
from workflow_scripts.artifacts.runs import BestRuns
from workflow_scripts.artifacts.tables import Prediction, RowSubject
from workflow_scripts.report.pages import html
from workflow_scripts.report.pages.answer_quality import QUALITIES, quality_of
from workflow_scripts.report.pages.html import write_page
from workflow_scripts.stage import Input, Setting, run_stage

CAPTION = """\
Experiment 4: two rows of each task, answered by the best run of each recipe that keeps test rows.

**How to read it.** Left the answer in the data, beside it what each run wrote. The first part holds
test rows, which no run trained on. The second part draws from all rows, as the report did; each
answer says whether its run trained on the row (A11).

**What the report says.** The model shows a basic understanding of the tasks but hallucinates. It
judged that by eye, on six rows, some of which were training rows.
"""

USES_FILES = ["templates/examples.html"]
PARTS = {"test": "Test rows", "val": "Rows drawn from all rows, as in the report"}


@dataclass(frozen=True)
class ShownAnswer:
    """`met`: where the run met the row in training."""

    recipe: str
    met: str
    quality: html.Markup
    text: str


@dataclass(frozen=True)
class ShownRow:
    idx: int
    task: str
    db_id: str | None
    question: str
    gold: str
    answers: list[ShownAnswer]


def origins(train: Path, val: Path, test: Path | None) -> dict[int, str]:
    """Row -> where a run met it; any other row was not used in the run."""
    files = {"training row": train, "validation row": val, "test row": test}
    met: dict[int, str] = defaultdict(lambda: "not used in this run")
    for name, path in files.items():
        if path:
            met |= dict.fromkeys((row.idx for row in iter_rows(RowSubject, path)), name)
    return met


def side_by_side(
    answers: dict[str, list[Prediction]], met: dict[str, dict[int, str]], split: str
) -> list[ShownRow]:
    """The rows of a split, each with the answers of all recipes."""
    rows: dict[int, ShownRow] = {}
    for recipe, of_recipe in answers.items():
        for each in of_recipe:
            if each.split == split:
                row = ShownRow(each.idx, each.task, each.db_id, each.question, each.gold, [])
                quality = quality_of(each)
                tag = html.tag(quality, QUALITIES[quality])
                answer = ShownAnswer(recipe, met[recipe][each.idx], tag, each.prediction)
                rows.setdefault(each.idx, row).answers.append(answer)
    return list(rows.values())


def show_examples(
    recipes: Annotated[list[str], Setting("the recipes, in the order of the files")],
    predictions: Annotated[list[Path], Input("test rows as split test, rows from all as val")],
    train: Annotated[list[Path], Input("the best runs' training rows")],
    val: Annotated[list[Path], Input("the best runs' validation rows")],
    best: Annotated[BestRuns, Input("best_runs.json")],
    test: Annotated[Path | None, Input("the test rows, where the recipes keep some")] = None,
) -> html.Page:
    def by_recipe(paths: Sequence[Path]) -> dict[str, Path]:
        return dict(zip(recipes, paths, strict=True))

    answers = {name: read_rows(Prediction, path) for name, path in by_recipe(predictions).items()}
    validated = by_recipe(val)
    met = {name: origins(path, validated[name], test) for name, path in by_recipe(train).items()}
    parts = {title: side_by_side(answers, met, split) for split, title in PARTS.items()}
    values = {
        "best": [best.recipes[name] for name in recipes],
        "parts": {title: rows for title, rows in parts.items() if rows},
    }
    return html.Page("Experiment 4: answers of the best runs", values, "examples.html")


if __name__ == "__main__":
    run_stage(show_examples, write_page)

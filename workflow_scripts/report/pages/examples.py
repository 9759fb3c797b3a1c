"""Experiment 4: the best run's answers to a few rows of each task, beside gold.

Rows from all rows may have been trained on, as in the report: each says where the run met it.
"""

from collections import defaultdict
from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.parquet import iter_rows, read_rows
from workflow_scripts.artifacts.runs import BestRun
from workflow_scripts.artifacts.tables import Prediction, RowSubject
from workflow_scripts.report.pages import html
from workflow_scripts.report.pages.answer_quality import QUALITIES, quality_of
from workflow_scripts.report.pages.html import write_page
from workflow_scripts.stage import Input, run_stage

CAPTION = """\
Experiment 4: the best run, chosen by the rule named on the page, on two rows of each task.

**How to read it.** Left the answer in the data, right what the model wrote. The first part holds
rows that were kept from training. The second part draws from all rows, as the report did; each row
says whether this run trained on it (A11).

**What the report says.** The model shows a basic understanding of the tasks but hallucinates; the
judgement was made by eye, on six rows, training rows among them.
"""

USES_FILES = ["templates/examples.html"]


def origins(train: Path, val: Path, test: Path | None) -> dict[int, str]:
    """Row -> where the run met it; any other row was not used in the run."""
    files = {"training row": train, "validation row": val, "test row": test}
    met: dict[int, str] = defaultdict(lambda: "not used in this run")
    for name, path in files.items():
        if path:
            met |= dict.fromkeys((row.idx for row in iter_rows(RowSubject, path)), name)
    return met


def quality_tag(answer: Prediction) -> html.Markup:
    quality = quality_of(answer)
    return html.tag(quality, QUALITIES[quality])


def show_examples(
    predictions: Annotated[Path, Input("held-out rows as split test, those from all as val")],
    train: Annotated[Path, Input("the best run's training rows")],
    val: Annotated[Path, Input("the best run's validation rows")],
    best: Annotated[BestRun, Input("results/tables/best_run.json")],
    test: Annotated[Path | None, Input("the test rows, where the recipe keeps some")] = None,
) -> html.Page:
    values = {
        "best": best,
        "answers": read_rows(Prediction, predictions),
        "origins": origins(train, val, test),
        "quality": quality_tag,
    }
    return html.Page("Experiment 4: answers of the best run", values, "examples.html")


if __name__ == "__main__":
    run_stage(show_examples, write_page)

"""results/report.html: the front page, then all figures, tables and pages in the report's order."""

from pathlib import Path
from typing import Annotated

from workflow_scripts.artifacts.claims import Claims, Column
from workflow_scripts.artifacts.csv import read_csv
from workflow_scripts.artifacts.fit import FitAudit
from workflow_scripts.artifacts.report import Effect, Result
from workflow_scripts.artifacts.runs import BestRuns
from workflow_scripts.artifacts.sections import Sections
from workflow_scripts.artifacts.shipped import Shipped
from workflow_scripts.report.artefacts import artefacts
from workflow_scripts.report.pages import html
from workflow_scripts.report.pages.front_page import front_page
from workflow_scripts.report.pages.html import write_page
from workflow_scripts.report.pages.sections import chapters, embedded
from workflow_scripts.stage import Input, Setting, run_stage

USES_FILES = ["templates/report.html", "templates/front_page.html"]


def make_report(
    sections: Annotated[Sections, Input("sections.json: what is shown, in which order")],
    results: Annotated[Path, Input("results.csv")],
    claims: Annotated[Claims, Input("claims.json")],
    best: Annotated[BestRuns, Input("best_runs.json")],
    fit: Annotated[list[FitAudit], Input("the fit audits")],
    picture: Annotated[Path, Input("the figure of the fit audits")],
    shipped: Annotated[Shipped, Input("resources/shipped_results.json")],
    recipes: Annotated[dict[Column, str], Setting("the recipe of each column of the claims")],
    ablation: Annotated[list[Path], Input("ablation.csv, where the report has it")] = [],  # noqa: B006
) -> html.Page:
    effects = [effect for path in ablation for effect in read_csv(Effect, path)]
    numbers = read_csv(Result, results)
    values = front_page(numbers, claims, best, fit, recipes, shipped, effects)
    values |= {"picture": embedded(picture), "artefacts": artefacts()}
    values |= {"chapters": chapters(sections.sections)}
    title = "Fine-Tuning On Essence, reproduced and examined"
    return html.Page(title, values, "report.html")


if __name__ == "__main__":
    run_stage(make_report, write_page)

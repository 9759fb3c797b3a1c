"""results/report.html: the front page, then all figures, tables and answers in the report's order.

Figures become data addresses, tables stand as they are, CSV files are downloads, so that the report
is one file that needs nothing beside it.
"""

import base64
import inspect
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from docutils.core import publish_parts
from markupsafe import Markup

from workflow_scripts.files import write_text
from workflow_scripts.report import html
from workflow_scripts.report.front import front_page
from workflow_scripts.report.html import anchor, linked
from workflow_scripts.report.sections import SECTIONS, read_best
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import read_csv
from workflow_scripts.text.audit import FitAudit

TITLE = "Fine-Tuning On Essence, reproduced and examined"
MIME = {".svg": "image/svg+xml", ".png": "image/png", ".csv": "text/csv"}


def chapters(
    sections: list[dict[str, str]], inputs: dict[str, Any]
) -> dict[str, list[dict[str, Any]]]:
    """The sections by chapter, as the template shows them.

    A caption that several sections share stands under the first; the others link to it.
    """
    chapters: dict[str, list[dict[str, Any]]] = {}
    captions: dict[str, Markup] = {}
    link = Markup('<p>To be read like <a href="#{}">{}</a>.</p>')
    for section in sections:
        file, caption, title = Path(section["file"]), section["caption"], section["title"]
        if name := section.get("table"):
            function, place = SECTIONS[name], anchor(name)
            names = inspect.signature(function).parameters
            body = linked(function(**{name: inputs[name] for name in names}))
        else:
            body, place = embedded(file, title), anchor(file.name)
        shown = {"title": title, "file": str(file), "anchor": place, "body": body}
        shown["caption"] = captions.get(caption) or linked(html_of(caption))
        captions.setdefault(caption, link.format(place, title))
        chapters.setdefault(section["chapter"], []).append(shown)
    return chapters


def embedded(path: Path, title: str) -> Markup:
    """The HTML that shows a picture within the page, or offers a CSV file."""
    data = base64.b64encode(path.read_bytes()).decode()
    address = f"data:{MIME[path.suffix]};base64,{data}"
    if path.suffix == ".csv":
        return Markup('<p><a download="{0}" href="{1}">{0}</a></p>').format(path.name, address)
    return Markup('<div class="figure"><img src="{}" alt="{}"></div>').format(address, title)


def html_of(text: str) -> Markup:
    """reStructuredText as HTML."""
    settings = {"raw_enabled": False, "file_insertion_enabled": False, "halt_level": 2}
    return Markup(publish_parts(text, writer="html5", settings_overrides=settings)["fragment"])


def write_report(
    sections: Annotated[dict, Setting('what is shown, in order: {"sections": [...]}')],
    tables: Annotated[Path, Setting("results/tables")],
    answers: Annotated[Path, Input("answers.parquet")],
    published: Annotated[dict, Input("resources/published.json")],
    fit: Annotated[list[FitAudit], Input("the fit audits")],
    picture: Annotated[Path, Input("the figure of the fit audits")],
    shipped: Annotated[dict, Input("resources/shipped_results.json")],
    recipes: Annotated[dict, Setting("the recipe of each column of the claims")],
    page: Annotated[Path, Output("report.html")],
    examples: Annotated[list[Path], Input("answers of experiment 4, <recipe>.parquet")] = [],  # noqa: B006
    train: Annotated[list[Path], Input("training rows of their best runs")] = [],  # noqa: B006
    val: Annotated[list[Path], Input("validation rows of their best runs")] = [],  # noqa: B006
    test: Annotated[Path | None, Input("the test rows")] = None,
    outcomes: Annotated[Path | None, Input("outcomes.parquet of the agents")] = None,
    traces: Annotated[Path | None, Input("traces.jsonl of the agents")] = None,
    agents_recipe: Annotated[str, Setting("of the run in the agents' place")] = "",
    ablation: Annotated[list[Path], Input("ablation.csv, where the report has it")] = [],  # noqa: B006
    note: Annotated[str, Setting("small print: which data and model were used")] = "",
) -> None:
    inputs = dict(locals())  # what a section may show
    effects = pd.concat(map(read_csv, ablation)) if ablation else None
    values = front_page(tables, read_best(tables), fit, recipes, shipped, effects)
    image = embedded(picture, "What each recipe leaves of the rows")
    shown = chapters(sections["sections"], inputs)
    values |= {"title": TITLE, "note": note, "picture": image, "chapters": shown}
    write_text(page, html.render("report.html", **values))


if __name__ == "__main__":
    run_stage(write_report)

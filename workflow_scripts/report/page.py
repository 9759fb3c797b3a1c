"""results/report.html: the front page, then all figures, tables and answers in the report's order.

Figures become data addresses, tables stand as they are, CSV files are downloads, so that the report
is one file that needs nothing beside it.
"""

import base64
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from docutils.core import publish_parts
from markupsafe import Markup

from workflow_scripts.files import write_text
from workflow_scripts.report import html
from workflow_scripts.report.artefacts import artefacts
from workflow_scripts.report.front import front_page
from workflow_scripts.report.html import linked
from workflow_scripts.report.sections import SECTIONS, Sources
from workflow_scripts.stage import Input, Output, Setting, run_stage
from workflow_scripts.tables import read_csv
from workflow_scripts.text.audit import FitAudit

TITLE = "Fine-Tuning On Essence, reproduced and examined"
MIME = {".svg": "image/svg+xml", ".png": "image/png", ".csv": "text/csv"}


def chapters(sections: list[dict[str, str]], sources: Sources) -> list[dict[str, Any]]:
    """The sections by chapter, as the template shows them."""
    first: dict[str, Markup] = {}
    return [
        {"anchor": anchor(title), "title": title, "sections": list(_shown(own, sources, first))}
        for title, own in groupby(sections, key=lambda each: each["chapter"])
    ]


def _shown(
    sections: Iterator[dict[str, str]], sources: Sources, first: dict[str, Markup]
) -> Iterator[dict[str, Any]]:
    """A caption that several sections share stands under the first; the others link to it.

    `first`: caption -> the link to its section; grows.
    """
    for section in sections:
        file, caption = Path(section["file"]), section["caption"]
        shown = file.suffix == ".csv" or file.suffix in MIME
        body = (
            embedded(file, section["title"]) if shown and section.get("table") is None else Markup()
        )
        if section.get("table"):
            body = linked(SECTIONS[section["table"]](sources))
        place = anchor(section.get("table") or file.name)
        words = first.get(caption) or linked(html_of(caption))
        link = Markup('<p>To be read like <a href="#{}">{}</a>.</p>')
        first.setdefault(caption, link.format(place, section["title"]))
        yield {
            "anchor": place,
            "title": section["title"],
            "file": section["file"],
            "caption": words,
            "body": body,
        }


def anchor(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


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
    example_recipes: Annotated[list[str], Setting("recipes of experiment 4")] = [],  # noqa: B006
    examples: Annotated[list[Path], Input("their answers, in their order")] = [],  # noqa: B006
    train: Annotated[list[Path], Input("training rows of their best runs")] = [],  # noqa: B006
    val: Annotated[list[Path], Input("validation rows of their best runs")] = [],  # noqa: B006
    test: Annotated[Path | None, Input("the test rows")] = None,
    outcomes: Annotated[Path | None, Input("outcomes.parquet of the agents")] = None,
    traces: Annotated[Path | None, Input("traces.jsonl of the agents")] = None,
    agents_recipe: Annotated[str, Setting("of the run in the agents' place")] = "",
    ablation: Annotated[list[Path], Input("ablation.csv, where the report has it")] = [],  # noqa: B006
    note: Annotated[str, Setting("small print: which data and model were used")] = "",
) -> None:
    of_examples = dict(zip(example_recipes, zip(examples, train, val, strict=True), strict=True))
    sources = Sources(
        tables, answers, published, of_examples, test, outcomes, traces, agents_recipe
    )
    values = front_page(
        sources.table("over_seeds"),
        sources.table("claims").astype(object).fillna(""),
        {recipe: run["run"] for recipe, run in sources.best().items()},
        fit,
        recipes,
        shipped,
        pd.concat(map(read_csv, ablation)) if ablation else None,
        sources.table("runs").device,
    )
    values |= {"picture": embedded(picture, "What each recipe leaves of the rows")}
    values |= {"artefacts": artefacts(), "note": note}
    values["chapters"] = chapters(sections["sections"], sources)
    write_text(page, html.render("report.html", title=TITLE, **values))


if __name__ == "__main__":
    run_stage(write_report)

"""The chapters of results/report.html: each figure, table and page of the results, embedded.

Figures become data addresses, tables and pages the inside of their `<main>`, other files a
download, so that the report is one file that needs nothing beside it.
"""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from docutils.core import publish_parts
from markupsafe import Markup

from workflow_scripts.artifacts.sections import Section
from workflow_scripts.errors import EssenceError
from workflow_scripts.report.pages.html import linked

MIME = {".svg": "image/svg+xml", ".png": "image/png", ".csv": "text/csv"}


@dataclass(frozen=True)
class Shown:
    """A section as the template wants it; `body` is what is embedded."""

    anchor: str
    title: str
    file: str
    caption: Markup
    body: Markup


@dataclass(frozen=True)
class Chapter:
    anchor: str
    title: str
    sections: list[Shown]


def chapters(sections: list[Section]) -> list[Chapter]:
    """The sections by chapter. Raises EssenceError when a page has nothing to embed."""
    return [
        Chapter(_anchor(title), title, list(_shown(of_chapter)))
        for title, of_chapter in groupby(sections, key=lambda each: each.chapter)
    ]


def _shown(sections: Iterator[Section]) -> Iterator[Shown]:
    """A caption that several sections in a row share is told with the first of them."""
    before = None
    for each in sections:
        caption = Markup() if each.caption == before else linked(html_of(each.caption))
        before = each.caption
        anchor = _anchor(Path(each.file).name)
        yield Shown(anchor, each.title, each.file, caption, embedded(Path(each.file)))


def _anchor(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def embedded(path: Path) -> Markup:
    """The HTML that shows a file within the page."""
    if path.suffix == ".html":
        inside = re.search(r"<main>(.*)</main>", path.read_text(encoding="utf-8"), re.DOTALL)
        if not inside:
            raise EssenceError(f"{path} has no <main>, so the report cannot show it; make it again")
        return linked(Markup(inside[1]))
    data = base64.b64encode(path.read_bytes()).decode()
    address = f"data:{MIME[path.suffix]};base64,{data}"
    if path.suffix == ".csv":
        return Markup('<p><a download="{0}" href="{1}">{0}</a></p>').format(path.name, address)
    return Markup('<div class="figure"><img src="{}" alt="{}"></div>').format(address, path.stem)


def html_of(text: str) -> Markup:
    """reStructuredText as HTML."""
    settings = {"raw_enabled": False, "file_insertion_enabled": False, "halt_level": 2}
    return Markup(publish_parts(text, writer="html5", settings_overrides=settings)["fragment"])

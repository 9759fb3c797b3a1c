"""HTML that needs no network; the templates are Jinja's and escape whatever is not `Markup`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, select_autoescape
from markupsafe import Markup

from workflow_scripts.report.artefacts import artefacts

USES_FILES = ["templates/*.html", "templates/style.css"]
ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=select_autoescape(["html"]),
    trim_blocks=True,
    lstrip_blocks=True,
)
JSON = {"ensure_ascii": False, "separators": (",", ":"), "sort_keys": True}
ENVIRONMENT.policies["json.dumps_kwargs"] = JSON
# An artefact's number, but not in code, answers, links and tags.
ARTEFACT = re.compile(r"(<(script|style|pre|a)\b.*?</\2>|<[^>]*>)|\b(A\d+)\b", re.DOTALL)
NUMBER = re.compile(r"[-+]?\d[\d.,]*(e-?\d+)?%?( \[[^]]*\])?( of \d+)?")


def render(template: str, **values: Any) -> Markup:
    return Markup(ENVIRONMENT.get_template(template).render(values))


def tables(frames: Mapping[str, pd.DataFrame], lead: str = "") -> Markup:
    """Tables, each under its heading ("": none); a cell is text, a number or `Markup`."""
    return render("tables.html", lead=lead, tables=frames)


def tag(text: str, kind: str) -> Markup:
    """A small pill; kind: good, bad or unsure."""
    return Markup('<span class="tag {}">{}</span>').format(kind, text)


def marked(value: float, low: float, high: float) -> str:
    """A difference with its interval, tagged where that does not hold 0; empty where missing."""
    if pd.isna(value):
        return ""
    text = f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"
    return tag(text, "good" if low > 0 else "bad") if low > 0 or high < 0 else text


def linked(text: str) -> Markup:
    """HTML, or text, in which each artefact's number leads to what the report says of it."""
    known = artefacts()

    def link(match: re.Match) -> str:
        name = match[3]
        title = known[name]["title"] if name in known else None
        return f'<a href="#{name}" title="{title}">{name}</a>' if title else match[0]

    return Markup(ARTEFACT.sub(link, str(Markup.escape(text))))


def anchor(text: str) -> str:
    """The name of a place of the page that a link can lead to."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def style_of(cell: Any) -> str:
    """The class of a cell: numbers stand on the right, a single word is not broken over lines."""
    if NUMBER.fullmatch(str(cell)):
        return "number"
    return "words" if " " in str(cell) else "name"


ENVIRONMENT.filters |= {"linked": linked, "style_of": style_of, "anchor": anchor}
ENVIRONMENT.globals["tables"] = tables

"""Self-contained HTML pages: no network, readable on paper too.

The templates are Jinja's and escape whatever is not `Markup`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, select_autoescape
from markupsafe import Markup

from workflow_scripts.files import write_text
from workflow_scripts.report.artefacts import artefacts
from workflow_scripts.stage import Output, Setting

USES_FILES = ["templates/page.html", "templates/style.css", "templates/tables.html"]
ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=select_autoescape(["html"]),
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.policies["json.dumps_kwargs"] = {
    "ensure_ascii": False,
    "separators": (",", ":"),
    "sort_keys": True,
}
# An artefact's number, but not in code, answers, links and tags.
ARTEFACT = re.compile(r"(<(script|style|pre|a)\b.*?</\2>|<[^>]*>)|\b(A\d+)\b", re.DOTALL)


class Page(NamedTuple):
    """A page to be: `values` fill its template, by default a lead and tables below it."""

    title: str
    values: Mapping[str, Any]
    template: str = "tables.html"


class Table(NamedTuple):
    """A cell is text, a number or `Markup`; `subheads` stand small below the columns' names."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    subheads: Mapping[str, str] = {}


def write_page(
    make: Callable[[], Page],
    page: Annotated[Path, Output("HTML page")],
    note: Annotated[str, Setting("small print: which data and model were used")] = "",
) -> None:
    """How every stage of a page ends."""
    write_text(page, render(make(), note))


def render(page: Page, note: str = "") -> str:
    """The document; the module that makes a template's values names it in USES_FILES."""
    return ENVIRONMENT.get_template(page.template).render(page.values, title=page.title, note=note)


def tables(title: str, lead: str, by_heading: Mapping[str, Table]) -> Page:
    """A page of tables, each under its heading ("": none); `lead` is HTML."""
    return Page(title, {"lead": Markup(lead), "tables": by_heading})


class Number(str):
    """A number written out: aligned as one."""

    css = "number"


class Name(str):
    """Text that must not be broken over lines."""

    css = "name"


def number(value: float | None, low: float | None = None, high: float | None = None) -> Number:
    """A number for reading, with its interval; nothing where nothing was measured."""
    if value is None or value != value:
        return Number("")
    if low is None or high is None or low != low or high != high:
        return Number(f"{value:.3f}")
    return Number(f"{value:.3f} [{low:.3f}, {high:.3f}]")


def tag(text: str, kind: str) -> Markup:
    """A small pill; kind: good, bad or unsure."""
    return Markup('<span class="tag {}">{}</span>').format(kind, text)


def interval(estimate: Any) -> Number:
    """What has `value` or `mean`, `low` and `high`, with two digits; nothing for None."""
    if estimate is None:
        return Number("")
    value = getattr(estimate, "value", None)
    text = f"{estimate.mean if value is None else value:.2f}"
    known = estimate.low is not None and estimate.high is not None
    return Number(f"{text} [{estimate.low:.2f}, {estimate.high:.2f}]" if known else text)


def linked(text: str) -> Markup:
    """HTML, or text, in which each artefact's number leads to what the report says of it."""
    known = artefacts()

    def link(found: re.Match) -> str:
        name = found[3]
        if name not in known:
            return found[0]
        return f'<a href="#{name}" title="{known[name].title}">{name}</a>'

    return Markup(ARTEFACT.sub(link, str(Markup.escape(text))))


ENVIRONMENT.filters |= {"interval": interval, "linked": linked}

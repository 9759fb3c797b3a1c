"""HTML that needs no network; the templates are Jinja's and escape whatever is not `Markup`."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
ENVIRONMENT.policies["json.dumps_kwargs"] = {
    "ensure_ascii": False,
    "separators": (",", ":"),
    "sort_keys": True,
}
# An artefact's number, but not in code, answers, links and tags.
ARTEFACT = re.compile(r"(<(script|style|pre|a)\b.*?</\2>|<[^>]*>)|\b(A\d+)\b", re.DOTALL)


class Table(NamedTuple):
    """A cell is text, a number or `Markup`."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def render(template: str, **values: Any) -> Markup:
    return Markup(ENVIRONMENT.get_template(template).render(values))


def tables(lead: str, by_heading: Mapping[str, Table]) -> Markup:
    """Tables, each under its heading ("": none); `lead` is HTML."""
    return render("tables.html", lead=Markup(lead), tables=by_heading)


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


def marked(value: float, low: float, high: float) -> str:
    """A difference with its interval, tagged where that does not hold 0; empty where missing."""
    if value != value:
        return ""
    text = f"{value:+.2f} [{low:+.2f}, {high:+.2f}]"
    return tag(text, "good" if low > 0 else "bad") if low > 0 or high < 0 else text


def interval(value: float, low: float | None, high: float | None) -> Number:
    """A share with its interval and two digits; empty where missing."""
    if value is None or value != value:
        return Number("")
    known = low is not None and low == low
    return Number(f"{value:.2f} [{low:.2f}, {high:.2f}]" if known else f"{value:.2f}")


def linked(text: str) -> Markup:
    """HTML, or text, in which each artefact's number leads to what the report says of it."""
    known = artefacts()

    def link(found: re.Match) -> str:
        name = found[3]
        if name not in known:
            return found[0]
        return f'<a href="#{name}" title="{known[name].title}">{name}</a>'

    return Markup(ARTEFACT.sub(link, str(Markup.escape(text))))


ENVIRONMENT.filters |= {"linked": linked}

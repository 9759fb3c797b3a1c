"""Self-contained HTML pages: no network, readable on paper too.

The templates are Jinja's and escape whatever is not `Markup`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup, escape

__all__ = ["Markup", "Name", "Number", "escape", "number", "page", "render", "table", "tag"]

USES_FILES = ["templates/page.html", "templates/table.html"]
ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.policies["json.dumps_kwargs"] = {
    "ensure_ascii": False,
    "separators": (",", ":"),
    "sort_keys": True,
}


class Number(str):
    """A number written out: aligned as one."""

    css = "number"


class Name(str):
    """Text that must not be broken over lines."""

    css = "name"


def render(template: str, **values: Any) -> Markup:
    """A template of pages/templates with its values; the calling module names it in USES_FILES."""
    return Markup(ENVIRONMENT.get_template(template).render(values))


def page(title: str, note: str, body: str) -> Markup:
    """A whole document. `body` is HTML; `note` (what data and model are) stands below the title."""
    return render("page.html", title=title, note=note, body=Markup(body))


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    subheads: Mapping[str, str] | None = None,
) -> Markup:
    """An HTML table. A cell is text, a number, or `Markup`.

    `subheads` prints a second, smaller line below a column's name.
    """
    cells = [
        [Number(f"{cell:g}") if isinstance(cell, int | float) else cell for cell in row]
        for row in rows
    ]
    return render("table.html", columns=columns, rows=cells, subheads=subheads or {})


def tag(text: str, kind: str) -> Markup:
    """A small pill; kind: good, bad or unsure."""
    return Markup('<span class="tag {}">{}</span>').format(kind, text)


def number(value: float | None, low: float | None = None, high: float | None = None) -> Number:
    """A number for reading, with its interval; nothing where nothing was measured."""
    if value is None or value != value:
        return Number("")
    if low is None or high is None or low != low or high != high:
        return Number(f"{value:.3f}")
    return Number(f"{value:.3f} [{low:.3f}, {high:.3f}]")

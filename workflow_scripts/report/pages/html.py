"""Small self-contained HTML pages: no network, no library, readable on paper too."""

import html
import json
from collections.abc import Sequence
from typing import Any

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; color: #222; background: #fff;
  margin: 1.2rem auto; max-width: 78rem; padding: 0 1rem; }
h1 { font-size: 1.35rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 1.6rem 0 .4rem; }
.note { color: #666; font-style: italic; margin: 0 0 1rem; } .lead { max-width: 52rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem;
  border-bottom: 1px solid #ddd; }
th { background: #f3f3f3; border-bottom: 2px solid #999; } td.number { text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap; } td.name { white-space: nowrap; }
th small { font-weight: normal; font-style: italic; color: #666; }
pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere;
  font: 12.5px/1.4 "DejaVu Sans Mono", monospace; background: #f7f7f7;
  border: 1px solid #ddd; border-radius: 4px; padding: .5rem; max-height: 24rem; overflow: auto; }
.tag { display: inline-block; border: 1px solid #888; border-radius: 999px; padding: 0 .55rem;
  font-size: 12px; }
.good { border-color: #009E73; background: #e3f5ee; } .bad { border-color: #D55E00;
  background: #fdeee4; } .unsure { border-color: #767676; background: #f0f0f0; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .8rem; }
.pair h3 { font-size: .85rem; margin: 0 0 .2rem; color: #555; }
.card { border: 1px solid #ccc; border-radius: 6px; padding: .8rem; margin: 0 0 1rem;
  break-inside: avoid; }
.controls { display: flex; flex-wrap: wrap; gap: .8rem; align-items: end; margin: .8rem 0;
  position: sticky; top: 0; background: #fff; padding: .4rem 0; border-bottom: 1px solid #ddd; }
.controls label { font-size: 12px; color: #555; display: flex; flex-direction: column; }
.controls label[hidden] { display: none; }
.controls select, .controls input, .controls button { font: inherit; padding: .2rem .4rem; }
@media (max-width: 45rem) { .pair { grid-template-columns: 1fr; } }
"""


def escape(text: Any) -> str:
    return html.escape("" if text is None else str(text))


def page(title: str, note: str, body: str, script: str = "") -> str:
    """A whole document; `note` (what data and model are) is printed below the title."""
    small = f'<p class="note">{escape(note)}</p>' if note else ""
    code = f"<script>\n{script}</script>\n" if script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{small}\n{body}\n{code}</body>\n</html>\n"
    )


def table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], subheads: dict[str, str] | None = None
) -> str:
    """An HTML table. A cell is text, a number, or markup already made (`Markup`).

    `subheads` prints a second, smaller line below a column's name.
    """
    subheads = subheads or {}
    head = "".join(
        f"<th>{escape(name)}{_small(subheads[name]) if name in subheads else ''}</th>"
        for name in columns
    )
    body = "\n".join("<tr>" + "".join(_cell(value) for value in row) + "</tr>" for row in rows)
    return (
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


class Markup(str):
    """Text that is HTML already."""


class Number(str):
    """A number written out: aligned as one."""


class Name(str):
    """Text that must not be broken over lines."""


def tag(text: str, kind: str) -> Markup:
    """A small pill; kind: good, bad or unsure."""
    return Markup(f'<span class="tag {kind}">{escape(text)}</span>')


def embedded(value: Any) -> str:
    """JSON that may stand inside a script element."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def number(value: float | None, low: float | None = None, high: float | None = None) -> Number:
    """A number for reading, with its interval; nothing where nothing was measured."""
    if value is None or value != value:
        return Number("")
    if low is None or high is None or low != low or high != high:
        return Number(f"{value:.3f}")
    return Number(f"{value:.3f} [{low:.3f}, {high:.3f}]")


def _small(text: str) -> str:
    return f"<br><small>{escape(text)}</small>"


def _cell(value: Any) -> str:
    if isinstance(value, Markup):
        return f"<td>{value}</td>"
    if isinstance(value, int | float):
        return f'<td class="number">{value:g}</td>'
    kind = {Number: ' class="number"', Name: ' class="name"'}.get(type(value), "")
    return f"<td{kind}>{escape(value)}</td>"

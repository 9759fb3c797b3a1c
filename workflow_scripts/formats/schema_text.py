"""Read and write the schema text of the prompts."""

import ast
import re
from typing import Any

from workflow_scripts.formats.schema import Column, ForeignKey, SchemaError, Table

_HEAD = "# Table: "
_EXAMPLES = " Value examples: "
_KEY = re.compile(r"(.+?)\.(`[^`]+`|[^`=]+?) *= *(.+?)\.(`[^`]+`|[^`=]+)")


def parse_schema(text: str) -> list[Table]:
    """Tables of a schema text; `render_schema` gives the text back.

    A column's name ends at the first comma of its line: names may hold brackets and points.
    Raises SchemaError naming the line that fits nowhere.
    """
    tables: list[tuple[str, list[str]]] = []
    for line in text.strip().splitlines():
        bare = line.strip()
        if line.startswith(_HEAD):
            tables.append((line.removeprefix(_HEAD).strip(), []))
        elif bare in ("[", "]", ""):
            continue
        elif tables and bare.startswith("(") and "," in bare:
            tables[-1][1].append(bare)
        elif tables and tables[-1][1]:
            tables[-1][1][-1] += "\n" + line  # a description that runs over several lines
        else:
            raise SchemaError(f"schema: the line {line[:60]!r} is neither a table nor a column")
    if not tables:
        raise SchemaError(f"schema: no '{_HEAD}' line in {text[:60]!r}")
    return [Table(name, tuple(map(_parse_column, lines))) for name, lines in tables]


def render_schema(tables: list[Table]) -> str:
    """Write the schema text as in the prompts, without a newline at the end."""
    return "\n".join(
        f"{_HEAD}{table.name}\n[\n" + ",\n".join(map(_render_column, table.columns)) + "\n]"
        for table in tables
    )


def parse_foreign_keys(text: str) -> list[ForeignKey]:
    """Parse lines such as ``a.`x` = b.`y` `` to (a, x, b, y). Raises SchemaError for a bad line."""
    keys = []
    for line in filter(None, map(str.strip, text.splitlines())):
        match = _KEY.fullmatch(line)
        if not match:
            raise SchemaError(f"foreign keys: {line[:60]!r} is not of the form a.`x` = b.`y`")
        keys.append(tuple(part.strip("`") for part in match.groups()))
    return keys


def render_foreign_keys(keys: list[ForeignKey]) -> str:
    return "\n".join(f"{a}.`{x}` = {b}.`{y}`" for a, x, b, y in keys)


def _parse_column(line: str) -> Column:
    name, _, rest = line.removesuffix(",").removeprefix("(").removesuffix(")").partition(",")
    before, separator, after = rest.partition(_EXAMPLES)
    examples, tail = _split_examples(after) if separator else (None, "")
    if examples is None:
        before, separator, note = rest.partition(". And ")
        return Column(name, before.strip() if separator else _no_point(rest), None, note)
    return Column(name, _no_point(before), examples, tail.removeprefix(" And "))


def _no_point(text: str) -> str:
    return text.strip().removesuffix(".")


def _split_examples(text: str) -> tuple[tuple[Any, ...] | None, str]:
    """`[1, 'a].'].` + rest -> ((1, 'a].'), rest): the first `].` at which the list is whole."""
    for end in re.finditer(r"\]\.(?= And |$)", text):
        try:
            return tuple(ast.literal_eval(text[: end.start() + 1])), text[end.end() :]
        except (ValueError, SyntaxError, TypeError):
            continue
    return None, ""


def _render_column(column: Column) -> str:
    examples = "" if column.examples is None else f"{_EXAMPLES}{list(column.examples)}."
    note = f" And {column.note}" if column.note else ""
    return f"  ({column.name}, {column.description}.{examples}{note})"

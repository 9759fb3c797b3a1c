"""Tables, columns and foreign keys as the prompts describe them, and their text."""

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from workflow_scripts.errors import EssenceError

_HEAD = "# Table: "
_EXAMPLES = " Value examples: "
_KEY = re.compile(r"(.+?)\.(`[^`]+`|[^`=]+?) *= *(.+?)\.(`[^`]+`|[^`=]+)")

# The words of SQLite that occur as names; not all that it reserves.
RESERVED = {"order", "group", "table", "index", "transaction", "references", "primary", "case"}
ForeignKey = tuple[str, str, str, str]  # table, column, referred table, referred column


class SchemaError(EssenceError):
    """A schema or foreign keys that are not written as in the prompts."""


@dataclass(frozen=True)
class Column:
    """One column line: `(name, description. Value examples: [...]. And note)`; None for NULL."""

    name: str
    description: str
    examples: tuple[Any, ...] | None = None
    note: str = ""


@dataclass(frozen=True)
class Table:
    name: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Schema:
    """Tables and foreign keys, as a prompt shows them."""

    tables: Sequence[Table]
    foreign_keys: Sequence[ForeignKey]

    @classmethod
    def parsed(cls, schema: str, foreign_keys: str) -> "Schema":
        """Parse the two texts of a prompt. Raises SchemaError."""
        return cls(parse_schema(schema), parse_foreign_keys(foreign_keys))

    @property
    def text(self) -> str:
        return render_schema(self.tables)

    @property
    def foreign_keys_text(self) -> str:
        return render_foreign_keys(self.foreign_keys)

    @property
    def names(self) -> dict[str, list[str]]:
        return {table.name: [column.name for column in table.columns] for table in self.tables}

    @property
    def width(self) -> int:
        return sum(len(table.columns) for table in self.tables)

    def without_unwritable(self) -> "Schema":
        """Leave out the tables, columns and keys whose names a text cannot carry (line breaks)."""

        def survives(table: str, column: str, *keys: ForeignKey) -> bool:
            schema = Schema([Table(table, (Column(column, ""),))], list(keys))
            try:
                return Schema.parsed(schema.text, schema.foreign_keys_text) == schema
            except SchemaError:
                return False

        tables = [
            Table(table.name, tuple(c for c in table.columns if survives(table.name, c.name)))
            for table in self.tables
        ]
        keys = [key for key in self.foreign_keys if survives("t", "c", key)]
        return Schema([table for table in tables if table.columns], keys)


def fold_name(name: str) -> str:
    """Write a table's or column's name as names are compared: lower case, no back quotes."""
    return name.strip("`").lower()


def quoted(name: str) -> bool:
    """Tell whether SQLite needs this name in quotes or backticks."""
    return not name.replace("_", "").isalnum() or name.lower() in RESERVED or name[0].isdigit()


def name_words(name: str) -> str:
    """Write a name as words: `list_title` -> `list title`, a column's default description."""
    return " ".join(name.replace("_", " ").lower().split())


def parse_schema(text: str) -> list[Table]:
    """Parse a schema text; a column's name ends at the first comma. Raises SchemaError."""
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


def render_schema(tables: Iterable[Table]) -> str:
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


def render_foreign_keys(keys: Iterable[ForeignKey]) -> str:
    return "\n".join(f"{a}.`{x}` = {b}.`{y}`" for a, x, b, y in keys)


def _parse_column(line: str) -> Column:
    name, _, rest = line.removesuffix(",").removeprefix("(").removesuffix(")").partition(",")
    before, separator, after = rest.partition(_EXAMPLES)
    examples, tail = _split_examples(after) if separator else (None, "")
    if examples is None:
        before, separator, note = rest.partition(". And ")
        before = f"{before.strip()}." if separator else before
    else:
        note = tail.removeprefix(" And ")
    return Column(name, before.strip().removesuffix("."), examples, note)


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

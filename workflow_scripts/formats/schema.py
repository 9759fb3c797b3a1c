"""Tables, columns and foreign keys as the prompts describe them."""

from dataclasses import dataclass
from typing import Any

from workflow_scripts.errors import EssenceError

# The words of SQLite that occur as names; not all that it reserves.
RESERVED = {"order", "group", "table", "index", "transaction", "references", "primary", "case"}
ForeignKey = tuple[str, str, str, str]  # table, column, referred table, referred column


class SchemaError(EssenceError):
    """A schema or foreign keys that are not written as in the prompts."""


@dataclass(frozen=True)
class Column:
    """One column line: `(name, description. Value examples: [...]. And note)`.

    `examples` is None when the line has none; its values are Python's, None for NULL.
    """

    name: str
    description: str
    examples: tuple[Any, ...] | None = None
    note: str = ""


@dataclass(frozen=True)
class Table:
    name: str
    columns: tuple[Column, ...]


def fold_name(name: str) -> str:
    """A table's or column's name as names are compared: as SQLite does, and without backticks."""
    return name.strip("`").lower()


def quoted(name: str) -> bool:
    """Whether SQLite needs this name in quotes or backticks."""
    return not name.replace("_", "").isalnum() or name.lower() in RESERVED or name[0].isdigit()


def name_words(name: str) -> str:
    """A name as words: `list_title` -> `list title`; the description a column has by default."""
    return " ".join(name.replace("_", " ").lower().split())

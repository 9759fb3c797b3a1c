"""Write the compact prompt: a row's own sections without the constant part, on one line.

Every table, column and value example of the schema stays; a description is left out when it only
repeats the words of its column's name.
"""

import re
from functools import lru_cache
from typing import Any

from workflow_scripts.formats.prompts import Prompt
from workflow_scripts.formats.schema import Column
from workflow_scripts.formats.schema_text import parse_foreign_keys, parse_schema

_DATE = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d)?)?")


def compact_parts(prompt: Prompt) -> list[tuple[str, str]]:
    """List (section, text) of the compact prompt; `compact_prompt` is their concatenation.

    The question comes first, where truncation can't reach it, then what is short, then the
    schema. Raises SchemaError for a schema or foreign key that can't be read.
    """
    parts = [("question", f"{prompt.task}: {prompt.question}")]
    if prompt.evidence:
        parts.append(("evidence", f" | evidence: {prompt.evidence}"))
    if prompt.old_sql is not None:
        kind = _shorten_class(prompt.exception_class)
        parts.append(("error", f" | error: {prompt.error}" + (f" ({kind})" if kind else "")))
        parts.append(("old_sql", f" | SQL: {prompt.old_sql}"))
    if prompt.db_id:
        parts.append(("db_id", f" | database: {prompt.db_id}"))
    parts.append(("schema", f" | tables: {compact_schema(prompt.schema)}"))
    if prompt.foreign_keys:
        parts.append(("foreign_keys", f" | keys: {compact_foreign_keys(prompt.foreign_keys)}"))
    return parts


def compact_prompt(prompt: Prompt) -> str:
    return "".join(text for _, text in compact_parts(prompt))


@lru_cache(maxsize=4096)  # hundreds of rows show the same schema
def compact_schema(schema: str) -> str:
    """Write a schema on one line: `table: col ('v1', 'v2'), col2 - description | table2: ...`."""
    return " | ".join(
        f"{_quote(table.name)}: " + ", ".join(map(_compact_column, table.columns))
        for table in parse_schema(schema)
    )


@lru_cache(maxsize=4096)
def compact_foreign_keys(foreign_keys: str) -> str:
    return ", ".join(
        f"{_quote(a)}.{_quote(x)} = {_quote(b)}.{_quote(y)}"
        for a, x, b, y in parse_foreign_keys(foreign_keys)
    )


def _shorten_class(name: str | None) -> str:
    """`<class 'sqlite3.OperationalError'>` -> `OperationalError`"""
    return (name or "").removeprefix("<class '").removesuffix("'>").rpartition(".")[2]


def _compact_column(column: Column) -> str:
    text = _quote(column.name)
    if _letters_only(column.description) not in ("", _letters_only(column.name)):
        text += f" - {column.description}"
    if column.examples is not None:
        text += f" ({', '.join(map(_compact_value, column.examples))})"
    return text + (f" - {column.note}" if column.note else "")


def _compact_value(value: Any) -> str:
    """Write a value as Python does, which is nearly SQL; dates without quotes (they are long)."""
    return value if isinstance(value, str) and _DATE.fullmatch(value) else repr(value)


def _letters_only(text: str) -> str:
    return re.sub(r"[\W_]+", "", text).lower()


def _quote(name: str) -> str:
    """Quote a name that is more than one word of SQL with back quotes, as in the answers."""
    return name if re.fullmatch(r"\w+", name) else f"`{name}`"
